"""Neutral speech -> expressive speech: the rule table, its five factors as switches, and the rendering.

The rules are deltas against the same speaker's neutral reading of the same sentence, in the log domain (semitones, octaves, dB), so that
they add, scale with the intensity k and can be switched off one by one. `prosody.yaml` holds them with their sources: they were measured
on real actors with the analysis that renders them (`benchmarks/calibrate_prosody.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

import numpy as np
import yaml

from cogviz.emotions import EMOTIONS, emotion, intensity
from cogviz.lime.world import F0_CEILING, F0_FLOOR, FRAME, Analysis, synthesize
from cogviz.utterance import Word

FACTORS = ("f0_level", "f0_contour", "rate", "energy", "voice_quality")
"""The switches. With all of them off, every emotion is the neutral reading."""

ANCHORS = (0.0, 1.0, 1.5)
"""Intensities k at which the table is given: neutral, what actors call normal, what they call strong. Linear in between."""

VARIATION = 0.35
"""Share of the measured spread among actors that speakers and takes get by default. More is more like people and harder to tell apart:
`docs/decisions.md` has the trade."""

BASE_LEVEL = -36.0
"""dBFS of neutral speech: quiet, so that the strongest anger (about +23 dB) still fits without clipping."""

BAND_EDGES = (0, 200, 400, 630, 920, 1270, 1720, 2320, 3150, 4400, 6400, 8000)
"""Hz; bands of the spectral balance, two critical bands (Zwicker 1961) each."""

NOISE_EDGES = (0, 1000, 2000, 4000, 6000, 8000)
"""Hz; bands of the aperiodicity."""

PARAMETERS: dict[str, str] = {
    "f0_level": "f0_level",  # semitones, median F0
    "f0_range": "f0_contour",  # octaves, 10th to 90th percentile of F0 in semitones
    "f0_initial": "f0_contour",  # semitones, first 250 ms of voicing against the median
    "f0_final": "f0_contour",  # semitones, last 250 ms likewise
    "duration": "rate",  # octaves, first to last sound
    "pause": "rate",  # seconds of silence inside
    "level": "energy",  # dB
    "dynamics": "energy",  # dB, 95th percentile above the median of the frame level
    "level_slope": "energy",  # dB, end against start
    "micro": "voice_quality",  # octaves, F0 movement faster than 100 ms: jitter and tremor
    "unvoiced": "voice_quality",  # dB, unvoiced against voiced frames
    **{f"band_{low}": "voice_quality" for low in BAND_EDGES[:-1]},  # dB, share of the voiced spectrum
    **{f"noise_{low}": "voice_quality" for low in NOISE_EDGES[:-1]},  # dB, aperiodicity
}
"""Each parameter of the table and the factor that switches it."""

_NAMES = tuple(PARAMETERS)
_INDEX = {name: i for i, name in enumerate(_NAMES)}


@dataclass(frozen=True, eq=False)
class Rules:
    """The table as arrays: mean and spread (E, 3, P) over emotions, anchors and parameters."""

    mean: np.ndarray
    spread: np.ndarray
    source: str


@lru_cache(maxsize=1)
def rules() -> Rules:
    """Read `prosody.yaml`."""
    table = yaml.safe_load((resources.files("cogviz.lime") / "prosody.yaml").read_text(encoding="utf-8"))
    mean = np.zeros((len(EMOTIONS), len(ANCHORS), len(_NAMES)))
    spread = np.zeros_like(mean)
    for e, name in enumerate(EMOTIONS):
        for a, anchor in enumerate(("neutral", "normal", "strong")):
            row = table["rules"]["neutral"]["take"] if name == "neutral" or anchor == "neutral" else table["rules"][name][anchor]
            for parameter, (middle, sd) in row.items():
                mean[e, a, _INDEX[parameter]] = middle
                spread[e, a, _INDEX[parameter]] = sd
    return Rules(mean=mean, spread=spread, source=table["source"])


def _seed(*parts: object) -> np.random.Generator:
    """A generator that depends on its parts only, on every machine."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "little"))


