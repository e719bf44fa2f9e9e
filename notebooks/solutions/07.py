"""Solutions of the exercises of `07_probing`."""

import numpy as np


def my_training(sentences, speakers, test):
    """Recordings that share neither the sentence nor the speaker with the tested one."""
    return [i for i in range(len(sentences)) if sentences[i] != sentences[test] and speakers[i] != speakers[test]]


def my_lens(states, scale, words):
    """Probabilities of the seven words at each place, were the state read out there."""
    size = np.sqrt((states**2).mean(axis=1, keepdims=True))
    scores = (states / size * scale) @ words.T
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))  # less the largest, so that nothing overflows
    return likely / likely.sum(axis=1, keepdims=True)


ANSWERS = {
    "07.1": my_training,
    "07.2": my_lens,
    # B has met the sentences before; C reads what any scrambling of the sound would keep; and even D is no proof of use: see lesson 08.
    "07.3": {"A": "encoded, not used", "B": "not shown", "C": "not learned by training", "D": "encoded, perhaps used"},
}
