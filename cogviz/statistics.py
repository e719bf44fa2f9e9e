"""Estimates with what makes them honest: a 95% interval that respects the clusters, n, and chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.special import ndtr, stdtrit

SPEAKERS_FOR_TWO_WAY = 10
"""From this number of speakers on, speakers are resampled too; below it the interval speaks for these speakers only."""

_AT_ONCE = 50  # draws, so that many items and clusters fit into memory

MIN_SENTENCES = 5
"""Fewer sentences than this give no verdict: resampling so few clusters cannot show how far sentences differ."""


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


@dataclass(frozen=True, eq=False)
class Resampled:
    """Figures of all items, `value` (m,), and of every draw of a clustered bootstrap, `draws` (D, m).

    Attributes:
        n: number of items.
        tail: share of the draws to either side of a 95% interval; NaN where there was one cluster only and no interval is possible.
        scope: for whom the intervals hold.
    """

    value: np.ndarray
    draws: np.ndarray
    n: int
    tail: float
    scope: str

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Resampled:
        """Return the figures that `function`, (D, m) -> (D, k), makes of these, of all items and of every draw."""
        return replace(self, value=function(self.value[None])[0], draws=function(self.draws))

    def estimate(self, column: int = 0, *, chance: float | None = None, recentre: bool = False) -> Estimate:
        """Return one figure with its interval, from quantile `tail` to 1 - `tail` of the draws; a draw in which it is not finite is left out.

        Args:
            recentre: move the interval so that the draws' mean falls on the value (and widen it to hold the value, where few draws are far off);
                for statistics that a resample biases, such as entropies.
        """
        value, draws = float(self.value[column]), self.draws[:, column]
        kept = draws[np.isfinite(draws)]
        low, high = np.nan, np.nan
        if not np.isnan(self.tail) and len(kept):
            low, high = np.quantile(kept, [self.tail, 1 - self.tail])
            if recentre:
                low, high = min(low + value - kept.mean(), value), max(high + value - kept.mean(), value)
        return Estimate(value, float(low), float(high), self.n, chance, self.scope)


@dataclass(frozen=True, eq=False)
class _Clusters:
    """How often each sentence, and from ten speakers on each speaker, is drawn: (D, clusters)."""

    sentence_of: np.ndarray
    speaker_of: np.ndarray
    sentences: np.ndarray
    speakers: np.ndarray | None

    @property
    def scope(self) -> str:
        if self.speakers is None:
            return "for these speakers"
        return "for these sentences" if self.sentences.shape[1] < MIN_SENTENCES else ""

    @property
    def tail(self) -> float:
        """Share of the draws to either side of a 95% interval.

        A resample of S clusters varies too little, by (S - 1) / S and because S deviations do not know their own spread: the percentiles move
        outwards by as much (Hesterberg 2015, "What teachers should know about the bootstrap", the expanded percentile interval). Draws of sentences
        and speakers at once vary enough as they are.
        """
        if self.speakers is not None:
            return 0.025
        size = self.sentences.shape[1]
        return float(ndtr(-np.sqrt(size / (size - 1)) * stdtrit(size - 1, 0.975))) if size > 1 else float("nan")

    def weights(self, draw: int) -> np.ndarray:
        """(n,) how often each item comes in a draw."""
        weights = self.sentences[draw][self.sentence_of].astype(float)
        return weights if self.speakers is None else weights * self.speakers[draw][self.speaker_of]


def _clusters(n: int, sentences: Sequence[str], speakers: Sequence[str], draws: int, seed: int) -> _Clusters:
    if n == 0:
        raise ValueError("nothing to estimate from: no items")
    if len(sentences) != n or len(speakers) != n:
        raise ValueError(f"{n} items need {n} sentences and speakers, got {len(sentences)} and {len(speakers)}")
    sentence_ids, sentence_of = np.unique(np.asarray(sentences, dtype=str), return_inverse=True)
    speaker_ids, speaker_of = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    both = len(speaker_ids) >= SPEAKERS_FOR_TWO_WAY
    draw = np.random.default_rng(seed)
    return _Clusters(
        sentence_of, speaker_of, _drawn(len(sentence_ids), draws, draw), _drawn(len(speaker_ids), draws, draw) if both else None
    )


def _drawn(size: int, draws: int, draw: np.random.Generator) -> np.ndarray:
    """(draws, size) how often each of `size` clusters comes when as many are drawn with replacement."""
    parts = []
    for start in range(0, draws, _AT_ONCE):
        rows = min(_AT_ONCE, draws - start)
        picked = draw.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
        parts.append(np.bincount(picked.ravel(), minlength=rows * size).reshape(rows, size).astype(np.uint16))
    return np.concatenate(parts)


def resample(
    statistic: Callable[[np.ndarray], np.ndarray | float],
    n: int,
    *,
    sentences: Sequence[str],
    speakers: Sequence[str],
    draws: int = 2000,
    seed: int = 0,
) -> Resampled:
    """Compute `statistic` in every draw of a clustered bootstrap.

    The statistic gets the weight of each item, (n,) float: how often the item was drawn. Sentences are resampled with replacement; from ten
    speakers on, speakers too, and an item's weight is the product of both counts (Owen & Eckles 2012, the pigeonhole bootstrap).

    Args:
        statistic: weights (n,) -> one figure or several, (m,); NaN where the draw holds nothing to measure.
        sentences, speakers: (n,) cluster of each item.
    """
    clusters = _clusters(n, sentences, speakers, draws, seed)
    value = np.atleast_1d(np.asarray(statistic(np.ones(n)), dtype=float))
    found = np.full((draws, len(value)), np.nan)
    for i in range(draws):
        if (weights := clusters.weights(i)).any():
            found[i] = statistic(weights)
    return Resampled(value, found, n, clusters.tail, clusters.scope)


def resample_sums(values: np.ndarray, *, sentences: Sequence[str], speakers: Sequence[str], draws: int = 2000, seed: int = 0) -> Resampled:
    """Do the same for the sums of columns, (n, m): what is a function of sums costs a matrix product and no loop (see `Resampled.map`)."""
    values = np.asarray(values, dtype=float)
    clusters = _clusters(len(values), sentences, speakers, draws, seed)
    if clusters.speakers is None:
        speaker_of, often = np.zeros(len(values), dtype=int), np.ones((draws, 1), dtype=np.uint16)
    else:
        speaker_of, often = clusters.speaker_of, clusters.speakers
    cells = np.zeros((clusters.sentences.shape[1], often.shape[1], values.shape[1]))
    np.add.at(cells, (clusters.sentence_of, speaker_of), values)
    found = []
    for start in range(0, draws, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        by_speaker = np.tensordot(clusters.sentences[part].astype(float), cells, axes=1)
        found.append(np.einsum("dp,dpm->dm", often[part], by_speaker))
    return Resampled(values.sum(axis=0), np.concatenate(found), len(values), clusters.tail, clusters.scope)


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
    """Return one statistic with its percentile interval over the draws of `resample`.

    A single cluster has no spread to resample: its interval is NaN. A draw in which the statistic is NaN is left out. For the arguments see
    `resample` and `Resampled.estimate`.
    """
    found = resample(statistic, n, sentences=sentences, speakers=speakers, draws=draws, seed=seed)
    return found.estimate(chance=chance, recentre=recentre)


def ratio(sums: np.ndarray) -> np.ndarray:
    """(D, 2) sums -> (D, 1) the first over the second; NaN where the second is 0. For `Resampled.map`."""
    below = np.where(sums[:, 1] != 0, sums[:, 1], np.nan)
    return (sums[:, 0] / below)[:, None]


def mean(
    values: Sequence[float] | np.ndarray, *, sentences: Sequence[str], speakers: Sequence[str], chance: float | None = None
) -> Estimate:
    """Clustered estimate of a mean (of 0/1 values: a share).

    A share of 0 or 1 does not vary in any draw; its interval is the exact one (Clopper & Pearson 1934) of as many answers as there are clusters.
    """
    array = np.asarray(values, dtype=float)
    sums = resample_sums(np.stack([array, np.ones(len(array))], axis=1), sentences=sentences, speakers=speakers)
    found = sums.map(ratio).estimate(chance=chance)
    if found.low == found.high and found.value in (0, 1) and np.isin(array, (0, 1)).all():
        reach = _unseen(sentences, speakers)
        found = replace(found, high=reach) if found.value == 0 else replace(found, low=1 - reach)
    return found


def difference(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    sentences: Sequence[str],
    speakers: Sequence[str],
    chance: float | None = 0.0,
) -> Estimate:
    """Clustered estimate of the mean of first - second, item by item.

    Where no item differs, no draw does; the interval then reaches to either side as far as a difference may go unseen in as many clusters.
    """
    apart = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    sums = resample_sums(np.stack([apart, np.ones(len(apart))], axis=1), sentences=sentences, speakers=speakers)
    found = sums.map(ratio).estimate(chance=chance)
    if found.low == found.high and not apart.any():
        reach = _unseen(sentences, speakers)
        found = replace(found, low=-reach, high=reach)
    return found


def _unseen(sentences: Sequence[str], speakers: Sequence[str]) -> float:
    """The largest share that may show in none of the clusters, at 97.5%."""
    both = len(set(speakers)) >= SPEAKERS_FOR_TWO_WAY
    return float(1 - 0.025 ** (1 / max(len(set(sentences)), len(set(speakers)) if both else 1)))


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
