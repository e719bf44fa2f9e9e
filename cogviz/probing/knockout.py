"""Attention knock-out: what the emotion loses when the places of one segment may not look at those of another (Geva et al. 2023, arXiv 2304.14767).

In a hybrid model (LFM2: `nano`) every other layer is a short convolution, which mixes neighbouring places and is not knocked out: what stands
next to a segment may know of it all the same. `Knockout.hybrid` says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cogviz.emotions import EMOTIONS
from cogviz.evaluation import results
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.probing.sites import sites, stream
from cogviz.probing.spans import spans
from cogviz.probing.suffix import ROWS, at_once, begin
from cogviz.statistics import Estimate, difference, mean
from cogviz.utterance import Utterance

UTTERANCES = 32
"""Utterances that are heard at once."""

Links = dict[str, dict[str, Estimate]]
"""band -> "from > to" -> estimate."""


@dataclass(frozen=True)
class Knockout:
    """Attention between segments, cut.

    Attributes:
        bands: name -> the layers that are cut; those without attention are left as they are.
        whole: intact probability of the voice's and of the words' emotion among the seven.
        voice, words: change of the probability of the voice's and of the words' emotion (of those items whose words carry one).
        answers: share of the answers that change.
        random_voice, random_words, random_answers: the same where each place may not look at as many others, drawn.
        hybrid: some layers mix neighbouring places without attention.
    """

    model: str
    bands: dict[str, tuple[int, ...]]
    whole: dict[str, Estimate]
    voice: Links
    words: Links
    answers: Links
    random_voice: Links
    random_words: Links
    random_answers: Links
    hybrid: bool

    def rows(self, *, data: str) -> list[dict[str, Any]]:
        """Return every estimate as a row (`evaluation.results`)."""
        return results.rows(self, model=self.model, data=data)


def knockout(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    links: Sequence[tuple[str, str]] | None = None,
    bands: Mapping[str, Sequence[int]] | None = None,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> Knockout:
    """Cut the attention from one segment to another in a band of layers.

    Args:
        utterances: with the voice's emotion; words that carry one too tell what the words lose.
        links: (from, to) names of segments (`spans.spans`); None: each to each before it, as far as the sound is among the two or `last` looks.
        bands: name -> layers; None: all layers, and each layer that has attention by itself (of more than eight: thirds).

    Raises:
        ValueError: no layer has attention, a band has none, or attention that takes no mask of places by places.
    """
    attention = {int(n.split(".")[1]): s.module for n, s in sites(listener).items() if n.endswith(".attn")}
    chosen = {name: tuple(k for k in layers if k in attention) for name, layers in (bands or _bands(sorted(attention))).items()}
    if not attention or not all(chosen.values()):
        raise ValueError(f"{listener.name}: no attention to cut in {next((n for n, b in chosen.items() if not b), 'any layer')}")
    first = {name: stream(listener)[layers[0]] for name, layers in chosen.items()}

    def work(batch: list[int]) -> list[tuple[np.ndarray, dict[tuple[str, str, bool], np.ndarray]]]:
        nonlocal rows
        passage = listener.naming([utterances[i] for i in batch])
        suffix = begin(listener, passage, sorted(set(first.values())), rows=rows)
        named = spans(listener, passage)
        real = ~passage.places("padding")
        cuts = {(a, b): _between(named[a], named[b]) for a, b in links or _links(list(named)) if a in named and b in named}
        found: list[dict[tuple[str, str, bool], np.ndarray]] = [{} for _ in batch]
        for band, layers in chosen.items():
            for (a, b), cut in cuts.items():
                drawn = torch.stack([_others(c, r, seed * 100_003 + i) for c, r, i in zip(cut, real, batch, strict=True)])
                for random, blocked in ((False, cut), (True, drawn)):
                    out = suffix.run(
                        first[band],
                        range(len(batch)),
                        inside=lambda which, blocked=blocked, layers=layers: masked(  # type: ignore[misc]
                            [attention[k] for k in layers], blocked[which], real[which]
                        ),
                    )
                    for row, logits in enumerate(out):
                        found[row][band, f"{a} > {b}", random] = logits
        rows = suffix.rows  # fewer, where memory ran out
        return [(suffix.labels[row].float().cpu().numpy(), found[row]) for row in range(len(batch))]

    done = in_batches(
        work,
        [spoken_seconds(u) for u in utterances],
        device=listener.model.device,
        batch=at_once(listener, UTTERANCES, len(utterances)),
        name=f"{listener.name}: attention knock-out",
        progress=progress,
    )
    return _told(listener, utterances, chosen, done)


def _told(
    listener: Transparent,
    utterances: Sequence[Utterance],
    bands: dict[str, tuple[int, ...]],
    done: Sequence[tuple[np.ndarray, dict[tuple[str, str, bool], np.ndarray]]],
) -> Knockout:
    whole = np.stack([labels for labels, _ in done])
    keys = list(done[0][1])
    cut = {key: np.stack([found[key] for _, found in done]) for key in keys}
    of = {name: np.array([EMOTIONS.index(e) if (e := getattr(u, name)) in EMOTIONS else -1 for u in utterances]) for name in _OF}
    made: dict[str, Links] = {}
    wholes: dict[str, Estimate] = {}
    for name, what in (*_OF.items(), ("", "answers")):
        keep = [i for i in range(len(utterances)) if not name or of[name][i] >= 0]
        by: dict[str, Any] = {"sentences": [utterances[i].sentence for i in keep], "speakers": [utterances[i].speaker for i in keep]}
        if not keep:
            made[what], made[f"random_{what}"] = {}, {}
            continue
        if name:
            wholes[what] = mean(_chance(whole[keep], of[name][keep]), **by, chance=1 / len(EMOTIONS))
        for random in (False, True):
            made[f"random_{what}" if random else what] = {
                band: {
                    link: difference(_chance(cut[key][keep], of[name][keep]), _chance(whole[keep], of[name][keep]), **by)
                    if name
                    else mean((cut[key].argmax(-1) != whole.argmax(-1)).astype(float), **by)
                    for key in keys
                    if key[0] == band and key[2] == random
                    for link in [key[1]]
                }
                for band in bands
            }
    hybrid = any(name.endswith(".conv") for name in sites(listener))
    return Knockout(model=listener.name, bands=bands, whole=wholes, hybrid=hybrid, **made)


_OF = {"emotion": "voice", "lexical_emotion": "words"}


def _chance(logits: np.ndarray, emotion: np.ndarray) -> np.ndarray:
    """(N, 7), (N,) -> (N,) probability of an emotion among the seven."""
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray((exp / exp.sum(axis=-1, keepdims=True))[np.arange(len(logits)), emotion])


def _bands(layers: Sequence[int]) -> dict[str, Sequence[int]]:
    if len(layers) <= 8:
        return {"all layers": layers, **{f"lm.{k}": [k] for k in layers}}
    thirds = [part.tolist() for part in np.array_split(np.array(layers), 3)]
    return {"all layers": layers, **{f"lm.{part[0]} to {part[-1]}": part for part in thirds}}


def _links(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each segment to each that stands before it, where the sound is one of the two, or the last place looks."""
    order = [n for n in ("before", "tone", "words", "instruction") if n in names]
    order += [n for n in names if n not in order and n != "last"] + ["last"]
    return [(a, b) for i, a in enumerate(order) for b in order[:i] if b != "before" and (a == "last" or b in ("tone", "words"))]


