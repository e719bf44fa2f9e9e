"""Exercises of `06_dr_sapo`: advantages, the gate, the loss, and a watch on the reward. The references are those that train our models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cogviz.exercises import Exercise


def _sapo(name: str) -> Callable[..., Any]:
    """A function of `training.sapo`, which brings torch along only when it is asked."""

    def reference(*arguments: Any) -> Any:
        from cogviz.training import sapo

        return getattr(sapo, name)(*arguments)

    return reference


def _rewards() -> list[tuple[Any, ...]]:
    import torch

    draw = torch.Generator().manual_seed(61)
    rewards = torch.rand(3, 6, generator=draw, dtype=torch.float64)
    rewards[1] = 0.5  # a group without variance
    return [(rewards,), (torch.rand(1, 4, generator=draw, dtype=torch.float64),)]


def _ratios() -> list[tuple[Any, ...]]:
    import torch

    ratio = torch.linspace(0.1, 3, 12, dtype=torch.float64)
    return [(ratio, tau) for tau in (1.0, 1.05, 2.0)]


def _outputs() -> list[tuple[Any, ...]]:
    """Answers of different lengths and signs, far enough from the policy that sampled for the gate to matter."""
    import torch

    draw = torch.Generator().manual_seed(63)
    found: list[tuple[Any, ...]] = []
    for n, length in ((4, 6), (5, 3)):
        old = -3 * torch.rand(n, length, generator=draw, dtype=torch.float64)
        now = old + 0.6 * torch.randn(n, length, generator=draw, dtype=torch.float64)
        mask = (torch.arange(length)[None] < torch.tensor([length - i % length for i in range(n)])[:, None]).double()
        found.append((now, old, torch.linspace(-1.5, 1.2, n, dtype=torch.float64), mask))
    return found


def _ungated(log_probs: Any, old: Any, advantages: Any, mask: Any) -> Any:
    ratio = (log_probs - old).exp()
    return -((ratio * advantages[:, None] * mask).sum(1) / mask.sum(1)).mean()


def _watch(run: dict[str, list[float]]) -> bool:
    half = len(run["reward"]) // 2
    (reward, held_out, words) = ((np.mean(run[k][:half]), np.mean(run[k][half:])) for k in ("reward", "held_out", "words"))
    return bool(reward[1] - reward[0] > 0.05 and (held_out[1] <= held_out[0] or words[1] < words[0] / 2))


def _curves() -> list[tuple[Any, ...]]:
    """(reward, held-out judge, words): each from first to last; honest, flattered, shrinking, flat, falling."""
    draw = np.random.default_rng(64)
    ends = [((0.5, 0.8), (0.5, 0.75), (14, 13)), ((0.5, 0.9), (0.6, 0.4), (14, 14)), ((0.5, 0.9), (0.5, 0.9), (40, 3)),
            ((0.7, 0.71), (0.7, 0.6), (14, 14)), ((0.8, 0.6), (0.8, 0.5), (14, 4))]  # fmt: skip
    found: list[tuple[Any, ...]] = []
    for of in ends:
        lines = zip(("reward", "held_out", "words"), of, strict=True)
        found.append(({name: (np.linspace(*pair, 20) + draw.normal(0, 0.002, 20)).tolist() for name, pair in lines},))
    return found


EXERCISES = (
    Exercise(
        "06.1",
        reference=_sapo("group_advantages"),
        inputs=_rewards,
        hint="Mean and standard deviation belong to a row: dim=1, and keepdim=True so that they fit to the rewards again.",
        wrong=lambda rewards: (rewards - rewards.mean()) / (rewards.std() + 1e-4),
    ),
    Exercise(
        "06.2",
        reference=_sapo("gate"),
        inputs=_ratios,
        hint="At ratio 1 it is 2 / tau and has slope 1: do not forget the factor 4 / tau.",
        wrong=lambda ratio, tau: (tau * (ratio - 1)).sigmoid(),
    ),
    Exercise(
        "06.3",
        reference=_sapo("sapo_loss"),
        inputs=_outputs,
        hint="tau is 1 where the advantage is positive and 1.05 elsewhere; the mean over an answer's own tokens first, then over the answers.",
        wrong=_ungated,
    ),
    Exercise(
        "06.4",
        reference=_watch,
        inputs=_curves,
        hint="No rise of the reward, no gaming; a rise is suspicious where the other judge does not go along or the answers shrink.",
        wrong=lambda run: bool(np.mean(run["held_out"][-10:]) <= np.mean(run["held_out"][:10])),
    ),
)
