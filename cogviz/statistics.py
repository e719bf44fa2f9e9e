"""Estimates with what makes them honest: a 95% interval that respects the clusters, n, and chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

SPEAKERS_FOR_TWO_WAY = 10
"""From this number of speakers on, speakers are resampled too; below it the interval speaks for these speakers only."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval (low, high), the number of items and the chance level; `scope` says for whom it holds."""

    value: float
    low: float
    high: float
    n: int
    chance: float | None = None
    scope: str = ""

    def row(self) -> dict[str, float | int | str | None]:
        """Return the fields as a plain dictionary."""
        return asdict(self)

    def __str__(self) -> str:
        text = f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"
        return text if self.chance is None else f"{text}, chance {self.chance:.3f}"


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    n: int,
    *,
    sentences: Sequence[str],
    speakers: Sequence[str],
    chance: float | None = None,
    draws: int = 2000,
    seed: int = 0,
    recentre: bool = False,
) -> Estimate:
    """Percentile bootstrap of `statistic`, clustered.

    The statistic gets the weight of each item, (n,) float: how often the item was drawn. Sentences are resampled with replacement; from ten
    speakers on, speakers too, and an item's weight is the product of both counts (Owen & Eckles 2012, the pigeonhole bootstrap).
    A single cluster has no spread to resample: its interval is NaN.

    Args:
        statistic: weights (n,) -> value; NaN where the draw holds nothing to measure (then the draw is left out).
        sentences, speakers: (n,) cluster of each item.
        chance: reported beside the estimate.
        recentre: move the interval so that the draws' mean falls on the value; for statistics that a resample biases, such as entropies.
    """
    if n == 0:
        raise ValueError("nothing to estimate from: no items")
    if len(sentences) != n or len(speakers) != n:
        raise ValueError(f"{n} items need {n} sentences and speakers, got {len(sentences)} and {len(speakers)}")
    sentence_ids, sentence_of = np.unique(np.asarray(sentences, dtype=str), return_inverse=True)
    speaker_ids, speaker_of = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    both = len(speaker_ids) >= SPEAKERS_FOR_TWO_WAY
    draw = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        weights = np.bincount(draw.integers(len(sentence_ids), size=len(sentence_ids)), minlength=len(sentence_ids))[sentence_of]
        if both:
            weights = weights * np.bincount(draw.integers(len(speaker_ids), size=len(speaker_ids)), minlength=len(speaker_ids))[speaker_of]
        values.append(statistic(weights.astype(float)) if weights.any() else np.nan)
    value = float(statistic(np.ones(n)))
    kept = np.array(values)[np.isfinite(values)]
    single = len(sentence_ids) == 1 and not both
    low, high = (
        (np.nan, np.nan) if single or not len(kept) else np.percentile(kept, [2.5, 97.5]) + (value - kept.mean() if recentre else 0.0)
    )
    scope = "" if both else "for these speakers"
    return Estimate(value, float(low), float(high), n, chance, scope)


def mean(
    values: Sequence[float] | np.ndarray, *, sentences: Sequence[str], speakers: Sequence[str], chance: float | None = None
) -> Estimate:
    """Clustered estimate of a mean (of 0/1 values: a share)."""
    array = np.asarray(values, dtype=float)
    return bootstrap(
        lambda w: float(w @ array / w.sum()) if w.sum() else float("nan"), len(array), sentences=sentences, speakers=speakers, chance=chance
    )


def balanced_accuracy(truth: Sequence[str], predicted: Sequence[str], *, sentences: Sequence[str], speakers: Sequence[str]) -> Estimate:
    """Clustered estimate of the mean recall over the classes in `truth`; chance is one over their number."""
    actual, claimed = np.asarray(truth, dtype=str), np.asarray(predicted, dtype=str)
    classes = np.unique(actual)
    hit = (actual == claimed).astype(float)
    member = np.stack([actual == c for c in classes]).astype(float)

    def statistic(weights: np.ndarray) -> float:
        size = member @ weights
        return float(((member @ (weights * hit))[size > 0] / size[size > 0]).mean()) if (size > 0).any() else float("nan")

    return bootstrap(statistic, len(actual), sentences=sentences, speakers=speakers, chance=1 / len(classes))


def marginal_chance(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Accuracy expected of answers with the same frequencies but no link to the truth: sum over k of p_true(k) p_pred(k)."""
    actual, claimed = np.asarray(truth, dtype=str), np.asarray(predicted, dtype=str)
    return float(sum((actual == k).mean() * (claimed == k).mean() for k in np.unique(actual)))
