"""The seven emotions: one order, distinct looks, and labels that are never dropped in silence."""

import re
from itertools import combinations

import pytest

from cogviz.emotions import EMOTIONS, INTENSITIES, LABELS, UnknownEmotion, congruence, emotion, intensity, label


def test_the_seven_emotions_keep_their_order():
    assert EMOTIONS == ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
    assert [emotion(name).name for name in EMOTIONS] == list(EMOTIONS)


def rgb(color: str) -> tuple[int, ...]:
    assert re.fullmatch(r"#[0-9A-F]{6}", color)
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


def test_no_two_emotions_look_or_read_alike():
    assert len({emotion(name).adjective for name in EMOTIONS}) == 7
    for a, b in combinations(EMOTIONS, 2):
        distance = sum((x - y) ** 2 for x, y in zip(rgb(emotion(a).color), rgb(emotion(b).color), strict=True)) ** 0.5
        assert distance > 50, f"{a} and {b} are hard to tell apart"


def test_valence_and_arousal_are_on_the_circumplex():
    for name in EMOTIONS:
        assert -1 <= emotion(name).valence <= 1
        assert -1 <= emotion(name).arousal <= 1
    assert emotion("happy").valence > 0 > emotion("sad").valence
    assert emotion("angry").arousal > 0 > emotion("sad").arousal


@pytest.mark.parametrize("name", ["joy", "Happy", "", "calm"])
def test_unknown_emotion_lists_the_known_ones(name):
    with pytest.raises(UnknownEmotion, match="neutral, happy, sad, angry, fear, disgust, surprise"):
        emotion(name)


def test_intensities_by_name_and_number():
    assert [intensity(name) for name in INTENSITIES] == [0.5, 1.0, 1.5]
    assert (intensity(0), intensity("0.75"), intensity(1.5)) == (0, 0.75, 1.5)


@pytest.mark.parametrize("value", ["loud", "", -0.1, 1.6, float("nan"), float("inf"), "1,5", None])
def test_unknown_intensity_says_what_is_possible(value):
    with pytest.raises(UnknownEmotion, match=r"low, mid, high or a number from 0 to 1\.5"):
        intensity(value)


def test_labels_of_corpora_map_to_ours():
    assert [label(x) for x in ("Anger", " fearful ", "HAPPINESS", "surprised", "neutral")] == [
        "angry",
        "fear",
        "happy",
        "surprise",
        "neutral",
    ]
    assert label("calm") is None
    assert label("boredom") is None
    assert set(LABELS.values()) == {None, *EMOTIONS}


def test_typo_in_a_label_is_an_error_and_not_dropped():
    with pytest.raises(UnknownEmotion, match="unknown emotion label 'angre'"):
        label("angre")


@pytest.mark.parametrize(
    ("words", "voice", "expected"),
    [("sad", "sad", "congruent"), ("sad", "happy", "conflict"), ("sad", "neutral", "conflict"), ("neutral", "sad", None),
     ("neutral", "neutral", "congruent"), (None, "sad", None), ("sad", None, None)],
)  # fmt: skip
def test_conflict_needs_words_that_carry_an_emotion(words, voice, expected):
    assert congruence(words, voice) == expected
