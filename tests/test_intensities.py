"""One sentence at rising intensity: who can rise, and where an answer turns."""

from __future__ import annotations

import math

import numpy as np

from cogviz import tour
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.intensities import VOICES, curves, first_crossing, neutral_voices, spoken_as
from cogviz.lime import dataset


def test_the_crossing_lies_on_the_line_between_levels() -> None:
    assert first_crossing([0, 0.5, 1], np.array([-1.0, 1.0, 2.0])) == 0.25
    assert first_crossing([0, 0.5, 1], np.array([1.0, -1.0, -1.0])) == 0
    assert math.isinf(first_crossing([0, 0.5, 1], np.array([-1.0, -1.0, -0.1])))


def test_the_threshold_of_the_curves_is_where_the_voice_passes_all_other_emotions_not_the_words_alone() -> None:
    p = np.full((3, 7), 0.01)
    p[:, EMOTIONS.index("sad")] = 0.1, 0.3, 0.9
    p[:, EMOTIONS.index("happy")] = 0.2, 0.2, 0.0  # the words, passed between the first two levels
    p[:, EMOTIONS.index("fear")] = 0.5, 0.5, 0.1  # a third emotion, passed later
    table = curves({"one": p}, (0, 1, 2), words="happy", voice="sad")
    assert table.threshold.tolist() == [1.2] * 3
    assert table.voice.tolist() == [0.1, 0.3, 0.9]
    assert curves({"one": p}, (0, 1, 2), words="sad", voice="sad").threshold.isna().all()


def test_every_emotion_of_words_has_neutral_voices_to_start_from() -> None:
    found = neutral_voices(dataset.read(tour.samples()))
    assert {u.lexical_emotion for u in found} == set(EMOTIONS) - {"neutral"} == set(VOICES)
    assert {u.emotion for u in found} == {"neutral"}
    other = spoken_as(found[0], "sad")
    assert (other.text, other.emotion, other.speaker) == (found[0].text, "sad", found[0].speaker)
