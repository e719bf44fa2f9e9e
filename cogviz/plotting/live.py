"""Pictures that follow a slider: pieces of a page in milliseconds, where matplotlib would take a third of a second.

They take the reader's own text colour, so that they are right on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from cogviz.emotions import EMOTIONS, emotion
from cogviz.plotting.page import Html, percent

FAINT = "color-mix(in srgb,currentColor 55%,transparent)"
TRACED = "dotted: the neutral recording; coloured: as it sounds now"
WIDTH, HEIGHT, LEFT, GAP = 640, 130, 54, 26
"""Of a panel of `traces`, in pixels."""


def bars(heard: Mapping[str, Sequence[float]], *, voice: str | None = None, words: str | None = None, note: str = "") -> Html:
    """Return how likely each listener finds each emotion, a column a listener, a bar an emotion; the likeliest in bold.

    Args:
        heard: {listener: (7,) probabilities in the order of `EMOTIONS`}.
        voice, words: the emotions that the voice and the words carry; they are marked.
        note: below the bars.
    """
    marks = {name: " · ".join(w for w, e in (("voice", voice), ("words", words)) if e == name) for name in EMOTIONS}
    columns = []
    for listener, probabilities in heard.items():
        best = int(np.argmax(probabilities))
        rows = []
        for i, (name, p) in enumerate(zip(EMOTIONS, probabilities, strict=True)):
            weight = "700" if i == best else "400"
            mark = f' <small style="color:{FAINT}">◄ {marks[name]}</small>' if marks[name] else ""
            rows.append(
                f'<div style="display:grid;grid-template-columns:5.2em minmax(4em,9em) auto;gap:.5em;align-items:center;font-weight:{weight}">'
                f'<span style="text-align:right">{name}</span><span style="background:color-mix(in srgb,currentColor 10%,transparent)">'
                f'<span style="display:block;height:.85em;width:{100 * float(p):.1f}%;{_filled(name)}"></span></span>'
                f'<span style="white-space:nowrap">{percent(float(p))}{mark}</span></div>'
            )
        columns.append(f'<div style="margin:0 1.6em .6em 0"><b>{escape(listener)}</b> hears <b>{EMOTIONS[best]}</b>{"".join(rows)}</div>')
    small = f'<small style="color:{FAINT}">{escape(note)}</small>' if note else ""
    row = f'<div style="display:flex;flex-wrap:wrap">{"".join(columns)}</div>'
    return Html(f'<div class="bars" style="font-size:13px;line-height:1.5">{row}{small}</div>')


def _filled(name: str) -> str:
    """An emotion's colour (a page may say which one, by a variable of its name), with an edge that a dark page shows too."""
    return f"background:var(--{name},{emotion(name).color});outline:1px solid {FAINT}"


def traces(
    before: Mapping[str, np.ndarray],
    now: Mapping[str, np.ndarray],
    *,
    color: str,
    seconds: float,
    units: Mapping[str, str],
    frame: float,
    said: str = TRACED,
) -> Html:
    """Return a panel a measure: what it was (dotted) and what it is, over time.

    Args:
        before, now: measure -> (T,) values, NaN where there is none; the measures of both are the same, their lengths need not be.
        color: of the line. seconds: end of the time axis. frame: seconds between values.
        units: measure -> unit. said: what is dotted and what is coloured.
    """
    parts = []
    for row, name in enumerate(now):
        top = row * (HEIGHT + GAP) + 18
        known = np.concatenate([x[np.isfinite(x)] for x in (before[name], now[name])])
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        low, high = low - 0.06 * (high - low + 1), high + 0.06 * (high - low + 1)
        parts.append(
            f'<text x="{LEFT}" y="{top - 5}" font-size="12" fill="currentColor"><tspan font-weight="700">{escape(name)}</tspan> '
            f"({escape(units[name])})</text>"
            f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT}" height="{HEIGHT}" fill="currentColor" fill-opacity=".05"/>'
        )
        for value in _ticks(low, high):
            y = top + HEIGHT * (high - value) / (high - low)
            label = f"{value:g}".replace("-", "−")
            parts.append(
                f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" stroke-opacity=".18"/>'
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" font-size="11" text-anchor="end" fill="currentColor">{label}</text>'
            )
        for values, style in (
            (before[name], 'stroke="currentColor" stroke-opacity=".6" stroke-width="1.4" stroke-dasharray="2 3"'),
            (now[name], f'stroke="{color}" stroke-width="2.6"'),
        ):
            if path := _path(values, frame, seconds, top, low, high):
                parts.append(f'<path d="{path}" fill="none" {style}/>')
    bottom = len(now) * (HEIGHT + GAP) + 6
    parts += [
        f'<text x="{LEFT + (WIDTH - LEFT) * t / seconds:.0f}" y="{bottom}" font-size="11" text-anchor="middle" fill="currentColor">{t:g} s</text>'
        for t in np.arange(0, seconds, 0.5)
    ]
    return Html(
        f'<svg role="img" aria-label="{", ".join(map(escape, now))} over time; {said}" viewBox="0 0 {WIDTH} {bottom + 8}" '
        f'style="max-width:{WIDTH}px;width:100%;display:block">{"".join(parts)}</svg><small style="color:{FAINT}">{said}</small>'
    )


def _path(values: np.ndarray, frame: float, seconds: float, top: float, low: float, high: float) -> str:
    """SVG path of the runs of values that are known."""
    x = LEFT + (WIDTH - LEFT) * np.arange(len(values)) * frame / seconds
    y = top + HEIGHT * (high - values) / (high - low)
    pieces, down = [], False
    for i in range(len(values)):
        if not np.isfinite(y[i]):
            down = False
            continue
        pieces.append(f"{'L' if down else 'M'}{x[i]:.1f} {y[i]:.1f}")
        down = True
    return "".join(pieces)


def _ticks(low: float, high: float) -> list[float]:
    """At most four round values inside."""
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if (high - low) / s <= 4.5 or s == 500)
    return [float(v) for v in np.arange(np.ceil(low / step) * step, high, step)]


def reply(text: str) -> Html:
    """Return what a listener says, as a speech bubble; nothing for ""."""
    if not text:
        return Html("")
    style = "margin:.2em 0;padding:.5em .9em;border-radius:4px 14px 14px;width:fit-content;background:color-mix(in srgb,currentColor 8%,transparent)"
    return Html(f'<blockquote style="{style}">“{escape(text)}”</blockquote>')
