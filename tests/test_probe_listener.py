"""The pure hearer: it learns the tone, keeps it without pickle, hears nothing in a text, and says where it was trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cogviz.emotions import EMOTIONS
from cogviz.lime import dataset
from cogviz.models import backbones
from cogviz.models.convert import WeightsError
from cogviz.models.listeners import load_listener
from cogviz.models.listeners.probe import Hearing, LinearProbe, summary
from cogviz.utterance import Utterance


class Pitch:
    """Hearing that tells two numbers of a recording's first samples."""

    name = "pitch"

    def __call__(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        return np.array([u.samples[:2] for u in utterances], dtype=np.float32)


def said(emotion: str | None, seed: int, speaker: str = "anna", kinds: Sequence[str] = EMOTIONS) -> Utterance:
    """The emotions lie on a circle, with some noise."""
    angle = 2 * np.pi * (kinds.index(emotion) if emotion else 0) / len(kinds)
    wave = np.array([np.cos(angle), np.sin(angle)]) + 0.1 * np.random.default_rng(seed).normal(size=2)
    return Utterance(f"{emotion}-{seed}", "So it is.", emotion, speaker, "x", "test", waveform=wave.astype(np.float32))


def fitted(kinds: Sequence[str] = EMOTIONS) -> LinearProbe:
    return LinearProbe.fit([said(e, 10 * i + k, kinds=kinds) for k in range(8) for i, e in enumerate(kinds)], Pitch(), penalty=10.0)  # type: ignore[arg-type]


def test_other_speakers_are_heard() -> None:
    heard = fitted().listen([said(e, 900 + i, "bea") for i, e in enumerate(EMOTIONS)], progress=False)
    assert [h.claimed for h in heard] == list(EMOTIONS)
    assert heard[4].text == "The voice sounds fearful."
    assert heard[0].answer is None
    np.testing.assert_allclose(sum(np.exp(v) for v in heard[0].scores.values()), 1, rtol=1e-5)


def test_a_training_speaker_is_not_tested_in_silence() -> None:
    with pytest.warns(UserWarning, match=r"was trained on 1 of these speakers \(anna is one\)"):
        fitted().scores([said("sad", 1)], progress=False)


def test_a_text_is_not_heard() -> None:
    first, second = fitted().read(["I am so happy!", "What a disaster."], progress=False)
    assert first.scores == second.scores
    assert first.utterance.text == "I am so happy!"


@pytest.mark.parametrize("kinds", [EMOTIONS[:6], EMOTIONS[1:3]])
def test_an_emotion_that_was_never_met_is_never_named(kinds: Sequence[str]) -> None:
    scores = fitted(kinds).scores([said(e, 99, "bea", kinds) for e in kinds], progress=False)
    assert [EMOTIONS[i] for i in scores.argmax(axis=1)] == list(kinds)
    others = [i for i, e in enumerate(EMOTIONS) if e not in kinds]
    assert (scores[:, others] < -15).all()
    assert np.isfinite(scores).all()


def test_it_is_the_regression_of_the_library() -> None:
    from sklearn.linear_model import LogisticRegression

    train = [said(e, 10 * i + k) for k in range(8) for i, e in enumerate(EMOTIONS)]
    x, y = Pitch()(train), [EMOTIONS.index(str(u.emotion)) for u in train]
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    peer = LogisticRegression(C=10.0, max_iter=1000).fit((x - mean) / scale, y)
    test = [said(e, 500 + i, "bea") for i, e in enumerate(EMOTIONS)]
    np.testing.assert_allclose(fitted().scores(test, progress=False), peer.predict_log_proba((Pitch()(test) - mean) / scale), atol=1e-3)


def test_bad_training_data_is_named() -> None:
    with pytest.raises(ValueError, match=r"1 utterance\(s\) have no emotion"):
        LinearProbe.fit([said("sad", 1), said(None, 2)], Pitch())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"the 2 training utterance\(s\) have fewer than two emotions"):
        LinearProbe.fit([said("sad", 1), said("sad", 2)], Pitch())  # type: ignore[arg-type]


def test_a_summary_is_mean_and_deviation_of_the_inner_layers() -> None:
    states, levels = np.random.default_rng(0).normal(size=(5, 9, 4)), np.arange(9.0)
    found = summary(states, levels)
    assert found.shape == (2 * 3 * 4 + 2,)
    np.testing.assert_allclose(found[4:8], states[2].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[12:16], states[1].std(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[-2:], [4.0, np.std(levels)], rtol=1e-6)


@pytest.fixture
def small_whisper(make_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_tiny()[0].audio_encoder
    monkeypatch.setattr(backbones, "whisper_encoder", lambda _: encoder)


def test_it_learns_from_a_dataset_and_comes_back_from_a_folder(tiny_dataset: Path, tmp_path: Path, small_whisper: None) -> None:
    utterances = dataset.read(tiny_dataset)
    train = [u for u in utterances if u.split == "train"]
    test = [u for u in utterances if u.split == "test"][:5]
    probe = LinearProbe.fit(train, Hearing("tiny"), progress=False)
    probe.save(tmp_path / "probe")
    assert sorted(p.name for p in (tmp_path / "probe").iterdir()) == ["probe.json", "probe.safetensors"]
    again = load_listener(f"probe:{tmp_path / 'probe'}", device="cpu", batch=2)
    np.testing.assert_allclose(again.scores(test, progress=False), probe.scores(test, progress=False), atol=1e-4)
    assert again.speakers == {u.speaker for u in train}
    with pytest.raises(WeightsError, match="holds no linear probe"):
        LinearProbe.load(tmp_path)


def test_features_that_were_computed_before_make_the_same_probe(
    tiny_dataset: Path, small_whisper: None, make_tiny: Callable[..., Any]
) -> None:
    train = [u for u in dataset.read(tiny_dataset) if u.split == "train"][:40]
    model, processor = make_tiny()
    states = {}
    for u in train:
        inputs = processor(u.samples)
        with torch.no_grad():
            found, _ = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
        states[u.id] = (found[0].numpy(), inputs["audio_levels"][0].numpy())
    heard, known = (LinearProbe.fit(train, Hearing("tiny"), states=s, progress=False) for s in (None, states))
    np.testing.assert_allclose(heard.weights["mean"], known.weights["mean"], atol=1e-3)
    np.testing.assert_allclose(heard.weights["slope"], known.weights["slope"], atol=1e-2)
