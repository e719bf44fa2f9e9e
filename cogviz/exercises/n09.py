"""Exercises of `09_attribution`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cogviz.exercises import Exercise

Slope = Callable[[np.ndarray], np.ndarray]


def _difference(weights: np.ndarray, given: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    return np.asarray(weights) * (np.asarray(given) - np.asarray(baseline))


def _integrated(slope: Slope, given: np.ndarray, baseline: np.ndarray, steps: int) -> np.ndarray:
    middles = (np.arange(steps) + 0.5) / steps
    return (given - baseline) * np.mean([slope(baseline + share * (given - baseline)) for share in middles], axis=0)


def _shapley(nothing: float, tone: float, words: float, both: float) -> tuple[float, float]:
    return ((tone - nothing) + (both - words)) / 2, ((words - nothing) + (both - tone)) / 2


def _gain(deletion: np.ndarray, random: np.ndarray) -> float:
    apart = np.asarray(random, dtype=float) - np.asarray(deletion, dtype=float)
    return float(np.mean((apart[1:] + apart[:-1]) / 2))


def _draws(*sizes: int) -> list[tuple[Any, ...]]:
    draw = np.random.default_rng(9)
    return [tuple(draw.normal(size=size) for size in sizes) for _ in range(4)]


def _slopes() -> list[tuple[Any, ...]]:
    def product(x: np.ndarray) -> np.ndarray:
        return np.array([x[1], x[0]])  # of x[0] * x[1]

    def full(x: np.ndarray) -> np.ndarray:
        return 1 - np.tanh(x) ** 2  # of the sum of tanh(x)

    return [(product, *_draws(2, 2)[0], 10), (full, *_draws(3, 3)[1], 25), (full, np.full(2, 3.0), np.zeros(2), 4)]


EXERCISES = (
    Exercise(
        key="09.1",
        reference=_difference,
        inputs=lambda: [*_draws(5, 5, 5), (np.ones(3), np.ones(3), np.ones(3))],
        hint="The gradient of a weighted sum is the weights. What is multiplied with it is how far each input is from its baseline.",
        wrong=lambda weights, given, baseline: np.asarray(weights) * np.asarray(given),
    ),
    Exercise(
        key="09.2",
        reference=_integrated,
        inputs=_slopes,
        hint="Stop in the middle of each of the equal steps from baseline to input, ask for the slope there, take the mean, times the difference.",
        wrong=lambda slope, given, baseline, steps: (given - baseline) * slope(given),
    ),
    Exercise(
        key="09.3",
        reference=_shapley,
        inputs=lambda: [tuple(map(float, row[0])) for row in _draws(4)] + [(0.0, 0.0, 0.0, 1.0)],
        hint="Each can come first or second. What does it add in either place? Take the mean of the two. Both values together are both - nothing.",
        wrong=lambda nothing, tone, words, both: (tone - nothing, words - nothing),
    ),
    Exercise(
        key="09.4",
        reference=_gain,
        inputs=lambda: _draws(11, 11) + _draws(6, 6),
        hint="The points lie at equal distances from 0 to 1. Between two of them the area is their mean times the distance; take random - deletion.",
        wrong=lambda deletion, random: float(np.sum(np.asarray(random) - np.asarray(deletion))),
    ),
)
