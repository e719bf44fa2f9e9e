"""What an intervention is, and what it adds to reading: the idea of patching, what is known beside what is used, whole exchanges side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from cogviz.plotting import theme
from cogviz.plotting.causes import DIFFERS, named
from cogviz.probing.effects import Effects
from cogviz.probing.knockout import Knockout
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACES = ("tone", "words", "instruction", "perception", "last")
"""Of the sketch, in the order of the passage."""


@theme.styled
def idea(
    donor: str,
    base: str,
    patched: str,
    *,
    at: tuple[int, str],
    layers: int = 6,
    places: Sequence[str] = PLACES,
    title: str = "Activation patching: one state is carried over, everything else stays",
) -> Figure:
    """Draw two runs of one model as grids of states, and the state that is copied from one into the other.

    Args:
        donor, base, patched: answers of the two runs, and of the base's run with the patch.
        at: after which layer, and at which of the `places`.

    Raises:
        ValueError: the sketch has no such layer or place.
    """
    layer, place = at
    if place not in places or not 0 <= layer < layers:
        raise ValueError(f"the sketch has layers 0 to {layers - 1} and the places {', '.join(places)}")
    subtitle = (
        "Each square is a list of numbers: what the model holds at one place after one layer. Shaded: what the copied numbers can reach."
    )
    width, each, tall, left, gap = 11.0, 4.0, 2.75, 0.95, 1.35
    top = theme.heading_height(width, title, subtitle) + 0.62
    figure = theme.figure(width, top + tall + 0.95)
    theme.heading(figure, title, subtitle)
    column = list(places).index(place)
    panels = []
    for k, (name, said) in enumerate((("donor", f"“{donor}”"), ("base", f"“{base}”, patched “{patched}”"))):
        axes = theme.place(figure, left + k * (each + gap), top, each, tall)
        _grid(axes, places, layers, mark=(layer, column), receives=k == 1)
        axes.set_title(f"the {name}’s run answers {said}", fontsize=theme.TEXT + 1, pad=10)
        axes.set_ylabel("after layer" if k == 0 else "")
        panels.append(axes)
    ends = [(column + 0.42, layer + 0.12), (column - 0.42, layer + 0.12)]
    _carry(figure, panels, ends)
    theme.note(
        figure,
        "A place reads what stands at it and before it; so a copied state can change only what lies above it, and what stands behind it.",
    )
    return figure


def _grid(axes: Axes, places: Sequence[str], layers: int, *, mark: tuple[int, int], receives: bool) -> None:
    page = theme.look()
    for i in range(layers):
        for j in range(len(places)):
            marked = (i, j) == mark
            reached = receives and i > mark[0] and (j >= mark[1])
            colour = page.series[1] if marked else theme.mix(page.panel, page.series[1], 0.28) if reached else page.neither
            axes.add_patch(
                FancyBboxPatch(
                    (j - 0.34, i - 0.32),
                    0.68,
                    0.64,
                    boxstyle="round,pad=0,rounding_size=0.12",
                    facecolor=colour,
                    edgecolor=page.line,
                    linewidth=0.8,
                )
            )
    axes.set(xlim=(-0.6, len(places) - 0.4), ylim=(-0.6, layers - 0.4))
    axes.set_xticks(range(len(places)), [p.replace(" ", "\n") for p in places])
    axes.set_yticks(range(layers), [""] * layers if receives else [str(i) for i in range(layers)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _carry(figure: Figure, panels: Sequence[Axes], ends: Sequence[tuple[float, float]]) -> None:
    """The arrow from the donor's square to the base's."""
    start, stop = (figure.transFigure.inverted().transform(axes.transData.transform(end)) for axes, end in zip(panels, ends, strict=True))
    page = theme.look()
    arrow = FancyArrowPatch(
        tuple(start), tuple(stop), transform=figure.transFigure, arrowstyle="-|>", mutation_scale=18, connectionstyle="arc3,rad=-0.12",
        linewidth=2.4, color=page.ink, zorder=10,
    )  # fmt: skip
    figure.add_artist(arrow)


@theme.styled
def known_and_used(known: Mapping[str, Estimate], used: Mapping[str, Estimate], *, model: str, site: str, title: str = "") -> Figure:
    """Draw, place by place, how well the voice's emotion can be read there, beside how much exchanging the place does to the answer.

    Args:
        known: place -> accuracy of a probe. used: place -> share of the whole exchange's effect.

    Raises:
        ValueError: no place is in both.
    """
    places = [p for p in known if p in used]
    if not places:
        raise ValueError(f"no place is known and used: {', '.join(known) or 'none'} beside {', '.join(used) or 'none'}")
    page = theme.look()
    title = title or "What can be read is not always what decides"
    subtitle = f"{model}, after layer {named(site)}: a probe that reads the voice’s emotion, and what exchanging the same places does; 95% intervals."
    width, left, each, gap, row = 10.0, 1.45, 3.75, 0.6, 0.46
    tall = row * len(places)
    top = theme.heading_height(width, title, subtitle) + 0.5
    figure = theme.figure(width, top + tall + 0.95)
    theme.heading(figure, title, subtitle)
    read = theme.mix(page.words, page.ink, 0.2)
    panels = (("can be read (accuracy of a probe)", known, read, "s"), ("decides (share of the whole exchange)", used, page.voice, "o"))
    for k, (name, found, colour, marker) in enumerate(panels):
        axes = theme.place(figure, left + k * (each + gap), top, each, tall)
        chance = found[places[0]].chance or 0.0
        axes.axvline(chance, color=page.muted, linewidth=1, linestyle=(0, (2, 2)))
        for y, place in enumerate(places):
            e = found[place]
            axes.hlines(y, chance, e.value, color=theme.mix(colour, page.paper, 0.6), linewidth=5)
            axes.hlines(y, e.low, e.high, color=colour, linewidth=2)
            axes.plot([e.value], [y], color=colour, marker=marker, markersize=8, markeredgecolor=page.paper)
            axes.text(1.06, y, _written(e.value), va="center", size=theme.SMALL, color=page.ink)
        axes.set(xlim=(-0.06, 1.04), ylim=(len(places) - 0.5, -0.5))
        axes.set_yticks(range(len(places)), places if k == 0 else [""] * len(places))
        axes.tick_params(axis="y", length=0)
        axes.set_title(name, fontsize=theme.TEXT + 1, pad=8)
    counts = [max(found[p].n for p in places) for found in (known, used)]
    theme.note(figure, f"Dashed: chance, {_written(known[places[0]].chance or 0)}, for reading; 0 for deciding. "
               f"n = {counts[0]} recordings read, {counts[1]} pairs exchanged.")  # fmt: skip
    return figure


@theme.styled
def exchanges(found: Sequence[Effects], *, title: str = "") -> Figure:
    """Draw what exchanging everything does: the change of the score, and how many pairs get two answers. What is not there cannot be located.

    Raises:
        ValueError: nothing to draw.
    """
    if not found:
        raise ValueError("no patching to draw")
    page = theme.look()
    title = title or "What is there to be found: the whole exchange"
    subtitle = "The donor’s recording in place of the base’s: what becomes of the score, and in how many pairs the answer is another; 95% intervals."
    names = [f"{f.model}\n{DIFFERS[f.differs]}" for f in found]
    width, left, each, gap, row = 10.5, 2.85, 3.2, 0.55, 0.62
    tall = row * len(found)
    top = theme.heading_height(width, title, subtitle) + 0.5
    figure = theme.figure(width, top + tall + 0.85)
    theme.heading(figure, title, subtitle)
    reach = max(f.total.high for f in found) * 1.1
    for k, (name, values, high) in enumerate(
        (
            ("score: donor’s emotion less base’s (logits)", [f.total for f in found], reach),
            ("pairs with two answers", [f.differ for f in found], 1.04),
        )
    ):
        axes = theme.place(figure, left + k * (each + gap), top, each, tall)
        axes.axvline(0, color=page.muted, linewidth=0.8)
        for y, (f, e) in enumerate(zip(found, values, strict=True)):
            colour, marker = (page.voice, "o") if f.differs == "tone" else (theme.mix(page.words, page.ink, 0.2), "s")
            axes.hlines(y, e.low, e.high, color=colour, linewidth=2)
            axes.plot([e.value], [y], color=colour, marker=marker, markersize=8, markeredgecolor=page.paper)
        axes.set(xlim=(min(0.0, *(e.low for e in values)) - 0.03 * high, high), ylim=(len(found) - 0.5, -0.5))
        axes.set_yticks(range(len(found)), names if k == 0 else [""] * len(found))
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x", color=page.line)
        axes.set_title(name, fontsize=theme.TEXT + 0.5, pad=8)
    pairs = ", ".join(f"{f.model} {f.differs} {f.total.n}" for f in found)
    theme.note(figure, f"n, pairs: {pairs}. 0: the exchange does nothing.")
    return figure


@theme.styled
def wires(found: Sequence[Knockout], *, looks: str = "last", title: str = "") -> Figure:
    """Draw what cutting the attention from one segment to the others costs, layer by layer and in all layers; hollow: as many others, drawn.

    Each model is judged by what it answers by: the emotion, of the voice or of the words, that it finds likelier when it is whole.

    Raises:
        ValueError: nothing to draw, or nothing was cut for `looks`.
    """
    if not found or not all(_seen(f, looks) for f in found):
        raise ValueError(f"no attention of {looks!r} was cut")
    page = theme.look()
    title = title or f"Cut the wire: what the place “{looks}” may no longer see"
    subtitle = (
        "Change of the probability of the emotion that the model answers by, when attention is cut in one layer or in all; 95% intervals."
    )
    width, left, each, gap, row = 11.0, 1.15, 4.3, 0.75, 0.5
    rows = max(len(f.bands) for f in found)
    top = theme.heading_height(width, title, subtitle) + 0.85
    figure = theme.figure(width, top + row * rows + 0.95)
    theme.heading(figure, title, subtitle)
    ink = {"tone": page.voice, "words": theme.mix(page.words, page.ink, 0.2)}
    for k, f in enumerate(found):
        what = "voice" if f.whole["voice"].value > f.whole["words"].value else "words"
        axes = theme.place(figure, left + k * (each + gap), top, each, row * len(f.bands))
        seen = _seen(f, looks)
        for i, segment in enumerate(seen):
            colour, marker = ink.get(segment, page.series[3 + i % 3]), "os^vDP"[i % 6]
            for y, band in enumerate(f.bands):
                e, drawn = (getattr(f, part)[band][f"{looks} > {segment}"] for part in (what, f"random_{what}"))
                at = y + 0.26 * (i - (len(seen) - 1) / 2)
                axes.hlines(at, e.low, e.high, color=colour, linewidth=2)
                axes.plot([drawn.value], [at], color=colour, marker=marker, markersize=6, markerfacecolor=page.paper)
                label = f"{looks} > {segment}" if y == 0 else None
                axes.plot([e.value], [at], color=colour, marker=marker, markersize=7, linestyle="", label=label)
        axes.axvline(0, color=page.muted, linewidth=0.8)
        axes.set(xlim=(-1, 0.25), ylim=(len(f.bands) - 0.5, -0.5))
        axes.set_yticks(range(len(f.bands)), [b if " " in b else f"layer {named(b)}" for b in f.bands] if k == 0 else [""] * len(f.bands))
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x", color=page.line)
        said = "the voice’s" if what == "voice" else "the words’"
        axes.set_title(
            f"{f.model}: {said} emotion, {f.whole[what].value:.2f} intact, n = {f.whole[what].n}", fontsize=theme.TEXT + 0.5, pad=8
        )
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="upper left",
        bbox_to_anchor=(0.3 / width, 1 - (top - 0.8) / figure.get_figheight()),
        ncols=4,
    )
    theme.note(figure, "Hollow: as many other places, drawn at random, are cut off. Chance is 1/7. Only layers with attention can be cut.")
    return figure


def _seen(found: Knockout, looks: str) -> list[str]:
    """The segments that a segment's places may no longer look at."""
    links = (link.split(" > ") for link in next(iter(found.voice.values()), {}))
    return [b for a, b in links if a == looks]


def _written(value: float) -> str:
    text = f"{value:.2f}".replace("-", "−")
    return "0" if text in ("0.00", "−0.00") else text