def delta(
    name: str,
    k: float | str,
    *,
    speaker: str = "",
    take: str = "",
    variation: float = VARIATION,
    factors: Iterable[str] = FACTORS,
) -> np.ndarray:
    """Return the parameters (P,) of one rendering: the table at intensity k, moved as this speaker and this take would.

    Half of the variance belongs to the speaker's way of being `name`, half to the take; both are drawn from the spread among real actors.

    Args:
        name: the emotion.
        k: intensity, 0 .. 1.5 or low, mid, high.
        speaker, take: seeds.
        variation: 0 for the mean actor, 1 for the measured spread.
        factors: those that are switched on; the others keep the neutral value 0.
    """
    e, k = EMOTIONS.index(emotion(name).name), intensity(k)
    unknown = set(factors) - set(FACTORS)
    if unknown:
        raise ValueError(f"unknown factor {sorted(unknown)[0]!r}; the factors are {', '.join(FACTORS)}")
    table = rules()
    mean = np.array([np.interp(k, ANCHORS, column) for column in table.mean[e].T])
    spread = np.array([np.interp(k, ANCHORS, column) for column in table.spread[e].T])
    # Truncated at two spreads: a caricature that no actor produced helps nobody.
    own = np.clip(_seed("speaker", speaker, name).standard_normal(len(_NAMES)), -2, 2)
    now = np.clip(_seed("take", speaker, name, take).standard_normal(len(_NAMES)), -2, 2)
    values = mean + variation * spread * np.sqrt(0.5) * (own + now)
    on = np.array([PARAMETERS[parameter] in set(factors) for parameter in _NAMES])
    return np.where(on, values, 0.0)


@dataclass(frozen=True, eq=False)
class Rendering:
    """Expressive speech: samples (float32, mono, the analysis's rate), word times, and the parameters that made it."""

    samples: np.ndarray
    words: tuple[Word, ...]
    delta: np.ndarray


def render(
    analysis: Analysis, values: np.ndarray, *, keep_timing: bool = False, seed: str = "", base_level: float = BASE_LEVEL
) -> Rendering:
    """Render a neutral `Analysis` with the parameters of `delta`.

    Args:
        values: (P,) from `delta`.
        keep_timing: leave every frame where it is, so that all variants of a cell are equally long (patching needs that).
        seed: of the fast F0 noise.
        base_level: dBFS that neutral speech gets.
    """
    value = dict(zip(_NAMES, values, strict=True))
    places, words = (None, analysis.words) if keep_timing else _timing(analysis, value["duration"], value["pause"])
    if places is None:
        f0, envelope, noise = analysis.f0, analysis.envelope, analysis.aperiodicity
        hushed = np.zeros(len(f0), bool)
    else:
        source, hushed = places
        near = np.clip(np.rint(source).astype(int), 0, len(analysis.f0) - 1)
        # The envelope moves slowly against a 5 ms frame: the nearest frame is as good as an interpolated one and much faster.
        envelope, noise = analysis.envelope[near], analysis.aperiodicity[near]
        f0 = np.where(analysis.f0[near] > 0, np.exp(np.interp(source, np.arange(len(analysis.f0)), _bridged(analysis.f0))), 0.0)
    voiced = (f0 > 0) & ~hushed
    f0 = _intonation(f0, voiced, value, _seed("micro", seed))
    gain = _loudness(envelope, voiced, hushed, value)
    balance = np.exp(np.interp(_bin_hz(envelope, analysis.rate), _centres(BAND_EDGES), _band(value, "band_", BAND_EDGES)) * np.log(10) / 10)
    unvoiced = np.exp(0.5 * np.log(balance)) * 10 ** (value["unvoiced"] / 10)
    # Effort tilts the source, which unvoiced sounds share only in part.
    envelope = envelope * np.where(voiced[:, None], balance, unvoiced) * gain[:, None]
    breath = 10 ** (np.interp(_bin_hz(noise, analysis.rate), _centres(NOISE_EDGES), _band(value, "noise_", NOISE_EDGES)) / 20)
    noise = np.where(voiced[:, None], np.clip(noise * breath, 0.0, 1.0 - 1e-9), noise)
    samples = synthesize(replace(analysis, f0=f0, envelope=np.maximum(envelope, 1e-16), aperiodicity=noise))
    loud = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) or 1e-9
    samples = samples * (10 ** ((base_level + value["level"]) / 20) / loud)
    peak = float(np.abs(samples).max())
    if peak > 0.98:
        samples = samples * (0.98 / peak)
    return Rendering(samples=samples.astype(np.float32), words=words, delta=values)


def _centres(edges: tuple[int, ...]) -> np.ndarray:
    return (np.array(edges[:-1]) + np.array(edges[1:])) / 2


def _band(value: dict[str, float], prefix: str, edges: tuple[int, ...]) -> np.ndarray:
    return np.array([value[f"{prefix}{low}"] for low in edges[:-1]])


def _bin_hz(spectrum: np.ndarray, rate: int) -> np.ndarray:
    return np.linspace(0, rate / 2, spectrum.shape[1])


def _bridged(f0: np.ndarray) -> np.ndarray:
    """log F0 with the unvoiced gaps filled in a straight line."""
    at = np.flatnonzero(f0 > 0)
    return np.interp(np.arange(len(f0)), at, np.log(f0[at]))


