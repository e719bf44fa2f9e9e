"""What holds an emotion inside a listener: neurons beside random ones, erased concepts beside random subspaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cogviz.plotting import theme
from cogviz.probing.erase import CONCEPTS, Erased
from cogviz.probing.neurons import Neurons
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@theme.styled
def neurons(found: Sequence[Neurons], *, title: str = "") -> Figure:
    """Draw what an emotion's neurons do beside random ones of the same layers: switched off, and turned up.

    Raises:
        ValueError: nothing to draw.
    """
    if not found:
        raise ValueError("no neurons to draw")
    page = theme.look()
    title = title or "Do an emotion’s neurons decide? Switched off, and turned up"
    subtitle = (
        "Change of the emotion’s probability on sentences other than those on which the neurons were found; 95% intervals over sentences."
    )
    names = [f"{f.model}\n{f.selector}, {f.per_emotion} an emotion" for f in found]
    width, left, each, gap, row = 11.5, 2.2, 4.2, 0.6, 0.62
    top = theme.heading_height(width, title, subtitle) + 0.85
    figure = theme.figure(width, top + row * len(found) + 0.95)
    theme.heading(figure, title, subtitle)
    sides = (
        ("own neurons at 0, items of the emotion", [(f.ablated, f.random_ablated) for f in found]),
        (f"its neurons times {found[0].gain:g}, all other items", [(f.amplified, f.random_amplified) for f in found]),
    )
    reach = max(abs(v) for _, pairs in sides for pair in pairs for e in pair for v in (e.value, e.low, e.high) if v == v) * 1.15
    for k, (heading, pairs) in enumerate(sides):
        axes = theme.place(figure, left + k * (each + gap), top, each, row * len(found))
        axes.axvline(0, color=page.muted, linewidth=0.8)
        for i, (mine, drawn) in enumerate(pairs):
            _point(axes, mine, i - 0.12, page.voice, "o", "selected")
            _point(axes, drawn, i + 0.18, page.words, "s", f"random, {found[i].draws} draws")
        axes.set(xlim=(-reach, reach), ylim=(len(found) - 0.5, -0.5))
        axes.set_yticks(range(len(found)), names if k == 0 else [""] * len(found))
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x", color=page.line)
        axes.set_title(heading, fontsize=theme.TEXT + 0.5, pad=8)
        axes.set_xlabel("change of probability")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles[:2], labels[:2], loc="upper left", bbox_to_anchor=(0.3 / width, 1 - (top - 0.82) / figure.get_figheight()), ncols=2
    )
    right = "; ".join(f"{f.model} {f.accuracy.value:.2f} / {f.ablated_accuracy.value:.2f} / {f.random_accuracy.value:.2f}" for f in found)
    text = (
        f"n = {found[0].ablated.n} items, each with the neurons of its own emotion and those of the six others. Named rightly, whole / own "
    )
    theme.note(figure, f"{text}neurons at 0 / random ones at 0: {right}. Chance 0.14.")
    return figure


def _point(axes: Axes, e: Estimate, y: float, colour: str, marker: str, label: str) -> None:
    axes.hlines(y, e.low, e.high, color=colour, linewidth=2)
    axes.plot([e.value], [y], color=colour, marker=marker, markersize=7, linestyle="", label=label, markeredgecolor=theme.look().paper)


@theme.styled
def erasing(found: Sequence[Erased], *, title: str = "") -> Figure:
    """Draw the 2 x 2 of erased concept x what the answer follows, a row of panels a model and site; hollow: a random subspace of the same rank.

    Raises:
        ValueError: nothing to draw.
    """
    if not found:
        raise ValueError("nothing was erased")
    page = theme.look()
    title = title or "Erase the voice’s emotion, or the words’: what does the answer follow then?"
    subtitle = "Held-out sentences whose words and voice are in conflict; 95% intervals over sentences. Hollow: a random subspace of the same rank."
    width, left, each, gap, tall = 11.5, 2.45, 4.1, 0.5, 1.15
    top = theme.heading_height(width, title, subtitle) + 0.5
    step = tall + 0.35
    figure = theme.figure(width, top + step * len(found) + 0.7)
    theme.heading(figure, title, subtitle)
    colours = {"voice": page.voice, "words": theme.mix(page.words, page.ink, 0.2)}
    for i, f in enumerate(found):
        for j, follows in enumerate(CONCEPTS):
            axes = theme.place(figure, left + j * (each + gap), top + i * step, each, tall)
            rows: list[tuple[str, Estimate, Estimate | None]] = [("nothing erased", getattr(f.whole, follows), None)]
            rows += [(f"{c} erased", getattr(f.erased[c], follows), getattr(f.random[c], follows)) for c in CONCEPTS]
            for y, (_, e, drawn) in enumerate(rows):
                axes.hlines(y, e.low, e.high, color=colours[follows], linewidth=2)
                axes.plot([e.value], [y], color=colours[follows], marker="o", markersize=8)
                if drawn is not None:
                    axes.plot([drawn.value], [y + 0.28], color=colours[follows], marker="o", markersize=6, markerfacecolor=page.paper)
            axes.axvline(1 / 7, color=page.muted, linewidth=1, linestyle=(0, (2, 2)))
            axes.set(xlim=(-0.02, 1.02), ylim=(2.6, -0.5))
            axes.set_yticks(range(3), [name for name, *_ in rows] if j == 0 else [""] * 3)
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"] if i == len(found) - 1 else [""] * 5)
            axes.tick_params(axis="y", length=0)
            axes.grid(True, axis="x", color=page.line)
            if i == 0:
                axes.set_title(f"follows the {follows}", fontsize=theme.TEXT + 1, pad=8)
        middle = 1 - (top + i * step + tall / 2) / figure.get_figheight()
        where = "input" if f.site == "connector" else f"after {f.site}"
        figure.text(0.3 / width, middle, f"{f.model}\n{where}\nn = {f.whole.voice.n}", va="center", size=theme.TEXT, color=page.ink)
    probes = "; ".join(
        f"{f.model} {f.site} " + ", ".join(f"{c} {p.before.value:.2f} then {p.after.value:.2f}" for c, p in f.probe.items()) for f in found
    )
    theme.note(figure, f"Dashed: chance, 1/7. A linear probe on the same held-out items, before erasing and after: {probes}.")
    return figure
