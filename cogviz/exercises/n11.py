"""Exercises of `11_weighing_words_and_voice`."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.exercises import Exercise


def _probabilities(alpha: float, beta: float, words: str, voice: str) -> dict[str, float]:
    points = {e: math.exp(alpha * (e == words) + beta * (e == voice)) for e in EMOTIONS}
    return {e: x / sum(points.values()) for e, x in points.items()}


def _information(cue: Sequence[str], answers: Sequence[str]) -> float:
    n, both, one, other = len(cue), Counter(zip(cue, answers, strict=True)), Counter(cue), Counter(answers)
    return sum(k / n * math.log2(k * n / (one[c] * other[a])) for (c, a), k in both.items())


def _shapley(players: Sequence[str], worth: Mapping[frozenset[str], float]) -> dict[str, float]:
    total = dict.fromkeys(players, 0.0)
    orders = list(itertools.permutations(players))
    for order in orders:
        for i, player in enumerate(order):
            total[player] += worth[frozenset(order[: i + 1])] - worth[frozenset(order[:i])]
    return {player: x / len(orders) for player, x in total.items()}


def _weights() -> list[tuple[Any, ...]]:
    return [(1.0, 2.0, "sad", "happy"), (0.0, 0.0, "fear", "angry"), (3.0, 0.5, "disgust", "surprise"), (1.5, 2.5, "happy", "happy")]


def _lists() -> list[tuple[list[str], list[str]]]:
    draw = np.random.default_rng(11)
    made = [tuple([str(e) for e in draw.choice(EMOTIONS[:4], 40)] for _ in range(2)) for _ in range(2)]
    same = [str(e) for e in draw.choice(EMOTIONS, 30)]
    return [*made, (same, same), (same, ["sad"] * 30)]  # type: ignore[list-item]


def _games() -> list[tuple[list[str], dict[frozenset[str], float]]]:
    draw = np.random.default_rng(11)
    games = []
    for players in (["words", "loudness"], ["words", "tempo", "pitch"], ["a", "b", "c", "d"]):
        sets = [frozenset(s) for k in range(len(players) + 1) for s in itertools.combinations(players, k)]
        games.append((players, dict(zip(sets, draw.normal(size=len(sets)).tolist(), strict=True))))
    return games


EXERCISES = (
    Exercise(
        key="11.1",
        reference=_probabilities,
        inputs=_weights,
        hint="Points first: alpha where the answer is the words' emotion, plus beta where it is the voice's. Then e to the points, over their sum.",
        wrong=lambda alpha, beta, words, voice: {e: (alpha * (e == words) + beta * (e == voice)) / (alpha + beta or 1) for e in EMOTIONS},
    ),
    Exercise(
        key="11.2",
        reference=_information,
        inputs=_lists,
        hint="Count pairs, cues and answers; a pair that never comes adds nothing. Logarithm to the base 2.",
        wrong=lambda cue, answers: float(np.mean([c == a for c, a in zip(cue, answers, strict=True)])),
    ),
    Exercise(
        key="11.3",
        reference=_shapley,
        inputs=_games,
        hint="For every order: what is the set worth after a player joined, minus before? The mean over all orders. Do not forget the empty set.",
        wrong=lambda players, worth: {p: worth[frozenset([p])] - worth[frozenset()] for p in players},
    ),
    Exercise(
        key="11.4",
        reference={"A": 5, "B": 5, "interaction": 10},
        hint="Two orders: A then B, B then A. Who comes second gets it all. And the interaction is what the two make beyond what each makes alone.",
        wrong={"A": 0, "B": 0, "interaction": 10},
    ),
)
