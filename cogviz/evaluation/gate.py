"""The validity gate: do the stimuli carry what they should, before anybody asks what a model makes of them?

The gate works on conditions (words x voice x intensity) and not on items: leaving out the items that a classifier finds hard would leave in what
that classifier, and a model like it, finds easy. Input is a table of stimuli with `words`, `voice`, `sentence`, `speaker`, perhaps `intensity`, and
what two recognisers make of them (see `recognisers`; none of them shares the model's encoder): `heard`, the voice's emotion from the sound alone,
and `read`, the words' emotion from the text alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.evaluation.items import emotion_codes, extra_columns
from cogviz.evaluation.results import named
from cogviz.statistics import MIN_SENTENCES, Estimate, balanced_accuracy, mean

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table

Result = TypeVar("Result")

MARGIN = 0.05
"""By how much the lower end of a condition's recall must exceed chance."""

BY = ("words", "voice", "intensity")


@dataclass(frozen=True, eq=False)
class Gate:
    """Which conditions carry what they should.

    Attributes:
        heard, read: balanced accuracy of the two recognisers over all stimuli; None where the stimuli carry no such emotion.
        kept: share of the items in conditions that carry. dropped_voice, dropped_words: emotion -> share of its items that are left out. The gate is
            what it is for these stimuli: no intervals.
        conditions: a row a condition: its columns `by`, n, sentences; for the voice and for the words (`heard_`, `read_`) value, low, high (recall)
            and chance (how often the emotion is named where it is not); `carries`, and `why` not.
        by: the columns that make a condition.
    """

    heard: Estimate | None = field(metadata=named("gate_voice_balanced_accuracy"))
    read: Estimate | None = field(metadata=named("gate_words_balanced_accuracy"))
    kept: Estimate = field(metadata=named("gate_kept"))
    dropped_voice: dict[str, Estimate] = field(metadata=named("gate_dropped_voice"))
    dropped_words: dict[str, Estimate] = field(metadata=named("gate_dropped_words"))
    conditions: pd.DataFrame
    by: tuple[str, ...]

    def keep(self, table: Table) -> np.ndarray:
        """(N,) True where an item is of a condition that carries what it should; a condition that the gate never saw does not."""
        return _carrying(self.conditions, extra_columns(table, *self.by), self.by)


@dataclass(frozen=True, eq=False)
class Gated(Generic[Result]):
    """One measure of all items, and of those alone whose conditions carry what they should.

    `gated` is None where it cannot be measured: `why`.
    """

    ungated: Result = field(metadata=named(""))
    gated: Result | None = field(metadata=named("gated"))
    why: str = ""


def validity_gate(table: Table, *, margin: float = MARGIN) -> Gate:
    """Decide for each condition whether its stimuli carry the emotion of the voice, and that of the words where they have one.

    A condition carries an emotion where the 95% interval of the recogniser's recall lies above chance by more than `margin`, chance being how often
    it names that emotion where it is not; and it needs `MIN_SENTENCES` sentences. A recogniser whose column the table lacks decides nothing.

    Raises:
        ValueError: a column is missing, `heard` and `read` are both missing, or the voices (the words) carry one emotion only, or none.
    """
    import pandas as pd

    frame = pd.DataFrame(table).reset_index(drop=True)
    extra_columns(frame, "words", "voice", "sentence", "speaker")
    judges = [(truth, found) for truth, found in (("voice", "heard"), ("words", "read")) if found in frame]
    if not judges:
        raise ValueError("the table has neither column heard (voices, from the sound alone) nor read (words, from the text alone)")
    by = tuple(name for name in BY if name in frame)
    frame = frame[frame.voice.notna()].reset_index(drop=True)
    if frame.empty:
        raise ValueError("no stimulus whose voice carries an emotion")
    codes = {name: emotion_codes(frame[name]) for pair in judges for name in pair}
    for truth, found in judges:
        known = np.unique(codes[truth][codes[truth] >= 0])
        if len(known) == 1:
            raise ValueError(
                f"the {truth} of all stimuli carries {EMOTIONS[known[0]]}: whether {found} tells emotions apart takes at least two"
            )
    conditions = pd.DataFrame([_condition(frame, of, key, by, judges, codes, margin) for key, of in _groups(frame, by)])
    dropped = ~_carrying(conditions, frame, by)
    return Gate(
        heard=_balanced(frame, codes, "voice", "heard"),
        read=_balanced(frame, codes, "words", "read"),
        kept=_share(~dropped),
        dropped_voice={e: _share(dropped[frame.voice == e]) for e in EMOTIONS if (frame.voice == e).any()},
        dropped_words={e: _share(dropped[frame.words == e]) for e in EMOTIONS if (frame.words == e).any()},
        conditions=conditions,
        by=by,
    )


