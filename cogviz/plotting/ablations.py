"""What each part of the method is good for: a row an ablation, the full method first, and each seed as a small point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cogviz.plotting import theme

if TYPE_CHECKING:
    from pandas import DataFrame

NAMES = {
    "full": "all of it",
    "agreeing": "tone agrees with the words\n(same hours, no LIME)",
    "lime-small": "LIME, as few hours",
    "last-layer": "last encoder layer only",
    "no-stage-0": "no stage 0",
    "no-chain": "no chain (direct SFT)",
    "explicit-only": "explicit chain only",
    "no-rl": "no DR-SAPO",
    "single-route": "DR-SAPO on one route",
}

COLUMNS = {
    "conflict, route A": ("tells the voice,\nconflict · route A", "voice"),
    "conflict, route B": ("tells the voice,\nconflict · route B", "voice"),
    "non-conflict, route A": ("tells the voice,\nagreement · route A", "voice"),
    "words, route A": ("has the words' emotion,\nconflict · route A", "words"),
}


@theme.styled
def ablations(table: DataFrame) -> Figure:
    """Draw what `training.ablations.measure` returns; the rows without a seed are those of all seeds together."""
    rows = [name for name in NAMES if name in set(table.ablation)] + [n for n in dict.fromkeys(table.ablation) if n not in NAMES]
    pooled, seeds = table[table.seed.isna()], table[table.seed.notna()]
    page = theme.look()
    count = int(seeds.seed.nunique())
    n = pooled[pooled.measure == "conflict, route A"].n.max()
    title = "What each part of the method is good for"
    subtitle = (
        f"nano models, held-out sentences and speakers, {count} seeds (small points), n = {n:,.0f} answers to conflicts a row; bars: 95% intervals; "
        "triangles: chance. Route A: the emotion that the chain names; route B: what a judge tells from the direct response."
    )
    left, each, gap, row = 2.5, 2.0, 0.3, 0.5
    width = left + len(COLUMNS) * (each + gap) + 0.1
    top = theme.heading_height(width, title, subtitle) + 0.58
    figure = theme.figure(width, top + row * len(rows) + 0.55)
    theme.heading(figure, title, subtitle)
    for k, (measure, (heading, about)) in enumerate(COLUMNS.items()):
        axes = theme.place(figure, left + k * (each + gap), top, each, row * len(rows))
        ink = page.voice if about == "voice" else theme.mix(page.words, page.ink, 0.3)
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
        axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
        axes.spines["left"].set_visible(False)
        for tick in (0, 0.5, 1):
            axes.axvline(tick, color=page.muted, linewidth=0.5, alpha=0.35, zorder=0)
        for y, name in enumerate(rows):
            mine = seeds[(seeds.ablation == name) & (seeds.measure == measure)]
            axes.plot(mine.value, [y - 0.26] * len(mine), "o", color=ink, alpha=0.45, markersize=3, clip_on=False)
            for at in pooled[(pooled.ablation == name) & (pooled.measure == measure)].itertuples():
                axes.plot([at.low, at.high], [y, y], color=ink, linewidth=2.2, alpha=0.55, solid_capstyle="round", clip_on=False)
                axes.plot([at.value], [y], "o", color=ink, markersize=6.5, clip_on=False)
                axes.plot([at.chance], [y + 0.3], "^", color=page.muted, markersize=4, zorder=1, clip_on=False)
        labels = [NAMES.get(str(name), str(name)) if k == 0 else "" for name in rows]
        axes.set_yticks(range(len(rows)), labels, fontsize=theme.SMALL + 1)
        axes.tick_params(axis="y", length=0)
        axes.set_title(heading, fontsize=theme.SMALL + 1, loc="left", color=page.ink, pad=8, fontweight="normal")
    return figure
