"""Listeners that name an emotion and say nothing more: the yardsticks of pure reading and pure hearing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from cogviz.eips import check_route
from cogviz.emotions import EMOTIONS
from cogviz.models.answering import by_emotion
from cogviz.models.listeners.prompts import LABELS, NAMED
from cogviz.models.protocol import Heard, written
from cogviz.utterance import Utterance


class Naming(ABC):
    """A `Listener` whose every answer, on either route and to every question, is "The voice sounds ..." with its likeliest emotion."""

    name: str

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """What tells these weights from others."""

    @abstractmethod
    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions."""

    @abstractmethod
    def read_scores(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions where words are read and nothing is heard."""

    def listen(self, utterances: Sequence[Utterance], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """Name the emotion of each utterance; both routes are the same."""
        return _named(utterances, self.scores(utterances, progress=progress), check_route(route))

    def read(self, texts: Sequence[str], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """Name the emotion of words that are read while nothing is heard."""
        return _named([written(text) for text in texts], self.read_scores(texts, progress=progress), check_route(route))

    def answer(self, utterances: Sequence[Utterance], question: str | Sequence[str], *, progress: bool = True) -> list[str]:
        """Name the emotion, whatever the question."""
        return [heard.text for heard in self.listen(utterances, progress=progress)]


def _named(utterances: Sequence[Utterance], scores: np.ndarray, route: str) -> list[Heard]:
    best = scores.argmax(axis=1)
    return [
        Heard(u, route, f"{NAMED} {LABELS[i]}.", None, EMOTIONS[i], scores=by_emotion(row))
        for u, i, row in zip(utterances, best, scores, strict=True)
    ]
