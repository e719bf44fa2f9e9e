"""Exercises of `05_training_stages`: the loss, learned or learned by heart, what a part costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from cogviz.exercises import Exercise


def _loss(log_p: Sequence[Sequence[float]], labels: Sequence[int]) -> float:
    return float(np.mean([-row[label] for row, label in zip(log_p, labels, strict=True) if label != -100]))


def _places() -> list[tuple[Any, ...]]:
    draw = np.random.default_rng(51)
    found: list[tuple[Any, ...]] = []
    for length in (6, 9):
        logits = draw.normal(0, 2, (length, 5))
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        labels = draw.integers(5, size=length)
        labels[: length // 2] = -100
        found.append((log_p.tolist(), labels.tolist()))
    return found


def _transfer(learned_before: Any, learned_after: Any, new_before: Any, new_after: Any) -> tuple[float, float]:
    on_learned = np.mean(learned_after) - np.mean(learned_before)
    on_new = np.mean(new_after) - np.mean(new_before)
    return float(on_new / on_learned), float(np.mean(learned_after) - np.mean(new_after))


def _answers() -> list[tuple[Any, ...]]:
    draw = np.random.default_rng(52)
    return [tuple((draw.random(n) < p).tolist() for n, p in zip((40, 40, 60, 60), chances, strict=True)) for chances in
            ((0.2, 0.9, 0.15, 0.4), (0.1, 0.7, 0.1, 0.65), (0.3, 0.95, 0.4, 0.3))]  # fmt: skip


def _costs(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[float, bool]]:
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row["ablation"], []).append(row["value"])
    full = values.pop("full")
    spread = max(full) - min(full)
    return {name: (float(np.mean(full) - np.mean(of)), bool(np.mean(full) - np.mean(of) > spread)) for name, of in values.items()}


def _runs() -> list[tuple[Any, ...]]:
    draw = np.random.default_rng(53)
    found = []
    for _ in range(3):
        means = {"full": 0.75, "no-ear": 0.2, "no-reward": 0.74, "more": 0.8}
        found.append(([{"ablation": a, "seed": s, "value": float(m + draw.normal(0, 0.02))} for a, m in means.items() for s in range(3)],))
    return found


def _costs_agree(answer: Any, reference: Any) -> bool:
    same = set(answer) == set(reference)
    return same and all(abs(answer[k][0] - v) < 1e-6 and bool(answer[k][1]) == sure for k, (v, sure) in reference.items())


def _neighbours(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[float, bool]]:
    """Compares neighbours in the list and not with the full method."""
    found = _costs(rows)
    return {b: (found[b][0] - found[a][0], found[b][1]) for a, b in pairwise(found)}


EXERCISES = (
    Exercise(
        "05.1",
        reference=_loss,
        inputs=_places,
        hint="Places labelled -100 are in neither the sum nor the count; the others give minus the log probability of their label.",
        wrong=lambda log_p, labels: float(
            np.mean([-row[label] if label != -100 else 0.0 for row, label in zip(log_p, labels, strict=True)])
        ),
    ),
    Exercise(
        "05.2",
        reference=_transfer,
        inputs=_answers,
        hint="The mean of a list of True and False is the share that is right; a gain is a share after minus a share before.",
        wrong=lambda a, b, c, d: (float(np.mean(d) / np.mean(b)), float(np.mean(b) - np.mean(d))),
    ),
    Exercise(
        "05.3",
        reference=_costs,
        inputs=_runs,
        compare=_costs_agree,
        hint="A cost is positive where leaving the part out makes it worse; the yardstick is the largest minus the smallest seed of full.",
        wrong=_neighbours,
    ),
)
