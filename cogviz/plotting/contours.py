"""F0 and level of a cell's variants over each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.audio import RATE
from cogviz.lime import world
from cogviz.plotting import hearing, theme
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@theme.styled
def contours(variants: dict[str, Utterance]) -> Figure:
    """Draw F0 (semitones from the speaker's neutral median, 45 ms) and level (dBFS, 100 ms) over time, one line an emotion.

    Without a neutral variant, F0 is given from the median of all variants, and the axis says so.
    """
    heard = hearing.listen(variants)
    base, zero = "the neutral median", heard["neutral"].median_f0 if "neutral" in heard else float("nan")
    if not np.isfinite(zero):
        voiced = np.concatenate([h.f0[np.isfinite(h.f0)] for h in heard.values()])
        base, zero = "the median of all", float(np.median(voiced)) if len(voiced) else float("nan")
    title = hearing.title(heard)
    subtitle = f"F0 and level of one sentence in {hearing.count(heard)}; at the right each median F0 and the level of the whole utterance."
    width = 12.0
    top = theme.heading_height(width, title, subtitle) + 0.12
    figure = theme.figure(width, top + 2.9 + 0.3 + 2.3 + 0.6)
    theme.heading(figure, title, subtitle)
    end = max(h.seconds for h in heard.values())
    semitones = {name: _smooth(12 * np.log2(h.f0 / zero), 9) for name, h in heard.items()}
    levels = {}
    for name, h in heard.items():
        levels[name] = hearing.levels(h.samples, window=1600)
    floor = min(hearing.typical(x) for x in levels.values()) - hearing.SILENCE
    f0_axes, level_axes = theme.place(figure, 0.85, top, 9.0, 2.9), theme.place(figure, 0.85, top + 3.2, 9.0, 2.3)
    for name, h in heard.items():
        style: dict[str, Any] = {
            "color": theme.color(name),
            "marker": theme.MARKERS[name],
            "markersize": 6,
            "linewidth": 1.9,
            "label": name,
        }
        style |= {"markeredgecolor": theme.look().paper, "markeredgewidth": 0.6}
        f0_axes.plot(np.arange(len(h.f0)) * world.FRAME, semitones[name], markevery=_every(semitones[name], 60), **style)
        level = np.where(levels[name] < floor, np.nan, levels[name])
        level_axes.plot(np.arange(len(level)) * hearing.HOP / RATE, level, markevery=_every(level, 30), **style)
    f0_axes.axhline(0, color=theme.look().muted, linewidth=0.8, linestyle=(0, (1, 2)))
    inside = np.concatenate([s[np.isfinite(s)] for s in semitones.values()])
    if len(inside):
        low, high = np.percentile(inside, [0.5, 99.5])  # octave errors of the tracker must not squeeze the rest
        f0_axes.set_ylim(min(low, 0) - 1.5, max(high, 0) + 1.5)
    f0_axes.set(xlim=(0, end), ylabel=f"F0 (semitones from {base})", xticklabels=[])
    level_axes.set(xlim=(0, end), ylabel="level (dBFS)", xlabel="time (s)")
    for axes in (f0_axes, level_axes):
        axes.grid(True, axis="y", color=theme.look().line)
    _margin(f0_axes, {n: float(12 * np.log2(h.median_f0 / zero)) for n, h in heard.items()}, "{:+.1f} st")
    _margin(level_axes, {n: h.level for n, h in heard.items()}, "{:.1f} dBFS")
    return figure


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over `width` frames, of those that hold a value; a frame without one stays so."""
    known = np.isfinite(values)
    if not known.any():
        return values
    box = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0), box, "same")
    return np.where(known, total / np.maximum(np.convolve(known, box, "same"), 1), np.nan)


def _every(values: np.ndarray, step: int) -> list[int]:
    """Places for markers: about every `step` frames, where there is a value."""
    at = np.flatnonzero(np.isfinite(values))
    return [int(i) for i in at[step // 3 :: step]]


def _margin(axes: Axes, values: dict[str, float], form: str) -> None:
    """Name the lines at the right of the panel, at their value where there is room; the legend of the figure."""
    figure = axes.figure
    box = axes.get_position()
    width, height = figure.get_size_inches()  # type: ignore[union-attr]
    margin = figure.add_axes((box.x1 + 0.08 / width, box.y0, 2.0 / width, box.height))
    low, high = axes.get_ylim()
    margin.set(xlim=(0, 2.0), ylim=(low, high))
    margin.axis("off")
    values = {name: value for name, value in values.items() if np.isfinite(value)}
    unit = (high - low) / (box.height * height)  # of the axis, an inch
    places = theme.spread([*values.values()], 0.2 * unit, low + 0.08 * unit, high - 0.08 * unit)
    for (name, value), y in zip(values.items(), places, strict=True):
        at = min(max(value, low), high)
        margin.plot([0.06, 0.26], [at, y], color=theme.color(name), linewidth=0.8, clip_on=False)
        margin.plot([0.06], [at], marker=theme.MARKERS[name], color=theme.color(name), markersize=6, linestyle="", clip_on=False)
        margin.text(
            0.32,
            y,
            f"{name}  {form.format(value)}".replace("-", "−").replace("+0.0", "0.0"),
            size=theme.SMALL,
            color=theme.ink(name),
            va="center",
            weight="bold",
        )
