"""The second ear: what it hears, that padding changes nothing, that it learns, and what a model with it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cogviz.audio import RATE, NoVoice
from cogviz.device import Device
from cogviz.emotions import EMOTIONS
from cogviz.models import zoo
from cogviz.models.acoustic import CHANNELS, FACTORS, LEVELS, WIDTH, AcousticEncoder, acoustic_frames, moved
from cogviz.models.configuration import POOL
from cogviz.models.listener import CogAudioListener
from cogviz.pitch import pitch
from cogviz.training import acoustic, adapt_acoustic, features, run
from cogviz.training.data import TrainingError
from cogviz.utterance import Utterance

Pair = tuple[Any, Any]
SMALL = {"width": 32, "layers": 1, "heads": 2, "hidden": 32}


def buzz(hz: float, *, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    """A tone with harmonics, as a voice has them."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * sum(np.sin(2 * np.pi * hz * n * time) / n for n in range(1, 11)) / 2).astype(np.float32)


def channel(frames: np.ndarray, name: str) -> np.ndarray:
    return frames.reshape(-1, len(CHANNELS))[:, CHANNELS.index(name)]


def spoken(name: str, samples: np.ndarray, **more: Any) -> Utterance:
    return Utterance(name, "It is here.", more.pop("emotion", "happy"), "s", name, "test", waveform=samples, **more)


@pytest.fixture(scope="module")
def reasoner(make_tiny: Callable[..., Pair]) -> Pair:
    """A tiny model with an acoustic encoder that has heard a few tones."""
    model, processor = zoo.with_acoustic(*make_tiny(tone_tokens=2), **SMALL)
    model.acoustic_encoder.standardise(np.concatenate([acoustic_frames(buzz(hz), 13) for hz in (100, 200, 400)]))
    return model, processor


# --- what is heard ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hz", [70.0, 110.0, 233.0, 440.0, 650.0])
def test_the_pitch_of_a_known_tone_is_found(hz: float) -> None:
    found = pitch(buzz(hz))
    inside = found.hz[3:-3]
    assert (inside > 0).all()
    assert np.abs(12 * np.log2(inside / hz)).max() < 0.2
    assert found.periodicity[3:-3].min() > 0.95


def test_noise_and_silence_have_no_pitch() -> None:
    draw = np.random.default_rng(0)
    assert not pitch(draw.normal(0, 0.1, RATE)).voiced.any()
    assert not pitch(np.zeros(RATE)).voiced.any()


def test_frames_say_pitch_and_level_in_their_units() -> None:
    frames = acoustic_frames(buzz(200, level=0.1), 12)
    assert frames.shape == (12, WIDTH)
    assert POOL * len(CHANNELS) == WIDTH
    assert frames.dtype == np.float32
    assert channel(frames, "f0")[8:40] == pytest.approx(np.ones(32), abs=0.02)  # an octave above 100 Hz
    louder = acoustic_frames(buzz(200, level=0.2), 12)
    assert (channel(louder, "energy") - channel(frames, "energy"))[8:40] == pytest.approx(np.full(32, 6.02 / 20), abs=0.01)
    assert channel(louder, "f0") == pytest.approx(channel(frames, "f0"))


def test_moving_the_level_of_frames_is_as_a_louder_recording() -> None:
    quiet, loud = acoustic_frames(buzz(150, level=0.1), 12), acoustic_frames(buzz(150, level=0.2), 12)
    heard = slice(4, 36)
    for name in ("energy", "mel_5", "f0", "flatness"):
        assert channel(moved(quiet, 6.02 / 20), name)[heard] == pytest.approx(channel(loud, name)[heard], abs=0.02)
    assert CHANNELS[:LEVELS][-1] == "energy"


def test_a_recording_without_a_voice_is_refused_in_a_sentence(reasoner: Pair) -> None:
    draw = np.random.default_rng(1)
    hiss = draw.normal(0, 0.05, RATE).astype(np.float32)
    with pytest.raises(NoVoice, match="has no voiced frame"):
        acoustic_frames(hiss, 12)
    listener = CogAudioListener.of(*reasoner)
    with pytest.raises(ValueError, match=r"^hiss has no voiced frame.*somebody speaks aloud"):
        listener.listen([spoken("voice", buzz(200)), spoken("hiss", hiss)], progress=False)


