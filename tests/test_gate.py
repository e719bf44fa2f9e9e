"""The validity gate on stimuli that are known to carry their emotions or not, and the recognisers that feed it."""

import math

import numpy as np
import pandas as pd
import pytest
from conftest import REAL_SPEECH
from simulated import design, mixture

from cogviz import audio, corpora
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.dominance import following
from cogviz.evaluation.gate import gated, validity_gate
from cogviz.evaluation.recognisers import FOLDS, _parts, acoustic_features, functionals, hear_voices, read_words
from cogviz.evaluation.results import rows
from cogviz.evaluation.weighing import cue_weighting
from cogviz.utterance import Utterance


def stimuli(silent: tuple[str, ...] = (), *, recall: float = 0.9, sentences: int = 70, seed: int = 0) -> pd.DataFrame:
    """Words that are all read; voices that are heard with `recall`, but those of `silent` sound like any other."""
    table = mixture(voice=recall, sentences=sentences, speakers=1, seed=seed).drop(columns="intensity").rename(columns={"answer": "heard"})
    draw = np.random.default_rng(seed)
    guess = [EMOTIONS[i] for i in draw.integers(7, size=len(table))]
    return table.assign(heard=np.where(table.voice.isin(silent), guess, table.heard), read=table.words)


def test_conditions_that_carry_both_are_kept():
    found = validity_gate(stimuli())
    assert len(found.conditions) == 49
    assert found.conditions.carries.mean() > 0.9
    assert found.kept.value == pytest.approx(found.conditions.carries.mean())
    assert found.heard.value == pytest.approx(0.91, abs=0.04)
    assert found.read.value == 1


def test_voice_that_is_not_heard_is_dropped_with_its_emotion():
    found = validity_gate(stimuli(silent=("fear",)))
    assert found.dropped_voice["fear"].value == 1
    assert found.dropped_voice["angry"].value < 0.3
    assert math.isnan(found.dropped_voice["fear"].low)
    assert set(found.conditions[found.conditions.voice == "fear"].why) == {"voice not heard"}
    assert not found.keep(stimuli())[stimuli().voice == "fear"].any()


def test_gate_lets_few_conditions_through_that_carry_nothing():
    """A coin's interval lies above chance by the margin in one condition of forty at most."""
    through = [validity_gate(stimuli(recall=0.0, seed=seed)).conditions.carries.mean() for seed in range(4)]
    assert np.mean(through) < 0.04


def test_decision_is_about_the_condition_and_not_about_the_item():
    table = stimuli()
    kept = validity_gate(table).keep(table)
    assert (table.heard != table.voice)[kept].any()


def test_words_that_are_not_read_are_dropped_and_unknown_words_ask_nothing():
    table = stimuli()
    unread = validity_gate(table.assign(read="neutral"))
    assert set(unread.conditions.query("words == 'sad'").why) >= {"words not read"}
    ambiguous = validity_gate(table.assign(words=None, read=None))
    assert ambiguous.by == ("words", "voice")
    assert len(ambiguous.conditions) == 7
    assert ambiguous.conditions.carries.all()
    assert ambiguous.read is None


def test_intensity_makes_conditions_of_its_own():
    table = pd.concat([stimuli().assign(intensity=1.5), stimuli(recall=0.0).assign(intensity=0.5)])
    found = validity_gate(table)
    assert found.by == ("words", "voice", "intensity")
    assert found.conditions.query("intensity == 1.5").carries.mean() > 0.9
    assert found.conditions.query("intensity == 0.5").carries.mean() < 0.1


def test_headline_is_given_ungated_and_gated():
    """A listener that hears whatever there is follows the voice where there is one."""
    table = stimuli(silent=("fear", "disgust"))
    gate = validity_gate(table)
    answers = table.assign(answer=table.heard)
    found = gated(following, answers, gate)
    assert found.gated.voice.value > found.ungated.voice.value + 0.1
    assert {"follows_voice", "gated_follows_voice"} <= {r["measure"] for r in rows(found, model="m", data="d")}
    assert found.gated.voice.n == (gate.keep(answers) & (answers.words != answers.voice) & (answers.words != "neutral")).sum()


