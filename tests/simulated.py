"""Simulated listeners whose true value is known: what every measure must recover within its interval.

A listener answers to a crossed design (words x voice). `mixture` follows a cue with a given chance; `logit` weighs both cues, with sentences (and
speakers) that differ, as real ones do; `overridden` follows the voice once it is strong enough. The truth comes as `shares`, (words, voice, answer)
with unparsed as the last answer.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from cogviz.emotions import EMOTIONS

SIZE = len(EMOTIONS)
LEVELS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


def design(*, sentences: int = 42, speakers: int = 3, intensities: tuple[float, ...] = (1.0,)) -> pd.DataFrame:
    """Every sentence by every speaker in every tone; the words' emotions take turns."""
    items = [
        (tone, EMOTIONS[s % SIZE], f"s{s}", f"p{p}", k)
        for s, p, tone, k in product(range(sentences), range(speakers), EMOTIONS, intensities)
    ]
    return pd.DataFrame(items, columns=["voice", "words", "sentence", "speaker", "intensity"])


def codes(column: pd.Series) -> np.ndarray:
    return column.map(EMOTIONS.index).to_numpy(int)


def spread(column: pd.Series, by: float, draw: np.random.Generator, *, columns: int = 1) -> np.ndarray:
    """(n, columns) normal deviates with standard deviation `by`, the same for all items with the same id."""
    _, of = np.unique(column, return_inverse=True)
    return (by * draw.normal(size=(of.max() + 1, columns)))[of]


def pick(probabilities: np.ndarray, draw: np.random.Generator) -> list[str]:
    """One emotion from each row of (n, 7)."""
    return [EMOTIONS[i] for i in (probabilities.cumsum(axis=1)[:, :-1] < draw.random((len(probabilities), 1))).sum(axis=1)]


