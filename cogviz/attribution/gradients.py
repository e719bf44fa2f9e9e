"""Attribution by captum: integrated gradients, gradient x difference, GradientSHAP and occlusion, over the log-mel, audio tokens and text tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from cogviz.attribution.memory import Rows
from cogviz.attribution.paths import Over, Path
from cogviz.attribution.places import Places, places
from cogviz.attribution.prepare import prepared
from cogviz.attribution.targets import Emotion, Question
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.utterance import Utterance

Method: TypeAlias = Literal["integrated_gradients", "gradient_x_input", "gradient_shap", "occlusion"]

METHODS: tuple[Method, ...] = ("integrated_gradients", "gradient_x_input", "gradient_shap", "occlusion")

STEPS = 50
"""Of integrated gradients (Gauss-Legendre)."""

SAMPLES = 50
"""Of GradientSHAP, an utterance."""

NOISE = 0.05
"""Of GradientSHAP: its standard deviation as a share of that of the differences."""

WINDOW = (10, 24)
"""Bands and frames (10 ms) of the log-mel that occlusion hides at once."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each part of the input adds to the target.

    Attributes:
        method, over, target: how, of what, and for what.
        utterances: N. references: the neutral renderings that the baseline was made of. question: that the target answers.
        values: N arrays: of `mel` (bands, frames of 10 ms), else (places,); in the unit of the target.
        levels: N arrays (frames of 80 ms,): what the level adds, which CogAudio is given beside the log-mel; only of `mel`.
        places: what stands at the places; its order is that of `values` except for `mel`.
        whole, baseline: (N,) the target of the input and of the baseline.
        sound: N log-mels (bands, frames), as the processor scales them; only of `mel`.
    """

    method: str
    over: Over
    target: str
    utterances: tuple[Utterance, ...]
    references: tuple[Utterance, ...] | None
    question: Question
    values: tuple[np.ndarray, ...]
    levels: tuple[np.ndarray, ...]
    places: tuple[Places, ...]
    whole: np.ndarray
    baseline: np.ndarray
    sound: tuple[np.ndarray, ...] = ()

    @property
    def sums(self) -> np.ndarray:
        """(N,) sum of all relevance; of a complete method `whole` - `baseline`."""
        return np.array([v.sum() for v in self.values]) + (np.array([v.sum() for v in self.levels]) if self.levels else 0.0)

    def by_segment(self) -> dict[str, np.ndarray]:
        """Segment -> (N,) sum of its relevance; of an attribution over places."""
        if self.over == "mel":
            raise ValueError("relevance over the log-mel has no segments; sum it by word (`words.by_word`)")
        names = dict.fromkeys(name for p in self.places for name in p.segments)
        return {name: np.array([v[p.of(name)].sum() for v, p in zip(self.values, self.places, strict=True)]) for name in names}


def attribute(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    over: Over = "tokens",
    method: Method = "integrated_gradients",
    question: Question | None = None,
    references: Sequence[Utterance] | None = None,
    steps: int | None = None,
    window: tuple[int, int] = WINDOW,
    at_once: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Attribution:
    """Divide a target among the parts of the input.

    The frames that the language model reads stay those of the unchanged input (see `Replay`). All methods are captum's, applied to the
    difference from the baseline (see `paths`): integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365); gradient x input (Shrikumar et al.
    2016, arXiv 1605.01713; here gradient x difference, a first-order estimate of what is lost where a part becomes the baseline's); GradientSHAP
    (Lundberg & Lee 2017, arXiv 1705.07874); occlusion (Zeiler & Fergus 2014, arXiv 1311.2901), where the baseline hides.

    Args:
        over: "mel", "audio", "text" or "tokens" (audio and text).
        question: what is attributed; default: the score of the emotion that the model names.
        references: the neutral rendering of each utterance by the same speaker; the baseline is then the neutral voice.
        steps: of integrated gradients, or samples of GradientSHAP.
        window: (bands, frames) that occlusion hides at once, of the log-mel; of tokens it hides one at a time.
        at_once: rows that go through the model at once (see `memory`).
        seed: of GradientSHAP, whose draws depend on the batch; the other methods give the same numbers in any batch.

    Raises:
        ValueError: an unknown method or `over`, no utterances, or a model that it is not possible for.
    """
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; choose from {', '.join(METHODS)}")
    if not utterances:
        raise ValueError("nothing to attribute: no utterances")
    if references is not None and len(references) != len(utterances):
        raise ValueError(f"{len(utterances)} utterances but {len(references)} references; give the neutral rendering of each")
    asked, memory, names = question or Emotion(), Rows(listener, over, at_once), []

    def work(rows: list[int]) -> list[tuple[Any, ...]]:
        some = [utterances[i] for i in rows]
        replay, way = prepared(listener, some, asked, over, None if references is None else [references[i] for i in rows])
        passage = replay.passage
        names.append(replay.target.name)
        parts = memory.run(lambda most: relevance(way, method, steps=steps, window=window, at_once=most, seed=seed), least=len(some))
        whole, baseline = (end.float().cpu().numpy() for end in memory.run(lambda most: way.ends(at_once=most), least=len(some)))
        cut = [_cut(part, cell) for part, cell in zip(parts, way.cells, strict=True)]
        if over != "mel":  # places of the passage, 0 where nothing was to attribute
            cut = [_cut(parts[0], ~passage.places("padding"))]
        levels = cut[1] if over == "mel" else [np.zeros(0)] * len(some)
        mels = _cut(replay.mel[0], way.cells[0]) if over == "mel" else levels
        return list(zip(cut[0], levels, places(listener, passage), whole, baseline, mels, strict=True))

    found = in_batches(
        work,
        [spoken_seconds(u) for u in utterances],
        device=listener.model.device,
        batch=min(memory.at_once, len(utterances)),
        name=f"{getattr(listener, 'name', 'model')}: {method} over {over}",
        progress=progress,
    )
    values, levels, where, whole, baseline, sound = zip(*found, strict=True)
    return Attribution(
        method,
        over,
        names[0],
        tuple(utterances),
        None if references is None else tuple(references),
        asked,
        values,
        levels if over == "mel" else (),
        where,
        np.array(whole),
        np.array(baseline),
        sound if over == "mel" else (),
    )


def relevance(
    way: Path, method: Method, *, steps: int | None = None, window: tuple[int, int] = WINDOW, at_once: int = 64, seed: int = 0
) -> tuple[Tensor, ...]:
    """Return the relevance of every cell, a tensor of the shape of each of `way.cells`; 0 where there is no cell."""
    from captum import attr

    inputs, rows = way.differences, way.rows
    zeros = tuple(torch.zeros_like(d) for d in inputs)
    if method == "occlusion":
        return tuple(_occluded(way, window, at_once))
    if method == "integrated_gradients":
        found = attr.IntegratedGradients(way.forward).attribute(
            inputs, zeros, additional_forward_args=rows, n_steps=steps or STEPS, internal_batch_size=at_once
        )
    elif method == "gradient_x_input":
        leaves = tuple(d.clone().requires_grad_() for d in inputs)
        found = attr.InputXGradient(way.forward).attribute(leaves, additional_forward_args=rows)
    else:
        nothing = tuple(torch.zeros_like(d[:1]) for d in inputs)
        noise = tuple(
            NOISE * float(d[_like(c, d).expand_as(d)].std()) if bool(c.any()) else 0.0 for d, c in zip(inputs, way.cells, strict=True)
        )
        wanted = steps or SAMPLES
        with seeded(seed):
            method_of = attr.GradientShap(way.forward)
            sums = [torch.zeros_like(d) for d in inputs]
            done = 0
            while done < wanted:  # captum would take all samples at once
                some = min(max(1, at_once // len(way)), wanted - done)
                part = method_of.attribute(inputs, nothing, n_samples=some, stdevs=noise, additional_forward_args=rows)
                sums = [s + p.detach() * some for s, p in zip(sums, part, strict=True)]
                done += some
            found = tuple(s / wanted for s in sums)
    return tuple(_summed(f.detach(), c) for f, c in zip(found, way.cells, strict=True))


def _occluded(way: Path, window: tuple[int, int], at_once: int) -> list[Tensor]:
    """captum's ablation of one feature at a time; a feature is a block of the log-mel, a level of as many frames, or a place."""
    from captum import attr

    masks = []
    first = 0
    for cells in way.cells:
        index = _blocks(cells, window)
        masks.append(torch.where(cells, index + first, -1))
        first = int(masks[-1].max()) + 1 if bool(cells.any()) else first
    shown = tuple(_like(m, d).expand_as(d) for m, d in zip(masks, way.differences, strict=True))
    # What is no cell shares a feature that nothing depends on.
    shown = tuple(torch.where(s < 0, first, s) for s in shown)
    found = attr.FeatureAblation(way.forward).attribute(
        way.differences,
        additional_forward_args=way.rows,
        feature_mask=shown,
        perturbations_per_eval=max(1, at_once // len(way)),
    )
    out = []
    for values, mask, cells in zip(found, masks, way.cells, strict=True):
        one = values if values.ndim == mask.ndim else values[..., 0]  # each element of a feature is given the feature's whole value
        size = torch.stack([torch.bincount(m[m >= 0], minlength=first).clamp(min=1)[m.clamp(min=0)] for m in mask])
        out.append(torch.where(cells, one / size, 0.0))
    return out


def _blocks(cells: Tensor, window: tuple[int, int]) -> Tensor:
    """(B, ...) number of the block that a cell is in: of (B, bands, F) `window`; of (B, T) levels or (B, S) places see below."""
    if cells.ndim == 3:
        bands, frames = (torch.arange(n, device=cells.device) // w for n, w in zip(cells.shape[1:], window, strict=True))
        return (bands[:, None] * (int(frames.max()) + 1) + frames).expand_as(cells)
    return (cells.cumsum(dim=1) - 1).clamp(min=0)


def _summed(values: Tensor, cells: Tensor) -> Tensor:
    """Relevance of a cell: the sum over what is in it."""
    while values.ndim > cells.ndim:
        values = values.sum(dim=-1)
    return torch.where(cells, values, torch.zeros_like(values))


def _cut(values: Tensor, cells: Tensor) -> list[np.ndarray]:
    """Row by row without the padding."""
    found = []
    for value, cell in zip(values, cells, strict=True):
        real = cell if cell.ndim == 1 else cell.any(dim=0)
        found.append(value[..., real].float().cpu().numpy())
    return found


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside the block, and go on as before behind it."""
    state = np.random.get_state()  # noqa: NPY002 - captum draws from it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def _like(mask: Tensor, values: Tensor) -> Tensor:
    return mask[(...,) + (None,) * (values.ndim - mask.ndim)]
