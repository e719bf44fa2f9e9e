"""Utterance: one recording with its words, tone, speaker and sentence. The unit that every analysis takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cogviz import audio
from cogviz.emotions import congruence


@dataclass(frozen=True)
class Word:
    """A word and when it is spoken, in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Utterance:
    """One recording and what is known about it.

    Attributes:
        id: unique within its corpus.
        text: the words that are said; "" where unknown.
        emotion: the acoustic emotion, what the tone says; None where unknown.
        intensity: k, 0 (neutral) .. 1.5 (strong).
        speaker, sentence: ids; the clusters of every interval and the groups of every fold.
        corpus: where it comes from ("lime", "ravdess", "emodb", ...).
        path: the sound file; or `waveform`: samples that are already in memory (float32, mono, 16 kHz).
        lexical_emotion: what the words alone say; None where they say nothing or nobody knows.
        words: word times, where known.
        split: "train", "validation", "test", "test_slots" or "".
        enrolment: a neutral recording of the same speaker, where one is given: the voice is then heard relative to it (see `enrol`).
        extra: further columns of the corpus (take, template, synthesizer, ...).
    """

    id: str
    text: str
    emotion: str | None
    speaker: str
    sentence: str
    corpus: str
    intensity: float = 1.0
    path: Path | None = None
    waveform: np.ndarray | None = None
    lexical_emotion: str | None = None
    words: tuple[Word, ...] = ()
    split: str = ""
    enrolment: Utterance | None = None
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def samples(self) -> np.ndarray:
        """The waveform, (samples,) float32 at 16 kHz; read from `path` each time, so that a large corpus stays on disk."""
        if self.waveform is not None:
            return self.waveform
        if self.path is None:
            raise audio.AudioError(f"utterance {self.id} has neither a path nor a waveform")
        return audio.read(self.path).samples

    @property
    def congruence(self) -> str | None:
        """Return congruent, conflict or None, as `emotions.congruence` says."""
        return congruence(self.lexical_emotion, self.emotion)


def cells(utterances: Iterable[Utterance]) -> list[dict[str, Utterance]]:
    """Group utterances into cells: one sentence by one speaker, {emotion: variant}; the most intense variant of an emotion wins."""
    grouped: dict[tuple[str, str, str], dict[str, Utterance]] = defaultdict(dict)
    for u in utterances:
        if u.emotion is None:
            continue
        cell = grouped[u.corpus, u.speaker, u.sentence]
        if u.emotion not in cell or u.intensity > cell[u.emotion].intensity:
            cell[u.emotion] = u
    return list(grouped.values())


def enrol(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Give each utterance the first neutral recording of its speaker that is of another sentence; an utterance without one is left out.

    Raises:
        ValueError: nobody has one.
    """
    neutral: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        if u.emotion == "neutral":
            neutral[u.speaker].append(u)
    found = []
    for u in utterances:
        if (other := next((n for n in neutral[u.speaker] if n.sentence != u.sentence), None)) is not None:
            found.append(replace(u, enrolment=other))
    if not found:
        raise ValueError("no speaker has a neutral recording of another sentence to be enrolled with")
    return found
