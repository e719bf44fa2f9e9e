"""The table of answers that every measure reads, checked and as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cogviz import statistics
from cogviz.emotions import EMOTIONS, UnknownEmotion, congruence
from cogviz.statistics import Estimate, Resampled

if TYPE_CHECKING:
    import pandas as pd

    Table: TypeAlias = pd.DataFrame | Mapping[str, Sequence[Any]]

COLUMNS = ("voice", "words", "answer", "sentence", "speaker")


@dataclass(frozen=True, eq=False)
class Items:
    """The table as arrays (n,): emotions as their place in `EMOTIONS`, -1 where missing."""

    voice: np.ndarray
    words: np.ndarray
    answer: np.ndarray
    sentence: np.ndarray
    speaker: np.ndarray

    def where(self, keep: np.ndarray) -> Items:
        return Items(self.voice[keep], self.words[keep], self.answer[keep], self.sentence[keep], self.speaker[keep])

    @property
    def conflict(self) -> np.ndarray:
        """(n,) True where the words carry an emotion and the voice another (`emotions.congruence`)."""
        names = (*EMOTIONS, None)  # code -1: unknown
        return np.array([congruence(names[t], names[a]) == "conflict" for t, a in zip(self.words, self.voice, strict=True)], dtype=bool)

    def resample(self, statistic: Callable[[np.ndarray], np.ndarray | float]) -> Resampled:
        """See `statistics.resample`."""
        return statistics.resample(statistic, len(self.voice), sentences=self.sentence.tolist(), speakers=self.speaker.tolist())

    def sums(self, *columns: np.ndarray) -> Resampled:
        """See `statistics.resample_sums`; `columns` are (n,) each."""
        return statistics.resample_sums(np.stack(columns, axis=1), sentences=self.sentence.tolist(), speakers=self.speaker.tolist())

    def estimate(self, statistic: Callable[[np.ndarray], float], *, chance: float | None = None) -> Estimate:
        return self.resample(statistic).estimate(chance=chance)

    def share(self, values: np.ndarray, *, chance: float | None = None) -> Estimate:
        return statistics.mean(values, sentences=self.sentence.tolist(), speakers=self.speaker.tolist(), chance=chance)

    def difference(self, first: np.ndarray, second: np.ndarray, *, chance: float | None = 0.0) -> Estimate:
        """See `statistics.difference`."""
        return statistics.difference(first, second, sentences=self.sentence.tolist(), speakers=self.speaker.tolist(), chance=chance)


def read_items(table: Table) -> Items:
    """Check a table and return its columns.

    Raises:
        ValueError: a column is missing, or an item has no sentence or speaker.
        UnknownEmotion: a column holds what is no emotion.
    """
    import pandas as pd

    frame = pd.DataFrame(table)
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise ValueError(f"the table lacks the column(s) {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    for name in ("sentence", "speaker"):
        if frame[name].isna().any():
            raise ValueError(f"{int(frame[name].isna().sum())} item(s) have no {name}; every interval is clustered by it")
    return Items(*(emotion_codes(frame[c]) for c in COLUMNS[:3]), *(frame[c].to_numpy().astype(str) for c in COLUMNS[3:]))


def emotion_codes(column: pd.Series) -> np.ndarray:
    """(n,) emotions as their place in `EMOTIONS`, -1 where missing; raises `UnknownEmotion` for what is no emotion."""
    import pandas as pd

    values = [None if pd.isna(value) else value for value in column]
    if unknown := sorted({str(value) for value in values if value is not None and value not in EMOTIONS}):
        raise UnknownEmotion(f"column {column.name} holds {', '.join(unknown)}; choose from {', '.join(EMOTIONS)}, or None")
    return np.array([-1 if value is None else EMOTIONS.index(value) for value in values], dtype=int)


def extra_columns(table: Table, *names: str) -> pd.DataFrame:
    """Return further columns of a table, in the order of `read_items`.

    Raises:
        ValueError: one is missing.
    """
    import pandas as pd

    frame = pd.DataFrame(table)
    if missing := [name for name in names if name not in frame.columns]:
        raise ValueError(f"the table lacks the column(s) {', '.join(missing)}, which this measure needs beside {', '.join(COLUMNS)}")
    return frame[list(names)]
