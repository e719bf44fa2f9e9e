"""Finer scales for words against voice: cue weights, information, and what each factor of the tone adds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cogviz.evaluation.factors import FACTORS
from cogviz.plotting import theme
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogviz.evaluation.factors import Shapley
    from cogviz.evaluation.information import Information
    from cogviz.evaluation.weighing import Weighing
    from cogviz.utterance import Utterance

LABELS: dict[str, str] = dict(zip(FACTORS, ("words", "pitch", "melody", "tempo", "loudness", "voice quality"), strict=True))
"""What a reader calls the factors of `evaluation.factors.FACTORS`."""

_LEFT, _ROW = 1.75, 0.42
_MARKERS = {"words": "s", "voice": "o", "both": "D"}


@theme.styled
def weights(found: Mapping[str, Weighing]) -> Figure:
    """Draw what the words and what the voice weigh in the answers of each model, with 95% intervals; at the right the lexical share."""
    _need(found)
    first = next(iter(found.values()))
    title = "How heavy are the words, how heavy is the voice?"
    subtitle = f"Weight in log-odds: what is added to an answer's score where the cue names it. n = {first.words.n} answers a model, "
    subtitle += f"{first.sentences} sentences. Dotted: 0, a cue without effect (chance). Line: 95% interval{_scope(first.words)}."
    rows = {name: {"words": w.words, "voice": w.voice} for name, w in found.items()}
    said = {name: "no share" if math.isnan(w.share.value) else f"lexical share {_interval(w.share, '{:.2f}')}" for name, w in found.items()}
    return _lanes(title, subtitle, rows, said, xlabel="weight (log-odds)")


@theme.styled
def information(found: Mapping[str, Information]) -> Figure:
    """Draw the shares of the answers' entropy that the words, the voice, and only both together explain, with 95% intervals."""
    _need(found)
    first = next(iter(found.values()))
    title = "How much of the answer do the words tell, and how much the voice?"
    subtitle = f"Share of the answers' entropy, corrected for few items. n = {first.words.n} answers a model. "
    subtitle += f"Dotted: 0, nothing told (chance). Line: 95% interval{_scope(first.words)}."
    rows = {name: {"words": i.words, "voice": i.voice, "both": i.synergy} for name, i in found.items()}
    said = {name: f"entropy {i.entropy.value:.1f} bits" for name, i in found.items()}
    return _lanes(title, subtitle, rows, said, xlabel="share of the entropy (%)", percent=True)


