"""Where a file becomes samples: read, check, resample. Everything behind this line is float32, mono, 16 kHz."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import soundfile

RATE = 16_000
"""Samples a second of everything inside cogviz: what Whisper's log-mel expects."""

MIN_SECONDS, MAX_SECONDS = 0.1, 30.0
"""The shortest recording that can carry a tone, and Whisper's window."""

SILENCE_DB, MARGIN = 35.0, 0.1
"""How far below the loudest 10 ms silence lies, and the seconds of it that stay at both ends (see `without_silence`)."""

CLIPPED, QUIET, SILENT = 0.005, -50.0, -80.0
"""Share of samples at full scale that earns a notice; RMS levels in dBFS of a notice and of an error."""

LOUDEST = 100.0
"""No float recording peaks 40 dB above full scale; one that does holds integers."""


MAX_RATE, BLOCK = 384_000, 65_536
"""Samples a second that no microphone exceeds, and frames that are read at once."""


class AudioError(ValueError):
    """Raised for a recording that cannot be used; one sentence that says why and what to do."""


class NoVoice(AudioError):
    """Raised for a recording without a voiced frame: there is no F0, so nothing can be said of the voice."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples (float32, mono, 16 kHz, -1 .. 1) and what the listener should know about them."""

    samples: np.ndarray
    name: str = "recording"
    notices: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / RATE


def read(path: str | Path, *, max_seconds: float = MAX_SECONDS, cut: bool = False, name: str = "") -> Recording:
    """Read a recording of any format that libsndfile knows (WAV, FLAC, MP3, OGG, AIFF; the content counts, not the file's name).

    Args:
        cut: keep the first `max_seconds` of a longer recording, with a notice. name: what messages call it; "": its path.

    Raises:
        AudioError: missing, a folder, not audio, empty, silent, NaN, shorter than 0.1 s or longer than `max_seconds`.
    """
    import soundfile

    path = Path(path)
    name = name or str(path)
    if path.is_dir():
        raise AudioError(f"{path} is a folder; give the recordings in it, for example {path}/*.wav")
    if not path.exists():
        raise AudioError(f"{path} does not exist; check the path")
    notices: tuple[str, ...] = ()
    try:
        with open(path, "rb") as content, soundfile.SoundFile(content) as file:  # without its name, so that the content counts
            seconds, rate = file.frames / file.samplerate, file.samplerate
            if seconds > max_seconds and not cut:
                raise AudioError(f"{name} is {_duration(seconds)} long; the limit is {max_seconds:g} s: cut out the sentence you want")
            if rate > MAX_RATE:
                raise AudioError(f"{name} has {rate:,} samples a second; the limit is {MAX_RATE:,}: export it at 48,000")
            if seconds > max_seconds:
                notices = (f"{name} is {_duration(seconds)} long: only its first {max_seconds:g} s are heard",)
            samples = _mono(file, round(max_seconds * rate) if cut else file.frames)
    except (soundfile.LibsndfileError, EOFError, OSError, ValueError, TypeError) as error:
        if isinstance(error, AudioError):
            raise
        why = getattr(error, "error_string", None) or str(error) or type(error).__name__  # the error itself names the file
        raise AudioError(f"{name} cannot be read as audio ({why.rstrip('.')}); give a WAV, FLAC, MP3, OGG or AIFF file") from None
    found = from_array(samples, rate, name=name, max_seconds=max_seconds)
    return replace(found, notices=(*notices, *found.notices))


