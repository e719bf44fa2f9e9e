"""One map of states, with a recording that is chosen and its nearest in the states."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cogviz.emotions import EMOTIONS, emotion
from cogviz.plotting import theme
from cogviz.plotting.page import Html
from cogviz.plotting.projection import COLOURED, METHODS, _dot, _scatter

if TYPE_CHECKING:
    from cogviz.projection.embeddings import Map
    from cogviz.utterance import Utterance

SIGNS = dict(zip(EMOTIONS, "●◆▲■▼✚✖", strict=True))
"""The markers of the figures as characters, for maps that are made of text."""


@theme.styled
def layer_map(found: Map, *, by: str = "voice_emotion", chosen: int | None = None, near: Sequence[int] = ()) -> Figure:
    """Draw one map; the chosen utterance in a ring, with lines to the others that are nearest in the states.

    Args:
        by: "voice_emotion" or "word_emotion" gives the colours.
        near: indices of utterances. Where a line is long, the map tears apart what is near.
    """
    if by not in COLOURED:
        raise ValueError(f"maps are coloured by {' or '.join(COLOURED)}, not {by!r}")
    page = theme.look()
    attribute = COLOURED[by]
    what = {"voice_emotion": "voice", "word_emotion": "words"}[by]
    title = f"{METHODS[found.method]} of {found.name}, by the emotion of the {what}"
    subtitle = f"n = {len(found.points):,d} recordings. Trust {found.trust:.2f} (points dealt out at random: {found.chance:.2f})."
    subtitle += " Lines: the nearest of other sentences in the states." if chosen is not None and len(near) else ""
    width, size, left = 8.5, 4.4, 0.3
    top = theme.heading_height(width, title, subtitle) + 0.15
    figure = theme.figure(width, top + size + 0.15)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, width - 2 * left - 1.2, size)
    if chosen is not None:
        for other in near:
            axes.plot(*found.points[[chosen, other]].T, color=page.muted, linewidth=0.9, zorder=1)
        x, y = found.points[chosen]
        axes.scatter(x, y, s=190, facecolors="none", edgecolors=page.ink, linewidths=1.6, zorder=3)
    _scatter(axes, found, attribute)
    names = [e for e in EMOTIONS if any(getattr(u, attribute) == e for u in found.utterances)]
    figure.legend(
        handles=[_dot(e) for e in names], loc="upper left", bbox_to_anchor=(1 - (left + 1.1) / width, 1 - top / figure.get_figheight()),
        borderaxespad=0, fontsize=theme.TEXT, handletextpad=0.2, borderpad=0,
    )  # fmt: skip
    return figure


def legend(names: Sequence[str]) -> Html:
    """Return a line that says which sign is which emotion."""
    parts = [f'<span style="white-space:nowrap"><b style="color:{emotion(n).color}">{SIGNS[n]}</b> {escape(n)}</span>' for n in names]
    return Html(f'<p style="margin:.2em 0">{" &nbsp; ".join(parts)}</p>')


def said(utterance: Utterance) -> Html:
    """Return a line that says what is said, and how."""
    words = f", {utterance.lexical_emotion} words" if utterance.lexical_emotion else ""
    return Html(f"<p>“{escape(utterance.text)}”<br><b>{escape(str(utterance.emotion))} voice{escape(words)}</b></p>")
