"""About: what this is, limits, licences, how to cite, and how programs ask."""

from __future__ import annotations

import gradio as gr

from cogviz.demo import texts
from cogviz.demo.engine import Engine


def build(engine: Engine) -> dict[str, gr.components.Component]:
    """Make the tab; a link can set nothing here."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=280, elem_classes="about"):
            gr.Markdown(texts.ABOUT)
        with gr.Column(scale=5, min_width=280, elem_classes="about"):
            gr.Markdown(texts.API)
    return {}