def _mono(file: soundfile.SoundFile, frames: int) -> np.ndarray:
    """(frames,) float32, the mean of the channels, read in blocks: a small file may hold many channels of silence."""
    parts, left = [], frames
    while left > 0 and len(block := file.read(min(left, BLOCK), dtype="float32", always_2d=True)):
        parts.append(block.mean(axis=1))
        left -= len(block)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def from_array(samples: np.ndarray, rate: int, *, name: str = "recording", max_seconds: float = MAX_SECONDS) -> Recording:
    """Bring samples into the house format.

    Args:
        samples: (samples,) or (samples, channels); float in -1 .. 1 or a signed/unsigned integer type (then scaled by its range).
        rate: samples a second.

    Raises:
        AudioError: see `read`.
    """
    samples = np.asarray(samples)
    if rate <= 0:
        raise AudioError(f"{name} has a sample rate of {rate}; it must be positive")
    if samples.dtype.kind not in "biuf":
        raise AudioError(f"{name} holds {samples.dtype} values; give real numbers, float or integer")
    if samples.ndim not in (1, 2):
        raise AudioError(f"{name} has {samples.ndim} dimensions; give (samples,) or (samples, channels)")
    if not samples.size:
        raise AudioError(f"{name} is empty; record it again")
    if samples.dtype.kind in "iu":
        info = np.iinfo(samples.dtype)
        middle = (int(info.max) + int(info.min) + 1) // 2
        samples = (samples.astype(np.float64) - middle) / (int(info.max) - middle + 1)
    if not np.isfinite(samples).all():
        raise AudioError(f"{name} holds NaN or infinite samples; export it again")
    if (peak := float(np.abs(samples).max())) > LOUDEST:
        raise AudioError(f"{name} has samples up to {peak:.3g}; floats must lie in -1 .. 1: divide by the full scale (32768 for 16 bits)")
    samples = samples.astype(np.float32)
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    seconds = len(samples) / rate
    if seconds > max_seconds:
        raise AudioError(f"{name} is {_duration(seconds)} long; the limit is {max_seconds:g} s: cut out the sentence you want")
    if seconds < MIN_SECONDS:
        raise AudioError(f"{name} is {seconds * 1000:.0f} ms long; at least {MIN_SECONDS * 1000:.0f} ms are needed to hear a tone")
    notices = []
    if float(np.mean(np.abs(samples) >= 0.999)) > CLIPPED:
        notices.append(f"{name} is clipped: loudness and voice quality may be misheard")
    if rate != RATE:
        import soxr

        samples = soxr.resample(samples, rate, RATE).astype(np.float32)
    level = level_db(samples)
    if level < SILENT:
        raise AudioError(f"{name} is silent ({level:.0f} dBFS); check the microphone and record it again")
    if level < QUIET:
        notices.append(f"{name} is very quiet ({level:.0f} dBFS): loudness may be misheard")
    return Recording(samples=samples, name=name, notices=tuple(notices))


def level_db(samples: np.ndarray) -> float:
    """Root-mean-square level in dB relative to full scale; -200 for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * np.log10(max(power, 1e-20))


def write(path: str | Path, samples: np.ndarray) -> None:
    """Write 16 kHz mono samples as 16-bit audio, to a temporary name first, so that a killed run leaves no half file.

    Raises `OSError` with its errno where the disk is full (libsndfile itself would only say "system error").
    """
    import soundfile

    path = Path(path)
    content = io.BytesIO()
    kind = path.suffix.lstrip(".").upper()
    soundfile.write(content, samples, RATE, subtype="PCM_16", format=kind, compression_level=1.0 if kind == "FLAC" else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content.getbuffer())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds > 3600 else f"{seconds / 60:.1f} min" if seconds > 90 else f"{seconds:.0f} s"


def without_silence(samples: np.ndarray) -> np.ndarray:
    """Cut silence off both ends: what is `SILENCE_DB` below the loudest 10 ms, but for a margin of `MARGIN` seconds.

    Recordings start and end with seconds of it, which would count as tone of voice in every mean over time; our speech has 50 ms.

    Args:
        samples: (n,) at `RATE`.
    """
    return samples[slice(*speech_span(samples))]


def speech_span(samples: np.ndarray) -> tuple[int, int]:
    """Return the first sample that `without_silence` keeps, and the first behind what it keeps."""
    hop = RATE // 100
    if len(samples) < hop:
        return 0, len(samples)
    level = np.sqrt(np.square(samples[: len(samples) // hop * hop].astype(np.float64)).reshape(-1, hop).mean(axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (-SILENCE_DB / 20))
    if not len(loud):
        return 0, len(samples)
    margin = round(MARGIN * RATE)
    return max(0, int(loud[0]) * hop - margin), min(len(samples), (int(loud[-1]) + 1) * hop + margin)
