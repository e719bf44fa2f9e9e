"""Adapting to real speech: folds by speaker, checkpoints and figures of a small run, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cogviz import corpora
from cogviz.cli import main
from cogviz.corpora import CorpusError
from cogviz.device import Device
from cogviz.models import zoo
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import adapt, run
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


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
        for emotion in (1, 3, 4, 5):
            for repetition in (1, 2):
                time = np.arange(12000) / 16000
                tone = 0.2 * np.sin(2 * np.pi * (120 * emotion + 5 * actor) * time) + 0.002 * draw.standard_normal(12000)
                soundfile.write(root / f"03-01-0{emotion}-01-01-0{repetition}-0{actor}.wav", tone, 16000)
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
    assert all(r["n"] == 32 and r["chance"] == 0.25 for r in rows.values())
    assert rows["balanced_accuracy, peer"]["value"] > 0.8, "the pitch tells the emotion of unknown speakers"
    for number in (1, 2):
        adapted, _ = zoo.load(folder / f"fold-{number}")
        before, _ = zoo.load(start)
        assert not torch.equal(adapted.connector.tone[1].weight, before.connector.tone[1].weight)
        torch.testing.assert_close(adapted.audio_encoder.conv1.weight, before.audio_encoder.conv1.weight)
    monkeypatch.setattr(adapt.sft, "run_stage", lambda *_, **__: pytest.fail("a finished fold is not trained again"))
    assert main(arguments) == 0
    capsys.readouterr()
    assert main([*arguments, "--seed", "1"]) == 2
    assert "was begun with another model, seed or size dial" in capsys.readouterr().err


def test_an_unknown_corpus_or_no_folder_is_one_sentence(actors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nano-aligned", "--adapt", "ravdess"]) == 2
    assert capsys.readouterr().err == "cogviz: --adapt needs a corpus and its folder, as ravdess=FOLDER, not 'ravdess'\n"
    with pytest.raises(CorpusError, match="unknown corpus 'mine'"):
        adapt.adapt("nano-aligned", "mine", actors, output=tmp_path, device=Device("cpu", torch.float32, "test"))
    assert len(corpora.read("ravdess", actors)) == 32
