"""Pieces of a page for one recording: an answer step by step, the needle between words and voice, and the dial of a rising intensity.

Like those of `plotting.live` they take milliseconds, load nothing, and take the reader's own text colour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from cogviz.eips import STEPS, begun
from cogviz.emotions import EMOTIONS, emotion
from cogviz.evaluation.threshold import STRONGEST
from cogviz.plotting.live import FAINT
from cogviz.plotting.page import Html, percent, share

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.attribution.attention import Looks
    from cogviz.evaluation.dominance import Following
    from cogviz.probing.patch import Patching

STEP_NAMES = dict(zip(STEPS, ("Perception", "Intent", "Psychology", "Strategy"), strict=True))

PLACES = {
    "tone": "tone of voice",
    "words": "words heard",
    "instruction": "instruction",
    "perception": "answer so far",
    "last": "last place",
}
"""Parts of a passage, as a visitor calls them."""

FOLLOWED = {
    "voice": "followed the voice",
    "words": "followed the words",
    "both": "words and voice agree",
    "neither": "followed neither",
    "right": "heard the voice",
    "wrong": "misheard the voice",
    "": "",
}
"""What an answer did, in words."""


def followed(claimed: str | None, *, voice: str | None, words: str | None) -> str:
    """Return whom an answer follows, a key of `FOLLOWED`; "" where the emotion of the voice is unknown."""
    if voice is None:
        return ""
    if words is None or words == "neutral":
        return "right" if claimed == voice else "wrong"
    if words == voice:
        return "both" if claimed == voice else "neither"
    return {voice: "voice", words: "words"}.get(str(claimed), "neither")


def swatch(name: str | None) -> str:
    """The colour of an emotion as a small square; grey where there is none."""
    return f'<i class="swatch" style="background:{colour(name)}"></i>'


def colour(name: str | None) -> str:
    """An emotion's colour: the page's own variable where it has one, which may be lighter on a dark page."""
    return f"var(--{name},{emotion(str(name)).color})" if name in EMOTIONS else "#8E939B"


def answer(listener: str, text: str, *, claimed: str | None = None, verdict: str = "", about: str = "", done: bool = True) -> Html:
    """Return a card with what a listener has said so far: the four steps one below the other, then its response.

    Args:
        text: in the text form of `eips`, whole or begun. claimed: the emotion it names. verdict: a key of `FOLLOWED`. about: who the listener is.
        done: whether the answer is whole; a cursor stands at its end where it is not.
    """
    parts = begun(text)
    steps = [*STEPS, "response"] if done else list(parts)
    rows = []
    for name in steps:
        if name not in parts:
            continue
        cursor = '<b class="cursor" aria-hidden="true"></b>' if not done and name == next(reversed(parts)) else ""
        said = escape(parts[name]) + cursor
        if name == "response":
            rows.append(f'<blockquote><span class="sr">Response: </span>{said}</blockquote>')
        else:
            rows.append(f"<dt>{STEP_NAMES[name]}</dt><dd>{said}</dd>")
    body = f"<dl>{''.join(r for r in rows if r.startswith('<dt'))}</dl>{''.join(r for r in rows if not r.startswith('<dt'))}"
    if not parts:
        body = f"<p class='faint'>{escape(text) if done and text else 'listening …'}</p>"
    told = f"hears <b>{swatch(claimed)}{claimed}</b>" if claimed else ("names no emotion" if done and text else "")
    mark = f'<span class="verdict {verdict}">{FOLLOWED[verdict]}</span>' if verdict else ""
    small = f"<small>{escape(about)}</small>" if about else ""
    return Html(
        f'<article class="answer"><header><h4>{escape(listener)}</h4>{small}<p class="told">{told} {mark}</p></header>{body}</article>'
    )


def gauge(
    heard: Mapping[str, Sequence[float]], *, voice: str | None, words: str | None, behind: Mapping[str, Following] | None = None
) -> Html:
    """Return a needle a listener between the words' and the voice's emotion, and what it does on held-out speech.

    Args:
        heard: {listener: (7,) probabilities in the order of `EMOTIONS`}.
        voice, words: the emotions that they carry. Without two different ones there is no needle.
        behind: {listener: whom it follows on held-out conflicts}.
    """
    conflict = voice is not None and words not in (None, "neutral", voice)
    rows = []
    for name, p in heard.items():
        drawn = ""
        if conflict:
            by_voice, by_words = (float(p[EMOTIONS.index(str(e))]) for e in (voice, words))
            at = by_voice / max(by_voice + by_words, 1e-9)
            said = f"{name}: {percent(by_voice)} for the voice's {voice}, {percent(by_words)} for the words' {words}"
            drawn = (
                f'<div class="needle" role="img" aria-label="{escape(said)}">'
                f'<span class="half" style="left:0;background:{colour(words)}"></span>'
                f'<span class="half" style="left:50%;background:{colour(voice)}"></span>'
                f'<span class="hand" style="left:{100 * at:.1f}%"></span></div>'
                f'<div class="ends"><span>words: {words} {percent(by_words)}</span><span>voice: {voice} {percent(by_voice)}</span></div>'
            )
        rows.append(f"<div><h4>{escape(name)}</h4>{drawn}{_behind((behind or {}).get(name))}</div>")
    title = "Words or voice?" if conflict else "How these models do on speech they were not trained on"
    return Html(f'<section class="gauge"><h3>{title}</h3><div class="pair">{"".join(rows)}</div></section>')


def _behind(found: Following | None) -> str:
    if found is None:
        return ""
    return (
        f'<p class="faint"><small>On held-out conflicts it follows the voice in {share(found.voice)} and the words in {share(found.words)}: '
        f"{found.verdict}. 95% intervals in brackets.</small></p>"
    )


W, H, LEFT, TOP = 340, 190, 40, 26


def dial(curves: pd.DataFrame, *, words: str, voice: str, intensity: float | None = None) -> Html:
    """Return how likely each listener finds the voice's and the words' emotion while the tone grows, a panel a listener.

    Args:
        curves, words, voice, intensity: as `plotting.threshold.dial` takes them.
    """
    panels = []
    for name, rows in curves.sort_values("intensity").groupby("model", sort=False):
        k = rows["intensity"].to_numpy()
        threshold = float(rows["threshold"].iloc[0])
        parts = [_grid()]
        for kind, label, dash in (("words", words, "7 4"), ("voice", voice, "")):
            if kind == "words" and words == voice:
                continue
            points = " ".join(f"{_x(a):.1f},{_y(float(b)):.1f}" for a, b in zip(k, rows[kind], strict=True))
            halo = f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-opacity=".25" stroke-width="5"/>'
            parts.append(
                f'{halo}<polyline points="{points}" fill="none" style="stroke:{colour(label)}" stroke-width="3" stroke-dasharray="{dash}"/>'
            )
        if math.isfinite(threshold):
            x = _x(threshold)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + H}" stroke="currentColor" stroke-dasharray="2 3" stroke-width="1.6"/>'
            )
        if intensity is not None:
            x = _x(intensity)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + H}" stroke="currentColor" stroke-opacity=".18" stroke-width="9"/>'
            )
            parts.append(f'<path d="M{x - 6:.1f} {TOP - 9}h12l-6 9z" fill="currentColor"/>')
        said = told(threshold, voice)
        picture = (
            f'<svg role="img" aria-label="{escape(str(name))}: {said}" viewBox="0 0 {LEFT + W + 12} {TOP + H + 34}" '
            f'style="width:100%;max-width:30rem">{"".join(parts)}</svg>'
        )
        panels.append(f'<div><h4>{escape(str(name))}</h4><p class="told">{said}</p>{picture}</div>')
    ends = f"<span>{swatch(voice)}voice: {voice} (solid)</span>"
    if words != voice:
        ends += f"<span>{swatch(words)}words: {words} (dashed)</span>"
    turns = "<span>dotted upright: where the voice takes over</span>" if np.isfinite(curves["threshold"]).any() else ""
    here = "<span>▼ what is played</span>" if intensity is not None else ""
    key = f'<p class="key faint">{ends}<span>dotted across: chance, 14%</span>{turns}{here}</p>'
    return Html(f'<section class="dial"><div class="pair">{"".join(panels)}</div>{key}</section>')


def told(threshold: float, voice: str) -> str:
    """Say where the voice wins, in a sentence."""
    if math.isnan(threshold):
        return "words and voice agree: nothing to change its mind about"
    if math.isinf(threshold):
        return f"no intensity makes it answer “{voice}”: the words win"
    return f"answers “{voice}” from intensity {threshold:.2f} on" if threshold > 0 else f"answers “{voice}” at every intensity"


def _x(k: float) -> float:
    return LEFT + W * k / STRONGEST


def _y(p: float) -> float:
    return TOP + H * (1 - p)


def _grid() -> str:
    parts = [f'<rect x="{LEFT}" y="{TOP}" width="{W}" height="{H}" fill="currentColor" fill-opacity=".045"/>']
    for p in (0, 0.5, 1):
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + W}" y1="{_y(p)}" y2="{_y(p)}" stroke="currentColor" stroke-opacity=".18"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{_y(p) + 4}" font-size="12" text-anchor="end" fill="{FAINT}">{100 * p:.0f}%</text>')
    chance = _y(1 / len(EMOTIONS))
    parts.append(
        f'<line x1="{LEFT}" x2="{LEFT + W}" y1="{chance:.1f}" y2="{chance:.1f}" stroke="currentColor" stroke-opacity=".6" stroke-dasharray="1 4"/>'
    )
    for k, name in ((0, "0 neutral"), (0.5, "0.5"), (1, "1 normal"), (1.5, "1.5 strong")):
        anchor = "start" if k == 0 else "end" if k == 1.5 else "middle"
        parts.append(f'<text x="{_x(k):.1f}" y="{TOP + H + 18}" font-size="12" text-anchor="{anchor}" fill="{FAINT}">{name}</text>')
    return "".join(parts)


def layers(found: Patching) -> Html:
    """Return how much of a voice's effect each layer and part of the passage carries, of the first pair, as a table of shades.

    Args:
        found: by segment, along the residual stream; the effect is on the log-odds of the donor's emotion over the base's.
    """
    from cogviz.probing.effects import log_odds

    base, donor, patched = (log_odds(x, found.moves)[0] for x in (found.base, found.donor, found.patched))
    whole = float(donor - base)
    names = [c for c in found.columns if c not in ("before", "all") and not np.isnan(patched[:, found.columns.index(c)]).all()]
    head = "".join(f'<th scope="col">{PLACES.get(c, c)}</th>' for c in names)
    body = []
    for i, site in reversed(list(enumerate(found.sites))):
        cells = []
        for c in names:
            effect = (float(patched[i, found.columns.index(c)]) - float(base)) / whole if abs(whole) > 1e-6 else 0.0
            effect = round(effect, 2) + 0.0  # no -0%
            shade = round(100 * min(max(effect, 0.0), 1.0))
            ink = "var(--paper)" if shade > 55 else "inherit"
            cells.append(f'<td style="background:color-mix(in srgb,var(--ink) {shade}%,transparent);color:{ink}">{percent(effect)}</td>')
        body.append(f'<tr><th scope="row">{site.replace("lm.", "layer ").replace("connector", "into the model")}</th>{"".join(cells)}</tr>')
    return Html(f'<table class="shades"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>')


def looks(found: Looks) -> Html:
    """Return where the deciding place looks, a bar a segment; a line marks the segment's share of the places."""
    rows = []
    for name, e in found.share.items():
        null = "" if e.chance is None else f'<i class="null" style="left:{100 * e.chance:.1f}%"></i>'
        rows.append(
            f'<span>{PLACES.get(name, name)}</span><span class="bar"><b style="width:{100 * e.value:.1f}%"></b>{null}</span>'
            f"<span>{percent(e.value)}</span>"
        )
    note = "lines: the segment's share of all places, attention spread evenly"
    return Html(f'<div class="lookbars">{"".join(rows)}</div><small class="faint">{note}</small>')
