"""How alike two sets of states are: linear CKA between layers, and between variants of a model, beside what chance would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cogviz.evaluation import results
from cogviz.probing.record import Recording
from cogviz.statistics import Estimate


@dataclass(frozen=True, eq=False)
class Similarity:
    """Linear CKA of every site of one recording with every site of another.

    Attributes:
        first, second: names of the listeners. rows, columns: their sites. n: utterances.
        value: (rows, columns), 1: the same but for rotation and scale. debiased: whether of independent states it is 0 on average.
        low, high: 95% interval by a jackknife that leaves out one sentence at a time.
        null: (rows, columns) the 97.5th percentile where the second's utterances are shuffled, and p: share of the shuffles (and the data itself)
            that are at least as alike.
    """

    first: str
    second: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    segment: str
    debiased: bool
    n: int
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    null: np.ndarray
    p: np.ndarray

    def get(self, row: str, column: str) -> Estimate:
        """Return one pair's value; its chance is the null's 97.5th percentile."""
        at = self.rows.index(row), self.columns.index(column)
        return Estimate(float(self.value[at]), float(self.low[at]), float(self.high[at]), self.n, float(self.null[at]))

    def results(self, *, data: str) -> list[dict[str, Any]]:
        """Return every pair as a row of `evaluation.results`."""
        model = self.first if self.first == self.second else f"{self.first} and {self.second}"
        return [
            results.row(self.get(r, c), model=model, measure="_".join(filter(None, ("cka", r, c, self.segment))), data=data)
            for r in self.rows
            for c in self.columns
        ]


def similarity(
    first: Recording,
    second: Recording | None = None,
    *,
    sites: Sequence[str] | None = None,
    segment: str | None = None,
    debiased: bool = True,
    within: Sequence[str] | None = None,
    draws: int = 200,
    seed: int = 0,
    device: str = "cpu",
) -> Similarity:
    """Return linear CKA (Kornblith et al. 2019, arXiv 1905.00414) of the sites of two recordings of the same utterances.

    Args:
        second: None: the first with itself, layer by layer.
        segment: which, where recorded at segments.
        debiased: by the unbiased estimate of HSIC (Song et al. 2012), without which wide states of few utterances are always alike.
        within: shuffle only within these groups (one for each utterance, such as its sentence): the null is then as alike as the groups make it.
        draws: shuffles.

    Raises:
        ValueError: recorded at positions; other utterances; fewer than 4.
    """
    second = first if second is None else second
    if [u.id for u in first.utterances] != [u.id for u in second.utterances]:
        raise ValueError("the recordings are of different utterances")
    if len(first) < 4:
        raise ValueError(f"CKA needs 4 utterances at least, got {len(first)}")
    names = [tuple(s for s in r.sites if sites is None or s in sites) for r in (first, second)]
    known = np.ones(len(first), dtype=bool)
    states: list[list[np.ndarray]] = []
    for recording, chosen in zip((first, second), names, strict=True):
        states.append([recording.of(s, segment).reshape(len(first), -1) for s in chosen])
        for x in states[-1]:
            known &= np.isfinite(x).all(axis=1)
    grams = [torch.stack([gram(x[known], device) for x in some]) for some in states]
    value = cka(*grams, debiased=debiased)
    sentences = np.array([u.sentence for u in first.utterances])[known]
    low, high = _jackknife(grams, value, sentences, debiased)
    groups = np.zeros(len(sentences), dtype=int) if within is None else np.unique(np.asarray(within)[known], return_inverse=True)[1]
    shuffled = _shuffled(grams, groups, debiased, draws, seed)
    null = np.quantile(shuffled, 0.975, axis=0)
    p = (1 + (shuffled >= value.cpu().numpy()).sum(axis=0)) / (draws + 1)
    place = segment or ""
    return Similarity(
        first.listener, second.listener, names[0], names[1], place, debiased, int(known.sum()), value.cpu().numpy(), low, high, null, p
    )


def gram(states: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """(n, D) -> (n, n) inner products of the centred states, of mean square 1."""
    x = torch.as_tensor(np.asarray(states), dtype=torch.float64).to(device)
    x = x - x.mean(dim=0)
    return x @ x.T / x.square().mean().clamp(min=1e-12)


def cka(first: Tensor, second: Tensor, *, debiased: bool = True) -> Tensor:
    """(A, n, n), (B, n, n) Gram matrices -> (A, B) linear CKA; 0 where states do not vary."""
    a, b = (_centred(g, debiased).flatten(1) for g in (first, second))
    length = a.norm(dim=1)[:, None] * b.norm(dim=1)
    return torch.where(length > 1e-9, a @ b.T / length.clamp(min=1e-9), 0.0)


def _centred(grams: Tensor, debiased: bool) -> Tensor:
    """Double centring; debiased, the U-centring of Székely & Rizzo (2014): its inner products are Song's estimate of HSIC."""
    n = grams.shape[-1]
    if not debiased:
        return grams - grams.mean(-1, keepdim=True) - grams.mean(-2, keepdim=True) + grams.mean((-2, -1), keepdim=True)
    none = grams * (1 - torch.eye(n, device=grams.device, dtype=grams.dtype))
    side = none.sum(-1, keepdim=True) / (n - 2)
    whole = none.sum((-2, -1), keepdim=True) / ((n - 1) * (n - 2))
    return (none - side - side.transpose(-1, -2) + whole) * (1 - torch.eye(n, device=grams.device, dtype=grams.dtype))


def _shuffled(grams: list[Tensor], groups: np.ndarray, debiased: bool, draws: int, seed: int) -> np.ndarray:
    """(draws, A, B) CKA with the second's rows shuffled within groups: centring does not depend on their order."""
    a, b = (_centred(g, debiased) for g in grams)
    length = (a.flatten(1).norm(dim=1)[:, None] * b.flatten(1).norm(dim=1)).clamp(min=1e-9)
    draw, found = np.random.default_rng(seed), []
    for _ in range(draws):
        order = np.lexsort((draw.random(len(groups)), groups))
        back = np.empty(len(groups), dtype=int)
        back[np.lexsort((np.arange(len(groups)), groups))] = order
        mixed = torch.as_tensor(back, device=b.device)
        found.append((a.flatten(1) @ b[:, mixed][:, :, mixed].flatten(1).T / length).cpu().numpy())
    return np.stack(found)


def _jackknife(grams: list[Tensor], value: Tensor, sentences: np.ndarray, debiased: bool) -> tuple[np.ndarray, np.ndarray]:
    names = np.unique(sentences)
    nothing = np.full(tuple(value.shape), np.nan)
    if len(names) < 3:
        return nothing, nothing
    left = []
    for name in names:
        kept = torch.as_tensor(np.flatnonzero(sentences != name), device=value.device)
        if len(kept) < 4:
            return nothing, nothing
        left.append(cka(*(g[:, kept][:, :, kept] for g in grams), debiased=debiased))
    parts = torch.stack(left)
    count = len(names)
    spread = ((count - 1) / count * (parts - parts.mean(dim=0)).square().sum(dim=0)).sqrt()
    return (value - 1.96 * spread).cpu().numpy(), (value + 1.96 * spread).clamp(max=1).cpu().numpy()
