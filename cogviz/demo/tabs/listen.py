"""Listen: a sentence in one of seven voices, and what two models answer to it, as they write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from cogviz import tour
from cogviz.demo import texts, view
from cogviz.demo.engine import VOICES, Engine
from cogviz.demo.tabs.common import (
    MODEL_QUEUE,
    PRIVATE,
    link,
    player,
    prepared,
    recording,
    sentence_choices,
    sentence_of,
    shown,
    shown_on_phone,
    strength_choices,
)
from cogviz.plotting import answers as figures


def build(engine: Engine) -> dict[str, gr.components.Component]:
    """Make the tab and return what a link can set, by name."""
    first = texts.LISTEN_EXAMPLES[0]
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=280):
            sentence = gr.Dropdown(sentence_choices(engine), value=sentence_of(engine, first[0]), label=texts.SENTENCE, filterable=False)
            voice = gr.Radio(list(VOICES), value=first[1], label=texts.VOICE, elem_classes="voices")
            strength = gr.Radio(strength_choices(), value=first[2], label=texts.STRENGTH)
            hear = gr.Button(texts.HEAR, variant="primary", size="lg", elem_id="hear")
            with gr.Accordion(texts.OWN, open=False):
                gr.Markdown(texts.OWN_HELP)
                own = recording()
            gr.Markdown(f"**{texts.EXAMPLES}**")
            examples = [gr.Button(said, size="sm", elem_classes="quiet") for *_, said in texts.LISTEN_EXAMPLES]
        with gr.Column(scale=7, min_width=280):
            told = gr.HTML("", elem_id="told")
            sounds = player("player")
            said = gr.HTML(view.start(), elem_id="answers")
            needles = gr.HTML("", elem_id="needles")
    with gr.Row():
        seven = gr.Button(texts.SEVEN, elem_id="seven")
        copy = gr.Button(texts.LINK, elem_classes="quiet")
        save = gr.Button(texts.SAVE, elem_classes="quiet", elem_id="save")
    table = gr.HTML("", elem_id="table")
    kept = gr.Files(label=texts.FILES, visible=False, interactive=False, elem_id="files")
    asked = [sentence, voice, strength, own]

    def say(*chosen: Any) -> Iterator[Any]:
        spoken = engine.spoken(*chosen)
        yield view.spoken(spoken), gr.Audio(view.wav(spoken.utterance), visible=True), view.EMPTY, ""
        for now in engine.listen(spoken):
            yield gr.skip(), gr.skip(), view.answers(now), view.needles(now, engine.behind)

    def compare(sentence: str, strength: str, own: str | None) -> Iterator[Any]:
        for found in engine.seven(sentence, strength, own):
            yield view.seven(found)

    def files(sentence: str, voice: str, strength: str, own: str | None) -> Any:
        spoken = engine.spoken(sentence, voice, strength, own)
        *_, last = engine.listen(spoken)
        heard = {name: [_as_heard(spoken, name, last)] for name in last.texts}
        rows = tour.answer_rows(heard, {"": spoken.utterance})
        return gr.Files(view.files(last.rows(), spoken.utterance, figures.cell_table, rows), visible=True)

    prepared(engine, own)
    for button in (hear, *examples):
        shown_on_phone(button, "told")
    outputs = [told, sounds, said, needles]
    run: dict[str, Any] = {"outputs": outputs, "show_progress": "minimal", "show_progress_on": said, **MODEL_QUEUE, **PRIVATE}
    hear.click(shown(say), asked, **run)
    for button, (words, sounding, k, _) in zip(examples, texts.LISTEN_EXAMPLES, strict=True):
        chosen = (sentence_of(engine, words), sounding, k, None)
        button.click(lambda chosen=chosen: chosen, None, asked, queue=False, show_progress="hidden", **PRIVATE).then(
            shown(say), asked, **run
        )
    seven.click(shown(compare), [sentence, strength, own], table, show_progress="minimal", **MODEL_QUEUE, **PRIVATE)
    save.click(shown(files), asked, kept, show_progress="minimal", **MODEL_QUEUE, **PRIVATE)
    link(copy, "listen", ("sentence", "voice", "strength"), asked[:3])
    return {"sentence": sentence, "voice": voice, "strength": strength}


def _as_heard(spoken: Any, name: str, last: Any) -> Any:
    from cogviz.models.protocol import heard

    return heard(spoken.utterance, "reason", last.texts[name])