def test_gate_that_leaves_nothing_to_measure_says_so():
    nothing = validity_gate(stimuli(recall=0.0, sentences=14))
    found = gated(following, stimuli().assign(answer="sad"), nothing)
    assert found.gated is None
    assert "no condition carries" in found.why
    table = stimuli(recall=1.0)
    only_fear = validity_gate(
        table.assign(heard=np.where(table.voice == "fear", "fear", table.voice.map({e: "sad" for e in EMOTIONS} | {"sad": "happy"})))
    )
    found = gated(cue_weighting, stimuli().assign(answer="fear"), only_fear)
    assert found.gated is None
    assert "voice of all items carries fear" in found.why


def test_few_sentences_carry_nothing():
    found = validity_gate(stimuli(recall=1.0, sentences=14))
    assert not found.conditions.carries.any()
    assert set(found.conditions.why) == {"too few sentences"}


def test_stimuli_without_judgement_or_contrast_are_refused():
    table = stimuli(sentences=7)
    with pytest.raises(ValueError, match="neither column heard"):
        validity_gate(table.drop(columns=["heard", "read"]))
    with pytest.raises(ValueError, match="voice of all stimuli carries sad"):
        validity_gate(table[table.voice == "sad"])
    with pytest.raises(ValueError, match="words of all stimuli carries sad"):
        validity_gate(table[table.words == "sad"])
    with pytest.raises(ValueError, match=r"lacks the column\(s\) speaker"):
        validity_gate(table.drop(columns="speaker"))
    with pytest.raises(ValueError, match="no stimulus whose voice"):
        validity_gate(table.assign(voice=None))


# --- the recognisers ------------------------------------------------------------------------------------------------------------------


def vowel(f0: float, *, seconds: float = 1.0, level: float = 0.2, rise: float = 0.0) -> np.ndarray:
    """A harmonic tone whose F0 rises by `rise` semitones."""
    t = np.arange(int(seconds * audio.RATE)) / audio.RATE
    hz = f0 * 2 ** (rise * t / seconds / 12)
    phase = 2 * np.pi * np.cumsum(hz) / audio.RATE
    return (level * sum(np.sin(k * phase) / k for k in range(1, 11))).astype(np.float32)


def test_functionals_measure_pitch_level_time_and_brightness():
    plain = functionals(vowel(150))
    assert plain["f0_median"] == pytest.approx(12 * math.log2(1.5), abs=0.2)
    assert functionals(vowel(300))["f0_median"] - plain["f0_median"] == pytest.approx(12, abs=0.2)
    assert functionals(vowel(150, rise=6))["f0_slope"] == pytest.approx(6, abs=0.8)
    assert functionals(vowel(150, level=0.02))["level_median"] - plain["level_median"] == pytest.approx(-20, abs=0.5)
    assert functionals(vowel(150, seconds=2.0))["seconds"] - plain["seconds"] == pytest.approx(1, abs=0.1)
    assert functionals(np.diff(vowel(150)))["alpha_ratio"] > plain["alpha_ratio"]


def test_functionals_of_odd_sounds_are_finite():
    for samples in (np.zeros(100, np.float32), np.zeros(16000, np.float32), np.random.default_rng(0).normal(size=4000).astype(np.float32)):
        assert np.isfinite(list(functionals(samples).values())).all()


def test_features_of_utterances_are_rows():
    spoken = [Utterance(str(f0), "", "sad", "p", "s", "test", waveform=vowel(f0, seconds=0.3)) for f0 in (100, 200)]
    found = acoustic_features(spoken, progress=False)
    assert found.shape == (2, len(functionals(vowel(100))))
    assert found[1, 0] - found[0, 0] == pytest.approx(12, abs=0.3)


def test_voices_are_heard_across_speakers_and_sentences_and_not_from_noise():
    table = design(sentences=10, speakers=6)
    draw = np.random.default_rng(0)
    code = table.voice.map(EMOTIONS.index).to_numpy()
    speaker = table.speaker.map(lambda s: int(s[1:])).to_numpy()
    noise = draw.normal(size=(len(table), 10))
    carried = noise + 3 * np.eye(7)[code] @ draw.normal(size=(7, 10)) + 20 * speaker[:, None]
    how = {"speakers": table.speaker, "sentences": table.sentence}
    assert (hear_voices(carried, table.voice, **how) == table.voice).mean() > 0.9
    assert (hear_voices(noise, table.voice, **how) == table.voice).mean() == pytest.approx(1 / 7, abs=0.07)


