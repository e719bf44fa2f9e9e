"""The LISTEN grid: what the text says, what the voice says, and what the model is given of them (arXiv 2510.10444).

Input is the table that `dominance` describes, with the columns `condition` and `modality`. What is right is as in LISTEN: where only the text is
given, the words' emotion; where the audio is given too or alone, the voice's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cogviz.evaluation.dominance import confusion
from cogviz.evaluation.items import Items, extra_columns, read_items
from cogviz.evaluation.results import named
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table

CONDITIONS = ("neutral_text", "matched", "mismatched", "paralinguistic")
"""Words that carry no emotion; words and voice that agree; that disagree; sounds without words."""

MODALITIES = ("text", "audio", "both")


@dataclass(frozen=True, eq=False)
class Cell:
    """How well the emotion is named in one condition and modality. Unparsed answers are wrong.

    Attributes:
        accuracy: share of right answers (LISTEN's "weighted accuracy", and the micro F1: every item weighs the same); chance is prediction-marginal.
            LISTEN's own harness leaves unparsed answers out.
        uar: unweighted average recall over the emotions that are right somewhere; chance is one over their number.
        macro_f1: mean F1 over the same emotions; chance is that of answers with the same frequencies and no link to the truth.
        unparsed: share of answers without an emotion.
        majority: accuracy of always giving the commonest right answer.
        confusion: counts, right (rows) x answer (columns, "unparsed" last), in the order of `EMOTIONS`.
    """

    accuracy: Estimate
    uar: Estimate
    macro_f1: Estimate
    unparsed: Estimate
    majority: float
    confusion: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells that the table holds, by "condition_modality"."""

    cells: dict[str, Cell] = field(metadata=named("listen"))


def condition(words: str | None, voice: str | None) -> str | None:
    """Return the condition of an item; None where the voice is unknown. An item without known words is paralinguistic."""
    if voice is None:
        return None
    if words is None or words == "neutral":
        return "paralinguistic" if words is None else "neutral_text"
    return "matched" if words == voice else "mismatched"


def listen_grid(table: Table) -> Grid:
    """Measure every cell of the grid for which the table has items.

    Raises:
        ValueError: a column is missing, holds an unknown condition or modality, or an item lacks the emotion that would be right.
    """
    items = read_items(table)
    columns = extra_columns(table, "condition", "modality")
    for name, known in (("condition", CONDITIONS), ("modality", MODALITIES)):
        if unknown := sorted({str(value) for value in columns[name]} - set(known)):
            raise ValueError(f"column {name} holds {', '.join(unknown)}; choose from {', '.join(known)}")
    right = np.where(columns.modality == "text", items.words, items.voice)
    if (right < 0).any():
        raise ValueError(
            f"{int((right < 0).sum())} item(s) lack the emotion that would be right: text needs words with an emotion, audio a voice with one"
        )
    cells = {}
    for of in CONDITIONS:
        for given in MODALITIES:
            here = ((columns.condition == of) & (columns.modality == given)).to_numpy()
            if here.any():
                cells[f"{of}_{given}"] = _cell(items.where(here), right[here])
    if not cells:
        raise ValueError("the table holds no items")
    return Grid(cells)


def _cell(items: Items, right: np.ndarray) -> Cell:
    kinds = np.unique(right)
    hits, wanted, given = (np.equal.outer(codes, kinds) for codes in (np.where(right == items.answer, right, -1), right, items.answer))
    means = items.sums(*hits.T, *wanted.T, *given.T).map(_recall_and_f1)
    often = np.stack([wanted.mean(axis=0), given.mean(axis=0)])
    return Cell(
        accuracy=items.share(right == items.answer, chance=float(often.prod(axis=0).sum())),
        uar=means.estimate(0, chance=1 / len(kinds)),
        macro_f1=means.estimate(1, chance=float((2 * often.prod(axis=0) / often.sum(axis=0)).mean())),
        unparsed=items.share(items.answer < 0),
        majority=float(often[0].max()),
        confusion=confusion(right, items.answer, name="right"),
    )


def _recall_and_f1(sums: np.ndarray) -> np.ndarray:
    """(D, 3 emotions) sums of hits, of right ones, of given ones -> (D, 2) means over the emotions that are right somewhere in the draw."""
    hits, wanted, given = np.split(sums, 3, axis=1)
    held = wanted > 0
    recall = hits / np.where(held, wanted, 1.0)
    f1 = 2 * hits / np.where(held, wanted + given, 1.0)
    emotions = held.sum(axis=1)
    return np.column_stack([(recall * held).sum(axis=1), (f1 * held).sum(axis=1)]) / np.where(emotions > 0, emotions, np.nan)[:, None]
