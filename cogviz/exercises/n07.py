"""Exercises of `07_probing`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cogviz.exercises import Exercise


def _training(sentences: Sequence[str], speakers: Sequence[str], test: int) -> list[int]:
    return [i for i in range(len(sentences)) if sentences[i] != sentences[test] and speakers[i] != speakers[test]]


def _designs() -> list[tuple[list[str], list[str], int]]:
    draw = np.random.default_rng(7)
    drawn = [([str(s) for s in draw.choice(list("abcde"), 20)], [str(s) for s in draw.choice(list("xyz"), 20)], 3 * i) for i in range(5)]
    return [*drawn, (["a", "a", "b"], ["x", "y", "x"], 0)]  # in the last nothing is left to learn from


def _lens(states: np.ndarray, scale: np.ndarray, words: np.ndarray) -> np.ndarray:
    scores = states / np.sqrt(np.square(states).mean(axis=1, keepdims=True)) * scale @ words.T
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def _states() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    draw = np.random.default_rng(8)
    return [(much * draw.normal(size=(5, 12)), draw.uniform(0.5, 2, 12), draw.normal(size=(7, 12))) for much in (0.1, 1.0, 20.0)]


def _without_the_norm(states: np.ndarray, scale: np.ndarray, words: np.ndarray) -> np.ndarray:
    scores = np.exp(states * scale @ words.T)
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


EXERCISES = (
    Exercise(
        key="07.1",
        reference=_training,
        inputs=_designs,
        hint="Go through all recordings and keep the number of each whose sentence differs and whose speaker differs, too: both, not one of them.",
        wrong=lambda sentences, speakers, test: [i for i, s in enumerate(sentences) if s != sentences[test]],
    ),
    Exercise(
        key="07.2",
        reference=_lens,
        inputs=_states,
        hint="The root of the mean square is one number a place (keepdims=True helps); softmax is over the seven words, so every row sums to 1.",
        wrong=_without_the_norm,
    ),
    Exercise(
        key="07.3",
        reference={"A": "encoded, not used", "B": "not shown", "C": "not learned by training", "D": "encoded, perhaps used"},
        hint="Three questions, in this order: above chance on what is new? Above random weights? And do the answers reach what the probe reads?",
        wrong={"A": "encoded, not used", "B": "encoded, not used", "C": "encoded, not used", "D": "encoded, perhaps used"},
    ),
)
