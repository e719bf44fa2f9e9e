"""Lenses: which of the emotions' words the residual stream would say, were it read out after each layer.

The logit lens (nostalgebraist 2020) puts each state through the final norm and the output embedding. States of early layers lie in another
basis; the tuned lens first maps them into that of the last layer. The map here is affine and fitted by least squares in closed form (Din et al.
2023, arXiv 2303.09435; Belrose et al. 2023, arXiv 2303.08112, fit it by gradient), on other sentences than it is used on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cogviz import statistics
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import results
from cogviz.models.protocol import Transparent
from cogviz.probing.record import Recording
from cogviz.probing.segments import SEGMENTS
from cogviz.probing.sites import stream
from cogviz.probing.targets import base
from cogviz.statistics import Estimate

NORMS = ("norm", "embedding_norm", "final_layernorm", "ln_f")
"""Names that models of transformers give the norm after their last layer."""

RIDGE = 1e-3
"""Of the tuned lens, as a share of the mean variance."""

WORD_PLACES = 4
"""The words are of different lengths: their places are put into so many equal parts."""


@dataclass(frozen=True)
class Seen:
    """What a lens sees at one site and segment.

    Attributes:
        voice, words: share of the utterances whose likeliest word is that of the voice's, of the words' emotion. likelihood: mean p of the voice's.
        explained: share of the last layer's variance that the tuned lens explains on new sentences; None of the plain lens.
    """

    site: str
    segment: str
    voice: Estimate
    words: Estimate
    likelihood: float
    explained: float | None

    def row(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        given = {"site": self.site, "segment": self.segment, "likelihood": self.likelihood, "explained": self.explained}
        return given | {f"{name}_{key}": value for name in ("voice", "words") for key, value in getattr(self, name).row().items()}


@dataclass(frozen=True, eq=False)
class Lens:
    """What a lens sees.

    Attributes:
        listener: its name. tuned: whether states were mapped into the last layer's basis first.
        seen: by site and segment, from the segment's mean of the log p.
        sites: along the residual stream. columns: places that all utterances have, by name, as they come in the passage.
        voice, words: (sites, columns) share of the utterances whose likeliest word is that of the voice's, of the words' emotion at the place.
    """

    listener: str
    tuned: bool
    seen: tuple[Seen, ...]
    sites: tuple[str, ...]
    columns: tuple[str, ...]
    voice: np.ndarray
    words: np.ndarray

    def get(self, site: str, segment: str) -> Seen:
        """Return what is seen at a site and segment; raises KeyError."""
        for one in self.seen:
            if (one.site, one.segment) == (site, segment):
                return one
        raise KeyError(f"nothing was seen at {site} {segment}")

    def rows(self, *, data: str) -> list[dict[str, Any]]:
        """Return the shares as rows of `evaluation.results`."""
        kind = "tuned_lens" if self.tuned else "logit_lens"
        return [
            results.row(getattr(one, name), model=self.listener, measure=f"{kind}_{name}_{one.site}_{one.segment}", data=data)
            for one in self.seen
            for name in ("voice", "words")
        ]


def lens(listener: Transparent, recording: Recording, *, tuned: bool = False, seed: int = 0) -> Lens:
    """Read the residual stream of a recording through the listener's own output.

    Args:
        recording: at positions, of `sites.stream(listener)` or some of it; a tuned lens needs the last layer, too.
        tuned: map into the last layer's basis first, by an affine map that is fitted on one half of the sentences and used on the other.

    Raises:
        ValueError: not recorded at positions; an utterance without emotion; for a tuned lens: the last layer was not recorded, or one sentence only.
    """
    if recording.at != "positions":
        raise ValueError("a lens looks at every place: record at='positions'")
    sites = [name for name in stream(listener) if name in recording.sites]
    if not sites:
        raise ValueError(f"nothing of the residual stream was recorded; record {', '.join(stream(listener))}")
    truth = np.array([EMOTIONS.index(u.emotion) if u.emotion else -1 for u in recording.utterances])
    if (truth < 0).any():
        raise ValueError(f"{int((truth < 0).sum())} utterance(s) have no emotion; leave them out")
    lexical = np.array([EMOTIONS.index(u.lexical_emotion) if u.lexical_emotion else -1 for u in recording.utterances])
    last, spans = stream(listener)[-1], _spans(recording)
    half = _half(recording, last, seed) if tuned else None
    columns, of = _columns(listener, recording)
    seen: list[Seen] = []
    maps: dict[str, list[np.ndarray]] = {"voice": [], "words": []}
    for site in sites:
        states = recording.states[site]
        explained = None
        if half is not None:
            states, explained = _carried(states, recording.states[last], half, device=listener.model.device)
        told = _read_out(listener, states)
        likeliest = told.argmax(axis=1)
        for name, wanted in (("voice", truth), ("words", lexical)):
            asked = np.full(len(told), -1)
            for (start, stop), code in zip(spans, wanted, strict=True):
                asked[start:stop] = code
            maps[name].append(_by_column(likeliest == asked, asked >= 0, of, len(columns)))
        for segment in recording.segments:
            seen += _at_segment(recording, spans, told, site, segment, truth, lexical, explained)
    return Lens(recording.listener, tuned, tuple(seen), tuple(sites), columns, np.stack(maps["voice"]), np.stack(maps["words"]))


def final_norm(listener: Transparent) -> nn.Module:
    """Return the norm between the last layer and the output embedding.

    Raises:
        ValueError: none is found.
    """
    first = listener.layers()[0]
    for module in listener.model.modules():
        if isinstance(layers := getattr(module, "layers", None), nn.ModuleList) and len(layers) and layers[0] is first:
            for name in NORMS:
                if isinstance(norm := getattr(module, name, None), nn.Module):
                    return norm
    raise ValueError(f"{listener.name}: no norm ({', '.join(NORMS)}) was found behind its layers, so a lens cannot read them")


def _read_out(listener: Transparent, states: np.ndarray, at_once: int = 20_000) -> np.ndarray:
    """(P, D) -> (P, 7) log p of the emotions' words among themselves."""
    norm, embedding = final_norm(listener), listener.model.get_output_embeddings()
    weight = embedding.weight[listener.label_tokens].float()
    bias = embedding.bias[listener.label_tokens].float() if getattr(embedding, "bias", None) is not None else 0.0
    found = []
    with torch.inference_mode():
        for start in range(0, len(states), at_once):
            some = torch.as_tensor(np.asarray(states[start : start + at_once]), device=weight.device).to(_dtype(norm))
            found.append((norm(some).float() @ weight.T + bias).log_softmax(-1).cpu().numpy())
    return np.concatenate(found)


