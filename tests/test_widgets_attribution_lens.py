"""The attribution lens: what is chosen is computed once, on demand, and what cannot be asked is said in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import traitlets

from cogviz import tour
from cogviz.attribution.examine import conflicts
from cogviz.attribution.prepare import remember
from cogviz.lime import dataset
from cogviz.models.listener import CogAudioListener
from cogviz.utterance import Utterance
from cogviz.widgets.attribution_lens import AttributionLens

Pairs = tuple[list[Utterance], list[Utterance]]


@pytest.fixture(scope="module")
def models() -> list[CogAudioListener]:
    return [CogAudioListener(name) for name in ("nano-aligned", "nano-baseline")]


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return conflicts(dataset.read(tour.samples()), 3)


@pytest.fixture(scope="module")
def lens(models: list[CogAudioListener], pairs: Pairs) -> AttributionLens:
    return AttributionLens(models, *pairs)


def test_what_is_seen_was_computed_once_and_only_when_it_was_read(models: list[CogAudioListener], pairs: Pairs) -> None:
    lens = AttributionLens(models, *pairs)
    assert (lens.computed, lens.busy) == (0, True)
    lens.method, lens.item = "gradient_x_input", pairs[0][1].id
    assert lens.computed == 0, "choosing computes nothing yet"
    assert lens.found.method == "gradient_x_input"
    assert [u.id for u in lens.found.utterances] == [pairs[0][1].id]
    first = lens.found
    lens.method = "integrated_gradients"
    assert lens.gap < 0.02
    lens.method = "gradient_x_input"
    assert lens.found is first
    assert lens.computed == 2


def test_the_overlay_moves_with_the_model(lens: AttributionLens) -> None:
    lens.method, lens.over = "integrated_gradients", "audio"
    lens.model = "nano-aligned"
    heard, view = lens.strongest, lens.still()
    assert heard[0].startswith("tone")
    lens.model = "nano-baseline"
    assert not lens.strongest[0].startswith("tone")
    assert lens.still() != view
    assert "words heard" in view
    assert view.count("<audio") == 2


def test_the_contrast_changes_what_is_explained(lens: AttributionLens) -> None:
    lens.contrast = "nothing"
    lens.target = "sad"
    assert lens.found.target == "log p(sad)"
    lens.contrast = "words"
    lens.target = "voice"
    assert lens.found.target == "log odds of voice over words"


def test_the_sound_itself_is_drawn_with_its_words(lens: AttributionLens) -> None:
    lens.method, lens.over = "gradient_x_input", "mel"
    word, value = lens.strongest
    u = lens.found.utterances[0]
    assert word in [w.text for w in u.words]
    assert abs(value) > 0
    assert "<picture>" in lens.still()
    lens.over = "audio"


def test_what_cannot_be_asked_is_said(lens: AttributionLens, models: list[CogAudioListener], pairs: Pairs) -> None:
    with pytest.raises(traitlets.TraitError, match="integrated_gradients"):
        lens.method = "magic"
    lens.contrast = "voice"
    with pytest.raises(ValueError, match="same emotion"):
        _ = lens.found
    assert "same emotion" in lens.problem
    lens.contrast = "words"
    assert lens.found is not None
    assert lens.problem == ""
    with pytest.raises(ValueError, match="references"):
        AttributionLens(models, pairs[0], pairs[1][:1])
    with pytest.raises(ValueError, match="utterance"):
        AttributionLens(models, [])


def test_what_is_remembered_is_the_same_and_shared_by_equal_encoders(pairs: Pairs) -> None:
    listeners = [CogAudioListener(name) for name in ("nano-aligned", "nano-baseline")]
    before = [one.scores(pairs[0], progress=False) for one in listeners]
    remember(listeners, [*pairs[0], *pairs[1]])
    for one, was in zip(listeners, before, strict=True):
        assert len(one.states) == 6
        assert np.abs(one.scores(pairs[0], progress=False) - was).max() < 1e-3
    name = pairs[0][0].id
    assert listeners[0].states[name][0] is listeners[1].states[name][0]