# --- the encoder -----------------------------------------------------------------------------------------------------------------------------


def test_a_clip_gives_the_same_tokens_alone_and_in_a_batch(reasoner: Pair) -> None:
    encoder = reasoner[0].acoustic_encoder
    clips = [torch.tensor(acoustic_frames(buzz(hz, seconds=s), n)) for hz, s, n in ((120, 0.4, 5), (300, 1.0, 13), (90, 0.7, 9))]
    longest = max(map(len, clips)) + 2
    frames, mask = torch.full((3, longest, WIDTH), 9.0), torch.zeros(3, longest, dtype=torch.bool)
    for i, clip in enumerate(clips):
        frames[i, : len(clip)], mask[i, : len(clip)] = clip, True
    with torch.no_grad():
        together = encoder(frames, mask)
        alone = torch.cat([encoder(clip[None], torch.ones(1, len(clip), dtype=torch.bool)) for clip in clips])
    assert together.shape == (3, zoo.TOKENS, SMALL["width"])
    assert torch.allclose(together, alone, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_the_shipped_size_is_below_a_million_weights() -> None:
    assert 3e5 < sum(p.numel() for p in AcousticEncoder({}, tokens=zoo.TOKENS).parameters()) < 1e6
    with pytest.raises(ValueError, match="unknown size 'depth'"):
        AcousticEncoder({"depth": 3}, tokens=2)


def planted(count: int, *, draw: np.random.Generator, known: bool = True) -> list[Utterance]:
    """Tones whose pitch says whether they are happy or sad; with annotated prosody or without."""
    made = []
    for i in range(count):
        name = ("happy", "sad")[i % 2]
        hz = float(draw.uniform(250, 300) if name == "happy" else draw.uniform(100, 130))
        extra = {"prosody": [hz / 100] * len(FACTORS)} if known else {}
        made.append(spoken(f"{i}", buzz(hz, seconds=float(draw.uniform(0.4, 0.8)), level=0.1), emotion=name, extra=extra, intensity=1.0))
    return made


@pytest.mark.parametrize("known", [True, False])
def test_it_learns_a_planted_voice_from_recordings_with_and_without_prosody(known: bool) -> None:
    """As it would from a corpus of real speech, where the emotion is all that is known."""
    draw = np.random.default_rng(2)
    train = acoustic.of_recordings(planted(32, draw=draw, known=known), progress=False)
    assert np.isfinite(train.factors).all() == known
    torch.manual_seed(0)
    encoder = AcousticEncoder(SMALL, tokens=2)
    curve = acoustic.fit(encoder, train, steps=60, batch=16, learning_rate=3e-3, progress=False)
    test = acoustic.of_recordings(planted(16, draw=draw), progress=False)
    told = acoustic.logits(encoder, test).argmax(axis=1)
    assert curve[-1]["step"] == 60
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert (told == test.emotions).mean() >= 0.9
    assert encoder.is_standardised
    assert not encoder.training


@torch.no_grad()
def test_what_nobody_annotated_counts_for_nothing() -> None:
    encoder = AcousticEncoder(SMALL, tokens=2).eval()
    tokens = torch.randn(2, 2, SMALL["width"])
    emotions, unknown = torch.tensor([0, 1]), torch.full((2,), torch.nan)
    nothing = torch.full((2, len(FACTORS)), torch.nan)
    alone = acoustic.loss(encoder, tokens, emotions, unknown, nothing)
    named, strong, _ = encoder.told(tokens)
    expected = torch.nn.functional.cross_entropy(named, emotions, label_smoothing=acoustic.SMOOTHING)
    assert float(alone) == pytest.approx(float(expected), rel=1e-5)
    with_strength = acoustic.loss(encoder, tokens, emotions, torch.tensor([1.0, torch.nan]), nothing)
    added = acoustic.WEIGHTS["intensity"] * float((strong[0] - 1.0).square())
    assert float(with_strength - alone) == pytest.approx(added, rel=1e-4, abs=1e-6)


def test_a_corpus_without_the_seven_emotions_is_refused() -> None:
    with pytest.raises(TrainingError, match="no recording carries one of the seven"):
        acoustic.of_recordings([spoken("a", buzz(200), emotion=None)], progress=False)


# --- the model -------------------------------------------------------------------------------------------------------------------------------


def test_the_words_are_heard_as_by_the_model_that_it_starts_from(make_tiny: Callable[..., Pair], reasoner: Pair) -> None:
    before, _ = make_tiny(tone_tokens=2)
    after = reasoner[0]
    old, new = before.state_dict(), after.state_dict()
    same = [n for n in old if n.startswith(("language_model.", "connector.words", "audio_encoder."))]
    assert same
    assert all(torch.equal(old[n], new[n]) for n in same)
    assert after.config.tone_tokens == reasoner[1].tone_tokens == zoo.TOKENS


def test_the_voice_reaches_the_answer_and_only_through_the_acoustic_encoder(reasoner: Pair) -> None:
    model, processor = reasoner
    one, other = processor([buzz(120)]), processor([buzz(320)])
    assert one["audio_acoustic"].shape[-1] == WIDTH
    assert one["audio_acoustic"].shape[:2] == one["audio_levels"].shape
    with torch.no_grad():
        same = model(**one).logits[0, -1]
        moved_voice = model(**{**one, "audio_acoustic": other["audio_acoustic"]}).logits[0, -1]
        _, tone = model.connector(*_heard(model, one), voice=model.voice(one["audio_acoustic"], _heard(model, one)[2]))
    assert not torch.allclose(same, moved_voice, atol=1e-4)
    assert tone.shape == (1, zoo.TOKENS, model.config.text_config.hidden_size)
    assert model.tone_scores(tone).shape == (1, len(EMOTIONS))


def _heard(model: Any, inputs: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    states, mask = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
    return states, inputs["audio_levels"], mask


def test_kept_states_give_the_same_scores_as_the_sound(reasoner: Pair, tiny_dataset: Path, tmp_path: Path) -> None:
    from cogviz.lime import dataset

    model, processor = reasoner
    utterances = dataset.read(tiny_dataset)[:4]
    stored = features.encode(utterances, model, processor, tmp_path, progress=False)
    assert stored.acoustic is not None
    assert len(stored.get(0)) == 3
    by_sound = CogAudioListener.of(model, processor).scores(utterances, progress=False)
    by_states = CogAudioListener.of(model, processor, states=stored.by_id()).scores(utterances, progress=False)
    assert by_states == pytest.approx(by_sound, abs=0.02)  # kept in half precision
    again = features.encode(utterances, model, processor, tmp_path, progress=False)
    assert np.array_equal(again.acoustic, stored.acoustic)
    plain = features.encode(utterances, model, replace_acoustic(processor), tmp_path, progress=False)
    assert plain.acoustic is None
    assert len(plain.get(0)) == 2


def replace_acoustic(processor: Any) -> Any:
    from copy import copy

    other = copy(processor)
    other.acoustic = False
    return other


def test_a_model_without_its_voice_says_what_it_needs(reasoner: Pair) -> None:
    model, processor = reasoner
    inputs = dict(processor([buzz(200)]))
    inputs.pop("audio_acoustic")
    with pytest.raises(ValueError, match="needs audio_acoustic"):
        model(**inputs)
    with pytest.raises(ValueError, match="keep its frames"):
        processor.from_states([(np.zeros((3, 5, 32), np.float16), np.zeros(5, np.float32))])


def test_records_passages_and_attribution_of_its_tokens_work_and_that_of_the_log_mel_is_refused(reasoner: Pair) -> None:
    """The credit of the voice would go to a log-mel that only the words are heard in."""
    from cogviz.attribution.gradients import attribute

    listener, voice = CogAudioListener.of(*reasoner), spoken("a", buzz(200))
    heard = listener.listen([voice], explain=True, progress=False)[0]
    assert heard.record is not None
    assert len(heard.record.positions("tone")) == zoo.TOKENS
    passage = listener.naming([voice])
    assert torch.isfinite(listener.logits(passage, keep=1)).all()
    assert listener.respond([voice, voice], ["", "The voice sounds sad."], progress=False)
    found = attribute(listener, [voice], over="audio", method="gradient_x_input", progress=False)
    assert np.isfinite(found.values[0]).all()
    with pytest.raises(ValueError, match="does not hear the log-mel"):
        attribute(listener, [voice], over="mel", method="gradient_x_input", progress=False)


def test_a_language_model_that_is_told_the_tone_in_words_is_told_it_by_the_second_ear(make_tiny: Callable[..., Pair]) -> None:
    """As smol is: each token tells a word, and learns which."""
    from cogviz.models import tone

    words = [10 + i for i in range(len(tone.WORDS))]
    model, processor = zoo.with_acoustic(*make_tiny(tone_tokens=4, tone_words=words), **SMALL)
    inputs = processor([buzz(120), buzz(300)])
    states, levels, mask = _heard(model, inputs)
    labels = torch.tensor([tone.classes("sad", 1.0, ("low",), zoo.TOKENS), tone.classes("happy", 1.5, ("high", "loud"), zoo.TOKENS)])
    model.train()
    audio = {"audio_states": states, "audio_levels": levels, "audio_mask": mask, "audio_acoustic": inputs["audio_acoustic"]}
    found = model(**audio, tone_labels=labels).loss
    found.backward()
    model.eval()
    assert model.acoustic_encoder.queries.grad.abs().sum() > 0
    assert model.connector.words[0].weight.grad is None
    assert model(**inputs).logits.isfinite().all()


def test_enrolment_is_refused_in_a_sentence(reasoner: Pair) -> None:
    voice = spoken("a", buzz(200))
    with pytest.raises(ValueError, match="cannot be enrolled"):
        CogAudioListener.of(*reasoner).listen([replace(voice, enrolment=voice)], progress=False)


def test_a_checkpoint_reads_back_and_one_without_its_second_ear_is_refused(reasoner: Pair, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model, processor = reasoner
    folder = tmp_path / "reasoner"
    model.config.encoder_folder = f"../{zoo.ENCODER}"
    run.save(model, processor, folder)
    loaded, listens = zoo.load(folder)
    inputs = listens([buzz(200)])
    assert listens.acoustic
    assert listens.tone_tokens == zoo.TOKENS
    with torch.no_grad():
        assert torch.allclose(loaded(**inputs).logits, model(**inputs).logits, atol=0.05)
    weights = load_file(folder / "model.safetensors")
    for branch in ("acoustic_encoder", "connector.tone"):
        save_file({n: w for n, w in weights.items() if not n.startswith(branch)}, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(zoo.UnknownModel, match=f"weights of its {branch.split('.')[0]} are missing"):
            zoo.load(folder)


def test_it_is_adapted_to_real_speakers_by_moving_the_ear_alone(
    make_tiny: Callable[..., Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speakers of whom the emotion alone is known; what reads the encoder stays as it was."""
    monkeypatch.setattr(zoo, "SIZES", {**zoo.SIZES, **SMALL})
    model, processor = zoo.with_acoustic(*make_tiny(tone_tokens=2, encoder_folder=f"../{zoo.ENCODER}"), dropout=0.0)
    draw = np.random.default_rng(3)
    voices = [replace(u, speaker=f"s{i // 6}") for i, u in enumerate(planted(24, draw=draw, known=False))]
    model.acoustic_encoder.standardise(np.concatenate(acoustic.of_recordings(voices, progress=False).frames))
    run.save(model, processor, tmp_path / "start")
    stored = features.encode(voices, model, processor, tmp_path / "features", progress=False)
    monkeypatch.setattr(adapt_acoustic, "BATCH", 8)
    monkeypatch.setattr(adapt_acoustic, "LEARNING_RATE", 3e-3)
    rows = adapt_acoustic.adapt(
        str(tmp_path / "start"), voices, [{"s0", "s1"}, {"s2", "s3"}], stored=stored, folder=tmp_path / "adapted",
        device=Device("cpu", torch.float32, "test"), scale=0.2, progress=False,
    )  # fmt: skip
    value = {row["measure"]: row["value"] for row in rows}
    assert value["balanced_accuracy, readout"] >= 0.9 > value["balanced_accuracy, readout before"]
    before, after = (zoo.load(tmp_path / where)[0].state_dict() for where in ("start", "adapted/fold-1"))
    changed = {n.split(".")[0] for n in before if not torch.equal(before[n], after[n])}
    assert changed == {"acoustic_encoder"}
    assert torch.equal(before["acoustic_encoder.emotion.weight"], after["acoustic_encoder.emotion.weight"])
    unknown = [replace(voices[0], emotion="boredom")]
    with pytest.raises(TrainingError, match="the seven emotions only"):
        adapt_acoustic.adapt("x", unknown, [], stored=stored, folder=tmp_path, device=Device("cpu", torch.float32, "test"))
