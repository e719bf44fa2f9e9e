"""What each stage of a training changes: measures as lines from stage to stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cogviz.plotting import theme

if TYPE_CHECKING:
    from pandas import DataFrame

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
_MARKERS = "oD^s"


@theme.styled
def stages(table: DataFrame, *, title: str, labels: dict[str, str] | None = None, ylabel: str = "share of the recordings") -> Figure:
    """Draw measures from stage to stage: a panel a kind of speech, a line a measure, with 95% intervals and chance.

    Args:
        table: after, measure, speech, value, low, high, n, chance (as `training.live.LiveRun.figures`); everything in the order in which it comes.
        labels: of stages and kinds of speech, where they should be called otherwise.
    """
    if missing := [c for c in ("after", "measure", "speech", "value", "low", "high", "n", "chance") if c not in table.columns]:
        raise ValueError(f"the table has no column {missing[0]!r}; it needs after, measure, speech, value, low, high, n, chance")
    page, names = theme.look(), labels or {}
    after, measures, speeches = (list(dict.fromkeys(table[c])) for c in ("after", "measure", "speech"))
    counts = ", ".join(f"{int(table[table.speech == s].n.max())} ({names.get(s, s)})" for s in speeches)
    subtitle = f"n = {counts}. Bars: 95% intervals; dotted line: chance."
    left, slot, gap, high = 0.75, 4.2, 0.75, 2.7
    width = left + len(speeches) * slot + (len(speeches) - 1) * gap + 0.35
    top = theme.heading_height(width, title, subtitle) + 0.75
    figure = theme.figure(width, top + high + 0.62)
    theme.heading(figure, title, subtitle)
    for k, speech in enumerate(speeches):
        axes = theme.place(figure, left + k * (slot + gap), top, slot, high)
        here = table[table.speech == speech]
        chance = float(np.nan_to_num(here.chance.to_numpy(dtype=float)).max())
        axes.axhline(chance, color=page.muted, linewidth=1, linestyle=":", zorder=1)
        for j, measure in enumerate(measures):
            rows = here[here.measure == measure].drop_duplicates("after", keep="last").set_index("after")
            there = [a for a in after if a in rows.index]
            if not there:
                continue
            x = np.array([after.index(a) for a in there]) + 0.05 * (j - (len(measures) - 1) / 2)
            rows, colour = rows.loc[there], page.series[j % len(page.series)]
            axes.vlines(x, rows.low, rows.high, color=colour, linewidth=2.2, alpha=0.4, zorder=2)
            axes.plot(x, rows.value, _MARKERS[j % 4], linestyle=_DASHES[j % 4], color=colour, markersize=6, zorder=3, label=measure)
        axes.set(ylim=(-0.02, 1.02), xlim=(-0.35, len(after) - 0.65), ylabel=ylabel if k == 0 else "")
        axes.set_xticks(range(len(after)), [names.get(a, a) for a in after])
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
        axes.grid(True, axis="y", color=page.line)
        axes.set_title(names.get(speech, speech), pad=24)
        if k == 0:
            axes.legend(
                loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=len(measures), borderaxespad=0.2, columnspacing=1.1, handlelength=2.2
            )
    return figure
