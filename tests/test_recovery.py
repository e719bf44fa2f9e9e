"""Every measure recovers what is known of a simulated listener, within its interval. `benchmarks/measures.py` does it with 100 seeds."""

import numpy as np
import pytest
from recovery import CASES, recover

SEEDS = range(5)
LISTENERS = {
    "following": "mixture, sentences differ",
    "accuracy": "logit, sentences differ",
    "information": "mixture",
    "weighing": "logit, sentences differ",
    "grid": "mixture, sentences differ",
    "threshold": "overridden at 0.7, sentences differ",
    "dependence": "hears, else reads",
    "divergence": "tells 0.5",
    "specificity": "tells 1.5, sentences differ",
    "gate": "hears 0.6",
}


@pytest.mark.parametrize("measure", LISTENERS)
def test_measure_recovers_the_truth(measure):
    case = next(c for c in CASES if (c.measure, c.listener) == (measure, LISTENERS[measure]))
    rows = recover(case, SEEDS)
    assert min(row["covered"] for row in rows) >= 0.6  # three of five; fewer come of a correct interval once in a thousand times
    assert np.mean([row["covered"] for row in rows]) >= 0.8
    assert max(abs(row["bias_in_widths"]) for row in rows) < 0.5


def test_every_measure_is_among_the_cases_with_the_listeners_that_the_issue_names():
    assert set(LISTENERS) == {case.measure for case in CASES}
    for measure in ("following", "accuracy", "information", "weighing", "grid"):
        assert {"reader", "hearer", "mixture", "coin"} <= {case.listener for case in CASES if case.measure == measure}


def test_measure_of_another_listener_does_not_cover_the_truth():
    """The check can fail: figures of the mixture beside the truth of the coin."""
    one, other = (next(c for c in CASES if (c.measure, c.listener) == ("following", name)) for name in ("mixture", "coin"))
    rows = recover(type(one)(one.measure, one.listener, one.answers, other.truth), SEEDS)
    assert max(row["covered"] for row in rows) < 0.5
