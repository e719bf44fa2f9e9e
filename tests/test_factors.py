"""Factor Shapley values on listeners whose weights are known, and the sounds of the coalitions."""

from __future__ import annotations

import itertools
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cogviz import statistics
from cogviz.audio import RATE, level_db
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.factors import COALITIONS, FACTORS, coalitions, margin, shapley, weights, worth
from cogviz.lime import prosody, world
from cogviz.lime.measure import measure
from cogviz.lime.voices import speak
from cogviz.utterance import Utterance

ON = np.array([[c >> i & 1 for i in range(6)] for c in range(COALITIONS)], dtype=float)
TRUTH = np.array([0.8, 0.5, 0.3, -0.1, 0.2, 0.0])


def listener(seed: int = 0, *, items: int = 60, together: float = 0.0, truth: np.ndarray = TRUTH, spread: float = 0.3) -> np.ndarray:
    """(items, 64): what each factor adds, which differs from sentence to sentence (two items each), and what words and all five give together."""
    draw = np.random.default_rng(seed)
    own = truth + np.repeat(draw.normal(0, spread, (items // 2, 6)), 2, axis=0)
    both = ON[:, 0] * (ON[:, 1:].sum(axis=1) == 5)
    return draw.normal(0, 1, (items, 1)) + own @ ON.T + together * both + draw.normal(0, spread, (items, COALITIONS))


def clusters(items: int = 60) -> dict[str, list[str]]:
    return {"sentences": [f"s{i // 2}" for i in range(items)], "speakers": [f"p{i % 4}" for i in range(items)]}


def covers(estimate: statistics.Estimate, truth: float) -> bool:
    return estimate.low - 1e-9 <= truth <= estimate.high + 1e-9


def test_weights_are_the_average_over_all_orders_of_entry() -> None:
    values = np.random.default_rng(0).normal(size=COALITIONS)
    found = np.zeros(6)
    for order in itertools.permutations(range(6)):
        inside = 0
        for player in order:
            found[player] += values[inside | 1 << player] - values[inside]
            inside |= 1 << player
    np.testing.assert_allclose(weights() @ values, found / math.factorial(6), atol=1e-12)


def test_an_additive_listener_gets_its_weights_back_and_no_interaction() -> None:
    found = shapley(listener(spread=0), **clusters())
    for name, truth in zip(FACTORS, TRUTH, strict=True):
        assert found.factors[name].value == pytest.approx(truth, abs=1e-12)
        assert found.shares[name].value == pytest.approx(truth / TRUTH.sum(), abs=1e-12)
    assert found.interaction.value == pytest.approx(0, abs=1e-12)
    assert found.warning == ""
    assert found.total.scope == "for these speakers"


def test_parts_sum_to_the_total_and_shares_to_one() -> None:
    found = shapley(listener(together=0.7), **clusters())
    assert abs(sum(e.value for e in found.factors.values()) - found.total.value) < 1e-6
    assert found.tone.value + found.factors["words"].value == pytest.approx(found.total.value, abs=1e-9)
    assert sum(e.value for e in found.shares.values()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("together", [0.9, -0.9])
def test_what_words_and_tone_give_only_together_is_the_interaction_and_is_shared_by_all_six(together: float) -> None:
    found = shapley(listener(together=together), **clusters())
    assert covers(found.interaction, together)
    assert np.sign(found.interaction.low) == np.sign(found.interaction.high) == np.sign(together)
    for name, truth in zip(FACTORS, TRUTH, strict=True):
        assert covers(found.factors[name], truth + together / 6)


def test_a_listener_of_words_alone_has_no_tone_and_one_of_nothing_has_no_shares() -> None:
    reader = shapley(listener(truth=np.eye(6)[0]), **clusters())
    assert covers(reader.shares["words"], 1)
    assert covers(reader.tone, 0)
    deaf = shapley(np.random.default_rng(0).normal(size=(60, COALITIONS)), **clusters())
    assert covers(deaf.total, 0)
    assert all(math.isnan(e.value) for e in deaf.shares.values())
    assert "no shares" in deaf.warning


def test_intervals_cover_the_truth_in_at_least_88_of_100_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "bootstrap", partial(statistics.bootstrap, draws=200))
    covered = np.zeros(9)
    errors, widths = [], []
    for seed in range(100):
        found = shapley(listener(seed, together=0.5), **clusters())
        truth = TRUTH + 0.5 / 6
        pairs = [(found.factors[f], t) for f, t in zip(FACTORS, truth, strict=True)]
        pairs += [(found.interaction, 0.5), (found.shares["words"], truth[0] / truth.sum()), (found.total, truth.sum())]
        covered += [covers(e, t) for e, t in pairs]
        errors.append([e.value - t for e, t in pairs])
        widths.append([e.high - e.low for e, _ in pairs])
    assert covered.min() >= 88, covered
    assert (np.abs(np.mean(errors, axis=0)) < np.mean(widths, axis=0) / 5).all()


def test_few_sentences_are_said_and_one_has_no_interval() -> None:
    few = shapley(listener(items=4), sentences=list("aabb"), speakers=list("pqpq"))
    assert "2 sentence(s) are too few" in few.warning
    one = shapley(listener(items=2), sentences=list("aa"), speakers=list("pq"))
    assert math.isnan(one.total.low)
    assert math.isnan(one.shares["words"].value)


def test_values_of_another_shape_or_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match=r"give \(\{items\}, 64\)"):
        shapley(np.zeros((3, 32)), sentences=list("abc"), speakers=list("abc"))
    broken = np.zeros((3, 64))
    broken[1, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        shapley(broken, sentences=list("abc"), speakers=list("abc"))


def test_worth_and_margin_read_the_right_columns() -> None:
    targets = [Utterance("u", "x", "sad", "p", "s", "test", lexical_emotion="happy"), Utterance("v", "x", "fear", "p", "s", "test")]
    scores = np.log(np.random.default_rng(0).dirichlet(np.ones(7), size=2 * COALITIONS))
    assert worth(scores, targets)[1, 5] == scores[COALITIONS + 5, EMOTIONS.index("fear")]
    assert worth(scores, targets, probability=True)[0, 63] == pytest.approx(np.exp(scores[63, EMOTIONS.index("sad")]))
    expected = scores[7, EMOTIONS.index("sad")] - scores[7, EMOTIONS.index("happy")]
    assert margin(scores[:COALITIONS], targets[:1])[0, 7] == pytest.approx(expected)
    with pytest.raises(ValueError, match="1 target"):
        margin(scores, targets)
    with pytest.raises(ValueError, match="128 coalitions"):
        worth(scores[:10], targets)


@pytest.fixture(scope="module")
def pool() -> list[Utterance]:
    """Two neutral sentences by one speaker, one of them happy in its words, and an angry variant of that."""

    def said(text: str, lexical: str | None, sentence: str) -> Utterance:
        speech = speak(text, "espeak-us-m3")
        analysis = world.analyse(speech.samples, speech.rate, speech.words)
        wave = prosody.render(world.move(analysis, rate=RATE), prosody.delta("neutral", 0.0, variation=0)).samples
        return Utterance(sentence, text, "neutral", "p", sentence, "test", 0.0, waveform=wave, lexical_emotion=lexical)

    happy = said("I got the job.", "happy", "job")
    angry = Utterance("job-angry", happy.text, "angry", "p", "job", "test", 1.5, lexical_emotion="happy")
    return [happy, said("I saw the door.", None, "door"), angry]


def test_coalitions_switch_their_factors_and_nothing_else(pool: list[Utterance], tmp_path: Path) -> None:
    made = coalitions([pool[2]], pool, folder=tmp_path, jobs=1, progress=False)
    assert len(made) == COALITIONS
    assert made[63].extra["factors"] == list(FACTORS)
    assert made[0].extra["factors"] == []
    assert {u.extra["of"] for u in made} == {"job-angry"}
    assert {u.sentence for u in made} == {"job"}
    assert (made[62].text, made[62].lexical_emotion) == ("I saw the door.", None)
    assert (made[63].text, made[63].lexical_emotion) == ("I got the job.", "happy")
    found = {c: measure(world.analyse(made[c].samples, RATE)) for c in (1, 3, 17)}
    assert found[3]["f0_level"] - found[1]["f0_level"] > 4  # F0 level alone
    assert abs(found[3]["duration"] - found[1]["duration"]) < 0.1
    assert level_db(made[17].samples) - level_db(made[1].samples) > 15  # energy alone
    assert abs(found[17]["f0_level"] - found[1]["f0_level"]) < 1

    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = coalitions([pool[2]], pool, folder=tmp_path, jobs=1, progress=False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert [u.path for u in again] == [u.path for u in made]


def test_what_cannot_be_rendered_is_said(pool: list[Utterance]) -> None:
    with pytest.raises(ValueError, match="is neutral"):
        coalitions(pool[:1], pool)
    with pytest.raises(ValueError, match="no neutral variant"):
        coalitions([pool[2]], pool[1:2])
    with pytest.raises(ValueError, match="another sentence without emotion"):
        coalitions([pool[2]], pool[:1])
