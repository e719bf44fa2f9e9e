"""Cue weighting on simulated listeners whose weights are known."""

import math

import numpy as np
import pytest
from simulated import logit, mixture
from sklearn.linear_model import LogisticRegression

from cogviz.evaluation.items import read_items
from cogviz.evaluation.weighing import answer_counts, cue_features, cue_weighting, fit_logit


def test_weights_of_a_conditional_logit_are_found():
    found = cue_weighting(logit(2.0, 1.0, bias=(1, 0, 0, 0, -1, 0, 0), seed=1))
    assert found.words.low < 2 < found.words.high
    assert found.voice.low < 1 < found.voice.high
    assert found.share.low < 2 / 3 < found.share.high
    assert found.share.high - found.share.low < 0.1
    assert found.verdict == "the words weigh more"


def test_fit_is_the_maximum_that_an_independent_optimiser_finds():
    """A logit with the two cues per answer as the features of a binary regression has the same likelihood where there are two answers."""
    table = logit(1.5, 0.5, seed=2)
    table = table[table.words.isin(["happy", "sad"]) & table.voice.isin(["happy", "sad"])]
    table = table.assign(
        answer=np.where(table.answer == table.words, table.words, np.where(table.answer == table.voice, table.voice, "sad"))
    )
    features, counts = cue_features(), answer_counts(read_items(table))
    used = [1, 2]
    found = fit_logit(counts[None][..., used], features[:, used])[0]
    sign = np.stack([np.where(table[cue] == "happy", 1, -1) for cue in ("words", "voice")], axis=1)
    other = LogisticRegression(C=1e6).fit(sign, table.answer == "happy")
    assert found[:2] == pytest.approx(other.coef_[0], abs=0.01)


def test_pure_reader_and_pure_hearer_have_a_share_at_the_end_and_finite_weights():
    reader, hearer = cue_weighting(mixture(words=1)), cue_weighting(mixture(voice=1))
    assert (reader.share.value, hearer.share.value) == (pytest.approx(1, abs=1e-3), pytest.approx(0, abs=1e-3))
    assert math.isfinite(reader.words.value)
    assert reader.words.value > 8
    assert (reader.verdict, hearer.verdict) == ("the words weigh more", "the voice weighs more")


def test_coin_has_no_share_and_no_verdict():
    found = cue_weighting(mixture(seed=3))
    assert found.words.low < 0 < found.words.high
    assert math.isnan(found.share.value)
    assert math.isnan(found.share.low)
    assert found.verdict == "undecided"


def test_avoiding_a_cue_is_a_weight_below_zero_and_no_share():
    found = cue_weighting(logit(-1.5, 3.0, seed=4))
    assert found.words.high < 0
    assert math.isnan(found.share.value)
    assert found.verdict == "the voice weighs more"
    avoids_both = cue_weighting(logit(-1.0, -3.0, seed=4))
    assert avoids_both.difference.low > 0
    assert avoids_both.verdict == "undecided"


def test_favourite_answers_are_no_weight():
    found = cue_weighting(mixture(words=0.3, voice=0.3, favourite="angry", seed=5))
    assert abs(found.difference.value) < 0.3
    assert found.share.low < 0.5 < found.share.high


def test_unparsed_answers_are_left_out_and_reported():
    found = cue_weighting(mixture(words=0.3, voice=0.3, unparsed=0.3, seed=6))
    assert found.unparsed.value == pytest.approx(0.3, abs=0.05)
    assert found.words.n < found.unparsed.n == 882


def test_few_sentences_give_no_verdict_and_one_gives_no_interval():
    assert cue_weighting(mixture(words=1, sentences=4)).verdict == "undecided"
    table = mixture(words=1, voice=0, sentences=7)
    one = cue_weighting(table.assign(sentence="s"))
    assert math.isnan(one.words.low)
    assert one.verdict == "undecided"


def test_what_cannot_be_weighed_is_refused():
    table = mixture(voice=1, sentences=7)
    with pytest.raises(ValueError, match="words of all items carries sad"):
        cue_weighting(table[table.words == "sad"])
    with pytest.raises(ValueError, match="voice of all items carries sad"):
        cue_weighting(table[table.voice == "sad"])
    with pytest.raises(ValueError, match="no item whose words and voice both carry an emotion"):
        cue_weighting(table.assign(words=None))
    with pytest.raises(ValueError, match="never disagree"):
        cue_weighting(table[table.words == table.voice])
    with pytest.raises(ValueError, match="no answer names an emotion"):
        cue_weighting(table.assign(answer=None))
    with pytest.raises(ValueError, match="lacks the column"):
        cue_weighting(table.drop(columns="voice"))
