"""What models answer to the variants of a cell: the EIPS steps side by side, as a figure and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from matplotlib.figure import Figure

from cogviz.eips import STEPS, Answer
from cogviz.emotions import EMOTIONS, emotion
from cogviz.plotting import theme

Row = Mapping[str, Any]
"""emotion: of the voice, or None; model; claimed: the emotion the model claims to hear, or None; answer: `Answer`, or None where the text
could not be read; text: the raw output. Optional: sentence, speaker (the heading)."""

UNREAD = "Not in the agreed form: counts as wrong."
_LINES = 9  # of one step on the figure; a page has no limit


@dataclass(frozen=True)
class _Entry:
    """One row, checked."""

    voice: str | None
    model: str
    claimed: str | None
    answer: Answer | None
    text: str

    @property
    def verdict(self) -> str:
        """ "right", "wrong" or "" where nobody knows the tone."""
        if self.voice is None:
            return ""
        return "right" if self.claimed == self.voice else "wrong"

    @property
    def claim(self) -> str:
        return f"hears {self.claimed}" if self.claimed else "unreadable" if self.answer is None else "names no emotion"

    @property
    def mark(self) -> str:
        return {"right": "✓", "wrong": "✗", "": "–"}[self.verdict]


def _group(rows: Sequence[Row]) -> list[tuple[str | None, list[_Entry]]]:
    """Rows by voice emotion in the house order, models in the order in which they come; raises ValueError for none."""
    entries = []
    for row in rows:
        for key in ("emotion", "claimed"):
            if row.get(key) is not None:
                emotion(row[key])
        answer = row.get("answer")
        # An emotion claimed in a text that is not an answer is no claim: unparsed counts as wrong.
        claimed = row.get("claimed") if answer is not None else None
        entries.append(_Entry(row.get("emotion"), str(row.get("model", "model")), claimed, answer, str(row.get("text") or "")))
    if not entries:
        raise ValueError("nothing to draw: no answers")
    voices = [name for name in (*EMOTIONS, None) if any(e.voice == name for e in entries)]
    return [(name, [e for e in entries if e.voice == name]) for name in voices]


def _words(rows: Sequence[Row]) -> tuple[str, str]:
    """Title and subtitle: the sentence if it is known, and how often each model names the tone."""
    sentences = list(dict.fromkeys(str(row["sentence"]) for row in rows if row.get("sentence")))
    speakers = ", ".join(dict.fromkeys(str(row["speaker"]) for row in rows if row.get("speaker")))
    title = " / ".join(f"“{s}”" for s in sentences) or "One sentence, several tones of voice: what the models answer"
    entries = [entry for _, group in _group(rows) for entry in group]
    scores = []
    for model in dict.fromkeys(e.model for e in entries):
        known = [e for e in entries if e.model == model and e.verdict]
        if known:
            scores.append(f"{model} {sum(e.verdict == 'right' for e in known)} of {len(known)}")
    heard = f"Voice emotion named rightly: {', '.join(scores)}." if scores else "The tone of these recordings is not known."
    return f"{title} — speaker {speakers}" if speakers else title, heard


# --- figure ----------------------------------------------------------------------------------------------------------------------

_BAND, _WHO, _GAP, _PAD = 0.98, 1.5, 0.16, 0.12
_WIDTHS = {"perception": 2.45, "intent": 2.2, "psychology": 2.2, "strategy": 1.75, "response": 2.9}
_LINE = theme.SMALL * 1.36 / 72


@theme.styled
def cell_table(rows: Sequence[Row]) -> Figure:
    """Draw the answers to a cell as a table: a band an emotion of the voice, in it a line a model, the EIPS steps as columns.

    Args:
        rows: see `Row`; any order, any number of models, any of the seven emotions.
    """
    groups = _group(rows)
    title, subtitle = _words(rows)
    left = 0.3
    starts, x = {}, left + _BAND + _GAP + _WHO + _GAP
    for step, step_width in _WIDTHS.items():
        starts[step] = x
        x += step_width + _GAP
    width = x - _GAP + _PAD + left
    heights = [[_height(entry) for entry in entries] for _, entries in groups]
    top = theme.heading_height(width, title, subtitle) + 0.42
    figure = theme.figure(width, top + sum(sum(h) + 0.1 for h in heights) + 0.2)
    theme.heading(figure, title, subtitle)
    page, tall = theme.look(), figure.get_figheight()

    def write(x: float, y: float, text: str, **options: Any) -> None:
        figure.text(x / width, 1 - y / tall, text, **{"size": theme.SMALL, "va": "top", "ha": "left", "color": page.ink, **options})

    def box(x: float, y: float, w: float, h: float, colour: str) -> None:
        from matplotlib.patches import Rectangle

        place = (x / width, 1 - (y + h) / tall)
        figure.add_artist(Rectangle(place, w / width, h / tall, facecolor=colour, edgecolor="none", transform=figure.transFigure, zorder=0))

    for label, at in (("voice", left), ("model", left + _BAND + _GAP), *((step, start) for step, start in starts.items())):
        write(at, top - 0.1, label.capitalize(), size=theme.TEXT, weight="bold", color=page.muted, va="bottom")
    y = top
    for (voice, entries), high in zip(groups, heights, strict=True):
        colour = emotion(voice).color if voice else _GREY
        back = theme.mix(page.paper, colour, 0.2 if page.dark else 0.10)
        box(left, y, width - 2 * left, sum(high), back)
        box(left, y, _BAND, sum(high), colour)
        write(left + _BAND / 2, y + sum(high) / 2, voice or "unknown", size=11, weight="bold", ha="center", va="center", color="#FFFFFF")
        for i, (entry, h) in enumerate(zip(entries, high, strict=True)):
            if i:
                box(left + _BAND + _GAP, y - 0.005, width - 2 * left - _BAND - 2 * _GAP, 0.01, theme.mix(page.paper, colour, 0.4))
            _entry(entry, y + _PAD, starts, write, box, back)
            y += h
        y += 0.1
    return figure


def _cells(entry: _Entry) -> list[tuple[str, str, float, int]]:
    """(column, text, width, most lines) of what an entry says; without a chain the response takes the room of all."""
    everything = sum(_WIDTHS.values()) + _GAP * (len(_WIDTHS) - 1)
    if entry.answer is None:
        return [("perception", entry.text or "(empty output)", 0.96 * everything, 4)]
    if entry.answer.chain is None:
        room = everything - _GAP - _WIDTHS["response"]
        thought = [("perception", entry.answer.explanation, room, _LINES)] if entry.answer.explanation else []
        return [*thought, ("response", entry.answer.response, _WIDTHS["response"], _LINES)]
    texts = [getattr(entry.answer.chain, step) for step in STEPS] + [entry.answer.response]
    return [(step, text, _WIDTHS[step], _LINES) for step, text in zip(_WIDTHS, texts, strict=True)]


def _height(entry: _Entry) -> float:
    lines = max(len(theme.wrap(text, width, theme.SMALL, lines=most)) for _, text, width, most in _cells(entry))
    names = len(theme.wrap(entry.model, _WHO, theme.SMALL, weight="bold", lines=2))
    return 2 * _PAD + _LINE * max(lines + (entry.answer is None), names + 1) + 0.07


def _entry(entry: _Entry, y: float, starts: dict[str, float], write: Any, box: Any, back: str) -> None:
    page = theme.look()
    x = starts["perception"] - _GAP - _WHO
    names = theme.wrap(entry.model, _WHO, theme.SMALL, weight="bold", lines=2)
    for i, line in enumerate(names):
        write(x, y + i * _LINE, line, weight="bold")
    claim, below = f"{entry.mark} {entry.claim}", y + len(names) * _LINE + 0.04
    if entry.verdict == "wrong":  # filled, so that the eye finds it
        box(
            x, below, min(theme.text_width(claim, theme.SMALL) + 0.16, _WHO), 0.19, emotion(entry.claimed).color if entry.claimed else _GREY
        )
        write(x + 0.07, below + 0.095, claim, color="#FFFFFF", va="center")
    else:
        write(x, below + 0.095, claim, color=theme.ink(entry.claimed, on=back) if entry.claimed else page.muted, va="center")
    first = y
    if entry.answer is None:
        write(starts["perception"], first, UNREAD, color=page.ink, weight="bold")
        first += _LINE
    elif not entry.answer.thinks:
        write(starts["perception"], first, "direct route: no chain", color=page.muted, style="italic")
    for step, text, width, most in _cells(entry):
        for i, line in enumerate(theme.wrap(text, width, theme.SMALL, lines=most)):
            style = {"color": page.muted, "style": "italic"} if entry.answer is None else {}
            write(starts[step], first + i * _LINE, line, **style)


# --- page ------------------------------------------------------------------------------------------------------------------------

_STYLE = """
.cogviz-answers{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:inherit;max-width:72rem;
text-align:left}
.cogviz-answers *{box-sizing:border-box}
.cogviz-answers h3{font-size:1.3em;line-height:1.3;margin:.2em 0 .1em;overflow-wrap:anywhere}
.cogviz-answers p{margin:.2em 0}
.cogviz-answers .sub{opacity:.72;margin-bottom:1em}
.cogviz-answers section{display:flex;margin:0 0 1em;border-radius:10px;overflow:hidden;
background:color-mix(in srgb,var(--c) 9%,transparent)}
.cogviz-answers .voice{flex:0 0 6.4em;padding:1em .9em;background:var(--c);color:#fff;font-weight:700;font-size:1.25em;
line-height:1.3;text-shadow:0 0 3px rgb(0 0 0/.35)}
.cogviz-answers .voice small{display:block;font-weight:600;font-size:.66em}
.cogviz-answers .models{flex:1;min-width:0;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(21em,100%),1fr))}
.cogviz-answers article{padding:.9em 1.1em 1em;min-width:0;overflow-wrap:anywhere}
.cogviz-answers .models>article+article{box-shadow:-1px -1px 0 color-mix(in srgb,var(--c) 35%,transparent)}
.cogviz-answers header{display:flex;flex-wrap:wrap;gap:.2em .7em;align-items:center;margin-bottom:.6em}
.cogviz-answers header b{font-size:1.05em}
.cogviz-answers .claim{border-radius:1em;padding:.05em .75em;font-size:.87em;border:1.5px solid var(--k);
background:color-mix(in srgb,var(--k) 16%,transparent)}
.cogviz-answers .claim i{font-style:normal;font-weight:700}
.cogviz-answers dl{display:grid;grid-template-columns:6.6em 1fr;gap:.3em .7em;margin:0 0 .8em;padding:0}
.cogviz-answers dt{font-weight:400;opacity:.68;font-size:.9em;line-height:1.66;margin:0}
.cogviz-answers dd{margin:0;padding:0}
.cogviz-answers blockquote{margin:0;padding:.65em .9em;border:0;border-radius:4px 14px 14px 14px;
background:color-mix(in srgb,currentColor 7%,transparent);
color:inherit;font-size:1.04em}
.cogviz-answers pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.5em 0 0;padding:.6em .8em;border:1px dashed currentColor;
border-radius:6px;opacity:.8;
font:13px/1.45 ui-monospace,"DejaVu Sans Mono",monospace;color:inherit;background:transparent;max-height:16em;overflow:auto}
@media (max-width:640px){.cogviz-answers section{display:block}.cogviz-answers .voice{padding:.5em 1.1em}
.cogviz-answers .voice small{display:inline}
.cogviz-answers dl{display:block}.cogviz-answers dt{margin-top:.45em;line-height:1.3}}
@media print{.cogviz-answers section{break-inside:avoid;print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
_GREY = "#6B7280"


def cell_html(rows: Sequence[Row]) -> str:
    """Return the answers to a cell as cards, an emotion of the voice a section, the models side by side.

    One self-contained `<div>` for a notebook output or any page, light or dark: no scripts, nothing from a network, all text escaped.

    Args:
        rows: see `Row`.
    """
    title, subtitle = _words(rows)
    parts = [f'<div class="cogviz-answers"><style>{_STYLE}</style><h3>{escape(title)}</h3><p class="sub">{escape(subtitle)}</p>']
    for voice, entries in _group(rows):
        colour = emotion(voice).color if voice else _GREY
        name = f"<small>the voice sounds </small>{voice}" if voice else "<small>the voice sounds </small>unknown"
        parts.append(f'<section style="--c:{colour}"><div class="voice">{name}</div><div class="models">')
        parts += [_card(entry) for entry in entries]
        parts.append("</div></section>")
    return "".join([*parts, "</div>"])


def _card(entry: _Entry) -> str:
    colour = emotion(entry.claimed).color if entry.claimed else _GREY
    verdict = f" ({entry.verdict})" if entry.verdict else ""
    claim = f'<span class="claim" style="--k:{colour}"><i>{entry.mark}</i> {escape(entry.claim)}{verdict}</span>'
    head = f"<header><b>{escape(entry.model)}</b>{claim}</header>"
    if entry.answer is None:
        return f"<article>{head}<p>{UNREAD}</p><pre>{escape(entry.text) or '(empty output)'}</pre></article>"
    chain = ""
    if entry.answer.chain is not None:
        steps = "".join(f"<dt>{step.capitalize()}</dt><dd>{escape(getattr(entry.answer.chain, step))}</dd>" for step in STEPS)
        chain = f"<dl>{steps}</dl>"
    elif entry.answer.explanation:
        chain = f"<dl><dt>Explanation</dt><dd>{escape(entry.answer.explanation)}</dd></dl>"
    return f"<article>{head}{chain}<blockquote>{escape(entry.answer.response)}</blockquote></article>"
