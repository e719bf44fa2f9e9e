"""Pieces of a page that a notebook shows: figures that follow the reader's light or dark, players, tables, numbers in a sentence.

Everything is one string without scripts that loads nothing: pictures and sound are data URIs.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.audio import RATE
from cogviz.emotions import EMOTIONS, emotion
from cogviz.plotting import theme
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance

PEAK = 0.9
"""Of the loudest recording among those that are played together; the others keep their distance to it."""


class Html(str):
    """A piece of a page; a notebook shows it as such."""

    def _repr_html_(self) -> str:
        return str(self)


def _uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def figure(draw: Callable[..., Figure], *args: Any, **kwargs: Any) -> Html:
    """Draw a figure in the light and in the dark look; the page shows the one that the reader's system asks for."""
    (light, dark), said, width = _both(draw, *args, **kwargs)
    return Html(
        f'<div class="figure"><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(said)}" style="width:{width}px"></picture></div>'
    )


def switching_figure(draw: Callable[..., Figure], *args: Any, **kwargs: Any) -> Html:
    """Draw a figure in both looks for a page that has a switch of its own: its style hides `on-dark` or `on-light`."""
    both, said, width = _both(draw, *args, **kwargs)
    images = "".join(
        f'<img class="{name}" src="{uri}" alt="{escape(said)}" style="width:{width}px">'
        for name, uri in zip(("on-light", "on-dark"), both, strict=True)
    )
    return Html(f'<div class="figure" tabindex="0">{images}</div>')


def _both(draw: Callable[..., Figure], *args: Any, **kwargs: Any) -> tuple[tuple[str, str], str, int]:
    """The light and the dark picture, what stands above them (title and subtitle), and their width in pixels."""
    sources = []
    said = ""
    for dark in (False, True):
        with theme.use(dark=dark):
            drawn = draw(*args, **kwargs)
        sources.append(_uri(theme.svg(drawn).encode(), "image/svg+xml"))
        title, below = (" ".join(t.get_text() for t in drawn.texts if t.get_fontsize() == size) for size in (theme.TITLE, theme.SUBTITLE))
        said = f"{title}{'' if title.endswith(('.', '?', '!')) or not below else '.'} {below}".strip()
        width = round(100 * float(drawn.get_figwidth()))
    return (sources[0], sources[1]), said, width


def players(variants: Mapping[str, Utterance], *, loudest: float | None = None, autoplay: bool = False) -> Html:
    """Return a player a recording, under its key; an emotion stands in its colour. One gain for all, so that loud stays loud.

    Args:
        variants: {emotion or name: utterance}.
        loudest: peak of the loudest recording that is ever played beside these, where it is not among them.
        autoplay: play at once.
    """
    import soundfile

    samples = {name: u.samples for name, u in variants.items()}
    gain = PEAK / (loudest or max((float(np.abs(s).max()) for s in samples.values()), default=1.0) or 1.0)
    cards = []
    for name in sorted(samples, key=lambda n: EMOTIONS.index(n) if n in EMOTIONS else len(EMOTIONS)):
        content = io.BytesIO()
        soundfile.write(content, samples[name] * gain, RATE, subtype="PCM_16", format="FLAC")
        colour = emotion(name).color if name in EMOTIONS else "#6B7280"
        cards.append(
            f'<figure style="--c:{colour}"><figcaption>{escape(name)}</figcaption>'
            f'<audio controls{" autoplay" if autoplay else ""} preload="metadata" src="{_uri(content.getvalue(), "audio/flac")}"></audio></figure>'
        )
    return Html(f'<div class="players">{"".join(cards)}</div>')


def percent(value: float | None) -> str:
    """Write a share as a whole percentage, "?" where there is none."""
    return "?" if value is None or not math.isfinite(value) else f"{100 * value:.0f}%"


def interval(estimate: Estimate) -> str:
    """Write the 95% interval in whole percent, "[30, 46]"; "" where there is none."""
    known = math.isfinite(estimate.low) and math.isfinite(estimate.high)
    return f"[{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]" if known else ""


def basis(estimate: Estimate) -> str:
    """Write what a figure rests on: "n = 78, chance 14%"."""
    chance = estimate.chance
    return f"n = {estimate.n:,}" + ("" if chance is None or not math.isfinite(chance) else f", chance {percent(chance)}")


def share(estimate: Estimate) -> str:
    """Write an estimate as a reader wants it: "38% [30, 46] (n = 78, chance 14%)"."""
    return f"{' '.join(filter(None, (percent(estimate.value), interval(estimate))))} ({basis(estimate)})"


def comparison(rows: Sequence[tuple[str, Mapping[str, Estimate | None]]], *, corner: str = "") -> Html:
    """Return a table of estimates: a line a measure (its label, {model: estimate}), a column a model."""
    models = list(dict.fromkeys(model for _, values in rows for model in values))

    def cell(found: Estimate | None) -> str:
        if found is None:
            return "<td>–</td>"
        return f"<td><b>{percent(found.value)}</b> {interval(found)}<small>{basis(found)}</small></td>"

    head = "".join(f'<th scope="col">{escape(model)}</th>' for model in models)
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th>{"".join(cell(values.get(model)) for model in models)}</tr>' for label, values in rows
    )
    return Html(f'<div class="table"><table><thead><tr><th>{escape(corner)}</th>{head}</tr></thead><tbody>{body}</tbody></table></div>')