def test_folds_hold_out_speaker_and_sentence_at_once():
    """A feature that gives away the label of each pair of speaker and sentence helps nobody."""
    table = design(sentences=8, speakers=8)
    draw = np.random.default_rng(0)
    pair = table.groupby(["speaker", "sentence"]).ngroup().to_numpy()
    own = np.array([EMOTIONS[i] for i in draw.integers(7, size=64)])[pair]
    named = hear_voices(np.eye(64)[pair], own, speakers=table.speaker, sentences=table.sentence)
    assert (named == own).mean() < 0.35


def test_words_are_read_across_sentences():
    cues = dict(zip(EMOTIONS, ("table lamp", "lovely gift", "funeral", "liar", "danger", "rotten", "suddenly"), strict=True))
    frames = ["the {} again", "here comes {}", "so much {} today", "they said {}", "about {} then"]
    texts = [frame.format(cue) for frame in frames for cue in cues.values()]
    emotions = list(cues) * len(frames)
    by_frame = np.repeat(np.arange(len(frames)), 7).astype(str)
    assert (read_words(texts, emotions, sentences=by_frame) == emotions).mean() > 0.9
    shuffled = np.random.default_rng(0).permutation(emotions)
    assert (read_words(texts, shuffled, sentences=by_frame) == shuffled).mean() < 0.5


def test_further_texts_help_the_reader():
    texts, emotions = ["funeral", "gift", "tomb", "party"], ["sad", "happy", "sad", "happy"]
    assert list(read_words(texts, emotions, sentences=list("abcd"))) != emotions
    further = (["tomb funeral", "gift party"] * 3, ["sad", "happy"] * 3)
    assert list(read_words(texts, emotions, sentences=list("abcd"), further=further)) == emotions


def test_recognisers_refuse_what_they_cannot_be_tested_on():
    features = np.random.default_rng(0).normal(size=(14, 3))
    emotions, two, one = np.resize(["sad", "happy"], 14), np.repeat(["p", "q"], 7), ["p"] * 14
    sentences = np.resize(list("abcd"), 14)
    with pytest.raises(ValueError, match="the emotion sad only"):
        hear_voices(features, ["sad"] * 14, speakers=two, sentences=sentences)
    with pytest.raises(ValueError, match="the speaker p only"):
        hear_voices(features, emotions, speakers=one, sentences=sentences)
    with pytest.raises(ValueError, match="the sentence p only"):
        hear_voices(features, emotions, speakers=two, sentences=one)
    with pytest.raises(ValueError, match="the sentence p only"):
        read_words(["a"] * 14, emotions, sentences=one)
    with pytest.raises(ValueError, match="training items have the emotion happy only"):
        read_words(["a", "b"], ["sad", "happy"], sentences=["s", "t"])


def test_parts_are_even():
    parts = _parts("speaker", [f"p{i}" for i in range(10) for _ in range(i + 1)])
    assert len(np.unique(parts)) == FOLDS


@pytest.mark.requires_shared
def test_recogniser_hears_real_actors():
    """Eight actors of RAVDESS, split by actor and sentence: far above 1 in 7 from the sound alone."""
    spoken = [u for u in corpora.read("ravdess", REAL_SPEECH / "ravdess") if u.emotion and u.intensity <= 1]
    chosen = sorted({u.speaker for u in spoken})[:8]
    spoken = [u for u in spoken if u.speaker in chosen]
    truth = np.array([u.emotion for u in spoken])
    named = hear_voices(
        acoustic_features(spoken, jobs=2, progress=False),
        truth,
        speakers=[u.speaker for u in spoken],
        sentences=[u.sentence for u in spoken],
    )
    assert np.mean([(named[truth == e] == e).mean() for e in EMOTIONS]) > 0.35
