"""What the widgets share: they render late, only the last value, say that they work, and are up to date whenever a trait is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets as widgets
import traitlets

WAIT = 0.15
"""Seconds without a further change before a panel renders: of a slider that is dragged, only the last value counts."""

WORKING = "working …"

STYLE = "<style>.panel .players{display:flex;flex-wrap:wrap;gap:.4em 1.2em}.panel .players figure{margin:0;padding:0 0 0 .6em;max-width:22em}</style>"


class Rendered(traitlets.Any):
    """A trait that a panel's rendering sets; reading it first renders what is pending."""

    def get(self, obj: Any, cls: Any = None) -> Any:
        """Return the value, up to date."""
        obj.settle()
        return super().get(obj, cls)


class Panel(widgets.VBox):
    """Controls above, below them a line that says what is going on and the view that `render` makes.

    A subclass calls `refresh` when an input trait changes, makes its outputs `Rendered` traits, and sets them in `render`.

    Attributes:
        busy: whether something waits to be rendered or is being rendered.
        problem: why the last rendering failed, one sentence; "" where it did not.
    """

    busy = traitlets.Bool(False)
    problem = traitlets.Unicode("")
    _rendering = False
    _waiting: asyncio.TimerHandle | None = None

    def __init__(self, controls: Sequence[widgets.Widget]) -> None:
        self.note, self.view = widgets.HTML(), widgets.HTML()
        super().__init__([*controls, self.note, self.view])
        self.refresh()

    def render(self) -> str:
        """Set the outputs from the inputs and return the view, a piece of a page."""
        raise NotImplementedError

    def refresh(self, _: object = None) -> None:
        """Render soon: after `WAIT` seconds without a further change, or when an output is read."""
        self.busy = True
        self.note.value = f'<span role="status">{WORKING}</span>'
        self._cancel()
        try:
            self._waiting = asyncio.get_running_loop().call_later(WAIT, self._late)
        except RuntimeError:  # no loop: whoever reads an output renders
            self._waiting = None

    def settle(self) -> None:
        """Render now what is pending; an error is raised, and shown in the panel, until an input changes."""
        if not self.busy or self._rendering:
            return
        self._cancel()
        self._rendering = True
        try:
            self.view.value = f'<div class="panel">{STYLE}{self.render()}</div>'
            self.problem = self.note.value = ""
            self.busy = False
        except (ValueError, RuntimeError, OSError) as error:
            self.problem = " ".join(str(error).split())
            self.note.value = f'<span role="alert">{escape(self.problem)}</span>'
            raise
        finally:
            self._rendering = False

    def still(self) -> str:
        """Return the view as it is now, for a page on which nothing can be moved."""
        self.settle()
        return str(self.view.value)

    def _late(self) -> None:
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # the panel shows it
            self.settle()

    def _cancel(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and its view for pages without widgets."""
        bundle = super()._repr_mimebundle_(**kwargs)
        bundle["text/html"] = self.still()
        return bundle
