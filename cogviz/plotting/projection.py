"""Maps of states in two dimensions, and what organises them by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.emotions import EMOTIONS
from cogviz.plotting import theme
from cogviz.plotting.probing import MARKERS, NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogviz.projection.embeddings import Map
    from cogviz.projection.neighbours import Neighbourhoods

METHODS = {"umap": "UMAP", "pca": "PCA", "tsne": "t-SNE"}

COLOURED = {"voice_emotion": "emotion", "word_emotion": "lexical_emotion"}


@theme.styled
def maps(
    found: Sequence[Map],
    *,
    title: str = "",
    by: Sequence[str] = ("voice_emotion", "word_emotion"),
    paths: bool = False,
    mark: Sequence[str] = (),
) -> Figure:
    """Draw maps side by side, a row for each colouring; an utterance keeps its place from one to the next as far as it can.

    Args:
        found: from `projection.embeddings.stages`.
        title: what is seen; "": which maps these are.
        by: "voice_emotion", "word_emotion".
        paths: draw a line from each utterance's place on the map before.
        mark: ids of utterances that get a ring and are drawn larger.
    """
    if not len(found):
        raise ValueError("nothing to draw: no maps")
    if unknown := [b for b in by if b not in COLOURED]:
        raise ValueError(f"maps are coloured by {' or '.join(COLOURED)}, not {unknown[0]!r}")
    page = theme.look()
    method = METHODS[found[0].method]
    title = title or f"{method} of the same utterances at {', '.join(m.name for m in found)}"
    start = "Each map is turned onto the one before. " if found[0].method == "pca" else "Each map begins with the one before. "
    subtitle = (
        f"n = {len(found[0].points):,d} utterances. Near points are near in the states; axes and distances between groups mean nothing. "
        f"{start if len(found) > 1 else ''}"
        "Trust: whether neighbours on the map are neighbours in the states, 0 to 1; in brackets, points dealt out at random."
    )
    alone = len(found) == len(by) == 1
    left, gap, label = 0.3 if alone else 1.8, 0.25, 0.5
    size = 4.6 if alone else min(3.4, max(2.3, 11.0 / len(found)))
    width = 7.2 if alone else max(left + len(found) * (size + gap) + 0.2, 8.5)
    top = theme.heading_height(width, title, subtitle) + 0.42
    figure = theme.figure(width, top + label + len(by) * (size + gap) + 0.1)
    theme.heading(figure, title, subtitle)
    names = [e for e in EMOTIONS if any(e in (u.emotion, u.lexical_emotion) for u in found[0].utterances)]
    for r, colouring in enumerate(by):
        for c, one in enumerate(found):
            axes = theme.place(figure, left + c * (size + gap), top + label + r * (size + gap), size, size)
            if paths and c:
                _paths(axes, found[c - 1].points, one.points)
            _scatter(axes, one, COLOURED[colouring])
            _mark(axes, one, COLOURED[colouring], mark)
            if r == 0:
                colours = f", by the {' '.join(NAMES[colouring].split())}" if alone else ""
                axes.set_title(f"{one.name}{colours}\ntrust {one.trust:.2f} ({one.chance:.2f})", fontsize=theme.TEXT, pad=6)
        if alone:
            continue
        y = 1 - (top + label + r * (size + gap) + size / 2) / figure.get_figheight()
        figure.text(0.3 / width, y, f"by the\n{NAMES[colouring]}", va="center", size=theme.TEXT, weight="bold", color=page.ink)
    figure.legend(
        handles=[_dot(e) for e in names], loc="upper left", ncols=len(names), bbox_to_anchor=(0.3 / width, 1 - (top - 0.38) / figure.get_figheight()),
        borderaxespad=0, fontsize=theme.TEXT, handletextpad=0.1, borderpad=0, columnspacing=1.2,
    )  # fmt: skip
    return figure


def _scatter(axes: Axes, one: Map, attribute: str) -> None:
    page = theme.look()
    labels = [getattr(u, attribute) for u in one.utterances]
    for name in dict.fromkeys(labels):
        here = np.array([label == name for label in labels])
        colour, marker = (theme.color(name), theme.MARKERS[name]) if name in theme.MARKERS else (page.neither, ".")
        axes.scatter(
            one.points[here, 0],
            one.points[here, 1],
            s=22,
            color=colour,
            marker=marker,
            linewidths=0.35,
            edgecolors=page.paper,
            alpha=0.95,
            zorder=2,
        )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(page.line)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.04)


def _mark(axes: Axes, one: Map, attribute: str, ids: Sequence[str]) -> None:
    page = theme.look()
    for u, (x, y) in zip(one.utterances, one.points, strict=True):
        if u.id in ids:
            name = getattr(u, attribute)
            colour, marker = (theme.color(name), theme.MARKERS[name]) if name in theme.MARKERS else (page.neither, "o")
            axes.scatter([x], [y], s=330, facecolors="none", edgecolors=page.ink, linewidths=2, zorder=4)
            axes.scatter([x], [y], s=80, color=colour, marker=marker, edgecolors=page.paper, linewidths=0.8, zorder=5)


def _paths(axes: Axes, before: np.ndarray, after: np.ndarray) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(list(np.stack([before, after], axis=1)), colors=theme.look().line, linewidths=0.6, zorder=1))


def _dot(name: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=theme.color(name), marker=theme.MARKERS[name], markersize=7, linestyle="none", label=name)


@theme.styled
def neighbourhoods(*results: Neighbourhoods, title: str = "") -> Figure:
    """Draw the purity of neighbourhoods by layer: a panel a model, a line a label, chance as a dotted line of its colour."""
    if not results:
        raise ValueError("nothing to draw: no neighbourhoods")
    page = theme.look()
    segment = next((f.segment for r in results for f in r.found if not f.site.startswith("encoder.")), "")
    title = title or _neighbour_title(results)
    n = max(f.purity.n for r in results for f in r.found)
    subtitle = (
        f"Share of an utterance’s 10 nearest others with the same label{f', states at “{segment}”' if segment else ''}; others of the same sentence "
        f"do not count, but for the sentence itself. 95% intervals; dotted: labels shuffled. n = {n:,d}."
    )
    left, right, gap, wide, high = 0.95, 0.35, 0.5, max(3.6, 8.5 / len(results)), 3.0
    width = left + len(results) * wide + (len(results) - 1) * gap + right
    top = theme.heading_height(width, title, subtitle) + 0.75
    figure = theme.figure(width, top + high + 0.7)
    theme.heading(figure, title, subtitle)
    labels = list(dict.fromkeys(label for r in results for label in r.labels))
    looks = {label: (page.series[i % len(page.series)], MARKERS[i % len(MARKERS)]) for i, label in enumerate(labels)}
    for c, result in enumerate(results):
        axes = theme.place(figure, left + c * (wide + gap), top, wide, high)
        for j, label in enumerate(result.labels):
            colour, marker = looks[label]
            found = [result.get(site, label).purity for site in result.sites]
            x = np.arange(len(found)) + 0.07 * (j - (len(labels) - 1) / 2)
            axes.plot(x, [float(e.chance or 0) for e in found], color=colour, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
            for place, e in zip(x, found, strict=True):
                axes.plot([place] * 2, [e.low, e.high], color=colour, linewidth=1.4, alpha=0.8, zorder=2)
            axes.plot(
                x, [e.value for e in found], color=colour, marker=marker, markersize=6, linewidth=1.6, markeredgecolor=page.paper, zorder=3
            )
        axes.set(xlim=(-0.5, len(result.sites) - 0.5), ylim=(-0.02, 1.02), ylabel="purity (%)" if c == 0 else "")
        several = len(result.sites) > 8
        axes.set_xticks(range(len(result.sites)), result.sites, rotation=55 if several else 0, ha="right" if several else "center")
        axes.set_yticks(np.linspace(0, 1, 6), ["0", "20", "40", "60", "80", "100"])
        axes.set_title(result.listener, pad=8)
        axes.grid(True, axis="y", color=page.line)
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=c, marker=m, markersize=6, linewidth=1.6, label=NAMES.get(label, label)) for label, (c, m) in looks.items()
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.3 / width, 1 - (top - 0.68) / figure.get_figheight()), ncols=len(handles),
        borderaxespad=0, fontsize=theme.TEXT, handletextpad=0.5, borderpad=0, columnspacing=1.6,
    )  # fmt: skip
    return figure


def _neighbour_title(results: Sequence[Neighbourhoods]) -> str:
    said = []
    for result in results:
        last = result.sites[-1]
        values = {label: result.get(last, label).purity for label in result.labels}
        most = max(values, key=lambda label: values[label].value - (values[label].chance or 0))
        said.append(f"{result.listener}: at {last} the {NAMES.get(most, most)} organises the space ({100 * values[most].value:.0f}%)")
    return ". ".join(said)
