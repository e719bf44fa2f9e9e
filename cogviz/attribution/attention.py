"""Where the deciding place looks: attention to each segment, against what it would be if it were spread evenly over all places that can be seen.

Attention is where a model looks and not what it uses; the null makes it comparable between segments of different length, and the methods that
weigh it by values and gradients come nearer to use. In a hybrid model only some layers have attention: the others mix neighbouring places, which
rollout treats as staying where one is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from cogviz import statistics
from cogviz.attribution.clusters import clusters
from cogviz.attribution.targets import Emotion, Question
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Passage, Transparent
from cogviz.probing.segments import SEGMENTS, segments
from cogviz.probing.sites import ATTENTION, MIXED, NoAttention, eager_attention
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance

Kind: TypeAlias = Literal["raw", "value_weighted", "rollout", "gradient_weighted"]

KINDS: tuple[Kind, ...] = ("raw", "value_weighted", "rollout", "gradient_weighted")

AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of each layer that has any.

    Attributes:
        layers: their numbers in the decoder, from 0.
        weights: for each (B, heads, S, S), from a place (row) to those before it; the rows of real places sum to 1. With a gradient where it
            was asked for.
        norms: for each (B, heads, S) the size of what a place passes on through a head: |v W_o| (Kobayashi et al. 2020, arXiv 2004.10102).
    """

    layers: tuple[int, ...]
    weights: tuple[Tensor, ...]
    norms: tuple[Tensor, ...]


def attention(listener: Transparent, passage: Passage, *, keep_grad: bool = False) -> tuple[Attention, Tensor]:
    """Return the attention of every layer that has any, and the logits of the same pass.

    Raises:
        NoAttention: no layer of the decoder has attention, or it returns no weights.
    """
    modules = _attentions(listener)
    if not modules:
        raise NoAttention(f"{listener.name}: no layer of its decoder has attention ({', '.join(ATTENTION)})")
    seen: dict[int, Tensor | None] = {}
    values: dict[int, Tensor] = {}
    with eager_attention(listener), ExitStack() as stack:
        for layer, module in modules.items():

            def keep(_: nn.Module, __: Any, out: Any, layer: int = layer) -> None:
                seen[layer] = out[1] if isinstance(out, tuple) and len(out) > 1 else None

            def value(_: nn.Module, __: Any, out: Any, layer: int = layer) -> None:
                values[layer] = out.detach()

            stack.callback(module.register_forward_hook(keep).remove)
            if isinstance(projection := getattr(module, "v_proj", None), nn.Module):
                stack.callback(projection.register_forward_hook(value).remove)
        with torch.set_grad_enabled(keep_grad):
            logits = listener.logits(passage)
    for layer in modules:
        if not isinstance(seen.get(layer), Tensor):
            raise NoAttention(
                f"{listener.name}: layer {layer} returned no attention weights; its attention has no eager implementation that does"
            )
    weights = tuple(w for layer in modules if (w := seen[layer]) is not None)
    norms = tuple(
        _norms(module, values[layer], w) if layer in values else w.new_ones(w.shape[:2] + w.shape[-1:])
        for (layer, module), w in zip(modules.items(), weights, strict=True)
    )
    return Attention(tuple(modules), weights, norms), logits


@dataclass(frozen=True)
class Looks:
    """How much of the attention of the deciding place goes to each segment.

    Attributes:
        kind: how attention was counted.
        share: segment -> share; its `chance` is the token-count null, the segment's share of the places that can be seen. The shares sum to 1.
        ratio: segment -> share over null; 1: as much as its length would give it.
        layers: layer -> segment -> share, of the kinds that are counted by layer ("raw" and "value_weighted").
    """

    kind: str
    share: dict[str, Estimate]
    ratio: dict[str, Estimate]
    layers: dict[str, dict[str, Estimate]]


