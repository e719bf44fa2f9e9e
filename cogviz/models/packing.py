"""Rows without the places that nobody attends to: shorter, and without gaps that a convolution would see."""

from __future__ import annotations

import torch
from torch import Tensor


def packed(mask: Tensor, *, left: bool = False) -> Tensor:
    """(B, S') the places that are attended to, in their order, so that no row is longer than the longest needs; padding on one side.

    Rows must be packed and not only masked: a language model with convolutions would see the gaps.
    """
    longest = int(mask.sum(dim=1).max())
    order = mask.bool().to(torch.int8).argsort(dim=1, descending=not left, stable=True)
    return order[:, -longest:] if left else order[:, :longest]


def take(values: Tensor, order: Tensor) -> Tensor:
    """(B, S, H) -> (B, S', H) the values at `packed` places."""
    return values.gather(1, order[..., None].expand(-1, -1, values.shape[2]))
