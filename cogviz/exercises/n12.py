"""Exercises of `12_your_own_voice`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cogviz.exercises import Exercise


def _pitch(f0: np.ndarray, calm: np.ndarray) -> float:
    f0, calm = np.asarray(f0), np.asarray(calm)
    if not (f0 > 0).any() or not (calm > 0).any():
        return math.nan
    return float(12 * np.log2(np.median(f0[f0 > 0]) / np.median(calm[calm > 0])))


def _verdict(samples: np.ndarray, rate: int) -> str:
    seconds = len(samples) / rate
    if seconds < 0.1:
        return "too short"
    if seconds > 30:
        return "too long"
    power = float(np.mean(np.square(samples)))
    return "silent" if power == 0 or 10 * math.log10(power) < -80 else "fine"


def _contours() -> list[tuple[np.ndarray, np.ndarray]]:
    draw = np.random.default_rng(12)
    voices = [np.where(draw.random(200) < 0.3, 0.0, draw.uniform(low, 2 * low, 200)) for low in (90, 150, 230)]
    return [(voices[0], voices[1]), (voices[2], voices[0]), (2 * voices[1], voices[1]), (np.zeros(50), voices[0]), (voices[0], np.zeros(9))]


def _sounds() -> list[tuple[np.ndarray, int]]:
    draw = np.random.default_rng(12)
    sizes: list[tuple[float, int, int]] = [
        (0.1, 16000, 16000),
        (0.1, 1000, 16000),
        (0.1, 1000, 8000),
        (1e-5, 16000, 16000),
        (2e-4, 8000, 8000),
    ]
    made: list[tuple[Any, int]] = [(scale * draw.standard_normal(n), rate) for scale, n, rate in sizes]
    return [*made, (np.zeros(16000), 16000), (np.zeros(31 * 8000), 8000), (np.zeros(10), 16000)]


EXERCISES = (
    Exercise(
        key="12.1",
        reference=_pitch,
        inputs=_contours,
        hint="Leave out the zeros before the median; semitones are 12 times the logarithm to the base 2 of the ratio. And if nothing is left?",
        wrong=lambda f0, calm: float(np.median(f0) - np.median(calm)),
    ),
    Exercise(
        key="12.2",
        reference=_verdict,
        inputs=_sounds,
        hint="Seconds are samples over rate. The logarithm of 0 does not exist: what is the answer there?",
        wrong=lambda samples, rate: "too short" if len(samples) < 1600 else "fine",
    ),
    Exercise(
        key="12.3",
        reference={"loudness": 6, "pitch": 0, "tempo": 0, "loudness above your calm recording": 0},
        hint="A volume knob multiplies the samples, of both recordings. It moves neither the vocal folds nor the words.",
        wrong={"loudness": 6, "pitch": 0, "tempo": 0, "loudness above your calm recording": 6},
    ),
)
