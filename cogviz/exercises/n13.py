"""Exercises of `13_your_own_model`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.exercises import Exercise


def _scores(named: Sequence[str | None], sure: float) -> np.ndarray:
    size = len(EMOTIONS)
    rows = [[1 / size] * size if n is None else [sure if e == n else (1 - sure) / (size - 1) for e in EMOTIONS] for n in named]
    return np.log(rows)


def _beats_chance(row: Mapping[str, Any]) -> bool:
    low, chance = row.get("low"), row.get("chance")
    if low is None or chance is None or not math.isfinite(low) or not math.isfinite(chance):
        return False
    return bool(low > chance)


def _rows() -> list[tuple[dict[str, Any]]]:
    plain = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 200, "chance": 0.15}
    changed: list[dict[str, Any]] = [
        {}, {"low": 0.1}, {"low": None, "high": None}, {"chance": None}, {"value": 0.05, "low": 0.01, "high": 0.1}, {"low": 0.15},
        {"value": 0.2, "low": -0.1, "high": 0.4, "chance": 0.0}, {"value": 0.2, "low": 0.1, "high": 0.4, "chance": 0.0},
    ]  # fmt: skip
    return [({**plain, **change},) for change in changed]


EXERCISES = (
    Exercise(
        key="13.1",
        reference=_scores,
        inputs=lambda: [(["sad", "happy", None], 0.9), (["surprise"], 0.5), ([None, None], 0.7), (list(EMOTIONS), 0.94)],
        hint="A row an answer, a column an emotion. The six others get (1 - sure) / 6 each; each row of probabilities sums to 1. Then the logarithm.",
        wrong=lambda named, sure: np.log(np.where(np.array([[e == n for e in EMOTIONS] for n in named]), sure, 1 - sure)),
    ),
    Exercise(
        key="13.2",
        reference=_beats_chance,
        inputs=_rows,
        hint="Not the value but the lower end decides. And what is not known beats nothing; beware that None or 0 is not the same thing.",
        wrong=lambda row: row["chance"] is not None and row["value"] > row["chance"],
    ),
    Exercise(
        key="13.3",
        reference={"A": "chance", "B": "n", "C": "control", "D": "gate"},
        hint="One each. 31% may be much or little; six are few; words that fit a voice can be read; and do the tool's voices sound sad?",
        wrong={"A": "n", "B": "chance", "C": "gate", "D": "control"},
    ),
)
