"""What the figures of speech draw: a recording taken apart into samples, F0 and level, once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cogviz.audio import RATE, level_db
from cogviz.emotions import EMOTIONS, emotion
from cogviz.lime import world
from cogviz.utterance import Utterance, Word

HOP = 160  # samples, 10 ms
SILENCE = 22.0  # dB under the louder quarter: what is quieter is no speech
MARGIN = 0.05  # seconds kept before the first and after the last sound


@dataclass(frozen=True, eq=False)
class Heard:
    """A variant taken apart: samples (N,) and words from the first to the last sound, F0 in Hz (T,), NaN where unvoiced, level in dBFS."""

    utterance: Utterance
    samples: np.ndarray
    words: tuple[Word, ...]
    f0: np.ndarray
    level: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    @property
    def median_f0(self) -> float:
        return float(np.nanmedian(self.f0)) if np.isfinite(self.f0).any() else float("nan")


def listen(variants: dict[str, Utterance]) -> dict[str, Heard]:
    """Analyse the variants, in the house order of emotions; raises `UnknownEmotion`, and ValueError where there is none."""
    if not variants:
        raise ValueError("nothing to draw: the cell has no variants")
    return {name: take_apart(variants[name]) for name in sorted(variants, key=lambda name: EMOTIONS.index(emotion(name).name))}


@lru_cache(maxsize=28)  # a report draws the same cell twice, and the analysis takes most of the time
def take_apart(utterance: Utterance) -> Heard:
    """Cut the silence at the edges off one recording and measure F0 and level."""
    samples = np.asarray(utterance.samples, dtype=np.float32)
    power = levels(samples, window=1600)
    first, last = np.flatnonzero(power >= typical(power) - SILENCE)[[0, -1]] * HOP / RATE
    if utterance.words:
        first, last = min(first, utterance.words[0].start), max(last, utterance.words[-1].end)
    start, stop = max(first - MARGIN, 0.0), min(last + MARGIN, len(samples) / RATE)
    samples = samples[int(start * RATE) : int(np.ceil(stop * RATE))]
    words = tuple(replace(w, start=max(w.start - start, 0.0), end=w.end - start) for w in utterance.words)
    try:
        f0 = world.analyse(samples, RATE).f0
    except world.VocoderError:  # whispered or too short: there is no F0 to draw
        f0 = np.zeros(0)
    # The tracker invents a pitch in room noise and jumps by octaves; the same bounds as in `cogviz.lime.measure`.
    at = np.arange(len(f0)) * world.FRAME * RATE / HOP
    power = levels(samples, window=400)
    spoken = (f0 > 0) & (np.interp(at, np.arange(len(power)), power) > typical(power) - SILENCE)
    if spoken.any():
        spoken &= np.abs(12 * np.log2(np.where(spoken, f0, 1.0) / np.median(f0[spoken]))) < 14
    return Heard(utterance, samples, words, np.where(spoken, f0, np.nan), level_db(samples))


def quick_f0(samples: np.ndarray) -> np.ndarray:
    """F0 in Hz (T,) every `world.FRAME` seconds, 0 where unvoiced, by DIO: 15 times faster than `world.analyse`, which finds more of the voice."""
    samples = np.ascontiguousarray(samples, dtype=np.float64)
    f0, _ = world._pyworld().dio(samples, RATE, f0_floor=world.F0_FLOOR, f0_ceil=world.F0_CEILING, frame_period=world.FRAME * 1000)
    return np.nan_to_num(f0)


def traces(samples: np.ndarray) -> dict[str, np.ndarray]:
    """Return pitch (Hz, NaN where unvoiced) and loudness (dBFS, NaN in silence) of a sound, every `world.FRAME` seconds, quickly."""
    f0 = quick_f0(samples)
    level = levels(samples, window=800)
    level = np.interp(np.arange(len(f0)) * world.FRAME * RATE / HOP, np.arange(len(level)), level)
    quiet = level < typical(level) - SILENCE
    return {"pitch": np.where(quiet | (f0 <= 0), np.nan, f0), "loudness": np.where(quiet, np.nan, level)}


def typical(power: np.ndarray) -> float:
    """Level of the louder quarter of the frames: a click or one shouted vowel does not move it."""
    return float(np.percentile(power, 75))


def levels(samples: np.ndarray, *, window: int) -> np.ndarray:
    """Level in dBFS of windows of `window` samples every 10 ms."""
    import librosa

    return 20 * np.log10(np.maximum(librosa.feature.rms(y=samples, frame_length=window, hop_length=HOP)[0], 1e-6))


def title(heard: dict[str, Heard]) -> str:
    """The sentence in quotes and who says it."""
    utterances = [h.utterance for h in heard.values()]
    texts = list(dict.fromkeys(u.text for u in utterances if u.text))
    speakers = ", ".join(dict.fromkeys(u.speaker for u in utterances if u.speaker))
    sentence = " / ".join(f"“{text}”" for text in texts) or "Words unknown"
    return f"{sentence} — speaker {speakers}" if speakers else sentence


def count(heard: dict[str, Heard]) -> str:
    """Say how many emotions there are, in words."""
    number = ("no", "one", "two", "three", "four", "five", "six", "seven")[len(heard)]
    return f"{number} emotion{'s' if len(heard) > 1 else ''}"
