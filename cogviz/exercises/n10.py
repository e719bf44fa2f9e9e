"""Exercises of `10_embeddings`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cogviz.exercises import Exercise


def _nearest(distance: np.ndarray, k: int) -> np.ndarray:
    apart = distance.astype(float).copy()
    np.fill_diagonal(apart, np.inf)
    return apart.argsort(axis=1)[:, :k]


def _distances(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=-1))


def _purity(distance: np.ndarray, labels: Sequence[str], k: int) -> float:
    names = np.asarray(labels)
    return float((names[_nearest(distance, k)] == names[:, None]).mean())


def _overlap(states: np.ndarray, points: np.ndarray, k: int) -> float:
    pairs = zip(_nearest(_distances(states), k), _nearest(_distances(points), k), strict=True)
    return float(np.mean([len(set(a) & set(b)) / k for a, b in pairs]))


def _labelled() -> list[tuple[np.ndarray, list[str], int]]:
    draw = np.random.default_rng(10)
    drawn = [(draw.normal(size=(12, 3)), [str(e) for e in draw.choice(["sad", "angry", "happy"], 12)]) for _ in range(3)]
    return [(_distances(x), labels, k) for (x, labels), k in zip(drawn, (1, 3, 5), strict=True)]


def _mapped() -> list[tuple[np.ndarray, np.ndarray, int]]:
    draw = np.random.default_rng(11)
    wide = [draw.normal(size=(15, 6)) for _ in range(3)]
    return [(x, x[:, :2] + much * draw.normal(size=(15, 2)), k) for x, much, k in zip(wide, (0.0, 0.3, 3.0), (2, 4, 5), strict=True)]


EXERCISES = (
    Exercise(
        key="10.1",
        reference=_purity,
        inputs=_labelled,
        hint="An item is its own nearest: leave it out. argsort of a row gives the others by distance; compare their labels with the item's own.",
        wrong=lambda distance, labels, k: float(
            (np.asarray(labels)[distance.argsort(axis=1)[:, :k]] == np.asarray(labels)[:, None]).mean()
        ),
    ),
    Exercise(
        key="10.2",
        reference=_overlap,
        inputs=_mapped,
        hint="Two lists of k neighbours for each item, itself left out of both; how many are in both, divided by k; then the mean.",
        wrong=lambda states, points, k: 1.0,
    ),
    Exercise(
        key="10.3",
        reference={"A": False, "B": True, "C": False, "D": False, "E": True, "F": False},
        hint="Read only who is next to whom. Movement, distance between groups and absence show nothing, and a clump may be a sentence.",
        wrong={"A": True, "B": True, "C": False, "D": False, "E": True, "F": False},
    ),
)
