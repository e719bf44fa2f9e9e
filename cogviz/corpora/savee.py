"""SAVEE: four British men, seven emotions, 15 sentences of TIMIT an emotion and 30 neutral ones (Haq & Jackson 2009, AVSP).

Three of an emotion's sentences are common to all emotions, but neither the names nor the download say which: each sentence of each emotion is
a sentence of its own here, shared by the four speakers, and its words are unknown.
"""

from __future__ import annotations

import re
from pathlib import Path

from cogviz.corpora.base import Corpus, by_name, emotion_of, spoken
from cogviz.utterance import Utterance

_EMOTION = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise"}
_NAME = re.compile(r"(?:(DC|JE|JK|KL)_)?(sa|su|[adfhn])(\d\d)")


def _parse(path: Path) -> Utterance | None:
    """Name: DC/a01.wav as published, or DC_a01.wav as on Kaggle."""
    match = _NAME.fullmatch(path.stem)
    speaker = match and (match[1] or path.parent.name)
    if not match or speaker not in ("DC", "JE", "JK", "KL"):
        raise ValueError(path.stem)
    sentence = match[2] + match[3]
    return spoken("savee", f"{speaker}_{sentence}", path, emotion_of(_EMOTION[match[2]]), speaker=speaker, sentence=sentence, sex="male")


CORPUS = Corpus(
    name="savee",
    title="SAVEE",
    kind="acted",
    language="en",
    licence="research only, after registration",
    page="kahlan.eps.surrey.ac.uk/savee",
    items=by_name(_parse),
)
