"""Semantic dominance: does the answer follow the voice or the words?

Input of every measure is a table with one row an item: `voice` (acoustic emotion), `words` (lexical emotion; None or NaN where the words
say nothing), `answer` (the emotion that the model claims; None or NaN where none could be read from its answer: it counts as wrong and is
reported), `sentence` and `speaker` (the clusters of every interval). Measures follow `statistics`: with fewer than ten speakers an interval
speaks for these speakers only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cogviz import statistics
from cogviz.emotions import EMOTIONS, congruence
from cogviz.evaluation.items import Items, read_items
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table

UNPARSED = "unparsed"
UNIFORM_CHANCE = 1 / len(EMOTIONS)

MIN_SENTENCES = 5
"""Fewer sentences than this give no verdict: resampling so few clusters cannot show how far sentences differ."""

MIN_ITEMS = 1500
"""Below this an information split over 7 x 7 cells carries a warning: the bias correction is rough."""

MAX_DEPENDENCE = 0.05
"""The largest share of an emotion's entropy that words and voice may hold of each other in a balanced design."""


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

    voice: Estimate
    words: Estimate
    neither: Estimate
    unparsed: Estimate
    index: Estimate
    difference: Estimate
    together: Estimate
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
        """Return "for these speakers" where there are fewer than ten, else ""."""
        return self.voice.scope


@dataclass(frozen=True)
class Information:
    """How much of the answers' entropy the words and the voice explain (unparsed is one of the answers).

    Every combination of words and voice weighs the same. Few items overstate information; the jackknife over the sentences of each lexical
    emotion takes that bias out (Quenouille 1956; on simulated listeners it came nearer the truth than Miller-Madow, above all for the
    synergy, which stays a little too high). So chance is 0, and a share near 0 may come out below it. Intervals: clustered bootstrap,
    recentred on the value. Where a model always answers the same there is nothing to explain: NaN.

    Attributes:
        words, voice: I(answer; words) / H(answer), I(answer; voice) / H(answer).
        synergy: (I(answer; words, voice) - I(answer; words) - I(answer; voice)) / H(answer): what only both together tell.
        entropy: H(answer) in bits, plug-in; a share times it is in bits.
        p_words, p_voice: share of permutations that reach the value: the words shuffled among sentences, the voice within a sentence.
        warning: "" or one sentence.
    """

    words: Estimate
    voice: Estimate
    synergy: Estimate
    entropy: Estimate
    p_words: float
    p_voice: float
    warning: str = ""


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

    balanced: Estimate
    plain: Estimate
    unparsed: Estimate
    recall: dict[str, Estimate]
    confusion: pd.DataFrame


def _marginal_chance(truth: np.ndarray, answer: np.ndarray) -> float:
    return statistics.marginal_chance([str(k) for k in truth], [str(k) for k in answer])


def _conflicts(items: Items) -> np.ndarray:
    """(N,) True where the words carry an emotion and the voice another (`emotions.congruence`)."""
    names = (*EMOTIONS, None)  # code -1: unknown
    return np.array([congruence(names[t], names[a]) == "conflict" for t, a in zip(items.words, items.voice, strict=True)], dtype=bool)


def has_conflicts(table: Table) -> bool:
    """Say whether there is an item that `following` can measure."""
    return bool(_conflicts(read_items(table)).any())


