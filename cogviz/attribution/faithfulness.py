"""Can an attribution be believed? Deletion and insertion against chance, completeness, a randomised model, agreement between methods."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cogviz import statistics
from cogviz.attribution.clusters import clusters
from cogviz.attribution.gradients import WINDOW, Attribution, relevance
from cogviz.attribution.memory import Rows
from cogviz.attribution.paths import Path
from cogviz.attribution.prepare import prepared
from cogviz.attribution.units import by_unit, flat, pooled, shown, units
from cogviz.evaluation import stimuli
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.probing.sites import decoder_of
from cogviz.statistics import Estimate

BLOCK = (10, 8)
"""Bands and frames (10 ms) of the log-mel that are deleted together, for the method and the control: single cells would be salt and pepper."""

FRACTIONS = 10
"""Steps of a curve."""

DRAWS = 4
"""Random orders of an utterance, the control."""

COMPLETE = ("integrated_gradients",)
"""Methods that promise to sum to the difference from the baseline."""


@dataclass(frozen=True, eq=False)
class Curves:
    """The target as parts become the baseline's (deletion), or become the input's (insertion), the most relevant first.

    Attributes:
        method, over, target: of the attribution.
        fractions: (K + 1,) share of the parts that was deleted or inserted.
        deletion, insertion: (N, K + 1) the target. random: (N, K + 1) where as large a share was deleted at random, mean over orders.
        deletion_gain: area under the control's curve minus that under the method's, the mean over utterances: above 0 the method finds what
            counts. insertion_gain: that under the method's minus that under the control's. Both in the unit of the target.
        deletion_share, insertion_share: the gain over half of the mean absolute change from the baseline to the input. A control that falls
            evenly has an area of half of it, so that 1 is the gain of a method that finds the one part which makes the whole change; more than 1
            where parts pull in both directions and the curve goes beyond its ends.
    """

    method: str
    over: str
    target: str
    fractions: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    random: np.ndarray
    deletion_gain: Estimate
    insertion_gain: Estimate
    deletion_share: Estimate
    insertion_share: Estimate


@dataclass(frozen=True)
class Completeness:
    """How far relevance is from summing to the target's difference from the baseline.

    Attributes:
        gap: sum over utterances of |sum of relevance - difference| over the sum of |difference|.
        median, worst: of the single utterances' gaps; where a difference is near 0 its gap says little.
        promised: whether the method promises a gap of 0.
    """

    gap: Estimate
    median: float
    worst: float
    promised: bool


@dataclass(frozen=True)
class Randomised:
    """Rank correlation with the attribution of the same model with shuffled weights: near 0 where the attribution tells of what was learned
    (Adebayo et al. 2018, arXiv 1810.03292).

    Attributes:
        signed, absolute: Spearman's, of the relevance and of its size; the mean over utterances.
    """

    signed: Estimate
    absolute: Estimate


def curves(
    listener: Transparent,
    attribution: Attribution,
    *,
    fractions: int = FRACTIONS,
    draws: int = DRAWS,
    block: tuple[int, int] = BLOCK,
    at_once: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Curves:
    """Delete and insert the parts of the input, the most relevant first, and as many at random (Petsiuk et al. 2018, arXiv 1806.07421).

    Args:
        fractions: steps of a curve. draws: random orders of each utterance, its own. block: bands and frames that belong together, of the log-mel.
    """
    memory = Rows(listener, attribution.over, at_once)

    def work(rows: list[int]) -> list[np.ndarray]:
        _, way = _again(listener, attribution, rows)
        found = []
        for row, index in enumerate(rows):
            parts_of = units(way, row, block)
            score = by_unit(flat(attribution, index), parts_of)
            best = np.argsort(-score, kind="stable")
            draw = np.random.default_rng(stimuli.draw(seed, attribution.utterances[index].id))
            orders = [best, best[::-1], *(draw.permutation(len(score)) for _ in range(draws))]
            counts = np.rint(np.linspace(0, 1, fractions + 1) * len(score)).astype(int)
            keep = np.ones((len(orders), len(counts), len(score)), dtype=bool)
            for (o, order), (c, count) in itertools.product(enumerate(orders), enumerate(counts)):
                keep[o, c, order[:count]] = False
            masks = shown(way, row, parts_of, keep.reshape(-1, len(score)))
            at = torch.full((len(masks[0]),), row, device=masks[0].device)
            kept = memory.run(lambda most, masks=masks, at=at: way.kept(masks, at, at_once=most))  # type: ignore[misc]
            values = kept.reshape(len(orders), -1).float().cpu().numpy()
            found.append(np.stack([values[0], values[1][::-1], values[2:].mean(axis=0)]))
        return found

    found = np.stack(_batches(work, listener, attribution, "deletion", memory.at_once, progress))
    deletion, insertion, random = found[:, 0], found[:, 1], found[:, 2]
    lower, upper = (_area(random) - _area(deletion)), _area(insertion) - _area(random)
    half = np.abs(attribution.whole - attribution.baseline) / 2
    groups = clusters(attribution.utterances)

    def share(gain: np.ndarray) -> Estimate:
        return statistics.resample_sums(np.stack([gain, half], axis=1), **groups).map(statistics.ratio).estimate(chance=0.0)

    return Curves(
        attribution.method, attribution.over, attribution.target, np.linspace(0, 1, fractions + 1), deletion, insertion, random,
        statistics.mean(lower, chance=0.0, **groups), statistics.mean(upper, chance=0.0, **groups), share(lower), share(upper),
    )  # fmt: skip


def completeness(attribution: Attribution) -> Completeness:
    """Compare the sum of all relevance with the difference between input and baseline."""
    change = attribution.whole - attribution.baseline
    error = np.abs(attribution.sums - change)
    sums = statistics.resample_sums(np.stack([error, np.abs(change)], axis=1), **clusters(attribution.utterances))
    each = error / np.maximum(np.abs(change), 1e-6)
    return Completeness(
        sums.map(statistics.ratio).estimate(chance=0.0), float(np.median(each)), float(each.max()), attribution.method in COMPLETE
    )


def randomisation(
    listener: Transparent,
    attribution: Attribution,
    *,
    steps: int | None = None,
    window: tuple[int, int] = WINDOW,
    block: tuple[int, int] = BLOCK,
    at_once: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Randomised:
    """Attribute once more with the language model's (and the connector's) weights shuffled, and compare; the weights are afterwards what they were.

    What the language model is given stays, and so do the frames that it reads: only what it does with them is another.

    Args:
        steps, window: as they were for `attribution`.
    """
    memory = Rows(listener, attribution.over, at_once)

    def work(rows: list[int]) -> list[tuple[float, float]]:
        _, way = _again(listener, attribution, rows)
        with shuffled(listener, seed=seed):
            parts = memory.run(
                lambda most: relevance(way, attribution.method, steps=steps, window=window, at_once=most, seed=seed),  # type: ignore[arg-type]
                least=len(rows),
            )
        found = []
        for row, index in enumerate(rows):
            parts_of = units(way, row, block)
            other = np.concatenate([p[row].float().cpu().numpy().ravel() for p in parts])
            pair = by_unit(flat(attribution, index), parts_of), by_unit(other, parts_of, cells=True)
            found.append((spearman(*pair), spearman(*(np.abs(v) for v in pair))))
        return found

    signed, absolute = np.array(_batches(work, listener, attribution, "randomised", memory.at_once, progress)).T
    groups = clusters(attribution.utterances)
    return Randomised(statistics.mean(signed, chance=0.0, **groups), statistics.mean(absolute, chance=0.0, **groups))


def agreement(attributions: Sequence[Attribution], *, block: tuple[int, int] = BLOCK) -> dict[str, Estimate]:
    """Return Spearman's rank correlation of each pair of methods ("first and second"), the mean over utterances.

    Raises:
        ValueError: they are not of the same utterances and inputs.
    """
    first = attributions[0]
    for other in attributions[1:]:
        if other.over != first.over or [u.id for u in other.utterances] != [u.id for u in first.utterances]:
            raise ValueError("methods can be compared only on the same utterances and over the same input")
    found = {}
    for one, two in itertools.combinations(attributions, 2):
        values = [
            spearman(pooled(a, block), pooled(b, block)) for a, b in zip(one.values, two.values, strict=True)
        ]  # fmt: skip
        found[f"{one.method} and {two.method}"] = statistics.mean(values, chance=0.0, **clusters(first.utterances))
    return found


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one of both does not vary."""
    from scipy.stats import rankdata

    one, two = (rankdata(v) for v in (first, second))
    spread = one.std() * two.std()
    return float(((one - one.mean()) * (two - two.mean())).mean() / spread) if spread else 0.0


