"""SAPO, soft adaptive policy optimization (arXiv 2511.20347): group advantages, the soft gate, the loss."""

from __future__ import annotations

import torch
from torch import Tensor

TAU_POSITIVE, TAU_NEGATIVE = 1.0, 1.05


def group_advantages(rewards: Tensor) -> Tensor:
    """Return (reward - mean) / (standard deviation + 1e-4) within each group; (P, G) -> (P, G). A group without variance gives 0."""
    return (rewards - rewards.mean(dim=1, keepdim=True)) / (rewards.std(dim=1, keepdim=True) + 1e-4)


def gate(ratio: Tensor, tau: Tensor | float) -> Tensor:
    """The soft gate f(r) = sigmoid(tau (r - 1)) 4 / tau (equation 5): f(1) = 2 / tau, slope 1 at r = 1."""
    return torch.sigmoid(tau * (ratio - 1)) * 4 / tau


def sapo_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    tau_positive: float = TAU_POSITIVE,
    tau_negative: float = TAU_NEGATIVE,
) -> Tensor:
    """Mean over the tokens of each output, then over the outputs.

    Args:
        log_probs, old_log_probs: (N, T) of the sampled tokens under the policy and under the one that sampled.
        advantages: (N,), the same for all tokens of an output.
        mask: (N, T) 1 for tokens of the output.

    Returns:
        The loss: minus the objective of equation 5.
    """
    ratio = torch.exp(log_probs - old_log_probs)
    advantage = advantages[:, None]
    tau = torch.where(advantage > 0, tau_positive, tau_negative)
    per_token = -gate(ratio, tau) * advantage
    mask = mask.to(per_token.dtype)
    per_output = (per_token * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return per_output.mean()
