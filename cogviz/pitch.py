"""F0 and periodicity of a recording, frame by frame, fast enough to be computed for everything that is heard.

The autocorrelation method of Boersma (1993, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled
sound"), as in Praat: candidates are peaks of the window-corrected autocorrelation, and the path through them pays for octave jumps. How it
compares with WORLD's estimators, of which `lime.world` uses one to take speech apart, is in docs/decisions.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cogviz.audio import RATE

FLOOR, CEILING = 65.0, 700.0
"""Hz; the ceiling leaves room for a frightened child."""

VOICED = 0.5
"""Periodicity from which a frame counts as voiced (Praat's .45, a little stricter: noise must not have a pitch)."""

QUIET_DB = 35.0
"""A frame that is so far below the loudest has no voice."""

_WINDOW = 768  # samples, 48 ms: three periods of the lowest voice
_FFT = 2048
_CANDIDATES = 5
_OCTAVE = 0.02  # a lower candidate must be better by this an octave
_JUMP = 0.35  # an octave between neighbours costs as much periodicity


@dataclass(frozen=True, eq=False)
class Pitch:
    """F0 over time.

    Attributes:
        hz: (T,) float, 0 where unvoiced.
        periodicity: (T,) height of the peak, 0 (noise or silence) .. 1 (a pure tone), voiced or not.
    """

    hz: np.ndarray
    periodicity: np.ndarray

    @property
    def voiced(self) -> np.ndarray:
        """(T,) True where there is a voice."""
        return self.hz > 0

    @property
    def semitones(self) -> np.ndarray:
        """(T,) above 100 Hz; 0 where unvoiced."""
        return 12 * np.log2(np.where(self.voiced, self.hz, 100.0) / 100)


def pitch(samples: np.ndarray, *, hop: int = RATE // 50, frames: int | None = None) -> Pitch:
    """Return F0 at the middle of every `hop` samples.

    Args:
        samples: (n,) float, 16 kHz. hop: samples between frames. frames: how many; None: as many as the recording has, the last begun one too.
    """
    frames = -(-len(samples) // hop) if frames is None else frames
    around = windows(samples, _WINDOW, hop, frames)
    around = around - around.mean(axis=1, keepdims=True)
    power = np.square(around).mean(axis=1)
    first, last = int(RATE / CEILING), int(np.ceil(RATE / FLOOR))
    spectrum = np.square(np.abs(np.fft.rfft(around * _hann(), _FFT, axis=1)))
    correlation = np.fft.irfft(spectrum, axis=1)[:, : last + 2]
    correlation = correlation / np.maximum(correlation[:, :1], 1e-12) / _own(last + 2)
    inner = correlation[:, first : last + 1]
    peak = (inner > correlation[:, first - 1 : last]) & (inner >= correlation[:, first + 1 : last + 2])
    lags = np.arange(first, last + 1)
    height = np.where(peak, np.minimum(inner, 1.0) - _OCTAVE * np.log2(lags / first), -np.inf)
    best = np.argsort(-height, axis=1)[:, :_CANDIDATES]
    strength = np.take_along_axis(height, best, axis=1)
    place = _path(np.where(np.isfinite(strength), strength, -1.0), np.log2(lags[best]))
    chosen = np.take_along_axis(best, place[:, None], axis=1)[:, 0]
    found = np.take_along_axis(peak, chosen[:, None], axis=1)[:, 0]
    lag, tall = _refined(correlation, lags[chosen])
    periodicity = np.where(found & (power > 1e-10), np.clip(tall, 0.0, 1.0), 0.0)
    loud = power > max(power.max(initial=0.0) * 10 ** (-QUIET_DB / 10), 1e-10)
    return Pitch(np.where((periodicity > VOICED) & loud, RATE / lag, 0.0), periodicity)


def windows(samples: np.ndarray, width: int, hop: int, frames: int) -> np.ndarray:
    """(frames, width) the samples around the middle of every hop, zeros beyond the ends."""
    padded = np.zeros(width + hop * frames)
    before = (width - hop) // 2
    kept = min(len(samples), hop * frames + width - before)
    padded[before : before + kept] = samples[:kept]
    return np.lib.stride_tricks.sliding_window_view(padded, width)[::hop][:frames]


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    return np.hanning(_WINDOW + 2)[1:-1]


@lru_cache(maxsize=2)
def _own(lags: int) -> np.ndarray:
    """The window's own autocorrelation, by which that of the sound is divided."""
    found = np.fft.irfft(np.square(np.abs(np.fft.rfft(_hann(), _FFT))))[:lags]
    return found / found[0]


def _path(strength: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """(T,) which candidate of each frame: the best sum of strengths less what the jumps between neighbours cost (Viterbi 1967)."""
    total, came = strength[0], np.zeros(strength.shape, dtype=int)
    for t in range(1, len(strength)):
        reach = total[:, None] - _JUMP * np.abs(octaves[t - 1][:, None] - octaves[t][None])
        came[t] = reach.argmax(axis=0)
        total = reach.max(axis=0) + strength[t]
    place = np.zeros(len(strength), dtype=int)
    place[-1] = int(total.argmax())
    for t in range(len(strength) - 1, 0, -1):
        place[t - 1] = came[t, place[t]]
    return place


def _refined(correlation: np.ndarray, lag: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lag and height of each peak by the parabola through it and its neighbours."""
    row = np.arange(len(lag))
    left, middle, right = (correlation[row, lag + d] for d in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.where(bend < -1e-9, 0.5 * (left - right) / np.where(bend < -1e-9, bend, 1.0), 0.0).clip(-0.5, 0.5)
    return lag + shift, middle - 0.25 * (left - right) * shift
