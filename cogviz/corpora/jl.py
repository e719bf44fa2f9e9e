"""JL-Corpus: four speakers of New Zealand English, 15 sentences, five primary and five secondary emotions (James et al. 2018, Interspeech).

Four of the primary emotions are ours. The .txt beside a recording, where there is one, is taken as its words and says which recordings share a
sentence; without it the number in the name does.
"""

from __future__ import annotations

import re
from pathlib import Path

from cogviz.corpora.base import Corpus, by_name, emotion_of, spoken
from cogviz.utterance import Utterance

_NAME = re.compile(r"((?:fe)?male)([12])_([a-z]+)_(\d+)([ab])_(\d)")
_OTHERS = {name: name for name in ("excited", "anxious", "apologetic", "assertive", "concerned", "encouraging")}


def _parse(path: Path) -> Utterance | None:
    """Name: speaker_emotion_sentence and session_repetition."""
    match = _NAME.fullmatch(path.stem.lower())
    if match is None:
        raise ValueError(path.stem)
    sex, speaker, emotion, sentence, session, repetition = match.groups()
    beside = path.with_suffix(".txt")
    text = " ".join(beside.read_text(encoding="utf-8", errors="replace").split()) if beside.is_file() else ""
    return spoken(
        "jl",
        path.stem,
        path,
        emotion_of(emotion, _OTHERS),
        speaker=sex + speaker,
        sentence="" if text else sentence,
        text=text,
        sex=sex,
        session=session,
        repetition=int(repetition),
    )


CORPUS = Corpus(
    name="jl",
    title="JL-Corpus",
    kind="acted",
    language="en",
    licence="CC0 1.0",
    page="kaggle.com/datasets/tli725/jl-corpus",
    command="kaggle datasets download -d tli725/jl-corpus",
    items=by_name(_parse),
    others=_OTHERS,
    transcripts="a .txt beside each recording",
)
