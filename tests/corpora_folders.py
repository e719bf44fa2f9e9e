"""Folders in the corpora's own layouts, with a short tone for every recording."""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from cogviz import corpora
from cogviz.corpora.base import SUFFIXES
from cogviz.utterance import Utterance


@cache
def tone(seconds: float = 0.2, rate: int = 16_000, channels: int = 1, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """A sound file of a 220 Hz tone."""
    wave = 0.3 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)
    content = io.BytesIO()
    soundfile.write(content, np.stack([wave] * channels, axis=1), rate, format=kind, subtype=subtype)
    return content.getvalue()


def lay(folder: Path, *names: str) -> Path:
    """Write a tone under every name of a sound, and an empty file under every other."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tone() if path.suffix.lower() in SUFFIXES else b"")
    return folder


def reading(name: str, folder: Path, **options: bool) -> tuple[list[Utterance], list[str]]:
    """What is read, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = corpora.read(name, folder, **options)
    return found, [str(w.message) for w in caught]
