"""Exercises of `01_hear_the_difference`."""

from __future__ import annotations

import math

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.exercises import Exercise
from cogviz.lime import prosody


def _pitches() -> list[tuple[np.ndarray]]:
    draw = np.random.default_rng(1)
    voices = [np.where(draw.random(80) < 0.4, 0.0, draw.uniform(90, 300, 80)) for _ in range(4)]
    return [(voice,) for voice in (*voices, np.zeros(20))]


def _pitch(f0: np.ndarray) -> float:
    voiced = f0[f0 > 0]
    return float(np.median(voiced)) if len(voiced) else math.nan


def _most(parameter: str) -> str:
    """The emotion whose rule raises a parameter most at strong intensity."""
    strong = prosody.rules().mean[:, prosody.ANCHORS.index(1.5), list(prosody.PARAMETERS).index(parameter)]
    return EMOTIONS[int(strong.argmax())]


EXERCISES = (
    Exercise(
        key="01.1",
        reference=lambda hz, reference: 12 * math.log2(hz / reference),
        inputs=lambda: [(200.0, 100.0), (110.0, 220.0), (237.5, 180.2), (150.0, 150.0)],
        hint="An octave, twice the frequency, is 12 semitones; think of the logarithm to base 2 of the ratio.",
        wrong=lambda hz, reference: hz - reference,
    ),
    Exercise(
        key="01.2",
        reference=_pitch,
        inputs=_pitches,
        hint="Keep only the frames whose F0 is above 0, then take the median; where none is left, return nan. The zeros would pull the median down.",
        wrong=lambda f0: float(np.median(f0)),
    ),
    Exercise(
        key="01.3",
        reference={name: _most(p) for name, p in (("highest", "f0_level"), ("loudest", "level"), ("longest", "duration"), ("rising", "f0_final"))},
        hint="Look at the rows k = 1.5: the columns F0 level, level, duration and F0 at end; the reddest cell of a column is its largest increase.",
        wrong={"highest": "angry", "loudest": "sad", "longest": "sad", "rising": "happy"},
    ),
    Exercise(
        key="01.4",
        reference=["fear", "disgust"],
        hint="Compare all four numbers with each row of the table: the first is high but flat, the second hardly higher but slow.",
        wrong=["angry", "sad"],
    ),
)
