"""Relevance laid over the words as a reader sees them: a piece of a page in milliseconds, for what moves while one chooses."""

from __future__ import annotations

import itertools
from html import escape

import numpy as np

from cogviz.attribution.gradients import Attribution
from cogviz.plotting.attribution import PART, attributed
from cogviz.plotting.attribution_sound import METHOD, against, signed
from cogviz.plotting.page import Html

FOR, AGAINST = "#C0602F", "#2A8397"
"""Rust and teal, as in `theme.diverging`, in a tone that reads on a light page and on a dark one."""

REACH = 22
"""Pixels of the longest bar."""


def overlay(attribution: Attribution, index: int = 0) -> Html:
    """Return the tokens of one utterance in the order in which the model reads them: a bar above a token speaks for the target, one below against.

    Raises:
        ValueError: the attribution is over the log-mel.
    """
    if attribution.over == "mel":
        raise ValueError("an attribution over the log-mel has no tokens; see `plotting.attribution.sound`")
    pieces, names, values = attributed(attribution, index)
    most = max(float(np.abs(values).max()), 1e-12)
    rows = []
    for segment, run in itertools.groupby(zip(names, pieces, values, strict=True), key=lambda part: part[0]):
        tokens = [(piece, float(value)) for _, piece, value in run]
        label = f"{escape(PART.get(segment, segment))}<br>{signed(sum(value for _, value in tokens))}"
        drawn = "".join(_token(piece, value, most) for piece, value in tokens)
        rows.append(
            f'<b style="align-self:center;font-size:11px;opacity:.8">{label}</b><div style="display:flex;flex-wrap:wrap">{drawn}</div>'
        )
    key = f"longest bar {most:.2g}; up <b style='color:{FOR}'>for</b>, down <b style='color:{AGAINST}'>against</b>: {escape(attribution.target)}"
    grid = f'<div style="display:grid;grid-template-columns:7.5em auto;row-gap:.2em">{"".join(rows)}</div>'
    return Html(f'<div class="overlay" style="font-size:13px;line-height:1.35">{grid}<small>{key}</small></div>')


def accounts(attribution: Attribution, index: int = 0) -> str:
    """Say what is divided and whether it adds up, one sentence."""
    whole, baseline, total = (float(x[index]) for x in (attribution.whole, attribution.baseline, attribution.sums))
    name = METHOD.get(attribution.method, attribution.method)
    gap = abs(total - (whole - baseline)) / max(abs(whole - baseline), 1e-9)
    return (
        f"{attribution.target}: {signed(whole)}; against {against(attribution)}: {signed(baseline)}. "
        f"{name[0].upper()}{name[1:]} hands out {signed(total)} of the difference {signed(whole - baseline)} (gap {100 * gap:.0f}%)."
    )


def _token(piece: str, value: float, most: float) -> str:
    size = round(REACH * abs(value) / most)
    colour = FOR if value > 0 else AGAINST
    text = escape(" ".join(piece.split())) or "·"
    space = ".35em" if piece[:1].isspace() else "1px"
    weight = "700" if abs(value) == most else "400"
    up, down = (size, 0) if value > 0 else (0, size)
    bars = [f'<i style="display:block;width:100%;height:{h}px;background:{colour}"></i>' for h in (up, down)]
    shade = f"color-mix(in srgb,{colour} {round(70 * abs(value) / most)}%,transparent)"
    return (
        f'<span title="{text} {value:+.2f}" style="display:inline-flex;flex-direction:column;margin-left:{space};min-width:.7em">'
        f'<span style="height:{REACH}px;display:flex;align-items:flex-end">{bars[0]}</span>'
        f'<span style="background:{shade};font-weight:{weight};text-align:center;padding:0 1px">{text}</span>'
        f'<span style="height:{REACH}px">{bars[1]}</span></span>'
    )
