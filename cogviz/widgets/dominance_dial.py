"""The dominance dial: words of one emotion, a voice of another, and a slider that says how strongly. Which of the two do the models follow?"""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import traitlets

from cogviz.emotions import EMOTIONS, emotion
from cogviz.evaluation import intensities
from cogviz.evaluation.asking import ask
from cogviz.evaluation.intensities import VOICES, neutral_voices, spoken_as
from cogviz.models.protocol import Listener
from cogviz.plotting import live, page, threshold
from cogviz.utterance import Utterance
from cogviz.widgets.panel import Panel, Rendered


class DominanceDial(Panel):
    """Turn up the emotion of a voice against words that say something else.

    Attributes:
        words: the emotion of the words, which chooses the sentence. voice: that of the voice. intensity: of the voice, one of the levels, 0 .. 1.5.
        answers: {listener: emotion}. probabilities: {listener: (7,)}, at this intensity.
        thresholds: {listener: intensity at which its answer first is the voice's emotion}: infinite: at none; NaN where words and voice agree.
        curves: what `plotting.threshold.dial` draws.

    Args:
        pool: recordings; used are those whose words carry an emotion and whose voice is neutral, one for each emotion of the words.
        listeners: who is asked. levels: the intensities.
    """

    words = traitlets.Unicode()
    voice = traitlets.Unicode("angry")
    intensity = traitlets.Float(1.0)
    answers = Rendered({})
    probabilities = Rendered({})
    thresholds = Rendered({})
    curves = Rendered(None, allow_none=True)

    def __init__(self, pool: Sequence[Utterance], listeners: Sequence[Listener], *, levels: Sequence[float] = intensities.LEVELS) -> None:
        self.sentences = {u.lexical_emotion: u for u in reversed(neutral_voices(pool)) if u.lexical_emotion}
        if not self.sentences:
            raise ValueError("the dial needs a neutral recording whose words carry an emotion; the conflict part of data_samples has some")
        self.listeners, self.levels = list(listeners), tuple(float(k) for k in levels)
        self._known: dict[tuple[str, str], tuple[list[Utterance], dict[str, np.ndarray]]] = {}
        self._views: dict[tuple[str, str, float], str] = {}
        wanted = [e for e in VOICES if e in self.sentences]
        words = widgets.Dropdown(options=wanted, description="words")
        voice = widgets.Dropdown(options=VOICES, value=self.voice, description="voice")
        slider = widgets.SelectionSlider(options=[(f"{k:g}", k) for k in self.levels], value=self._nearest(1.0), description="intensity")
        self.set_trait("words", words.value)
        self.intensity = slider.value
        for control, name in ((words, "words"), (voice, "voice"), (slider, "intensity")):
            traitlets.link((control, "value"), (self, name))
        super().__init__([widgets.HBox([words, voice]), slider])
        self.observe(self.refresh, ["words", "voice", "intensity"])

    @traitlets.validate("words")
    def _spoken(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in self.sentences:
            raise traitlets.TraitError(f"no sentence has {proposal['value']!r} words; there are {', '.join(map(str, self.sentences))}")
        return proposal["value"]

    @traitlets.validate("voice")
    def _sounding(self, proposal: dict[str, str]) -> str:
        if emotion(proposal["value"]).name not in VOICES:
            raise traitlets.TraitError("a neutral voice has no intensity to turn up; choose another emotion")
        return proposal["value"]

    @traitlets.validate("intensity")
    def _on_the_dial(self, proposal: dict[str, float]) -> float:
        return self._nearest(proposal["value"])

    def _nearest(self, k: float) -> float:
        return min(self.levels, key=lambda level: abs(level - k))

    def render(self) -> str:
        """Render the sentence at every level, ask the listeners once, and show the level where the dial stands."""
        key = (self.words, self.voice)
        if key not in self._known:
            made = intensities.render(
                [spoken_as(self.sentences[self.words], self.voice)],
                list(self.sentences.values()),
                levels=self.levels,
                jobs=1,
                progress=False,
            )
            self._known[key] = made, ask(self.listeners, made)
        made, found = self._known[key]
        at = self.levels.index(self.intensity)
        self.curves = intensities.curves(found, self.levels, words=self.words, voice=self.voice)
        self.thresholds = {str(name): float(part.threshold.iloc[0]) for name, part in self.curves.groupby("model", sort=False)}
        self.probabilities = {name: p[at] for name, p in found.items()}
        self.answers = {name: EMOTIONS[int(p.argmax())] for name, p in self.probabilities.items()}
        if (view := (*key, self.intensity)) not in self._views:
            loudest = max(float(np.abs(u.samples).max()) for u in made)
            heard = page.players({self.voice: made[at]}, loudest=loudest)
            bars = live.bars({name: p.tolist() for name, p in self.probabilities.items()}, voice=self.voice, words=self.words)
            drawn = page.figure(
                threshold.dial, self.curves, text=made[at].text, words=self.words, voice=self.voice, intensity=self.intensity
            )
            self._views[view] = heard + bars + drawn
        return self._views[view]
