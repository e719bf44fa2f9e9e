"""A listener for the tests of widgets that are about the widget and not about what is heard: its answer follows how loud the sound is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cogviz.audio import level_db
from cogviz.emotions import EMOTIONS
from cogviz.models.protocol import Heard, heard
from cogviz.utterance import Utterance


class LoudIsAngry:
    """Hears anger above a level in dBFS, below it happiness."""

    def __init__(self, name: str = "loud", *, above: float = -25.0) -> None:
        self.name, self.above, self.fingerprint, self.asked = name, above, name, 0

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """Log probabilities of a logistic curve over level."""
        self.asked += len(utterances)
        angry = np.array([1 / (1 + np.exp(self.above - level_db(u.samples))) for u in utterances])
        p = np.full((len(utterances), len(EMOTIONS)), 1e-4)
        p[:, EMOTIONS.index("angry")] += angry
        p[:, EMOTIONS.index("happy")] += 1 - angry
        return np.log(p / p.sum(axis=1, keepdims=True))

    def listen(self, utterances: Sequence[Utterance], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """The same reply to all."""
        return [heard(u, "direct", "<response>I hear you.</response>") for u in utterances]

    def read(self, texts: Sequence[str], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """Reads nothing."""
        raise NotImplementedError

    def answer(self, utterances: Sequence[Utterance], question: str | Sequence[str], *, progress: bool = True) -> list[str]:
        """Says nothing."""
        raise NotImplementedError
