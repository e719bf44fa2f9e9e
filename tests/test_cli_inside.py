"""The commands that look inside: a figure, documented rows, and a sentence where something cannot be looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cogviz import cli
from cogviz.models import zoo
from cogviz.training import run

SAMPLES = Path(__file__).parents[1] / "data_samples"
ROW = {"model", "measure", "value", "low", "high", "n", "chance", "data"}


@pytest.fixture(scope="module")
def model(make_tiny: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of an untrained tiny model."""
    folder = tmp_path_factory.mktemp("checkpoints") / "nano-test"
    run.save(*make_tiny(encoder_folder=f"../{zoo.ENCODER}"), folder)
    return folder


@pytest.mark.parametrize(
    ("command", "starts"),
    [
        ("probe --targets voice_emotion --sites connector lm.1 --segments tone", "probe_voice_emotion_connector_tone_accuracy"),
        ("probe --what lens", "logit_lens_voice_"),
        ("probe --what similarity --segments words", "cka_connector_connector_words"),
        ("patch --items 6", "effect_connector_"),
        ("patch --items 6 --at sublayers --differs words", "effect_lm.0.conv_"),
        ("patch --what knockout", "voice_"),
        ("patch --what neurons --items 84", "ablated"),
        ("patch --what erase --items 42 --sites lm.0", "lm.0_erased_voice_voice"),
        ("attribute --over tokens --method gradient_x_input", "relevance of "),
        ("attribute --what methods --over tokens --items 2", "curves_integrated_gradients_"),
        ("attribute --what shares --items 2", "tone_words_"),
        ("project --method pca --sites connector lm.1", "purity_voice_emotion_connector_tone"),
    ],
)
def test_a_command_writes_rows_and_a_figure(command: str, starts: str, model: Path, tmp_path: Path) -> None:
    rows, figure = tmp_path / "rows.json", tmp_path / "figure.png"
    how = ["--model", str(model), "--data", f"{SAMPLES}/conflict", "--device", "cpu", "--json", str(rows), "--out", str(figure)]
    items = [] if "--items" in command else ["--items", "28"] if not command.startswith("attribute") else ["--items", "1"]
    assert cli.main([*command.split(), *how, *items]) == 0
    found = json.loads(rows.read_text())
    assert set(found[0]) == ROW
    assert [row for row in found if row["measure"].startswith(starts)], sorted({row["measure"] for row in found})[:20]
    assert figure.stat().st_size > 10_000


def test_what_cannot_be_looked_at_is_said(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    for command, sentence in (
        (f"probe --model {model} --sites lm.99 --items 14", "did you mean"),
        ("probe --model linear-probe --items 14", "cannot be looked into"),
        (f"attribute --model {model} --item nobody --items 1", "has no recording 'nobody'"),
    ):
        assert cli.main([*command.split(), "--data", f"{SAMPLES}/conflict"]) == 2
        assert sentence in capsys.readouterr().err
