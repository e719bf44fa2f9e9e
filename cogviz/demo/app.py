"""The page: its tabs, and what a link sets."""

from __future__ import annotations

from typing import Any

import gradio as gr

from cogviz.demo import api, texts
from cogviz.demo.engine import Engine
from cogviz.demo.limits import FILES, QUEUE
from cogviz.demo.tabs import about, compare, conflict, listen, why


def build(engine: Engine) -> gr.Blocks:
    """Return the page over an engine."""
    with gr.Blocks(title=texts.WINDOW, analytics_enabled=False, delete_cache=FILES) as page:
        gr.Markdown(f"# {texts.TITLE}")
        gr.Markdown(texts.LEAD, elem_id="lead")
        settable: dict[str, dict[str, Any]] = {}
        with gr.Tabs(selected="listen", overflow_behavior="wrap") as tabs:
            for name, build_tab in _tabs().items():
                with gr.Tab(texts.TABS[name], id=name):
                    settable[name] = build_tab(engine)
        api.build(engine)
        _links(page, tabs, settable)
    page.queue(max_size=QUEUE, default_concurrency_limit=4)
    return page


def _tabs() -> dict[str, Any]:
    return {"listen": listen.build, "conflict": conflict.build, "why": why.build, "compare": compare.build, "about": about.build}


def _links(page: gr.Blocks, tabs: gr.Tabs, settable: dict[str, dict[str, Any]]) -> None:
    """Set what the address says, where it is one of the choices; anything else in it is left alone."""
    places = [(tab, name, component) for tab, some in settable.items() for name, component in some.items()]

    def read(request: gr.Request) -> list[Any]:
        given = dict(request.query_params)
        wanted = given.get("tab", "")
        if wanted not in settable:
            return [gr.skip() for _ in range(len(places) + 1)]
        return [gr.Tabs(selected=wanted), *(_value(c, given.get(n)) if t == wanted else gr.skip() for t, n, c in places)]

    page.load(read, None, [tabs, *(c for *_, c in places)], queue=False, show_progress="hidden", api_visibility="private")


def _value(component: Any, text: str | None) -> Any:
    if text is None:
        return gr.skip()
    if isinstance(component, gr.Slider):
        try:
            value = float(text)
        except ValueError:
            return gr.skip()
        return value if component.minimum <= value <= component.maximum else gr.skip()
    return text if text in [value for _, value in component.choices] else gr.skip()
