"""Emotion-selective neurons: found on half of the sentences, switched off or turned up on the other, beside others of the same layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cogviz.emotions import EMOTIONS
from cogviz.evaluation import results
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.probing.pairs import halves
from cogviz.probing.selective import UTTERANCES, Selected, Selector, activity, select
from cogviz.probing.sites import hooked
from cogviz.probing.spans import LAST
from cogviz.probing.suffix import ROWS, at_once, begin
from cogviz.statistics import Estimate, difference, mean
from cogviz.utterance import Utterance


@dataclass(frozen=True)
class Neurons:
    """What an emotion's neurons do to how probable it is, of the seven; on the other half of the sentences.

    Attributes:
        per_emotion: neurons of each emotion.
        ablated: change in the items whose voice has the emotion, its neurons at 0. others: in all other items.
        amplified: change in all other items, its neurons times `gain`.
        random_...: the same for neurons drawn from the same layers, mean of `draws` draws. less_...: the selected ones' less the random ones'.
        accuracy, ablated_accuracy, random_accuracy: share of the items named rightly; whole, and with the neurons of their own emotion at 0.
        by_emotion: emotion -> `ablated`.
    """

    model: str
    selector: str
    per_emotion: int
    gain: float
    draws: int
    ablated: Estimate
    others: Estimate
    amplified: Estimate
    random_ablated: Estimate
    random_others: Estimate
    random_amplified: Estimate
    less_ablated: Estimate
    less_amplified: Estimate
    accuracy: Estimate
    ablated_accuracy: Estimate
    random_accuracy: Estimate
    by_emotion: dict[str, Estimate]
    layers: dict[str, int]

    def rows(self, *, data: str) -> list[dict[str, Any]]:
        """Return every estimate as a row (`evaluation.results`)."""
        return results.rows(self, model=self.model, data=data)


def neurons(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    selector: Selector = "contrast",
    count: int = 20,
    gain: float = 2.0,
    at: str = LAST,
    draws: int = 3,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> Neurons:
    """Find the neurons of each voice emotion on half of the sentences; set them to 0, and multiply them by `gain`, on the other half.

    Args:
        utterances: of known emotion; by sentence in both halves.
        count: neurons of each emotion, over all layers.
        at: where they are looked at; they are changed at every place.
        draws: sets of random neurons of the same layers.
    """
    some = [u for u in utterances if u.emotion in EMOTIONS]
    finding = halves([u.sentence for u in some], seed=seed)
    first = [u for u, f in zip(some, finding, strict=True) if f]
    values, sizes = activity(listener, first, at=at, progress=progress)
    selected = select(values, [u.emotion for u in first], sizes, selector=selector, count=count)
    items = [u for u, f in zip(some, finding, strict=True) if not f and u.emotion in selected.chosen]
    names = list(selected.chosen)
    sets = [
        (e, selected.chosen[e] if k == 0 else selected.random(e, seed * 1000 + k), by)
        for e in names
        for k in range(draws + 1)
        for by in (0.0, gain)
    ]
    factors = [_factors(listener, which, by, sizes) for _, which, by in sets]
    start = "connector"

    def work(batch: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
        nonlocal rows
        passage = listener.naming([items[i] for i in batch])
        suffix = begin(listener, passage, [start], rows=rows)
        copies = [(row, k) for row in range(len(batch)) for k in range(len(sets))]
        kind = torch.tensor([k for _, k in copies], device=suffix.labels.device)
        table = {site: torch.stack([f[site] for f in factors]).to(suffix.labels.device) for site in factors[0]}

        def inside(which: Tensor) -> Any:
            return hooked(listener, {site: _times(table[site][kind[which]]) for site in table})

        out = suffix.run(start, [row for row, _ in copies], inside=inside).reshape(len(batch), len(sets), -1)
        rows = suffix.rows  # fewer, where memory ran out
        return list(zip(suffix.labels.float().cpu().numpy(), out, strict=True))

    done = in_batches(
        work,
        [spoken_seconds(u) for u in items],
        device=listener.model.device,
        batch=at_once(listener, UTTERANCES, len(items)),
        name=f"{listener.name}: neurons changed",
        progress=progress,
    )
    whole, changed = np.stack([w for w, _ in done]), np.stack([c for _, c in done]).reshape(len(items), len(names), draws + 1, 2, -1)
    return _told(listener.name, items, names, whole, changed, selected=selected, gain=gain, count=count)


def _times(factor: Tensor) -> Any:
    return lambda state: state * factor[:, None].to(state.dtype)


def _factors(listener: Transparent, which: np.ndarray, by: float, sizes: dict[int, int]) -> dict[str, Tensor]:
    found = {f"lm.{layer}.neurons": torch.ones(size) for layer, size in sizes.items()}
    for layer, number in which:
        found[f"lm.{layer}.neurons"][int(number)] = by
    return found


def _told(
    model: str,
    items: Sequence[Utterance],
    names: Sequence[str],
    whole: np.ndarray,
    changed: np.ndarray,
    *,
    selected: Selected,
    gain: float,
    count: int,
) -> Neurons:
    """`whole`: (N, 7); `changed`: (N, emotions, 1 + draws, 2, 7), the selected neurons first, at 0 and then amplified."""
    n = len(items)
    code = np.array([EMOTIONS.index(e) for e in names])
    own = np.array([names.index(str(u.emotion)) for u in items])
    by: dict[str, Any] = {"sentences": [u.sentence for u in items], "speakers": [u.speaker for u in items]}
    before = _softmax(whole)[:, code]  # (N, E)
    after = np.moveaxis(_softmax(changed)[:, range(len(names)), :, :, code], 0, 1)  # (N, E, 1 + draws, 2)
    gone = after - before[:, :, None, None]
    other = np.arange(len(names))[None] != own[:, None]

    def of_own(which: slice, kind: int) -> np.ndarray:
        return np.asarray(gone[np.arange(n), own, which, kind].mean(axis=-1))

    def of_others(which: slice, kind: int) -> np.ndarray:
        return np.asarray((gone[:, :, which, kind].mean(axis=-1) * other).sum(axis=1) / other.sum(axis=1))

    mine, drawn = slice(0, 1), slice(1, None)
    right = (whole.argmax(-1) == code[own]).astype(float)
    named = changed[np.arange(n), own, :, 0].argmax(-1) == code[own][:, None]
    numbers = np.concatenate([selected.chosen[e][:, 0] for e in names])
    parts = {e: np.flatnonzero(own == k).tolist() for k, e in enumerate(names)}
    return Neurons(
        model=model,
        selector=selected.selector,
        per_emotion=count,
        gain=gain,
        draws=changed.shape[2] - 1,
        ablated=mean(of_own(mine, 0), **by, chance=0.0),
        others=mean(of_others(mine, 0), **by, chance=0.0),
        amplified=mean(of_others(mine, 1), **by, chance=0.0),
        random_ablated=mean(of_own(drawn, 0), **by, chance=0.0),
        random_others=mean(of_others(drawn, 0), **by, chance=0.0),
        random_amplified=mean(of_others(drawn, 1), **by, chance=0.0),
        less_ablated=difference(of_own(mine, 0), of_own(drawn, 0), **by),
        less_amplified=difference(of_others(mine, 1), of_others(drawn, 1), **by),
        accuracy=mean(right, **by, chance=1 / len(EMOTIONS)),
        ablated_accuracy=mean(named[:, 0].astype(float), **by, chance=1 / len(EMOTIONS)),
        random_accuracy=mean(named[:, 1:].mean(axis=1), **by, chance=1 / len(EMOTIONS)),
        by_emotion={
            e: mean(of_own(mine, 0)[at], sentences=[items[i].sentence for i in at], speakers=[items[i].speaker for i in at], chance=0.0)
            for e, at in parts.items()
            if len(at)
        },
        layers={f"lm.{layer}": int((numbers == layer).sum()) for layer in selected.sizes},
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=-1, keepdims=True))
