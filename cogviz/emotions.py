"""The seven emotions: names, words, colours, place in valence and arousal, and the labels that corpora use for them.

Everything that depends on "which emotions are there, and in which order" reads it here.
"""

from __future__ import annotations

from dataclasses import dataclass

EMOTIONS: tuple[str, ...] = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
"""The seven emotions in the order of every table, confusion matrix and colour bar."""

INTENSITIES: dict[str, float] = {"low": 0.5, "mid": 1.0, "high": 1.5}
"""Intensity names and their k: 0 is neutral, 1 is what actors do when asked for "normal", 1.5 for "strong"."""


@dataclass(frozen=True)
class Emotion:
    """One emotion as people see and read it.

    Attributes:
        name: one of `EMOTIONS`.
        adjective: how a sentence says it ("they sound *frightened*").
        color: hex RGB, one per emotion everywhere; at least 3:1 on white, seven steps in grey, distinct for colour-blind readers.
        valence: -1 (unpleasant) .. 1 (pleasant), place in Russell's circumplex (1980).
        arousal: -1 (calm) .. 1 (excited), likewise.
    """

    name: str
    adjective: str
    color: str
    valence: float
    arousal: float


_TABLE: dict[str, Emotion] = {
    e.name: e
    for e in (
        Emotion("neutral", "calm", "#4C4F54", 0.0, 0.0),
        Emotion("happy", "happy", "#B98D1B", 0.8, 0.5),
        Emotion("sad", "sad", "#0F368C", -0.7, -0.5),
        Emotion("angry", "angry", "#B0120F", -0.6, 0.7),
        Emotion("fear", "frightened", "#9547AE", -0.65, 0.6),
        Emotion("disgust", "disgusted", "#398552", -0.6, 0.2),
        Emotion("surprise", "surprised", "#2293A9", 0.2, 0.8),
    )
}

# Labels of the corpora and of common models, in lower case, to our names. None: an emotion that we do not use.
LABELS: dict[str, str | None] = {
    **{name: name for name in EMOTIONS},
    "neutrality": "neutral", "happiness": "happy", "joy": "happy", "joyful": "happy", "sadness": "sad", "anger": "angry",
    "fearful": "fear", "frightened": "fear", "scared": "fear", "afraid": "fear", "disgusted": "disgust",
    "surprised": "surprise", "calm": None, "boredom": None, "bored": None, "contempt": None, "frustration": None,
    "excitement": None, "other": None,
}  # fmt: skip


def congruence(words: str | None, voice: str | None) -> str | None:
    """Say whether what the words carry and what the voice carries agree: "congruent" or "conflict".

    None where either is unknown, and where the words are neutral but the voice is not: there is nothing in them that an answer could follow.
    """
    if words is None or voice is None or (words == "neutral" and voice != "neutral"):
        return None
    return "congruent" if words == voice else "conflict"


class UnknownEmotion(ValueError):
    """Raised for an emotion or intensity that cogviz does not know."""


def emotion(name: str) -> Emotion:
    """Return the emotion called `name`; raises `UnknownEmotion` with the list of names."""
    try:
        return _TABLE[name]
    except KeyError:
        raise UnknownEmotion(f"unknown emotion {name!r}; choose one of {', '.join(EMOTIONS)}") from None


def intensity(value: str | float) -> float:
    """Return k for "low", "mid", "high" or a number in 0 .. 1.5; raises `UnknownEmotion` otherwise."""
    if isinstance(value, str) and value in INTENSITIES:
        return INTENSITIES[value]
    try:
        k = float(value)
    except (TypeError, ValueError):
        k = float("nan")
    if not 0.0 <= k <= 1.5:
        raise UnknownEmotion(f"unknown intensity {value!r}; choose low, mid, high or a number from 0 to 1.5")
    return k


def label(name: str) -> str | None:
    """Map a corpus's label ("Anger", "fearful") to our name, or to None where it is not one of the seven.

    Raises `UnknownEmotion` for a label that no known corpus uses, so that a typo is not dropped in silence.
    """
    key = name.strip().lower()
    if key not in LABELS:
        raise UnknownEmotion(f"unknown emotion label {name!r}; known labels: {', '.join(sorted(LABELS))}")
    return LABELS[key]