@theme.styled
def factors(found: Mapping[str, Shapley], items: Mapping[str, np.ndarray] | None = None, *, sentences: int) -> Figure:
    """Draw the Shapley value of each factor, a panel a model: point and line are the mean and its 95% interval, small points single items.

    Args:
        found: model -> split of log p(voice's emotion) - log p(words' emotion).
        items: model -> (N, 6) values of single items. sentences: how many they come from.
    """
    _need(found)
    first = next(iter(found.values()))
    page = theme.look()
    title = "What moves the answer towards the voice, and what towards the words?"
    subtitle = (
        f"Exact Shapley values over 64 renderings an item; they sum to the whole effect. n = {first.total.n} items, {sentences} sentences. "
    )
    subtitle += (
        f"Dotted: 0, no effect (chance). Line: 95% interval{_scope(first.total)}; small points: single items. The two scales differ."
    )
    tall, wide, gap = _ROW * len(FACTORS), 4.4, 0.55
    width = _LEFT + len(found) * wide + (len(found) - 1) * gap + 0.4
    top = theme.heading_height(width, title, subtitle) + 0.7
    figure = theme.figure(width, top + tall + 0.75)
    theme.heading(figure, title, subtitle)
    for k, (name, s) in enumerate(found.items()):
        axes = theme.place(figure, _LEFT + k * (wide + gap), top, wide, tall)
        for y, factor in enumerate(FACTORS):
            colour = _colour("words" if factor == "words" else "voice")
            if items is not None:
                own = items[name][:, y]
                axes.plot(own, np.full(len(own), y + 0.24), ".", color=page.muted, markersize=5, alpha=0.8, zorder=2)
            _point(axes, s.factors[factor], y, colour, _MARKERS["words" if factor == "words" else "voice"])
        axes.axvline(0, color=page.muted, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        axes.set(ylim=(len(FACTORS) - 0.4, -0.6), xlabel="← towards the words     log-odds     towards the voice →")
        axes.set_yticks(range(len(FACTORS)), LABELS.values() if k == 0 else [""] * len(FACTORS), fontsize=theme.TEXT + 1)
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x", color=page.line)
        axes.spines["left"].set_visible(False)
        sums = f"sum {_interval(s.total, '{:+.1f}')} · words x tone {_interval(s.interaction, '{:+.1f}')}"
        axes.text(0, 1.14, name, transform=axes.transAxes, size=12, weight="bold", va="center")
        axes.text(0, 1.05, sums, transform=axes.transAxes, size=theme.SMALL, color=page.muted, va="center")
    return figure


@theme.styled
def factor_map(values: np.ndarray, targets: Sequence[Utterance], *, mean: Shapley, model: str) -> Figure:
    """Draw what each factor adds to the probability of the voice's emotion, a row an item, and the mean below.

    Args:
        values: (N, 6) Shapley values of probabilities. targets: (N,) the items. mean: the split of the mean. model: who was asked.
    """
    if np.shape(values) != (len(targets), len(FACTORS)):
        raise ValueError(f"values have shape {np.shape(values)}; give ({len(targets)}, {len(FACTORS)}): a row a target, a column a factor")
    page = theme.look()
    sentences = len({u.sentence for u in targets})
    title = f"What {model} hears each emotion by"
    subtitle = (
        "Percentage points that a factor adds to the probability of the voice's emotion (exact Shapley values). A row is one recording: "
    )
    subtitle += (
        f"an example. Mean: n = {len(targets)}, {sentences} sentences, 95% interval{_scope(mean.total)}; grey: it holds 0, no effect."
    )
    left, row, column = 1.6, 0.5, 1.42
    width = left + column * len(FACTORS) + 0.4
    top = theme.heading_height(width, title, subtitle) + 0.45
    figure = theme.figure(width, top + row * (len(targets) + 1.55) + 0.3)
    theme.heading(figure, title, subtitle)
    limit = max(float(np.abs(values).max()), 0.05)
    axes = theme.place(figure, left, top, column * len(FACTORS), row * len(targets))
    image = axes.imshow(values, cmap=theme.diverging(), vmin=-limit, vmax=limit, aspect="auto")
    for (r, c), value in np.ndenumerate(values):
        axes.text(c, r, _points(value), ha="center", va="center", size=11.5, weight="bold", color=theme.text_on(theme.shade(image, value)))
    axes.set_xticks(range(len(FACTORS)), LABELS.values())
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=theme.TEXT + 1)
    axes.set_yticks(range(len(targets)), [str(u.emotion) for u in targets])
    for tick, u in zip(axes.get_yticklabels(), targets, strict=True):
        tick.set(color=theme.ink(str(u.emotion)), weight="bold")
    below = theme.place(figure, left, top + row * (len(targets) + 0.2), column * len(FACTORS), row * 1.15)
    means = [mean.factors[f] for f in FACTORS]
    below.imshow(np.array([[e.value for e in means]]), cmap=theme.diverging(), vmin=-limit, vmax=limit, aspect="auto")
    for c, e in enumerate(means):
        nothing = not (e.low > 0 or e.high < 0)
        if nothing:
            below.fill_between([c - 0.5, c + 0.5], -0.5, 0.5, color=page.panel, linewidth=0)
        ink = page.muted if nothing else theme.text_on(theme.shade(image, e.value))
        below.text(c, -0.14, _points(e.value), ha="center", va="center", size=12, weight="bold", color=ink)
        below.text(c, 0.25, f"[{_points(e.low)}, {_points(e.high)}]", ha="center", va="center", size=theme.SMALL, color=ink)
    below.set_xticks([])
    below.set_yticks([0], ["mean"], fontsize=theme.TEXT + 1, fontweight="bold")
    below.tick_params(length=0)
    for part in (axes, below):
        part.spines[:].set_visible(False)
        for i in range(1, len(FACTORS)):
            part.axvline(i - 0.5, color=page.paper, linewidth=2)
    for i in range(1, len(targets)):
        axes.axhline(i - 0.5, color=page.paper, linewidth=2)
    return figure


