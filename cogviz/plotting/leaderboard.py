"""Models on one ruler: a row a model, a column a measure, each a point with its interval and the level of chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cogviz.plotting import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


@dataclass(frozen=True)
class Column:
    """One measure of the leaderboard: its name in the table, its heading, what it is about ("voice", "words" or ""), the ends of its axis."""

    measure: str
    title: str
    about: str = ""
    low: float = 0.0
    high: float = 1.0


COLUMNS = (
    Column("voice_balanced_accuracy", "names\nthe voice", "voice"),
    Column("follows_voice", "follows the voice\non conflicts", "voice"),
    Column("follows_words", "follows the words\non conflicts", "words"),
    Column("lexical_share", "lexical share\nof the cue weights", "words"),
    Column("accuracy_drop_other_tone", "lost with another\ntone, same words", "voice", -0.2, 1.0),
    Column("reasoned_response_tells_voice", "response tells\nthe voice", "voice"),
)
"""What is shown where the table has it."""


@theme.styled
def leaderboard(table: DataFrame, *, data: str, columns: Sequence[Column] = COLUMNS) -> Figure:
    """Draw one dataset's part of a table of rows.

    Args:
        table: model, data, measure, value, low, high, n, chance (`battery.Measured.rows`). data: which dataset is drawn.

    Raises:
        ValueError: the table holds nothing of that dataset that is shown.
    """
    here = table[(table.data == data) & table.measure.isin([c.measure for c in columns])]
    shown = [c for c in columns if (here.measure == c.measure).any()]
    if not shown:
        raise ValueError(f"the table has no measure of {data!r} that is shown; it holds {', '.join(sorted(set(table.data)))}")
    models = list(dict.fromkeys(here.model))
    page = theme.look()
    n = here.n.max()
    title = f"Who listens? {data}"
    subtitle = f"Points with 95% intervals; triangles: chance. n is at most {n:,.0f} items a point; blank where a measure does not apply."
    left, each, gap, row = 2.3, 1.75, 0.28, 0.46
    width = left + len(shown) * (each + gap) + 0.2
    top = theme.heading_height(width, title, subtitle) + 0.72
    figure = theme.figure(width, top + row * len(models) + 0.62)
    theme.heading(figure, title, subtitle)
    for k, column in enumerate(shown):
        axes = theme.place(figure, left + k * (each + gap), top, each, row * len(models))
        _column(axes, here[here.measure == column.measure], column, models)
        axes.set_yticks(
            range(len(models)), models if k == 0 else [""] * len(models), fontsize=11, fontweight="bold" if k == 0 else "normal"
        )
        axes.tick_params(axis="y", length=0)
        axes.set_title(column.title, fontsize=theme.SMALL + 1, loc="left", color=page.ink, pad=8)
    return figure


def _column(axes: Axes, table: DataFrame, column: Column, models: Sequence[str]) -> None:
    page = theme.look()
    ink = {"voice": page.voice, "words": theme.mix(page.words, page.ink, 0.3)}.get(column.about, page.ink)
    axes.set(xlim=(column.low, column.high), ylim=(len(models) - 0.5, -0.5))
    ticks = np.linspace(0, column.high, 3)
    axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axes.spines["left"].set_visible(False)
    for tick in ticks:
        axes.axvline(tick, color=page.muted, linewidth=0.5, alpha=0.35, zorder=0)
    by_model = table.drop_duplicates("model").set_index("model")
    for y, model in enumerate(models):
        if model not in by_model.index:
            continue
        at = by_model.loc[model]
        value, low, high, chance = (float("nan") if at[c] is None else float(at[c]) for c in ("value", "low", "high", "chance"))
        if not np.isfinite(value):
            continue
        if np.isfinite([low, high]).all():
            axes.plot([low, high], [y, y], color=ink, linewidth=2.2, alpha=0.55, solid_capstyle="round", zorder=2, clip_on=False)
        axes.plot([value], [y], "o", color=ink, markersize=6.5, zorder=3, clip_on=False)
        if np.isfinite(chance):
            axes.plot([chance], [y + 0.27], "^", color=page.muted, markersize=4, zorder=1, clip_on=False)
