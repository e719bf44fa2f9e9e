"""Can an attribution be believed? The tests of each method side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cogviz.plotting import theme
from cogviz.plotting.attribution_sound import METHOD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cogviz.attribution.faithfulness import Completeness, Curves, Randomised
    from cogviz.attribution.walk import Walk
    from cogviz.statistics import Estimate

FAKE = "the same numbers, wrong places"
"""A method whose name is this is a control: relevance that was given to other parts than those it was found for."""


@theme.styled
def credible(curves: Sequence[Curves], gaps: Sequence[Completeness], randomised: Sequence[Randomised | None]) -> Figure:
    """Draw a row a method and a panel a test: does it add up, does it find what counts, does it tell of what the model has learned?

    Args:
        curves, gaps, randomised: of the same methods in the same order; None where a test was not made.
    """
    page = theme.look()
    names = [METHOD.get(c.method, c.method) for c in curves]
    n = curves[0].deletion_gain.n
    title = "Can the methods be believed?"
    subtitle = (
        f"{n} utterances, with 95% intervals. A good method has no gap, a high gain over random order, and nothing in common with itself "
    )
    subtitle += "in the same model with shuffled weights."
    panels: tuple[tuple[str, str, list[Estimate | None], tuple[float, float] | None], ...] = (
        ("does it add up?", "gap to the target’s change (%)\n0 = adds up", [_scaled(g.gap, 100) for g in gaps], None),
        (
            "does it find what counts?",
            "deletion gain (log odds)\n0 = as good as random order",
            [c.deletion_gain for c in curves],
            None,
        ),
        (
            "does it tell of the model?",
            "rank correlation with shuffled weights\n0 = tells of what was learned",
            [None if r is None else r.absolute for r in randomised],
            (-0.6, 1.05),
        ),
    )
    left, each, gap, height = 0.45 + max(theme.text_width(name, theme.TEXT) for name in names), 2.85, 0.5, 0.5 * len(names) + 0.2
    width = left + 3 * each + 2 * gap + 0.35
    top = theme.heading_height(width, title, subtitle) + 0.5
    figure = theme.figure(width, top + height + 0.85)
    theme.heading(figure, title, subtitle)
    for p, (question, label, found, limits) in enumerate(panels):
        axes = theme.place(figure, left + p * (each + gap), top, each, height)
        axes.axvline(0, color=page.ink, linewidth=1.3, linestyle=(0, (3, 1.5)), zorder=1)
        for row, e in enumerate(found):
            colour = page.series[row % len(page.series)]
            if e is None:
                axes.text(
                    0.5, row, "not made", transform=axes.get_yaxis_transform(), size=theme.SMALL, color=page.muted, va="center", ha="center"
                )
                continue
            if np.isfinite(e.low) and np.isfinite(e.high):
                axes.plot([e.low, e.high], [row, row], color=colour, linewidth=2.2, zorder=2, solid_capstyle="butt")
            axes.plot([e.value], [row], marker="oDs^"[row % 4], color=colour, markersize=8, markeredgecolor=page.paper, zorder=3)
        axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=label)
        if limits:
            axes.set_xlim(*limits)
            axes.set_xticks([-0.5, 0, 0.5, 1])
        else:
            axes.margins(x=0.12)
        axes.set_yticks(range(len(names)), names if p == 0 else [""] * len(names), fontsize=theme.TEXT)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(True, axis="y", color=page.line)
        axes.set_title(question, pad=6)
    return figure


def _scaled(e: Estimate, by: float) -> Estimate:
    from dataclasses import replace

    return replace(e, value=by * e.value, low=by * e.low, high=by * e.high)


@theme.styled
def walk(found: Walk, slopes: np.ndarray | None = None) -> Figure:
    """Draw the target on the way from the baseline to the input: a thin line an utterance, a thick one their mean.

    Args:
        slopes: (N,) slope of the target at the input along the way, the sum of gradient x difference; its mean is drawn as the tangent.
    """
    page = theme.look()
    title = "Where on the way from the neutral voice to the recording does the answer turn?"
    subtitle = f"n = {len(found.values)} utterances, thin lines; thick: their mean. "
    if slopes is not None:
        subtitle += "Dashes: what the slope at the end foretells for the whole way back."
    width, left = 9.5, 0.95
    top = theme.heading_height(width, title, subtitle) + 0.3
    figure = theme.figure(width, top + 3.3 + 0.65)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, width - left - 0.75, 3.3)
    axes.axhline(0, color=page.muted, linewidth=0.8)
    axes.plot(found.shares, found.values.T, color=theme.mix(page.words, page.paper, 0.35), linewidth=1, zorder=2)
    mean = found.values.mean(axis=0)
    axes.plot(found.shares, mean, color=page.voice, linewidth=3, zorder=4)
    if slopes is not None:
        ends = np.array([0.0, 1.0])
        tangent = mean[-1] + (ends - 1) * float(np.mean(slopes))
        axes.plot(ends, tangent, color=page.series[3], linewidth=2, linestyle=(0, (4, 2)), zorder=3)
        ink = theme.mix(page.series[3], page.ink, 0.2)
        axes.annotate("slope at the end", (0.01, tangent[0]), (0, 14), textcoords="offset points", color=ink, weight="bold", va="bottom")
    axes.set(xlim=(0, 1), ylabel=found.target, xlabel="share of the way (%)")
    axes.set_xticks(np.linspace(0, 1, 6), ["0\nneutral voice", "20", "40", "60", "80", "100\nthe recording"])
    axes.grid(True, axis="y", color=page.line)
    return figure


def written(e: Estimate) -> str:
    """Write an estimate that is no share: "+4.4 [+3.6, +5.3] (n = 12)"."""
    known = np.isfinite(e.low) and np.isfinite(e.high)
    text = f"{e.value:+.2f}" + (f" [{e.low:+.2f}, {e.high:+.2f}]" if known else "") + f" (n = {e.n})"
    return text.replace("-", "−")
