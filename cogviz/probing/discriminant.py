"""Linear discriminants in closed form, all sites and all folds at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from cogviz.probing.targets import Folds

SHRINK = (0.05, 0.2, 0.5, 0.9)
"""Towards a covariance without correlations; the best on inner folds is taken."""

HEAT = (1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
"""Divisors of the scores: with about as many dimensions as items a discriminant is too sure of itself."""

DOUBT = 0.02
"""Share of every answer that is spread evenly over the classes, so that no code word is endless."""

LEAST = 1e-4
"""Mean variance within the classes, of a total of 1, below which they count as told apart without error."""

AT_ONCE = 1.5e8
"""Numbers in the covariances that are held at once."""


def log_probabilities(
    states: np.ndarray | Tensor,
    labels: np.ndarray,
    folds: Folds,
    inner: np.ndarray,
    *,
    classes: int,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Return (L, n, K) log p of each class by linear discriminant analysis with a shrunken covariance and even priors.

    Each item is told by the job that tests it; NaN where none does. Shrinkage and heat are chosen for each site and job on inner folds of its
    training items. Scales are made equal over all items, which uses no label.

    Args:
        states: (L, n, D) of L sites. labels: (n,) in 0 .. classes - 1. inner: (n,) inner fold of each item.
    """
    x = reduced(states, device)
    y = torch.as_tensor(labels, device=x.device)
    train = torch.as_tensor(folds.train, device=x.device)
    out = np.full((len(x), len(labels), classes), np.nan)
    items = np.flatnonzero(folds.tested >= 0)
    if not len(items):
        return out
    test = torch.as_tensor(folds.tested[None] == np.arange(len(folds.train))[:, None], device=x.device)
    part = torch.as_tensor(inner, device=x.device)
    job, item = test.nonzero(as_tuple=True)
    place = test.cumsum(1)[job, item] - 1  # of the item among those that its job tests
    step = max(int(AT_ONCE / (len(train) * (1 + int(inner.max() + 1)) * x.shape[2] ** 2)), 1)
    for start in range(0, len(x), step):
        some = x[start : start + step]
        shrink, heat = _chosen(some, y, train, part, classes)
        scores = torch.stack(list(_discriminants(some, y, train, test, classes)))  # (S, L, J, tested, K)
        site = torch.arange(len(some), device=x.device)
        told = scores[shrink, site[:, None], torch.arange(len(train), device=x.device)] / heat[..., None, None]
        out[start : start + step, item.cpu().numpy()] = _doubtful(told[:, job, place]).cpu().numpy()
    return out


def reduced(states: np.ndarray | Tensor, device: str | torch.device = "cpu") -> Tensor:
    """(L, n, D) -> (L, n, min(n, D)) float32 centred, of equal scales, in the space that the items span: distances are what they were."""
    x = torch.as_tensor(np.asarray(states), dtype=torch.float32).to(device)
    x = x - x.mean(dim=1, keepdim=True)
    x = x / x.std(dim=1, keepdim=True).clamp(min=1e-6)
    if x.shape[2] > x.shape[1]:
        u, s, _ = torch.linalg.svd(x, full_matrices=False)
        x = u * s[:, None]
    return x


def _discriminants(x: Tensor, y: Tensor, train: Tensor, test: Tensor, classes: int) -> Iterator[Tensor]:
    """Yield (L, J, most tested, K) scores of the tested items for each of `SHRINK`, what is too much behind them."""
    items, real = _indices(train)
    learnt, label = x[:, items], y[items]  # (L, J, m, D), (J, m)
    member = torch.nn.functional.one_hot(label, classes).float() * real[..., None]
    count = member.sum(1)
    mean = member.transpose(-1, -2) @ learnt / count.clamp(min=1)[..., None]
    own = mean.gather(2, label[None, :, :, None].expand(len(x), -1, -1, x.shape[2]))
    within = (learnt - own) * real[..., None]
    freedom = (train.sum(1) - (count > 0).sum(1)).clamp(min=1)
    covariance = within.transpose(-1, -2) @ within / freedom[:, None, None]
    level = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None].clamp(min=LEAST)
    unit = torch.eye(x.shape[2], device=x.device)
    asked = x[:, _indices(test)[0]]
    for share in SHRINK:
        factor = torch.linalg.cholesky((1 - share) * covariance + share * level * unit)
        weight = torch.cholesky_solve(mean.transpose(-1, -2), factor)  # (L, J, D, K)
        bias = -0.5 * (mean.transpose(-1, -2) * weight).sum(-2)
        yield (asked @ weight + bias[:, :, None]).masked_fill((count == 0)[:, None], float("-inf"))


def _indices(mask: Tensor) -> tuple[Tensor, Tensor]:
    """(J, n) -> (J, m) the items of each row, m of the fullest, and where they are real; the others are any."""
    most = int(mask.sum(1).max())
    order = mask.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    return order, mask.gather(1, order)


def _chosen(x: Tensor, y: Tensor, train: Tensor, part: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """(L, J) index into `SHRINK`, and heat, with the smallest loss on inner folds."""
    parts = part.unique()
    without = (train[:, None] & (part != parts[:, None])).flatten(0, 1)  # (J x I, n)
    left = (train[:, None] & (part == parts[:, None])).flatten(0, 1)
    items, real = _indices(left)
    label = y[items][None, :, :, None].expand(len(x), -1, -1, 1)
    losses = []
    for scores in _discriminants(x, y, without, left, classes):
        for heat in HEAT:
            right = _doubtful(scores / heat).gather(-1, label)[..., 0]
            losses.append(-(right * real).sum(-1).unflatten(1, (len(train), len(parts))).sum(-1))
    best = torch.stack(losses).argmin(dim=0)
    return best // len(HEAT), torch.tensor(HEAT, device=x.device)[best % len(HEAT)]


def _doubtful(scores: Tensor) -> Tensor:
    """Log probabilities of scores, a little of them even."""
    return ((1 - DOUBT) * scores.softmax(-1).nan_to_num(1 / scores.shape[-1]) + DOUBT / scores.shape[-1]).log()
