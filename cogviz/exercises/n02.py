"""Exercises of `02_semantic_dominance`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.exercises import Exercise


def _index(words: Sequence[str], voice: Sequence[str], answers: Sequence[str]) -> float:
    conflicts = [(w, v, a) for w, v, a in zip(words, voice, answers, strict=True) if w != v]
    by_words, by_voice = sum(a == w for w, _, a in conflicts), sum(a == v for _, v, a in conflicts)
    return by_words / (by_words + by_voice) if by_words + by_voice else math.nan


def _chance(voice: Sequence[str], answers: Sequence[str]) -> float:
    here, there = Counter(voice), Counter(answers)
    return sum(here[e] / len(voice) * there[e] / len(answers) for e in here)


def _lists(count: int) -> list[tuple[list[str], ...]]:
    draw = np.random.default_rng(2)
    drawn = [tuple([str(e) for e in draw.choice(EMOTIONS[:4], 30)] for _ in range(count)) for _ in range(5)]
    return drawn


def _conflicts() -> list[tuple[list[str], ...]]:
    # Among them one where nothing is followed, and one where all items agree.
    return [*_lists(3), (["sad"] * 3, ["angry"] * 3, ["happy"] * 3), (["sad"], ["sad"], ["sad"])]


EXERCISES = (
    Exercise(
        key="02.1",
        reference=_index,
        inputs=_conflicts,
        hint="Keep the items whose words and voice differ; count how many answers equal the words and how many the voice; divide, unless both are 0.",
        wrong=lambda words, voice, answers: float(np.mean([a == w for w, a in zip(words, answers, strict=True)])),
    ),
    Exercise(
        key="02.2",
        reference=_chance,
        inputs=lambda: _lists(2),
        hint="For each emotion: how often is it the voice, times how often is it the answer (as shares); then the sum over the emotions.",
        wrong=lambda voice, answers: 1 / 7,
    ),
    Exercise(
        key="02.3",
        reference={"A": "undecided", "B": "undecided", "C": "undecided", "D": "follows the voice"},
        hint="Two questions for each: does the interval of (voice − words) leave out 0? And does that of (voice + words) lie above the two chances added?",
        wrong={"A": "undecided", "B": "follows the words", "C": "undecided", "D": "follows the voice"},
    ),
)
