"""How the training went: losses and rewards by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from cogviz.plotting import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

FAMILIES = ("loss", "reward", "accuracy", "kl")
"""Curves whose names hold the same one of these words share a panel; every other name has one of its own."""

DECADE = 10
"""A family whose values spread further than by this factor, and are all positive, gets a logarithmic scale."""

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 3)))
_UNITS = {
    "loss": "loss (nats)",
    "reward": "reward (0–1)",
    "accuracy": "accuracy (0–1)",
    "kl": "KL (nats)",
}

WATCHED = {
    "reward_empathy": "Empathy, as rewarded (0–1)",
    "watch_held_out_empathy": "Empathy, to a judge held out (0–1)",
    "watch_emotion_spread": "Variety of emotions told (1: as in the voices)",
    "watch_words": "Words in an output",
    "watch_repetition": "Words said again (share)",
    "watch_label_in_response": "Responses that name an emotion (share)",
}
"""What stands beside each other in the reward hacking watch (see `cogviz.training.watch`)."""


@theme.styled
def watch(table: DataFrame) -> Figure:
    """Draw the reward hacking watch of stage III: what is rewarded first, then what is not; points are rollouts, lines running means.

    Args:
        table: a training run's curve.csv: stage, step, name, value.

    Raises:
        ValueError: the run has no stage III, or was trained before there was a watch.
    """
    split = table["name"].astype(str).str.extract(r"^(?P<measure>\w+) \((?P<route>\w+)\)$")
    rows = table.assign(measure=split["measure"], route=split["route"])
    rows = rows[rows["measure"].isin(WATCHED) & np.isfinite(rows["value"].to_numpy(dtype=float))]
    if not set(rows["measure"]) - {"reward_empathy"}:
        raise ValueError("this run has no reward hacking watch: it needs a stage III (DR-SAPO)")
    page = theme.look()
    routes = [name for name in ("reason", "direct") if name in set(rows["route"])]
    title = "Is the reward being gamed? What DR-SAPO is paid for, and what it is not"
    subtitle = (
        "Of these, only the first is rewarded. Points: one rollout each; lines: running mean. "
        "A gamed reward rises while the held-out judge does not."
    )
    left, gap, slot, high = 0.75, 0.75, 2.95, 1.75
    width = left + 3 * slot + 2 * gap + 0.35
    top = theme.heading_height(width, title, subtitle) + 0.75
    figure = theme.figure(width, top + 2 * (high + 1.0) - 0.1)
    theme.heading(figure, title, subtitle)
    for i, (measure, label) in enumerate(WATCHED.items()):
        row, column = divmod(i, 3)
        axes = theme.place(figure, left + column * (slot + gap), top + row * (high + 1.0), slot, high)
        for j, route in enumerate(routes):
            part = rows[(rows["measure"] == measure) & (rows["route"] == route)].sort_values("step")
            step, value = part["step"].to_numpy(dtype=float), part["value"].to_numpy(dtype=float)
            colour = page.series[j % len(page.series)]
            axes.plot(step, value, "o", color=theme.mix(colour, page.paper, 0.55), markersize=3.2, zorder=2)
            half = max(len(value) // 8, 1)
            smooth = [value[max(k - half, 0) : k + half + 1].mean() for k in range(len(value))]
            axes.plot(step, smooth, color=colour, linestyle=_DASHES[j], zorder=3, label=f"{route} route")
        axes.set_title("\n".join(theme.wrap(label, slot + 0.3, theme.TEXT, weight="bold", lines=2)), fontsize=theme.TEXT)
        axes.grid(True, axis="y", color=page.line)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if measure not in ("watch_words", "watch_emotion_spread"):
            largest = max([*rows[rows["measure"] == measure]["value"], 0.02])
            axes.set_ylim(-0.02 * max(largest, 0.1), 1.02 if "empathy" in measure else 1.1 * largest)
        else:
            axes.set_ylim(bottom=0)
        if row:
            axes.set_xlabel("rollout")
        if i == 0:
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.17), ncols=2, borderaxespad=0, handlelength=1.9, borderpad=0.1)
    return figure


@theme.styled
def curves(table: DataFrame) -> Figure:
    """Draw training curves: a panel a stage and family (losses, rewards, ...); a long curve pale, its running median over it.

    Args:
        table: tidy: stage, step, name, value; stages and names are shown in the order in which they come.
    """
    missing = [column for column in ("stage", "step", "name", "value") if column not in table.columns]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it needs stage, step, name, value")
    table = table[np.isfinite(table["value"].to_numpy(dtype=float))]
    if not len(table):
        raise ValueError("nothing to draw: the table has no finite values")
    table = table.assign(family=[next((f for f in FAMILIES if f in str(name).lower()), str(name)) for name in table["name"]])
    present = list(dict.fromkeys(table["family"]))
    families = [f for f in FAMILIES if f in present] + [f for f in present if f not in FAMILIES]
    names = {f: list(dict.fromkeys(table[table["family"] == f]["name"])) for f in families}
    panels = []
    for stage in dict.fromkeys(table["stage"]):
        here = table[table["stage"] == stage]
        panels += [(stage, f, here[here["family"] == f]) for f in families if (here["family"] == f).any()]
    title = f"Training curves by stage: {', '.join(str(f).replace('_', ' ') for f in families)}"
    subtitle = "Each stage counts its own steps. Pale: every logged value; strong: running median. One scale a family."
    columns = len(panels) if len(panels) <= 4 else 3
    rows = -(-len(panels) // columns)
    left, gap, right, high = 0.85, 0.85, 0.35, 2.35
    slot = max(3.0, (9.5 - left - right - gap * (columns - 1)) / columns)
    width = left + columns * slot + (columns - 1) * gap + right
    legends = [
        max(_legend_lines(_names(panel), slot) for _, _, panel in panels[row * columns : (row + 1) * columns]) * 0.2 for row in range(rows)
    ]
    top = theme.heading_height(width, title, subtitle) + 0.42
    figure = theme.figure(width, top + sum(high + 0.95 + tall for tall in legends) - 0.2)
    theme.heading(figure, title, subtitle)
    for i, (stage, family, panel) in enumerate(panels):
        row, column = divmod(i, columns)
        y = top + sum(high + 0.95 + tall for tall in legends[:row]) + legends[row]
        axes = theme.place(figure, left + column * (slot + gap), y, slot, high)
        _panel(axes, panel, names[family])
        values = table[table["family"] == family]["value"].to_numpy(dtype=float)
        low, up = float(values.min()), float(values.max())
        if wide := low > 0 and up > DECADE * low:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        pad = 0.06 * (up - low or abs(up) or 1.0)
        unit = _UNITS.get(family, "\n".join(theme.wrap(family.replace("_", " "), high, theme.TEXT, lines=2)))
        axes.set(ylim=(low / 1.2, up * 1.2) if wide else (low - pad, up + pad), xlabel="step", ylabel=unit)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=_per_line(_names(panel), slot), borderaxespad=0.2,
                    handlelength=1.9,
                    columnspacing=1.2, handletextpad=0.5, borderpad=0.1, labelspacing=0.3)  # fmt: skip
        axes.set_title(
            theme.wrap(stage, slot, theme.TEXT + 1.5, weight="bold", lines=1)[0], pad=7 + 12.4 * _legend_lines(_names(panel), slot)
        )
    return figure


def _names(panel: DataFrame) -> list[str]:
    """The curves of a panel as its legend writes them."""
    return [theme.wrap(str(name).replace("_", " "), 2.4, theme.SMALL, lines=1)[0] for name in dict.fromkeys(panel["name"])]


def _per_line(names: list[str], width: float) -> int:
    """Entries of a legend that stand side by side."""
    widest = max(theme.text_width(name, theme.SMALL) for name in names) + 0.5
    return max(min(int(width / widest), len(names)), 1)


def _legend_lines(names: list[str], width: float) -> int:
    return -(-len(names) // _per_line(names, width)) if names else 0


def _panel(axes: Axes, table: DataFrame, names: list[str]) -> None:
    """Draw the curves of one stage; `names` are all of the family, so that a name looks the same in every stage."""
    page = theme.look()
    for j, name in enumerate(names):
        rows = table[table["name"] == name].sort_values("step")
        if not len(rows):
            continue
        step, value = rows["step"].to_numpy(dtype=float), rows["value"].to_numpy(dtype=float)
        colour, dash = page.series[j % len(page.series)], _DASHES[j % len(_DASHES)]
        label = _names(rows)[0]
        if len(value) > 40:
            axes.plot(step, value, color=theme.mix(colour, page.paper, 0.65), linewidth=0.8, zorder=2)
            axes.plot(step, _running_median(value, max(len(value) // 20, 3)), color=colour, linestyle=dash, zorder=3, label=label)
        else:
            axes.plot(step, value, color=colour, linestyle=dash, marker="o", markersize=4 if len(value) > 1 else 7, zorder=3, label=label)
    axes.grid(True, axis="y", color=page.line)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _running_median(values: np.ndarray, half: int) -> np.ndarray:
    """Median of `half` values to each side, fewer at the ends."""
    return np.array([np.median(values[max(i - half, 0) : i + half + 1]) for i in range(len(values))])
