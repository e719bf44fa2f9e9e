"""Which neurons are selective for an emotion: by the contrast of means, or by the entropy of when they are active.

A neuron is one number that a feed-forward part's down projection is given (`lm.7.neurons`). The selectors are those of work on emotion-sensitive
neurons of audio language models (arXiv 2601.03115); the entropy is LAPE (Tang et al. 2024, arXiv 2402.16438). In a gated feed-forward part the sign
of that number means nothing, so active is: further from 0 than in three quarters of the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from cogviz.emotions import EMOTIONS
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.probing.sites import sites, watched
from cogviz.probing.spans import LAST, spans
from cogviz.probing.suffix import at_once
from cogviz.utterance import Utterance

Selector = Literal["contrast", "entropy"]

UTTERANCES = 32
"""Utterances that are heard at once."""

ACTIVE = 0.75
"""A neuron is active in an item where it is further from 0 than in this share of all items."""

STILL = 1e-3
"""A neuron that varies by less than this share of its size is never selective: below the sound's first link the last place is always the same."""


@dataclass(frozen=True, eq=False)
class Selected:
    """Neurons of each emotion, the most selective first: emotion -> (count, 2) layer and number."""

    selector: Selector
    chosen: dict[str, np.ndarray]
    sizes: dict[int, int]

    def random(self, emotion: str, seed: int) -> np.ndarray:
        """(count, 2) others of the same layers, as many in each, none of them chosen for this emotion."""
        draw = np.random.default_rng([seed, EMOTIONS.index(emotion)])
        mine = self.chosen[emotion]
        parts = []
        for layer in np.unique(mine[:, 0]):
            taken = mine[mine[:, 0] == layer, 1]
            free = np.setdiff1d(np.arange(self.sizes[int(layer)]), taken)
            picked = draw.choice(free, min(len(taken), len(free)), replace=False)
            parts.append(np.stack([np.full(len(picked), layer), picked], axis=1))
        return np.concatenate(parts)


def activity(
    listener: Transparent, utterances: Sequence[Utterance], *, at: str = LAST, progress: bool = True
) -> tuple[np.ndarray, dict[int, int]]:
    """Return (N, neurons of all layers) what the neurons are given at a span of places, its mean; and how many each layer has.

    Raises:
        ValueError: the model's feed-forward parts have no down projection of a known name, or there is no such span.
    """
    names = [name for name in sites(listener) if name.endswith(".neurons")]
    if not names:
        raise ValueError(f"{listener.name}: no feed-forward part with a down projection whose name is known (see probing.sites.DOWN)")
    sizes: dict[int, int] = {}

    def work(batch: list[int]) -> list[np.ndarray]:
        passage = listener.naming([utterances[i] for i in batch])
        named = spans(listener, passage)
        if at not in named:
            raise ValueError(f"no span {at!r} in this passage; there are {', '.join(named)}")
        weight = named[at].float()
        weight = weight / weight.sum(dim=1, keepdim=True)
        with torch.inference_mode(), watched(listener, names) as seen:
            listener.logits(passage)
        sizes.update({int(name.split(".")[1]): seen[name].shape[-1] for name in names})
        return list(torch.cat([torch.einsum("bs,bsd->bd", weight, seen[n].float()) for n in names], dim=1).cpu().numpy())

    found = in_batches(
        work,
        [spoken_seconds(u) for u in utterances],
        device=listener.model.device,
        batch=at_once(listener, UTTERANCES, len(utterances)),
        name=f"{listener.name}: neurons",
        progress=progress,
    )
    return np.stack(found), sizes


def select(values: np.ndarray, emotions: Sequence[str | None], sizes: dict[int, int], *, selector: Selector, count: int) -> Selected:
    """Return the `count` most selective neurons of each emotion that occurs.

    Args:
        values: (N, neurons) from `activity`.
        selector: `contrast`: |mean in the emotion - mean in the others| over the pooled standard deviation. `entropy`: of the neurons that are
            most often active in this emotion, those whose shares of activity over the emotions have the lowest entropy.

    Raises:
        ValueError: fewer than two emotions, or more neurons wanted than there are.
    """
    labels = np.array([str(e) for e in emotions])
    present = [e for e in EMOTIONS if (labels == e).any()]
    if len(present) < 2:
        raise ValueError("neurons cannot be selective with fewer than two emotions in the items")
    if count > values.shape[1]:
        raise ValueError(f"{count} neurons an emotion are wanted of {values.shape[1]}")
    still = values.std(axis=0) < STILL * np.sqrt(np.square(values).mean(axis=0))
    place = np.concatenate([np.stack([np.full(n, layer), np.arange(n)], axis=1) for layer, n in sizes.items()])
    if selector == "contrast":
        scores = {e: np.abs(_contrast(values, labels == e)) for e in present}
    elif selector == "entropy":
        active = np.abs(values) > np.quantile(np.abs(values), ACTIVE, axis=0)
        often = np.stack([active[labels == e].mean(axis=0) for e in present])
        share = often / np.maximum(often.sum(axis=0), 1e-9)
        entropy = -(share * np.log(np.maximum(share, 1e-9))).sum(axis=0)
        scores = {e: np.where(often.argmax(axis=0) == k, -entropy, -1e3 + share[k]) for k, e in enumerate(present)}
    else:
        raise ValueError(f"neurons are selected by contrast or entropy, not by {selector!r}")
    ranked = {e: np.argsort(-np.where(still, -np.inf, s), kind="stable")[:count] for e, s in scores.items()}
    return Selected(selector, {e: place[order] for e, order in ranked.items()}, sizes)


def _contrast(values: np.ndarray, mine: np.ndarray) -> np.ndarray:
    a, b = values[mine], values[~mine]
    pooled = np.sqrt((a.var(axis=0) * len(a) + b.var(axis=0) * len(b)) / len(values))
    return np.asarray((a.mean(axis=0) - b.mean(axis=0)) / np.maximum(pooled, 1e-6))
