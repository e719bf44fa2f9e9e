"""Endpoints for programs: the same functions as the page's, with plain rows for answers. `texts.API` shows how they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from cogviz.demo import texts, view
from cogviz.demo.engine import VOICES, Engine
from cogviz.demo.tabs.common import MODEL_QUEUE, SOUND_QUEUE, recording, sentence_choices, shown, strength_choices
from cogviz.demo.why import why
from cogviz.evaluation.intensities import VOICES as SOUNDING
from cogviz.plotting import answers as figures

Rows = list[dict[str, Any]]


def build(engine: Engine) -> None:
    """Add the endpoints to the page that is being built; nothing of them is seen."""

    def sentences() -> Rows:
        return [
            {"sentence": label, "words": u.lexical_emotion, "speaker": u.speaker, "id": u.id}
            for label, u in engine.sounds.sentences.items()
        ]

    def models() -> dict[str, Any]:
        return {"side_by_side": list(engine.pair), "offered": list(engine.offered), "voices": list(VOICES)}

    def variant(*chosen: Any) -> str:
        return view.wav(engine.spoken(*chosen).utterance)

    def listen(*chosen: Any) -> Iterator[dict[str, Any]]:
        spoken = engine.spoken(*chosen)
        for said in engine.listen(spoken):
            yield {"done": said.done, "notices": list(spoken.notices), "answers": said.rows()}

    def seven(sentence: str, strength: str, own: str | None) -> Iterator[Rows]:
        for found in engine.seven(sentence, strength, own):
            yield view.seven_rows(found)

    def conflict(sentence: str, voice: str) -> Rows:
        return engine.conflict(sentence, voice).rows()

    def explain(sentence: str, voice: str, strength: str, own: str | None, model: str) -> Iterator[Rows]:
        for found in why(engine, engine.spoken(sentence, voice, strength, own), model):
            yield found.rows()

    def compare(*given: Any) -> Iterator[Rows]:
        sides = [(engine.spoken(*given[i : i + 4]), given[i + 4]) for i in (0, 5)]
        for both in engine.compare(sides[0], sides[1]):
            yield [row for said in both for row in said.rows()]

    def files(*chosen: Any) -> list[str]:
        from cogviz import tour
        from cogviz.models.protocol import heard

        spoken = engine.spoken(*chosen)
        *_, last = engine.listen(spoken)
        rows = tour.answer_rows(
            {name: [heard(spoken.utterance, "reason", text)] for name, text in last.texts.items()}, {"": spoken.utterance}
        )
        return view.files(last.rows(), spoken.utterance, figures.cell_table, rows)

    def fields() -> list[Any]:
        return [
            gr.Dropdown(sentence_choices(engine), label="sentence", allow_custom_value=True),
            gr.Radio(list(VOICES), value="angry", label="voice"),
            gr.Radio(strength_choices(), value="high", label="strength"),
            recording("recording"),
        ]

    def model(i: int = 1) -> Any:
        return gr.Radio(list(engine.offered), value=engine.pair[i], label="model")

    with gr.Row(visible=False):
        one, two = fields(), fields()
        made, listed, sound, written = gr.Button(), gr.JSON(label="rows"), gr.Audio(label="sound"), gr.Files(label="files")
        first, second, grown = model(0), model(1), gr.Radio(list(SOUNDING), value="angry", label="voice")

        def add(name: str, function: Callable[..., Any], given: list[Any], to: Any, **queue: Any) -> None:
            about = texts.ENDPOINTS[name]
            made.click(shown(function), given, to, api_name=name, api_description=about, show_progress="hidden", **queue)

        add("sentences", sentences, [], listed, queue=False)
        add("models", models, [], listed, queue=False)
        add("variant", variant, one, sound, **SOUND_QUEUE)
        add("listen", listen, one, listed, **MODEL_QUEUE)
        add("seven", seven, [one[0], one[2], one[3]], listed, **MODEL_QUEUE)
        add("conflict", conflict, [one[0], grown], listed, **MODEL_QUEUE)
        add("why", explain, [*one, second], listed, **MODEL_QUEUE)
        add("compare", compare, [*one, first, *two, second], listed, **MODEL_QUEUE)
        add("files", files, one, written, **MODEL_QUEUE)
