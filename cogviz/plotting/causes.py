"""What decides inside a listener: patching maps, flips by layer, heads, attention cut, neurons, erased concepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cogviz.plotting import theme
from cogviz.probing.effects import Effects
from cogviz.probing.knockout import Knockout
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

NUMBERED = 10
"""A map of more columns has no numbers in its cells."""

DIFFERS = {"tone": "the same words, another tone", "words": "the same tone, other words"}

HYBRID = "Layers without attention are short convolutions, which pass on what stands next to a place."


def named(site: str) -> str:
    """A site as it is written on a figure."""
    return "input" if site == "connector" else site.removeprefix("lm.").replace(".heads.", ", head ").replace(".", ", ")


@theme.styled
def patching(found: Sequence[Effects], *, title: str = "") -> Figure:
    """Draw layer x place maps of the effect of patching, a panel a model; the best site, chosen on other sentences, is outlined.

    Args:
        found: of pairs that differ in the same thing, at the same places.

    Raises:
        ValueError: nothing to draw, or pairs that differ in different things.
    """
    if len({f.differs for f in found}) != 1:
        raise ValueError("one map needs patchings of pairs that all differ in the same thing" if found else "no patching to draw")
    page = theme.look()
    columns = [list(next(iter(f.effect.values()))) for f in found]
    many = max(map(len, columns)) > NUMBERED
    title = title or ("Where the tone decides the answer" if found[0].differs == "tone" else "Where the words decide the answer")
    subtitle = (
        f"Pairs with {DIFFERS[found[0].differs]}: what the donor’s states do, put into the base’s run at one layer and place; "
        "0: nothing, 1: all that the whole exchange does to the score (difference of two emotions’ logits)."
    )
    cell = 0.3 if many else 0.78
    wide = [cell * len(c) for c in columns]
    left, gap, row, rows = 1.15, 1.1, 0.42, max(len(f.effect) for f in found)
    step = row * rows + 1.5  # many columns: a panel below the other
    width = max(left + (max(wide) if many else sum(wide) + gap * (len(found) - 1)) + 0.4, 9.5)
    top = theme.heading_height(width, title, subtitle) + 0.66
    figure = theme.figure(width, top + row * rows + (step * (len(found) - 1) + 1.95 if many else 1.35))
    theme.heading(figure, title, subtitle)
    image = None
    for k, f in enumerate(found):
        across = left if many else left + sum(wide[:k]) + gap * k
        axes = theme.place(figure, across, top + step * k * many, wide[k], row * len(f.effect))
        image = _map(axes, f, numbers=not many)
        best = (
            ""
            if f.best is None or not f.determined
            else f": best at layer {named(f.best.site)}, {f.best.column}: flips {f.best.flips.value:.2f}"
        )
        axes.set_title(f"{f.model}{best}", fontsize=theme.TEXT + 1, pad=8)
        axes.set_ylabel("after layer" if k == 0 or many else "")
    assert image is not None
    high = figure.get_figheight()
    bar = figure.colorbar(image, cax=theme.place(figure, left, high - 0.75, 2.4, 0.12), orientation="horizontal", extend="both")
    bar.set_ticks([-1, 0, 1], labels=["−1", "0", "1"], size=theme.TINY)
    bar.outline.set_visible(False)
    figure.text((left + 2.55) / width, 0.69 / high, "share of the whole effect", size=theme.SMALL, color=page.muted, va="center")
    theme.note(figure, " ".join(_small_print(f) for f in found) + (f" {HYBRID}" if any(f.hybrid for f in found) else ""))
    return figure


def _small_print(f: Effects) -> str:
    text = f"{f.model}: n = {f.total.n} pairs, whole effect {f.total.value:.1f} [{f.total.low:.1f}, {f.total.high:.1f}] logits, "
    text += f"answers differ in {f.differ.value:.0%}"
    if f.best is not None and f.determined:
        text += f"; outlined: chosen on {f.best.chosen_on} pairs, flips on {f.best.flips.n} others {_range(f.best.flips)}"
        if f.best.control is not None:
            text += f", a random direction {_range(f.best.control)}"
    return f"{text}."


def _range(e: Estimate) -> str:
    return f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]".replace("-", "−")


def _map(axes: Axes, f: Effects, *, numbers: bool) -> AxesImage:
    page = theme.look()
    sites, columns = list(f.effect), list(next(iter(f.effect.values())))
    if not f.determined:
        _unclear(axes, f)
    values = (
        np.full((len(sites), len(columns)), 0.0) if not f.determined else np.array([[f.effect[s][c].value for c in columns] for s in sites])
    )
    image = axes.imshow(values, cmap=theme.diverging(), vmin=-1, vmax=1, aspect="auto")
    if numbers and f.determined:
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                text = f"{value:.2f}".replace("-", "−")
                text = "0" if text in ("0.00", "−0.00") else text
                axes.text(j, i, text, ha="center", va="center", size=theme.SMALL, color=theme.text_on(theme.shade(image, float(value))))
    if f.determined and f.best is not None and f.best.site in sites and f.best.column in columns:
        corner = columns.index(f.best.column) - 0.5, sites.index(f.best.site) - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=page.ink, linewidth=2.2, clip_on=False, zorder=5))
    axes.set_yticks(range(len(sites)), [named(s) for s in sites])
    axes.set_xticks(range(len(columns)), [_place(c) for c in columns], rotation=0 if numbers else 60, ha="center" if numbers else "right")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _unclear(axes: Axes, f: Effects) -> None:
    """Shares of an effect that is not clear of 0 mean nothing and are not drawn."""
    text = f"the whole exchange does nothing clear:\n{_range(f.total)} logits"
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=theme.look().muted)


def _place(column: str) -> str:
    """A place as it is written on an axis: the number that tells equal tokens apart is left out."""
    first, _, rest = column.partition(" ")
    return rest if rest and first.lstrip("-").isdigit() else column


@theme.styled
def flips_by_layer(found: Sequence[Effects], *, columns: Sequence[str] = ("tone", "words", "last"), title: str = "") -> Figure:
    """Draw how often the donor's answer comes, layer by layer, for some spans, with intervals; dotted: a random direction of the same length.

    A model whose pairs never have two answers has nothing that could flip, and its panel says so.
    """
    if not found:
        raise ValueError("no patching to draw")
    page = theme.look()
    ink = {"tone": page.voice, "words": theme.mix(page.words, page.ink, 0.25), "last": page.series[3]}
    title = title or f"From layer to layer: what flips the answer ({DIFFERS[found[0].differs]})"
    subtitle = "Share of the pairs that answer as the donor when its states are put in after a layer; 95% intervals over sentences."
    each, tall, left, gap = 4.6, 2.7, 0.85, 0.75
    width = left + each * len(found) + gap * (len(found) - 1) + 0.3
    width = max(width, 8.0)
    top = theme.heading_height(width, title, subtitle) + 0.5
    figure = theme.figure(width, top + tall + 1.25)
    theme.heading(figure, title, subtitle)
    for k, f in enumerate(found):
        axes = theme.place(figure, left + k * (each + gap), top, each, tall)
        _curves(axes, f, columns, ink)
        pairs = max(e.n for row in f.flips.values() for e in row.values())
        axes.set_title(f"{f.model}, n = {pairs} pairs with two answers", fontsize=theme.TEXT + 1, pad=8)
        if k == 0:
            axes.set_ylabel("flips to the donor’s answer")
    theme.note(figure, "The last place after the last layer flips by construction. Dotted: a random direction as long as what is put in. "
               + (HYBRID if any(f.hybrid for f in found) else ""))  # fmt: skip
    return figure


def _curves(axes: Axes, f: Effects, columns: Sequence[str], ink: Mapping[str, str]) -> None:
    page = theme.look()
    sites = list(f.flips)
    axes.set(xlim=(-0.2, len(sites) - 0.3), ylim=(-0.03, 1.03))
    axes.set_xticks(range(len(sites)), [named(s) for s in sites])
    axes.set_xlabel("after layer")
    axes.grid(True, axis="y", color=page.line)
    shown = [c for c in columns if c in f.flips[sites[0]] and any(f.flips[s][c].n for s in sites)]
    if not shown:
        axes.text(
            0.5, 0.5, "no pair has two answers:\nnothing can flip", transform=axes.transAxes, ha="center", va="center", color=page.muted
        )
        return
    for k, c in enumerate(shown):
        colour, marker = ink.get(c, page.series[(k + 1) % len(page.series)]), "os^vDP"[k % 6]
        cells = [f.flips[s][c] for s in sites]
        at = np.arange(len(sites)) + 0.07 * (k - (len(shown) - 1) / 2)
        axes.vlines(at, [e.low for e in cells], [e.high for e in cells], color=colour, linewidth=1.4, alpha=0.7)
        axes.plot(at, [e.value for e in cells], color=colour, marker=marker, markersize=6, label=c, markeredgecolor=page.paper)
        if f.random_flips:
            axes.plot(at, [f.random_flips[s][c].value for s in sites], color=colour, linewidth=1, linestyle=":")
    axes.legend(loc="center left", bbox_to_anchor=(0.02, 0.5))


@theme.styled
def parts(found: Sequence[Effects], *, column: str = "all", title: str = "") -> Figure:
    """Draw the effect of each head or sublayer with its interval, a panel a model."""
    if not found:
        raise ValueError("no patching to draw")
    if missing := next((f for f in found if column not in next(iter(f.effect.values()))), None):
        raise ValueError(f"{missing.model} was not patched at {column!r}; there are {', '.join(next(iter(missing.effect.values())))}")
    page = theme.look()
    place = "at all places" if column == "all" else f"at {column}"
    title = title or f"Which parts carry the difference ({DIFFERS[found[0].differs]})"
    subtitle = f"Effect of one head or part from the donor, {place}, as a share of the whole exchange’s; 95% intervals over sentences."
    rows, each, left, gap = max(len(f.effect) for f in found), 3.6, 1.4, 1.3
    width = max(left + each * len(found) + gap * (len(found) - 1) + 0.3, 8.0)
    top = theme.heading_height(width, title, subtitle) + 0.5
    figure = theme.figure(width, top + 0.24 * rows + 0.85)
    theme.heading(figure, title, subtitle)
    for k, f in enumerate(found):
        axes = theme.place(figure, left + k * (each + gap), top, each, 0.24 * len(f.effect))
        axes.set_title(f"{f.model}, n = {f.total.n} pairs", fontsize=theme.TEXT + 1, pad=8)
        if not f.determined:
            _unclear(axes, f)
            axes.set_axis_off()
            continue
        cells = [row[column] for row in f.effect.values()]
        colours = [page.voice if ".heads." in site else page.words for site in f.effect]
        axes.barh(range(len(cells)), [e.value for e in cells], color=colours, height=0.7)
        axes.hlines(range(len(cells)), [e.low for e in cells], [e.high for e in cells], color=page.muted, linewidth=1.4)
        axes.axvline(0, color=page.muted, linewidth=0.8)
        axes.set_yticks(range(len(cells)), [named(site) for site in f.effect])
        axes.set(ylim=(len(cells) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
    theme.note(figure, "Dark: attention heads; light: whole attention, convolution and feed-forward parts."
               + (f" {HYBRID}" if any(f.hybrid for f in found) else ""))  # fmt: skip
    return figure


@theme.styled
def knockout(found: Sequence[Knockout], *, band: str = "all layers", title: str = "") -> Figure:
    """Draw what cutting the attention from one segment to another does to the voice's and the words' emotion: a matrix each, a row of them a model.

    Raises:
        ValueError: nothing to draw, or a band that was not cut.
    """
    if not found:
        raise ValueError("no knock-out to draw")
    if missing := next((f for f in found if band not in f.answers), None):
        raise ValueError(f"{missing.model} has no band {band!r}; it has {', '.join(missing.answers)}")
    page = theme.look()
    title = title or f"Which attention carries the emotion ({band} cut)"
    subtitle = "Change of the probability of the voice’s and of the words’ emotion when the places of one segment may not look at another; "
    subtitle += "small: where as many other places, drawn, are cut."
    looks, seen = _ends(found, band)
    cell, row, left, gap = 1.05, 0.5, 1.35, 0.65
    each = cell * len(seen)
    width = max(left + 2 * each + gap + 0.4, 8.5)
    top = theme.heading_height(width, title, subtitle) + 0.55
    block = row * len(looks) + 1.05
    figure = theme.figure(width, top + block * len(found) + 0.45)
    theme.heading(figure, title, subtitle)
    for i, f in enumerate(found):
        for j, (what, links, drawn) in enumerate((("voice", f.voice, f.random_voice), ("words", f.words, f.random_words))):
            axes = theme.place(figure, left + j * (each + gap), top + i * block, each, row * len(looks))
            _matrix(axes, links.get(band, {}), drawn.get(band, {}), looks, seen, labels=j == 0)
            whole = f"{f.whole[what].value:.2f} intact" if what in f.whole else ""
            n = f.whole[what].n if what in f.whole else 0
            axes.set_title(f"{f.model}: the {what}’s emotion, {whole}, n = {n}".replace("words’s", "words’"), fontsize=theme.TEXT, pad=6)
            if i == len(found) - 1:
                axes.set_xlabel("may not be seen", color=page.muted)
            if j == 0:
                axes.set_ylabel("looks", color=page.muted)
    theme.note(
        figure,
        "Bold: the 95% interval over sentences leaves out 0. Chance is 1/7." + (f" {HYBRID}" if any(f.hybrid for f in found) else ""),
    )
    return figure


def _ends(found: Sequence[Knockout], band: str) -> tuple[list[str], list[str]]:
    links = [link.split(" > ") for f in found for link in f.answers[band]]
    return list(dict.fromkeys(a for a, _ in links)), list(dict.fromkeys(b for _, b in links))


def _matrix(
    axes: Axes, links: Mapping[str, Estimate], drawn: Mapping[str, Estimate], looks: Sequence[str], seen: Sequence[str], *, labels: bool
) -> None:
    page = theme.look()
    values = np.full((len(looks), len(seen)), np.nan)
    for (i, a), (j, b) in ((x, y) for x in enumerate(looks) for y in enumerate(seen)):
        if (e := links.get(f"{a} > {b}")) is not None:
            values[i, j] = e.value
    image = axes.imshow(values, cmap=theme.diverging(), vmin=-0.7, vmax=0.7, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        link = f"{looks[i]} > {seen[j]}"
        if link not in links:
            continue
        e, r = links[link], drawn[link]
        ink = theme.text_on(theme.shade(image, float(value)))
        clear = e.low > 0 or e.high < 0
        axes.text(
            j, i - 0.14, _signed(float(value)), ha="center", va="center", size=theme.TEXT, color=ink, weight="bold" if clear else "normal"
        )
        axes.text(j, i + 0.27, _signed(r.value), ha="center", va="center", size=theme.TINY - 1, color=ink)
    axes.set_xticks(range(len(seen)), seen)
    axes.set_yticks(range(len(looks)), looks if labels else [""] * len(looks))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_facecolor(page.paper)


def _signed(value: float) -> str:
    text = f"{value:+.2f}".replace("-", "−")
    return "0" if text in ("+0.00", "−0.00") else text