def _dtype(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters()), torch.float32)


def _spans(recording: Recording) -> np.ndarray:
    """(N, 2) where each row's places are; the same for all sites of the decoder."""
    assert recording.spans is not None
    return recording.spans["places"]


def _half(recording: Recording, last: str, seed: int) -> np.ndarray:
    """(places,) True where the sentence is of the first half."""
    if last not in recording.sites:
        raise ValueError(f"a tuned lens maps to the last layer: record {last}, too")
    names = np.array([base(u) for u in recording.utterances])
    if len(different := np.unique(names)) < 2:
        raise ValueError("a tuned lens is fitted on other sentences than it is used on: record two at least")
    first = np.random.default_rng(seed).permutation(different)[: len(different) // 2]
    found = np.zeros(int(_spans(recording).max()), dtype=bool)
    for name, (start, stop) in zip(names, _spans(recording), strict=True):
        found[start:stop] = name in first
    return found


def _carried(states: np.ndarray, last: np.ndarray, half: np.ndarray, *, device: Any) -> tuple[np.ndarray, float]:
    """Map the states of either half to the last layer by what was fitted on the other; also the share of variance explained."""
    x, y = (torch.as_tensor(np.asarray(a), device=device).float() for a in (states, last))
    mask = torch.as_tensor(half, device=device)
    out = torch.empty_like(y)
    for learnt, used in ((mask, ~mask), (~mask, mask)):
        matrix, bias = affine(x[learnt], y[learnt])
        out[used] = x[used] @ matrix + bias
    left = (y - out).square().sum()
    return out.cpu().numpy(), float(1 - left / (y - y.mean(dim=0)).square().sum())


def affine(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return (D, E), (E,) with x @ matrix + bias nearest to y, by ridge regression in closed form."""
    mean_x, mean_y = x.mean(dim=0), y.mean(dim=0)
    centred = (x - mean_x).double()
    square = centred.T @ centred
    penalty = RIDGE * square.diagonal().mean().clamp(min=1e-12) * torch.eye(len(square), device=x.device, dtype=square.dtype)
    matrix = torch.linalg.solve(square + penalty, centred.T @ (y - mean_y).double()).to(x.dtype)
    return matrix, mean_y - mean_x @ matrix


def _at_segment(
    recording: Recording,
    spans: np.ndarray,
    told: np.ndarray,
    site: str,
    segment: str,
    truth: np.ndarray,
    lexical: np.ndarray,
    explained: float | None,
) -> list[Seen]:
    assert recording.places is not None
    here = recording.places == SEGMENTS.index(segment)
    rows, mean = [], []
    for row, (start, stop) in enumerate(spans):
        if (inside := here[start:stop]).any():
            rows.append(row)
            mean.append(told[start:stop][inside].mean(axis=0))
    if not rows:
        return []
    at, likeliest = np.array(rows), np.argmax(mean, axis=1)
    shares = []
    for wanted in (truth, lexical):
        known = wanted[at] >= 0
        some = [recording.utterances[i] for i in at[known]] or [recording.utterances[0]]
        hit = likeliest[known] == wanted[at][known] if known.any() else np.array([np.nan])
        shares.append(
            statistics.mean(hit, sentences=[u.sentence for u in some], speakers=[u.speaker for u in some], chance=1 / len(EMOTIONS))
        )
    likelihood = float(np.exp(np.array(mean))[np.arange(len(at)), truth[at]].mean())
    return [Seen(site, segment, shares[0], shares[1], likelihood, explained)]


def _columns(listener: Transparent, recording: Recording) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of places that all rows have, and (places,) the column of each place.

    The words are of different lengths and are cut into `WORD_PLACES` parts; the other segments are counted from their start.
    """
    assert recording.places is not None
    assert recording.ids is not None
    tone, words, instruction = (SEGMENTS.index(name) for name in ("tone", "words", "instruction"))
    names: dict[tuple[float, int], str] = {}
    keys = np.empty((len(recording.places), 2))
    for start, stop in _spans(recording):
        segment = recording.places[start:stop]
        after = np.cumsum(np.isin(segment, (tone, words))) > 0
        rank = np.where((segment == instruction) & after, words + 0.5, segment)  # the instruction goes on behind the sound
        for one in np.unique(rank):
            inside = np.flatnonzero(rank == one)
            part = np.arange(len(inside))
            if one == words:
                part = part * WORD_PLACES // len(inside)
            keys[start + inside] = np.stack([np.full(len(inside), one), part], axis=1)
            for place, i in zip(inside, part.tolist(), strict=True):
                if (float(one), i) not in names:
                    said = listener.tokenizer.decode([int(recording.ids[start + place])]).strip() or "·"
                    names[float(one), i] = f"words {i + 1}/{WORD_PLACES}" if one == words else f"tone {i + 1}" if one == tone else said
    ordered, column = np.unique(keys, axis=0, return_inverse=True)
    return tuple(names[float(rank), int(part)] for rank, part in ordered), column.reshape(-1)


def _by_column(hit: np.ndarray, known: np.ndarray, of: np.ndarray, count: int) -> np.ndarray:
    size = np.bincount(of, weights=known, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.bincount(of, weights=hit & known, minlength=count) / size
