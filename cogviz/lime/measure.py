"""What prosody changes, measured in a recording: the same parameters as the rule table, as absolute values.

The calibration (`benchmarks/calibrate_prosody.py`) subtracts a speaker's neutral reading from an emotional one and writes the table.
"""

from __future__ import annotations

import itertools

import numpy as np

from cogviz.lime.prosody import BAND_EDGES, NOISE_EDGES
from cogviz.lime.world import FRAME, Analysis

_EDGE = 50  # voiced frames, 250 ms
_BELOW_LOUD = 35.0  # dB under the loud frames: what is quieter is silence


def measure(analysis: Analysis) -> dict[str, float]:
    """Return every parameter of `prosody.PARAMETERS` in absolute units (F0 in semitones above 100 Hz, level in dB, ...)."""
    power = 10 * np.log10(analysis.envelope.sum(axis=1) + 1e-16)
    speech = power > np.percentile(power, 95) - _BELOW_LOUD
    first, last = np.flatnonzero(speech)[[0, -1]]
    inside = slice(first, last + 1)
    f0, power, speech = analysis.f0[inside], power[inside], speech[inside]
    envelope, noise = analysis.envelope[inside], analysis.aperiodicity[inside]
    semitones = 12 * np.log2(np.where(f0 > 0, f0, 100.0) / 100)
    middle = np.median(semitones[f0 > 0])
    at = np.flatnonzero((f0 > 0) & (np.abs(semitones - middle) < 14))  # octave errors of the tracker are left out
    semitones = semitones[at]
    fast = []
    for run in np.split(semitones, np.flatnonzero(np.diff(at) > 1) + 1):
        if len(run) >= 15:
            smooth = np.convolve(np.pad(run, 10, mode="edge"), np.ones(21) / 21, "valid")
            fast.append((run - smooth)[2:-2])
    voiced = envelope[at]
    total = voiced.sum(axis=1).mean()
    hz = np.linspace(0, analysis.rate / 2, envelope.shape[1])
    unvoiced = np.setdiff1d(np.flatnonzero(speech), np.flatnonzero(f0 > 0))
    values = {
        "f0_level": float(np.median(semitones)),
        "f0_range": float(np.log2(max(np.percentile(semitones, 90) - np.percentile(semitones, 10), 0.3))),
        "f0_initial": float(np.median(semitones[:_EDGE]) - np.median(semitones)),
        "f0_final": float(np.median(semitones[-_EDGE:]) - np.median(semitones)),
        "duration": float(np.log2(speech.sum() * FRAME)),
        "pause": float((~speech).sum() * FRAME),
        "level": float(10 * np.log10(np.mean(10 ** (power / 10)))),
        "dynamics": float(np.percentile(power[speech], 95) - np.median(power[speech])),
        "level_slope": float(np.polyfit(at / len(f0), power[at], 1)[0]),
        "micro": float(np.log2(max(np.sqrt(np.mean(np.concatenate(fast) ** 2)), 0.02))) if fast else float("nan"),
        "unvoiced": float(10 * np.log10(envelope[unvoiced].sum(axis=1).mean() / total)) if len(unvoiced) > 5 else float("nan"),
    }
    for low, high in itertools.pairwise(BAND_EDGES):
        values[f"band_{low}"] = float(10 * np.log10(voiced[:, (hz >= low) & (hz < high)].sum(axis=1).mean() / total + 1e-12))
    for low, high in itertools.pairwise(NOISE_EDGES):
        share = noise[at][:, (hz >= low) & (hz < high)].mean(axis=1)
        values[f"noise_{low}"] = float(np.mean(20 * np.log10(np.clip(share, 1e-3, 0.999))))
    return values
