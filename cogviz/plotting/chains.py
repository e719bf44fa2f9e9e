"""Chains of thought: whether the response comes from them, and whether they say what is in the sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cogviz.eips import STEPS
from cogviz.evaluation.chains import EARLY
from cogviz.plotting import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogviz.evaluation.faithfulness import Faithfulness
    from cogviz.evaluation.groundedness import Groundedness
    from cogviz.statistics import Estimate

_SPEAKS = {
    "swapped": "the whole chain\nof another tone",
    "injected": "perception names\nanother emotion",
    **{f"corrupted_{step}": f"{step} step\nof another tone" for step in STEPS},
}
_TAKES = {
    **{name: f"only the first {n} steps" if n > 1 else "only the first step" if n else "no chain at all" for n, name in enumerate(EARLY)},
    **{f"deleted_{step}": f"without {step}" for step in STEPS},
}


@theme.styled
def faithfulness(found: Faithfulness, *, model: str) -> Figure:
    """Draw whom the responses follow when the chain is edited, and how often they change when a part of it is taken away."""
    page = theme.look()
    speaks = {name: label for name, label in _SPEAKS.items() if name in found.follows}
    takes = {name: label for name, label in _TAKES.items() if name in found.changed}
    n = found.own.n
    title = f"{model}: does the response come from the chain?"
    subtitle = (
        f"n = {n} answers whose chain was edited while the sound stayed as it was. Bars: 95% intervals; small triangles: chance. "
        "Left: the edited part speaks for one emotion, the sound for another. Right: something is only taken away."
    )
    left, wide, gap, row = 1.75, 3.3, 2.15, 0.46
    width = left + 2 * wide + gap + 0.3
    top = theme.heading_height(width, title, subtitle) + 0.62
    tall = row * max(len(speaks), len(takes))
    figure = theme.figure(width, top + tall + 0.62)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, wide, row * len(speaks))
    _frame(axes, list(speaks.values()), "share of responses")
    ink = {"chain": page.voice, "sound": theme.mix(page.words, page.ink, 0.3)}
    for y, name in enumerate(speaks):
        _point(axes, y - 0.16, found.follows[name].chain, ink["chain"], "o", "answers to the edited chain" if y == 0 else "")
        _point(axes, y + 0.16, found.follows[name].sound, ink["sound"], "D", "answers to the sound" if y == 0 else "")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.03, 1.0), ncols=2, handletextpad=0.2, columnspacing=1.2, borderaxespad=0.3)
    axes = theme.place(figure, left + wide + gap, top, wide, row * len(takes))
    _frame(axes, list(takes.values()), "share of responses")
    axes.set_title("answers to another emotion than before", fontsize=theme.SMALL, fontweight="normal", pad=8)
    for y, name in enumerate(takes):
        _point(axes, y, found.changed[name], page.series[2], "o")
    return figure


@theme.styled
def groundedness(found: Mapping[str, Groundedness]) -> Figure:
    """Draw whether what chains claim of the sound is so: a row a model."""
    page = theme.look()
    columns = {
        "claims of the sound\nthat are so": lambda g: g.agree,
        "... beyond what they would\nscore on other recordings": lambda g: g.lift,
        "words quoted rightly": lambda g: g.transcript,
    }
    title = "Does the chain say what is in the sound?"
    subtitle = (
        "A claim (loud, high, slow ...) is so where the recording differs from the speaker's neutral reading in the claimed direction by what "
        "people notice. Bars: 95% intervals; triangles: chance."
    )
    left, each, gap, row = 1.75, 2.35, 0.4, 0.62
    width = left + len(columns) * (each + gap) + 0.1
    top = theme.heading_height(width, title, subtitle) + 0.68
    figure = theme.figure(width, top + row * len(found) + 0.75)
    theme.heading(figure, title, subtitle)
    for k, (heading, pick) in enumerate(columns.items()):
        axes = theme.place(figure, left + k * (each + gap), top, each, row * len(found))
        _frame(axes, list(found) if k == 0 else [""] * len(found), f"n = {', '.join(str(pick(g).n) for g in found.values())}")
        lowest = min(float(np.nan_to_num(pick(g).low)) for g in found.values())
        axes.set_xlim(min(0.0, lowest) - 0.03, 1.03)
        axes.set_title(heading, fontsize=theme.SMALL + 1, fontweight="normal", pad=8)
        for y, g in enumerate(found.values()):
            _point(axes, y, pick(g), page.series[y % len(page.series)], "oD^s"[y % 4])
    return figure


def _frame(axes: Axes, labels: list[str], below: str) -> None:
    """Rows from the top, shares from 0 to 1."""
    page = theme.look()
    axes.set(xlim=(-0.03, 1.03), ylim=(len(labels) - 0.5, -0.5), xlabel=below)
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.set_yticks(range(len(labels)), labels, fontsize=theme.SMALL + 0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for tick in (0, 0.5, 1):
        axes.axvline(tick, color=page.muted, linewidth=0.5, alpha=0.35, zorder=0)


def _point(axes: Axes, y: float, found: Estimate, colour: str, marker: str, label: str = "") -> None:
    """An estimate with its interval, and chance as a small triangle below it."""
    if np.isfinite([found.low, found.high]).all():
        axes.plot([found.low, found.high], [y, y], color=colour, linewidth=2.2, alpha=0.5, solid_capstyle="round", zorder=2, clip_on=False)
    axes.plot([found.value], [y], marker, color=colour, markersize=6.5, zorder=3, clip_on=False, linestyle="none", label=label or None)
    if found.chance is not None and np.isfinite(found.chance):
        axes.plot([found.chance], [y + 0.14], "^", color=colour, alpha=0.75, markersize=4, zorder=1, clip_on=False)
