"""TESS: two actresses of 26 and 64 years say "Say the word ..." with 200 words in seven emotions (Pichora-Fuller & Dupuis 2020, Borealis).

Its surprise is a pleasant one.
"""

from __future__ import annotations

import re
from pathlib import Path

from cogviz.corpora.base import Corpus, by_name, emotion_of, spoken
from cogviz.utterance import Utterance

_NAME = re.compile(r"(oaf?|yaf)_([a-z]+)_([a-z]+)")  # OA_bite_neutral.wav is published under that name, in the folder OAF_neutral


def _parse(path: Path) -> Utterance | None:
    """Name: actress_word_emotion."""
    match = _NAME.fullmatch(path.stem.lower())
    if match is None:
        raise ValueError(path.stem)
    speaker, word, emotion = match.groups()
    return spoken(
        "tess",
        path.stem,
        path,
        emotion_of("surprise" if emotion == "ps" else emotion),
        speaker="OAF" if speaker == "oa" else speaker.upper(),
        sentence=word,
        text=f"Say the word {word}.",
        sex="female",
    )


CORPUS = Corpus(
    name="tess",
    title="the Toronto Emotional Speech Set (TESS)",
    kind="acted",
    language="en",
    licence="CC BY-NC-ND 4.0",
    page="doi.org/10.5683/SP2/E8H2MF",
    items=by_name(_parse),
)
