"""Sounds made from sounds: one part of the tone, or the words, taken out of a recording; other words or another tone put in their place.

What is made keeps the labels, the speaker and the sentence of its original, so that its answers can be paired with the original's: `extra["of"]`
is the original's id and `extra["edit"]` what was done. Only a swap says what is heard now: the other words, or the other emotion.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from cogviz.audio import RATE, SILENCE_DB, level_db, without_silence
from cogviz.evaluation.parallel import over
from cogviz.lime import world
from cogviz.lime.prosody import BASE_LEVEL
from cogviz.utterance import Utterance, Word, cells

REMOVALS: Mapping[str, str] = {
    "resynthesis": "nothing: what the vocoder alone does",
    "flat_pitch": "the melody: F0 stands at its median",
    "level_loudness": "the loudness: every 50 ms and every recording are equally loud",
    "neutral_timing": "the tempo: each word and pause takes the time that it takes in the neutral variant",
    "low_pass": "the words: nothing above 400 Hz",
    "noise_vocoded": "the melody and the voice: bands of noise with the loudness of the speech in them",
    "silence": "everything",
}
"""What each removal takes away."""

CUTOFF = 400.0
"""Hz; the melody lies below it and the formants that tell words lie above (as low-pass filtered speech since Rogers, Scherer & Rosenthal 1971)."""

BANDS = 8
"""Of the noise vocoder: more let the melody through (a high voice's harmonics get bands of their own), fewer lose the words (Shannon et al. 1995)."""

BAND_RANGE = 80.0, 7800.0
"""Hz; lowest and highest edge of the noise vocoder's bands."""

MODULATION = 30.0
"""Hz; slower than any F0, faster than syllables: what is left of the envelope in each band."""

WINDOW = 0.05
"""Seconds over which loudness is levelled."""

_VOCODED = {"resynthesis", "flat_pitch", "neutral_timing"}


# --- signals: samples or an analysis in, the same out ----------------------------------------------------------------------------------------


def flat_pitch(analysis: world.Analysis) -> world.Analysis:
    """Put F0 at its median wherever there is voice."""
    voiced = analysis.f0 > 0
    return replace(analysis, f0=np.where(voiced, np.median(analysis.f0[voiced]), 0.0))


def timed(analysis: world.Analysis, places: np.ndarray, new: np.ndarray) -> world.Analysis:
    """Move what happens at `places` to the times `new` (both (K,) seconds, not decreasing), what lies between in proportion."""
    frames = np.arange(round(new[-1] / world.FRAME))
    source = np.clip(np.rint(np.interp((frames + 0.5) * world.FRAME, new, places) / world.FRAME - 0.5).astype(int), 0, len(analysis.f0) - 1)
    return replace(analysis, f0=analysis.f0[source], envelope=analysis.envelope[source], aperiodicity=analysis.aperiodicity[source])


def level_loudness(samples: np.ndarray) -> np.ndarray:
    """Make every `WINDOW` of speech equally loud, and the whole `prosody.BASE_LEVEL`; silence is not lifted above its place."""
    from scipy import ndimage

    power = ndimage.uniform_filter1d(np.square(samples, dtype=np.float64), round(WINDOW * RATE))
    return _at_level(samples / np.sqrt(np.maximum(power, power.max() * 10 ** (-SILENCE_DB / 10))), BASE_LEVEL)


def low_pass(samples: np.ndarray, *, cutoff: float = CUTOFF) -> np.ndarray:
    """Keep what lies below `cutoff` Hz (Butterworth, 48 dB an octave), as loud as before."""
    from scipy import signal

    return _at_level(signal.sosfiltfilt(signal.butter(4, cutoff, fs=RATE, output="sos"), samples), level_db(samples))


def noise_vocoded(samples: np.ndarray, *, bands: int = BANDS, seed: int = 0) -> np.ndarray:
    """Replace the sound in each band by noise with the same slow envelope (Shannon et al. 1995), bands as wide as the ear's (Greenwood 1990)."""
    from scipy import signal

    low, high = (np.log10(f / 165.4 + 0.88) for f in BAND_RANGE)
    edges = 165.4 * (10 ** np.linspace(low, high, bands + 1) - 0.88)
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    slow = signal.butter(2, MODULATION, fs=RATE, output="sos")
    out = np.zeros(len(samples))
    for band in pairwise(edges):
        inside = signal.butter(3, band, "bandpass", fs=RATE, output="sos")
        speech = signal.sosfiltfilt(inside, samples)
        envelope = np.maximum(signal.sosfiltfilt(slow, np.abs(speech)), 0.0)
        carried = signal.sosfiltfilt(inside, envelope * signal.sosfiltfilt(inside, noise))
        out += carried * np.sqrt(np.mean(speech**2) / max(np.mean(carried**2), 1e-20))
    return _at_level(out, level_db(samples))


def _at_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    samples = samples * 10 ** ((decibels - level_db(samples)) / 20)
    return (samples * min(1.0, 0.98 / max(float(np.abs(samples).max()), 1e-9))).astype(np.float32)


# --- utterances ------------------------------------------------------------------------------------------------------------------------------


def remove(
    utterances: Sequence[Utterance],
    kinds: Sequence[str] = tuple(REMOVALS),
    *,
    pool: Sequence[Utterance] = (),
    jobs: int | None = None,
    progress: bool = True,
) -> dict[str, list[Utterance]]:
    """Take something out of each utterance, one list for each of `kinds` (of `REMOVALS`), in the order of `utterances`.

    A recording that the vocoder cannot take apart is left out of every kind, with a warning.

    Args:
        pool: where the neutral variants are, which `neutral_timing` needs; the utterances themselves are searched too.

    Raises:
        ValueError: an unknown kind, or an utterance without a neutral variant.
    """
    if unknown := [kind for kind in kinds if kind not in REMOVALS]:
        raise ValueError(f"unknown removal {unknown[0]!r}; choose from {', '.join(REMOVALS)}")
    neutral: list[Utterance | None] = [None] * len(utterances)
    if "neutral_timing" in kinds:
        known = neutrals([*pool, *utterances])
        neutral = [known.get((u.corpus, u.speaker, u.sentence)) for u in utterances]
        if lacking := [u.id for u, n in zip(utterances, neutral, strict=True) if n is None]:
            raise ValueError(
                f"{len(lacking)} utterance(s) have no neutral variant (first: {lacking[0]}); give `pool`, or leave out neutral_timing"
            )
    made = over(partial(_removed, tuple(kinds)), list(zip(utterances, neutral, strict=True)), what="editing", jobs=jobs, progress=progress)
    if failed := [f"{u.id}: {m}" for u, m in zip(utterances, made, strict=True) if isinstance(m, str)]:
        warnings.warn(f"{len(failed)} of {len(made)} recordings could not be taken apart and are left out ({failed[0]})", stacklevel=2)
    return {kind: [m[kind] for m in made if not isinstance(m, str)] for kind in kinds}


def neutrals(utterances: Sequence[Utterance]) -> dict[tuple[str, str, str], Utterance]:
    """Return the neutral variant of each cell by (corpus, speaker, sentence)."""
    found = (cell["neutral"] for cell in cells(utterances) if "neutral" in cell)
    return {(u.corpus, u.speaker, u.sentence): u for u in found}


def _removed(kinds: tuple[str, ...], pair: tuple[Utterance, Utterance | None]) -> dict[str, Utterance] | str:
    """The edits of one utterance, for which it is taken apart once; or why it cannot be."""
    utterance, neutral = pair
    samples = _heard(utterance)
    made: dict[str, Utterance] = {}
    try:
        analysis = world.analyse(samples, RATE) if _VOCODED & set(kinds) else None
        for kind in kinds:
            words = utterance.words
            match kind:
                case "silence":
                    wave = np.zeros(len(samples), np.float32)
                case "level_loudness":
                    wave = level_loudness(samples)
                case "low_pass":
                    wave = low_pass(samples)
                case "noise_vocoded":
                    wave = noise_vocoded(samples, seed=draw(utterance.id))
                case _:
                    assert analysis is not None
                    changed = flat_pitch(analysis) if kind == "flat_pitch" else analysis
                    if kind == "neutral_timing":
                        assert neutral is not None
                        places, new, words = _timing(utterance, neutral)
                        changed = timed(analysis, places, new)
                    wave = _at_level(world.synthesize(changed), level_db(samples))
            made[kind] = _made(utterance, kind, path=None, waveform=wave, words=words)
    except world.VocoderError as error:
        return str(error)
    return made


def _heard(utterance: Utterance) -> np.ndarray:
    """The samples, without the silence at their ends where no word times would be shifted by that."""
    return utterance.samples if utterance.words else without_silence(utterance.samples)


def _timing(utterance: Utterance, neutral: Utterance) -> tuple[np.ndarray, np.ndarray, tuple[Word, ...]]:
    """Return (times in the utterance, their times in the neutral variant, words at the new times): of every word's start and end where both
    have them, else of the whole."""
    both = utterance, neutral
    by_word = len(utterance.words) == len(neutral.words)
    old, new = (
        np.maximum.accumulate([0.0, *(t for w in u.words if by_word for t in (w.start, w.end)), len(_heard(u)) / RATE]) for u in both
    )
    return old, new, tuple(replace(w, start=n.start, end=n.end) for w, n in zip(*(u.words for u in both), strict=True)) if by_word else ()


def _made(utterance: Utterance, edit: str, **changes: Any) -> Utterance:
    return replace(utterance, id=f"{utterance.id}#{edit}", extra={**utterance.extra, "of": utterance.id, "edit": edit}, **changes)


def other_words(utterances: Sequence[Utterance], pool: Sequence[Utterance]) -> list[Utterance]:
    """Put another sentence of the same speaker in the same emotion in the place of each utterance, at the intensity that is nearest.

    Raises:
        ValueError: an utterance has no such partner in `pool`.
    """
    known: dict[tuple[str, str, str | None], list[Utterance]] = defaultdict(list)
    for u in pool:
        known[u.corpus, u.speaker, u.emotion].append(u)

    def partners(u: Utterance) -> list[Utterance]:
        others = [o for o in known[u.corpus, u.speaker, u.emotion] if o.sentence != u.sentence]
        near = min((abs(o.intensity - u.intensity) for o in others), default=0.0)
        return [o for o in others if abs(o.intensity - u.intensity) == near]

    return _swapped(utterances, partners, "other_words", "other sentence of the same speaker in the same emotion")


def has_partners(utterance: Utterance, pool: Sequence[Utterance]) -> bool:
    """Say whether `pool` has what `other_tone` and `unrelated` need for an utterance."""
    own = [o for o in pool if (o.corpus, o.speaker) == (utterance.corpus, utterance.speaker) and o.emotion not in (None, utterance.emotion)]
    return len({o.sentence == utterance.sentence for o in own}) == 2


def unrelated(utterances: Sequence[Utterance], pool: Sequence[Utterance]) -> list[Utterance]:
    """Put a recording of the same speaker that says something else in another emotion in the place of each utterance.

    Raises:
        ValueError: an utterance has no such partner in `pool`.
    """
    known: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for u in pool:
        known[u.corpus, u.speaker].append(u)

    def partners(u: Utterance) -> list[Utterance]:
        return [o for o in known[u.corpus, u.speaker] if o.sentence != u.sentence and o.emotion != u.emotion]

    return _swapped(utterances, partners, "unrelated", "recording of another sentence in another emotion by the same speaker")


def other_tone(utterances: Sequence[Utterance], pool: Sequence[Utterance]) -> list[Utterance]:
    """Put another variant of the same cell in the place of each utterance: the same words in another emotion.

    Raises:
        ValueError: an utterance has no such partner in `pool`.
    """
    known = {(c.corpus, c.speaker, c.sentence): cell for cell in cells(pool) for c in list(cell.values())[:1]}

    def partners(u: Utterance) -> list[Utterance]:
        return [o for o in known.get((u.corpus, u.speaker, u.sentence), {}).values() if o.emotion != u.emotion]

    return _swapped(utterances, partners, "other_tone", "variant of the same sentence by the same speaker in another emotion")


def _swapped(utterances: Sequence[Utterance], partners: Callable[[Utterance], list[Utterance]], edit: str, what: str) -> list[Utterance]:
    found, alone = [], []
    for u in utterances:
        if not (candidates := sorted(partners(u), key=lambda o: o.id)):
            alone.append(u.id)
            continue
        other = candidates[draw(u.id) % len(candidates)]
        heard = {name: getattr(other, name) for name in ("text", "emotion", "intensity", "lexical_emotion", "words", "path", "waveform")}
        found.append(_made(u, edit, **heard))
    if alone:
        raise ValueError(f"{len(alone)} utterance(s) have no {what} (first: {alone[0]}); give a larger pool or leave them out")
    return found


def draw(*parts: object) -> int:
    """A number that depends on its parts only, on every machine."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "little")
