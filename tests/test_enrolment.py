"""Hearing a voice relative to its speaker's neutral speech: who is enrolled with what, and what the model makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cogviz import audio, cli, tour
from cogviz.lime import dataset
from cogviz.models import zoo
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import features, run
from cogviz.utterance import Utterance, enrol

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


def spoken(name: str, emotion: str | None, speaker: str, sentence: str, *, pitch: float = 120.0, seconds: float = 1.0) -> Utterance:
    time = np.arange(int(16000 * seconds)) / 16000
    wave = 0.1 * np.sign(np.sin(2 * np.pi * pitch * time)) * (1 + 0.5 * np.sin(2 * np.pi * 3 * time))
    return Utterance(name, "", emotion, speaker, sentence, "test", waveform=wave.astype(np.float32))


FOUR = [
    spoken("a-neutral-1", "neutral", "a", "1", pitch=120),
    spoken("a-neutral-2", "neutral", "a", "2", pitch=130),
    spoken("a-sad-1", "sad", "a", "1", pitch=110),
    spoken("b-sad-1", "sad", "b", "1", pitch=210),
    spoken("c-neutral-1", "neutral", "c", "1", pitch=160),
]


def test_everyone_is_enrolled_with_their_own_neutral_speech_of_another_sentence() -> None:
    found = {u.id: u.enrolment.id for u in enrol(FOUR) if u.enrolment}
    assert found == {"a-neutral-1": "a-neutral-2", "a-neutral-2": "a-neutral-1", "a-sad-1": "a-neutral-2"}
    with pytest.raises(ValueError, match="no speaker has a neutral recording of another sentence"):
        enrol(FOUR[2:])


def tones(model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, utterances: list[Utterance]) -> torch.Tensor:
    """(N, K, H) the tone tokens that a listener gives the language model."""
    inputs = CogAudioListener.of(model, processor)._inputs(utterances, "reason")
    with torch.no_grad():
        states, mask = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
        return model.connector(states, inputs["audio_levels"], mask, inputs.get("enrolled"))[1]


def test_a_voice_that_sounds_like_its_enrolment_is_heard_as_the_mean_neutral_voice(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny()
    draw = torch.Generator().manual_seed(0)
    model.connector.neutral.copy_(torch.randn(model.connector.neutral.shape, generator=draw))
    same = replace(FOUR[2], enrolment=FOUR[2])
    with torch.no_grad():
        expected = model.connector.tone(model.connector.neutral[None]).unflatten(1, (model.connector.tone_tokens, -1))
    torch.testing.assert_close(tones(model, processor, [same]), expected, atol=1e-4, rtol=1e-4)
    other = tones(model, processor, [replace(FOUR[2], enrolment=FOUR[0])])
    assert (other - expected).abs().max() > 1e-3


def test_in_a_batch_only_those_are_moved_who_are_enrolled(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny()
    model.connector.neutral.fill_(0.3)
    plain = tones(model, processor, [FOUR[2], FOUR[3]])
    mixed = tones(model, processor, [replace(FOUR[2], enrolment=FOUR[0]), FOUR[3]])
    assert (mixed[0] - plain[0]).abs().max() > 1e-3
    torch.testing.assert_close(mixed[1], plain[1])


def test_enrolment_does_not_touch_the_words_and_reaches_the_answer(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny()
    listener = CogAudioListener.of(model, processor)
    enrolled = replace(FOUR[2], enrolment=FOUR[0])
    plain, moved = (listener._inputs([u], "reason") for u in (FOUR[2], enrolled))
    with torch.no_grad():
        states, mask = model.encode(plain["input_features"], plain["feature_attention_mask"])
        said = [model.connector(states, plain["audio_levels"], mask, i.get("enrolled"))[0] for i in (plain, moved)]
    torch.testing.assert_close(*said, atol=0, rtol=0)
    scores = listener.scores([FOUR[2], enrolled], progress=False)
    assert np.abs(scores[0] - scores[1]).max() > 1e-4
    assert listener.listen([enrolled], progress=False)[0].utterance.enrolment is FOUR[0]


def test_cached_layers_enrol_as_sound_does(make_tiny: Callable[..., Pair], tiny_dataset: Path, tmp_path: Path) -> None:
    model, processor = make_tiny()
    heard = [u for u in dataset.read(tiny_dataset) if u.extra["part"] == "equal_length"][:3]
    enrolled = [replace(u, enrolment=heard[0]) for u in heard[1:]]
    stored = features.encode(heard, model, processor, tmp_path / "features", progress=False)
    by_sound = CogAudioListener.of(model, processor).scores(enrolled, progress=False)
    by_layers = CogAudioListener.of(model, processor, states=stored.by_id()).scores(enrolled, progress=False)
    np.testing.assert_allclose(by_layers, by_sound, atol=2e-2)


def test_training_remembers_the_mean_of_neutral_speech(make_tiny: Callable[..., Pair], tiny_dataset: Path, tmp_path: Path) -> None:
    model, processor = make_tiny()
    utterances = dataset.read(tiny_dataset)
    stored = features.encode(utterances, model, processor, tmp_path / "features", progress=False)
    run.remember_neutral(model, utterances, stored)
    neutral = [u for u in utterances if u.split == "train" and u.emotion == "neutral"]
    listener = CogAudioListener.of(model, processor)
    expected = torch.stack([listener._voice(u) for u in neutral]).mean(0)
    torch.testing.assert_close(model.connector.neutral, expected, atol=2e-2, rtol=2e-2)
    run.save(model, processor, tmp_path / "x" / "nano-test")
    torch.testing.assert_close(zoo.load(tmp_path / "x" / "nano-test")[0].connector.neutral, expected, atol=2e-2, rtol=2e-2)


# --- from the command line -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(make_tiny: Callable[..., Pair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "nano-test"
    run.save(*make_tiny(encoder_folder=f"../{zoo.ENCODER}"), folder)
    return folder


def sounds(folder: Path) -> list[str]:
    for u in FOUR[:3]:
        audio.write(folder / f"{u.id}.wav", u.samples)
    return [str(folder / f"{u.id}.wav") for u in FOUR[:3]]


def test_answer_takes_a_neutral_recording_and_does_not_answer_it(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    neutral, _, sad = sounds(tmp_path)
    enrolled: list[str] = []

    def texts(self: CogAudioListener, utterances: list[Utterance], task: str, **_: object) -> list[str]:
        enrolled.extend(u.enrolment.id for u in utterances if u.enrolment)
        return ["<response>So.</response>"] * len(utterances)

    monkeypatch.setattr(CogAudioListener, "texts", texts)
    target = tmp_path / "rows.json"
    assert cli.main(["answer", sad, "--neutral", neutral, "--model", str(model), "--json", str(target)]) == 0
    assert [row["file"] for row in json.loads(target.read_text())] == [sad]
    assert enrolled == [neutral]


def test_evaluate_says_that_voices_were_enrolled(model: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    rows = dataset.read_rows(tiny_dataset)
    kept = [r for r in rows if r["part"] == "equal_length"]
    other = next(r for r in rows if r["part"] == "agreeing")
    kept.append({**other, "emotion": "neutral", "speaker": kept[0]["speaker"]})
    for row in kept:
        (tmp_path / "data" / row["file_name"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / row["file_name"]).write_bytes((tiny_dataset / row["file_name"]).read_bytes())
    dataset.write_rows(tmp_path / "data", kept)
    target = tmp_path / "rows.json"
    command = ["evaluate", "dominance", "--model", str(model), "--data", str(tmp_path / "data"), "--enrol", "--json", str(target)]
    assert cli.main(command) == 0
    found = {row["measure"]: row for row in json.loads(target.read_text())}
    assert found["voice_accuracy"]["data"] == "data, enrolled"
    assert found["voice_accuracy"]["n"] == 8, "seven voices, and the neutral recording enrolled with the neutral one of the seven"


def test_a_report_says_what_voices_are_heard_relative_to(tmp_path: Path) -> None:
    neutral, _, sad = sounds(tmp_path)
    found = tour.material(files=[sad], neutral=neutral)
    assert [u.enrolment.id for u in found.utterances if u.enrolment] == ["neutral: a-neutral-1.wav"]
    assert "relative to the neutral recording that you gave" in found.about
    with pytest.raises(tour.ReportError, match="belongs to recordings of your own"):
        tour.material(neutral=neutral)
    with pytest.raises(tour.ReportError, match="enrolled with --neutral FILE"):
        tour.material(files=[sad], enrolled=True)
