"""Adapting to real speech: folds by speaker, what is learned, checkpoints and figures of small runs, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cogviz import corpora
from cogviz.cli import main
from cogviz.corpora import CorpusError, ravdess
from cogviz.device import Device
from cogviz.emotions import EMOTIONS, emotion
from cogviz.models import tone, zoo
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import adapt, adapt_encoder, adapt_tone, run
from cogviz.training.data import TrainingError
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]
CPU = Device("cpu", torch.float32, "test")
SEVEN = {name: emotion(name).adjective for name in EMOTIONS}


def test_every_speaker_is_in_one_fold_and_the_sexes_are_spread() -> None:
    spoken = [
        Utterance(f"{s}-{i}", "", "sad", f"s{s}", "a", "c", extra={"sex": "female" if s % 2 else "male"})
        for s in range(24)
        for i in range(2)
    ]
    found = adapt.folds(spoken, 5)
    assert sorted(s for fold in found for s in fold) == sorted({u.speaker for u in spoken})
    assert {len(fold) for fold in found} == {4, 5}
    assert all(1 < sum(int(s[1:]) % 2 for s in fold) < 4 for fold in found)
    assert found == adapt.folds(spoken, 5)
    with pytest.raises(CorpusError, match="24 speaker"):
        adapt.folds(spoken, 25)


@pytest.fixture
def actors(tmp_path: Path) -> Path:
    """Four actors whose pitch says the emotion, in the names of RAVDESS."""
    root = tmp_path / "ravdess"
    root.mkdir()
    draw = np.random.default_rng(0)
    for actor in range(1, 5):
        for number in (1, 2, 3, 4, 5):
            for repetition in (1, 2):
                time = np.arange(12000) / 16000
                tone = 0.2 * np.sin(2 * np.pi * (120 * number + 5 * actor) * time) + 0.002 * draw.standard_normal(12000)
                soundfile.write(root / f"03-01-0{number}-01-01-0{repetition}-0{actor}.wav", tone, 16000)
    return root


def test_a_model_is_adapted_in_folds_and_measured_on_speakers_it_has_not_heard(
    make_tiny: Callable[..., Pair], actors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = tmp_path / "models" / "tiny"
    run.save(*make_tiny(encoder_folder=f"../{zoo.ENCODER}"), start)
    arguments = [
        "train",
        str(start),
        "--adapt",
        f"ravdess={actors}",
        "--output",
        str(tmp_path / "runs"),
        "--scale",
        "0.1",
        "--device",
        "cpu",
    ]
    monkeypatch.setattr(adapt, "FOLDS", 2)
    assert main(arguments) == 0
    assert "balanced_accuracy, peer" in capsys.readouterr().out
    folder = tmp_path / "runs" / "tiny-ravdess"
    rows = {r["measure"]: r for r in json.loads((folder / "adapted.json").read_text())}
    assert set(rows) == {f"balanced_accuracy, {name}" for name in ("named", "readout", "named before", "peer")}
    assert all((r["n"], r["chance"], r["data"]) == (32, 0.25, "ravdess, 4 labels, 2 folds") for r in rows.values())
    assert rows["balanced_accuracy, peer"]["value"] > 0.8, "the pitch tells the emotion of unknown speakers"
    assert rows["balanced_accuracy, readout"]["value"] > 0.8
    for number in (1, 2):
        adapted, _ = zoo.load(folder / f"fold-{number}")
        before, _ = zoo.load(start)
        assert not torch.equal(adapted.connector.tone[1].weight, before.connector.tone[1].weight)
        torch.testing.assert_close(adapted.audio_encoder.conv1.weight, before.audio_encoder.conv1.weight)
    monkeypatch.setattr(adapt.adapt_tone, "learn", lambda *_, **__: pytest.fail("a finished fold is not trained again"))
    assert main(arguments) == 0
    capsys.readouterr()
    assert main([*arguments, "--seed", "1"]) == 2
    assert "was begun with another model or other settings" in capsys.readouterr().err


def test_with_its_own_labels_and_encoder_a_checkpoint_holds_both(
    make_tiny: Callable[..., Pair], actors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "models" / "tiny"
    run.save(*make_tiny(encoder_folder=f"../{zoo.ENCODER}"), start)
    monkeypatch.setattr(ravdess, "CORPUS", replace(ravdess.CORPUS, others={"calm": "voice"}))  # a word that the tiny model has
    rows = adapt.adapt(str(start), "ravdess", actors, output=tmp_path, device=CPU, own_labels=True, encoder=True, count=2, scale=0.02)
    assert {(r["n"], r["chance"], r["data"]) for r in rows} == {(40, 0.2, "ravdess, 5 labels, 2 folds, encoder adapted")}
    folder = tmp_path / "tiny-ravdess-own-encoder" / "fold-1"
    assert json.loads((folder / "labels.json").read_text()) == {**SEVEN, "calm": "voice"}
    (adapted, processor), (before, _) = zoo.load(folder), zoo.load(start)
    assert adapted.config.encoder_folder is None
    moved = {
        name
        for name, weight in before.audio_encoder.named_parameters()
        if not torch.equal(weight, adapted.audio_encoder.state_dict()[name])
    }
    assert "layers.0.self_attn.q_proj.weight" in moved
    assert "embed_positions.weight" not in moved
    torch.testing.assert_close(adapted.connector.words[0].weight, before.connector.words[0].weight)
    heard = corpora.read("ravdess", actors)[:2]
    assert CogAudioListener.of(adapted, processor).scores(heard, adjectives=["calm", "voice"], progress=False).shape == (2, 2)


def test_the_readout_of_an_adapted_model_is_its_probe(tiny_model: Pair, make_tiny: Callable[..., Pair]) -> None:
    model, _ = make_tiny()
    torch.manual_seed(0)
    layers, names = adapt_tone.probe(model, 8).eval(), torch.nn.Linear(8, 2 * 32)
    heard = torch.randn(5, len(model.connector.neutral))
    adapt_tone.install(model, layers, names, heard.mean(dim=0))
    with torch.no_grad():
        tokens = model.connector.tone(heard).unflatten(1, (2, 32))
        torch.testing.assert_close(model.tone_scores(tokens), layers(heard)[:, :7], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(tokens.flatten(1), names(layers(heard)))


def test_merged_probes_score_their_mean(tiny_model: Pair) -> None:
    probes = [adapt_tone.probe(tiny_model[0], 5).eval() for _ in range(3)]
    heard = torch.randn(4, len(tiny_model[0].connector.neutral))
    with torch.no_grad():
        torch.testing.assert_close(adapt_tone.merged(probes).eval()(heard), torch.stack([p(heard) for p in probes]).mean(dim=0))


def test_restarted_and_standardised_the_tone_path_hears_deviations_from_a_corpus(make_tiny: Callable[..., Pair]) -> None:
    model, _ = make_tiny()
    model.connector.tone_weight.data.normal_()
    states, levels, mask = torch.randn(6, 3, 9, 32), torch.randn(6, 9), torch.ones(6, 9)
    adapt_tone.restart(model)
    heard = model.enrol(states, levels, mask).detach()
    torch.testing.assert_close(heard[:, :32], states[:, 0].mean(dim=1))
    torch.testing.assert_close(heard[:, -2], levels.mean(dim=1))
    model.connector.standardise(heard)
    standard = model.enrol(states, levels, mask)
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros_like(standard[0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(standard.std(dim=0), torch.ones_like(standard[0]), atol=1e-2, rtol=0)


def test_names_are_found_without_the_language_model_learning(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    names = adapt_tone.find_names(model, processor, SEVEN, device=CPU, steps=60, seed=0)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, before[name], msg=name)
    words = [processor.tokens(f" {adjective}")[0] for adjective in SEVEN.values()]
    prompt = torch.tensor([processor.tokens(processor.prompt("reason", 2) + adapt_tone.asked(model)["reason"])] * 7)

    def right(layer: torch.nn.Linear) -> float:
        """Mean log p of the word of the label that is 4 ahead of the others."""
        with torch.no_grad():
            embeds = model.get_input_embeddings()(prompt)
            embeds[prompt == model.config.audio_token_id] = layer(4.0 * torch.eye(7) - 4 / 7).view(14, 32)
            log_p = model.language_model(inputs_embeds=embeds).logits[:, -1].log_softmax(-1)[:, words]
        return float(log_p.diagonal().mean() - log_p.mean())

    assert right(names) > right(torch.nn.Linear(7, 64)) + 0.5


def test_a_model_that_is_told_the_tone_in_words_is_told_the_labels_word(make_tiny: Callable[..., Pair]) -> None:
    _, processor = make_tiny()
    words = [processor.tokens(f" {word}")[0] for word in tone.WORDS]
    model, processor = make_tiny(tone_words=words)
    eight = {**SEVEN, "calm": "voice"}
    names = adapt_tone.find_names(model, processor, eight, device=CPU, steps=1, seed=0)
    added = processor.tokens(" voice")[0]
    assert model.config.tone_words == [*words, added]
    told = model.told(names(20 * torch.eye(8)).unflatten(1, (2, -1))).detach()
    table = torch.as_tensor(model.get_input_embeddings().weight).detach()
    torch.testing.assert_close(told[:, 0], table[[*words[:7], added]], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(told[:, 1], torch.zeros(8, 32), atol=1e-4, rtol=0)


def test_an_adjective_must_be_one_token(tiny_model: Pair) -> None:
    with pytest.raises(TrainingError, match="no single token for 'melancholic'"):
        adapt_tone.find_names(*tiny_model, {**SEVEN, "mine": "melancholic"}, device=CPU, steps=1, seed=0)


def test_masks_hide_some_bands_and_frames_and_no_padding_counts() -> None:
    mels, mask = torch.randn(4, 80, 200) + 3, torch.ones(4, 200, dtype=torch.long)
    mask[0, 100:], mels[0, :, 100:] = 0, 1000.0
    found = adapt_encoder.masked(mels, mask, np.random.default_rng(0))
    hidden = found != mels
    assert 0 < hidden.float().mean() < 0.5
    torch.testing.assert_close(found[0, hidden[0]], mels[0, :, :100].mean().expand(int(hidden[0].sum())))
    bands, frames = hidden.all(dim=2).sum(dim=1), hidden.all(dim=1).sum(dim=1)
    assert bool((bands <= 2 * adapt_encoder.BANDS + 2).all() and (frames <= 2 * 20 + 2).all() and frames.sum() > 0)


def test_an_unknown_corpus_or_no_folder_is_one_sentence(actors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--own-labels", "--encoder"):
        assert main(["train", "nano-aligned", "--data", str(tmp_path), option]) == 2
        assert capsys.readouterr().err == "cogviz: --own-labels and --encoder belong to --adapt\n"
    assert main(["train", "nano-aligned", "--adapt", "ravdess"]) == 2
    assert capsys.readouterr().err == "cogviz: --adapt needs a corpus and its folder, as ravdess=FOLDER, not 'ravdess'\n"
    with pytest.raises(CorpusError, match="unknown corpus 'mine'"):
        adapt.adapt("nano-aligned", "mine", actors, output=tmp_path, device=CPU)
    assert len(corpora.read("ravdess", actors)) == 32
    assert len(corpora.read("ravdess", actors, own_labels=True)) == 40
