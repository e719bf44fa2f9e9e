"""What the tabs share: choices, errors that a visitor can read, links that hold the state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import gradio as gr

from cogviz.demo import texts
from cogviz.demo.engine import ERRORS, Engine
from cogviz.emotions import INTENSITIES
from cogviz.plotting.theme import LIGHT

MODEL_QUEUE: dict[str, Any] = {"concurrency_id": "models", "concurrency_limit": 1}
"""Of every event that asks a model: one after the other, in the order of the clicks; who waits sees the place in the queue."""

SOUND_QUEUE: dict[str, Any] = {"concurrency_id": "sounds", "concurrency_limit": 2}

PRIVATE: dict[str, Any] = {"api_visibility": "private", "api_name": "page"}
"""Events of the page itself; programs have `api`."""


def shown(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a visitor can mend into one sentence on the page; log the rest and say nothing of it."""

    def said(error: Exception) -> gr.Error:
        if isinstance(error, gr.Error):
            return error
        if isinstance(error, ERRORS):
            return gr.Error(sentence(error), duration=12, print_exception=False)
        logging.getLogger(__name__).exception("a question failed")
        return gr.Error(texts.OOPS, duration=12, print_exception=False)

    @wraps(function)
    def once(*args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:
            raise said(error) from None

    @wraps(function)
    def streaming(*args: Any) -> Iterator[Any]:
        try:
            yield from function(*args)
        except Exception as error:
            raise said(error) from None

    import inspect

    return streaming if inspect.isgeneratorfunction(function) else once


def sentence(error: Exception) -> str:
    """An error as a sentence with a capital letter and a full stop."""
    text = " ".join(str(error).split())
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def sentence_choices(engine: Engine, *, emotional: bool = False) -> list[tuple[str, str]]:
    """Label and value of every sentence on offer."""
    found = engine.sounds.emotional if emotional else engine.sounds.sentences
    return [
        ((texts.WORDS_SAY if u.lexical_emotion else texts.WORDS_SILENT).format(text=u.text, words=u.lexical_emotion), label)
        for label, u in found.items()
    ]


def sentence_of(engine: Engine, words: str) -> str:
    """The sentence whose words carry an emotion; "": one whose words say nothing; the first where there is none."""
    every = engine.sounds.sentences
    return next((label for label, u in every.items() if (u.lexical_emotion or "") == words), next(iter(every)))


def strength_choices() -> list[tuple[str, str]]:
    """Label and value of the three intensities."""
    return [(texts.STRENGTHS[name], name) for name in INTENSITIES]


def recording(label: str = texts.RECORDING) -> gr.Audio:
    """A place for a visitor's recording: a file or the microphone."""
    return gr.Audio(label=label, sources=["upload", "microphone"], type="filepath", buttons=[])


def prepared(engine: Engine, own: gr.Audio) -> None:
    """Let a visitor's recording be read and taken apart as soon as it is there, so that the first voice comes at once."""
    own.change(shown(engine.sounds.prepare_own), own, None, show_progress="hidden", **SOUND_QUEUE, **PRIVATE)


def shown_on_phone(button: gr.Button, elem_id: str) -> None:
    """Let a button also bring what it asks for into sight, where one column is too long for the screen."""
    js = f"() => {{ if (innerWidth < 700) document.getElementById('{elem_id}')?.scrollIntoView({{behavior: 'smooth', block: 'start'}}); }}"
    button.click(None, None, None, js=js, **PRIVATE)


def player(elem_id: str) -> gr.Audio:
    """A player that starts when it gets a sound; hidden until then."""
    waves = gr.WaveformOptions(waveform_color=LIGHT.series[5], waveform_progress_color=LIGHT.words, show_recording_waveform=True)
    return gr.Audio(
        label=texts.VOICE, interactive=False, buttons=["download"], autoplay=True, visible=False, elem_id=elem_id, waveform_options=waves
    )


def link(button: gr.Button, tab: str, names: Sequence[str], values: Sequence[Any]) -> None:
    """Let a button put the state into the address and onto the clipboard."""
    js = (
        f"(...v) => {{ const u = new URL(window.location.href); u.search = ''; u.searchParams.set('tab', '{tab}');"
        f"{list(names)!r}.forEach((n, i) => u.searchParams.set(n, v[i] ?? ''));"
        "window.history.replaceState(null, '', u); if (navigator.clipboard) navigator.clipboard.writeText(u.href).catch(() => {}); }"
    )
    button.click(None, list(values), None, js=js, **PRIVATE).then(lambda: gr.Info(texts.LINKED, duration=4), **PRIVATE)
