"""Neighbourhoods say what was planted and nothing else, maps keep neighbours, and aligned maps keep places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import codes, recording, states, utterances
from sklearn.metrics import silhouette_samples

from cogviz.projection.embeddings import flat, moved, onto, stages, trustworthiness
from cogviz.projection.neighbours import distances, neighbourhoods, purity, silhouette

SAID = utterances(sentences=14, speakers=2)
CODES = codes(SAID)


def test_what_organises_a_space_is_told() -> None:
    sites = {"voice": states(SAID, voice=2.0), "sentence": states(SAID, sentence=2.0, seed=1), "nothing": states(SAID, seed=2)}
    found = neighbourhoods(recording(SAID, sites), draws=60)
    assert found.get("voice", "voice_emotion").purity.value > 0.8
    assert found.get("voice", "voice_emotion").purity_p < 0.02
    assert found.get("voice", "voice_emotion").silhouette.value > found.get("voice", "voice_emotion").silhouette.chance + 0.2
    assert found.get("sentence", "sentence").purity.value > 0.9
    assert found.get("sentence", "sentence").purity_p < 0.02
    for label in found.labels:
        none = found.get("nothing", label)
        assert none.purity_p > 0.02
        assert none.purity.value == pytest.approx(none.purity.chance, abs=0.05)
    assert {r["measure"] for r in found.rows(data="x")} >= {"purity_voice_emotion_voice", "silhouette_speaker_nothing"}


def test_sentences_that_cluster_are_no_sign_of_their_word_emotion() -> None:
    said = utterances(sentences=14, speakers=2)
    sites = {"sentence": states(said, sentence=3.0), "words": states(said, words=3.0, sentence=1.0)}
    found = neighbourhoods(recording(said, sites), labels=("word_emotion",), draws=60)
    assert found.get("sentence", "word_emotion").purity_p > 0.02
    assert found.get("sentence", "word_emotion").silhouette_p > 0.02, "though every sentence is a cluster of one word emotion"
    assert found.get("words", "word_emotion").purity_p < 0.02
    assert found.get("words", "word_emotion").silhouette_p < 0.02


def test_scores_are_those_of_sklearn_and_of_counting() -> None:
    x = states(SAID, voice=1.0)
    distance = distances(x)
    np.testing.assert_allclose(
        silhouette(distance, CODES["voice"]), silhouette_samples(distance, CODES["voice"], metric="precomputed"), atol=1e-8
    )
    near = np.array([[1, 2], [0, 2], [3, 1], [2, 0]])
    assert purity(near, np.array(["a", "a", "b", "b"])).tolist() == [0.5, 0.5, 0.5, 0.5]
    alone = silhouette(distance, np.array(["x"] + ["y"] * (len(SAID) - 1)))
    assert alone[0] == 0


def test_states_that_do_not_vary_have_no_neighbourhood() -> None:
    found = neighbourhoods(recording(SAID, {"x": np.ones((len(SAID), 4), np.float32)}), labels=("voice_emotion",), draws=60)
    assert found.get("x", "voice_emotion").purity.value == pytest.approx(1 / 7, abs=0.03)


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
def test_maps_keep_neighbours_and_places(method: str) -> None:
    first = states(SAID, voice=3.0)
    sites = {"early": first, "late": first + 0.1 * states(SAID, seed=1), "other": states(SAID, seed=2)}
    found = stages([recording(SAID, sites)], list(sites), method=method)
    assert [m.name for m in found] == list(sites)
    assert all(m.points.shape == (len(SAID), 2) for m in found)
    for one in found[:2]:
        assert one.trust > one.chance + 0.2
        assert one.chance == pytest.approx(0.5, abs=0.1)
        near = np.linalg.norm(one.points[:, None] - one.points, axis=-1) + 1e9 * np.eye(len(SAID))
        assert (CODES["voice"][near.argmin(1)] == CODES["voice"]).mean() > 0.8
    assert np.median(moved(found[0], found[1])) < np.median(moved(found[1], found[2])), "what hardly changes hardly moves"


def test_variants_of_a_model_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    x = states(SAID, voice=2.0)
    found = stages([recording(SAID, {"lm.0": x}, name="a"), recording(SAID, {"lm.0": 2 * x + 1}, name="b")], ["lm.0"], method="pca")
    assert [m.name for m in found] == ["a, lm.0", "b, lm.0"]
    np.testing.assert_allclose(found[0].points, found[1].points, atol=1e-3)


def test_procrustes_undoes_turning_moving_and_scaling() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    turn = np.array([[0.6, -0.8], [-0.8, -0.6]])
    np.testing.assert_allclose(onto(3 * points @ turn + 5, points), points, atol=1e-9)


def test_trust_is_chance_where_points_are_dealt_out() -> None:
    x = states(SAID, voice=3.0)
    trust, chance = trustworthiness(x, np.random.default_rng(0).normal(size=(len(SAID), 2)))
    assert trust == pytest.approx(chance, abs=0.05)


def test_bad_requests_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = recording(SAID, {"x": states(SAID)})
    with pytest.raises(ValueError, match="method is one of umap, pca, tsne"):
        flat(states(SAID), method="mds")
    with pytest.raises(ValueError, match="4 utterances at least"):
        flat(states(SAID[:3]))
    with pytest.raises(ValueError, match="one of either for all"):
        stages([plain, plain], ["x", "x", "x"])
    with pytest.raises(ValueError, match="different utterances"):
        stages([plain, recording(SAID[::-1], {"x": states(SAID)})], ["x"])
    with pytest.raises(ValueError, match="no 10 neighbours"):
        neighbourhoods(recording(SAID[:8], {"x": states(SAID[:8])}))
    with pytest.raises(ValueError, match="neighbourhoods are by voice_emotion"):
        neighbourhoods(plain, labels=("tone",))
    with pytest.raises(ValueError, match="is known of all utterances"):
        neighbourhoods(recording([replace(u, emotion="sad") for u in SAID], {"x": states(SAID)}), labels=("voice_emotion",))
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(ImportError, match=r"pip install 'cogviz\[notebooks\]'"):
        flat(states(SAID), method="umap")