def looks(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    kind: Kind = "raw",
    question: Question | None = None,
    at_once: int = AT_ONCE,
    progress: bool = True,
) -> Looks:
    """Measure to which segments the deciding place attends.

    The deciding place is the first that the question reads: of `Emotion` that after which the emotion's name comes.

    Args:
        kind: "raw": mean over heads and layers. "value_weighted": each weight times the size of what is passed on. "rollout": through all
            layers, half of each staying where it is (Abnar & Zuidema 2020, arXiv 2005.00928). "gradient_weighted": through all layers, each weight
            times the gradient of the target where that is above 0 (Chefer et al. 2021, arXiv 2103.15679, eq. 5 and 6), without what stays at
            the deciding place.
        at_once: utterances that go through the model at once.

    Raises:
        NoAttention: see `attention`.
        ValueError: an unknown kind, or no utterances.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r} of attention; choose from {', '.join(KINDS)}")
    if not utterances:
        raise ValueError("nothing to look at: no utterances")
    asked = question or Emotion()

    def work(rows: list[int]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]]:
        passage, target = asked.on(listener, [utterances[i] for i in rows])
        found, logits = attention(listener, passage, keep_grad=kind == "gradient_weighted")
        at = target.places[:, 0]
        every = torch.arange(len(rows), device=at.device)
        if kind == "gradient_weighted":
            score = target.read(logits.gather(1, target.places[..., None].expand(-1, -1, logits.shape[-1])), every).sum()
            steps = gradient_weighted(found.weights, torch.autograd.grad(score, found.weights))[None]
        elif kind == "rollout":
            steps = rollout(found.weights)[None]
        else:
            steps = torch.stack(
                [(w if kind == "raw" else w * n[:, :, None]).mean(dim=1) for w, n in zip(found.weights, found.norms, strict=True)]
            )
        looked = steps[:, every, at].detach().float()  # (layers or 1, B, S)
        if kind == "gradient_weighted":
            looked[:, every, at] = 0
        looked = looked / looked.sum(dim=-1, keepdim=True).clamp(min=1e-12)
        where = segments(listener, passage)
        visible = ~passage.places("padding") & (torch.arange(where.shape[1], device=at.device) <= at[:, None])
        belongs = torch.stack([(where == i) & visible for i in range(len(SEGMENTS))], dim=-1).float()  # (B, S, segments)
        shares = torch.einsum("lbs,bsk->blk", looked, belongs).cpu().numpy()
        null = (belongs.sum(dim=1) / visible.sum(dim=1, keepdim=True)).cpu().numpy()
        return [(s, n, s.mean(axis=0), found.layers) for s, n in zip(shares, null, strict=True)]

    found = in_batches(
        work,
        [spoken_seconds(u) for u in utterances],
        device=listener.model.device,
        batch=at_once,
        name=f"{getattr(listener, 'name', 'model')}: attention",
        progress=progress,
    )
    return _summary(kind, found, utterances)


def rollout(weights: Sequence[Tensor]) -> Tensor:
    """(B, S, S) how much of each place's start is in each place's end, if half of every layer's output is what its attention brings."""
    joint: Tensor | None = None
    for layer in weights:
        one = torch.eye(layer.shape[-1], device=layer.device, dtype=layer.dtype)
        step = (layer.detach().mean(dim=1) + one) / 2
        joint = step if joint is None else step @ joint
    assert joint is not None
    return joint


def gradient_weighted(weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """(B, S, S) relevance R <- R + mean over heads of (gradient x attention)+ R, from the identity on."""
    first = weights[0]
    joint = torch.eye(first.shape[-1], device=first.device, dtype=first.dtype).expand(len(first), -1, -1)
    for layer, gradient in zip(weights, gradients, strict=True):
        joint = joint + (layer.detach() * gradient).clamp(min=0).mean(dim=1) @ joint
    return joint


def _summary(
    kind: str, found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]], utterances: Sequence[Utterance]
) -> Looks:
    groups = clusters(utterances)
    shares, nulls, means = (np.stack([f[i] for f in found]) for i in range(3))
    there = [i for i in range(1, len(SEGMENTS)) if (nulls[:, i] > 0).any()]
    share, ratio = {}, {}
    layers: dict[str, dict[str, Estimate]] = {f"lm.{n}": {} for n in found[0][3]} if kind in KINDS[:2] else {}
    for i in there:
        name, null = SEGMENTS[i], float(nulls[:, i].mean())
        share[name] = statistics.mean(means[:, i], chance=null, **groups)
        some = nulls[:, i] > 0
        picked = clusters([u for u, s in zip(utterances, some, strict=True) if s])
        ratio[name] = statistics.mean(means[some, i] / nulls[some, i], chance=1.0, **picked)
        for j, layer in enumerate(layers):
            layers[layer][name] = statistics.mean(shares[:, j, i], chance=null, **groups)
    return Looks(kind, share, ratio, layers)


def _attentions(listener: Transparent) -> dict[int, nn.Module]:
    """Layer -> its attention, of the layers that have any."""
    found = {}
    for i, layer in enumerate(listener.layers()):
        if (module := next((m for name in ATTENTION if isinstance(m := getattr(layer, name, None), nn.Module)), None)) is not None:
            found[i] = module
    return found


def _norms(module: nn.Module, values: Tensor, weights: Tensor) -> Tensor:
    """(B, heads, S) |v W_o| of each head."""
    mixed = next(m for name in MIXED if isinstance(m := getattr(module, name, None), nn.Module))
    out = torch.as_tensor(mixed.weight).detach()  # (H, heads x size)
    heads = weights.shape[1]
    size = out.shape[1] // heads
    each = values.unflatten(-1, (-1, size))
    each = each.repeat_interleave(heads // each.shape[2], dim=2)  # grouped queries share their values
    return torch.einsum("bshd,khd->bhsk", each, out.unflatten(1, (heads, size)).to(each.dtype)).norm(dim=-1)
