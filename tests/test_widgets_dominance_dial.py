"""The dominance dial: words stay, the voice grows, and the threshold is where the answer turns."""

from __future__ import annotations

import math

import pytest
import traitlets
from listening_widgets import LoudIsAngry

from cogviz import tour
from cogviz.emotions import UnknownEmotion
from cogviz.lime import dataset
from cogviz.utterance import Utterance
from cogviz.widgets.dominance_dial import DominanceDial


@pytest.fixture(scope="module")
def pool() -> list[Utterance]:
    return dataset.read(tour.samples())


def test_the_answer_turns_where_the_voice_is_loud_enough(pool: list[Utterance]) -> None:
    easy, deaf = LoudIsAngry("easy", above=-28.0), LoudIsAngry("deaf", above=50.0)
    dial = DominanceDial(pool, [easy, deaf], levels=(0, 0.5, 1, 1.5))
    assert easy.asked == 0
    dial.words, dial.voice, dial.intensity = "happy", "angry", 0.0
    assert dial.answers == {"easy": "happy", "deaf": "happy"}
    assert 0 < dial.thresholds["easy"] < 1.5
    assert math.isinf(dial.thresholds["deaf"])
    dial.intensity = 1.4
    assert dial.intensity == 1.5, "the dial stands at a level"
    assert dial.answers == {"easy": "angry", "deaf": "happy"}
    assert easy.asked == 4, "turning the dial asks nobody again"
    assert set(dial.curves.columns) == {"model", "intensity", "voice", "words", "threshold"}
    assert dial.still().count("<audio") == 1


def test_words_and_voice_that_agree_have_no_threshold(pool: list[Utterance]) -> None:
    dial = DominanceDial(pool, [LoudIsAngry()], levels=(0, 1.5))
    dial.words = "angry"
    assert math.isnan(dial.thresholds["loud"])


def test_what_the_dial_does_not_have_is_refused(pool: list[Utterance]) -> None:
    dial = DominanceDial(pool, [])
    with pytest.raises(traitlets.TraitError, match="neutral"):
        dial.voice = "neutral"
    with pytest.raises(traitlets.TraitError, match="happy"):
        dial.words = "neutral"
    with pytest.raises(UnknownEmotion):
        dial.voice = "bored"
    with pytest.raises(ValueError, match="data_samples"):
        DominanceDial([u for u in pool if u.lexical_emotion is None], [])
