"""How strong must the tone be before it outweighs the words: one recording at rising intensity, and the fitted curves of many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cogviz.emotions import EMOTIONS
from cogviz.evaluation.threshold import STRONGEST
from cogviz.plotting import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from cogviz.evaluation.threshold import Threshold

CHANCE = 1 / len(EMOTIONS)
_SLOT, _TALL, _GAP, _LEFT = 4.3, 2.7, 0.5, 0.8


@theme.styled
def dial(curves: DataFrame, *, text: str, words: str, voice: str, intensity: float | None = None) -> Figure:
    """Draw how likely each listener finds the voice's and the words' emotion while the tone of one sentence grows; a panel a listener.

    Args:
        curves: columns model, intensity, voice, words (probabilities) and threshold (intensity at which the
            answer first is the voice's emotion; infinite: none; NaN: words and voice agree; the same in all rows of a model).
        text: the sentence. words, voice: the emotions they carry. intensity: where the dial stands.
    """
    page, models = theme.look(), list(dict.fromkeys(curves["model"]))
    title = f"{words.capitalize()} words in a voice that grows ever more {voice}" if words != voice else f"Words and voice are both {voice}"
    subtitle = f"“{text}” One sentence by one speaker: an example, not a measurement. Dotted: chance, {100 * CHANCE:.0f}% (one of seven)."
    width = _LEFT + len(models) * _SLOT + (len(models) - 1) * _GAP + 0.4
    top = theme.heading_height(width, title, subtitle) + 0.62
    figure = theme.figure(width, top + _TALL + 0.65)
    theme.heading(figure, title, subtitle)
    for i, model in enumerate(models):
        rows = curves[curves["model"] == model].sort_values("intensity")
        axes = theme.place(figure, _LEFT + i * (_SLOT + _GAP), top, _SLOT, _TALL)
        _frame(axes, ylabel="probability of the answer (%)" if i == 0 else "", xlabel="intensity k of the voice")
        kinds = [("voice", voice, "-", 2.6)] + ([("words", words, (0, (4, 2)), 2.0)] if words != voice else [])
        for kind, name, dash, thick in kinds:
            k, p = rows["intensity"].to_numpy(), rows[kind].to_numpy()
            axes.plot(
                k,
                p,
                color=theme.color(name),
                linestyle=dash,
                linewidth=thick,
                marker=theme.MARKERS[name],
                markersize=6,
                zorder=3,
                label=f"{name} ({kind})",
            )
        axes.legend(loc="lower right", bbox_to_anchor=(1.01, 1.09), ncols=2, borderaxespad=0, handlelength=2.6, columnspacing=1.2)
        threshold = float(rows["threshold"].iloc[0])
        _mark(axes, threshold)
        _name(axes, str(model), "" if math.isnan(threshold) else _said(threshold))
        if intensity is not None:
            axes.axvline(intensity, color=page.ink, linewidth=5, alpha=0.13, zorder=1)
            axes.plot([intensity], [1.03], marker="v", color=page.ink, markersize=9, clip_on=False, zorder=5)
    return figure


@theme.styled
def override(found: Mapping[str, Threshold]) -> Figure:
    """Draw the share of answers that follow the voice against the intensity of the tone: points, fitted curve, threshold; a panel a listener.

    Args:
        found: {listener: `evaluation.threshold.override_threshold`}.
    """
    page = theme.look()
    first = next(iter(found.values()))
    n, levels = first.threshold.n, len(first.points)
    title = "How strong must the tone be to outweigh the words?"
    subtitle = f"Share of conflict items whose answer follows the voice; band and whiskers: 95%. n = {n} renderings of {first.sentences} sentences "
    subtitle += f"at {levels} intensities{', ' + first.threshold.scope if first.threshold.scope else ''}. Triangles: chance."
    width = _LEFT + len(found) * _SLOT + (len(found) - 1) * _GAP + 0.4
    top = theme.heading_height(width, title, subtitle) + 0.62
    figure = theme.figure(width, top + _TALL + 0.65)
    theme.heading(figure, title, subtitle)
    for i, (model, t) in enumerate(found.items()):
        axes = theme.place(figure, _LEFT + i * (_SLOT + _GAP), top, _SLOT, _TALL)
        _frame(axes, ylabel="answers that follow the voice (%)" if i == 0 else "", xlabel="intensity k of the voice", chance=False)
        axes.fill_between(t.curve.intensity, t.curve.low, t.curve.high, color=theme.mix(page.voice, page.paper, 0.8), linewidth=0)
        axes.plot(t.curve.intensity, t.curve.value, color=page.voice, linewidth=2.2)
        for level, share in t.points.items():
            k = float(level)
            axes.plot([k, k], [share.low, share.high], color=page.voice, linewidth=1.3)
            axes.plot([k], [share.value], marker="o", color=page.voice, markersize=6, markeredgecolor=page.paper)
            if share.chance is not None:
                axes.plot([k], [share.chance], marker="v", color=page.words, markersize=5)
        _mark(axes, t.threshold.value)
        _name(axes, model, _said(t.threshold.value, (t.threshold.low, t.threshold.high)))
    return figure


def _frame(axes: Axes, *, ylabel: str, xlabel: str, chance: bool = True) -> None:
    page = theme.look()
    axes.set(xlim=(-0.06, STRONGEST + 0.06), ylim=(-0.03, 1.03), xlabel=xlabel, ylabel=ylabel)
    axes.set_xticks([0, 0.5, 1, 1.5], ["0\nneutral", "0.5", "1\nnormal", "1.5\nstrong"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.grid(True, axis="y", color=page.line)
    if chance:
        axes.axhline(CHANCE, color=page.muted, linewidth=1, linestyle=(0, (1, 2)))


def _name(axes: Axes, model: str, said: str) -> None:
    """The listener above its panel, and below it what became of the threshold."""
    axes.text(0, 1.155, model, transform=axes.transAxes, size=12, weight="bold", va="center")
    axes.text(0, 1.055, said, transform=axes.transAxes, size=theme.SMALL, color=theme.look().muted, va="center")


def _mark(axes: Axes, threshold: float) -> None:
    if math.isfinite(threshold):
        axes.axvline(threshold, color=theme.look().ink, linewidth=1.2, linestyle=(0, (5, 3)), zorder=2)


def _said(threshold: float, interval: tuple[float, float] | None = None) -> str:
    """Say where the voice wins; an interval without an upper end holds "never"."""
    if math.isnan(threshold):
        return "no threshold"
    ends = "" if interval is None or math.isnan(interval[0]) else f" [{_k(interval[0])}, {_k(interval[1])}]"
    if math.isinf(threshold):
        return f"never: no intensity makes the voice win{ends}"
    return f"dashed: the voice wins from k = {threshold:.2f}{ends}" if threshold > 0 else f"the voice wins at every intensity{ends}"


def _k(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.2f}"
