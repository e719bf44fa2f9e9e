"""Intervals that respect the clusters, and chance levels by hand."""

import math

import numpy as np
import pytest

from cogviz.statistics import Estimate, balanced_accuracy, bootstrap, difference, marginal_chance, mean, ratio, resample, resample_sums


def clustered(seed: int, *, sentences: int = 40, items: int = 10, spread: float = 1.0) -> tuple[np.ndarray, list[str], list[str]]:
    """Values with mean 0 whose sentences differ by `spread`; four speakers."""
    draw = np.random.default_rng(seed)
    values = (draw.normal(0, spread, (sentences, 1)) + draw.normal(size=(sentences, items))).ravel()
    names = np.repeat(np.arange(sentences), items).astype(str).tolist()
    return values, names, [f"p{i % 4}" for i in range(sentences * items)]


def weighted_mean(values: np.ndarray):
    return lambda w: float(w @ values / w.sum())


def coverage(runs: int, cluster: bool) -> float:
    covered = 0
    for seed in range(runs):
        values, sentences, speakers = clustered(seed)
        ids = sentences if cluster else [str(i) for i in range(len(values))]
        found = bootstrap(weighted_mean(values), len(values), sentences=ids, speakers=speakers, draws=300, seed=seed)
        covered += found.low <= 0 <= found.high
    return covered / runs


def test_clustered_interval_covers_the_truth_and_a_naive_one_does_not():
    assert coverage(120, cluster=True) >= 0.88
    assert coverage(60, cluster=False) < 0.75


def test_interval_from_ten_speakers_on_covers_speakers_that_differ():
    covered = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        values = (draw.normal(size=(20, 1)) + draw.normal(size=(1, 15)) + draw.normal(size=(20, 15))).ravel()
        sentence, speaker = np.divmod(np.arange(300), 15)
        found = bootstrap(
            weighted_mean(values), 300, sentences=sentence.astype(str).tolist(), speakers=speaker.astype(str).tolist(), draws=300, seed=seed
        )
        covered += found.low <= 0 <= found.high
    assert covered / 60 >= 0.88


def test_interval_of_few_clusters_is_wide_enough():
    """With six sentences plain percentiles cover the truth in 85 of 100 cases."""
    covered = np.zeros(2)
    for seed in range(400):
        values, sentences, speakers = clustered(seed, sentences=6)
        draws = resample_sums(np.stack([values, np.ones(60)], axis=1), sentences=sentences, speakers=speakers, draws=500, seed=seed).map(
            ratio
        )
        found = draws.estimate()
        low, high = np.percentile(draws.draws[:, 0], [2.5, 97.5])
        covered += found.low <= 0 <= found.high, low <= 0 <= high
    assert covered[0] / 400 >= 0.9
    assert covered[1] / 400 < 0.88


@pytest.mark.parametrize("speakers", [4, 12])
def test_sums_of_columns_are_resampled_as_any_statistic_is(speakers):
    values, sentences, _ = clustered(3)
    names = [f"p{i % speakers}" for i in range(400)]
    columns = np.stack([values, values**2], axis=1)
    one = resample(lambda w: w @ columns, 400, sentences=sentences, speakers=names, draws=60)
    other = resample_sums(columns, sentences=sentences, speakers=names, draws=60)
    assert one.draws == pytest.approx(other.draws)
    assert one.value == pytest.approx(other.value)
    assert (one.tail, one.scope) == (other.tail, other.scope)


def test_ratio_over_nothing_is_nan():
    assert ratio(np.array([[1.0, 2.0], [1.0, 0.0]])).ravel() == pytest.approx([0.5, np.nan], nan_ok=True)


def test_same_seed_gives_the_same_interval():
    values, sentences, speakers = clustered(0)
    assert mean(values, sentences=sentences, speakers=speakers) == mean(values, sentences=sentences, speakers=speakers)


def test_scope_says_for_these_speakers_below_ten():
    values = np.arange(40.0)
    sentences = [str(i) for i in range(40)]
    for speakers, scope in ((1, "for these speakers"), (9, "for these speakers"), (10, "")):
        assert mean(values, sentences=sentences, speakers=[str(i % speakers) for i in range(40)]).scope == scope


def test_value_is_the_plain_mean_and_lies_in_its_interval():
    values, sentences, speakers = clustered(1)
    found = mean(values, sentences=sentences, speakers=speakers, chance=0.5)
    assert found.value == pytest.approx(values.mean())
    assert found.low < found.value < found.high
    assert (found.n, found.chance) == (400, 0.5)


def test_share_of_nothing_reaches_as_far_as_so_few_sentences_allow():
    """Nothing in 36 sentences: still 10% once in forty times (.9 to the power of 36 is .0225)."""
    sentences = [str(i % 36) for i in range(108)]
    none = mean(np.zeros(108), sentences=sentences, speakers=["p"] * 108)
    assert none.low == none.value == 0
    assert (1 - none.high) ** 36 == pytest.approx(0.025)
    every = mean(np.ones(108), sentences=sentences, speakers=["p"] * 108)
    assert (every.low, every.high) == (pytest.approx(1 - none.high), 1)
    assert mean(np.full(108, 0.3), sentences=sentences, speakers=["p"] * 108).high == pytest.approx(0.3)


