"""LEACE erasers (Belrose et al. 2023, arXiv 2306.03819; the package `concept-erasure`) of spans of places, and random ones of the same rank."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from concept_erasure import LeaceEraser, LeaceFitter

CONSTANT = 1e-6
"""A span whose states vary by less than this share of their size holds no concept: what stands before the sound."""

Erasers = dict[str, "LeaceEraser"]
"""span -> eraser; a span without one is left as it is."""


def fitter(width: int, classes: int, *, device: torch.device) -> LeaceFitter:
    """Return what gathers states (N, width) and one-hot classes (N, classes) bit by bit, in float64."""
    made: LeaceFitter = _leace().LeaceFitter(width, classes, device=device, dtype=torch.float64)
    return made


def fit_eraser(states: Tensor, labels: Sequence[int]) -> LeaceEraser:
    """Return the eraser of a concept: (N, D) states, (N,) classes. Afterwards no linear probe does better on them than a constant."""
    size = max(labels) + 1
    return (
        fitter(states.shape[1], size, device=states.device).update(states, one_hot(torch.tensor(labels, device=states.device), size)).eraser
    )


def one_hot(classes: Tensor, size: int) -> Tensor:
    """(N,) -> (N, size)."""
    return torch.nn.functional.one_hot(classes, size).double()


def varies(gathered: LeaceFitter) -> bool:
    """Return whether the states are more than one and the same."""
    assert gathered.sigma_xx_ is not None
    return float(gathered.sigma_xx_.trace() / gathered.n) > CONSTANT**2 * float(gathered.mean_x.square().sum())


def rank(eraser: LeaceEraser) -> int:
    """Return how many directions are taken away."""
    return int(torch.linalg.matrix_rank(eraser.proj_left @ eraser.proj_right))


def random_like(eraser: LeaceEraser, seed: Sequence[int]) -> LeaceEraser:
    """Return the eraser of a random subspace of the same rank, around the same mean."""
    if not (directions := rank(eraser)):
        return eraser
    drawn = np.linalg.qr(np.random.default_rng(list(seed)).normal(size=(len(eraser.proj_left), directions)))[0]
    basis = torch.as_tensor(drawn).to(eraser.proj_left)
    return _leace().LeaceEraser(basis, basis.mH, eraser.bias)


def erasing(erasers: Erasers, masks: dict[str, Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the change of copies' states (see `suffix.Change`) that applies each eraser where its span stands."""

    def change(which: Tensor, now: Tensor) -> Tensor:
        changed = now.clone()
        for name, eraser in erasers.items():
            if name in masks and (mask := masks[name][which]).any():
                changed[mask] = eraser(now[mask].double()).to(now.dtype)
        return changed

    return change


def _leace() -> Any:
    """The package, whose import warns of a way of torch that it still goes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import concept_erasure
    return concept_erasure
