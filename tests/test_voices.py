"""Voices: speakers that differ audibly, word times that are right, the same samples everywhere, clear errors."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

import numpy as np
import parselmouth
import pytest
from scipy.fft import dct

from cogviz.lime import synthesizers
from cogviz.lime.voices import PEAK, Speech, Voice, VoiceError, move, speak, voices

SENTENCE = "I never imagined, of all things, that the project would end like this."
ONE_OF_EACH = [voices(synthesizer="espeak")[0].id, voices(synthesizer="neural")[0].id]


@lru_cache(maxsize=64)
def spoken(voice: str, text: str = SENTENCE) -> Speech:
    return speak(text, voice)


def median_f0(speech: Speech) -> float:
    pitch = parselmouth.Sound(speech.samples.astype(float), speech.rate).to_pitch_ac(pitch_floor=60, pitch_ceiling=450)
    frequency = pitch.selected_array["frequency"]
    return float(np.median(frequency[frequency > 0]))


def timbre(speech: Speech) -> np.ndarray:
    """Mean of cepstral coefficients 1 .. 12 (dB) of 24 mel bands below 8 kHz, over the louder half of the frames: (12,)."""
    size = round(0.032 * speech.rate)
    frames = np.lib.stride_tricks.sliding_window_view(speech.samples, size)[:: size // 2] * np.hanning(size)
    frames = frames[np.argsort((frames**2).sum(1))[len(frames) // 2 :]]
    power = np.abs(np.fft.rfft(frames)) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 26)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / speech.rate)
    bands = np.stack([power @ np.maximum(np.interp(bins, edges[i : i + 3], [0, 1, 0]), 0) for i in range(24)], axis=1)
    return dct(10 * np.log10(bands + 1e-9), norm="ortho")[:, 1:13].mean(0)


def digest(job: tuple[str, str]) -> str:
    speech = speak(*job)
    return hashlib.sha256(speech.samples.tobytes() + repr(speech.words).encode()).hexdigest()


def test_table_has_enough_speakers_and_every_split_has_both_kinds_and_sexes() -> None:
    everyone = voices()
    assert len(everyone) >= 32 and len({v.id for v in everyone}) == len(everyone)
    assert len(voices(synthesizer="espeak")) >= 16 and len(voices(synthesizer="neural")) >= 14
    for split in ("train", "validation", "test"):
        assert {(v.synthesizer, v.sex) for v in voices(split)} == set(itertools.product(("espeak", "neural"), ("female", "male")))
    assert min(len(voices("test", kind)) for kind in ("espeak", "neural")) >= 4


def test_speakers_differ_audibly_and_their_stated_f0_is_true() -> None:
    """Every pair is at least 1 semitone apart in F0 or 6 dB in timbre.

    A listener tells pitches of speech about half a semitone apart, and one voice's own two halves of this text are closer than 6 dB in timbre
    (asserted below on the synthesizers' first voices), so each pair is further apart than one speaker from themself.
    """
    everyone = voices()
    takes = [spoken(v.id) for v in everyone]
    pitch = np.array([12 * np.log2(median_f0(take)) for take in takes])
    colour = np.array([timbre(take) for take in takes])
    for a, b in itertools.combinations(range(len(everyone)), 2):
        apart = abs(pitch[a] - pitch[b]), float(np.linalg.norm(colour[a] - colour[b]))
        assert apart[0] >= 1 or apart[1] >= 6, (everyone[a].id, everyone[b].id, apart)
    stated = np.array([12 * np.log2(v.f0) for v in everyone])
    assert np.abs(pitch - stated).max() < 1.5, "semitones between the table and this sentence"
    for v, value in zip(everyone, 2 ** (pitch / 12), strict=True):
        assert (value < 140) if v.sex == "male" else (value > 140), (v.id, value)
