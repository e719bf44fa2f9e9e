"""What can be read out of each layer: probes beside their baselines, lenses, and how alike layers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.plotting import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogviz.probing.lens import Lens
    from cogviz.probing.linear import Probe, Probes
    from cogviz.probing.similarity import Similarity

NAMES = {
    "voice_emotion": "voice’s emotion",
    "word_emotion": "words’ emotion",
    "sentence": "sentence",
    "speaker": "speaker",
    "": "all places",
}

MARKERS = "osD^vP"

CELL = 0.52  # inches, of a heat map with numbers


@theme.styled
def probes(*results: Probes, targets: Sequence[str] = ("voice_emotion", "word_emotion"), segments: Sequence[str] | None = None) -> Figure:
    """Draw the accuracy of probes by layer: a row of panels a target, a column a model, a line a segment.

    Beside them what must be beaten (chance, the words alone, random weights) and what the model's own answers make of it.

    Args:
        results: of one or several models.
        segments: which lines; None: all but the instruction's.
    """
    if not results or not any(t in r.targets for r in results for t in targets):
        raise ValueError(f"nothing to draw: no probe of {' or '.join(targets)}")
    targets = [t for t in targets if any(t in r.targets for r in results)]
    page = theme.look()
    lines = _lines(results, segments)
    title = _probe_title(results, targets, lines)
    subtitle = (
        "Balanced accuracy of linear probes on new sentences and new speakers, with the 95% interval. Bold dashes: the model’s own answers "
        f"on the same items. n = {max(p.accuracy.n for r in results for p in r.probes):,d}."
    )
    scopes = dict.fromkeys(p.accuracy.scope for r in results for p in r.probes if p.accuracy.scope)
    subtitle += f" Holds {', '.join(scopes)}." if scopes else ""
    left, right, gap, wide, high = 0.95, 0.35, 0.5, max(3.6, 9.5 / len(results)), 2.5
    width = left + len(results) * wide + (len(results) - 1) * gap + right
    top = theme.heading_height(width, title, subtitle) + 0.72
    row = high + 0.9
    figure = theme.figure(width, top + len(targets) * row + 0.3)
    theme.heading(figure, title, subtitle)
    looks = {s: (page.series[i % len(page.series)], MARKERS[i % len(MARKERS)]) for i, s in enumerate(lines)}
    for r, target in enumerate(targets):
        for c, result in enumerate(results):
            axes = theme.place(figure, left + c * (wide + gap), top + r * row, wide, high)
            _probe_panel(axes, result, target, looks)
            axes.set_title(f"{result.listener}: {NAMES.get(target, target)}", pad=8)
            axes.set_ylabel("balanced accuracy (%)" if c == 0 else "")
    handles = [_handle(colour, marker, NAMES.get(s, s)) for s, (colour, marker) in looks.items()]
    handles += [_handle(page.ink, "", "used by the model", (0, (4, 2)), 2.2), _handle(page.words, "", "words alone", (0, (1, 1.5)), 1.6)]
    if any(p.random is not None for result in results for p in result.probes):
        handles.append(_handle(page.muted, "x", "random weights", "none", 0))
    handles.append(_handle(page.muted, "", "chance", (0, (2, 2)), 1))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.3 / width, 1 - (top - 0.68) / figure.get_figheight()), ncols=len(handles),
        borderaxespad=0, fontsize=theme.SMALL, handletextpad=0.5, borderpad=0, columnspacing=1.4,
    )  # fmt: skip
    if caution := next((p.caution for result in results for p in result.probes if p.caution), ""):
        theme.note(figure, f"Not claimed: {caution}.")
    return figure


def _probe_title(results: Sequence[Probes], targets: Sequence[str], lines: Sequence[str]) -> str:
    """What each model encodes at best, of what is drawn, and what it uses."""
    said = []
    for result in results:
        parts = []
        for target in (t for t in targets if t in result.targets):
            drawn = [p for p in result.probes if p.target == target and (p.segment in lines or p.site.startswith("encoder."))]
            best = max(p.accuracy.value for p in drawn)
            used = f", used {100 * result.used[target].value:.0f}%" if target in result.used else ""
            parts.append(f"{NAMES.get(target, target)} encoded {100 * best:.0f}%{used}")
        said.append(f"{result.listener}: {'; '.join(parts)}")
    return ". ".join(said)


def _lines(results: Sequence[Probes], segments: Sequence[str] | None) -> list[str]:
    found = list(dict.fromkeys(p.segment for r in results for p in r.probes if not p.site.startswith("encoder.")))
    if segments is not None:
        return [s for s in segments if s in found]
    return [s for s in found if s != "instruction"] or found


def _probe_panel(axes: Axes, result: Probes, target: str, looks: dict[str, tuple[str, str]]) -> None:
    page = theme.look()
    at = {site: i for i, site in enumerate(result.sites)}
    own = [p for p in result.probes if p.target == target]
    if own:
        axes.axhline(own[0].accuracy.chance or 0, color=page.muted, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    if target in result.words_alone:
        axes.axhline(result.words_alone[target].value, color=page.words, linewidth=1.6, linestyle=(0, (1, 1.5)), zorder=1)
    if target in result.used:
        axes.axhline(result.used[target].value, color=page.ink, linewidth=2.2, linestyle=(0, (4, 2)), zorder=2)
    for j, (segment, (colour, marker)) in enumerate(looks.items()):
        shift = 0.09 * (j - (len(looks) - 1) / 2)
        _probe_line(axes, [p for p in own if p.segment == segment], at, shift, colour, marker)
    _probe_line(
        axes, [p for p in own if p.site.startswith("encoder.") and p.segment not in looks], at, 0, page.neither, "o", dark=page.muted
    )
    axes.set(xlim=(-0.5, len(at) - 0.5), ylim=(-0.02, 1.02))
    axes.set_xticks(range(len(at)), list(at), rotation=0 if len(at) <= 8 else 55, ha="center" if len(at) <= 8 else "right")
    axes.set_yticks(np.linspace(0, 1, 6), ["0", "20", "40", "60", "80", "100"])
    axes.grid(True, axis="y", color=page.line)


def _probe_line(axes: Axes, line: list[Probe], at: dict[str, int], shift: float, colour: str, marker: str, dark: str | None = None) -> None:
    if not line:
        return
    page = theme.look()
    x = [at[p.site] + shift for p in line]
    value = [p.accuracy.value for p in line]
    for place, probe in zip(x, line, strict=True):
        axes.plot([place] * 2, [probe.accuracy.low, probe.accuracy.high], color=dark or colour, linewidth=1.4, alpha=0.8, zorder=3)
    axes.plot(
        x,
        value,
        color=dark or colour,
        marker=marker,
        markersize=6,
        linewidth=1.6,
        zorder=4,
        markeredgecolor=page.paper,
        markeredgewidth=0.8,
    )
    for place, probe in zip(x, line, strict=True):
        if probe.random is not None:
            axes.plot(place, probe.random.value, color=dark or colour, marker="x", markersize=5, linestyle="", zorder=3)


@theme.styled
def lens(result: Lens) -> Figure:
    """Draw what a lens sees: layers from below against places, the share whose likeliest word is the voice's, and the words', emotion."""
    page = theme.look()
    kind = "tuned lens" if result.tuned else "logit lens"
    voice, words = (100 * float(v[-1, -1]) for v in (result.voice, result.words))
    last = result.sites[-1]
    title = f"{result.listener}: where the answer is asked for, {last} says the voice’s emotion in {voice:.0f}%, the words’ in {words:.0f}%"
    n = max(s.voice.n for s in result.seen)
    subtitle = (
        f"{kind.capitalize()}: the share of utterances whose likeliest of the seven emotion words is the right one. n = {n:,d}; chance 14%."
    )
    if result.tuned:
        subtitle += " Each layer is first mapped to the last one’s basis, fitted on other sentences; in brackets: its variance explained."
    count, layers = len(result.columns), len(result.sites)
    width, left = 13.33, 1.55
    high = max(0.3 * layers, 1.6)
    top = theme.heading_height(width, title, subtitle) + 0.4
    figure = theme.figure(width, top + 2 * high + 2.25)
    theme.heading(figure, title, subtitle)
    explained = {s.site: s.explained for s in result.seen}
    labels = [f"{s} ({e:.2f})" if (e := explained.get(s)) is not None else s for s in result.sites]
    for i, (name, values) in enumerate((("the voice’s emotion", result.voice), ("the words’ emotion", result.words))):
        axes = theme.place(figure, left, top + i * (high + 0.45), width - left - 1.1, high)
        image = axes.imshow(values, cmap=theme.sequential(), vmin=0, vmax=1, aspect="auto", origin="lower")
        axes.set_yticks(range(layers), labels)
        axes.set_title(name, pad=5)
        axes.set_xticks(
            range(count), [theme.plain(c) for c in result.columns] if i else [""] * count, rotation=60, ha="right", rotation_mode="anchor"
        )
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (r, c), value in np.ndenumerate(values):
            if value >= 0.25:
                axes.text(c, r, f"{100 * value:.0f}", ha="center", va="center", size=6.5, color=theme.text_on(theme.shade(image, value)))
    bar = figure.colorbar(image, cax=theme.place(figure, width - 0.85, top, 0.14, 2 * high + 0.45))
    bar.set_ticks([0, 1 / 7, 0.5, 1], labels=["0%", "chance", "50%", "100%"], size=theme.TINY)
    bar.outline.set_visible(False)
    theme.note(figure, "Columns: places of the passage, in order; the words are cut into equal parts. Numbers from 25% on.")
    axes.set_xlabel("place of the passage", color=page.muted)
    return figure


@theme.styled
def similarity(result: Similarity) -> Figure:
    """Draw linear CKA of every pair of sites as a heat map; what is not above its null is struck out."""
    same = result.first == result.second
    where = f" at “{result.segment}”" if result.segment else ""
    low = np.unravel_index(np.nanargmin(result.value), result.value.shape)
    who = result.first if same else f"{result.first} and {result.second}"
    title = f"{who}{where}: least alike are {result.rows[low[0]]} and {result.columns[low[1]]} ({result.value[low]:.2f})"
    subtitle = (
        f"Linear CKA{', debiased' if result.debiased else ''}: 1 is the same but for rotation and scale. n = {result.n:,d} utterances. Small: 95% "
        "interval (jackknife over sentences). Grey: not above the 97.5th percentile of shuffled utterances."
    )
    page = theme.look()
    cell = max(CELL, 4.2 / max(len(result.columns), 1)) if len(result.columns) < 10 else CELL
    left, wide, high = 1.2, cell * len(result.columns), 0.85 * cell * len(result.rows)
    width = max(left + wide + 1.0, 7.5)
    top = theme.heading_height(width, title, subtitle) + 0.3
    figure = theme.figure(width, top + high + 1.0)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, wide, high)
    image = axes.imshow(np.clip(result.value, 0, 1), cmap=theme.sequential(), vmin=0, vmax=1, aspect="auto")
    for (r, c), value in np.ndenumerate(result.value):
        if value <= result.null[r, c]:
            axes.text(c, r, "–", ha="center", va="center", size=theme.TEXT, color=page.muted)
            continue
        ink = theme.text_on(theme.shade(image, float(np.clip(value, 0, 1))))
        axes.text(c, r - 0.12, f"{value:.2f}", ha="center", va="center", size=theme.TEXT, color=ink)
        if np.isfinite(result.low[r, c]) and cell >= 0.6:
            axes.text(c, r + 0.24, f"{result.low[r, c]:.2f} to {result.high[r, c]:.2f}", ha="center", va="center", size=6, color=ink)
    axes.set_xticks(range(len(result.columns)), result.columns, rotation=0 if cell >= 0.6 else 60)
    axes.set_yticks(range(len(result.rows)), result.rows)
    axes.set(xlabel=f"layers of {result.second}", ylabel=f"layers of {result.first}")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, cax=theme.place(figure, left + wide + 0.2, top, 0.14, high))
    bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"], size=theme.TINY)
    bar.outline.set_visible(False)
    return figure


def _handle(colour: str, marker: str, label: str, line: Any = "-", width: float = 1.6) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker=marker or "none", markersize=6, linewidth=width, linestyle=line, label=label)
