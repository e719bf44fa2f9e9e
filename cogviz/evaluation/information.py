"""The information split: how much of what a model answers do the words tell, how much the voice, and how much only both together?

Input is the table that `dominance` describes. Beside the split stands Cramer's V, which the literature reports for the same question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.evaluation.items import Items, read_items
from cogviz.evaluation.results import named
from cogviz.evaluation.weighing import cue_features, fit_logit, logit_probabilities
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from cogviz.evaluation.items import Table

MIN_ITEMS = 1500
"""Below this an information split over 7 x 7 cells needs the permutations beside it, and carries a warning."""

MAX_DEPENDENCE = 0.05
"""The largest share of an emotion's entropy that words and voice may hold of each other in a balanced design."""

COMBINATIONS = (len(EMOTIONS), len(EMOTIONS), len(EMOTIONS) + 1)
"""Words, voice, answer; unparsed is the first answer."""

SMOOTHING = 20.0
SIMULATIONS = 100
"""The second correction draws so many times from shares that are smoothed by so many answers a combination (see `_corrected`)."""


@dataclass(frozen=True)
class Information:
    """How much of the answers' entropy the words and the voice explain (unparsed is one of the answers).

    Every combination of words and voice weighs the same. Few items overstate information and association; two corrections take that bias out: the
    jackknife over the sentences of each lexical emotion (Quenouille 1956; on simulated listeners it came nearer the truth than Miller-Madow), and
    what simulated answers with known shares show that it leaves, most of it in the synergy. So chance is 0, and a figure near 0 may come out below
    it. Intervals: clustered bootstrap, recentred on the value, wider by what the corrections add to the spread. Where a model always answers the
    same there is nothing to explain: NaN.

    Attributes:
        words, voice: I(answer; words) / H(answer), I(answer; voice) / H(answer).
        synergy: (I(answer; words, voice) - I(answer; words) - I(answer; voice)) / H(answer): what only both together tell.
        entropy: H(answer) in bits; a share times it is in bits.
        v_words, v_voice: Cramer's V of the answer with the words and with the voice, 0 (none) .. 1 (one tells the other), corrected like the rest.
            Bergsma's correction (2013) takes off what independent items show by chance; the items of a sentence are not independent, and where
            there is one item a sentence the two agree. Below 0: the root of -phi^2, less association than chance shows.
        p_words, p_voice: share of permutations that reach the value: the words shuffled among sentences, the voice within a sentence.
        warning: "" or one sentence.
    """

    words: Estimate = field(metadata=named("information_from_words"))
    voice: Estimate = field(metadata=named("information_from_voice"))
    synergy: Estimate = field(metadata=named("information_from_both"))
    entropy: Estimate = field(metadata=named("answer_entropy_bits"))
    v_words: Estimate = field(metadata=named("cramers_v_words"))
    v_voice: Estimate = field(metadata=named("cramers_v_voice"))
    p_words: float
    p_voice: float
    warning: str = ""


def information_split(table: Table, *, permutations: int = 200, seed: int = 0) -> Information:
    """Split what the answers carry into what the words tell, what the voice tells, and what only both together tell.

    Items whose words or voice carry no emotion are left out.

    Args:
        permutations: of the null; 0 for none (then `p_words`, `p_voice` are NaN), which takes at least `MIN_ITEMS` items.

    Raises:
        ValueError: words and voice are not crossed (a combination is empty, the congruent ones too) or not balanced, a lexical emotion has
            one sentence only, or there are too few items to do without permutations.
    """
    every = read_items(table)
    items = every.where((every.voice >= 0) & (every.words >= 0))
    n = len(items.voice)
    if not n:
        raise ValueError("no item whose words and voice both carry an emotion")
    _check_crossing(items.words, items.voice)
    if n < MIN_ITEMS and not permutations:
        raise ValueError(f"{n} items are too few for an information split without permutations: keep them, or give {MIN_ITEMS} items")
    for lexical in np.unique(items.words):
        if len(np.unique(items.sentence[items.words == lexical])) < 2:
            raise ValueError(
                f"{EMOTIONS[lexical]} words come in one sentence only: what the words do cannot be told from what the sentence does; add sentences"
            )
    found = _figures(_counts(items))
    corrected, wider = _corrected(items, seed)
    draws = items.resample(lambda w: _counts(items, w).ravel()).map(lambda c: _figures(c.reshape(len(c), *COMBINATIONS)))

    def estimate(part: int, chance: float | None = 0.0) -> Estimate:
        raw = draws.estimate(part, chance=chance, recentre=True)
        value, by = float(corrected[part]), float(wider[part])
        return replace(raw, value=value, low=value + by * (raw.low - raw.value), high=value + by * (raw.high - raw.value))

    def cramers_v(part: int, cue: np.ndarray) -> Estimate:
        most = max(min(len(np.unique(cue)), len(np.unique(items.answer))) - 1, 1)
        squared = estimate(part)
        value, low, high = (_signed_root(x / most) for x in (squared.value, squared.low, squared.high))
        return replace(squared, value=value, low=low, high=high)

    p_words, p_voice = _permutation_test(items, found, permutations, seed)
    return Information(
        words=estimate(0),
        voice=estimate(1),
        synergy=estimate(2),
        entropy=estimate(3, chance=None),
        v_words=cramers_v(4, items.words),
        v_voice=cramers_v(5, items.voice),
        p_words=p_words,
        p_voice=p_voice,
        warning=f"{n} items are few for an information split; below {MIN_ITEMS} the bias correction is rough" if n < MIN_ITEMS else "",
    )


