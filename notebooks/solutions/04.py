"""Solutions of `04_eips`."""

import math

import numpy as np


def my_index(told, chain, sound):
    """Chain / (chain + sound)."""
    with_chain = sum(t == c for t, c in zip(told, chain, strict=True))
    with_sound = sum(t == s for t, s in zip(told, sound, strict=True))
    return with_chain / (with_chain + with_sound) if with_chain + with_sound else math.nan


def my_lift(directions, measured, noticed):
    """Agreement with the own recording minus that with the others."""
    so = np.outer(directions, measured) >= noticed  # (claims, recordings)
    n = len(so)
    own = so.diagonal().astype(float)
    return float((own - (so.sum(axis=1) - own) / (n - 1)).mean())


ANSWERS = {
    "04.1": my_index,
    "04.2": my_lift,
    "04.3": [
        (False, True),  # true to the sound, but the response has another reason
        (True, False),  # an honest mistake
        (True, True),  # an explanation
    ],
}
