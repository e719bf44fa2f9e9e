"""CKA is the published formula, does not mind rotations, and of wide independent states says nothing when debiased."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import recording, states, utterances

from cogviz.probing.similarity import cka, gram, similarity

SAID = utterances(sentences=7, speakers=2)
DRAW = np.random.default_rng(0)


def test_linear_cka_is_the_formula() -> None:
    x, y = DRAW.normal(size=(40, 5)), DRAW.normal(size=(40, 8))
    a, b = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    assert cka(gram(x)[None], gram(y)[None], debiased=False).item() == pytest.approx(expected)


def test_the_debiased_one_is_songs_estimate() -> None:
    x, y = DRAW.normal(size=(20, 5)), DRAW.normal(size=(20, 8))

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        n, one = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        sums = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ m @ one
        return float((np.trace(k @ m) + sums) / (n * (n - 3)))

    k, m = gram(x).numpy(), gram(y).numpy()
    expected = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert cka(gram(x)[None], gram(y)[None]).item() == pytest.approx(expected)


def test_rotations_and_scales_do_not_matter() -> None:
    x = states(SAID, voice=1.0)
    turn = np.linalg.qr(DRAW.normal(size=(24, 24)))[0]
    both = recording(SAID, {"a": x, "b": 3 * x @ turn + 7})
    found = similarity(both, draws=20)
    assert found.get("a", "b").value == pytest.approx(1, abs=1e-5)
    assert found.p[0, 1] == pytest.approx(1 / 21)


def test_wide_states_of_few_utterances_are_alike_only_with_bias() -> None:
    both = recording(SAID, {"a": states(SAID, width=500), "b": states(SAID, width=500, seed=1)})
    biased, debiased = (similarity(both, debiased=d, draws=100) for d in (False, True))
    assert biased.get("a", "b").value > 0.7
    assert abs(debiased.get("a", "b").value) < 0.05
    assert debiased.p[0, 1] > 0.02
    assert debiased.low[0, 1] < 0 < debiased.high[0, 1]
    assert biased.get("a", "b").value == pytest.approx(biased.null[0, 1], abs=0.03), "and the null tells"


def test_what_is_shared_is_told_from_what_is_not() -> None:
    shared = states(SAID, voice=2.0, noise=0)
    first = recording(SAID, {"x": shared + states(SAID)}, name="first")
    second = recording(SAID, {"x": shared + states(SAID, seed=1), "other": states(SAID, seed=2)}, name="second")
    found = similarity(first, second, draws=100)
    assert (found.rows, found.columns) == (("x",), ("x", "other"))
    assert found.low[0, 0] > found.null[0, 0]
    assert found.p[0, 0] < 0.02 < found.p[0, 1]
    assert found.results(data="planted")[0]["model"] == "first and second"


def test_shuffled_within_sentences_what_sentences_share_is_no_surprise() -> None:
    shared = states(SAID, sentence=2.0, noise=0)
    both = recording(SAID, {"a": shared + states(SAID), "b": shared + states(SAID, seed=1)})
    free = similarity(both, draws=100)
    within = similarity(both, within=[u.sentence for u in SAID], draws=100)
    assert free.p[0, 1] < 0.02 < within.p[0, 1]
    assert within.null[0, 1] > 10 * free.null[0, 1]


def test_all_layers_together_are_one_by_one() -> None:
    grams = torch.stack([gram(states(SAID, voice=1.0, seed=s)) for s in range(4)])
    together = cka(grams, grams)
    for i in range(4):
        for j in range(4):
            assert together[i, j].item() == pytest.approx(cka(grams[i : i + 1], grams[j : j + 1]).item(), abs=1e-5)


def test_states_that_do_not_vary_are_like_nothing() -> None:
    both = recording(SAID, {"a": np.ones((len(SAID), 4), np.float32), "b": states(SAID)})
    assert similarity(both, draws=5).get("a", "b").value == 0


def test_bad_requests_say_why() -> None:
    plain = recording(SAID, {"x": states(SAID)})
    with pytest.raises(ValueError, match="of different utterances"):
        similarity(plain, recording(SAID[::-1], {"x": states(SAID)}))
    with pytest.raises(ValueError, match="4 utterances at least"):
        similarity(recording(SAID[:3], {"x": states(SAID[:3])}))
    with pytest.raises(ValueError, match="every place was kept"):
        similarity(replace(plain, at="positions"))
