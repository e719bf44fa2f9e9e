"""What patching shows: how much of the exchange each site carries, how often the answer flips, and the best site, chosen on other pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cogviz.evaluation import results
from cogviz.evaluation.results import named
from cogviz.probing.pairs import halves
from cogviz.probing.patch import EVERYTHING, Patching
from cogviz.probing.spans import LAST
from cogviz.statistics import MIN_SENTENCES, Estimate, mean, ratio, resample_sums

Cells = dict[str, dict[str, Estimate]]
"""site -> column -> estimate."""


@dataclass(frozen=True)
class Best:
    """The site at which the donor's answer comes most often, chosen on half of the sentences (`chosen_on` pairs) and measured on the others."""

    site: str
    column: str
    chosen_on: int
    flips: Estimate
    effect: Estimate
    control: Estimate | None
    """Flips by a random direction of the same length there."""


@dataclass(frozen=True)
class Effects:
    """Estimates from a `Patching`; intervals are clustered by the base's sentence (and speaker, from ten on).

    Attributes:
        effect: share of the whole exchange's effect on the score: (patched - base) / (donor - base), means over the pairs first, because a
            single pair's exchange may do nothing. 0: nothing, 1: all of it.
        flips: share of the pairs with two answers that answer as the donor when patched there.
        random_flips: the same by a random direction of the same length.
        total: mean of donor - base, in logits. differ: share of the pairs with two answers.
    """

    model: str
    differs: str
    score: str
    effect: Cells
    flips: Cells
    random_flips: Cells = field(metadata=named("random_flips"))
    total: Estimate
    differ: Estimate
    best: Best | None
    aligned: int
    left_out: int
    hybrid: bool

    @property
    def determined(self) -> bool:
        """Whether the whole exchange does something: shares of what is not clear of 0 mean nothing."""
        return self.total.low > 0 or self.total.high < 0

    def rows(self, *, data: str) -> list[dict[str, Any]]:
        """Return every estimate as a row (`evaluation.results`)."""
        return results.rows(self, model=self.model, data=data)


