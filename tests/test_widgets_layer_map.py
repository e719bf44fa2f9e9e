"""The layer map: what is near in the states is named, what is chosen is shown and played once, and whatever there is not is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import traitlets
from planted import codes, recording, states, utterances

from cogviz.plotting.layer_map import layer_map
from cogviz.projection.embeddings import Map
from cogviz.widgets.layer_map import HIGH, NEAR, WIDE, LayerMap

SAID = [replace(u, waveform=np.full(1600, 0.1, dtype=np.float32)) for u in utterances(sentences=8, speakers=1)]


@pytest.fixture
def shown() -> LayerMap:
    """One layer with the voice, one with the sentence, in two models that differ in how much."""
    made = [
        recording(SAID, {"a": states(SAID, voice=much, seed=1), "b": states(SAID, words=4.0, seed=2)}, name=name)
        for name, much in (("weak", 0.0), ("strong", 4.0))
    ]
    return LayerMap(made, segment=None)


def test_the_nearest_are_those_of_the_states_and_of_other_sentences(shown: LayerMap) -> None:
    shown.model, shown.layer, shown.chosen = "strong", "a", 9
    code = codes(SAID)
    assert len(shown.near) == NEAR
    assert all(code["voice"][i] == code["voice"][9] and code["sentence"][i] != code["sentence"][9] for i in shown.near)
    shown.layer, shown.chosen = "b", 3
    assert [int(code["sentence"][i]) for i in shown.near] == [7] * NEAR, "the one other sentence of that word emotion"
    assert shown.points.shape == (len(SAID), 2)
    assert shown.chance < shown.trust <= 1


def test_a_point_that_is_clicked_is_chosen_shown_and_played_once(shown: LayerMap) -> None:
    assert "autoplay" not in (shown.settle() or shown.view.value), "nothing sounds before somebody chooses"
    shown.dots[12].click()
    shown.settle()
    assert shown.chosen == 12
    assert SAID[12].text in shown.view.value
    assert "autoplay" in shown.view.value
    assert shown.dots[12].layout.border.startswith("2px")
    assert sum(dot.layout.border.startswith("1px") for dot in shown.dots) == NEAR
    shown.layer = "b"
    shown.settle()
    assert "autoplay" not in shown.view.value, "another layer is no reason to hear it again"
    shown.playing = False
    shown.chosen = 3
    shown.settle()
    assert "autoplay" not in shown.view.value


def test_points_lie_as_on_the_map_with_the_same_scale_both_ways(shown: LayerMap) -> None:
    points = shown.points
    laid = np.array([[WIDE * float(d.layout.left[:-1]), -HIGH * float(d.layout.top[:-1])] for d in shown.dots]) / 100
    assert ((laid[:, 0] > 0) & (laid[:, 0] < WIDE) & (laid[:, 1] < 0) & (laid[:, 1] > -HIGH)).all()
    ratio = np.ptp(laid, axis=0) / np.ptp(points, axis=0)
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=0.01)
    np.testing.assert_allclose(np.corrcoef(laid.T[0], points.T[0])[0, 1], 1, atol=1e-4)


def test_signs_tell_emotions_besides_colours_and_follow_what_is_asked(shown: LayerMap) -> None:
    shown.settle()
    assert len({dot.description for dot in shown.dots}) == 7
    voice = [dot.description for dot in shown.dots]
    shown.by = "word_emotion"
    shown.settle()
    assert [dot.description for dot in shown.dots] != voice
    assert all(u.text in dot.tooltip for u, dot in zip(SAID, shown.dots, strict=True)), "hovering says the sentence"


def test_the_still_view_is_a_picture_with_the_recording_that_does_not_play_by_itself(shown: LayerMap) -> None:
    shown.chosen = 5
    text = shown.still()
    assert text.count("<picture>") == 1
    assert text.count("<audio") == 1
    assert "autoplay" not in text


def test_a_map_does_not_depend_on_what_was_looked_at_before(shown: LayerMap) -> None:
    shown.method, shown.model, shown.layer = "tsne", "strong", "a"
    first = shown.points
    shown.layer = "b"
    shown.settle()
    shown.layer = "a"
    np.testing.assert_array_equal(shown.points, first)


def test_what_is_not_there_is_refused(shown: LayerMap) -> None:
    for name, value in (
        ("model", "none"),
        ("layer", "c"),
        ("method", "tea leaves"),
        ("by", "speaker"),
        ("chosen", len(SAID)),
        ("chosen", -1),
    ):
        with pytest.raises(traitlets.TraitError, match="there is"):
            setattr(shown, name, value)
    with pytest.raises(ValueError, match="recording"):
        LayerMap([])
    with pytest.raises(ValueError, match="different"):
        LayerMap([recording(SAID, {"a": states(SAID)}), recording(SAID[:20], {"a": states(SAID[:20])}, name="other")])


def test_the_figure_refuses_other_colours() -> None:
    with pytest.raises(ValueError, match="voice_emotion"):
        layer_map(Map("x", "pca", tuple(SAID), np.zeros((len(SAID), 2)), 1.0, 0.5), by="speaker")