@contextmanager
def shuffled(listener: Transparent, *, seed: int = 0) -> Iterator[None]:
    """Shuffle the numbers in every matrix of the decoder (and of CogAudio's connector) inside the block; embeddings, norms and encoder stay."""
    draw = torch.Generator().manual_seed(seed)
    modules = [decoder_of(listener), getattr(listener.model, "connector", None)]
    embeddings = {id(p) for p in listener.model.get_input_embeddings().parameters()}
    matrices = {id(p): p for module in modules if module is not None for p in module.parameters() if p.ndim > 1 and id(p) not in embeddings}
    kept = [p.detach().clone() for p in matrices.values()]
    try:
        with torch.no_grad():
            for p in matrices.values():
                p.copy_(p.flatten()[torch.randperm(p.numel(), generator=draw).to(p.device)].view_as(p))
        yield
    finally:
        with torch.no_grad():
            for p, before in zip(matrices.values(), kept, strict=True):
                p.copy_(before)


def _again(listener: Transparent, attribution: Attribution, rows: list[int]) -> tuple[object, Path]:
    some = [attribution.utterances[i] for i in rows]
    references = None if attribution.references is None else [attribution.references[i] for i in rows]
    return prepared(listener, some, attribution.question, attribution.over, references)


def _area(values: np.ndarray) -> np.ndarray:
    """(N,) area under (N, K + 1) values over shares from 0 to 1."""
    return (values[:, 1:] + values[:, :-1]).mean(axis=1) / 2


def _batches(
    work: Callable[[list[int]], Sequence[Any]], listener: Transparent, attribution: Attribution, what: str, at_once: int, progress: bool
) -> list[Any]:
    return in_batches(
        work,
        [spoken_seconds(u) for u in attribution.utterances],
        device=listener.model.device,
        batch=max(1, min(at_once, 16)),
        name=f"{attribution.method} over {attribution.over}: {what}",
        progress=progress,
    )
