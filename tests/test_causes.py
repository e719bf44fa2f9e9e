"""The 2 x 2 of causes: what its cells share and what they do not, on a tiny model and speech of a minute."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from cogviz.device import Device
from cogviz.lime.build import build
from cogviz.training import causes, recipe, sft
from cogviz.training.recipe import Recipe, Stage

CPU = Device("cpu", torch.float32, "test")

PLAN = """
name: crossed
about: Words that agree with the voice, LIME, and words x voice.
parts:
  - {name: agreeing_train, kind: emotional, split: train, voices: train, sentences: 7, variants: congruent}
  - {name: emotional_train, kind: emotional, split: train, voices: train, sentences: 1, variants: each}
  - {name: emotional_test, kind: emotional, split: test, voices: test, sentences: 3, variants: each, intensities: [high]}
"""

BASE = Recipe(
    name="nano-baseline",
    about="short",
    layers="last",
    stages=(
        Stage("reading", (), {"transcribe": 1.0}, steps=2, batch=2),
        Stage("alignment", ("agreeing_train", "emotional_train"), {"transcribe": 1.0}, steps=2, batch=2),
        Stage("sft", ("agreeing_train",), {"reason": 1.0}, steps=4, batch=2),
    ),
)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crossed")
    (folder / "plan.yaml").write_text(PLAN)
    build(str(folder / "plan.yaml"), folder / "data", backend="sequential", progress=False)
    return folder / "data"


def test_a_cell_is_the_baseline_with_other_layers_and_other_speech() -> None:
    base = recipe.read("nano-baseline")
    for layers in causes.LAYERS:
        for speech, parts in causes.SPEECH.items():
            cell = causes.plan(layers, speech, seed=2, scale=1.0)
            assert (cell.layers, cell.seed) == (layers, 2)
            for mine, its in zip(cell.stages, base.stages, strict=True):
                if mine.name in causes.SHARED:
                    assert mine == replace(its, seed=0)
                else:
                    assert mine == replace(its, parts=parts, utterances=causes.UTTERANCES, steps=its.steps // causes.SHORTER)


def test_the_two_by_two_shares_what_comes_before_the_speech_and_measures_every_cell(
    small: None, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes.recipe, "read", lambda name, **changes: replace(BASE, **changes))
    ran: list[tuple[str, str]] = []
    real = sft.run_stage

    def watch(stage: Stage, plan: Recipe, *rest: object, **more: object) -> list[dict[str, float]]:
        ran.append((plan.name, stage.name))
        return real(stage, plan, *rest, **more)

    monkeypatch.setattr(sft, "run_stage", watch)
    how = {"data": speech, "output": tmp_path, "device": CPU, "seeds": 2, "progress": False}
    table = causes.measure(**how)

    cells = [f"{layers}-{words}-{seed}" for layers in ("last", "mix") for words in ("agrees", "lime") for seed in (0, 1)]
    assert [name for name, stage in ran if stage == "sft"] == cells
    for shared in ("reading", "alignment"):
        assert [name for name, stage in ran if stage == shared] == ["last-agrees-0", "mix-agrees-0"], "once for either kind of layers"
    parts = {name: json.loads((tmp_path / "causes" / name / "run.json").read_text())["recipe"]["stages"][-1]["parts"] for name in cells}
    assert {tuple(p) for name, p in parts.items() if "agrees" in name} == {("agreeing_train",)}
    assert {tuple(p) for name, p in parts.items() if "lime" in name} == {("emotional_train",)}

    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "two_by_two.csv"), table, check_dtype=False)
    assert list(table.columns) == causes.COLUMNS
    keys = ["encoder", "training speech", "measure"]
    for _, rows in table.groupby(keys):
        assert list(rows.seed.dropna()) == [0, 1]
        assert rows[rows.seed.isna()].n.item() == rows.n[rows.seed.notna()].sum()
    assert set(table.measure) == {"follows_voice", "follows_words", "voice_balanced_accuracy"}
    assert table.n[table.measure.eq("voice_balanced_accuracy") & table.seed.eq(0)].eq(21).all()

    ran.clear()
    causes.measure(**how)
    assert not ran, "what is finished is left alone"
