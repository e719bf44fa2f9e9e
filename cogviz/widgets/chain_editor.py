"""The chain editor: put other thoughts into a model's mouth and see what becomes of its response. The sound stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as widgets
import traitlets

from cogviz.eips import STEPS, Chain, parse, thought
from cogviz.emotions import EMOTIONS, emotion
from cogviz.evaluation.chains import injected
from cogviz.plotting import page
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance
from cogviz.widgets.panel import Panel, Rendered

OWN = "own chain"


class ChainEditor(Panel):
    """Edit a chain of thought step by step; the model then responds to the sound and to the edited chain.

    Attributes:
        voice: which variant is heard; its own chain is put into the steps.
        edit: a ready-made edit: "own chain", "without STEP", "swapped with EMOTION" (all steps of that variant), "says EMOTION" (the perception
            claims it, the other steps stay); "by hand" once a step was changed by hand.
        perception, intent, psychology, strategy: the steps; an empty one is left out.
        thought: what is put into the model's mouth.
        response: what the model then says. told: the emotion that the judge tells from it. own: the response after the model's own chain.
        claimed: the emotion that the edited perception claims; None where it claims none.

    Args:
        variants: {emotion: variant}, as `cogviz.utterance.cells` gives them.
        listener: a model that thinks aloud (`CogAudioListener`).
        judge: whatever has `tell(responses)`, as `rewards.evaluation_judge()`.

    Raises:
        ValueError: no answer of the model has a chain.
    """

    voice = traitlets.Unicode()
    edit = traitlets.Unicode(OWN)
    perception = traitlets.Unicode()
    intent = traitlets.Unicode()
    psychology = traitlets.Unicode()
    strategy = traitlets.Unicode()
    thought = Rendered("")
    response = Rendered("")
    own = Rendered("")
    told = Rendered(None, allow_none=True)
    claimed = Rendered(None, allow_none=True)

    def __init__(self, variants: Mapping[str, Utterance], listener: Any, judge: Any) -> None:
        self.listener, self.judge = listener, judge
        self._responses: dict[tuple[str, str], str] = {}
        named = {name: variants[name] for name in EMOTIONS if name in variants}
        heard = listener.listen(list(named.values()), progress=False)
        answers = {name: h.answer for name, h in zip(named, heard, strict=True)}
        self.chains: dict[str, Chain] = {name: a.chain for name, a in answers.items() if a is not None and a.chain is not None}
        if not self.chains:
            raise ValueError(
                f"{listener.name} gave no chain to any of {len(named)} variants, so there is nothing to edit; take a model that thinks"
            )
        self.variants = {name: named[name] for name in self.chains}
        self._filling = False
        self._choose = widgets.Dropdown(options=list(self.chains), description="voice")
        self._edits = widgets.Dropdown(options=self.edits(), description="edit")
        areas = []
        for step in STEPS:
            area = widgets.Textarea(description=step, continuous_update=False, rows=2, layout=widgets.Layout(width="min(52em, 98%)"))
            traitlets.link((self, step), (area, "value"))
            areas.append(area)
        traitlets.link((self._choose, "value"), (self, "voice"))
        traitlets.link((self._edits, "value"), (self, "edit"))
        self._fill()
        super().__init__([widgets.HBox([self._choose, self._edits]), *areas])
        self.observe(self._fill, ["voice", "edit"])
        self.observe(self._by_hand, list(STEPS))

    def edits(self) -> list[str]:
        """Return the ready-made edits, in the order of the menu."""
        swaps = [f"swapped with {name}" for name in self.chains]
        return [OWN, *(f"without {step}" for step in STEPS), *swaps, *(f"says {name}" for name in EMOTIONS), "by hand"]

    @traitlets.validate("voice")
    def _known_voice(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in self.chains:
            raise traitlets.TraitError(f"there is no chain for {proposal['value']!r}; choose {', '.join(self.chains)}")
        return proposal["value"]

    @traitlets.validate("edit")
    def _known_edit(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in self.edits():
            raise traitlets.TraitError(f"there is no edit {proposal['value']!r}; choose {', '.join(self.edits())}")
        return proposal["value"]

    def _fill(self, change: object = None) -> None:
        """Put what voice and edit say into the steps."""
        if self.edit == "by hand":
            if isinstance(change, dict) and change["name"] == "voice":
                self.edit = OWN  # what was written belongs to the voice before
            return
        chain, (what, _, name) = self.chains[self.voice], self.edit.rpartition(" ")
        steps = {step: getattr(chain, step) for step in STEPS}
        if what == "without":
            steps[name] = ""
        elif what == "swapped with":
            steps = {step: getattr(self.chains[name], step) for step in STEPS}
        elif what == "says":
            changed = parse(f"<thought>{injected(chain, name)}</thought><response>-</response>")
            assert changed is not None
            assert changed.chain is not None
            steps["perception"] = changed.chain.perception
        self._filling = True
        try:
            for step, text in steps.items():
                setattr(self, step, text)
        finally:
            self._filling = False
        if hasattr(self, "view"):
            self.refresh()

    def _by_hand(self, _: object = None) -> None:
        if self._filling:
            return
        self.edit = "by hand"
        self.refresh()

    def render(self) -> str:
        """Let the model respond to its own chain and to the edited one, and the judge tell both."""
        own = thought(self.chains[self.voice])
        texts = {step: " ".join(getattr(self, step).split()) for step in STEPS}
        if wrong := next((s for s, text in texts.items() if set("<>[]") & set(text)), None):
            raise ValueError(f"the {wrong} step holds one of < > [ ], which mark the steps themselves; leave them out")
        edited = thought(Chain(**texts), [step for step in STEPS if texts[step]])
        self._respond([own, edited])
        self.thought, self.own, self.response = edited, self._responses[self.voice, own], self._responses[self.voice, edited]
        before, after = (self.judge.tell([text])[0] if text else None for text in (self.own, self.response))
        self.told, self.claimed = after, claimed_emotion(f"<thought>[Perception] {texts['perception']}</thought>")
        return page.players({self.voice: self.variants[self.voice]}) + _view(self.voice, self.own, before, self.response, after)

    def _respond(self, thoughts: list[str]) -> None:
        """Fill the memory with what was not asked before."""
        missing = [text for text in dict.fromkeys(thoughts) if (self.voice, text) not in self._responses]
        if missing:
            said = self.listener.respond([self.variants[self.voice]] * len(missing), missing, progress=False)
            self._responses.update({(self.voice, text): found for text, found in zip(missing, said, strict=True)})


def _view(voice: str, own: str, before: str | None, response: str, after: str | None) -> str:
    """Both responses under each other, each with the emotion that it answers to."""
    moved = (
        "It answers to the same emotion as before."
        if before == after
        else f"It answered to {before or 'none'} before, and to {after or 'none'} now."
    )

    def card(title: str, text: str, told: str | None) -> str:
        colour = emotion(told).color if told else "#6B7280"
        return (
            f'<p style="margin:.6em 0 .15em">{escape(title)} <b style="border-left:.5em solid {colour};padding-left:.4em">answers to '
            f'{escape(told or "none")}</b></p><blockquote style="margin:0;padding:.5em .9em;border-left:0;border-radius:4px 14px 14px 14px;'
            f'background:color-mix(in srgb,{colour} 14%,transparent)">{escape(text) or "(nothing)"}</blockquote>'
        )

    both = card("After its own chain, the response", own, before) + card("After this chain, the response", response, after)
    return f'<div style="max-width:52em">{both}<p role="status" style="margin:.6em 0">The voice sounds {escape(voice)}. {moved}</p></div>'
