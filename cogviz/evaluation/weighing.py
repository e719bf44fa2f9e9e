"""Cue weighting: how much do the words weigh in an answer, and how much the voice?

The conditional logit log p(y) = alpha [y = words] + beta [y = voice] + b_y, up to normalisation, over all items whose words and voice both carry an
emotion; b_y takes up favourite answers. Input is the table that `dominance` describes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from cogviz.emotions import EMOTIONS
from cogviz.evaluation.items import Items, read_items
from cogviz.evaluation.results import named
from cogviz.statistics import MIN_SENTENCES, Estimate

if TYPE_CHECKING:
    from cogviz.evaluation.items import Table

RIDGE = 0.01
"""Penalty on the squared parameters: a weight that is infinite, a pure reader's, comes out near 10 with it; elsewhere it is not felt."""


@dataclass(frozen=True)
class Weighing:
    """What the words and the voice weigh in the model's answers, in log-odds against the answers that neither names.

    Unparsed answers tell nothing about the weights and are left out of the fit; their share stands beside it.

    Attributes:
        words, voice: alpha and beta; chance is 0, and below 0 the model avoids what the cue says. Of a cue that is always followed the weight has no
            upper end and its interval says nothing: read the share.
        difference: alpha - beta.
        share: lexical share alpha / (alpha + beta), 0 (only listens) .. 1 (only reads); a weight below 0 counts as 0. NaN where nothing weighs (the
            interval of alpha + beta holds 0) or where a cue is avoided (its interval lies below 0): then the two weights speak alone.
        unparsed: share of answers without an emotion.
        sentences: number of distinct sentences.
    """

    words: Estimate = field(metadata=named("weight_of_words"))
    voice: Estimate = field(metadata=named("weight_of_voice"))
    difference: Estimate = field(metadata=named("weight_of_words_minus_voice"))
    share: Estimate = field(metadata=named("lexical_share"))
    unparsed: Estimate = field(metadata=named("unparsed_on_crossed"))
    sentences: int

    @property
    def verdict(self) -> str:
        """Return "the words weigh more", "the voice weighs more" or "undecided".

        Decided only where the 95% interval of alpha - beta excludes 0, the heavier cue's own interval lies above 0, and there are at least
        `MIN_SENTENCES` sentences.
        """
        if self.sentences < MIN_SENTENCES:
            return "undecided"
        if self.difference.low > 0 and self.words.low > 0:
            return "the words weigh more"
        return "the voice weighs more" if self.difference.high < 0 and self.voice.low > 0 else "undecided"


def cue_weighting(table: Table) -> Weighing:
    """Fit the conditional logit by maximum likelihood (with a ridge of `RIDGE`), anew in every draw of the clustered bootstrap.

    Raises:
        ValueError: words or voice carry one emotion only, they never disagree (then nothing tells one weight from the other), or no answer
            could be read.
    """
    every = read_items(table)
    crossed = every.where((every.voice >= 0) & (every.words >= 0))
    items = crossed.where(crossed.answer >= 0)
    if not len(crossed.voice):
        raise ValueError("no item whose words and voice both carry an emotion")
    for name in ("voice", "words"):
        if len(kinds := np.unique(getattr(crossed, name))) < 2:
            raise ValueError(
                f"the {name} of all items carries {EMOTIONS[kinds[0]]}: weighing needs two emotions or more in words and in voice"
            )
    if not len(items.answer):
        raise ValueError("no answer names an emotion: there is nothing to weigh")
    if (items.words == items.voice).all():
        raise ValueError("words and voice never disagree: weighing needs items whose words say one emotion and whose voice another")
    features = cue_features()
    counts = items.resample(lambda weights: answer_counts(items, weights).ravel())
    start = fit_logit(answer_counts(items)[None], features)[0]
    draws = counts.map(lambda c: _with_share(fit_logit(c.reshape(-1, *features.shape[:2]), features, start=start)[:, :2]))
    total = draws.estimate(3)
    words, voice, share = draws.estimate(0, chance=0.0), draws.estimate(1, chance=0.0), draws.estimate(4)
    if not total.low > 0 or min(words.high, voice.high) < 0:
        share = replace(share, value=math.nan, low=math.nan, high=math.nan)
    return Weighing(
        words=words,
        voice=voice,
        difference=draws.estimate(2, chance=0.0),
        share=share,
        unparsed=crossed.share(crossed.answer < 0),
        sentences=len(np.unique(items.sentence)),
    )


