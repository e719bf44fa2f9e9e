"""What tells one model's weights from another's, so that kept answers are never taken for those of other weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

VALUES = 1024
"""Of each tensor that are looked at, evenly spread: training changes them all."""


def fingerprint(*parts: nn.Module | Mapping[str, np.ndarray] | str) -> str:
    """Return 24 hexadecimal digits that depend on the names, shapes and values of weights, and on texts."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
            continue
        tensors = part.state_dict() if isinstance(part, nn.Module) else {name: torch.as_tensor(value) for name, value in part.items()}
        for name, tensor in tensors.items():
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            flat = tensor.detach().reshape(-1)
            digest.update(flat[:: max(1, len(flat) // VALUES)].float().cpu().numpy().tobytes())
    return digest.hexdigest()