def mixture(
    words: float = 0.0,
    voice: float = 0.0,
    unparsed: float = 0.0,
    *,
    sentences: int = 42,
    speakers: int = 3,
    favourite: str | None = None,
    habit: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Follow the words, the voice, stay unparsed with these chances, else guess (or say a favourite).

    Args:
        habit: share of the sentences in which the guess is one and the same emotion, whatever the tone.
    """
    draw = np.random.default_rng(seed)
    table = design(sentences=sentences, speakers=speakers)
    n = len(table)
    does = draw.choice(4, p=(words, voice, unparsed, 1 - words - voice - unparsed), size=n)
    _, of = np.unique(table.sentence, return_inverse=True)
    always = np.where(draw.random(of.max() + 1) < habit, draw.integers(SIZE, size=of.max() + 1), -1)[of]
    guess = np.where(always >= 0, always, draw.integers(SIZE, size=n))
    guessed = [favourite or EMOTIONS[i] for i in guess]
    table["answer"] = np.array([table.words, table.voice, [None] * n, guessed], dtype=object)[does, np.arange(n)]
    return table


def mixture_shares(words: float = 0.0, voice: float = 0.0, unparsed: float = 0.0, **_: Any) -> np.ndarray:
    """What `mixture` (without a favourite) answers on average, by formula."""
    t, a, y = np.indices((SIZE, SIZE, SIZE + 1))
    guess = (1 - words - voice - unparsed) / SIZE
    return words * (y == t) + voice * (y == a) + unparsed * (y == SIZE) + guess * (y < SIZE)


def probabilities(
    table: pd.DataFrame,
    words: float,
    voice: float,
    *,
    bias: tuple[float, ...] = (0.0,) * SIZE,
    sentence: float = 0.0,
    speaker: float = 0.0,
    draw: np.random.Generator,
) -> np.ndarray:
    """(n, 7) of a conditional logit whose weights of words and voice, and whose leaning to each answer, differ among sentences and speakers."""
    lean = np.tile(np.array(bias, dtype=float), (len(table), 1))
    weight = np.array([words, voice]) + np.zeros((len(table), 2))
    for column, by in ((table.sentence, sentence), (table.speaker, speaker)):
        lean += spread(column, by, draw, columns=SIZE)
        weight += spread(column, by, draw, columns=2)
    rows = np.arange(len(table))
    lean[rows, codes(table.words)] += weight[:, 0]
    lean[rows, codes(table.voice)] += weight[:, 1]
    p = np.exp(lean - lean.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def logit(words: float, voice: float, *, sentences: int = 42, speakers: int = 3, seed: int = 0, **differences: Any) -> pd.DataFrame:
    """Answers of such a listener; `differences` as in `probabilities`."""
    draw = np.random.default_rng(seed)
    table = design(sentences=sentences, speakers=speakers)
    return table.assign(answer=pick(probabilities(table, words, voice, draw=draw, **differences), draw))


def logit_shares(words: float, voice: float, **differences: Any) -> np.ndarray:
    """What `logit` answers on average over 3,000 sentences a lexical emotion, each by another speaker."""
    table = design(sentences=3000 * SIZE, speakers=1)
    table["speaker"] = table.sentence
    p = probabilities(table, words, voice, draw=np.random.default_rng(1), **differences)
    shares = np.zeros((SIZE, SIZE, SIZE + 1))
    np.add.at(shares[..., :SIZE], (codes(table.words), codes(table.voice)), p)
    return shares / shares.sum(axis=-1, keepdims=True)


def overridden(
    middle: float,
    *,
    guess: float = 0.05,
    lapse: float = 0.1,
    width: float = 0.15,
    intensities: tuple[float, ...] = LEVELS,
    sentence: float = 0.0,
    sentences: int = 42,
    speakers: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Follow the voice with a chance that grows with its intensity along a psychometric curve, else the words.

    Args:
        sentence: by how much the middles of sentences differ (standard deviation).
    """
    draw = np.random.default_rng(seed)
    table = design(sentences=sentences, speakers=speakers, intensities=intensities)
    at = (table.intensity - middle - spread(table.sentence, sentence, draw)[:, 0]) / width
    hears = draw.random(len(table)) < guess + (1 - guess) * (1 - lapse) / (1 + np.exp(-at))
    return table.assign(answer=np.where(hears, table.voice, table.words))


def overridden_at(middle: float, *, guess: float = 0.05, lapse: float = 0.1, width: float = 0.15, sentence: float = 0.0, **_: Any) -> float:
    """The intensity at which such a listener follows the voice in half of the answers; infinite where not up to 1.5."""
    k = np.linspace(0, 1.5, 3001)
    middles = middle + sentence * np.random.default_rng(1).normal(size=2000)
    share = np.array([(guess + (1 - guess) * (1 - lapse) / (1 + np.exp(-(x - middles) / width))).mean() for x in k])
    return float(k[share >= 0.5][0]) if (share >= 0.5).any() else np.inf


def responses(telling: float, *, sentences: int = 40, speakers: int = 1, takes: int = 3, words: int = 6, seed: int = 0) -> pd.DataFrame:
    """Responses of `words` words each, drawn from ten of their tone with chance `telling` and from ten of their sentence otherwise."""
    draw = np.random.default_rng(seed)
    table = pd.concat([design(sentences=sentences, speakers=speakers)] * takes, ignore_index=True)
    tone, which = draw.random((len(table), words)) < telling, draw.integers(10, size=(len(table), words))
    names = [
        " ".join(f"{voice if own else sentence}{number}" for own, number in zip(row, numbers, strict=True))
        for voice, sentence, row, numbers in zip(table.voice, table.sentence, tone, which, strict=True)
    ]
    return table.assign(response=names)


def judged(
    telling: float, *, sentences: int = 42, speakers: int = 1, sentence: float = 0.0, seed: int = 0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Cells and what a judge of their responses believes: log-odds `telling` for the tone among normal noise, more or less in some sentences."""
    draw = np.random.default_rng(seed)
    table = design(sentences=sentences, speakers=speakers)
    score = draw.normal(size=(len(table), SIZE))
    score[np.arange(len(table)), codes(table.voice)] += telling + spread(table.sentence, sentence, draw)[:, 0]
    p = np.exp(2 * score)
    return table, p / p.sum(axis=1, keepdims=True)
