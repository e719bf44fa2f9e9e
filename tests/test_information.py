"""The information split and Cramer's V on simulated listeners whose true value is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association
from simulated import mixture

from cogviz.emotions import EMOTIONS
from cogviz.evaluation.information import Information, information_split


def covers(estimate, truth, slack=1e-3) -> bool:
    return estimate.low - slack <= truth <= estimate.high + slack


def true_share(follows: float) -> float:
    """I(y; t) / H of a listener by formula: y equals t with q = follows + rest / 7, any other emotion equally."""
    right, wrong = follows + (1 - follows) / 7, (1 - follows) / 7
    return (math.log2(7) + right * math.log2(right) + (6 * wrong * math.log2(wrong) if wrong else 0)) / math.log2(7)


def test_information_of_reader_and_hearer_is_all_in_one_cue():
    for cue, other in (("words", "voice"), ("voice", "words")):
        found = information_split(mixture(**{cue: 1.0}), permutations=99)
        assert getattr(found, cue).value == pytest.approx(1, abs=1e-3)
        assert getattr(found, f"v_{cue}").value == pytest.approx(1, abs=1e-3)
        for nothing in (getattr(found, other), getattr(found, f"v_{other}"), found.synergy):
            assert nothing.value == pytest.approx(0, abs=1e-3)
        assert found.entropy.value == pytest.approx(math.log2(7), abs=1e-3)
        assert getattr(found, f"p_{cue}") == 0.01
        assert getattr(found, f"p_{other}") > 0.05


@pytest.mark.parametrize(("words", "voice"), [(0.7, 0.2), (0.0, 0.5)])
def test_information_and_association_of_a_mixture_cover_the_truth(words, voice):
    found = information_split(mixture(words=words, voice=voice, speakers=6, seed=1), permutations=0)
    for cue, follows in (("words", words), ("voice", voice)):
        assert covers(getattr(found, cue), true_share(follows))
        assert covers(getattr(found, f"v_{cue}"), follows)  # of seven emotions alike
    assert math.isnan(found.p_words)
    assert found.warning == ""


def test_coin_holds_no_information_and_a_small_table_is_warned_of():
    found = information_split(mixture(seed=2), permutations=99)
    for estimate in (found.words, found.voice, found.v_words, found.v_voice):
        assert covers(estimate, 0)
        assert estimate.chance == 0
    assert max(abs(found.words.value), abs(found.voice.value), abs(found.synergy.value)) < 0.02
    assert min(found.p_words, found.p_voice) > 0.01
    assert "882 items" in found.warning


def test_few_items_need_the_permutations():
    with pytest.raises(ValueError, match="882 items are too few for an information split without permutations"):
        information_split(mixture(), permutations=0)


def test_answer_that_needs_both_cues_is_synergy():
    table = mixture(speakers=6)
    place = {name: i for i, name in enumerate(EMOTIONS)}
    table["answer"] = [EMOTIONS[(place[t] + place[a]) % 7] for t, a in zip(table.words, table.voice, strict=True)]
    found = information_split(table, permutations=0)
    assert found.synergy.value == pytest.approx(1, abs=0.01)
    assert found.words.value == pytest.approx(0, abs=0.01)
    assert found.voice.value == pytest.approx(0, abs=0.01)


def test_synergy_of_a_mixture_is_not_overstated():
    """0.086 by the listener's shares; the jackknife alone stays at 0.10 and its interval leaves the truth out."""
    found = [information_split(mixture(words=0.6, voice=0.3, speakers=6, seed=seed), permutations=0).synergy for seed in range(8)]
    assert np.mean([e.value for e in found]) == pytest.approx(0.0858, abs=0.006)
    assert sum(covers(e, 0.0858) for e in found) >= 7


def test_sentence_habits_are_no_information_from_the_words():
    table = mixture(speakers=5)
    table["answer"] = [EMOTIONS[int(s[1:]) * 5 % 11 % 7] for s in table.sentence]
    found = information_split(table, permutations=99)
    assert found.p_words > 0.05
    assert covers(found.words, 0)
    assert covers(found.v_words, 0)


def test_cramers_v_is_bergsmas_where_items_are_independent():
    """With one item a sentence the correction is the one for independent items."""
    table = mixture(words=0.4, voice=0.3, sentences=490, speakers=1, seed=3)
    table = table[table.voice == [EMOTIONS[(int(s[1:]) // 7) % 7] for s in table.sentence]]
    found = information_split(table, permutations=9)
    for cue in ("words", "voice"):
        counts = pd.crosstab(table[cue], table.answer).to_numpy()
        n = counts.sum()
        phi = max(association(counts, method="cramer") ** 2 * 6 - 36 / (n - 1), 0)
        assert getattr(found, f"v_{cue}").value == pytest.approx(math.sqrt(phi / (6 - 36 / (n - 1))), abs=0.01)


def test_constant_answers_hold_nothing_to_explain():
    found = information_split(mixture(favourite="sad"), permutations=10)
    assert math.isnan(found.words.value)
    assert math.isnan(found.v_voice.value)
    assert found.entropy.value == pytest.approx(0, abs=1e-3)


def test_tables_that_are_not_crossed_or_not_balanced_are_refused():
    table = mixture(voice=1)
    with pytest.raises(ValueError, match="7 of 49 combinations"):
        information_split(table[table.voice != table.words])
    skewed = pd.concat([table, *[table[table.voice == table.words]] * 12])
    with pytest.raises(ValueError, match="not balanced"):
        information_split(skewed)
    with pytest.raises(ValueError, match="at least two"):
        information_split(table[table.words == "sad"])
    with pytest.raises(ValueError, match="no item"):
        information_split(table.assign(words=None))
    once = mixture(voice=1, sentences=14)
    with pytest.raises(ValueError, match="neutral words come in one sentence only"):
        information_split(once[once.sentence != "s7"])


def test_same_table_gives_the_same_result():
    table = mixture(words=0.3, seed=4)
    assert isinstance(information_split(table), Information)
    assert information_split(table, permutations=9) == information_split(table, permutations=9)
