"""Solutions of the exercises of `11_weighing_words_and_voice`."""

from itertools import permutations
from math import exp, log2

from cogviz.emotions import EMOTIONS


def my_probabilities(alpha, beta, words, voice):
    """Points to probabilities; where words and voice agree the answer gets both."""
    points = {e: exp(alpha * (e == words) + beta * (e == voice)) for e in EMOTIONS}
    total = sum(points.values())
    return {e: x / total for e, x in points.items()}


def my_information(cue, answers):
    """Plug-in mutual information in bits."""
    pairs = list(zip(cue, answers, strict=True))
    n = len(pairs)
    return sum(
        pairs.count((c, a)) / n * log2(pairs.count((c, a)) * n / (list(cue).count(c) * list(answers).count(a))) for c, a in set(pairs)
    )


def my_shapley(players, worth):
    """What a player adds at its turn, the mean over all orders."""
    orders = list(permutations(players))
    added = dict.fromkeys(players, 0.0)
    for order in orders:
        for i, player in enumerate(order):
            added[player] += worth[frozenset(order[: i + 1])] - worth[frozenset(order[:i])]
    return {player: x / len(orders) for player, x in added.items()}


ANSWERS = {
    "11.1": my_probabilities,
    "11.2": my_information,
    "11.3": my_shapley,
    # Whoever comes second brings all ten, and each comes second in one of two orders.
    "11.4": {"A": 5, "B": 5, "interaction": 10},
}