def _lanes(
    title: str, subtitle: str, rows: Mapping[str, Mapping[str, Estimate]], said: Mapping[str, str], *, xlabel: str, percent: bool = False
) -> Figure:
    """A band a model, in it a lane an estimate."""
    page = theme.look()
    lanes = len(next(iter(rows.values())))
    band, wide, right = 0.34 * lanes + 0.3, 7.2, 0.5
    width = _LEFT + wide + right
    top = theme.heading_height(width, title, subtitle) + 0.15
    figure = theme.figure(width, top + band * len(rows) + 0.7)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, _LEFT, top, wide, band * len(rows))
    scale = 100 if percent else 1
    high = max(e.high if math.isfinite(e.high) else e.value for part in rows.values() for e in part.values()) * scale
    for k, (name, part) in enumerate(rows.items()):
        for j, (cue, e) in enumerate(part.items()):
            y = k * band + 0.36 + 0.34 * j
            scaled = Estimate(e.value * scale, e.low * scale, e.high * scale, e.n)
            _point(axes, scaled, y, _colour(cue), _MARKERS[cue], label=f"{cue} {_interval(scaled, '{:.0f}' if percent else '{:.1f}')}")
        axes.text(0, k * band + 0.08, f"  {said[name]}", size=theme.SMALL, color=page.muted, va="center")
        if k:
            axes.axhline(k * band - 0.05, color=page.line, linewidth=1)
    axes.axvline(0, color=page.muted, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
    low, _ = axes.get_xlim()
    axes.set(ylim=(band * len(rows) - 0.05, -0.05), xlim=(low, high * 1.32), xlabel=xlabel)
    axes.set_yticks([k * band + 0.36 + 0.17 * (lanes - 1) for k in range(len(rows))], list(rows), fontsize=11, fontweight="bold")
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x", color=page.line)
    axes.spines["left"].set_visible(False)
    return figure


def _point(axes: Axes, e: Estimate, y: float, colour: str, marker: str, *, label: str = "") -> None:
    page = theme.look()
    if math.isfinite(e.low) and math.isfinite(e.high):
        axes.plot([e.low, e.high], [y, y], color=colour, linewidth=2.4, alpha=0.65, solid_capstyle="round", zorder=3)
    axes.plot([e.value], [y], marker, color=colour, markersize=8, markeredgecolor=page.paper, zorder=4)
    if label:
        end = e.high if math.isfinite(e.high) else e.value
        axes.annotate(label, (end, y), (8, 0), textcoords="offset points", size=theme.SMALL + 0.5, va="center", color=colour, weight="bold")


def _colour(cue: str) -> str:
    page = theme.look()
    return {"words": theme.mix(page.words, page.ink, 0.15), "voice": page.voice}.get(cue, page.muted)


def _interval(e: Estimate, form: str) -> str:
    ends = f" [{form.format(e.low)}, {form.format(e.high)}]" if math.isfinite(e.low) and math.isfinite(e.high) else ""
    return _tidy(form.format(e.value) + ends)


def _points(value: float) -> str:
    return "?" if not math.isfinite(value) else _tidy(f"{100 * value:+.0f}")


def _tidy(text: str) -> str:
    return text.replace("-0.00", "0.00").replace("-", "−").replace("+0 ", "0 ").replace("−0 ", "0 ") if text not in ("+0", "-0") else "0"


def _scope(e: Estimate) -> str:
    return f", {e.scope}" if e.scope else ""


def _need(found: Mapping[str, object]) -> None:
    if not found:
        raise ValueError("nothing to draw: no model was measured")