def test_single_sentence_has_no_interval():
    found = mean([0.0, 1.0, 1.0], sentences=["a"] * 3, speakers=["p", "q", "r"])
    assert found.value == pytest.approx(2 / 3)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_single_sentence_of_ten_speakers_has_an_interval_over_speakers():
    found = mean([0.0, 1.0] * 5, sentences=["a"] * 10, speakers=[str(i) for i in range(10)])
    assert found.low < 0.5 < found.high


def test_draws_without_a_value_are_left_out():
    values = np.array([np.nan, 1.0, 2.0, 3.0])

    def of_finite(weights: np.ndarray) -> float:
        kept = weights * np.isfinite(values)
        return float(kept @ np.nan_to_num(values) / kept.sum()) if kept.sum() else math.nan

    found = bootstrap(of_finite, 4, sentences=list("abcd"), speakers=["p"] * 4)
    assert found.value == 2
    assert 1 <= found.low <= found.high <= 3


def test_nothing_to_measure_is_nan_without_a_warning():
    found = bootstrap(lambda w: math.nan, 3, sentences=list("abc"), speakers=list("ppp"))
    assert all(math.isnan(x) for x in (found.value, found.low, found.high))


def test_recentred_interval_is_moved_and_not_stretched():
    values, sentences, speakers = clustered(2)
    biased = [
        bootstrap(lambda w: float(np.square(w).mean()), 400, sentences=sentences, speakers=speakers, recentre=recentre)
        for recentre in (False, True)
    ]
    assert biased[0].low > biased[0].value == 1
    assert biased[1].low < 1 < biased[1].high
    assert biased[1].high - biased[1].low == pytest.approx(biased[0].high - biased[0].low)
    assert values.shape == (400,)


def test_recentred_interval_holds_the_value():
    """Where a resample can only lose, and seldom does, moving the draws' mean onto the value would move the interval past it."""
    kinds = np.repeat(np.arange(7), 6)
    found = bootstrap(
        lambda w: float(len(np.unique(kinds[w > 0]))), 42, sentences=[str(i) for i in range(42)], speakers=["p"] * 42, recentre=True
    )
    assert found.low <= found.value == 7 <= found.high


def test_lengths_must_agree_and_items_must_exist():
    with pytest.raises(ValueError, match="no items"):
        mean([], sentences=[], speakers=[])
    with pytest.raises(ValueError, match="2 items need 2"):
        mean([1, 2], sentences=["a"], speakers=["p", "p"])


def test_balanced_accuracy_by_hand():
    truth = ["happy"] * 4 + ["sad"] * 2 + ["fear"]
    predicted = ["happy", "happy", "happy", "sad", "sad", "unparsed", "happy"]
    found = balanced_accuracy(truth, predicted, sentences=list("abcdefg"), speakers=["p"] * 7)
    assert found.value == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert found.chance == pytest.approx(1 / 3)


def test_always_the_same_answer_has_balanced_accuracy_at_chance():
    truth = ["happy"] * 90 + ["sad"] * 10
    found = balanced_accuracy(truth, ["happy"] * 100, sentences=[str(i) for i in range(100)], speakers=["p"] * 100)
    assert found.value == found.chance == 0.5


def test_marginal_chance_by_hand():
    assert marginal_chance(["a", "a", "b", "b"], ["a", "a", "a", "b"]) == pytest.approx(0.5 * 0.75 + 0.5 * 0.25)
    assert marginal_chance(["a", "b"], ["unparsed", "unparsed"]) == 0


def test_estimate_reads_well_and_becomes_a_row():
    estimate = Estimate(0.5, 0.4, 0.6, 20, 1 / 7, "for these speakers")
    assert str(estimate) == "0.500 [0.400, 0.600], n = 20, chance 0.143"
    assert estimate.row()["scope"] == "for these speakers"


def test_a_difference_that_is_nowhere_seen_has_an_interval_to_both_sides() -> None:
    names = [f"s{i}" for i in range(30)]
    same = difference([1, 0] * 15, [1, 0] * 15, sentences=names, speakers=["a"] * 30)
    assert (same.value, same.low) == (0, -same.high)
    assert 0.05 < same.high < 0.15
    found = difference([1.0] * 30, [0.0] * 29 + [1.0], sentences=names, speakers=["a"] * 30)
    assert found.value == pytest.approx(29 / 30)
    assert found.low < found.value


def test_many_speakers_of_two_sentences_speak_for_these_sentences_only() -> None:
    speakers = [f"a{i // 2}" for i in range(24)]
    assert mean([1, 0] * 12, sentences=["x", "y"] * 12, speakers=speakers).scope == "for these sentences"
    assert mean([1, 0] * 12, sentences=[f"x{i % 6}" for i in range(24)], speakers=speakers).scope == ""
