"""The attribution lens: choose an utterance, a target and a method, and see what of the input speaks for it."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import traitlets

from cogviz.attribution.gradients import METHODS, Attribution, attribute
from cogviz.attribution.targets import Emotion
from cogviz.attribution.words import by_word
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.asking import ask
from cogviz.models.listener import CogAudioListener
from cogviz.plotting import attribution as figures
from cogviz.plotting import page
from cogviz.plotting.attribution_sound import METHOD
from cogviz.plotting.overlay import accounts, overlay
from cogviz.utterance import Utterance
from cogviz.widgets.panel import Panel, Rendered

TARGETS = ("voice", "words", "answered", *EMOTIONS)
"""Whose emotion is asked for: that of the voice, that of the words, the one that the model answers, or one by name."""

ALONE = "nothing"

OVER = {"audio": "tokens of the sound", "tokens": "all tokens", "text": "tokens of the text", "mel": "the sound itself (log-mel)"}

STEPS = 16
"""Of integrated gradients and GradientSHAP over the log-mel, where each costs a pass through the encoder; the default over tokens."""

WINDOW = (20, 32)
"""Bands and frames that occlusion hides at once here, coarser than its default so that one need not wait."""


class AttributionLens(Panel):
    """Look at one answer through any method.

    Attributes:
        model: the listener's name. item: the utterance's id. method, over: as in `gradients.attribute`.
        target: one of `TARGETS`. contrast: likewise, or "nothing": the log odds of the target over it, else the log probability of the target.
        found: the `Attribution`. answer: the emotion that the model names. strongest: (piece or word, relevance), the farthest from 0.
        gap: |sum of relevance - difference| over |difference|.
        computed: how many attributions were computed; what was seen before is remembered.

    Args:
        listeners: of CogAudio, with different names. utterances: what can be chosen. references: the neutral rendering of each.
    """

    model = traitlets.Unicode()
    item = traitlets.Unicode()
    method = traitlets.Unicode("integrated_gradients")
    over = traitlets.Unicode("audio")
    target = traitlets.Unicode("voice")
    contrast = traitlets.Unicode("words")
    found = Rendered(None, allow_none=True)
    answer = Rendered("")
    strongest = Rendered(None, allow_none=True)
    gap = Rendered(None, allow_none=True)
    computed = traitlets.Int(0)

    def __init__(
        self, listeners: Sequence[CogAudioListener], utterances: Sequence[Utterance], references: Sequence[Utterance] | None = None
    ) -> None:
        if not listeners or not utterances:
            raise ValueError("the lens needs a listener and an utterance to look at")
        if references is not None and len(references) != len(utterances):
            raise ValueError(f"{len(utterances)} utterances but {len(references)} references; give the neutral rendering of each")
        self.listeners = {one.name: one for one in listeners}
        self.utterances = {u.id: u for u in utterances}
        self.references = None if references is None else {u.id: r for u, r in zip(utterances, references, strict=True)}
        self._known: dict[tuple[str, ...], Attribution] = {}
        self._views: dict[tuple[str, ...], str] = {}
        self._heard: dict[tuple[str, str], np.ndarray] = {}
        choices: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
            "model": ("model", [(name, name) for name in self.listeners]),
            "item": ("sentence", [(label(u), u.id) for u in utterances]),
            "target": ("target", [(name, name) for name in TARGETS]),
            "contrast": ("rather than", [(name, name) for name in (ALONE, *TARGETS)]),
            "method": ("method", [(METHOD[name], name) for name in METHODS]),
            "over": ("over", [(text, name) for name, text in OVER.items()]),
        }
        self.options = {name: [value for _, value in options] for name, (_, options) in choices.items()}
        self.set_trait("model", self.options["model"][0])
        self.set_trait("item", self.options["item"][0])
        drawn = {}
        for name, (text, options) in choices.items():
            drawn[name] = widgets.Dropdown(options=options, value=getattr(self, name), description=text)
            traitlets.link((drawn[name], "value"), (self, name))
        drawn["item"].layout.width = "46em"
        rows = (("model", "method", "over"), ("target", "contrast"))
        super().__init__([drawn["item"], *(widgets.HBox([drawn[name] for name in row]) for row in rows)])
        self.observe(self.refresh, list(choices))

    @traitlets.validate("model", "item", "method", "over", "target", "contrast")
    def _offered(self, proposal: dict[str, object]) -> str:
        name, value = str(proposal["trait"].name), str(proposal["value"])  # type: ignore[attr-defined]
        if value not in self.options[name]:
            raise traitlets.TraitError(f"there is no {name} {value!r}; choose from {', '.join(self.options[name])}")
        return value

    def render(self) -> str:
        """Attribute what is chosen, unless it was before, and lay it over the sound or the words."""
        key = (self.model, self.item, self.method, self.over, self.target, self.contrast)
        if key not in self._known:
            self._known[key] = self._attribute()
            self.computed += 1
        if (asked := (self.model, self.item)) not in self._heard:
            self._heard[asked] = ask([self.listeners[self.model]], [self.utterances[self.item]])[self.model][0]
        found, p = self._known[key], self._heard[asked]
        self.found, self.answer = found, EMOTIONS[int(p.argmax())]
        change = float(found.whole[0] - found.baseline[0])
        self.gap = abs(float(found.sums[0]) - change) / max(abs(change), 1e-9)
        self.strongest = strongest(found)
        if key not in self._views:
            u = self.utterances[self.item]
            heard = {f"{u.emotion} voice": u} | ({"neutral rendering": self.references[u.id]} if self.references else {})
            drawn = page.figure(figures.sound, found, answer=self.answer) if self.over == "mel" else overlay(found)
            text = f"<p><b>{self.model}</b> hears <b>{self.answer}</b> ({page.percent(float(p.max()))}). {accounts(found)}</p>"
            self._views[key] = page.players(heard) + page.Html(text) + drawn
        return self._views[key]

    def _attribute(self) -> Attribution:
        u = self.utterances[self.item]
        return attribute(
            self.listeners[self.model],
            [u],
            over=self.over,  # type: ignore[arg-type]
            method=self.method,  # type: ignore[arg-type]
            question=Emotion(self.target, against=None if self.contrast == ALONE else self.contrast),
            references=None if self.references is None else [self.references[u.id]],
            steps=STEPS if self.over == "mel" else None,
            window=WINDOW,
            progress=False,
        )


def label(utterance: Utterance) -> str:
    """Return how an utterance is offered: its words, and what words and voice say."""
    about = f"{utterance.lexical_emotion} words, " if utterance.lexical_emotion else ""
    return f"{utterance.text} ({about}{utterance.emotion} voice)"


def strongest(found: Attribution) -> tuple[str, float]:
    """Return the token, or over the log-mel the word, whose relevance is farthest from 0."""
    if found.over == "mel":
        word = max(by_word(found)[0], key=lambda w: abs(w.relevance))
        return word.text, word.relevance
    at = int(np.abs(found.values[0]).argmax())
    return found.places[0].pieces[at].strip(), float(found.values[0][at])
