"""The cell player: one sentence in its seven voices. Choose one, hear it, see it beside the neutral one, and ask a model what it hears."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np
import traitlets

from cogviz.emotions import EMOTIONS
from cogviz.evaluation.asking import ask
from cogviz.models.protocol import Listener
from cogviz.plotting import live, page, speech
from cogviz.utterance import Utterance
from cogviz.widgets.panel import Panel, Rendered


class CellPlayer(Panel):
    """Play the variants of a cell.

    Attributes:
        emotion: which variant; set it, or press a button.
        answer: the emotion that the listener hears in it; None without a listener. probabilities: {emotion: probability}, likewise.
        response: what the listener says to it; "" without a listener, or where its answer has no form.

    Args:
        variants: {emotion: variant}, as `cogviz.utterance.cells` gives them.
        listener: who is asked.
    """

    emotion = traitlets.Unicode()
    answer = Rendered(None, allow_none=True)
    probabilities = Rendered(None, allow_none=True)
    response = Rendered("")

    def __init__(self, variants: Mapping[str, Utterance], listener: Listener | None = None) -> None:
        if not variants:
            raise ValueError("there is nothing to play: the cell has no variants")
        self.variants = {name: variants[name] for name in EMOTIONS if name in variants}
        self.listener = listener
        self._views: dict[str, str] = {}
        self._heard: dict[str, tuple[str, dict[str, float], str]] = {}
        buttons = widgets.ToggleButtons(
            options=list(self.variants), description="voice", tooltips=[f"hear {name}" for name in self.variants]
        )
        buttons.style.button_width = "6.5em"
        self.set_trait("emotion", buttons.value)
        traitlets.link((buttons, "value"), (self, "emotion"))
        super().__init__([buttons])
        self.observe(self.refresh, "emotion")

    @traitlets.validate("emotion")
    def _known(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in self.variants:
            raise traitlets.TraitError(f"this cell has no variant {proposal['value']!r}; it has {', '.join(self.variants)}")
        return proposal["value"]

    def render(self) -> str:
        """Draw and play the chosen variant beside the neutral one, and ask the listener."""
        shown = {name: self.variants[name] for name in dict.fromkeys(("neutral", self.emotion)) if name in self.variants}
        if self.emotion not in self._views:
            loudest = max(float(np.abs(u.samples).max()) for u in self.variants.values())
            self._views[self.emotion] = page.players(shown, loudest=loudest) + page.figure(speech.cell, shown)
        if self.listener is None:
            return self._views[self.emotion]
        if self.emotion not in self._heard:
            self._heard[self.emotion] = self._ask(self.variants[self.emotion], self.listener)
        self.answer, self.probabilities, self.response = self._heard[self.emotion]
        bars = live.bars({self.listener.name: list(self.probabilities.values())}, voice=self.emotion)
        return self._views[self.emotion] + bars + live.reply(self.response)

    def _ask(self, utterance: Utterance, listener: Listener) -> tuple[str, dict[str, float], str]:
        found = dict(zip(EMOTIONS, map(float, ask([listener], [utterance])[listener.name][0]), strict=True))
        answer = listener.listen([utterance], progress=False)[0].answer
        return max(found, key=lambda name: found[name]), found, "" if answer is None else answer.response
