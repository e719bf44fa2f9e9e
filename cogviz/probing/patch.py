"""Interchange patching: states of one utterance in the run of another that differs in one thing, one place and one layer at a time.

After Vig et al. 2020 (arXiv 2004.12265) and Meng et al. 2022 (arXiv 2202.05262). The score is the difference of two emotions' logits, log p(donor's)
- log p(base's): it is linear in the last state, does not saturate where an answer is sure, and does not depend on the five others (Zhang & Nanda
2023, arXiv 2309.16042, recommend it for these reasons). What a patch does is told as a share of what the whole exchange does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.probing.pairs import Pair
from cogviz.probing.sites import UnknownSite, find, hooked, sites, stream
from cogviz.probing.spans import By, lined_up, spans
from cogviz.probing.suffix import ROWS, Suffix, at_once, begin

PAIRS = 16
"""Pairs that are heard at once: the states of all their layers are kept meanwhile."""

EVERYTHING = "all"
"""The span of all places."""

Unequal = Literal["align", "leave out", "refuse"]


class UnequalPairs(ValueError):
    """Raised where a base has not as many places as its donor."""


@dataclass(frozen=True, eq=False)
class Patching:
    """What the labels' logits are, whole and patched. `probing.effects` makes estimates of it.

    Attributes:
        sites, columns: where, by layer, sublayer or head (`lm.7.heads.2`) and by span of places (`all`: every place).
        base, donor: (N, 7) logits of the two runs.
        patched: (N, L, C, 7) with the donor's states there; NaN where a pair has no such place.
        random: the same with a random direction that is as long as the difference between donor and base; None where not asked for.
        moves: (N, 2) base's and donor's emotion, of the tone or of the words.
        aligned: pairs of unequal length, whose places were matched by segment. left_out: pairs that were not used because of that.
        hybrid: some layers have no attention but a convolution.
    """

    model: str
    differs: str
    sites: tuple[str, ...]
    columns: tuple[str, ...]
    base: np.ndarray
    donor: np.ndarray
    patched: np.ndarray
    random: np.ndarray | None
    moves: np.ndarray
    sentences: tuple[str, ...]
    speakers: tuple[str, ...]
    aligned: int
    left_out: int
    hybrid: bool


def patch(
    listener: Transparent,
    pairs: Sequence[Pair],
    *,
    at: Sequence[str] | None = None,
    by: By = "segment",
    unequal: Unequal = "align",
    control: bool = True,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> Patching:
    """Put the donor's states into the base's run, at each site and each span of places, and read the labels' logits.

    Args:
        at: sites of the language model, by layer (`sites.stream`), sublayer (`sublayers`) or head (`heads`); None: the residual stream.
        by: what the places are called (`spans.spans`); all of them together, `all`, come last.
        unequal: what is done with pairs whose segments are not equally long: match their places by segment, leave them out, or refuse.
        control: also patch with random directions of the same length.
        rows: copies that go through at once.

    Raises:
        UnknownSite: a site is none of the listener's, or of its encoder, whose frames are no places.
        UnequalPairs: pairs of unequal length where they are refused, or where nothing else is left.
        ValueError: no pairs, or pairs of both kinds.
    """
    if len({pair.differs for pair in pairs}) != 1:
        raise ValueError("patching needs pairs that all differ in the tone, or all in the words" if pairs else "no pairs to patch")
    chosen = [_place(listener, name) for name in (stream(listener) if at is None else at)]
    kept = sorted({p.start for p in chosen} | {p.watched for p in chosen})

    def work(batch: list[int]) -> list[_Outcome | None]:
        nonlocal rows
        some = [pairs[i] for i in batch]
        bases, donors = listener.naming([pair.base for pair in some]), listener.naming([pair.donor for pair in some])
        match, equal = lined_up(listener, bases, donors)
        if unequal == "refuse" and not equal.all():
            wrong = some[int((~equal).nonzero()[0])]
            raise UnequalPairs(
                f"{int((~equal).sum())} of {len(some)} pairs are not equally long (at {wrong.base.id} and {wrong.donor.id}); "
                "let them be matched by segment (unequal='align'), or left out, or render them with keep_timing"
            )
        used = [i for i in range(len(some)) if unequal != "leave out" or bool(equal[i])]
        base = begin(listener, bases, kept, rows=rows)
        donor = begin(listener, donors, sorted({p.watched for p in chosen}))
        named = {**spans(listener, bases, by), EVERYTHING: ~bases.places("padding")}
        one = _Batch(base, donor.states, match, used, named, [seed * 100_003 + i for i in batch])
        found = {p.name: one.sweep(p, noise=False) for p in chosen}
        noise = {p.name: one.sweep(p, noise=True) for p in chosen} if control else {}
        rows = base.rows  # fewer, where memory ran out
        ends = [suffix.labels.float().cpu().numpy() for suffix in (base, donor)]
        return [
            None
            if i not in used
            else _Outcome(
                equal=bool(equal[i]),
                base=ends[0][i],
                donor=ends[1][i],
                patched={name: outcomes[i] for name, outcomes in found.items()},
                random={name: outcomes[i] for name, outcomes in noise.items()},
            )
            for i in range(len(some))
        ]

    outcomes = in_batches(
        work,
        [spoken_seconds(pair.base) for pair in pairs],
        device=listener.model.device,
        batch=at_once(listener, PAIRS, len(pairs)),
        name=f"{listener.name}: patching",
        progress=progress,
    )
    used = [(pair, outcome) for pair, outcome in zip(pairs, outcomes, strict=True) if outcome is not None]
    if not used:
        raise UnequalPairs(f"none of {len(pairs)} pairs is equally long; let them be matched by segment (unequal='align')")
    names = tuple(p.name for p in chosen)
    columns = _columns([outcome for _, outcome in used], names[0], by)
    return Patching(
        model=listener.name,
        differs=pairs[0].differs,
        sites=names,
        columns=columns,
        base=np.stack([o.base for _, o in used]),
        donor=np.stack([o.donor for _, o in used]),
        patched=_table([o.patched for _, o in used], names, columns),
        random=_table([o.random for _, o in used], names, columns) if control else None,
        moves=np.array([pair.moves for pair, _ in used]),
        sentences=tuple(pair.base.sentence for pair, _ in used),
        speakers=tuple(pair.base.speaker for pair, _ in used),
        aligned=sum(not o.equal for _, o in used),
        left_out=len(pairs) - len(used),
        hybrid=any(f"lm.{i}.conv" in sites(listener) for i in range(len(listener.layers()))),
    )


def sublayers(listener: Transparent) -> list[str]:
    """Return the names of all attention, convolution and feed-forward parts."""
    return [name for name in sites(listener) if name.split(".")[-1] in ("attn", "conv", "mlp")]


def heads(listener: Transparent) -> list[str]:
    """Return the names of all attention heads, `lm.<layer>.heads.<head>`; layers without attention have none."""
    return [f"{name}.{k}" for name in sites(listener) if name.endswith(".heads") for k in range(listener.heads)]


@dataclass(frozen=True)
class _Place:
    """Where is patched: `watched` holds the states, copies go on from `start`; a head is the `head`-th of `parts` equal slices."""

    name: str
    watched: str
    start: str
    head: int | None = None
    parts: int = 1

    def slice(self, width: int) -> slice:
        size = width // self.parts
        return slice(0, width) if self.head is None else slice(self.head * size, (self.head + 1) * size)


def _place(listener: Transparent, name: str) -> _Place:
    along = stream(listener)
    if name.startswith("encoder"):
        raise UnknownSite(f"{name}: the encoder's frames are no places of the passage; patch the connector or the language model's layers")
    head = name.rsplit(".", 1)[-1] if ".heads." in name else None
    site = name if head is None else name.rsplit(".", 1)[0]
    find(listener, [site])
    if head is not None and not (head.isdigit() and int(head) < listener.heads):
        raise UnknownSite(f"{name}: the layer has heads 0 to {listener.heads - 1}")
    if site in along:
        return _Place(name, site, site)
    layer = int(site.split(".")[1])
    return _Place(name, site, along[layer], None if head is None else int(head), 1 if head is None else listener.heads)


@dataclass(frozen=True, eq=False)
class _Outcome:
    equal: bool
    base: np.ndarray
    donor: np.ndarray
    patched: Mapping[str, Mapping[str, np.ndarray]]
    random: Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class _Batch:
    """Some pairs, heard once: the bases' runs, and the donors' states by site."""

    suffix: Suffix
    donors: Mapping[str, Tensor]
    match: Tensor
    used: list[int]
    spans: dict[str, Tensor]
    seeds: list[int]

    def sweep(self, place: _Place, *, noise: bool) -> list[dict[str, np.ndarray]]:
        """For each pair: span -> (7,) logits with the donor's states at a site there. Spans that a pair lacks are left out."""
        copies = [(i, name) for i in self.used for name in self.spans if bool((self.spans[name][i] & (self.match[i] >= 0)).any())]
        found: list[dict[str, np.ndarray]] = [{} for _ in self.match]
        if not copies:
            return found
        of = torch.tensor([i for i, _ in copies], device=self.match.device)
        masks = torch.stack([self.spans[name][i] & (self.match[i] >= 0) for i, name in copies])
        base, donor = self.suffix.states[place.watched], self.donors[place.watched]
        with torch.inference_mode():
            given = donor.gather(1, self.match.clamp(min=0)[..., None].expand(-1, -1, donor.shape[-1]))
            if noise:
                given = base + _directions(base, self.seeds) * (given - base).norm(dim=-1, keepdim=True)
        part = place.slice(base.shape[-1])

        def exchanged(which: Tensor, now: Tensor) -> Tensor:
            changed = now.clone()
            changed[..., part] = torch.where(masks[which][..., None], given[of[which]][..., part].to(now.dtype), now[..., part])
            return changed

        def inside(which: Tensor) -> AbstractContextManager[Any]:
            return hooked(self.suffix.listener, {place.watched: lambda now: exchanged(which, now)})

        if place.watched == place.start:
            out = self.suffix.run(place.start, [i for i, _ in copies], exchanged)
        else:
            out = self.suffix.run(place.start, [i for i, _ in copies], inside=inside)
        for (i, name), logits in zip(copies, out, strict=True):
            found[i][name] = logits
        return found


