"""The emotion morph: a neutral recording, a slider for each factor of the voice, and the sound that comes of it, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import ipywidgets as widgets
import numpy as np
import traitlets

from cogviz import audio
from cogviz.emotions import EMOTIONS, emotion, intensity
from cogviz.evaluation.asking import ask
from cogviz.lime import prosody, world
from cogviz.models.protocol import Listener
from cogviz.plotting import hearing, live, page
from cogviz.utterance import Utterance
from cogviz.widgets.panel import Panel, Rendered

LABELS: dict[str, str] = {
    "f0_level": "pitch",
    "f0_contour": "melody",
    "rate": "tempo",
    "energy": "loudness",
    "voice_quality": "voice quality",
}
"""What a reader calls the factors of `prosody.FACTORS`."""

STRONGEST, STEP = 1.5, 0.05


class EmotionMorph(Panel):
    """Give a neutral voice the pitch, the melody, the tempo, the loudness and the quality of an emotion, each as strongly as you like.

    Attributes:
        emotion: whose way of speaking the sliders give.
        f0_level, f0_contour, rate, energy, voice_quality: intensity k of each factor: 0 neutral, 1 what actors call normal, 1.5 strong.
        asking: whether the listeners answer whenever the sound has changed. playing: whether it is played at once.
        samples: (n,) float32 at `audio.RATE`, the sound. values: (P,) the parameters that made it.
        answers: {listener: emotion}, {} while nobody is asked. probabilities: {listener: (7,)}, likewise.

    Args:
        neutral: a recording without emotion. listeners: who is asked.
    """

    emotion = traitlets.Unicode("angry")
    f0_level = traitlets.Float(0.0)
    f0_contour = traitlets.Float(0.0)
    rate = traitlets.Float(0.0)
    energy = traitlets.Float(0.0)
    voice_quality = traitlets.Float(0.0)
    asking = traitlets.Bool(False)
    playing = traitlets.Bool(False)
    samples = Rendered(None, allow_none=True)
    values = Rendered(None, allow_none=True)
    answers = Rendered({})
    probabilities = Rendered({})

    def __init__(self, neutral: Utterance, listeners: Sequence[Listener] = ()) -> None:
        self.neutral, self.listeners = neutral, list(listeners)
        self._analysis: world.Analysis | None = None
        self._before: dict[str, np.ndarray] = {}
        pick = widgets.Dropdown(options=[e for e in EMOTIONS if e != "neutral"], value=self.emotion, description="towards")
        sliders = {name: widgets.FloatSlider(min=0, max=STRONGEST, step=STEP, description=label) for name, label in LABELS.items()}
        off, full = widgets.Button(description="all to 0"), widgets.Button(description="all to 1.5")
        ask_box = widgets.Checkbox(description="the models answer", disabled=not self.listeners, indent=False)
        play_box = widgets.Checkbox(description="play at once", indent=False)
        for control, name in ((pick, "emotion"), (ask_box, "asking"), (play_box, "playing"), *((s, n) for n, s in sliders.items())):
            traitlets.link((control, "value"), (self, name))
        off.on_click(lambda _: self.all_to(0.0))
        full.on_click(lambda _: self.all_to(STRONGEST))
        super().__init__([widgets.HBox([pick, off, full]), *sliders.values(), widgets.HBox([play_box, ask_box])])
        self.observe(self.refresh, ["emotion", "asking", *LABELS])

    @traitlets.validate(*LABELS)
    def _within(self, proposal: dict[str, float]) -> float:
        return intensity(proposal["value"])

    @traitlets.validate("emotion")
    def _named(self, proposal: dict[str, str]) -> str:
        return emotion(proposal["value"]).name

    def all_to(self, k: float) -> None:
        """Set every slider to an intensity."""
        with self.hold_trait_notifications():
            for name in LABELS:
                setattr(self, name, k)

    def strengths(self) -> dict[str, float]:
        """Return {factor: intensity} as the sliders stand."""
        return {name: getattr(self, name) for name in prosody.FACTORS}

    def render(self) -> str:
        """Render the sound, draw it, and ask the listeners where they are to answer."""
        if self._analysis is None:
            self._analysis = world.analyse(audio.without_silence(self.neutral.samples), audio.RATE)
            self._before = hearing.traces(prosody.render(self._analysis, np.zeros(len(prosody.PARAMETERS))).samples)
        each = [prosody.delta(self.emotion, k, variation=0.0, factors=[factor]) for factor, k in self.strengths().items()]
        values = np.sum(each, axis=0)  # the factors are switches of different parameters
        self.values = values
        self.samples = prosody.render(self._analysis, values, seed=self.neutral.id).samples
        now = replace(self.neutral, id=f"{self.neutral.id}#morph", emotion=None, words=(), path=None, waveform=self.samples)
        drawn = live.traces(
            self._before,
            hearing.traces(self.samples),
            color=emotion(self.emotion).color,
            seconds=max(len(self.samples) / audio.RATE, len(self._before["pitch"]) * world.FRAME),
            units={"pitch": "Hz", "loudness": "dBFS"},
            frame=world.FRAME,
        )
        self.probabilities = ask(self.listeners, [now]) if self.asking and self.listeners else {}
        self.answers = {name: EMOTIONS[int(p[0].argmax())] for name, p in self.probabilities.items()}
        bars = live.bars({name: p[0].tolist() for name, p in self.probabilities.items()}) if self.probabilities else ""
        return said(self.emotion, values) + page.players({"as it sounds now": now}, loudest=0.98, autoplay=self.playing) + drawn + bars


def said(name: str, values: np.ndarray) -> str:
    """Say in numbers what the sliders change, the main parameter of each factor."""
    value: Mapping[str, float] = dict(zip(prosody.PARAMETERS, values, strict=True))
    facts = (
        f"pitch {value['f0_level']:+.1f} semitones",
        f"pitch range × {2 ** value['f0_range']:.2f}",
        f"duration × {2 ** value['duration']:.2f}",
        f"loudness {value['level']:+.1f} dB",
        f"energy around 2.7 kHz {value['band_2320']:+.1f} dB",
    )
    return f"<p><b>Towards {name}</b>: {' · '.join(facts)}</p>".replace("-", "−")
