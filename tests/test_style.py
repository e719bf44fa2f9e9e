"""How a response is spoken: styles as text and back, the sound that follows them, and what cannot be spoken."""

from __future__ import annotations

import numpy as np
import pytest

from cogviz.audio import level_db
from cogviz.eips import Answer
from cogviz.emotions import EMOTIONS, INTENSITIES
from cogviz.evaluation.recognisers import functionals
from cogviz.lime import prosody, style, synthesizers
from cogviz.lime.annotate import CUES, cues
from cogviz.lime.style import NEUTRAL, Spoken, Style, StyleError
from cogviz.lime.voices import VoiceError, voices

TEXT = "I am so very sorry. You need not carry the garden alone."
STYLES = {
    "plain": NEUTRAL,
    "happy": style.style_for("happy"),
    "sad": style.style_for("sad"),
    "calming": style.style_for("angry"),
    "soothing": style.style_for("fear"),
}


@pytest.fixture(scope="module")
def spoken() -> dict[str, Spoken]:
    """One response in several styles."""
    return dict(zip(STYLES, style.speak(TEXT, list(STYLES.values())), strict=True))


# --- text ------------------------------------------------------------------------------------------------------------------------


def test_every_style_that_a_listener_answers_with_reads_back_from_its_text() -> None:
    written = {(e, k): style.render(style.style_for(e, k)) for e in EMOTIONS for k in INTENSITIES}
    assert {key: style.parse(text) for key, text in written.items()} == {(e, k): style.style_for(e, k) for e, k in written}
    assert written["sad", "mid"] == "sad, clearly: slow and soft"
    assert written["neutral", "high"] == "calm"
    assert style.style_for("disgust", 1.5) == style.style_for("disgust", "high") != style.style_for("disgust", 0.5)


@pytest.mark.parametrize(
    "text", ["", "sad", "calm, clearly", "jealous, clearly", "sad, very", "sad, clearly: slow and", "calm: sly", "calm: low and low"]
)
def test_what_is_no_style_is_not_read_as_one(text: str) -> None:
    assert style.parse(text) is None


def test_anger_and_fear_are_answered_calmly_and_joy_is_shared() -> None:
    assert style.style_for("angry", "high").emotion == style.style_for("fear", "high").emotion == "neutral"
    assert style.style_for("happy").emotion == "happy"
    assert style.style_for("sad").emotion == "sad"


# --- parameters ------------------------------------------------------------------------------------------------------------------


def test_each_cue_holds_of_what_is_rendered_as_the_annotator_would_name_it() -> None:
    for parameter, limit, word in CUES:
        values = style.values(Style(cues=(word,)))
        assert values[list(prosody.PARAMETERS).index(parameter)] == limit
        assert cues(values.tolist()) == (word,)


def test_every_factor_is_a_switch_and_without_all_of_them_a_style_changes_nothing() -> None:
    sad = style.style_for("sad")
    whole = style.values(sad)
    for factor in prosody.FACTORS:
        alone = style.values(sad, [factor])
        mine = np.array([of == factor for of in prosody.PARAMETERS.values()])
        assert np.array_equal(alone[mine], whole[mine])
        assert not alone[~mine].any()
    assert not style.values(sad, []).any()
    assert not style.values(NEUTRAL).any()


# --- sound -----------------------------------------------------------------------------------------------------------------------


def test_the_sound_moves_as_its_style_says(spoken: dict[str, Spoken]) -> None:
    level = {name: level_db(s.samples) for name, s in spoken.items()}
    tone = {name: functionals(s.samples) for name, s in spoken.items()}
    assert level["happy"] > level["plain"] + 2
    assert level["sad"] < level["plain"] - 2
    assert level["soothing"] < level["plain"] - 2
    assert tone["happy"]["f0_median"] > tone["plain"]["f0_median"] + 1
    assert tone["happy"]["f0_range"] > tone["plain"]["f0_range"]
    assert tone["calming"]["f0_median"] < tone["plain"]["f0_median"] - 1
    assert tone["sad"]["f0_range"] < tone["plain"]["f0_range"]
    for slow in ("sad", "calming", "soothing"):
        assert spoken[slow].seconds > 1.1 * spoken["plain"].seconds


def test_it_is_as_loud_as_the_speech_of_the_data_not_clipped_and_every_word_has_its_time(spoken: dict[str, Spoken]) -> None:
    assert level_db(spoken["plain"].samples) == pytest.approx(prosody.BASE_LEVEL, abs=1.0)
    for said in spoken.values():
        assert said.samples.dtype == np.float32
        assert np.abs(said.samples).max() < 0.98
        assert [w.text for w in said.words] == TEXT.split()
        assert 0.15 < said.seconds / len(TEXT.split()) < 0.6
        assert said.words[-1].end <= said.seconds


def test_the_same_response_gives_the_same_samples_and_another_voice_others(spoken: dict[str, Spoken]) -> None:
    again = style.speak(TEXT, "sad, clearly: slow and soft")[0]
    assert np.array_equal(again.samples, spoken["sad"].samples)
    deep = style.speak(TEXT, "sad, clearly: slow and soft", voice="neural-m2")[0]
    assert functionals(deep.samples)["f0_median"] < functionals(again.samples)["f0_median"] - 6


def test_an_answer_is_spoken_as_it_says_and_neutrally_where_it_does_not(spoken: dict[str, Spoken]) -> None:
    told, note = style.speak_answer(Answer(TEXT, voice="sad, clearly: slow and soft"))
    assert (told.style, note) == (style.style_for("sad"), "")
    for voice, why in (("", "does not say how"), ("cross", "'cross' is no style")):
        plain, note = style.speak_answer(Answer(TEXT, voice=voice))
        assert np.array_equal(plain.samples, spoken["plain"].samples)
        assert why in note
        assert "neutrally" in note


def test_the_speaking_voice_is_nobody_that_a_model_is_trained_or_tested_on() -> None:
    assert next(v for v in voices() if v.id == style.VOICE).split == "validation"


# --- bad input -------------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_spoken_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for response in ("", "  ", "?!"):
        with pytest.raises(StyleError, match="nothing to speak"):
            style.speak(response)
    with pytest.raises(StyleError, match="'cross' is no style; write it as 'sad, clearly: slow and soft'"):
        style.speak(TEXT, "cross")
    for wrong in (Style("envy"), Style("sad", "very"), Style("sad", cues=("sly",))):
        with pytest.raises(StyleError, match="unknown style"):
            style.speak(TEXT, wrong)
    with pytest.raises(VoiceError, match="no voice 'nobody'"):
        style.speak(TEXT, voice="nobody")
    synthesizers._hibari.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "hibari", None)
    with pytest.raises(VoiceError, match="pip install hibari-tts"):
        style.speak(TEXT)
    synthesizers._hibari.cache_clear()
