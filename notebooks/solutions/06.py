"""Solutions of `06_dr_sapo`."""

from statistics import mean

import torch


def my_advantages(rewards):
    """Distance from the group's mean in its standard deviations."""
    return (rewards - rewards.mean(dim=1, keepdim=True)) / (rewards.std(dim=1, keepdim=True) + 1e-4)


def my_gate(ratio, tau):
    """The soft gate."""
    return 4 / tau * torch.sigmoid(tau * (ratio - 1))


def my_sapo_loss(log_probs, old_log_probs, advantages, mask):
    """Minus the gated advantage: mean over the tokens of an answer, then over the answers."""
    ratio = torch.exp(log_probs - old_log_probs)
    tau = torch.where(advantages > 0, 1.0, 1.05)[:, None]
    gated = my_gate(ratio, tau) * advantages[:, None] * mask
    return -(gated.sum(dim=1) / mask.sum(dim=1)).mean()


def my_watch(run):
    """The reward rises while the other judge does not, or the answers shrink to less than half."""
    half = len(run["reward"]) // 2
    first = {name: mean(values[:half]) for name, values in run.items()}
    second = {name: mean(values[half:]) for name, values in run.items()}
    rises = second["reward"] - first["reward"] > 0.05
    return rises and (second["held_out"] <= first["held_out"] or second["words"] < first["words"] / 2)


ANSWERS = {"06.1": my_advantages, "06.2": my_gate, "06.3": my_sapo_loss, "06.4": my_watch}
