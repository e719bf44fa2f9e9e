"""Semantic dominance: does the answer follow the voice or the words?

Input of every measure is a table with one row an item: `voice` (acoustic emotion), `words` (lexical emotion; None or NaN where the words
say nothing), `answer` (the emotion that the model claims; None or NaN where none could be read from its answer: it counts as wrong and is
reported), `sentence` and `speaker` (the clusters of every interval). Measures follow `statistics`: with fewer than ten speakers an interval
speaks for these speakers only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cogviz import statistics
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.items import read_items
from cogviz.evaluation.results import named
from cogviz.statistics import MIN_SENTENCES, Estimate

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table

UNPARSED = "unparsed"
UNIFORM_CHANCE = 1 / len(EMOTIONS)


@dataclass(frozen=True)
class Following:
    """Whom the answers follow on conflict items (words and voice both carry an emotion, and not the same).

    Attributes:
        voice, words: share of answers that name the voice's or the words' emotion; `chance` is prediction-marginal (sum over k of
            p_true(k) p_pred(k)), which a model that always gives its favourite answer reaches; the uniform one is `uniform_chance`.
        neither: the rest, unparsed answers with it. unparsed: their own share.
        index: semantic dominance index, words / (words + voice): 0 only listens, 1 only reads; NaN where nothing follows either.
        difference: voice - words. together: voice + words.
        sentences: number of distinct sentences.
    """

    voice: Estimate = field(metadata=named("follows_voice"))
    words: Estimate = field(metadata=named("follows_words"))
    neither: Estimate = field(metadata=named("follows_neither"))
    unparsed: Estimate
    index: Estimate = field(metadata=named("semantic_dominance_index"))
    difference: Estimate = field(metadata=named("voice_minus_words"))
    together: Estimate = field(metadata=named("voice_plus_words"))
    sentences: int
    uniform_chance: float = UNIFORM_CHANCE

    @property
    def verdict(self) -> str:
        """Return "follows the voice", "follows the words" or "undecided".

        Decided only where (a) the 95% interval of voice - words excludes 0, and what favourite answers alone would make of it too, (b) the
        lower end of the 95% interval of voice + words is above the sum of their prediction-marginal chances, so that the answers depend
        on the item at all, and (c) there are at least `MIN_SENTENCES` sentences.
        """
        expected = self.difference.chance or 0.0
        if self.sentences < MIN_SENTENCES or not self.together.low > (self.together.chance or 0.0):
            return "undecided"
        if self.difference.low > max(0.0, expected):
            return "follows the voice"
        return "follows the words" if self.difference.high < min(0.0, expected) else "undecided"

    @property
    def scope(self) -> str:
        """Return for whom the intervals hold: "for these speakers" (fewer than ten), "for these sentences" (fewer than five), or ""."""
        return self.voice.scope


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How often the voice's emotion is named.

    Attributes:
        balanced: mean recall over the emotions that occur; chance is one over their number.
        plain: share of right answers; chance is prediction-marginal.
        unparsed: share of answers without an emotion; they are wrong.
        recall: emotion -> recall; chance is how often the emotion is answered at all.
        confusion: counts, voice (rows) x answer (columns, "unparsed" last), in the order of `EMOTIONS`.
    """

    balanced: Estimate = field(metadata=named("voice_balanced_accuracy"))
    plain: Estimate = field(metadata=named("voice_accuracy"))
    unparsed: Estimate
    recall: dict[str, Estimate] = field(metadata=named("voice_recall"))
    confusion: pd.DataFrame


def _marginal_chance(truth: np.ndarray, answer: np.ndarray) -> float:
    return statistics.marginal_chance([str(k) for k in truth], [str(k) for k in answer])


def has_conflicts(table: Table) -> bool:
    """Say whether there is an item that `following` can measure."""
    return bool(read_items(table).conflict.any())


def following(table: Table) -> Following:
    """Measure whom the answers follow where words and voice disagree; raises `ValueError` where no item is a conflict."""
    every = read_items(table)
    items = every.where(every.conflict)
    if not len(items.voice):
        raise ValueError("no conflict items: following needs items whose words and voice both carry an emotion, and not the same")
    voice, words = (items.answer == items.voice).astype(float), (items.answer == items.words).astype(float)
    by_voice, by_words = _marginal_chance(items.voice, items.answer), _marginal_chance(items.words, items.answer)
    either = by_voice + by_words

    def index(weights: np.ndarray) -> float:
        follows = weights @ (voice + words)
        return float(weights @ words / follows) if follows else math.nan

    return Following(
        voice=items.share(voice, chance=by_voice),
        words=items.share(words, chance=by_words),
        neither=items.share(1 - voice - words, chance=1 - either),
        unparsed=items.share(items.answer < 0),
        index=items.estimate(index, chance=by_words / either if either else None),
        difference=items.difference(voice, words, chance=by_voice - by_words),
        together=items.share(voice + words, chance=either),
        sentences=len(np.unique(items.sentence)),
    )


def accuracy(table: Table) -> Accuracy:
    """Measure how often the voice's emotion is named, over all items whose voice carries one; raises `ValueError` where none does."""
    every = read_items(table)
    items = every.where(every.voice >= 0)
    if not len(items.voice):
        raise ValueError("no item whose voice carries an emotion")
    hit = items.answer == items.voice
    recall = {}
    for k in np.unique(items.voice):
        of_emotion = items.voice == k
        recall[EMOTIONS[k]] = items.where(of_emotion).share(hit[of_emotion], chance=float((items.answer == k).mean()))
    return Accuracy(
        balanced=statistics.balanced_accuracy(
            [EMOTIONS[k] for k in items.voice],
            [(*EMOTIONS, UNPARSED)[k] for k in items.answer],
            sentences=items.sentence.tolist(),
            speakers=items.speaker.tolist(),
        ),
        plain=items.share(hit, chance=_marginal_chance(items.voice, items.answer)),
        unparsed=items.share(items.answer < 0),
        recall=recall,
        confusion=confusion(items.voice, items.answer, name="voice"),
    )


def confusion(truth: np.ndarray, answer: np.ndarray, *, name: str) -> pd.DataFrame:
    """Count emotions (places in `EMOTIONS`, an answer of -1 is unparsed): `name` (rows) x answer (columns, "unparsed" last)."""
    import pandas as pd

    columns = (*EMOTIONS, UNPARSED)
    size = len(columns)
    counts = np.bincount(truth * size + answer % size, minlength=len(EMOTIONS) * size).reshape(len(EMOTIONS), size)
    return pd.DataFrame(counts, index=pd.Index(EMOTIONS, name=name), columns=pd.Index(columns, name="answer"))
