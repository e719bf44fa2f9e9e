"""Rewards of stage III: small pure functions, and the frozen judge of empathy.

Empathy here is *emotion specificity*: can the emotion of the voice be told from the response alone? A classifier reads the response with the
emotion words masked; the reward is its log-odds of the true emotion. The judge that evaluates reads other features of other sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cogviz.eips import Answer, parse
from cogviz.emotions import EMOTIONS, INTENSITIES
from cogviz.lime.annotate import annotate
from cogviz.lime.sentences import Sentence, sentences
from cogviz.scoring import claimed_emotion, format_score, mask_emotion_words, step_similarity

WEIGHTS = {"format": 0.1, "emotion": 0.3, "intent": 0.1, "psychology": 0.1, "strategy": 0.1, "empathy": 0.3}
"""Route A (reason), arXiv 2606.06940; route B (direct) is empathy alone."""

ODDS = 4.0
"""Log-odds at which the empathy reward saturates: from there on, surer is not better."""


@dataclass(frozen=True, eq=False)
class ResponseJudge:
    """A frozen classifier: response -> emotion."""

    vectorizer: Any
    classifier: Any

    def log_probabilities(self, responses: Sequence[str]) -> np.ndarray:
        """(N, 7) log p(emotion | response), emotion words masked."""
        return self.classifier.predict_log_proba(self.vectorizer.transform([mask_emotion_words(r) for r in responses]))

    def empathy(self, responses: Sequence[str], emotions: Sequence[str]) -> np.ndarray:
        """(N,) in 0 .. 1: log-odds of the true emotion, clipped to +-4 and scaled; an empty response gets 0."""
        log_p = self.log_probabilities(responses)
        true = log_p[np.arange(len(log_p)), [EMOTIONS.index(e) for e in emotions]]
        odds = true - np.log1p(-np.clip(np.exp(true), 0, 1 - 1e-9))
        scaled = (np.clip(odds, -ODDS, ODDS) + ODDS) / (2 * ODDS)
        return np.where([bool(r.strip()) for r in responses], scaled, 0.0)

    def tell(self, responses: Sequence[str]) -> list[str]:
        """The emotion that each response answers to."""
        return [EMOTIONS[i] for i in self.log_probabilities(responses).argmax(axis=1)]


def _fit(pool: Sequence[Sentence], *, analyzer: str, ngrams: tuple[int, int], per_sentence: int, seed: int) -> ResponseJudge:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(seed)
    texts, labels = [], []
    for sentence in pool:
        for emotion in EMOTIONS:
            for take in range(per_sentence):
                answer = annotate(sentence, emotion, str(draw.choice(list(INTENSITIES))), seed=f"judge-{take}")
                texts.append(mask_emotion_words(answer.response))
                labels.append(EMOTIONS.index(emotion))
    vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=ngrams, min_df=2, sublinear_tf=True)
    classifier = LogisticRegression(C=10.0, max_iter=1000)
    classifier.fit(vectorizer.fit_transform(texts), labels)
    return ResponseJudge(vectorizer, classifier)


def _spread(kinds: Sequence[str], splits: Sequence[str], per_template: int) -> list[Sentence]:
    chosen: list[Sentence] = []
    seen: dict[str, int] = {}
    for kind in kinds:
        for split in splits:
            for sentence in sentences(kind=kind, split=split):
                if seen.setdefault(sentence.template, 0) < per_template:
                    seen[sentence.template] += 1
                    chosen.append(sentence)
    return chosen


@lru_cache(maxsize=1)
def reward_judge() -> ResponseJudge:
    """The judge that rewards: words and word pairs of training-split responses."""
    return _fit(_spread(("ambiguous", "emotional", "everyday"), ("train",), 2), analyzer="word", ngrams=(1, 2), per_sentence=2, seed=1)


@lru_cache(maxsize=1)
def evaluation_judge() -> ResponseJudge:
    """The judge that evaluates: character n-grams of responses to other sentences (test splits of the text, which no model was trained on)."""
    return _fit(
        _spread(("ambiguous", "emotional", "everyday"), ("validation", "test"), 4),
        analyzer="char_wb",
        ngrams=(2, 5),
        per_sentence=2,
        seed=2,
    )


def by_words(a: Sequence[str], b: Sequence[str]) -> np.ndarray:
    """(N,) `step_similarity` of each pair; an empty step is near nothing."""
    return np.array([step_similarity(x, y) if x and y else 0.0 for x, y in zip(a, b, strict=True)])


def score(
    texts: Sequence[str],
    route: str,
    emotions: Sequence[str],
    references: Sequence[Answer],
    judge: ResponseJudge,
    similarity: Callable[[Sequence[str], Sequence[str]], np.ndarray] = by_words,
) -> dict[str, np.ndarray]:
    """Return every part of the reward, (N,) each in 0 .. 1, and their weighted sum under "total".

    Args:
        similarity: of steps to those of the annotation: `by_words`, or `SentenceEncoder.similarity`.
    """
    answers = [parse(t) for t in texts]
    responses = [a.response if a else "" for a in answers]
    parts = {
        "format": np.array([format_score(t, route) for t in texts]),
        "empathy": judge.empathy(responses, emotions),
    }
    if route == "direct":
        return {**parts, "total": parts["empathy"] * parts["format"]}
    parts["emotion"] = np.array([float(a is not None and claimed_emotion(a) == e) for a, e in zip(answers, emotions, strict=True)])
    for step in ("intent", "psychology", "strategy"):
        said = [getattr(a.chain, step) if a is not None and a.chain is not None else "" for a in answers]
        parts[step] = similarity(said, [getattr(r.chain, step) if r.chain is not None else "" for r in references])
    return {**parts, "total": np.sum([weight * parts[name] for name, weight in WEIGHTS.items()], axis=0)}
