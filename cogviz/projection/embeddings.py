"""Maps of recorded states in two dimensions, one above the other where several stages are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from cogviz.probing.discriminant import reduced
from cogviz.probing.record import Recording
from cogviz.utterance import Utterance

Method = Literal["umap", "pca", "tsne"]

NEIGHBOURS = 15


@dataclass(frozen=True, eq=False)
class Map:
    """States of one site in two dimensions.

    Attributes:
        name: what the map is of. points: (N, 2), one an utterance. Neighbours mean something, axes and distances between groups do not.
        trust: trustworthiness (Venna & Kaski 2001), 0 .. 1: whether neighbours on the map are neighbours in the states; chance: that of the same
            points dealt out at random.
    """

    name: str
    method: Method
    utterances: tuple[Utterance, ...]
    points: np.ndarray
    trust: float
    chance: float


def stages(
    recordings: Sequence[Recording],
    sites: Sequence[str],
    *,
    segment: str | None = None,
    method: Method = "umap",
    neighbours: int = NEIGHBOURS,
    seed: int = 0,
) -> tuple[Map, ...]:
    """Map the same utterances at several sites, or in several variants of a model, so that each keeps its place as far as it can.

    Args:
        recordings, sites: one of either for all, or as many of both as there are stages.
        method: UMAP and t-SNE begin with the map of the stage before (AlignedUMAP does more, but takes minutes before its first map); all are then
            turned onto it (Procrustes).

    Raises:
        ValueError: different utterances, fewer than 4, an unknown method, or lists of different lengths.
    """
    count = max(len(recordings), len(sites))
    if not {len(recordings), len(sites)} <= {1, count} or not recordings or not sites:
        raise ValueError(f"{len(recordings)} recordings and {len(sites)} sites: give one of either for all, or as many of both")
    pairs = [(recordings[i % len(recordings)], sites[i % len(sites)]) for i in range(count)]
    first = pairs[0][0]
    if any([u.id for u in r.utterances] != [u.id for u in first.utterances] for r, _ in pairs):
        raise ValueError("the stages are of different utterances")
    states = [standardised(r.of(site, segment)) for r, site in pairs]
    points: list[np.ndarray] = []
    for x in states:
        before = points[-1] if points else None
        now = flat(x, method=method, neighbours=neighbours, seed=seed, start=before)
        points.append(now if before is None else onto(now, before))
    several = len({r.listener for r, _ in pairs}) > 1
    found = []
    for (recording, site), x, y in zip(pairs, states, points, strict=True):
        name = f"{recording.listener}, {site}" if several else site
        trust, chance = trustworthiness(x, y, seed=seed)
        found.append(Map(name, method, recording.utterances, y, trust, chance))
    return tuple(found)


def standardised(states: np.ndarray) -> np.ndarray:
    """(N, ...) -> (N, D) with every dimension of mean 0 and equal scale; what a row lacks counts as the mean."""
    whole = states.reshape(len(states), -1).astype(np.float32)
    return reduced(np.where(np.isfinite(whole), whole, np.nanmean(whole, axis=0))[None])[0].numpy()


def flat(
    states: np.ndarray, *, method: Method = "umap", neighbours: int = NEIGHBOURS, seed: int = 0, start: np.ndarray | None = None
) -> np.ndarray:
    """(N, D) -> (N, 2) by UMAP (McInnes et al. 2018), PCA or t-SNE (van der Maaten & Hinton 2008).

    Args:
        start: (N, 2) where to begin; PCA needs none.

    Raises:
        ValueError: unknown method, or fewer than 4 utterances.
    """
    if method not in get_args(Method):
        raise ValueError(f"method is one of {', '.join(get_args(Method))}, not {method!r}")
    if len(states) < 4:
        raise ValueError(f"a map needs 4 utterances at least, got {len(states)}")
    near = min(neighbours, len(states) - 1)
    if method == "pca":
        from sklearn.decomposition import PCA

        return np.asarray(PCA(2, svd_solver="full").fit_transform(states))
    if method == "tsne":
        from sklearn.manifold import TSNE

        begin = "pca" if start is None else (1e-4 * (start - start.mean(axis=0)) / start[:, 0].std()).astype(np.float32)
        return np.asarray(TSNE(2, perplexity=min(2 * near, (len(states) - 1) / 3), init=begin, random_state=seed).fit_transform(states))
    umap = _umap()
    begin = "spectral" if start is None else start.astype(np.float32)
    return np.asarray(umap.UMAP(n_neighbors=near, init=begin, random_state=seed, n_jobs=1).fit_transform(states))


def trustworthiness(states: np.ndarray, points: np.ndarray, *, k: int = 10, seed: int = 0) -> tuple[float, float]:
    """Return the trustworthiness of a map, and that of the same points dealt out at random."""
    from sklearn.manifold import trustworthiness as of

    near = max(min(k, (len(states) - 1) // 2 - 1), 1)
    mixed = np.random.default_rng(seed).permutation(points)
    return float(of(states, points, n_neighbors=near)), float(of(states, mixed, n_neighbors=near))


def onto(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, 2) points turned, mirrored, moved and scaled as a whole to lie as near to (N, 2) others as they can (Procrustes)."""
    mean, target = points.mean(axis=0), others.mean(axis=0)
    a, b = points - mean, others - target
    u, s, v = np.linalg.svd(a.T @ b)
    return a @ (u @ v) * (s.sum() / max(float(np.square(a).sum()), 1e-12)) + target


def moved(first: Map, second: Map) -> np.ndarray:
    """(N,) how far each utterance moves from one map to the next, in units of the maps' own spread."""
    spread = np.sqrt(np.square(first.points - first.points.mean(axis=0)).sum(axis=1).mean())
    return np.linalg.norm(second.points - first.points, axis=1) / spread


def _umap() -> Any:
    try:
        import umap
    except ImportError as error:
        raise ImportError("UMAP is not installed; pip install 'cogviz[notebooks]', or take method='pca'") from error
    return umap
