"""The emotion morph: each slider moves its own part of the voice, and nothing else."""

from __future__ import annotations

import time

import numpy as np
import pytest
from listening_widgets import LoudIsAngry

from cogviz import audio, tour
from cogviz.emotions import UnknownEmotion
from cogviz.lime import dataset, prosody, world
from cogviz.lime.measure import measure
from cogviz.utterance import Utterance
from cogviz.widgets.emotion_morph import LABELS, EmotionMorph


@pytest.fixture(scope="module")
def neutral() -> Utterance:
    return next(u for u in dataset.read(tour.samples()) if u.emotion == "neutral" and u.speaker == "neural-f2")


@pytest.fixture(scope="module")
def morph(neutral: Utterance) -> EmotionMorph:
    return EmotionMorph(neutral, [LoudIsAngry()])


def test_a_slider_moves_its_own_parameters_only(morph: EmotionMorph) -> None:
    for factor in prosody.FACTORS:
        morph.all_to(0.0)
        setattr(morph, factor, 1.0)
        moved = {name for name, value in zip(prosody.PARAMETERS, morph.values, strict=True) if value != 0}
        assert moved
        assert moved <= {name for name, of in prosody.PARAMETERS.items() if of == factor}


def test_all_sliders_together_are_the_emotion_of_the_rules(morph: EmotionMorph) -> None:
    morph.emotion = "fear"
    morph.all_to(1.2)
    assert np.allclose(morph.values, prosody.delta("fear", 1.2, variation=0.0))
    morph.emotion = "angry"


def test_the_sound_does_what_the_slider_says(morph: EmotionMorph) -> None:
    morph.all_to(0.0)
    before = morph.samples
    morph.energy = 1.0
    louder = audio.level_db(morph.samples) - audio.level_db(before)
    assert 4 < louder == pytest.approx(dict(zip(prosody.PARAMETERS, morph.values, strict=True))["level"], abs=3)
    morph.energy, morph.f0_level = 0.0, 1.5
    low, high = (measure(world.analyse(x, audio.RATE))["f0_level"] for x in (before, morph.samples))
    assert high - low == pytest.approx(dict(zip(prosody.PARAMETERS, morph.values, strict=True))["f0_level"], abs=1.5)


def test_listeners_answer_on_demand_only(morph: EmotionMorph) -> None:
    morph.asking = False
    morph.all_to(1.5)
    assert morph.answers == {}
    morph.asking = True
    assert morph.answers == {"loud": "angry"}
    morph.all_to(0.0)
    assert morph.answers == {"loud": "happy"}
    assert "hears <b>happy" in morph.still()
    morph.asking = False


def test_a_change_is_rendered_in_a_moment(morph: EmotionMorph) -> None:
    morph.asking = False
    morph.all_to(0.5)
    morph.settle()
    times = []
    for k in (0.6, 0.7, 0.8):
        start = time.process_time()
        morph.all_to(k)
        morph.settle()
        times.append(time.process_time() - start)
    assert min(times) < 0.3


def test_what_is_no_intensity_or_emotion_is_refused(morph: EmotionMorph) -> None:
    with pytest.raises(UnknownEmotion, match="from 0 to"):
        morph.rate = 3.0
    with pytest.raises(UnknownEmotion):
        morph.emotion = "bored"
    assert set(LABELS) == set(prosody.FACTORS)


def test_a_recording_without_a_voice_is_said_in_the_panel(neutral: Utterance) -> None:
    from dataclasses import replace

    silent = EmotionMorph(replace(neutral, path=None, waveform=np.zeros(16000, np.float32)))
    with pytest.raises(world.VocoderError):
        silent.settle()
    assert "silent" in silent.problem
