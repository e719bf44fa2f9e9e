"""What a tone of voice changes: each recording measured against the same speaker's neutral reading of the same sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cogviz import statistics
from cogviz.emotions import EMOTIONS
from cogviz.plotting import theme
from cogviz.utterance import Utterance, cells

if TYPE_CHECKING:
    from pandas import DataFrame

MEASURES: dict[str, tuple[str, str, str]] = {
    "pitch": ("f0_median", "pitch\n(semitones)", "{:+.1f}"),
    "liveliness": ("f0_range", "pitch range\n(semitones)", "{:+.1f}"),
    "loudness": ("level_median", "loudness\n(dB)", "{:+.1f}"),
    "duration": ("seconds", "duration\n(%)", "{:+.0f}"),
    "brightness": ("alpha_ratio", "brightness\n(dB)", "{:+.1f}"),
}
"""Measure -> its functional (`evaluation.recognisers.functionals`), how the figure calls it, how it writes it.

Brightness is the energy above 1 kHz over that below: a tense voice is bright, a soft or breathy one is dull.
"""


def changes(utterances: Sequence[Utterance]) -> DataFrame:
    """Return what each emotional recording changes against the neutral one of its cell; a cell without one is left out.

    Returns:
        A row a recording: emotion, sentence, speaker, and `MEASURES`, duration in percent, the others in their unit.

    Raises:
        ValueError: no cell has a neutral recording.
    """
    import pandas as pd

    from cogviz.evaluation.recognisers import acoustic_features, functionals

    complete = [cell for cell in cells(utterances) if "neutral" in cell and len(cell) > 1]
    if not complete:
        raise ValueError("no sentence is there with a neutral recording and another one to compare it with")
    heard = [u for cell in complete for u in cell.values()]
    names = list(functionals(heard[0].samples))
    values = dict(zip([u.id for u in heard], acoustic_features(heard, progress=False), strict=True))
    rows = []
    for cell in complete:
        for name in (e for e in EMOTIONS if e in cell and e != "neutral"):
            u = cell[name]
            moved = dict(zip(names, values[u.id] - values[cell["neutral"].id], strict=True))
            row = {m: moved[f] for m, (f, _, _) in MEASURES.items()}
            row["duration"] = 100 * (2 ** moved["seconds"] - 1)
            rows.append({"emotion": name, "sentence": u.sentence, "speaker": u.speaker, **row})
    return pd.DataFrame(rows)


def summary(table: DataFrame) -> dict[str, dict[str, statistics.Estimate]]:
    """Return {emotion: {measure: mean change with its interval}} of what `changes` returns; no change is 0."""
    return {
        str(name): {
            m: statistics.mean(part[m].to_numpy(), sentences=part.sentence.tolist(), speakers=part.speaker.tolist(), chance=0.0)
            for m in MEASURES
        }
        for name, part in table.groupby("emotion", sort=False)
    }


@theme.styled
def fingerprints(table: DataFrame) -> Figure:
    """Draw the mean change of each measure by each emotion, colour by its share of the measure's largest change; an open cell: the interval holds 0.

    Args:
        table: from `changes`.
    """
    found, page = summary(table), theme.look()
    emotions = [e for e in EMOTIONS if e in found]
    value = np.array([[found[e][m].value for m in MEASURES] for e in emotions])
    low, high = (np.array([[getattr(found[e][m], end) for m in MEASURES] for e in emotions]) for end in ("low", "high"))
    share = value / np.maximum(np.abs(value).max(axis=0), 1e-9)
    n, sentences, speakers = len(table) // len(emotions), table.sentence.nunique(), table.speaker.nunique()
    title = "Every emotion has its own fingerprint in the voice"
    subtitle = (
        f"Mean change against the speaker’s neutral reading; bracket: 95% interval. n = {n} recordings an emotion ({sentences} sentences "
    )
    subtitle += f"by {speakers} speakers). No change is 0; grey: the interval holds 0."
    left, row, column, width = 1.35, 0.62, 1.75, 1.35 + 5 * 1.75 + 0.4
    top = theme.heading_height(width, title, subtitle) + 0.72
    figure = theme.figure(width, top + row * len(emotions) + 0.55)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, column * len(MEASURES), row * len(emotions))
    image = axes.imshow(share, cmap=theme.diverging(), vmin=-1, vmax=1, aspect="auto")
    for (r, c), number in np.ndenumerate(value):
        form = [*MEASURES.values()][c][2]
        nothing = low[r, c] <= 0 <= high[r, c]
        ink = page.muted if nothing else theme.text_on(theme.shade(image, share[r, c]))
        if nothing:
            axes.fill_between([c - 0.5, c + 0.5], r - 0.5, r + 0.5, color=page.panel, linewidth=0)
        axes.text(c, r - 0.1, form.format(number).replace("-", "−"), ha="center", va="center", size=12, weight="bold", color=ink)
        interval = f"[{form.format(low[r, c])}, {form.format(high[r, c])}]".replace("-", "−")
        axes.text(c, r + 0.26, interval, ha="center", va="center", size=theme.TINY, color=ink)
    axes.set_xticks(range(len(MEASURES)), [label for _, label, _ in MEASURES.values()])
    axes.set_yticks(range(len(emotions)), emotions)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=theme.TEXT + 1)
    for tick in axes.get_yticklabels():
        tick.set(color=theme.ink(tick.get_text()), weight="bold")
    for i in range(1, len(emotions)):
        axes.axhline(i - 0.5, color=page.paper, linewidth=2)
    for i in range(1, len(MEASURES)):
        axes.axvline(i - 0.5, color=page.paper, linewidth=2)
    axes.spines[:].set_visible(False)
    theme.note(figure, "Synthetic speech, made with rules that were measured on actors.")
    return figure
