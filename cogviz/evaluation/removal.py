"""Removing the tone: how much accuracy goes when one part of a sound is taken away (`cogviz.evaluation.stimuli`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cogviz import statistics
from cogviz.evaluation.items import COLUMNS, read_items
from cogviz.statistics import MIN_SENTENCES, Estimate

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table

UNTOUCHED = "untouched"


@dataclass(frozen=True)
class Removal:
    """What one removal does to the answers, on the items that were heard both ways.

    Attributes:
        accuracy: share of answers that still name the voice's emotion; chance is prediction-marginal. before: the same under the reference.
        drop: before - accuracy, paired; chance is 0.
        sentences: number of distinct sentences.
    """

    accuracy: Estimate
    before: Estimate
    drop: Estimate
    sentences: int

    @property
    def verdict(self) -> str:
        """Return "needed", "in the way" or "undecided": where the drop's interval excludes 0 and there are `MIN_SENTENCES` sentences."""
        if self.sentences < MIN_SENTENCES:
            return "undecided"
        return "needed" if self.drop.low > 0 else "in the way" if self.drop.high < 0 else "undecided"


def removal(table: Table, *, reference: str = UNTOUCHED) -> dict[str, Removal]:
    """Measure every removal in a table of answers against the untouched sounds.

    Args:
        table: columns `item` (id of the original), `edit` ("untouched", or what was removed), and those of `items.COLUMNS`; `voice` and `words`
            are the original's. An item without answer under the reference, or whose voice carries no emotion, is left out.
        reference: the edit to compare with. "resynthesis" takes out what the vocoder alone does, for the removals that go through it.

    Raises:
        ValueError: a column is missing, no item has the reference, an item stands twice under one edit, or nothing was removed.
    """
    import pandas as pd

    frame = pd.DataFrame(table)
    if missing := [name for name in ("item", "edit", *COLUMNS) if name not in frame.columns]:
        raise ValueError(f"the table lacks the column(s) {', '.join(missing)}; it needs item, edit, {', '.join(COLUMNS)}")
    if (twice := frame.duplicated(["item", "edit"])).any():
        first = frame[twice].iloc[0]
        raise ValueError(f"item {first['item']} stands more than once under {first['edit']}")
    frame = frame.assign(hit=_hits(frame)).dropna(subset="voice")
    before = frame[frame.edit == reference].set_index("item")
    edits = [edit for edit in frame.edit.unique() if edit != reference]
    if before.empty or not edits:
        raise ValueError(f"nothing to compare: the table needs items whose edit is {reference!r} and others")
    found = {}
    for edit in edits:
        after = frame[(frame.edit == edit) & frame["item"].isin(before.index)]
        if after.empty:
            raise ValueError(f"no item of {edit} has an answer under {reference}; the column item must hold the originals' ids")
        same = before.loc[after["item"]]
        clusters = {"sentences": after.sentence.astype(str).tolist(), "speakers": after.speaker.astype(str).tolist()}
        hit, hit_before = after.hit.to_numpy(), same.hit.to_numpy()
        found[str(edit)] = Removal(
            accuracy=statistics.mean(hit, chance=_chance(after), **clusters),
            before=statistics.mean(hit_before, chance=_chance(same), **clusters),
            drop=statistics.difference(hit_before, hit, **clusters),
            sentences=after.sentence.nunique(),
        )
    return found


def _hits(frame: pd.DataFrame) -> np.ndarray:
    items = read_items(frame)
    return (items.answer == items.voice).astype(float)


def _chance(frame: pd.DataFrame) -> float:
    return statistics.marginal_chance(frame.voice.astype(str).tolist(), frame.answer.astype(str).tolist())
