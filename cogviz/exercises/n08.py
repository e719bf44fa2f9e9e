"""Exercises of `08_causes`."""

from __future__ import annotations

from typing import Any

import numpy as np

from cogviz.exercises import Exercise


def _effect(base: np.ndarray, donor: np.ndarray, patched: np.ndarray, moves: np.ndarray) -> float:
    items = np.arange(len(moves))
    scores = [x[items, moves[:, 1]] - x[items, moves[:, 0]] for x in (base, donor, patched)]
    return float((scores[2] - scores[0]).mean() / (scores[1] - scores[0]).mean())


def _mean_of_shares(base: np.ndarray, donor: np.ndarray, patched: np.ndarray, moves: np.ndarray) -> float:
    items = np.arange(len(moves))
    scores = [x[items, moves[:, 1]] - x[items, moves[:, 0]] for x in (base, donor, patched)]
    return float(((scores[2] - scores[0]) / (scores[1] - scores[0])).mean())


def _logits() -> list[tuple[Any, ...]]:
    draw = np.random.default_rng(8)
    found = []
    for share in (0.0, 0.3, 1.0):
        base = draw.normal(size=(12, 7))
        moves = np.array([draw.permutation(7)[:2] for _ in range(12)])
        donor = base.copy()
        donor[np.arange(12), moves[:, 1]] += draw.uniform(0.05, 8, 12)  # a pair whose exchange does next to nothing is among them
        patched = base + share * (donor - base) + 0.3 * draw.normal(size=base.shape)
        found.append((base, donor, patched, moves))
    return found


def _best(flips: np.ndarray, chosen: np.ndarray) -> tuple[int, int, float]:
    layer, place = np.unravel_index(flips[chosen].mean(axis=0).argmax(), flips.shape[1:])
    return int(layer), int(place), float(flips[~chosen][:, layer, place].mean())


def _flattered(flips: np.ndarray, chosen: np.ndarray) -> tuple[int, int, float]:
    layer, place = np.unravel_index(flips.mean(axis=0).argmax(), flips.shape[1:])
    return int(layer), int(place), float(flips[:, layer, place].mean())


def _boards() -> list[tuple[Any, ...]]:
    draw = np.random.default_rng(3)
    return [((draw.random((20, 7, 6)) < 0.5).astype(float), draw.permutation(20) < 10) for _ in range(4)]


EXERCISES = (
    Exercise(
        key="08.1",
        reference=_effect,
        inputs=_logits,
        hint="Score each run first: the logit of moves[:, 1] less that of moves[:, 0]. Take the means over the pairs, and only then divide.",
        wrong=_mean_of_shares,
    ),
    Exercise(
        key="08.2",
        reference={"A": "random direction", "B": "word pairs", "C": "other half", "D": "random subspace"},
        hint="Ask each time: what else could have made this result? The control is the measurement in which only that else is left.",
        wrong={"A": "random subspace", "B": "word pairs", "C": "random direction", "D": "random subspace"},
    ),
    Exercise(
        key="08.3",
        reference=_best,
        inputs=_boards,
        hint="Average flips[chosen] over the pairs and find its largest field (argmax, then np.unravel_index); then look at flips[~chosen] there.",
        wrong=_flattered,
    ),
    Exercise(
        key="08.4",
        reference={"A": "credible", "B": "not credible", "C": "not credible", "D": "not credible"},
        hint="Three questions: is the interval narrow? Does the same tool find something where something is? Is every other way closed as well?",
        wrong={"A": "credible", "B": "credible", "C": "not credible", "D": "credible"},
    ),
)