def _timing(analysis: Analysis, octaves: float, pause: float) -> tuple[tuple[np.ndarray, np.ndarray], tuple[Word, ...]]:
    """Stretch by 2**octaves, vowels more than consonants, and put `pause` seconds of silence at the largest inner word boundary.

    Returns ((source frame of each new frame (T',), is it silence (T',)), the words at their new times).
    """
    stretch = 2.0**octaves
    voiced = analysis.f0 > 0
    # Voiced frames take 1.25 of the log stretch, unvoiced ones what is left (vowels carry tempo: Gay 1978), within bounds.
    weight = np.where(voiced, 1.25, 0.4)
    each = stretch**weight
    each *= stretch * len(each) / each.sum()
    edges = np.concatenate([[0.0], np.cumsum(each)])
    silence = round(max(pause, 0.0) / FRAME)
    inner = [int(w.start / FRAME) for w in analysis.words[1:]]
    total = round(edges[-1])
    source = np.interp(np.arange(total) + 0.5, edges, np.arange(len(edges))) - 0.5
    hushed = np.zeros(total, bool)
    times = np.array([[w.start, w.end] for w in analysis.words]).reshape(-1, 2) / FRAME
    times = np.interp(times, np.arange(len(edges)), edges)
    if silence and inner:
        power = analysis.envelope.sum(axis=1)
        quiet = min(inner, key=lambda i: power[max(i - 4, 0) : i + 4].min())
        at = int(edges[min(max(quiet, 0), len(edges) - 1)])
        source = np.insert(source, at, np.full(silence, source[min(at, total - 1)]))
        hushed = np.insert(hushed, at, np.ones(silence, bool))
        times = np.where(times > at + 0.5, times + silence, times)
    words = tuple(Word(w.text, *(t * FRAME)) for w, t in zip(analysis.words, times, strict=True))
    return (np.clip(source, 0, len(analysis.f0) - 1), hushed), words


def _intonation(f0: np.ndarray, voiced: np.ndarray, value: dict[str, float], draw: np.random.Generator) -> np.ndarray:
    """Apply level, range, initial and final movement and fast variation to F0 (T,) in Hz."""
    at = np.flatnonzero(voiced)
    if not len(at):
        return np.where(voiced, f0, 0.0)
    semitones = 12 * np.log2(f0[at])
    middle = np.median(semitones)
    smooth = np.convolve(np.pad(semitones, 10, mode="edge"), np.ones(21) / 21, "valid")
    fast = semitones - smooth
    # The measured movement is the median of 250 ms at the edge: a smooth ramp that starts before and goes on.
    near = min(80, max(len(at) // 2, 1))
    rise = np.clip((np.arange(len(at)) - (len(at) - near)) / near, 0, 1)
    fall = np.clip((near - np.arange(len(at))) / near, 0, 1)
    moved = middle + (smooth - middle) * 2 ** value["f0_range"]
    moved += value["f0_final"] * 1.4 * rise + value["f0_initial"] * 1.4 * fall
    ratio = 2 ** value["micro"]
    shake = np.convolve(draw.standard_normal(len(at) + 4), np.ones(5) / np.sqrt(5), "valid")
    moved += fast * min(ratio, 1.0) + shake * 0.15 * max(ratio - 1.0, 0.0)
    moved += middle + value["f0_level"] - np.median(moved)
    new = np.zeros_like(f0)
    new[at] = np.clip(2 ** (moved / 12), F0_FLOOR, F0_CEILING)
    return new


def _loudness(envelope: np.ndarray, voiced: np.ndarray, hushed: np.ndarray, value: dict[str, float]) -> np.ndarray:
    """Return the power gain of each frame (T,) for dynamics, slope and inserted silence."""
    power = 10 * np.log10(envelope.sum(axis=1) + 1e-16)
    top, middle = np.percentile(power[voiced], [95, 50]) if voiced.any() else (power.max(), power.max() - 6)
    now = max(top - middle, 1.0)
    scale = np.clip((now + value["dynamics"]) / now, 0.5, 2.0)
    # Expand or compress around the loud end, not below 30 dB under it: room noise must not rise.
    # Compression may lift what is quiet by 6 dB at most, or the closure before a stop becomes a click.
    change = np.minimum((np.clip(power, top - 30, None) - top) * (scale - 1.0), 6.0)
    change += value["level_slope"] * (np.linspace(0, 1, len(power)) - 0.5)
    change = np.convolve(np.pad(change, 5, mode="edge"), np.ones(11) / 11, "valid")
    return 10 ** (np.where(hushed, -60.0, change) / 10)
