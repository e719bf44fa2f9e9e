"""Solutions of the exercises of `10_embeddings`."""

import numpy as np


def nearest(distance, k):
    """(n, k) the nearest others of each item."""
    apart = distance + np.diag(np.full(len(distance), np.inf))  # nobody is a neighbour of oneself
    return apart.argsort(axis=1)[:, :k]


def my_purity(distance, labels, k):
    """Mean share of the k nearest others that have the item's own label."""
    labels = np.array(labels)
    return (labels[nearest(distance, k)] == labels[:, None]).mean()


def my_overlap(states, points, k):
    """Mean share of the k nearest in the states that are among the k nearest on the map."""
    both = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (states, points)]
    return np.mean([len(set(a) & set(b)) / k for a, b in zip(nearest(both[0], k), nearest(both[1], k), strict=True)])


ANSWERS = {
    "10.1": my_purity,
    "10.2": my_overlap,
    "10.3": {"A": False, "B": True, "C": False, "D": False, "E": True, "F": False},
}
