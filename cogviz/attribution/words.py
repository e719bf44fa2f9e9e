"""Which sound of which word spoke: relevance by word, beside what the voice does there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cogviz import statistics
from cogviz.attribution.faithfulness import spearman
from cogviz.attribution.gradients import Attribution
from cogviz.attribution.paths import HOP
from cogviz.attribution.places import FRAME, Places
from cogviz.audio import RATE, speech_span
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance, Word

TRACK = 0.005
"""Seconds of a frame of F0 and level."""

CUES = ("f0", "level", "tempo")


@dataclass(frozen=True)
class SpokenWord:
    """A word, its relevance, and its sound.

    Attributes:
        start, end: seconds in the recording.
        relevance: sum over its frames or tokens, in the unit of the target.
        f0: median, semitones above 100 Hz. level: dBFS. tempo: letters a second. NaN where it cannot be measured.
        change: cue -> how far it is from the same word in the reference: semitones, dB, octaves of tempo (1: twice as fast); empty without one.
    """

    text: str
    start: float
    end: float
    relevance: float
    f0: float
    level: float
    tempo: float
    change: dict[str, float]


@dataclass(frozen=True)
class Cues:
    """Do the words that speak differ in sound?

    Spearman's rank correlation, over an utterance's words, of relevance with the size of each cue's change from the neutral rendering; the mean over
    utterances.

    Attributes:
        f0, level, tempo: the correlations. chance is 0.
        top: share of utterances whose most relevant word is the one that changes most in any cue (ranked together); `chance` is one over the words.
    """

    f0: Estimate
    level: Estimate
    tempo: Estimate
    top: Estimate


def by_word(attribution: Attribution) -> list[list[SpokenWord]]:
    """Return the words of each utterance with their relevance.

    The times are the utterance's own; where it has none, those at which the connector says its tokens. What lies
    between two words counts for the nearer one.

    Raises:
        ValueError: over text; or neither the times of the words nor what the frames say are known.
    """
    if attribution.over == "text":
        raise ValueError("the instruction has no spoken words; attribute over mel, audio or tokens")
    found = []
    for i, utterance in enumerate(attribution.utterances):
        start = speech_span(utterance.samples)[0] / RATE
        words = utterance.words or said(attribution.places[i], start)
        if not words:
            raise ValueError(f"{utterance.id}: it is not known when its words are spoken, and its frames say none")
        times, values = _over_time(attribution, i, start)
        sums = np.bincount(_nearest(words, times), weights=values, minlength=len(words))
        reference = attribution.references[i] if attribution.references else None
        other = reference.words if reference is not None and len(reference.words) == len(words) else ()
        found.append(
            [
                SpokenWord(
                    w.text, w.start, w.end, float(s), *(now := _sound(utterance, w)), _change(now, reference, other[j] if other else None)
                )
                for j, (w, s) in enumerate(zip(words, sums, strict=True))
            ]
        )
    return found


def said(where: Places, start: float) -> tuple[Word, ...]:
    """Return the words that the connector's frames say and when; a token with a space before it begins a word.

    Args:
        start: seconds that were cut off before the first frame.
    """
    spoken = [
        (piece, frame)
        for piece, frame, name in zip(where.pieces, where.frames, where.segments, strict=True)
        if name == "words" and frame >= 0
    ]
    groups: list[list[tuple[str, int]]] = []
    for piece, frame in spoken:
        if not groups or piece[:1].isspace():
            groups.append([])
        groups[-1].append((piece, int(frame)))
    begins = [start + group[0][1] * FRAME for group in groups]
    ends = [*begins[1:], start + (spoken[-1][1] + 1) * FRAME] if spoken else []
    return tuple(Word("".join(p for p, _ in group).strip(), b, e) for group, b, e in zip(groups, begins, ends, strict=True))


def over_time(attribution: Attribution, index: int) -> np.ndarray:
    """Return (frames of 10 ms,) relevance of each moment of an utterance, all bands and the level together; of an attribution over the log-mel."""
    if attribution.over != "mel":
        raise ValueError("only relevance over the log-mel runs through time; attribute over mel")
    values = attribution.values[index].sum(axis=0)
    steps = round(FRAME / HOP)
    spread = np.repeat(attribution.levels[index] / steps, steps)
    out = values.copy()
    size = min(len(out), len(spread))
    out[:size] += spread[:size]
    out[-1] += spread[size:].sum()
    return out


def by_band(attribution: Attribution) -> np.ndarray:
    """Return (N, bands) relevance of each band of the log-mel; `hertz` says where they lie."""
    if attribution.over != "mel":
        raise ValueError("only relevance over the log-mel has bands; attribute over mel")
    return np.stack([v.sum(axis=1) for v in attribution.values])


def hertz(bands: int) -> np.ndarray:
    """Return (bands,) the middle of each band of Whisper's log-mel in Hz."""
    import librosa

    return librosa.mel_frequencies(bands + 2, fmin=0.0, fmax=RATE / 2)[1:-1]


