"""A listener of a few lines: anything that names an emotion can be measured. Lesson 13 shows this file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.models.fingerprint import fingerprint
from cogviz.models.listeners.naming import Naming
from cogviz.utterance import Utterance


class ByRule(Naming):
    """A `Listener` made of two functions: one names the emotion of a recording, the other that of words that are only read.

    `Naming` makes answers in words of the scores; a model that can speak has its own `listen`, `read` and `answer`.

    Args:
        name: what tables call it.
        hear: recording -> emotion. read: text -> emotion; None: "neutral", whatever is read.
        sure: the probability that the named emotion gets; the others share the rest.
    """

    def __init__(
        self,
        name: str,
        hear: Callable[[Utterance], str],
        read: Callable[[str], str] | None = None,
        *,
        sure: float = 0.94,
    ) -> None:
        self.name, self.sure = name, sure
        self.hear, self.text = hear, read or (lambda text: "neutral")

    @property
    def fingerprint(self) -> str:
        """Another rule, another fingerprint, so that no old answer is kept for it."""
        codes = [rule.__code__ for rule in (self.hear, self.text)]
        rules = [f"{c.co_code!r} {c.co_consts} {c.co_names}" for c in codes]
        return fingerprint(self.name, *rules)

    def scores(
        self,
        utterances: Sequence[Utterance],
        *,
        progress: bool = True,
    ) -> np.ndarray:
        """(N, 7) log p of the emotions of what is heard."""
        return self._scores([self.hear(u) for u in utterances])

    def read_scores(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions of what is read."""
        return self._scores([self.text(t) for t in texts])

    def _scores(self, named: Sequence[str]) -> np.ndarray:
        others = (1 - self.sure) / (len(EMOTIONS) - 1)
        p = np.full((len(named), len(EMOTIONS)), others)
        for row, name in zip(p, named, strict=True):
            row[EMOTIONS.index(name)] = self.sure
        return np.log(p)
