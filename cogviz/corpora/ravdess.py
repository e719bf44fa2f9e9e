"""RAVDESS: 24 North American actors, two sentences, eight emotions, two intensities (Livingstone & Russo 2018, PLoS ONE 13(5))."""

from __future__ import annotations

from pathlib import Path

from cogviz.corpora.base import Corpus, by_name, emotion_of, spoken
from cogviz.utterance import Utterance

_EMOTION = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_STATEMENT = ("Kids are talking by the door.", "Dogs are sitting by the door.")
_OTHERS = {"calm": "gentle"}  # our calm voice is the neutral one


def _parse(path: Path) -> Utterance | None:
    """Name: modality-channel-emotion-intensity-statement-repetition-actor, two digits each; songs are left out."""
    _, channel, emotion, strength, statement, repetition, actor = map(int, path.stem.split("-"))
    if min(emotion, strength, statement) < 1:  # 00 would count from the end
        raise ValueError(path.stem)
    label = emotion_of(_EMOTION[emotion - 1], _OTHERS)
    if channel != 1:
        return None
    return spoken(
        "ravdess",
        path.stem,
        path,
        label,
        speaker=f"{actor:02d}",
        sentence=str(statement),
        text=_STATEMENT[statement - 1],
        intensity=(1.0, 1.5)[strength - 1],
        repetition=repetition,
        sex="male" if actor % 2 else "female",
    )


CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS (speech)",
    kind="acted",
    language="en",
    licence="CC BY-NC-SA 4.0",
    page="zenodo.org/records/1188976",
    command="curl -LO https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
    items=by_name(_parse),
    others=_OTHERS,
)
