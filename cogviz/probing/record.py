"""States of many utterances at named sites: in batches, reduced where they are made, into memory or into files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from cogviz.emotions import EMOTIONS
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Passage, Transparent
from cogviz.probing.keeper import Keeper
from cogviz.probing.segments import SEGMENTS, segments, tones
from cogviz.probing.sites import eager_attention, find, hooked
from cogviz.utterance import Utterance

At = Literal["segments", "positions", "pooled", "end"]
Kind = Literal["naming", "answer"]

SOUND = "sound"
"""The one segment of an encoder's site: its frames that are no padding."""

GIGABYTES = 4.0
"""Of memory that a recording may take where it goes into no folder."""


@dataclass(frozen=True, eq=False)
class Recording:
    """What a listener's sites held while it heard, an utterance a row.

    Attributes:
        listener: its name. kind: the passage, up to where the emotion is asked for ("naming") or with an answer ("answer").
        at: what was kept of each row. "segments": the mean over each segment's places; "pooled": over all places; "end": the last place;
            "positions": every place. Encoder sites have no segments and no end: the mean over their frames, or every frame.
        segments: names, in the order of the arrays' second axis.
        states: site -> (N, G, D) at segments, NaN where a row lacks one; (N, D) pooled, at the end, and of an encoder; (all places, D) at
            positions (see `row`). Of attention weights (N, heads, G, G) from segment to segment: the mean over places that read of the sum over
            places that are read; (N, heads, G) pooled and at the end; at positions each row's (heads, S, S), flat.
        spans: site -> (N, 2) where each row begins and ends, as they lie in the order in which they were heard; at positions only.
        places: (all places,) segment of each place as index into `SEGMENTS`, and ids: its token; at positions only, with the spans of "places".
        scores: (N, 7) log p of the emotions by the first token of their labels, normalised over the seven; None where none is asked for.
    """

    listener: str
    utterances: tuple[Utterance, ...]
    kind: Kind
    at: At
    segments: tuple[str, ...]
    states: Mapping[str, np.ndarray]
    scores: np.ndarray | None = None
    spans: Mapping[str, np.ndarray] | None = None
    places: np.ndarray | None = None
    ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, as they were asked for."""
        return tuple(self.states)

    def segments_of(self, site: str) -> tuple[str, ...]:
        """The segments that a site has: those of the passage, or the sound alone for an encoder."""
        return (SOUND,) if _is_encoder(site) else self.segments

    def of(self, site: str, segment: str | None = None) -> np.ndarray:
        """Return (N, D) a site's states, one row an utterance; `segment` where they were kept by segment.

        Raises:
            ValueError: the site or segment was not recorded, or every place was kept (see `row`).
        """
        if site not in self.states:
            raise ValueError(f"{site!r} was not recorded; there are {', '.join(self.sites)}")
        if self.at == "positions":
            raise ValueError("every place was kept: take `row`, or record at='segments'")
        states = self.states[site]
        if self.at != "segments" or _is_encoder(site):
            return states
        if segment not in self.segments:
            raise ValueError(f"no segment {segment!r} was recorded; choose from {', '.join(self.segments)}")
        return states[:, self.segments.index(segment)]

    def row(self, site: str, row: int) -> np.ndarray:
        """Return (places, D) one utterance's states at a site, or (heads, places, places) of attention weights; recorded at positions."""
        if self.spans is None:
            raise ValueError(f"recorded at={self.at!r}: single places were not kept; record at='positions'")
        start, stop = self.spans[site][row]
        found = self.states[site][start:stop]
        if _is_pattern(site):
            size = int(np.diff(self.spans["places"][row])[0])
            return found.reshape(-1, size, size)
        return found

    def segments_at(self, row: int) -> np.ndarray:
        """(places,) one utterance's segments as indices into `SEGMENTS`; recorded at positions."""
        if self.spans is None or self.places is None:
            raise ValueError(f"recorded at={self.at!r}: single places were not kept; record at='positions'")
        return self.places[slice(*self.spans["places"][row])]


