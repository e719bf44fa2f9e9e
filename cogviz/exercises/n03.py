"""Exercises of `03_lime`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log2

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.exercises import Exercise


def _information(words: Sequence[str], voices: Sequence[str]) -> float:
    n, pairs, by_word, by_voice = len(words), Counter(zip(words, voices, strict=True)), Counter(words), Counter(voices)
    return sum(c / n * log2(c * n / (by_word[w] * by_voice[v])) for (w, v), c in pairs.items())


def _tables() -> list[tuple[list[str], list[str]]]:
    draw = np.random.default_rng(3)
    lime = [(f"sentence {i}", e) for i in range(5) for e in EMOTIONS]
    told = [(f"sentence {i}", EMOTIONS[i % 3]) for i in range(12)]
    mixed = [(f"sentence {draw.integers(4)}", str(draw.choice(EMOTIONS[:3]))) for _ in range(60)]
    return [([w for w, _ in rows], [v for _, v in rows]) for rows in (lime, told, mixed)]


def _identical(rows: Sequence[tuple[str, str, str]]) -> bool:
    emotions = {e for _, _, e in rows}
    cells: dict[tuple[str, str], Counter[str]] = {}
    for sentence, speaker, emotion in rows:
        cells.setdefault((sentence, speaker), Counter())[emotion] += 1
    return all(set(found) == emotions and len(set(found.values())) == 1 for found in cells.values())


def _rows() -> list[tuple[list[tuple[str, str, str]]]]:
    whole = [(s, p, e) for s in ("one", "two") for p in ("ada", "ben") for e in ("sad", "angry", "happy")]
    # Whole; one recording missing; one twice; each speaker in another emotion; all in one emotion; all twice.
    lists = [whole, whole[1:], [*whole, whole[0]], [("one", "ada", "sad"), ("one", "ben", "angry")], [("one", "ada", "sad")], whole * 2]
    return [(rows,) for rows in lists]


EXERCISES = (
    Exercise(
        key="03.1",
        reference=_information,
        inputs=_tables,
        hint="Count pairs, words and voices; a pair's share times the logarithm to base 2 of its share over the product of its word's and voice's shares.",
        wrong=lambda words, voices: float(len(set(voices)) > 1),
    ),
    Exercise(
        key="03.2",
        reference=_identical,
        inputs=_rows,
        hint="Group the rows by sentence and speaker; in each group every emotion of the list must occur, and all equally often.",
        wrong=lambda rows: True,
    ),
    Exercise(
        key="03.3",
        reference=["B", "C", "D"],
        hint="Ask of each: could something other than the tone, the words or who speaks or what the recording sounds like, give the answer away?",
        wrong=["C"],
    ),
)
