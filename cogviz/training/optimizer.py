"""Muon for the matrices inside the language model, AdamW for everything else (embeddings, norms, convolutions, adapters, connector)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

BETAS = (0.9, 0.98)


class MuonAdamW(torch.optim.Optimizer):
    """Two optimizers as one, so that a scheduler, `accelerate` and a saved state treat them as any other.

    Muon (Jordan et al. 2024; scaled after Liu et al. 2025, arXiv 2502.16982, so that both share a learning rate) orthogonalises the update of a
    matrix. A small language model learns to repeat what it reads in half of AdamW's time with it (see docs/decisions.md).

    Args:
        matrices: (rows, columns) weights for Muon.
        decayed, others: for AdamW, with and without weight decay.
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        decayed: list[nn.Parameter],
        others: list[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
    ) -> None:
        self._parts: list[torch.optim.Optimizer] = []
        if matrices:
            self._parts.append(torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))
        rest = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        if rest := [group for group in rest if group["params"]]:
            self._parts.append(torch.optim.AdamW(rest, lr=lr, betas=BETAS))
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Let the two work on this optimizer's groups and state."""
        first = 0
        for part in self._parts:
            last = first + len(part.param_groups)
            part.param_groups, part.state = self.param_groups[first:last], self.state
            first = last

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss


def make(model: nn.Module, *, lr: float, weight_decay: float, decay: set[str]) -> MuonAdamW:
    """Return the optimizer of a CogAudio model's trainable weights.

    Args:
        decay: names of the weights that AdamW decays.
    """
    matrices: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        outside = any(part in name for part in ("embed", "lm_head", ".lora_"))
        inside = name.startswith("language_model.") and weight.ndim == 2 and not outside
        (matrices if inside else decayed if name in decay else others).append(weight)
    return MuonAdamW(matrices, decayed, others, lr=lr, weight_decay=weight_decay)
