"""Probes find what was planted, find nothing where nothing was, and are not fooled by sentences or speakers that come again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import codes, recording, states, utterances
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from cogviz.emotions import EMOTIONS
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.probing import discriminant
from cogviz.probing.baselines import bag_of_words, reinitialised
from cogviz.probing.linear import Probes, probe
from cogviz.probing.targets import Folds, inner, online, target

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]

SAID = utterances()
CODES = codes(SAID)
EMOTION = ("voice_emotion", "word_emotion")


@pytest.fixture(scope="module")
def found() -> Probes:
    sites = {
        "voice": states(SAID, voice=1.5),
        "words": states(SAID, words=1.5, seed=1),
        "nothing": states(SAID, seed=2),
        "by heart": states(SAID, sentence=3.0, seed=3),
    }
    plain = recording(SAID, {name: states(SAID, seed=9) for name in sites}, name="random")
    return probe(recording(SAID, sites, answers=CODES["words"]), targets=(*EMOTION, "speaker"), baseline=plain, ways=3, progress=False)


def test_what_is_planted_is_found_and_nothing_else(found: Probes) -> None:
    for name, site, other in (("voice_emotion", "voice", "words"), ("word_emotion", "words", "voice")):
        one = found.get(name, site)
        assert one.accuracy.value > 0.9
        assert one.accuracy.low > one.accuracy.chance == pytest.approx(1 / 7)
        assert one.compression.value > 1.9, "of at most 2 where half of the sentences are sent before every class has come"
        assert one.above_random.low > 0.5
        for empty in (other, "nothing"):
            none = found.get(name, empty)
            assert none.accuracy.low < none.accuracy.chance + 0.03
            assert none.accuracy.value < 0.25
            assert none.compression.value < 1.05
            assert abs(none.above_random.value) < 0.15
        assert found.best(name).site == site


def test_sentences_learnt_by_heart_tell_nothing_new(found: Probes) -> None:
    one = found.get("word_emotion", "by heart")
    assert one.control.value > 0.9, "the positive control: any labels of these sentences can be learnt"
    assert one.accuracy.value < 0.3, "but not what new sentences say"
    assert one.selectivity.high < 0
    assert found.get("voice_emotion", "voice").selectivity.low > 0.5


def test_encoded_less_used(found: Probes) -> None:
    assert found.used["word_emotion"].value == pytest.approx(1.0)
    assert found.used["voice_emotion"].value == pytest.approx(1 / 7, abs=0.01)
    assert found.get("voice_emotion", "voice").gap.low > 0.6, "encoded, not used"
    assert found.get("word_emotion", "nothing").gap.high < -0.6
    assert "speaker" not in found.used
    assert found.get("speaker", "voice").gap is None


def test_rows_are_those_of_every_result(found: Probes) -> None:
    rows = found.rows(data="planted")
    assert {"model", "measure", "value", "low", "high", "n", "chance", "data"} == set(rows[0])
    assert {r["measure"] for r in rows} >= {"probe_voice_emotion_voice_accuracy", "probe_word_emotion_used", "probe_speaker_words_alone"}
    table = found.table()
    assert len(table) == 3 * 4
    assert set(table["n"]) == {len(SAID)}
    with pytest.raises(KeyError, match=r"no probe of voice_emotion at lm\.3"):
        found.get("voice_emotion", "lm.3")


def test_words_alone_tell_the_sentence_and_no_voice() -> None:
    said = utterances(sentences=6, speakers=2)
    found = probe(recording(said, {"x": states(said)}), targets=("voice_emotion", "sentence"), ways=2, progress=False)
    assert found.words_alone["sentence"].value == 1
    assert found.words_alone["voice_emotion"].value < 0.3
    assert found.get("sentence", "x").control is None
    assert bag_of_words(said).shape[0] == len(said)


@pytest.mark.parametrize("name", ["voice_emotion", "word_emotion", "speaker", "sentence"])
def test_folds_share_nothing_and_every_item_is_tested_once(name: str) -> None:
    one = target(name, SAID, ways=3)
    assert (one.folds.tested >= 0).all()
    for job, train in enumerate(one.folds.train):
        tested = one.folds.tested == job
        assert tested.any()
        assert not (train & tested).any()
        groups = {"sentence": one.sentences, "speaker": one.speakers}
        for held in one.held_out:
            assert not set(groups[held][train]) & set(groups[held][tested])
        assert len(set(one.labels[train])) == len(one.classes), "every class is learnt from"
    for job, train in enumerate(one.known.train):
        assert set(one.exact[train]) == set(one.exact[one.known.tested == job]) == set(one.exact)


def test_templates_are_held_out_whole() -> None:
    said = [replace(u, extra={"template": f"t{int(u.sentence.split()[1]) // 2}"}) for u in SAID]
    one = target("voice_emotion", said)
    for job, train in enumerate(one.folds.train):
        assert not set(one.sentences[train]) & set(one.sentences[one.folds.tested == job])
    assert len(set(one.sentences)) == 7


def test_a_sentence_by_one_speaker_is_told_in_new_voices() -> None:
    said = [u for u in SAID if int(u.sentence.split()[1]) % 4 == int(u.speaker.split()[1])]
    one = target("sentence", said)
    assert one.held_out == ("voice",)
    voices = np.array([u.emotion for u in said])
    for job, train in enumerate(one.folds.train):
        assert not set(voices[train]) & set(voices[one.folds.tested == job])


def test_the_online_code_sends_what_is_new_and_every_item_once() -> None:
    one = target("voice_emotion", SAID)
    code = online(one)
    assert (code.tested == -1).any(), "the first portion is told by nobody"
    before = code.tested == -1
    for job, train in enumerate(code.train):
        assert (train == before).all(), "all that was sent before is learnt from"
        before = before | (code.tested == job)
    assert before.all()
    constant = probe(recording(SAID, {"x": np.ones((len(SAID), 4), np.float32)}), targets=("voice_emotion",), progress=False)
    assert constant.get("voice_emotion", "x").compression.value == pytest.approx(1.0, abs=1e-6), "nothing is told: the even code"


def test_the_discriminant_is_that_of_sklearn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discriminant, "SHRINK", (0.3,))
    monkeypatch.setattr(discriminant, "HEAT", (1.0,))
    x = states(SAID, voice=0.6, width=12)
    order = np.random.default_rng(0).permutation(len(SAID))
    half = np.zeros(len(SAID), dtype=bool)
    for k in range(7):
        half[[i for i in order if CODES["voice"][i] == k][:28]] = True
    scaled = discriminant.reduced(x[None])[0].numpy()
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3, priors=np.full(7, 1 / 7))
    # sklearn standardises each class before it shrinks, and back again; on data of one scale that is the same but for rounding
    peer.fit(scaled[half], CODES["voice"][half])
    told = discriminant.log_probabilities(
        x[None], CODES["voice"], Folds(half[None], np.where(half, -1, 0)), np.arange(len(SAID)) % 3, classes=7
    )
    assert np.isnan(told[0, half]).all()
    assert (told[0, ~half].argmax(-1) == peer.predict(scaled[~half])).mean() > 0.97
    np.testing.assert_allclose(np.exp(told[0, ~half]).sum(-1), 1, atol=1e-5)


def test_more_dimensions_than_items_are_solved_in_the_items_space() -> None:
    few = utterances(sentences=7, speakers=2)
    x = states(few, width=400)
    small = discriminant.reduced(x[None])[0]
    assert small.shape == (len(few), len(few))
    plain = (x - x.mean(0)) / x.std(0, ddof=1)
    np.testing.assert_allclose(torch.cdist(small, small).numpy(), np.linalg.norm(plain[:, None] - plain[None], axis=-1), atol=0.02)
    found = probe(recording(few, {"x": x}), targets=("voice_emotion",), ways=2, progress=False).get("voice_emotion", "x")
    assert "more dimensions (400) than items" in found.caution
    assert "no direction or single unit is claimed" in found.caution
    assert probe(recording(SAID, {"x": states(SAID, width=4)}), targets=("voice_emotion",), progress=False).probes[0].caution == ""


def test_all_sites_together_are_one_by_one() -> None:
    x = np.stack([states(SAID, voice=0.5, seed=s) for s in range(4)])
    one = target("voice_emotion", SAID)
    together = discriminant.log_probabilities(x, one.labels, one.folds, inner(one.groups), classes=7)
    for i in range(4):
        alone = discriminant.log_probabilities(x[i : i + 1], one.labels, one.folds, inner(one.groups), classes=7)
        np.testing.assert_allclose(together[i], alone[0], atol=1e-5)


@pytest.mark.requires_cuda
def test_cuda_is_cpu() -> None:
    x = np.stack([states(SAID, voice=0.5, seed=s) for s in range(2)])
    one = target("voice_emotion", SAID)
    cpu, gpu = (discriminant.log_probabilities(x, one.labels, one.folds, inner(one.groups), classes=7, device=d) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(cpu, gpu, atol=5e-3)


def test_what_cannot_be_probed_says_why() -> None:
    same = [replace(u, emotion="sad") for u in SAID]
    with pytest.raises(ValueError, match="voice_emotion: all utterances are sad; a probe needs two classes"):
        target("voice_emotion", same)
    with pytest.raises(ValueError, match="known of no utterance"):
        target("word_emotion", [replace(u, lexical_emotion=None) for u in SAID])
    with pytest.raises(ValueError, match="nothing can be held out"):
        target("speaker", [replace(u, sentence="x") for u in SAID])
    with pytest.raises(ValueError, match="a probe can tell voice_emotion"):
        target("tone", SAID)
    one = target("voice_emotion", [replace(u, speaker="only") for u in SAID])
    assert one.held_out == ("sentence",), "one speaker cannot be held out, and the result says so"
    plain = recording(SAID, {"x": states(SAID)})
    with pytest.raises(ValueError, match="record at='segments'"):
        probe(replace(plain, at="positions"))
    with pytest.raises(ValueError, match="of other utterances"):
        probe(plain, baseline=recording(SAID[::-1], {"x": states(SAID)}))


def test_a_segment_that_some_lack_is_probed_where_it_is() -> None:
    x = np.stack([states(SAID, voice=1.5), states(SAID, voice=1.5, seed=1)], axis=1)
    x[:30, 1] = np.nan
    whole = replace(recording(SAID, {"lm.0": x}), at="segments", segments=("tone", "words"))
    found = probe(whole, targets=("voice_emotion",), ways=3, progress=False)
    assert [found.get("voice_emotion", "lm.0", s).accuracy.n for s in whole.segments] == [len(SAID), len(SAID) - 30]
    assert found.get("voice_emotion", "lm.0", "words").accuracy.value > 0.9


def test_random_weights_are_of_the_same_architecture_and_others(tiny_model: Pair) -> None:
    listener = CogAudioListener.of(*tiny_model, name="tiny")
    listener.states = {"x": (np.zeros((3, 4, 32), np.float16), np.zeros(4, np.float32))}
    fresh, again, encoder = (
        reinitialised(listener, seed=1),
        reinitialised(listener, seed=1),
        reinitialised(listener, seed=1, keep_encoder=True),
    )
    old, new = dict(listener.model.named_parameters()), dict(fresh.model.named_parameters())
    assert {n: p.shape for n, p in old.items()} == {n: p.shape for n, p in new.items()}
    assert all(torch.equal(p, q) for p, q in zip(new.values(), again.model.parameters(), strict=True))
    name = "language_model.model.layers.0.conv.in_proj.weight"
    assert not torch.equal(old[name], new[name])
    kept = dict(encoder.model.named_parameters())
    assert torch.equal(kept["audio_encoder.conv1.weight"], old["audio_encoder.conv1.weight"])
    assert not torch.equal(new["audio_encoder.conv1.weight"], old["audio_encoder.conv1.weight"])
    assert not fresh.states
    assert encoder.states is listener.states
    assert fresh.name == "tiny (random weights)"
    assert len(EMOTIONS) == 7
