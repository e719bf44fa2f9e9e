"""RAVDESS: 24 North American actors, two sentences, eight emotions, two intensities (Livingstone & Russo 2018, PLoS ONE 13(5))."""

from __future__ import annotations

from pathlib import Path

from cogviz.corpora.base import Corpus
from cogviz.emotions import label
from cogviz.utterance import Utterance

_EMOTION = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_STATEMENT = ("Kids are talking by the door.", "Dogs are sitting by the door.")


def _parse(path: Path) -> Utterance | None:
    """Name: modality-channel-emotion-intensity-statement-repetition-actor, two digits each."""
    _, channel, emotion, strength, statement, repetition, actor = map(int, path.stem.split("-"))
    if min(emotion, strength, statement) < 1:  # 00 would count from the end
        raise ValueError(path.stem)
    original = _EMOTION[emotion - 1]
    if channel != 1:
        return None
    return Utterance(
        id=path.stem,
        text=_STATEMENT[statement - 1],
        emotion=label(original) or original,
        intensity=0.0 if emotion == 1 else (1.0, 1.5)[strength - 1],
        speaker=f"ravdess-{actor:02d}",
        sentence=f"ravdess-{statement}",
        corpus="ravdess",
        path=path,
        extra={"repetition": repetition, "sex": "male" if actor % 2 else "female"},
    )


CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS (speech)",
    language="en",
    licence="CC BY-NC-SA 4.0",
    page="zenodo.org/records/1188976",
    parse=_parse,
    others={"calm": "gentle"},  # our calm voice is the neutral one
)
