"""Audio dependence: what becomes of the answers when the audio, its words or its tone are taken away?

The same items are asked several times: with their audio ("full"), with silence of its length ("silence"), with a recording that says something
else in another tone ("other_words"), with the same words in another tone ("other_tone"), and without any audio ("no_audio"). Right is always the
emotion of the voice in "full".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cogviz import statistics
from cogviz.evaluation.items import Items, emotion_codes, extra_columns, read_items
from cogviz.evaluation.results import named
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from cogviz.evaluation.items import Table

FULL = "full"
TAKEN_AWAY = ("silence", "other_words", "other_tone", "no_audio")


@dataclass(frozen=True)
class Dependence:
    """How much the answers owe to the audio. Dictionaries are by condition and hold those that were asked.

    Attributes:
        accuracy: share of right answers; chance is prediction-marginal.
        drop: accuracy in full - accuracy in a condition, the parts of S_audio; chance, for a model that does not listen, is 0.
        s_audio: A_full - (A_silence + A_other_words) / 2 (arXiv 2609.04637); None where one of them was not asked.
        text_ratio: R_TP = A_no_audio / A_full (arXiv 2604.24401), NaN where nothing is right in full; chance is 1. None where not asked.
        changed: share of items whose answer is another than in full (ASS, arXiv 2603.18048); chance is 0.
        ars: 2 A_full ASS / (A_full + ASS) of the same source: high where answers are right and change with the audio.
    """

    accuracy: dict[str, Estimate] = field(metadata=named("accuracy"))
    drop: dict[str, Estimate] = field(metadata=named("accuracy_drop"))
    s_audio: Estimate | None = field(metadata=named("s_audio"))
    text_ratio: Estimate | None = field(metadata=named("text_only_ratio"))
    changed: dict[str, Estimate] = field(metadata=named("answer_changed"))
    ars: dict[str, Estimate] = field(metadata=named("audio_response_score"))


def audio_dependence(tables: Mapping[str, Table]) -> Dependence:
    """Compare the answers to the same items, paired by item in every draw of the clustered bootstrap.

    Args:
        tables: by condition, "full" and at least one of `TAKEN_AWAY`. "full" is the table that `dominance` describes with a column `id`; of the
            others only `id` and `answer` are read.

    Raises:
        ValueError: a condition is unknown or "full" is missing, a column is missing, an id comes twice, or the tables do not hold the same items.
    """
    if unknown := sorted(set(tables) - {FULL, *TAKEN_AWAY}):
        raise ValueError(f"unknown condition(s) {', '.join(unknown)}; choose from {', '.join((FULL, *TAKEN_AWAY))}")
    if FULL not in tables or len(tables) < 2:
        raise ValueError(f'audio dependence compares the table "{FULL}" with at least one of {", ".join(TAKEN_AWAY)}')
    items, answers = _paired(tables)
    asked = [name for name in TAKEN_AWAY if name in tables]
    right = [answers[name] == items.voice for name in (FULL, *asked)]
    changed = [answers[name] != answers[FULL] for name in asked]
    shares = items.sums(np.ones(len(items.voice)), *right, *changed).map(lambda s: s[:, 1:] / np.where(s[:, :1] > 0, s[:, :1], np.nan))
    found = shares.map(lambda s: _figures(s[:, : len(right)], s[:, len(right) :], asked))

    def each(block: int, chance: float) -> dict[str, Estimate]:
        return {name: found.estimate(2 + block * len(asked) + i, chance=chance) for i, name in enumerate(asked)}

    return Dependence(
        accuracy={
            name: shares.estimate(i, chance=statistics.marginal_chance([str(k) for k in items.voice], [str(k) for k in answers[name]]))
            for i, name in enumerate((FULL, *asked))
        },
        drop=each(0, 0.0),
        s_audio=found.estimate(0, chance=0.0) if {"silence", "other_words"} <= set(asked) else None,
        text_ratio=found.estimate(1, chance=1.0) if "no_audio" in asked else None,
        changed=each(1, 0.0),
        ars=each(2, 0.0),
    )


def _figures(accuracy: np.ndarray, changed: np.ndarray, asked: list[str]) -> np.ndarray:
    """(D, 1 + C), (D, C) -> (D, 2 + 3 C): S_audio, R_TP (NaN where not asked), then drop, ASS and ARS of each of the C conditions."""
    full = accuracy[:, :1]
    of = dict(zip(asked, accuracy[:, 1:].T, strict=True))
    unknown = np.full(len(full), np.nan)
    s_audio = full[:, 0] - (of.get("silence", unknown) + of.get("other_words", unknown)) / 2
    ratio = of.get("no_audio", unknown) / np.where(full[:, 0] > 0, full[:, 0], np.nan)
    both = full + changed
    ars = 2 * full * changed / np.where(both > 0, both, np.nan)
    return np.column_stack([s_audio, ratio, full - accuracy[:, 1:], changed, ars])


def _paired(tables: Mapping[str, Table]) -> tuple[Items, dict[str, np.ndarray]]:
    """Return the items of "full" whose voice carries an emotion, and the answers to them in each condition."""
    import pandas as pd

    every = read_items(tables[FULL])
    order = pd.Index(extra_columns(tables[FULL], "id").id)
    answers = {}
    for name, table in tables.items():
        answer = extra_columns(table, "id", "answer").set_index("id").answer
        if answer.index.has_duplicates:
            raise ValueError(f'table "{name}" holds the id {answer.index[answer.index.duplicated()][0]} twice; give one answer an item')
        if set(answer.index) != set(order):
            raise ValueError(f'table "{name}" does not hold the same items (column id) as "{FULL}"; ask every item in every condition')
        answers[name] = emotion_codes(answer[order])
    known = every.voice >= 0
    if not known.any():
        raise ValueError("no item whose voice carries an emotion")
    return every.where(known), {name: answer[known] for name, answer in answers.items()}
