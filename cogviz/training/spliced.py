"""Sentences that nobody said: the beginning of one utterance and the end of another, of one speaker in one tone, cut between words.

A language model that knows its training sentences finishes them from memory, whatever it hears. In a splice every second half is unforeseeable, so
that it must listen; and no scenario is known for it, so that it must say no more than the words hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogviz.audio import RATE
from cogviz.lime.sentences import Sentence
from cogviz.models.configuration import SAMPLES_PER_FRAME
from cogviz.utterance import Utterance

SHORTEST, LONGEST = 4, 14
"""Words of a splice."""

TRIES = 8


@dataclass(frozen=True)
class Splice:
    """Which utterances, which of their frames, and what is said then.

    Attributes:
        first, second: indices of the utterances. until, since: frames of the first before the cut, and of the second from the cut on.
    """

    first: int
    second: int
    until: int
    since: int
    sentence: Sentence

    def join(self, first: np.ndarray, second: np.ndarray, *, axis: int) -> np.ndarray:
        """Return the frames of the first utterance before the cut and those of the second behind it."""
        until, since = min(self.until, first.shape[axis]), min(self.since, second.shape[axis] - 1)
        return np.concatenate([first.take(range(until), axis), second.take(range(since, second.shape[axis]), axis)], axis)


class Splicer:
    """Finds partners for utterances.

    Args:
        utterances, pool: a dataset, and the indices of what may be used; words need times.
    """

    def __init__(self, utterances: Sequence[Utterance], pool: Sequence[int]) -> None:
        self.utterances = utterances
        self.partners: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for i in sorted(set(pool)):
            self.partners[self._group(utterances[i])].append(i)

    @staticmethod
    def _group(u: Utterance) -> tuple[object, ...]:
        return (u.speaker, u.emotion, u.intensity, u.lexical_emotion is None)

    def splice(self, index: int, draw: np.random.Generator) -> Splice | None:
        """Return the utterance with another's end; None where none is found that names a topic."""
        one, partners = self.utterances[index], self.partners[self._group(self.utterances[index])]
        for _ in range(TRIES):
            other = partners[int(draw.integers(len(partners)))]
            two = self.utterances[other]
            if two.sentence == one.sentence or len(one.words) < 3 or len(two.words) < 3:
                continue
            cut, resume = int(draw.integers(1, len(one.words))), int(draw.integers(1, len(two.words)))
            begin = [w.text for w in one.words[:cut]]
            end = [w.text for w in two.words[resume:]]
            begin[-1] = begin[-1].rstrip(",.;:!?")
            text = " ".join([*begin, *end])
            topics = [
                t for u, part in ((one, begin), (two, end)) if (t := str(u.extra.get("topic", ""))) and t.lower() in " ".join(part).lower()
            ]
            if not SHORTEST <= len(begin) + len(end) <= LONGEST or not topics:
                continue
            sentence = Sentence(
                id=f"{one.sentence}+{two.sentence}-{cut}-{resume}", text=text, kind="everyday", domain="", split="train", template="",
                topic=topics[0], emotion=None, readings={},
            )  # fmt: skip
            per_second = RATE / SAMPLES_PER_FRAME
            until = max(1, round(one.words[cut - 1].end * per_second))
            return Splice(index, other, until, int(two.words[resume].start * per_second), sentence)
        return None
