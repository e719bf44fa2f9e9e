"""The emotion of an answer, read twice: by scoring the seven labels under the model, and by parsing what it says. Both are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cogviz import statistics
from cogviz.emotions import EMOTIONS, UnknownEmotion
from cogviz.evaluation.items import read_items
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from cogviz.evaluation.items import Table

UNPARSED = "unparsed"


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two readings of the same answers.

    Attributes:
        scored: balanced accuracy of the likeliest label for the voice's emotion.
        parsed: likewise of the emotion that the text claims; unparsed counts as wrong.
        difference: scored - parsed.
        unparsed: share of texts that claim no emotion.
        disagree: among the others, share of which the text claims another emotion than the likeliest label; NaN where there are none.
        disagreements: how many these are.
        table: counts, likeliest label (rows) x claim of the text (columns, "unparsed" last), in the order of `EMOTIONS`.
    """

    scored: Estimate
    parsed: Estimate
    difference: Estimate
    unparsed: Estimate
    disagree: Estimate
    disagreements: int
    table: pd.DataFrame


def likeliest(scores: np.ndarray) -> list[str]:
    """Return the emotion of the highest score of each row; `scores`: (N, 7), as `Listener.scores` returns them."""
    return [EMOTIONS[i] for i in np.asarray(scores).reshape(-1, len(EMOTIONS)).argmax(axis=1)]


def agreement(table: Table) -> Agreement:
    """Put both readings side by side.

    Args:
        table: the columns of `items.COLUMNS`, `answer` being what the text claims, and `scored`, the likeliest label.

    Raises:
        ValueError: a column is missing, or no item has a voice emotion.
        UnknownEmotion: `scored` holds what is no emotion.
    """
    frame = pd.DataFrame(table)
    if "scored" not in frame.columns:
        raise ValueError("the table lacks the column scored; put `likeliest(listener.scores(utterances))` there")
    if unknown := sorted({str(name) for name in frame["scored"]} - set(EMOTIONS)):
        raise UnknownEmotion(f"column scored holds {', '.join(unknown)}; choose from {', '.join(EMOTIONS)}")
    everything = read_items(frame)
    keep = everything.voice >= 0
    if not keep.any():
        raise ValueError("no item has a voice emotion, so nothing can be right")
    items = everything.where(keep)
    label = np.array([EMOTIONS.index(str(name)) for name in frame["scored"]])[keep]
    names = [EMOTIONS[v] for v in items.voice]
    clusters = {"sentences": items.sentence.tolist(), "speakers": items.speaker.tolist()}
    claims = [EMOTIONS[a] if a >= 0 else UNPARSED for a in items.answer]
    member = np.stack([items.voice == k for k in np.unique(items.voice)]).astype(float)
    gain = (label == items.voice).astype(float) - (items.answer == items.voice)

    def difference(weights: np.ndarray) -> float:
        size = member @ weights
        return float(((member @ (weights * gain))[size > 0] / size[size > 0]).mean())

    told = items.answer >= 0
    other = (items.answer != label)[told]
    counts = pd.crosstab(pd.Series(likely := [EMOTIONS[i] for i in label]), pd.Series(claims))
    counts = counts.reindex(index=list(EMOTIONS), columns=[*EMOTIONS, UNPARSED], fill_value=0).rename_axis(index="scored", columns="parsed")
    return Agreement(
        scored=statistics.balanced_accuracy(names, likely, **clusters),
        parsed=statistics.balanced_accuracy(names, claims, **clusters),
        difference=items.estimate(difference, chance=0.0),
        unparsed=items.share(~told),
        disagree=items.where(told).share(other) if told.any() else Estimate(np.nan, np.nan, np.nan, 0),
        disagreements=int(other.sum()),
        table=counts,
    )
