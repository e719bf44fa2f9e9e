"""WORLD, the vocoder: a waveform as F0, spectral envelope and aperiodicity, and back.

Source: Morise, Yokomori & Ozawa 2016, "WORLD: a vocoder-based high-quality speech synthesis system for real-time applications",
through the `pyworld` package. Every array is checked before and after: WORLD answers empty or non-finite input with a crash, a
`MemoryError` or silent NaN.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from cogviz.utterance import Word

FRAME = 0.005
"""Seconds between frames."""

F0_FLOOR, F0_CEILING = 65.0, 700.0
"""Hz; the ceiling leaves room for a frightened child."""


class VocoderError(RuntimeError):
    """Raised where WORLD got or gave something that is not speech; the message says what."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """A waveform taken apart.

    Attributes:
        f0: (T,) Hz, 0 where unvoiced.
        envelope: (T, F) power spectrum, F = fft size / 2 + 1.
        aperiodicity: (T, F) share of noise, 0 (periodic) .. 1 (noise).
        rate: samples a second.
        words: word times in seconds.
    """

    f0: np.ndarray
    envelope: np.ndarray
    aperiodicity: np.ndarray
    rate: int
    words: tuple[Word, ...] = ()

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.f0) * FRAME


def _need_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise VocoderError(f"{name} holds NaN or infinity")


def _pyworld() -> ModuleType:
    with warnings.catch_warnings():  # pyworld 0.3.5 imports pkg_resources, which is deprecated
        warnings.simplefilter("ignore")
        import pyworld

    return pyworld


def analyse(samples: np.ndarray, rate: int, words: tuple[Word, ...] = (), *, f0_near: float | None = None) -> Analysis:
    """Take a mono waveform (float, -1 .. 1) apart; raises `VocoderError` for one that is too short, silent or not finite.

    Args:
        f0_near: Hz, the speaker's usual F0 where it is known: the search then stays within 1.2 octaves of it, which is faster and makes
            fewer octave errors.
    """
    pyworld = _pyworld()
    samples = np.ascontiguousarray(samples, dtype=np.float64)
    if samples.ndim != 1 or len(samples) < rate * 0.05:
        raise VocoderError(f"needs a mono waveform of 50 ms or more, got shape {samples.shape} at {rate} Hz")
    _need_finite("the waveform", samples)
    if np.abs(samples).max() < 1e-5:
        raise VocoderError("the waveform is silent")
    low, high = (F0_FLOOR, F0_CEILING) if f0_near is None else (max(F0_FLOOR, f0_near / 2.3), min(F0_CEILING, f0_near * 2.3))
    f0, times = pyworld.harvest(samples, rate, f0_floor=low, f0_ceil=high, frame_period=FRAME * 1000)
    f0 = np.nan_to_num(f0)
    envelope = pyworld.cheaptrick(samples, f0, times, rate)
    aperiodicity = pyworld.d4c(samples, f0, times, rate)
    _need_finite("the spectral envelope", envelope)
    _need_finite("the aperiodicity", aperiodicity)
    if not (f0 > 0).any():
        raise VocoderError("no voiced sound was found")
    return Analysis(f0=f0, envelope=np.maximum(envelope, 1e-16), aperiodicity=aperiodicity, rate=rate, words=words)


def synthesize(analysis: Analysis) -> np.ndarray:
    """Put an `Analysis` together again: float32 (samples,); raises `VocoderError` where the result is not finite."""
    pyworld = _pyworld()
    for name in ("f0", "envelope", "aperiodicity"):
        array = getattr(analysis, name)
        if not len(array):
            raise VocoderError(f"{name} is empty")
        _need_finite(name, array)
    samples = pyworld.synthesize(
        np.ascontiguousarray(analysis.f0),
        np.ascontiguousarray(analysis.envelope),
        np.ascontiguousarray(analysis.aperiodicity),
        analysis.rate,
        FRAME * 1000,
    )
    _need_finite("the synthesized waveform", samples)
    return samples.astype(np.float32)


def move(analysis: Analysis, *, semitones: float = 0.0, formants: float = 1.0, rate: int | None = None) -> Analysis:
    """Make another speaker: F0 moved by `semitones`, the spectral envelope stretched along frequency by `formants` (1.1: shorter tract).

    With `rate` the spectra are also taken to another sample rate: what a longer tract pulls down into the band is then there, not made up.
    """
    f0 = np.where(analysis.f0 > 0, np.clip(analysis.f0 * 2 ** (semitones / 12), F0_FLOOR, F0_CEILING), 0.0)
    rate = rate or analysis.rate
    if formants == 1.0 and rate == analysis.rate:
        return replace(analysis, f0=f0)
    bins = analysis.envelope.shape[1]
    source = np.minimum(np.arange(bins) * (rate / analysis.rate / formants), bins - 1)
    low = np.minimum(source.astype(int), bins - 2)
    part = source - low

    def warp(spectrum: np.ndarray) -> np.ndarray:
        return spectrum[:, low] * (1 - part) + spectrum[:, low + 1] * part

    envelope, aperiodicity = np.exp(warp(np.log(analysis.envelope))), warp(analysis.aperiodicity)
    return replace(analysis, f0=f0, envelope=envelope, aperiodicity=aperiodicity, rate=rate)