def _directions(like: Tensor, seeds: Sequence[int]) -> Tensor:
    """(N, 1, H) a random unit vector for each pair, the same whatever batch it is in."""
    drawn = [torch.randn(like.shape[-1], generator=torch.Generator().manual_seed(s)) for s in seeds]
    return torch.nn.functional.normalize(torch.stack(drawn), dim=-1)[:, None].to(like)


def _columns(outcomes: Sequence[_Outcome], site: str, by: By) -> tuple[str, ...]:
    """All spans that some pair has, in the order of the passage."""
    names: dict[str, None] = {}
    for outcome in sorted(outcomes, key=lambda o: -len(o.patched[site])):
        names |= dict.fromkeys(outcome.patched[site])
    if by == "place":
        return (*sorted(names.keys() - {EVERYTHING}, key=int), EVERYTHING)
    return tuple(_behind(names))


def _behind(names: Mapping[str, None]) -> Iterator[str]:
    yield from (name for name in names if name != EVERYTHING)
    yield EVERYTHING


def _table(found: Sequence[Mapping[str, Mapping[str, np.ndarray]]], names: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    size = len(next(iter(found[0][names[0]].values())))
    table = np.full((len(found), len(names), len(columns), size), np.nan)
    for i, one in enumerate(found):
        for j, site in enumerate(names):
            for k, column in enumerate(columns):
                if column in one[site]:
                    table[i, j, k] = one[site][column]
    return table