def record(
    listener: Transparent,
    utterances: Sequence[Utterance],
    sites: Sequence[str],
    *,
    at: At = "segments",
    passage: Kind = "naming",
    answers: Sequence[str] | None = None,
    route: str = "reason",
    folder: str | Path | None = None,
    gigabytes: float = GIGABYTES,
    dtype: str = "float32",
    batch: int | None = None,
    progress: bool = True,
) -> Recording:
    """Hear utterances and keep what the sites hold.

    Memory holds one batch, reduced site by site as it is made, and the result; with a `folder` the result is in files.

    Args:
        sites: names as `sites.sites` has them.
        at: what to keep of each row (see `Recording`).
        passage: "naming": up to where the emotion is asked for, with scores; "answer": with its `answers` (None: the model's own) on a `route`.
        folder: keep the result there, memory-mapped, and not in memory.
        gigabytes: most that the result may take in memory.
        dtype: of the result, "float32" or "float16".
        batch: utterances at once; None: the listener's, or found automatically. A batch that does not fit is halved.

    Raises:
        UnknownSite: a name is none of the listener's.
        NoAttention: an attention gives no weights.
        ValueError: no utterances, an unknown `at` or `passage`, answers without "answer".
        MemoryError: the result takes more than `gigabytes`.
    """
    _check(utterances, at, passage, answers)
    if not isinstance(sites, (list, tuple)) or not sites:
        raise ValueError("sites is a list of names, such as ['connector', 'lm.0']")
    find(listener, sites)
    keeper = Keeper(list(dict.fromkeys(sites)), at, len(utterances), folder, gigabytes, np.dtype(dtype))
    names: tuple[str, ...] = ()

    def work(rows: list[int]) -> list[np.ndarray | None]:
        nonlocal names
        some = [utterances[i] for i in rows]
        said = None if answers is None else [answers[i] for i in rows]
        with torch.inference_mode(), ExitStack() as stack:
            stack.enter_context(_once(listener))
            frames: dict[str, Tensor] = {}
            encoder = [name for name in keeper.sites if _is_encoder(name)]
            stack.enter_context(hooked(listener, {name: _kept(frames, name) for name in encoder}))
            whole = listener.naming(some) if passage == "naming" else listener.passage(some, said, route=route)
            found = segments(listener, whole)
            names = names or _names(found, passage, tones(listener))
            reduce = _Reduce(found, names, at)
            held: dict[str, list[Tensor] | Tensor] = {}
            decoder = [name for name in keeper.sites if not _is_encoder(name)]
            with hooked(listener, {name: reduce.into(held, name) for name in decoder}):
                logits = listener.logits(whole, keep=1)[:, -1]
            for name, states in frames.items():
                held[name] = _over_frames(states, _real_frames(whole, states, name, len(rows)), at)
            keeper.keep(rows, held, reduce.real, whole.ids, found)
            return _label_scores(listener, logits) if passage == "naming" else [None] * len(rows)

    with ExitStack() as stack:
        if any(map(_is_pattern, sites)):
            stack.enter_context(eager_attention(listener))
        if any(map(_is_encoder, sites)):
            stack.enter_context(_from_the_sound(listener))
        scores: list[np.ndarray | None] = in_batches(
            work,
            [spoken_seconds(u) for u in utterances],
            device=listener.model.device,
            batch=batch or getattr(listener, "batch", None),
            name=f"{listener.name}: recording",
            progress=progress,
        )
    states, spans, places, ids = keeper.done()
    known = [s for s in scores if s is not None]
    told = np.stack(known) if len(known) == len(scores) else None
    return Recording(listener.name, tuple(utterances), passage, at, names, states, told, spans, places, ids)


def _check(utterances: Sequence[Utterance], at: str, passage: str, answers: Sequence[str] | None) -> None:
    if not len(utterances):
        raise ValueError("nothing to record: no utterances")
    for name, value, known in (("at", at, get_args(At)), ("passage", passage, get_args(Kind))):
        if value not in known:
            raise ValueError(f"{name} is one of {', '.join(known)}, not {value!r}")
    if answers is not None and (passage == "naming" or len(answers) != len(utterances)):
        raise ValueError("answers go with passage='answer', one for each utterance")


def _is_encoder(site: str) -> bool:
    return site.startswith("encoder.")


def _is_pattern(site: str) -> bool:
    return site.endswith(".pattern")


def _once(listener: Transparent) -> Any:
    return listener.hearing_once() if hasattr(listener, "hearing_once") else nullcontext()


