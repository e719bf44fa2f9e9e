"""Exercises of `04_eips`: whom a response follows, claims beyond chance, faithful and grounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.exercises import Exercise


def _index(told: Sequence[str], chain: Sequence[str], sound: Sequence[str]) -> float:
    by_chain = sum(t == c for t, c in zip(told, chain, strict=True))
    by_sound = sum(t == s for t, s in zip(told, sound, strict=True))
    return by_chain / (by_chain + by_sound) if by_chain + by_sound else math.nan


def _stories() -> list[tuple[list[str], list[str], list[str]]]:
    """Responses of which some follow the chain, some the sound, some neither; and none that follows either."""
    draw = np.random.default_rng(4)
    found = []
    for _ in range(3):
        pairs = [draw.choice(EMOTIONS, 2, replace=False).tolist() for _ in range(20)]
        told = [str(draw.choice([*pair, *EMOTIONS])) for pair in pairs]
        found.append((told, [c for c, _ in pairs], [s for _, s in pairs]))
    return [*found, (["sad", "sad"], ["angry", "fear"], ["happy", "neutral"])]


def _lift(directions: Sequence[int], measured: Sequence[float], noticed: float) -> float:
    values = np.asarray(measured, dtype=float)
    lifts = []
    for i, direction in enumerate(directions):
        so = direction * values >= noticed
        lifts.append(float(so[i]) - float(np.delete(so, i).mean()))
    return float(np.mean(lifts))


def _recordings() -> list[tuple[Any, ...]]:
    draw = np.random.default_rng(5)
    found: list[tuple[Any, ...]] = []
    for noticed in (1.0, 0.5, 2.0):
        measured = draw.normal(2, 4, 12)
        found.append((draw.choice([-1, 1], 12).tolist(), measured.tolist(), noticed))
    return [*found, ([1, 1, 1, 1], [3.0, 4.0, 5.0, 6.0], 1.0)]


def _always_loud(directions: Sequence[int], measured: Sequence[float], noticed: float) -> float:
    """Forgets chance."""
    return float(np.mean([d * m >= noticed for d, m in zip(directions, measured, strict=True)]))


EXERCISES = (
    Exercise(
        "04.1",
        reference=_index,
        inputs=_stories,
        hint="Count the responses that equal the chain's emotion and those that equal the sound's; the rest is in neither count.",
        wrong=lambda told, chain, sound: sum(t == c for t, c in zip(told, chain, strict=True)) / len(told),
    ),
    Exercise(
        "04.2",
        reference=_lift,
        inputs=_recordings,
        hint='A claim "loud" on recordings that are all loud is always so, and its lift is 0: leave the own recording out of the others.',
        wrong=_always_loud,
    ),
    Exercise(
        "04.3",
        reference=[(False, True), (True, False), (True, True)],
        hint="First ask whether the response goes with what the chain says, and only then whether the chain goes with the sound.",
        wrong=[(True, True), (True, False), (True, True)],
    ),
)
