"""Recordings with planted concepts: what is where is known, so that what an analysis finds can be wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.probing.record import Recording
from cogviz.utterance import Utterance


def utterances(*, sentences: int = 14, speakers: int = 4, voices: int = 7) -> list[Utterance]:
    """Every sentence by every speaker in every voice; a sentence's word emotion is its number's."""
    return [
        Utterance(
            f"{s}-{p}-{v}", f"words of {s} so it is", EMOTIONS[v], f"speaker {p}", f"sentence {s}", "test", lexical_emotion=EMOTIONS[s % 7]
        )
        for s in range(sentences)
        for p in range(speakers)
        for v in range(voices)
    ]


def codes(said: list[Utterance]) -> dict[str, np.ndarray]:
    return {
        "voice": np.array([EMOTIONS.index(u.emotion) for u in said]),
        "words": np.array([EMOTIONS.index(u.lexical_emotion) for u in said]),
        "sentence": np.unique([u.sentence for u in said], return_inverse=True)[1],
        "speaker": np.unique([u.speaker for u in said], return_inverse=True)[1],
    }


def states(said: list[Utterance], *, width: int = 24, noise: float = 1.0, seed: int = 0, **strength: float) -> np.ndarray:
    """(n, width) noise with a random direction for each class of what is named, of so much strength."""
    draw = np.random.default_rng(seed)
    x = noise * draw.normal(size=(len(said), width))
    for name, much in strength.items():
        code = codes(said)[name]
        x += much * draw.normal(size=(code.max() + 1, width))[code]
    return x.astype(np.float32)


def recording(
    said: list[Utterance], sites: Mapping[str, np.ndarray], *, answers: np.ndarray | None = None, name: str = "planted"
) -> Recording:
    """A recording at the end of a passage; the model answers with `answers`, indices into `EMOTIONS`."""
    scores = None if answers is None else np.log(np.where(np.arange(7) == answers[:, None], 0.94, 0.01))
    return Recording(name, tuple(said), "naming", "end", ("instruction",), dict(sites), scores)
