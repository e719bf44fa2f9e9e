"""Reinforcement: the soft gate beside a hard clip, and what becomes of a toy policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.plotting import theme

if TYPE_CHECKING:
    from pandas import DataFrame

CLIP = 0.2
"""Of the hard clip that is drawn for comparison (PPO, arXiv 1707.06347)."""

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))


@theme.styled
def gate(*, taus: Sequence[float] = (1.0, 1.05)) -> Figure:
    """Draw the soft gate of SAPO and its slope, which weighs the gradient, over the ratio of a token's new and old probability."""
    page = theme.look()
    title = "The soft gate: how much a token that has moved may still move"
    subtitle = "The ratio r is a token's probability now over its probability when it was sampled. At r = 1 the policy is still the one that sampled."
    left, slot, gap, high = 0.8, 4.0, 0.95, 2.5
    width = left + 2 * slot + gap + 0.3
    top = theme.heading_height(width, title, subtitle) + 0.55
    figure = theme.figure(width, top + high + 0.62)
    theme.heading(figure, title, subtitle)
    ratio = np.linspace(0, 3, 301)
    first = theme.place(figure, left, top, slot, high)
    second = theme.place(figure, left + slot + gap, top, slot, high)
    for j, tau in enumerate(taus):
        p = 1 / (1 + np.exp(-tau * (ratio - 1)))
        style: dict[str, Any] = {"color": page.series[j], "linestyle": _DASHES[j % 3], "label": f"SAPO, τ = {tau:g}"}
        first.plot(ratio, 4 / tau * p, **style)
        second.plot(ratio, 4 * p * (1 - p), **style)
    first.plot(ratio, np.minimum(ratio, 1 + CLIP), color=page.series[2], linestyle=_DASHES[2], label=f"hard clip at {1 + CLIP:g}")
    second.plot(ratio, (ratio < 1 + CLIP).astype(float), color=page.series[2], linestyle=_DASHES[2], label="hard clip")
    for axes, what in ((first, "gate f(r)"), (second, "slope f′(r): weight of the gradient")):
        axes.set(xlim=(0, 3), xlabel="ratio r", ylabel=what)
        axes.axvline(1, color=page.muted, linewidth=0.8, linestyle=":")
        axes.grid(True, axis="y", color=page.line)
    second.set_ylim(-0.02, 1.08)
    first.legend(loc="lower right")
    return figure


@theme.styled
def toy(runs: Mapping[str, DataFrame], *, title: str) -> Figure:
    """Draw what toy policies were paid and what it was worth: a panel a run.

    Args:
        runs: {name: `training.toy.Played.curve`}.
    """
    page = theme.look()
    subtitle = "Means over the sampled responses of a step. Paid: the reward; worth: whether the response truly fits the voice."
    left, slot, gap, high = 0.75, 3.0, 0.55, 2.2
    width = max(left + len(runs) * (slot + gap), 7.0)
    top = theme.heading_height(width, title, subtitle) + 0.7
    figure = theme.figure(width, top + high + 0.62)
    theme.heading(figure, title, subtitle)
    for k, (name, curve) in enumerate(runs.items()):
        axes = theme.place(figure, left + k * (slot + gap), top, slot, high)
        for j, (column, label) in enumerate((("reward", "paid"), ("truth", "worth"))):
            axes.plot(curve.step, curve[column], color=page.series[j], linestyle=_DASHES[j], label=label)
        axes.set(ylim=(-0.02, 1.03), xlabel="step", ylabel="mean (0–1)" if k == 0 else "")
        axes.grid(True, axis="y", color=page.line)
        axes.set_title(name, pad=22)
        if k == 0:
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=2, borderaxespad=0.2)
    return figure
