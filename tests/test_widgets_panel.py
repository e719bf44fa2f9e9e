"""Panels render late and once, say that they work, show what went wrong, and are up to date when an output is read."""

from __future__ import annotations

import asyncio

import pytest
import traitlets

from cogviz.widgets import panel
from cogviz.widgets.panel import Panel, Rendered


class Doubling(Panel):
    value = traitlets.Int(1)
    double = Rendered(None, allow_none=True)
    rendered = 0

    def __init__(self) -> None:
        super().__init__([])
        self.observe(self.refresh, "value")

    def render(self) -> str:
        if self.value < 0:
            raise ValueError("give a number that is <not> negative")
        self.rendered += 1
        self.double = 2 * self.value
        return f"<p>{2 * self.value}</p>"


def test_an_output_is_up_to_date_when_it_is_read_and_nothing_is_rendered_twice() -> None:
    it = Doubling()
    assert it.rendered == 0
    it.value = 5
    it.value = 6
    assert it.busy
    assert panel.WORKING in it.note.value
    assert it.double == 12
    assert it.rendered == 1
    assert not it.busy
    assert it.note.value == ""
    assert "<p>12</p>" in it.still()
    assert it.rendered == 1


def test_of_a_dragged_slider_only_the_last_value_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "WAIT", 0.02)

    async def drag() -> Doubling:
        it = Doubling()
        for value in range(2, 30):
            it.value = value
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)
        return it

    it = asyncio.run(drag())
    assert it.rendered == 1
    assert "<p>58</p>" in it.view.value
    assert not it.busy


def test_what_goes_wrong_is_shown_and_raised_until_an_input_changes() -> None:
    it = Doubling()
    it.value = -1
    for _ in range(2):
        with pytest.raises(ValueError, match="negative"):
            it.settle()
    assert "&lt;not&gt;" in it.note.value
    assert it.problem == "give a number that is <not> negative"
    it.value = 2
    assert it.double == 4
    assert it.problem == ""


def test_a_page_without_widgets_gets_the_view() -> None:
    bundle = Doubling()._repr_mimebundle_()
    assert "<p>2</p>" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
