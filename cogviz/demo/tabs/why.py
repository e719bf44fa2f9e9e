"""Why: which sound of which word spoke, where the model looked, which layer decides, where the recording lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from cogviz.demo import texts, view
from cogviz.demo.engine import VOICES, Engine
from cogviz.demo.tabs.common import MODEL_QUEUE, PRIVATE, link, prepared, recording, sentence_choices, sentence_of, shown, strength_choices
from cogviz.demo.why import Why, why
from cogviz.plotting import attribution as figures
from cogviz.plotting import live, meters, page, projection

FIRST = ("sad", "angry", "high")


def build(engine: Engine) -> dict[str, gr.components.Component]:
    """Make the tab and return what a link can set, by name."""
    gr.Markdown(texts.WHY_LEAD)
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=280):
            sentence = gr.Dropdown(sentence_choices(engine), value=sentence_of(engine, FIRST[0]), label=texts.SENTENCE, filterable=False)
            model = gr.Radio(list(engine.offered), value=engine.pair[1], label=texts.WHY_MODEL)
        with gr.Column(scale=5, min_width=280):
            voice = gr.Radio(list(VOICES), value=FIRST[1], label=texts.VOICE, elem_classes="voices")
            strength = gr.Radio(strength_choices(), value=FIRST[2], label=texts.STRENGTH)
    with gr.Accordion(texts.OWN, open=False):
        own = recording()
    with gr.Row():
        ask = gr.Button(texts.WHY_ASK, variant="primary", elem_id="ask-why")
        copy = gr.Button(texts.LINK, elem_classes="quiet")
        save = gr.Button(texts.SAVE, elem_classes="quiet")
    told = gr.HTML("", elem_id="why-told")
    sound = gr.HTML("", elem_id="why-sound")
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=280):
            looks = gr.HTML("", elem_id="why-looks")
        with gr.Column(scale=5, min_width=280):
            layers = gr.HTML("", elem_id="why-layers")
    place = gr.HTML("", elem_id="why-map")
    kept = gr.Files(label=texts.FILES, visible=False, interactive=False)
    asked = [sentence, voice, strength, own, model]

    def explain(sentence: str, voice: str, strength: str, own: str | None, model: str) -> Iterator[Any]:
        for found in why(engine, engine.spoken(sentence, voice, strength, own), model):
            yield _said(found), _sound(found), _looks(found), _layers(found), _map(found)

    def files(sentence: str, voice: str, strength: str, own: str | None, model: str) -> Any:
        spoken = engine.spoken(sentence, voice, strength, own)
        *_, found = why(engine, spoken, model)
        if not found.words:
            return gr.Files(view.files(found.rows(), spoken.utterance, projection.maps, [found.map], by=["voice_emotion"]), visible=True)
        return gr.Files(view.files(found.rows(), spoken.utterance, figures.sound, found.sound, answer=found.answer), visible=True)

    prepared(engine, own)
    outputs = [told, sound, looks, layers, place]
    ask.click(shown(explain), asked, outputs, show_progress="minimal", show_progress_on=told, **MODEL_QUEUE, **PRIVATE)
    save.click(shown(files), asked, kept, show_progress="minimal", **MODEL_QUEUE, **PRIVATE)
    link(copy, "why", ("sentence", "voice", "strength", "model"), [sentence, voice, strength, model])
    return {"sentence": sentence, "voice": voice, "strength": strength, "model": model}


def _said(found: Why) -> str:
    u = found.spoken.utterance
    bars = live.bars({found.model: found.probabilities.tolist()}, voice=u.emotion, words=u.lexical_emotion)
    return view.spoken(found.spoken) + bars


def _sound(found: Why) -> Any:
    if found.sound is None:
        return f'<p class="faint">{texts.WORKING}</p>'
    if found.map is not None or found.looks is not None:
        return gr.skip()  # drawn already
    if not found.words:
        return view.part("sound", f'<p class="notice">{texts.WHY_NO_WORDS}</p>')
    return view.part("sound", page.switching_figure(figures.sound, found.sound, answer=found.answer))


def _looks(found: Why) -> Any:
    return "" if found.looks is None else view.part("looks", meters.looks(found.looks))


def _layers(found: Why) -> Any:
    if found.no_layers:
        return view.part("layers", f'<p class="notice">{found.no_layers}</p>')
    return "" if found.layers is None else view.part("layers", f'<div class="scroll" tabindex="0">{meters.layers(found.layers)}</div>')


def _map(found: Why) -> Any:
    if found.map is None:
        return ""
    title = f"The recording (ringed) among {len(found.map.points) - 1} others, as {found.model} hears the tone"
    drawn = page.switching_figure(projection.maps, [found.map], title=title, by=["voice_emotion"], mark=[found.spoken.utterance.id])
    return view.part("map", drawn)
