"""The override threshold on simulated listeners whose curve is known."""

import math

import numpy as np
import pandas as pd
import pytest
from simulated import mixture, overridden, overridden_at

from cogviz.evaluation.threshold import override_threshold


def test_threshold_of_a_known_curve_is_found():
    found = override_threshold(overridden(0.7, seed=1))
    true = overridden_at(0.7)
    assert found.threshold.low < true < found.threshold.high
    assert found.threshold.high - found.threshold.low < 0.15
    assert found.never.value == 0
    assert found.verdict == "the tone overrides the words"
    assert found.guess.low < 0.05 < found.guess.high
    assert found.middle.low < 0.7 < found.middle.high


def test_listener_that_never_follows_the_voice_is_censored():
    for how in ({"lapse": 0.7}, {"middle": 2.5}):
        found = override_threshold(overridden(**{"middle": 0.7, **how}, seed=2))
        assert math.isinf(found.threshold.value)
        assert math.isinf(found.threshold.high)
        assert found.never.value > 0.975
        assert found.verdict == "the tone never overrides the words"


def test_pure_reader_never_and_pure_hearer_at_once():
    levels = (0.0, 0.5, 1.0, 1.5)
    reader = override_threshold(overridden(9.0, guess=0.0, intensities=levels))
    hearer = override_threshold(overridden(-9.0, lapse=0.0, intensities=levels))
    assert reader.verdict == "the tone never overrides the words"
    assert hearer.threshold.value == hearer.threshold.high == 0
    assert hearer.verdict == "the tone overrides the words"


def test_curve_that_just_reaches_one_half_is_undecided():
    found = override_threshold(overridden(1.45, lapse=0.05, sentence=0.2, seed=3))
    assert 0.025 < found.never.value < 0.975
    assert math.isinf(found.threshold.high)
    assert math.isfinite(found.threshold.low)
    assert found.verdict == "undecided"


def test_coarse_intensities_give_a_wide_interval():
    """Nothing tells where between 0.5 and 1 a listener turns round at once."""
    found = override_threshold(overridden(0.9, width=0.01, guess=0.0, lapse=0.0, intensities=(0.5, 1.0, 1.5), speakers=6, seed=4))
    assert found.threshold.low < 0.9 < found.threshold.high
    assert found.threshold.high - found.threshold.low > 0.25


def test_points_and_curve_are_what_a_figure_needs():
    table = overridden(0.7, seed=5)
    found = override_threshold(table)
    assert list(found.points) == ["0.25", "0.5", "0.75", "1", "1.25", "1.5"]
    conflict = table[(table.words != table.voice) & (table.words != "neutral") & (table.voice != "neutral")]
    at_one = conflict[conflict.intensity == 1.0]
    assert found.points["1"].value == pytest.approx((at_one.answer == at_one.voice).mean())
    assert list(found.curve) == ["intensity", "value", "low", "high"]
    assert found.curve.intensity.iloc[[0, -1]].tolist() == [0.0, 1.5]
    assert (found.curve.low <= found.curve.value + 0.02).all()
    assert (np.diff(found.curve.value) >= 0).all()
    crossing = np.interp(0.5, found.curve.value, found.curve.intensity)
    assert crossing == pytest.approx(found.threshold.value, abs=0.02)


def test_coin_does_not_follow_the_voice_at_any_intensity():
    table = mixture().drop(columns="intensity").assign(intensity=lambda t: np.resize([0.5, 1.0, 1.5], len(t)))
    assert override_threshold(table).verdict == "the tone never overrides the words"


def test_neutral_voices_have_no_strength():
    """In LIME they are all of intensity 0, and naming them right is no sign that a weak tone is enough."""
    table = overridden(0.7, seed=6)
    neutral = table[table.voice == "neutral"].assign(intensity=0.0, answer="neutral")
    assert override_threshold(pd.concat([table, neutral])).threshold == override_threshold(table).threshold
    with pytest.raises(ValueError, match="no conflict items"):
        override_threshold(neutral)


def test_few_sentences_give_no_verdict():
    assert override_threshold(overridden(0.7, sentences=4)).verdict == "undecided"


def test_tables_without_a_curve_are_refused():
    table = overridden(0.7, sentences=14)
    with pytest.raises(ValueError, match=r"lacks the column\(s\) intensity"):
        override_threshold(table.drop(columns="intensity"))
    with pytest.raises(ValueError, match="2 intensities cannot show a curve"):
        override_threshold(table[table.intensity.isin([0.5, 1.0])])
    with pytest.raises(ValueError, match=r"numbers from 0 to 1\.5"):
        override_threshold(table.assign(intensity="loud"))
    with pytest.raises(ValueError, match=r"numbers from 0 to 1\.5"):
        override_threshold(table.assign(intensity=2.0))
    with pytest.raises(ValueError, match="no conflict items"):
        override_threshold(table[table.words == table.voice])
