"""Short sounds with labels for tests of what looks inside a listener: the same sentence in several tones, several sentences by several speakers."""

from __future__ import annotations

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.utterance import Utterance


def sound(seed: int, seconds: float = 1.0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000))
    return (0.2 * np.sin(time / draw.uniform(5, 20)) + 0.02 * draw.normal(size=len(time))).astype(np.float32)


def cell(sentence: int, tones: tuple[str, ...] = ("happy", "sad", "angry"), speaker: str = "s", seconds: float = 1.0) -> list[Utterance]:
    """One sentence in several tones; its words carry an emotion by its number."""
    return [
        Utterance(
            f"{sentence}-{speaker}-{tone}",
            "So it is.",
            tone,
            speaker,
            f"sentence {sentence}",
            "test",
            waveform=sound(97 * sentence + k, seconds),
            lexical_emotion=EMOTIONS[sentence % len(EMOTIONS)],
        )
        for k, tone in enumerate(tones)
    ]