@contextmanager
def _from_the_sound(listener: Transparent) -> Iterator[None]:
    """Encode inside the block what was encoded before, too: kept features are of half precision, pooled, and the last is after a norm."""
    kept = getattr(listener, "states", None)
    if kept is None:
        yield
        return
    listener.states = {}  # type: ignore[attr-defined]
    try:
        yield
    finally:
        listener.states = kept  # type: ignore[attr-defined]


def _kept(into: dict[str, Tensor], name: str) -> Callable[[Tensor], None]:
    def edit(state: Tensor) -> None:
        into[name] = state

    return edit


def _names(found: Tensor, passage: Kind, tone: int) -> tuple[str, ...]:
    """Segments to keep: those of every row where all rows are alike, else all that an answer may have."""
    if passage == "naming":
        present = set(found.unique().tolist())
        return tuple(name for i, name in enumerate(SEGMENTS) if name != "padding" and i in present)
    return tuple(name for name in SEGMENTS if name != "padding" and (tone or name != "tone"))


class _Reduce:
    """What is kept of a batch's states, made on the device the moment that they are there."""

    def __init__(self, found: Tensor, names: Sequence[str], at: At) -> None:
        self.at, self.real = at, found != SEGMENTS.index("padding")
        self.member = torch.stack([found == SEGMENTS.index(name) for name in names], dim=1)  # (B, G, S)

    def into(self, held: dict[str, Any], name: str) -> Callable[[Tensor], None]:
        reduce = self._pattern if _is_pattern(name) else self._states

        def edit(state: Tensor) -> None:
            held[name] = reduce(state)

        return edit

    def _states(self, states: Tensor) -> Tensor | list[Tensor]:
        if self.at == "end":
            return states[:, -1]
        if self.at == "positions":
            return [s[r].cpu() for s, r in zip(states, self.real, strict=True)]
        if self.at == "pooled":
            return _mean(states, self.real[:, None])[:, 0]
        return _mean(states, self.member)

    def _pattern(self, weights: Tensor) -> Tensor | list[Tensor]:
        if self.at == "positions":
            return [w[:, r][:, :, r].flatten().cpu() for w, r in zip(weights, self.real, strict=True)]
        weights = weights.float()
        read = torch.einsum("bhqs,bgs->bhqg", weights[:, :, -1:] if self.at == "end" else weights, self.member.float())
        if self.at == "end":
            return read[:, :, 0]
        readers = self.real[:, None] if self.at == "pooled" else self.member
        mean = torch.einsum("bhqg,brq->bhrg", read, readers.float()) / readers.sum(-1)[:, None, :, None]
        return mean[:, :, 0] if self.at == "pooled" else mean


def _mean(states: Tensor, member: Tensor) -> Tensor:
    """(B, S, D), (B, G, S) -> (B, G, D) float32 means over the members; NaN where there is none."""
    counted = member.any(dim=1)[..., None]  # what padding holds may be no number at all
    total = torch.bmm(member.float(), states.float().masked_fill(~counted, 0))
    return total / member.sum(dim=-1, keepdim=True)


def _over_frames(states: Tensor, real: Tensor, at: At) -> Tensor | list[Tensor]:
    if at == "positions":
        return [s[r].cpu() for s, r in zip(states, real, strict=True)]
    return _mean(states, real[:, None])[:, 0]


def _real_frames(passage: Passage, states: Tensor, name: str, rows: int) -> Tensor:
    """(B, F) True where an encoder's frame is no padding, by the mask of the sound that went in; all where there is none."""
    if states.dim() != 3 or len(states) != rows:
        raise ValueError(
            f"{name} does not hold one row an utterance but {tuple(states.shape)}; record with batch=1, or a site of the decoder"
        )
    masks = (passage.inputs.get(key) for key in ("feature_attention_mask", "input_features_mask"))
    mask = next((m for m in masks if m is not None and len(m) == rows), None)
    frames = states.shape[1]
    if mask is None:
        return torch.ones((rows, frames), dtype=torch.bool, device=states.device)
    return mask.bool()[:, :: max(round(mask.shape[1] / frames), 1)][:, :frames]


def _label_scores(listener: Transparent, logits: Tensor) -> list[np.ndarray | None]:
    try:
        labels = listener.label_tokens
    except ValueError:  # two labels begin alike: one place does not tell them apart
        return [None] * len(logits)
    assert len(labels) == len(EMOTIONS)
    return list(logits.float().log_softmax(-1)[:, labels].log_softmax(-1).cpu().numpy())
