"""The table of prosody rules as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cogviz.emotions import EMOTIONS
from cogviz.lime import prosody
from cogviz.plotting import theme

if TYPE_CHECKING:
    from cogviz.lime.prosody import Rules

MAIN: tuple[tuple[str, str, str, float], ...] = (
    ("f0_level", "F0 level", "st", 1),
    ("f0_range", "F0 range", "oct", 1),
    ("f0_initial", "F0 at start", "st", 1),
    ("f0_final", "F0 at end", "st", 1),
    ("duration", "duration", "oct", 1),
    ("pause", "pauses", "ms", 1000),
    ("level", "level", "dB", 1),
    ("dynamics", "dynamics", "dB", 1),
    ("micro", "fast F0\nmovement", "oct", 1),
    ("band_2320", "energy at\n2.3–3.2 kHz", "dB", 1),
    ("noise_1000", "noise at\n1–2 kHz", "dB", 1),
)
"""Main parameters of `rules`: name in the table, name on the figure, unit, factor to the unit."""

_FACTORS = {"f0_level": "F0 level", "f0_contour": "F0 contour", "rate": "rate", "energy": "energy", "voice_quality": "voice quality"}


@theme.styled
def rules(table: Rules) -> Figure:
    """Draw the prosody rules: emotions at k = 1 and 1.5 against the main parameters; colour is the share of a parameter's largest change.

    Args:
        table: from `cogviz.lime.prosody.rules()`; neutral, against which all is given, is no row.
    """
    page = theme.look()
    names = list(prosody.PARAMETERS)
    picked = [names.index(parameter) for parameter, *_ in MAIN]
    factor = np.array([f for *_, f in MAIN])
    anchors = [prosody.ANCHORS.index(k) for k in (1.0, 1.5)]
    shown = [e for e in EMOTIONS if e != "neutral"]
    mean, spread = (
        np.concatenate([array[EMOTIONS.index(e)][anchors][:, picked] for e in shown]) * factor for array in (table.mean, table.spread)
    )
    share = mean / np.maximum(np.abs(mean).max(axis=0), 1e-9)
    title = "How actors change their voice: the prosody rules, against the same speaker’s neutral reading"
    subtitle = "Median change and, smaller, its spread among actors, at k = 1 (“normal”) and k = 1.5 (“strong”). "
    subtitle = f"{subtitle}st: semitones; oct: octaves, +1 is twice as much."
    width, left, top = 13.33, 1.75, theme.heading_height(13.33, title, subtitle) + 0.98
    row, column = 0.4, (width - left - 0.35) / len(MAIN)
    high = row * len(share)
    figure = theme.figure(width, top + high + 1.25)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, width - left - 0.35, high)
    image = axes.imshow(share, cmap=theme.diverging(), vmin=-1, vmax=1, aspect="auto")
    for (r, c), value in np.ndenumerate(mean):
        back = theme.shade(image, share[r, c])
        digits = 0 if abs(factor[c]) > 1 else 2 if MAIN[c][2] == "oct" else 1
        number = f"{value:+.{digits}f}"
        if float(number) == 0:
            number = number[1:]
        ink = theme.text_on(back)
        axes.text(c, r - 0.14, number.replace("-", "−"), ha="center", va="center", size=theme.TEXT, color=ink)
        axes.text(c, r + 0.27, f"± {spread[r, c]:.{digits}f}", ha="center", va="center", size=6.5, color=theme.mix(ink, back, 0.25))
    axes.set_xticks(range(len(MAIN)), [f"{label}\n({unit})" for _, label, unit, _ in MAIN])
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.set_yticks(range(len(share)), ["k = 1", "k = 1.5"] * len(shown))
    axes.tick_params(axis="y", length=0, labelcolor=page.muted)
    axes.spines[:].set_visible(False)
    for i in range(1, len(share)):
        axes.axhline(i - 0.5, color=page.paper, linewidth=4 if i % 2 == 0 else 0.8)
    factors = [prosody.PARAMETERS[parameter] for parameter, *_ in MAIN]
    for i in range(1, len(MAIN)):
        axes.axvline(i - 0.5, color=page.paper, linewidth=4 if factors[i] != factors[i - 1] else 0.8)
    for i, e in enumerate(shown):
        y = 1 - (top + (2 * i + 1) * row) / figure.get_figheight()
        figure.text((left - 0.65) / width, y, e, ha="right", va="center", size=11, weight="bold", color=theme.ink(e))
    for group in dict.fromkeys(factors):
        members = [i for i, f in enumerate(factors) if f == group]
        start, stop = left + members[0] * column + 0.06, left + (members[-1] + 1) * column - 0.06
        y = 1 - (top - 0.68) / figure.get_figheight()
        figure.text(
            (start + stop) / 2 / width,
            y + 0.05 / figure.get_figheight(),
            _FACTORS[group],
            ha="center",
            va="bottom",
            size=theme.TEXT,
            weight="bold",
        )
        figure.add_artist(Line2D([start / width, stop / width], [y, y], color=page.muted, linewidth=1))
    bar = figure.colorbar(image, cax=theme.place(figure, left, top + high + 0.2, 2.6, 0.12), orientation="horizontal")
    bar.set_ticks([-1, 0, 1], labels=["largest decrease", "none", "largest increase"], size=theme.TINY)
    bar.outline.set_visible(False)
    theme.note(figure, table.source)
    return figure