def following(table: Table) -> Following:
    """Measure whom the answers follow where words and voice disagree; raises `ValueError` where no item is a conflict."""
    every = read_items(table)
    items = every.where(_conflicts(every))
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
        difference=items.share(voice - words, chance=by_voice - by_words),
        together=items.share(voice + words, chance=either),
        sentences=len(np.unique(items.sentence)),
    )


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Plug-in entropy in bits of (..., categories) counts -> (...)."""
    share = counts / counts.sum(axis=-1, keepdims=True)
    return -(share * np.log2(np.where(share > 0, share, 1.0))).sum(axis=-1)


def _shares(counts: np.ndarray) -> np.ndarray:
    """(..., words, voice, answer) counts -> (..., 4): I(y; t) / H, I(y; a) / H, synergy / H, H(y) in bits; shares are NaN where H is 0.

    Each combination of words and voice that has items weighs the same, so that a draw of sentences does not unbalance the design.
    """
    items = counts.sum(-1, keepdims=True)
    counts = counts / np.where(items > 0, items, 1.0)
    flat = counts.reshape(*counts.shape[:-3], -1)
    answers = _entropy(counts.sum((-3, -2)))
    by_words = answers + _entropy(counts.sum((-2, -1))) - _entropy(counts.sum(-2).reshape(*counts.shape[:-3], -1))
    by_voice = answers + _entropy(counts.sum((-3, -1))) - _entropy(counts.sum(-3).reshape(*counts.shape[:-3], -1))
    by_both = answers + _entropy(counts.sum(-1).reshape(*counts.shape[:-3], -1)) - _entropy(flat)
    scale = np.where(answers > 1e-12, answers, np.nan)
    return np.stack([by_words / scale, by_voice / scale, (by_both - by_words - by_voice) / scale, answers], axis=-1)


def _counts(items: Items, weights: np.ndarray | None = None) -> np.ndarray:
    """(words, voice, answer) weighted counts; unparsed is the first answer."""
    size = len(EMOTIONS)
    code = (items.words * size + items.voice) * (size + 1) + items.answer + 1
    return np.bincount(code, weights, minlength=size * size * (size + 1)).reshape(size, size, size + 1).astype(float)


def _check_crossing(words: np.ndarray, voice: np.ndarray) -> None:
    """Words and voice must be independent by design, or what one tells would be booked on the other."""
    kinds_t, kinds_a = np.unique(words), np.unique(voice)
    if len(kinds_t) < 2 or len(kinds_a) < 2:
        raise ValueError("words and voice are not crossed: each must carry at least two emotions")
    counts = np.array([[np.sum((words == t) & (voice == a)) for a in kinds_a] for t in kinds_t], dtype=float)
    if (counts == 0).any():
        t, a = np.argwhere(counts == 0)[0]
        raise ValueError(
            f"words and voice are not crossed: {int((counts == 0).sum())} of {counts.size} combinations have no item, for example "
            f"{EMOTIONS[kinds_t[t]]} words in a(n) {EMOTIONS[kinds_a[a]]} voice; add them (the congruent ones count too)"
        )
    share = counts / counts.sum()
    rows, columns = share.sum(1, keepdims=True), share.sum(0, keepdims=True)
    shared = float((share * np.log2(share / (rows * columns))).sum())
    dependence = shared / min(float(-(p * np.log2(p)).sum()) for p in (rows, columns))
    if dependence > MAX_DEPENDENCE:
        raise ValueError(
            f"words and voice are not balanced: they share {dependence:.0%} of their entropy, more than {MAX_DEPENDENCE:.0%}; "
            "give every combination about the same number of items"
        )


def information_split(table: Table, *, permutations: int = 200, seed: int = 0) -> Information:
    """Split what the answers carry into what the words tell, what the voice tells, and what only both together tell.

    Items whose words or voice carry no emotion are left out.

    Args:
        permutations: of the null; 0 for none (then `p_words`, `p_voice` are NaN).

    Raises:
        ValueError: words and voice are not crossed (a combination is empty) or not balanced.
    """
    every = read_items(table)
    items = every.where((every.voice >= 0) & (every.words >= 0))
    if not len(items.voice):
        raise ValueError("no item whose words and voice both carry an emotion")
    _check_crossing(items.words, items.voice)
    counts = _counts(items)
    found = _shares(counts)
    bias = np.zeros(4)
    for lexical in np.unique(items.words):
        sentences = np.unique(items.sentence[items.words == lexical])
        without = np.stack([counts - _counts(items.where(items.sentence == s)) for s in sentences])
        bias += (len(sentences) - 1) * (_shares(without).mean(axis=0) - found)
    bias[3] = 0.0

    def estimate(part: int, chance: float | None = 0.0) -> Estimate:
        raw = items.estimate(lambda w: float(_shares(_counts(items, w))[part]), chance=chance, recentre=True)
        return replace(raw, **{end: getattr(raw, end) - float(bias[part]) for end in ("value", "low", "high")})

    p_words, p_voice = _permutation_test(items, found, permutations, seed)
    n = len(items.voice)
    return Information(
        words=estimate(0),
        voice=estimate(1),
        synergy=estimate(2),
        entropy=estimate(3, chance=None),
        p_words=p_words,
        p_voice=p_voice,
        warning=f"{n} items are few for an information split; below {MIN_ITEMS} the bias correction is rough" if n < MIN_ITEMS else "",
    )


def _permutation_test(items: Items, found: np.ndarray, permutations: int, seed: int) -> tuple[float, float]:
    """Return p of the words' and of the voice's information.

    A sentence keeps its answers together, as it does in the bootstrap: what a model answers to one sentence hangs together even where it
    understands neither words nor tone. So words move with their sentence, and voices only within one.
    """
    if not permutations or not np.isfinite(found).all():
        return math.nan, math.nan
    draw = np.random.default_rng(seed)
    _, first, sentence = np.unique(items.sentence, return_index=True, return_inverse=True)
    by_sentence = np.argsort(sentence, kind="stable")
    reached = np.ones(2)
    for _ in range(permutations):
        words = items.words[first][draw.permutation(len(first))][sentence]
        voice = np.empty_like(items.voice)
        voice[by_sentence] = items.voice[np.lexsort((draw.random(len(sentence)), sentence))]
        reached[0] += _shares(_counts(replace(items, words=words)))[0] >= found[0] - 1e-12
        reached[1] += _shares(_counts(replace(items, voice=voice)))[1] >= found[1] - 1e-12
    p_words, p_voice = reached / (permutations + 1)
    return float(p_words), float(p_voice)


def accuracy(table: Table) -> Accuracy:
    """Measure how often the voice's emotion is named, over all items whose voice carries one; raises `ValueError` where none does."""
    import pandas as pd

    every = read_items(table)
    items = every.where(every.voice >= 0)
    if not len(items.voice):
        raise ValueError("no item whose voice carries an emotion")
    columns = (*EMOTIONS, UNPARSED)
    size = len(columns)
    # -1, an unparsed answer, is the last column
    counts = np.bincount(items.voice * size + items.answer % size, minlength=len(EMOTIONS) * size)
    hit = items.answer == items.voice
    recall = {}
    for k in np.unique(items.voice):
        of_emotion = items.voice == k
        recall[EMOTIONS[k]] = items.where(of_emotion).share(hit[of_emotion], chance=float((items.answer == k).mean()))
    return Accuracy(
        balanced=statistics.balanced_accuracy(
            [EMOTIONS[k] for k in items.voice],
            [columns[k] for k in items.answer],
            sentences=items.sentence.tolist(),
            speakers=items.speaker.tolist(),
        ),
        plain=items.share(hit, chance=_marginal_chance(items.voice, items.answer)),
        unparsed=items.share(items.answer < 0),
        recall=recall,
        confusion=pd.DataFrame(
            counts.reshape(len(EMOTIONS), size), index=pd.Index(EMOTIONS, name="voice"), columns=pd.Index(columns, name="answer")
        ),
    )


def rows(result: Following | Information | Accuracy, *, model: str, data: str) -> list[dict[str, Any]]:
    """Return a result as rows {model, measure, value, low, high, n, chance, data} that JSON can hold (None for NaN)."""
    match result:
        case Following():
            named = {
                "follows_voice": result.voice,
                "follows_words": result.words,
                "follows_neither": result.neither,
                "unparsed": result.unparsed,
                "semantic_dominance_index": result.index,
                "voice_minus_words": result.difference,
                "voice_plus_words": result.together,
            }
        case Information():
            named = {
                "information_from_words": result.words,
                "information_from_voice": result.voice,
                "information_from_both": result.synergy,
                "answer_entropy_bits": result.entropy,
            }
        case Accuracy():
            named = {
                "voice_balanced_accuracy": result.balanced,
                "voice_accuracy": result.plain,
                "unparsed": result.unparsed,
                **{f"voice_recall_{name}": estimate for name, estimate in result.recall.items()},
            }

    def number(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    return [
        {
            "model": model,
            "measure": measure,
            "value": number(e.value),
            "low": number(e.low),
            "high": number(e.high),
            "n": e.n,
            "chance": number(e.chance),
            "data": data,
        }
        for measure, e in named.items()
    ]
