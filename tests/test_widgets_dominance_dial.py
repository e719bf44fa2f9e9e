"""The dominance dial: words stay, the voice grows, and the threshold is where the answer turns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import traitlets
from listening_widgets import LoudIsAngry

from cogviz import tour
from cogviz.emotions import EMOTIONS, UnknownEmotion
from cogviz.lime import dataset
from cogviz.utterance import Utterance
from cogviz.widgets.asking import answers, ask
from cogviz.widgets.dominance_dial import DominanceDial, first_crossing, neutral_voices, spoken_as


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


def test_the_crossing_lies_on_the_line_between_levels() -> None:
    assert first_crossing([0, 0.5, 1], np.array([-1.0, 1.0, 2.0])) == 0.25
    assert first_crossing([0, 0.5, 1], np.array([1.0, -1.0, -1.0])) == 0
    assert math.isinf(first_crossing([0, 0.5, 1], np.array([-1.0, -1.0, -0.1])))


def test_every_emotion_of_words_has_neutral_voices_to_start_from(pool: list[Utterance]) -> None:
    found = neutral_voices(pool)
    assert {u.lexical_emotion for u in found} == set(EMOTIONS) - {"neutral"}
    other = spoken_as(found[0], "sad")
    assert (other.text, other.emotion, other.speaker) == (found[0].text, "sad", found[0].speaker)


def test_listeners_with_one_encoder_answer_as_each_does_alone(pool: list[Utterance]) -> None:
    from cogviz.models.listener import CogAudioListener

    few = [u for u in pool if u.congruence == "conflict"][:4]
    both = [CogAudioListener(name) for name in ("nano-baseline", "nano-aligned")]
    together = ask(both, few)
    for listener in both:
        alone = np.exp(listener.scores(few, progress=False))
        assert np.abs(together[listener.name] - alone).max() < 1e-3
        assert listener.states == {}, "what was lent is given back"
    table = answers(few, together["nano-aligned"])
    assert table.answer.tolist() == [EMOTIONS[i] for i in together["nano-aligned"].argmax(axis=1)]
