"""A toy for reinforcement: seven voices, a few ready-made responses, and a reward that one can write down. It learns in a second.

The policy is a table of logits, one row a voice; everything else is as in stage III: a group of responses is sampled for each voice, rewarded,
normalised within its group, and the policy is updated more than once on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cogviz.emotions import EMOTIONS
from cogviz.training.sapo import group_advantages, sapo_loss

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(log_probs, old_log_probs, advantages, mask) -> loss, as `sapo.sapo_loss`."""


@dataclass(frozen=True, eq=False)
class Played:
    """What became of a policy.

    Attributes:
        curve: step, reward (mean of what was sampled) and truth (how good that really was), one row a step.
        chances: (V, A) probability of each response to each voice at the end.
    """

    curve: pd.DataFrame
    chances: np.ndarray


def fitting(*, flattery: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return (reward, truth), (7, A): 1 where a response fits its voice, else 0.

    Args:
        flattery: what the judge gives to an eighth response, which pleases it whatever the voice and truly fits none; None: there is none.
    """
    truth = np.eye(len(EMOTIONS))
    if flattery is None:
        return truth, truth
    reward = np.hstack([0.9 * truth, np.full((len(EMOTIONS), 1), flattery)])
    return reward, np.hstack([truth, np.zeros((len(EMOTIONS), 1))])


def play(
    reward: np.ndarray,
    truth: np.ndarray | None = None,
    *,
    loss: Loss = sapo_loss,
    steps: int = 60,
    group: int = 8,
    updates: int = 2,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> Played:
    """Let a policy that knows nothing learn from rewards.

    Args:
        reward, truth: (V, A) of each response to each voice: what is paid, and what it is worth; None: the same.
        group: responses sampled for a voice. updates: passes over them.
    """
    torch.manual_seed(seed)
    paid = torch.as_tensor(reward, dtype=torch.float64)  # of equal rewards Adam would learn from the rounding of float32
    worth = paid if truth is None else torch.as_tensor(truth, dtype=torch.float64)
    logits = torch.zeros(paid.shape, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=learning_rate)
    rows = []
    for step in range(1, steps + 1):
        chances = logits.detach().softmax(dim=1)
        drawn = torch.multinomial(chances, group, replacement=True)  # (V, G)
        rewards = paid.gather(1, drawn)
        rows.append({"step": step, "reward": float(rewards.mean()), "truth": float(worth.gather(1, drawn).mean())})
        advantages = group_advantages(rewards).flatten()
        old = chances.log().gather(1, drawn).reshape(-1, 1)  # outputs of one token
        for _ in range(updates):
            now = logits.log_softmax(dim=1).gather(1, drawn).reshape(-1, 1)
            found = loss(now, old, advantages, torch.ones_like(now))
            optimizer.zero_grad()
            found.backward()
            optimizer.step()
    return Played(pd.DataFrame(rows), logits.detach().softmax(dim=1).numpy())
