"""Whether the voice's emotion or the words organise a space: scores of its neighbourhoods, which no map can distort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogviz import statistics
from cogviz.evaluation import results
from cogviz.probing.discriminant import reduced
from cogviz.probing.record import SOUND, Recording
from cogviz.probing.targets import TARGETS, base
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance

K = 10
"""Neighbours that are looked at."""


@dataclass(frozen=True)
class Neighbourhood:
    """How far one label organises one space.

    Attributes:
        purity: mean share of an utterance's nearest neighbours that have its label; neighbours of the same sentence do not count, unless the
            label is the sentence. Its chance is the mean where the labels are shuffled.
        silhouette: mean silhouette (Rousseeuw 1987), -1 .. 1, of the label's classes; its chance likewise.
        purity_p, silhouette_p: share of the shuffles (and the data itself) that are as high. A label that all variants of a sentence share is
            shuffled from sentence to sentence.
    """

    site: str
    segment: str
    label: str
    purity: Estimate
    silhouette: Estimate
    purity_p: float
    silhouette_p: float

    def row(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        found: dict[str, Any] = {n: getattr(self, n) for n in ("site", "segment", "label", "purity_p", "silhouette_p")}
        return found | {f"{name}_{key}": value for name in ("purity", "silhouette") for key, value in getattr(self, name).row().items()}


@dataclass(frozen=True)
class Neighbourhoods:
    """Neighbourhoods of all sites of one listener, by every label."""

    listener: str
    sites: tuple[str, ...]
    labels: tuple[str, ...]
    found: tuple[Neighbourhood, ...]

    def get(self, site: str, label: str) -> Neighbourhood:
        """Return one; raises KeyError."""
        for one in self.found:
            if (one.site, one.label) == (site, label):
                return one
        raise KeyError(f"no neighbourhood of {label} at {site}")

    def rows(self, *, data: str) -> list[dict[str, Any]]:
        """Return every estimate as a row of `evaluation.results`."""
        return [
            results.row(
                getattr(one, name), model=self.listener, measure="_".join(filter(None, (name, one.label, one.site, one.segment))), data=data
            )
            for one in self.found
            for name in ("purity", "silhouette")
        ]


def neighbourhoods(
    recording: Recording,
    *,
    sites: Sequence[str] | None = None,
    segment: str | None = None,
    labels: Sequence[str] = TARGETS,
    k: int = K,
    draws: int = 200,
    seed: int = 0,
    device: str = "cpu",
) -> Neighbourhoods:
    """Score the neighbourhoods of a recording's sites; every dimension counts as much (distances of standardised states).

    Args:
        segment: which, where recorded at segments; sites of the encoder have only their sound.
        labels: of `targets.TARGETS`. A label that is not known of all, or that all share, is left out.
        k: neighbours. draws: shuffles for chance.

    Raises:
        ValueError: recorded at positions; not more than k utterances; no label is left.
    """
    if len(recording) <= k + 1:
        raise ValueError(f"{len(recording)} utterances have no {k} neighbours; take more, or a smaller k")
    known = {name: column for name in labels if (column := _column(recording.utterances, name)) is not None}
    if not known:
        raise ValueError(f"none of {', '.join(labels)} is known of all utterances and differs between them")
    chosen = [s for s in recording.sites if sites is None or s in sites]
    sentence = np.array([base(u) for u in recording.utterances])
    draw = np.random.default_rng(seed)
    shuffles = {
        name: [_shuffled(column, None if name == "sentence" else sentence, draw) for _ in range(draws)] for name, column in known.items()
    }
    found = []
    for site in chosen:
        distance = distances(recording.of(site, segment), device)
        place = SOUND if site.startswith("encoder.") else segment or ""
        other = np.where(sentence[:, None] == sentence, np.inf, distance)
        for name, column in known.items():
            near = _nearest(distance if name == "sentence" else other, k, seed)
            values = purity(near, column), silhouette(distance, column)
            chance = [(purity(near, c).mean(), silhouette(distance, c).mean()) for c in shuffles[name]]
            estimates, shares = [], []
            for value, of_chance in zip(values, np.array(chance).reshape(-1, 2).T, strict=True):
                one = statistics.mean(value, sentences=sentence.tolist(), speakers=[u.speaker for u in recording.utterances])
                estimates.append(Estimate(one.value, one.low, one.high, one.n, float(of_chance.mean()), one.scope))
                shares.append(float((1 + (of_chance >= value.mean()).sum()) / (draws + 1)))
            found.append(Neighbourhood(site, place, name, estimates[0], estimates[1], shares[0], shares[1]))
    return Neighbourhoods(recording.listener, tuple(chosen), tuple(known), tuple(found))


def distances(states: np.ndarray, device: str = "cpu") -> np.ndarray:
    """(n, D) -> (n, n) Euclidean distances of standardised states; what a row lacks counts as the mean."""
    import torch

    flat = states.reshape(len(states), -1).astype(np.float32)
    mean = np.nanmean(flat, axis=0)
    x = reduced(np.where(np.isfinite(flat), flat, mean)[None], device)[0].double()
    found = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").cpu().numpy()
    np.fill_diagonal(found, 0)
    return np.asarray(found)


def purity(near: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n, k) neighbours, (n,) labels -> (n,) share of the neighbours with the same label."""
    return (labels[near] == labels[:, None]).mean(axis=1)


def silhouette(distance: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n, n), (n,) -> (n,) silhouettes; 0 for one that is alone in its class."""
    classes, code = np.unique(labels, return_inverse=True)
    member = (code[:, None] == np.arange(len(classes))).astype(float)
    total, size = distance @ member, member.sum(axis=0)
    own = size[code]
    inside = total[np.arange(len(code)), code] / np.maximum(own - 1, 1)
    outside = np.where(member > 0, np.inf, total / size).min(axis=1)
    return np.where(own > 1, (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-12), 0.0)


def _nearest(distance: np.ndarray, k: int, seed: int) -> np.ndarray:
    """(n, k) the nearest others; of those that are equally near, any."""
    apart = distance.copy()
    np.fill_diagonal(apart, np.inf)
    return np.lexsort((np.random.default_rng(seed).random(apart.shape), apart), axis=1)[:, :k]


def _column(utterances: Sequence[Utterance], name: str) -> np.ndarray | None:
    values = {
        "voice_emotion": [u.emotion for u in utterances],
        "word_emotion": [u.lexical_emotion for u in utterances],
        "sentence": [u.sentence or None for u in utterances],
        "speaker": [u.speaker or None for u in utterances],
    }
    if name not in values:
        raise ValueError(f"neighbourhoods are by {', '.join(TARGETS)}, not {name!r}")
    return None if None in values[name] or len(set(values[name])) < 2 else np.array(values[name], dtype=str)


def _shuffled(column: np.ndarray, sentence: np.ndarray | None, draw: np.random.Generator) -> np.ndarray:
    if sentence is not None:
        _, first, of = np.unique(sentence, return_index=True, return_inverse=True)
        if len(first) < len(column) and (column == column[first][of]).all():
            return draw.permutation(column[first])[of]
    return draw.permutation(column)
