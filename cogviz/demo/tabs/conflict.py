"""Conflict: words of one emotion in a voice of another that grows; where does each model change its mind?"""

from __future__ import annotations

from typing import Any

import gradio as gr

from cogviz.demo import texts, view
from cogviz.demo.engine import Engine, Spoken
from cogviz.demo.tabs.common import MODEL_QUEUE, PRIVATE, link, player, sentence_choices, sentence_of, shown, shown_on_phone
from cogviz.emotions import emotion
from cogviz.evaluation import intensities
from cogviz.evaluation.intensities import VOICES
from cogviz.plotting import live, meters, threshold

FIRST = ("sad", "angry", 1.0)


def build(engine: Engine) -> dict[str, gr.components.Component]:
    """Make the tab and return what a link can set, by name."""
    gr.Markdown(texts.CONFLICT_LEAD)
    levels = intensities.LEVELS
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=280):
            words = gr.Dropdown(
                sentence_choices(engine, emotional=True), value=sentence_of(engine, FIRST[0]), label=texts.SENTENCE, filterable=False
            )
            voice = gr.Radio([v for v in VOICES], value=FIRST[1], label=texts.VOICE, elem_classes=["voices", "calmless"])
            k = gr.Slider(levels[0], levels[-1], FIRST[2], step=levels[1] - levels[0], label=texts.INTENSITY, info=texts.INTENSITY_HELP)
            ask = gr.Button(texts.CONFLICT_ASK, variant="primary", elem_id="ask-conflict")
            gr.Markdown(f"**{texts.EXAMPLES}**")
            examples = [gr.Button(said(a, b), size="sm") for a, b in texts.CONFLICT_EXAMPLES]
        with gr.Column(scale=7, min_width=280):
            told = gr.HTML(view.EMPTY, elem_id="conflict-told")
            sounds = player("conflict-player")
            dial = gr.HTML("", elem_id="dial")
            bars = gr.HTML("")
    with gr.Row():
        copy = gr.Button(texts.LINK, elem_classes="quiet")
        save = gr.Button(texts.SAVE, elem_classes="quiet")
    kept = gr.Files(label=texts.FILES, visible=False, interactive=False)
    asked = [words, voice, k]

    def turn(sentence: str, voice: str, k: float) -> Any:
        found = engine.conflict(sentence, voice)
        at = nearest(k)
        here = found.made[at]
        heard = {name: p[at].tolist() for name, p in found.probabilities.items()}
        lexical = str(found.neutral.lexical_emotion)
        loudest = max(float(abs(u.samples).max()) for u in found.made)
        return (
            view.spoken(Spoken(here, found.neutral)),
            gr.Audio(view.wav(here, loudest=loudest), visible=True),
            meters.dial(found.curves, words=lexical, voice=found.voice, intensity=levels[at]),
            live.bars(heard, voice=found.voice, words=lexical),
        )

    def files(sentence: str, voice: str, k: float) -> Any:
        found = engine.conflict(sentence, voice)
        about = {"text": found.neutral.text, "words": str(found.neutral.lexical_emotion), "voice": found.voice, "intensity": k}
        return gr.Files(view.files(found.rows(), found.made[nearest(k)], threshold.dial, found.curves, **about), visible=True)

    run: dict[str, Any] = {
        "outputs": [told, sounds, dial, bars],
        "show_progress": "minimal",
        "show_progress_on": told,
        **MODEL_QUEUE,
        **PRIVATE,
    }
    ask.click(shown(turn), asked, **run)
    k.release(shown(turn), asked, trigger_mode="always_last", **run)
    for button, (spoken, sounding) in zip(examples, texts.CONFLICT_EXAMPLES, strict=True):
        chosen = (sentence_of(engine, spoken), sounding)
        button.click(lambda chosen=chosen: chosen, None, [words, voice], queue=False, show_progress="hidden", **PRIVATE).then(
            shown(turn), asked, **run
        )
    for button in (ask, *examples):
        shown_on_phone(button, "conflict-told")
    save.click(shown(files), asked, kept, show_progress="minimal", **MODEL_QUEUE, **PRIVATE)
    link(copy, "conflict", ("sentence", "voice", "k"), asked)
    return {"sentence": words, "voice": voice, "k": k}


def said(words: str, voice: str) -> str:
    """What the button of an example says."""
    return texts.EXAMPLE.format(words=emotion(words).adjective.capitalize(), voice=emotion(voice).adjective)


def nearest(k: float) -> int:
    """The level that lies next to an intensity."""
    return min(range(len(intensities.LEVELS)), key=lambda i: abs(intensities.LEVELS[i] - float(k)))