def log_odds(logits: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """(N, ..., 7) logits and (N, 2) emotions -> (N, ...) logit of the donor's emotion less that of the base's."""
    items = np.arange(len(logits))
    return np.asarray(logits[items, ..., moves[:, 1]] - logits[items, ..., moves[:, 0]])


def probability(logits: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """(N, ..., 7) logits and (N, 2) emotions -> (N, ...) probability of the donor's emotion among the seven."""
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray((exp / exp.sum(axis=-1, keepdims=True))[np.arange(len(logits)), ..., moves[:, 1]])


def effects(found: Patching, *, score: Callable[[np.ndarray, np.ndarray], np.ndarray] = log_odds, seed: int = 0) -> Effects:
    """Estimate what each site does; with the best one where pairs with two answers are of five sentences in each half."""
    base, donor, patched = (score(x, found.moves) for x in (found.base, found.donor, found.patched))
    flipped, able = flips(found, found.patched)
    by: dict[str, Any] = {"sentences": found.sentences, "speakers": found.speakers}
    return Effects(
        model=found.model,
        differs=found.differs,
        score=score.__name__,
        effect=_effect(found, patched, base, donor),
        flips=_shares(found, flipped, able),
        random_flips={} if found.random is None else _shares(found, flips(found, found.random)[0], able),
        total=mean(donor - base, **by, chance=0.0),
        differ=mean(able, **by),
        best=_best(found, (base, donor, patched), flipped, able, seed),
        aligned=found.aligned,
        left_out=found.left_out,
        hybrid=found.hybrid,
    )


def flips(found: Patching, patched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, L, C) 1 where the patched run answers as the donor's, NaN where a pair lacks the place; and (N,) True where two answers differ."""
    answers = patched.argmax(axis=-1).astype(float)
    same = (answers == found.donor.argmax(axis=-1)[:, None, None]).astype(float)
    return np.where(np.isnan(patched[..., 0]), np.nan, same), found.base.argmax(axis=-1) != found.donor.argmax(axis=-1)


def trivial(found: Patching, site: str, column: str) -> bool:
    """Whether a site gives the donor's answer by construction: every place, what goes into the model, or its last state."""
    last = max((s for s in found.sites if s.count(".") == 1 and s.startswith("lm.")), key=lambda s: int(s[3:]), default="")
    return column == EVERYTHING or site == "connector" or (site == last and column in (LAST, "-1"))


def _best(
    found: Patching, scores: tuple[np.ndarray, np.ndarray, np.ndarray], flipped: np.ndarray, able: np.ndarray, seed: int
) -> Best | None:
    if len({s for s, a in zip(found.sentences, able, strict=True) if a}) < 2 * MIN_SENTENCES:
        return None
    base, donor, patched = scores
    chosen = halves(found.sentences, seed=seed)
    on, off = chosen & able, ~chosen & able
    open_to = [(i, j) for i, s in enumerate(found.sites) for j, c in enumerate(found.columns) if not trivial(found, s, c)]
    open_to = [(i, j) for i, j in open_to if not np.isnan(flipped[:, i, j]).all()]
    if min(len({s for s, k in zip(found.sentences, half, strict=True) if k}) for half in (on, off)) < MIN_SENTENCES or not open_to:
        return None
    gain = np.nansum((patched - base[:, None, None])[on], axis=0) / np.nansum((donor - base)[on])
    # Of sites that flip as often, the latest that carries as much, to a tenth: the nearest to the answer.
    i, j = max(open_to, key=lambda at: (_nanmean(flipped[on][:, at[0], at[1]]), round(float(gain[at]), 1), at[0], float(gain[at])))
    one = _where(found, off)
    sites, columns = found.sites[i], found.columns[j]
    random = None
    if found.random is not None:
        random = _shares(one, flips(found, found.random)[0][off], able[off])[sites][columns]
    return Best(
        site=sites,
        column=columns,
        chosen_on=int(on.sum()),
        flips=_shares(one, flipped[off], able[off])[sites][columns],
        effect=_effect(one, patched[off], base[off], donor[off])[sites][columns],
        control=random,
    )


def _nanmean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else -1.0


def _where(found: Patching, keep: np.ndarray) -> Patching:
    """Names and clusters of some pairs; their logits are not cut."""
    at = np.flatnonzero(keep)
    return replace(found, sentences=tuple(found.sentences[i] for i in at), speakers=tuple(found.speakers[i] for i in at))


def _effect(found: Patching, patched: np.ndarray, base: np.ndarray, donor: np.ndarray) -> Cells:
    there = ~np.isnan(patched)
    gain = np.where(there, patched - base[:, None, None], 0.0).reshape(len(base), -1)
    whole = np.where(there, (donor - base)[:, None, None], 0.0).reshape(len(base), -1)
    sums = resample_sums(np.concatenate([gain, whole], axis=1), sentences=found.sentences, speakers=found.speakers)
    width = gain.shape[1]
    pairs = there.reshape(len(base), -1).sum(axis=0)
    shares = sums.map(lambda s: np.concatenate([ratio(s[:, [k, width + k]]) for k in range(width)], axis=1))
    return _cells(found, [replace(shares.estimate(k, chance=0.0), n=int(pairs[k])) for k in range(width)])


def _shares(found: Patching, values: np.ndarray, able: np.ndarray) -> Cells:
    made = []
    for column in values.reshape(len(values), -1).T:
        keep = able & ~np.isnan(column)
        if keep.any():
            names = np.flatnonzero(keep)
            by = {"sentences": [found.sentences[i] for i in names], "speakers": [found.speakers[i] for i in names]}
            made.append(mean(column[keep], **by, chance=0.0))
        else:
            made.append(Estimate(float("nan"), float("nan"), float("nan"), 0, 0.0))
    return _cells(found, made)


def _cells(found: Patching, made: Sequence[Estimate]) -> Cells:
    flat = iter(made)
    return {site: {column: next(flat) for column in found.columns} for site in found.sites}
