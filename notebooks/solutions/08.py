"""Solutions of the exercises of `08_causes`."""

import numpy as np


def my_effect(base, donor, patched, moves):
    """Share of the whole exchange's effect on the score: means first, because a single pair's exchange may do next to nothing."""
    items = np.arange(len(moves))

    def score(logits):
        return (logits[items, moves[:, 1]] - logits[items, moves[:, 0]]).mean()

    return (score(patched) - score(base)) / (score(donor) - score(base))


def my_best(flips, chosen):
    """The field that flips most often in the chosen pairs, and how often it flips in the others."""
    layer, place = np.unravel_index(flips[chosen].mean(axis=0).argmax(), flips.shape[1:])
    return layer, place, flips[~chosen][:, layer, place].mean()


ANSWERS = {
    "08.1": my_effect,
    # A: is it this direction, or any? B: does the tool find anything in this model? C: was the winner lucky? D: are it these six, or any six?
    "08.2": {"A": "random direction", "B": "word pairs", "C": "other half", "D": "random subspace"},
    "08.3": my_best,
    # B is too imprecise, C has no proof that the tool works here, D left the other layers open.
    "08.4": {"A": "credible", "B": "not credible", "C": "not credible", "D": "not credible"},
}
