"""Minimal pairs: two utterances that differ in one thing, the tone or the words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.utterance import Utterance, cells

Differs = Literal["tone", "words"]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two utterances, and what they differ in. The states of the donor are put into the run of the base."""

    base: Utterance
    donor: Utterance
    differs: Differs

    @property
    def moves(self) -> tuple[int, int]:
        """The emotion that differs, as places in `EMOTIONS`: the base's and the donor's."""
        found = [u.emotion if self.differs == "tone" else u.lexical_emotion for u in (self.base, self.donor)]
        return EMOTIONS.index(str(found[0])), EMOTIONS.index(str(found[1]))


def tone_pairs(utterances: Sequence[Utterance], *, per_cell: int = 1, count: int | None = None, seed: int = 0) -> list[Pair]:
    """Return pairs with the same words by the same speaker in two tones.

    Args:
        per_cell: pairs of each cell at most, drawn; count: at most so many in all, from all cells in turn.

    Raises:
        ValueError: no sentence is there in two tones.
    """
    draw = np.random.default_rng(seed)
    rounds: list[list[Pair]] = [[] for _ in range(per_cell)]
    for cell in cells(utterances):
        known = [u for name, u in cell.items() if name in EMOTIONS]
        ordered = list(permutations(known, 2))
        for turn, k in enumerate(draw.permutation(len(ordered))[:per_cell]):
            rounds[turn].append(Pair(ordered[k][0], ordered[k][1], "tone"))
    return _some([turn[i] for turn in rounds for i in draw.permutation(len(turn))], count, "one sentence in two tones")


def word_pairs(utterances: Sequence[Utterance], *, per_cell: int = 1, count: int | None = None, seed: int = 0) -> list[Pair]:
    """Return pairs of one speaker in one tone whose words carry different emotions; a sentence is matched with one other only.

    Args:
        per_cell: tones in which two matched sentences are compared, at most, drawn; count: at most so many in all.

    Raises:
        ValueError: no speaker says two such sentences in one tone.
    """
    draw = np.random.default_rng(seed)
    speakers: dict[str, list[dict[str, Utterance]]] = defaultdict(list)
    for cell in cells(utterances):
        if (one := next(iter(cell.values()))).lexical_emotion in EMOTIONS:
            speakers[one.speaker].append(cell)
    rounds: list[list[Pair]] = [[] for _ in range(per_cell)]
    for group in speakers.values():
        left = [group[i] for i in draw.permutation(len(group))]
        while left:
            base = left.pop()
            other = next((c for c in left if _words(c) != _words(base) and set(c) & set(base)), None)
            if other is None:
                continue
            left.remove(other)
            tones = sorted(set(base) & set(other))
            for turn, k in enumerate(draw.permutation(len(tones))[:per_cell]):
                rounds[turn].append(Pair(base[tones[k]], other[tones[k]], "words"))
    return _some([turn[i] for turn in rounds for i in draw.permutation(len(turn))], count, "words of two emotions in one tone")


def _words(cell: dict[str, Utterance]) -> str | None:
    return next(iter(cell.values())).lexical_emotion


def _some(pairs: list[Pair], count: int | None, wanted: str) -> list[Pair]:
    if not pairs:
        raise ValueError(f"no pair to patch: nobody says {wanted}; give utterances with more variants")
    return pairs[:count]


def halves(sentences: Sequence[str], *, seed: int = 0) -> np.ndarray:
    """(N,) True for the items on which something is chosen, False for those on which it is measured; a sentence is on one side only.

    Raises:
        ValueError: there is one sentence only.
    """
    names = np.unique(np.asarray(sentences, dtype=str))
    if len(names) < 2:
        raise ValueError("one sentence cannot be halved: what is chosen and what is measured would be the same")
    chosen = np.random.default_rng(seed).permutation(names)[: len(names) // 2]
    return np.isin(np.asarray(sentences, dtype=str), chosen)
