"""Pieces of the demo's page: what was said, the answers side by side, the table of seven voices; and files to take home."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogviz import audio
from cogviz.demo import texts
from cogviz.demo.engine import Said, Spoken
from cogviz.emotions import EMOTIONS
from cogviz.plotting import live, meters
from cogviz.plotting.page import PEAK, Html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cogviz.evaluation.dominance import Following
    from cogviz.models.protocol import Heard
    from cogviz.utterance import Utterance

EMPTY = Html(f'<div class="empty">{texts.EMPTY}</div>')


def start() -> Html:
    """What the page is for, before anything was asked."""
    steps = "".join(f"<li>{_bold(escape(step.format(button=texts.HEAR)))}</li>" for step in texts.START)
    return Html(f'<div class="empty start"><ol>{steps}</ol></div>')


def _bold(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)


def about(name: str) -> str:
    """Say what a model is."""
    return texts.MODELS.get(name.rsplit("-", 1)[-1], "")


def spoken(what: Spoken) -> Html:
    """Say what is heard: the words, their emotion, the voice's, and notices."""
    u = what.utterance
    words = f"{meters.swatch(u.lexical_emotion)}{u.lexical_emotion} words" if u.lexical_emotion else "words of unknown emotion"
    if u.text and not u.lexical_emotion:
        words = "words that say nothing"
    voice = f"{meters.swatch(u.emotion)}{u.emotion} voice" if u.emotion else "voice of unknown emotion"
    line = f"“{escape(u.text)}”" if u.text else texts.RECORDING
    notes = "".join(f'<p class="notice">{escape(texts.NOTICE.format(n))}</p>' for n in what.notices)
    return Html(f'<p class="spoken">{line}<small>{words} · {voice}</small></p>{notes}')


def answers(said: Said) -> Html:
    """The answers side by side, as far as they are written."""
    cards = [
        meters.answer(
            name,
            text,
            claimed=said.claimed(name),
            verdict=said.verdict(name),
            about=about(name),
            done=said.done,
        )
        for name, text in said.texts.items()
    ]
    return Html(f'<div class="pair" aria-live="off">{"".join(cards)}</div>')


def needles(said: Said, behind: Mapping[str, Following]) -> Html:
    """The gauge and the seven probabilities; nothing until the answers are whole."""
    if not said.done:
        return Html("")
    u = said.spoken.utterance
    heard = {name: p.tolist() for name, p in said.probabilities.items()}
    known = {name: f for name, f in behind.items() if name in heard}
    drawn = meters.gauge(heard, voice=u.emotion, words=u.lexical_emotion, behind=known) if known or u.emotion else ""
    return Html(f"{drawn}{live.bars(heard, voice=u.emotion, words=u.lexical_emotion)}")


def seven(found: Mapping[str, Sequence[Heard]]) -> Html:
    """A line a voice: what each model heard, and what it says."""
    names = list(found)
    cells = [f'<div class="head">{texts.VOICE}</div>', *(f'<div class="head">{escape(n)}</div>' for n in names)]
    cells += ['<div class="head"></div>'] * (2 - len(names))
    for voice in EMOTIONS:
        cells.append(f"<div>{meters.swatch(voice)}{voice}</div>")
        for name in names:
            h = next(h for h in found[name] if h.utterance.emotion == voice)
            hit = "hit" if h.claimed == voice else ""
            reply = h.answer.response if h.answer is not None else h.text
            mark = "✓" if hit else "✗"
            cells.append(f'<div class="{hit}">{mark} {meters.swatch(h.claimed)}{h.claimed or "no emotion"}<q>{escape(reply)}</q></div>')
        cells += ["<div>…</div>"] * (2 - len(names))
    right = [
        texts.SEVEN_SAID.format(model=name, right=sum(h.claimed == h.utterance.emotion for h in heard), of=len(heard))
        for name, heard in found.items()
    ]
    return Html(
        f'<section class="seven"><h3>{escape(" ".join(right))}</h3><div class="grid7">{"".join(cells)}</div>'
        f'<p class="faint"><small>{texts.SEVEN_NOTE}</small></p></section>'
    )


def seven_rows(found: Mapping[str, Sequence[Heard]]) -> list[dict[str, Any]]:
    """One plain row a model and voice."""
    return [
        {"model": name, "voice": h.utterance.emotion, "words": h.utterance.lexical_emotion, "claimed": h.claimed, "answer": h.text}
        for name, heard in found.items()
        for h in heard
    ]


def part(name: str, body: str) -> Html:
    """A part of the Why tab under its heading."""
    return Html(f'<section class="part"><h3>{texts.WHY_PARTS[name]}</h3><p>{texts.WHY_NOTES[name]}</p>{body}</section>')


# --- files -----------------------------------------------------------------------------------------------------------------------


def folder() -> Path:
    """Return a new folder inside the server's own temporary one, which is emptied within minutes."""
    from gradio.utils import get_upload_folder

    base = Path(get_upload_folder())
    base.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=base))


def wav(utterance: Utterance, *, loudest: float = 0.0) -> str:
    """Write a recording to be played, and return its path. `loudest`: peak of the loudest one that it is compared with."""
    peak = max(loudest, float(abs(utterance.samples).max()), 1e-6)
    path = folder() / f"{slug(utterance)}.wav"
    audio.write(path, utterance.samples * (PEAK / peak))
    return str(path)


def files(rows: Sequence[dict[str, Any]], utterance: Utterance | None, draw: Callable[..., Figure], *args: Any, **kwargs: Any) -> list[str]:
    """Write the figure as PNG, the figures as JSON and the sound as WAV, and return their paths."""
    from cogviz.plotting import theme

    into = folder()
    with theme.use():
        made = [theme.save(draw(*args, **kwargs), into / "cogviz.png")]
    made.append(into / "cogviz.json")
    made[-1].write_text(json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    found = [str(path) for path in made]
    return found if utterance is None else [*found, wav(utterance)]


def slug(utterance: Utterance) -> str:
    """A name for a file: the first words, the voice and its intensity."""
    start = "".join(c if c.isalnum() else "-" for c in (utterance.text or "recording").lower())[:32].strip("-")
    return f"{start}-{utterance.emotion or 'as-recorded'}-{utterance.intensity:g}".replace(".", "_")