def cues(words: Sequence[Sequence[SpokenWord]], utterances: Sequence[Utterance]) -> Cues:
    """Measure whether the words that speak are those whose sound is changed.

    Raises:
        ValueError: the words have no references to be compared with, or no utterance has three of them.
    """
    rows, kept = [], []
    for spoken, utterance in zip(words, utterances, strict=True):
        if len(spoken) < 3 or any(not w.change for w in spoken):
            continue
        relevance = np.array([w.relevance for w in spoken])
        sizes = {cue: np.array([abs(w.change[cue]) for w in spoken]) for cue in CUES}
        row = []
        for cue in CUES:
            known = np.isfinite(sizes[cue])
            row.append(spearman(relevance[known], sizes[cue][known]) if known.sum() > 2 else np.nan)
        ranks = sum(np.argsort(np.argsort(np.nan_to_num(s))) for s in sizes.values())
        rows.append([*row, float(int(relevance.argmax()) == int(np.argmax(ranks))), 1 / len(spoken)])
        kept.append(utterance)
    if not rows:
        raise ValueError("no utterance has three words whose neutral rendering is known; give references")
    table = np.array(rows)

    def mean(column: int, chance: float) -> Estimate:
        there = np.isfinite(table[:, column])
        some = [u for u, k in zip(kept, there, strict=True) if k]
        return statistics.mean(
            table[there, column], sentences=[u.sentence for u in some], speakers=[u.speaker for u in some], chance=chance
        )

    return Cues(mean(0, 0.0), mean(1, 0.0), mean(2, 0.0), mean(3, float(table[:, 4].mean())))


@lru_cache(maxsize=64)
def tracks(utterance: Utterance) -> tuple[np.ndarray, np.ndarray]:
    """Return F0 (semitones above 100 Hz, NaN where there is none) and level (dBFS), each every 5 ms of the recording."""
    from cogviz.lime import world

    samples = np.asarray(utterance.samples, dtype=np.float64)
    try:
        f0 = world.analyse(samples, RATE).f0
    except world.VocoderError:  # whispered or too short
        f0 = np.zeros(int(len(samples) / RATE / TRACK) + 1)
    voiced = f0 > 0
    semitones = np.where(voiced, 12 * np.log2(np.where(voiced, f0, 100.0) / 100), np.nan)
    if voiced.any():
        semitones[np.abs(semitones - np.nanmedian(semitones)) > 14] = np.nan  # octave errors of the tracker, as in `lime.measure`
    width = 400  # 25 ms
    power = np.convolve(np.square(samples), np.ones(width) / width, "same")[:: round(TRACK * RATE)]
    return semitones, 10 * np.log10(power + 1e-10)


def _over_time(attribution: Attribution, index: int, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Seconds in the recording, and relevance there."""
    if attribution.over == "mel":
        values = over_time(attribution, index)
        return start + (np.arange(len(values)) + 0.5) * HOP, values
    where = attribution.places[index]
    spoken = where.of("words") & (where.frames >= 0)
    if not spoken.any():
        raise ValueError(f"{attribution.utterances[index].id}: it is not known which moment its audio tokens hold; attribute over mel")
    return start + (where.frames[spoken] + 0.5) * FRAME, attribution.values[index][spoken]


def _nearest(words: Sequence[Word], times: np.ndarray) -> np.ndarray:
    """The word that each moment is in, or nearest to."""
    starts, ends = (np.array([getattr(w, name) for w in words]) for name in ("start", "end"))
    apart = np.maximum(np.maximum(starts - times[:, None], times[:, None] - ends), 0)
    return apart.argmin(axis=1)


def _sound(utterance: Utterance, word: Word) -> tuple[float, float, float]:
    """F0, level and tempo of a word."""
    semitones, level = tracks(utterance)
    part = slice(int(word.start / TRACK), max(int(word.end / TRACK), int(word.start / TRACK) + 1))
    voiced = semitones[part][np.isfinite(semitones[part])]
    power = level[part]
    letters = sum(c.isalnum() for c in word.text)
    return (
        float(np.median(voiced)) if len(voiced) else float("nan"),
        float(10 * np.log10(np.mean(10 ** (power / 10)))) if len(power) else float("nan"),
        letters / max(word.end - word.start, 1e-3),
    )


def _change(now: tuple[float, float, float], reference: Utterance | None, word: Word | None) -> dict[str, float]:
    if reference is None or word is None:
        return {}
    then = _sound(reference, word)
    tempo = float(np.log2(max(now[2], 1e-3) / max(then[2], 1e-3)))
    return {"f0": now[0] - then[0], "level": now[1] - then[1], "tempo": tempo}