def _signed_root(value: float) -> float:
    return math.copysign(math.sqrt(min(abs(value), 1.0)), value)


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Plug-in entropy in bits of (..., categories) counts -> (...)."""
    share = counts / counts.sum(axis=-1, keepdims=True)
    return -(share * np.log2(np.where(share > 0, share, 1.0))).sum(axis=-1)


def _phi_squared(counts: np.ndarray) -> np.ndarray:
    """Pearson's mean square contingency of (..., rows, columns) counts -> (...)."""
    share = counts / counts.sum(axis=(-2, -1), keepdims=True)
    expected = share.sum(axis=-1, keepdims=True) * share.sum(axis=-2, keepdims=True)
    return (share**2 / np.where(expected > 0, expected, 1.0)).sum(axis=(-2, -1)) - 1


def _figures(counts: np.ndarray) -> np.ndarray:
    """(..., words, voice, answer) counts -> (..., 6): I(y; t) / H, I(y; a) / H, synergy / H, H(y) in bits, phi^2 of y with t and with a.

    Each combination of words and voice that has items weighs the same, so that a draw of sentences does not unbalance the design. All but H are
    NaN where H is 0.
    """
    items = counts.sum(-1, keepdims=True)
    counts = counts / np.where(items > 0, items, 1.0)
    flat = counts.reshape(*counts.shape[:-3], -1)
    answers = _entropy(counts.sum((-3, -2)))
    by_words = answers + _entropy(counts.sum((-2, -1))) - _entropy(counts.sum(-2).reshape(*counts.shape[:-3], -1))
    by_voice = answers + _entropy(counts.sum((-3, -1))) - _entropy(counts.sum(-3).reshape(*counts.shape[:-3], -1))
    by_both = answers + _entropy(counts.sum(-1).reshape(*counts.shape[:-3], -1)) - _entropy(flat)
    scale = np.where(answers > 1e-12, answers, np.nan)
    phi = [_phi_squared(counts.sum(axis)) * scale / scale for axis in (-2, -3)]
    return np.stack([by_words / scale, by_voice / scale, (by_both - by_words - by_voice) / scale, answers, *phi], axis=-1)


def _counts(items: Items, weights: np.ndarray | None = None) -> np.ndarray:
    """`COMBINATIONS` weighted counts."""
    code = np.ravel_multi_index((items.words, items.voice, items.answer + 1), COMBINATIONS)
    return np.bincount(code, weights, minlength=math.prod(COMBINATIONS)).reshape(COMBINATIONS).astype(float)


def _corrected(items: Items, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(6,) the figures without what few items add, and (6,) how much wider than the raw figures' their intervals must be.

    The jackknife over sentences takes off what differing sentences and most of what few items add. What it leaves, above all of the synergy, is
    measured where the truth is known: answers drawn to the same items from shares between the observed ones and a conditional logit.
    """
    _, first, of = np.unique(np.char.add(items.words.astype(str), items.sentence), return_index=True, return_inverse=True)
    lexical = items.words[first]
    shape = (len(first), *COMBINATIONS)

    def jackknifed(answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        code = np.ravel_multi_index((of, items.words, items.voice, answer + 1), shape)
        counts = np.bincount(code, minlength=math.prod(shape)).reshape(shape).astype(float)
        found, without = _figures(counts.sum(axis=0)), _figures(counts.sum(axis=0) - counts)
        bias = sum((np.sum(lexical == k) - 1) * (without[lexical == k].mean(axis=0) - found) for k in np.unique(lexical))
        return found, found - bias

    shares = _smoothed(items)
    draw = np.random.default_rng(seed)
    upto = shares[items.words, items.voice].cumsum(axis=-1)
    drawn = [(upto[:, :-1] < draw.random((len(upto), 1))).sum(axis=1) - 1 for _ in range(SIMULATIONS)]
    raw, again = np.swapaxes([jackknifed(answer) for answer in drawn], 0, 1)
    spread = raw.std(axis=0)
    wider = np.where(spread > 1e-9, again.std(axis=0) / np.where(spread > 1e-9, spread, 1.0), 1.0)
    return jackknifed(items.answer)[1] - (again.mean(axis=0) - _figures(shares)), np.maximum(wider, 1.0)


def _smoothed(items: Items) -> np.ndarray:
    """`COMBINATIONS` shares, as if `SMOOTHING` answers more had been given to each of words x voice, after a conditional logit."""
    counts = _counts(items)
    features = cue_features(congruence=True)
    parsed = counts[..., 1:]
    fitted = fit_logit(parsed.reshape(1, *features.shape[:2]), features)
    expected = (logit_probabilities(fitted, features) * parsed.sum() / counts.sum()).reshape(parsed.shape)
    expected = np.concatenate([1 - expected.sum(axis=-1, keepdims=True), expected], axis=-1)
    used = counts.sum(axis=-1, keepdims=True)
    return np.where(used > 0, (counts + SMOOTHING * expected) / (used + SMOOTHING), 0.0)


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
        reached[0] += _figures(_counts(replace(items, words=words)))[0] >= found[0] - 1e-12
        reached[1] += _figures(_counts(replace(items, voice=voice)))[1] >= found[1] - 1e-12
    p_words, p_voice = reached / (permutations + 1)
    return float(p_words), float(p_voice)
