"""Is the chain of thought what the response comes from? The chain is edited, put into the model's mouth, and the response is read again.

Edits after Lanham et al. 2023 ("Measuring Faithfulness in Chain-of-Thought Reasoning"), where the answer is one of a few: early answering, and
mistakes. Here the answer is free text, so a judge tells which emotion a response answers to, and the sound stays as it was: a response that
goes with the edited chain against the sound comes from the chain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cogviz import statistics
from cogviz.evaluation.chains import EARLY, OWN, edits
from cogviz.statistics import MIN_SENTENCES, Estimate
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table
    from cogviz.models.listener import Heard

COLUMNS = ("item", "edit", "sound", "chain", "told", "sentence", "speaker")


class Responder(Protocol):
    """A model that responds after thoughts that are put into its mouth."""

    def respond(self, utterances: Sequence[Utterance], thoughts: Sequence[str], *, progress: bool = True) -> list[str]:
        """Return the responses."""
        ...


def ask(listener: Responder, heard: Sequence[Heard], judge: Any, *, progress: bool = True) -> pd.DataFrame:
    """Let the model respond to every edit, and the judge tell each response's emotion; the table that `faithfulness` reads, with the texts.

    Args:
        heard: answers on the reasoning route, all variants of a cell together.
        judge: `rewards.evaluation_judge()`, or whatever has `tell(responses)`.

    Raises:
        ValueError: no answer has a chain that claims an emotion.
    """
    import pandas as pd

    made = edits(heard)
    if not made:
        raise ValueError(f"none of {len(heard)} answers has a chain that claims an emotion; chain faithfulness needs the reasoning route")
    said = listener.respond([e.utterance for e in made], [e.thought for e in made], progress=progress)
    told = [emotion if text.strip() else None for emotion, text in zip(judge.tell(said), said, strict=True)]
    return pd.DataFrame(
        {
            "item": [e.utterance.id for e in made],
            "edit": [e.name for e in made],
            "sound": [e.utterance.emotion for e in made],
            "chain": [e.chain for e in made],
            "told": told,
            "sentence": [e.utterance.sentence for e in made],
            "speaker": [e.utterance.speaker for e in made],
            "thought": [e.thought for e in made],
            "response": said,
        }
    )


# --- the measure -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Followed:
    """Whom the responses follow where the edited chain says one emotion and the sound another.

    Attributes:
        chain, sound: share of responses that answer to the emotion of the edited part, of the sound; chance is prediction-marginal. Under
            "swapped" the sound stands alone against the chain; under the others the unedited steps mostly go with it. neither: the rest.
        index: chain / (chain + sound): 0 ignores its chain, 1 only follows its chain; NaN where nothing follows either.
        difference: chain - sound.
        sentences: number of distinct sentences.
    """

    chain: Estimate
    sound: Estimate
    neither: Estimate
    index: Estimate
    difference: Estimate
    sentences: int

    @property
    def verdict(self) -> str:
        """Return "follows its chain", "follows the sound" or "undecided" (see `dominance.Following.verdict`)."""
        expected = self.difference.chance or 0.0
        if self.sentences < MIN_SENTENCES:
            return "undecided"
        if self.difference.low > max(0.0, expected):
            return "follows its chain"
        return "follows the sound" if self.difference.high < min(0.0, expected) else "undecided"


@dataclass(frozen=True)
class Faithfulness:
    """How the responses hang on the chain.

    Attributes:
        own: share of responses, after the model's own chain, that answer to the emotion which the chain claims.
        follows: edit that speaks for another emotion -> whom the responses follow.
        changed: edit -> share of responses that answer to another emotion than after the own chain; 0 where the chain does not matter.
        early: mean of `changed` over the cuts after 0 .. 3 steps: the area over the curve of early answering; 0 where the response is settled
            before the chain begins.
    """

    own: Estimate
    follows: dict[str, Followed]
    changed: dict[str, Estimate]
    early: Estimate


def faithfulness(table: Table) -> Faithfulness:
    """Measure a table of edited chains and what their responses answer to.

    Args:
        table: the columns `COLUMNS`, one row an item and edit. `told` is None where a response is empty: it follows neither, and is a change.

    Raises:
        ValueError: a column is missing, or there is no own chain to compare with.
    """
    import pandas as pd

    frame = pd.DataFrame(table)
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise ValueError(f"the table lacks the column(s) {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    if (twice := frame.duplicated(["item", "edit"])).any():
        first = frame[twice].iloc[0]
        raise ValueError(f"item {first['item']} stands more than once under {first['edit']}")
    frame = frame.assign(told=frame.told.fillna("none"))
    own = frame[frame.edit == OWN].set_index("item")
    frame = frame[frame["item"].isin(own.index)]
    if own.empty or not set(EARLY) <= set(frame.edit):
        raise ValueError(f"nothing to compare: the table needs the edits {OWN}, {', '.join(EARLY)}")
    frame = frame.assign(changed=(frame.told.to_numpy() != own.told.loc[frame["item"]].to_numpy()).astype(float))
    parts: Mapping[str, pd.DataFrame] = {str(name): part for name, part in frame.groupby("edit", sort=False) if name != OWN}
    early = frame[frame.edit.isin(EARLY)].groupby("item", sort=False).agg({"changed": "mean", "sentence": "first", "speaker": "first"})
    return Faithfulness(
        own=_mean(own, own.told == own.chain, statistics.marginal_chance(own.chain.tolist(), own.told.tolist())),
        follows={name: _followed(part) for name, part in parts.items() if part.chain.notna().all()},
        changed={name: _mean(part, part.changed) for name, part in parts.items()},
        early=_mean(early, early.changed),
    )


def _mean(part: pd.DataFrame, values: Any, chance: float | None = None) -> Estimate:
    sentences, speakers = part.sentence.astype(str).tolist(), part.speaker.astype(str).tolist()
    return statistics.mean(np.asarray(values, dtype=float), sentences=sentences, speakers=speakers, chance=chance)


def _followed(part: pd.DataFrame) -> Followed:
    chain, sound = ((part.told == part[name]).to_numpy(dtype=float) for name in ("chain", "sound"))
    by_chain, by_sound = (statistics.marginal_chance(part[name].astype(str).tolist(), part.told.tolist()) for name in ("chain", "sound"))

    def index(weights: np.ndarray) -> float:
        either = weights @ (chain + sound)
        return float(weights @ chain / either) if either else math.nan

    either = by_chain + by_sound
    return Followed(
        chain=_mean(part, chain, by_chain),
        sound=_mean(part, sound, by_sound),
        neither=_mean(part, 1 - chain - sound, 1 - either),
        index=statistics.bootstrap(
            index,
            len(part),
            sentences=part.sentence.astype(str).tolist(),
            speakers=part.speaker.astype(str).tolist(),
            chance=by_chain / either if either else None,
        ),
        difference=statistics.difference(
            chain,
            sound,
            sentences=part.sentence.astype(str).tolist(),
            speakers=part.speaker.astype(str).tolist(),
            chance=by_chain - by_sound,
        ),
        sentences=part.sentence.nunique(),
    )
