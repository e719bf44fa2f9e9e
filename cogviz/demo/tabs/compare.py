"""Compare: any two recordings, any two models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from cogviz import audio
from cogviz.demo import texts, view
from cogviz.demo.engine import VOICES, Engine, Said
from cogviz.demo.tabs.common import MODEL_QUEUE, PRIVATE, link, prepared, recording, sentence_choices, sentence_of, shown, strength_choices
from cogviz.lime import world
from cogviz.plotting import hearing, live, meters, page, speech

FIRST = (("sad", "angry", "high"), ("sad", "sad", "high"))


def build(engine: Engine) -> dict[str, gr.components.Component]:
    """Make the tab and return what a link can set, by name."""
    gr.Markdown(texts.COMPARE_LEAD)
    asked: list[Any] = []
    settable: dict[str, gr.components.Component] = {}
    with gr.Row(equal_height=False):
        for i, side in enumerate(texts.SIDES):
            with gr.Column(scale=1, min_width=280), gr.Group():
                gr.Markdown(f"### {side}", elem_classes="side")
                words, sounding, k = FIRST[i]
                sentence = gr.Dropdown(sentence_choices(engine), value=sentence_of(engine, words), label=texts.SENTENCE, filterable=False)
                voice = gr.Radio(list(VOICES), value=sounding, label=texts.VOICE, elem_classes="voices")
                strength = gr.Radio(strength_choices(), value=k, label=texts.STRENGTH)
                model = gr.Dropdown(list(engine.offered), value=engine.pair[1], label=texts.WHY_MODEL, filterable=False)
                with gr.Accordion(texts.OWN, open=False):
                    own = recording()
                prepared(engine, own)
                asked += [sentence, voice, strength, own, model]
                settable |= {
                    f"{n}{i + 1}": c for n, c in {"sentence": sentence, "voice": voice, "strength": strength, "model": model}.items()
                }
    with gr.Row():
        ask = gr.Button(texts.COMPARE_ASK, variant="primary", elem_id="ask-compare")
        copy = gr.Button(texts.LINK, elem_classes="quiet")
        save = gr.Button(texts.SAVE, elem_classes="quiet")
    players = gr.HTML("", elem_id="compare-players")
    said = gr.HTML("", elem_id="compare-answers")
    sound = gr.HTML("", elem_id="compare-sound")
    kept = gr.Files(label=texts.FILES, visible=False, interactive=False)

    def compare(*given: Any) -> Iterator[Any]:
        sides = [(engine.spoken(*given[i : i + 4]), given[i + 4]) for i in (0, 5)]
        heard = {
            f"{side}: {spoken.utterance.emotion or texts.RECORDING}": spoken.utterance
            for side, (spoken, _) in zip(texts.SIDES, sides, strict=True)
        }
        yield page.players(heard), f'<p class="faint">{texts.WORKING}</p>', ""
        for both in engine.compare(sides[0], sides[1]):
            yield gr.skip(), _answers(both), gr.skip()
        yield gr.skip(), gr.skip(), _sound(both)

    def files(*given: Any) -> Any:
        sides = [(engine.spoken(*given[i : i + 4]), given[i + 4]) for i in (0, 5)]
        *_, both = engine.compare(sides[0], sides[1])
        utterances = [
            replace(s.spoken.utterance, id=f"{side}: {s.spoken.utterance.emotion}") for side, s in zip(texts.SIDES, both, strict=True)
        ]
        return gr.Files(view.files([r for s in both for r in s.rows()], utterances[0], speech.recordings, utterances), visible=True)

    ask.click(shown(compare), asked, [players, said, sound], show_progress="minimal", show_progress_on=said, **MODEL_QUEUE, **PRIVATE)
    save.click(shown(files), asked, kept, show_progress="minimal", **MODEL_QUEUE, **PRIVATE)
    link(copy, "compare", list(settable), list(settable.values()))
    return settable


def _answers(both: tuple[Said, Said]) -> str:
    cards = []
    for side, said in zip(texts.SIDES, both, strict=True):
        (name, text), *_ = said.texts.items()
        card = meters.answer(
            f"{side}: {name}", text, claimed=said.claimed(name), verdict=said.verdict(name), about=view.about(name), done=said.done
        )
        u = said.spoken.utterance
        bars = live.bars({name: said.probabilities[name].tolist()}, voice=u.emotion, words=u.lexical_emotion) if said.done else ""
        cards.append(f"<div>{view.spoken(said.spoken)}{card}{bars}</div>")
    return f'<div class="pair">{"".join(cards)}</div>'


def _sound(both: tuple[Said, Said]) -> str:
    first, second = (s.spoken.utterance for s in both)
    before, now = (hearing.traces(u.samples) for u in (first, second))
    drawn = live.traces(
        before,
        now,
        color=meters.colour(second.emotion or "neutral"),
        seconds=max(len(first.samples), len(second.samples)) / audio.RATE,
        units={"pitch": "Hz", "loudness": "dBFS"},
        frame=world.FRAME,
        said=texts.SOUND_KEY,
    )
    return f'<section class="part"><h3>{texts.SOUND_OF_BOTH}</h3><div class="scroll wide" tabindex="0">{drawn}</div></section>'
