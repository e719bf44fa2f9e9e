"""Solutions of the exercises of `12_your_own_voice`."""

from math import log2, log10, nan

import numpy as np


def my_pitch(f0, calm):
    """Semitones from the median voiced pitch of `calm` to that of `f0`."""
    voiced, usual = f0[f0 > 0], calm[calm > 0]
    if not len(voiced) or not len(usual):
        return nan
    return 12 * log2(np.median(voiced) / np.median(usual))


def my_verdict(samples, rate):
    """Say what is wrong with a recording."""
    if len(samples) < 0.1 * rate:
        return "too short"
    if len(samples) > 30 * rate:
        return "too long"
    power = np.mean(samples**2)
    return "silent" if power == 0 or 10 * log10(power) < -80 else "fine"


ANSWERS = {
    "12.1": my_pitch,
    "12.2": my_verdict,
    # The knob multiplies both recordings: their difference stays. That is why enrolment helps.
    "12.3": {"loudness": 6, "pitch": 0, "tempo": 0, "loudness above your calm recording": 0},
}