def _with_share(weights: np.ndarray) -> np.ndarray:
    """(D, 2) weights -> (D, 5): alpha, beta, alpha - beta, alpha + beta, alpha / (alpha + beta)."""
    words, voice = weights.T
    above = np.maximum(weights, 0)
    total = above.sum(axis=1)
    share = above[:, 0] / np.where(total > 0, total, np.nan)
    return np.stack([words, voice, words - voice, words + voice, share], axis=1)


def answer_counts(items: Items, weights: np.ndarray | None = None) -> np.ndarray:
    """(words x voice, answer) weighted counts of items that are parsed."""
    size = len(EMOTIONS)
    code = (items.words * size + items.voice) * size + items.answer
    return np.bincount(code, weights, minlength=size**3).reshape(-1, size).astype(float)


def cue_features(*, congruence: bool = False) -> np.ndarray:
    """(words x voice, answer, features): [y = words], [y = voice], with `congruence` [y = words = voice], then one indicator an answer."""
    size = len(EMOTIONS)
    words, voice, answer = np.indices((size, size, size))
    cues = [words == answer, voice == answer] + [(words == answer) & (voice == answer)] * congruence
    return np.concatenate([np.stack(cues, axis=-1), np.eye(size)[answer]], axis=-1).reshape(size * size, size, -1).astype(float)


def logit_probabilities(parameters: np.ndarray, features: np.ndarray) -> np.ndarray:
    """(D, F) and (cells, answers, F) -> (D, cells, answers) probabilities."""
    score = np.tensordot(parameters, features, axes=(1, 2))
    score = np.exp(score - score.max(axis=-1, keepdims=True))
    return score / score.sum(axis=-1, keepdims=True)


def fit_logit(counts: np.ndarray, features: np.ndarray, *, start: np.ndarray | None = None) -> np.ndarray:
    """Fit D conditional logits at once by Newton's method: counts (D, cells, answers), features (cells, answers, F) -> parameters (D, F).

    The likelihood is concave and the ridge makes its maximum finite and single, also where an answer is never given or a cue always followed.

    Args:
        start: (F,) where to start; near the maximum it saves steps.
    """
    size = features.shape[-1]
    n = counts.sum(axis=-1)
    observed = np.tensordot(counts, features, axes=2)
    products = np.einsum("cyf,cyg->cyfg", features, features).reshape(-1, size * size)
    at = np.tile(np.zeros(size) if start is None else start, (len(counts), 1))

    def height(parameters: np.ndarray) -> np.ndarray:
        score = np.tensordot(parameters, features, axes=(1, 2))
        likelihood = (counts * score).sum(axis=(1, 2)) - (n * logsumexp(score, axis=-1)).sum(axis=1)
        return likelihood - RIDGE * (parameters**2).sum(axis=1)

    best = height(at)
    for _ in range(60):
        expected = n[..., None] * logit_probabilities(at, features)
        mean = np.einsum("dcy,cyf->dcf", expected, features) / np.sqrt(np.where(n > 0, n, 1.0))[..., None]
        curvature = (expected.reshape(len(n), -1) @ products).reshape(-1, size, size) - np.swapaxes(mean, 1, 2) @ mean
        gradient = observed - np.tensordot(expected, features, axes=2) - 2 * RIDGE * at
        step = np.linalg.solve(curvature + 2 * RIDGE * np.eye(size), gradient[..., None])[..., 0]
        for _ in range(30):
            reached = height(at + step)
            if not (short := reached < best - 1e-9).any():
                break
            step[short] /= 2
        at, best = at + step, reached
        if np.abs(step).max() < 1e-5:
            break
    return at