def _between(looks: Tensor, at: Tensor) -> Tensor:
    """(B, S) from, (B, S) to -> (B, S, S) True where a place may not look at another; each still sees itself, and none sees what comes later."""
    size = looks.shape[1]
    earlier = torch.ones(size, size, dtype=torch.bool, device=looks.device).tril(-1)
    return looks[:, :, None] & at[:, None, :] & earlier


def _others(cut: Tensor, real: Tensor, seed: int) -> Tensor:
    """(S, S) -> for each place that is cut off from some, as many others that it sees, drawn; all of them where there are too few."""
    size = len(cut)
    number = cut.sum(dim=1)
    earlier = torch.ones(size, size, dtype=torch.bool, device=cut.device).tril(-1)
    free = earlier & real[None, :] & ~cut
    # Drawn from the right, so that padding on the left changes nothing.
    drawn = torch.rand(size, size, generator=torch.Generator().manual_seed(seed)).flip(0, 1).to(cut.device)
    rank = drawn.masked_fill(~free, 2.0).argsort(dim=1).argsort(dim=1)
    return free & (rank < number[:, None])


@contextmanager
def masked(attentions: Sequence[nn.Module], blocked: Tensor, real: Tensor) -> Iterator[None]:
    """Let no place look where `blocked` (B, S, S) is True, in these attention modules; `real`: (B, S) True where there is no padding.

    Raises:
        ValueError: an attention's mask is not one of places by places (flash attention): load the model with `sdpa` or `eager`.
    """
    with ExitStack() as stack:
        for module in attentions:
            names = list(inspect.signature(module.forward).parameters)

            def before(
                _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], names: list[str] = names
            ) -> tuple[tuple[Any, ...], dict[str, Any]]:
                where = names.index("attention_mask")
                state = args[0] if args else kwargs["hidden_states"]
                given = args[where] if where < len(args) else kwargs.get("attention_mask")
                new = _without(given, blocked[:, None], real, state.dtype)
                if where < len(args):
                    return (*args[:where], new, *args[where + 1 :]), kwargs
                return args, {**kwargs, "attention_mask": new}

            stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
        yield


def _without(given: Tensor | None, blocked: Tensor, real: Tensor, dtype: torch.dtype) -> Tensor:
    if given is None:
        size = blocked.shape[-1]
        seen = torch.ones(size, size, dtype=torch.bool, device=blocked.device).tril() & real[:, None, None, :]
        given = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)
    if given.ndim != 4:
        raise ValueError("attention can be cut only where its mask is one of places by places; load the model with sdpa or eager attention")
    return given & ~blocked if given.dtype == torch.bool else given.masked_fill(blocked, torch.finfo(given.dtype).min)