def gated(measurement: Callable[[Table], Result], table: Table, gate: Gate) -> Gated[Result]:
    """Measure a table of answers as it is and without the conditions that do not carry what they should.

    Args:
        measurement: such as `dominance.following`. table: answers, with the columns of `gate.by`.
    """
    import pandas as pd

    kept = pd.DataFrame(table)[gate.keep(table)]
    whole = measurement(table)
    if not len(kept):
        return Gated(whole, None, "no condition carries what it should")
    try:
        return Gated(whole, measurement(kept))
    except ValueError as error:
        return Gated(whole, None, str(error))


def _condition(
    frame: pd.DataFrame,
    of: np.ndarray,
    key: tuple[Any, ...],
    by: tuple[str, ...],
    judges: list[tuple[str, str]],
    codes: dict[str, np.ndarray],
    margin: float,
) -> dict[str, Any]:
    sentences, speakers = frame.sentence[of].astype(str).tolist(), frame.speaker[of].astype(str).tolist()
    row: dict[str, Any] = {**dict(zip(by, key, strict=True)), "n": len(of), "sentences": len(set(sentences))}
    why = ["too few sentences"] if row["sentences"] < MIN_SENTENCES else []
    for truth, found in judges:
        carried = codes[truth][of[0]]
        if carried < 0:
            continue
        recall = mean(codes[found][of] == carried, sentences=sentences, speakers=speakers)
        elsewhere = (codes[truth] >= 0) & (codes[truth] != carried)
        chance = float((codes[found][elsewhere] == carried).mean())
        row |= {f"{found}_value": recall.value, f"{found}_low": recall.low, f"{found}_high": recall.high, f"{found}_chance": chance}
        if not recall.low > chance + margin:
            why.append(f"{truth} not {found}")
    return {**row, "carries": not why, "why": "; ".join(why)}


def _groups(frame: pd.DataFrame, by: tuple[str, ...]) -> list[tuple[tuple[Any, ...], np.ndarray]]:
    """The conditions of a table, each with the places of its items."""
    places: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(_keys(frame, by)):
        places.setdefault(key, []).append(i)
    return [(key, np.array(places[key])) for key in sorted(places, key=str)]


def _carrying(conditions: pd.DataFrame, frame: pd.DataFrame, by: tuple[str, ...]) -> np.ndarray:
    """(N,) True where an item of `frame` is of a condition that carries what it should."""
    good = {key for key, carries in zip(_keys(conditions, by), conditions.carries, strict=True) if carries}
    return np.array([key in good for key in _keys(frame, by)], dtype=bool)


def _keys(frame: pd.DataFrame, by: tuple[str, ...]) -> list[tuple[Any, ...]]:
    import pandas as pd

    return [tuple(None if pd.isna(value) else value for value in row) for row in frame[list(by)].itertuples(index=False)]


def _balanced(frame: pd.DataFrame, codes: dict[str, np.ndarray], truth: str, found: str) -> Estimate | None:
    if found not in codes or not (known := codes[truth] >= 0).any():
        return None
    return balanced_accuracy(
        [str(k) for k in codes[truth][known]],
        [str(k) for k in codes[found][known]],
        sentences=frame.sentence[known].astype(str).tolist(),
        speakers=frame.speaker[known].astype(str).tolist(),
    )


def _share(values: np.ndarray) -> Estimate:
    return Estimate(float(values.mean()), math.nan, math.nan, len(values))
