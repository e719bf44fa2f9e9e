"""Branches that learn in turn: batches about one thing, the other branch frozen to the last bit, both at the end. And the whole run of a reasoner."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cogviz.device import Device
from cogviz.eips import parse
from cogviz.evaluation.claims import KINDS
from cogviz.lime import dataset, evidence
from cogviz.models import zoo
from cogviz.training import alternating, data, features, reasoning, recipe, run, sft
from cogviz.training.kept import KeptStages
from cogviz.training.recipe import RecipeError, Stage

Pair = tuple[Any, Any]
CPU = Device("cpu", torch.float32, "test")
SMALL = {"width": 16, "layers": 1, "heads": 2, "hidden": 16}
TASKS = {"reason": 0.5, "name": 0.2, "transcribe": 0.3}


@pytest.fixture(scope="module")
def speech(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(tiny_dataset, tmp_path_factory.mktemp("speech") / "tiny")


def ready(make: Callable[..., Pair], folder: Path) -> tuple[Any, Any, list, features.Features]:
    model, processor = zoo.with_acoustic(*make(), **SMALL)
    utterances = dataset.read(folder)
    stored = features.encode(utterances, model, processor, folder / "features", progress=False)
    model.acoustic_encoder.standardise(np.asarray(stored.acoustic[:200], dtype=np.float32))
    return model, processor, utterances, stored


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters()}


def moved(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> dict[str, bool]:
    """Part -> whether any of its weights is another one than before."""
    parts = {**alternating.BRANCHES, "language": ("language_model.",), "ear": ("audio_encoder.",)}
    now = dict(model.named_parameters())
    return {part: any(not torch.equal(now[n], w) for n, w in before.items() if n.startswith(names)) for part, names in parts.items()}


# --- whose turn it is ------------------------------------------------------------------------------------------------------------------------


def test_turns_follow_the_weights_of_the_tasks_and_are_spread_evenly() -> None:
    turn = alternating.turns({"reason": 0.6, "transcribe": 0.25, "topic": 0.15}, 20)
    assert len(turn) == 20
    assert turn.count("words") == 8
    assert max(len(run) for run in "".join(t[0] for t in turn).replace("w", " ").split()) <= 2
    with pytest.raises(data.TrainingError, match="tasks of both branches"):
        alternating.turns({"reason": 1.0, "name": 0.5}, 4)


def test_both_branches_learn_in_the_last_fifth_only() -> None:
    assert [alternating.learns("words", step, 10) for step in (0, 7)] == [("words",)] * 2
    assert alternating.learns("voice", 8, 10) == alternating.learns("words", 9, 10) == ("words", "voice")


def test_a_batch_is_about_one_branch_and_every_example_comes_once() -> None:
    examples, turn = alternating.draw_alternating(12, 4, range(30), TASKS, seed=1)
    lengths = np.random.default_rng(0).integers(20, 90, len(examples)).tolist()
    order = list(alternating.TurnSampler(lengths, turn, batch=4, seed=1))
    assert sorted(order) == list(range(48))
    for step, branch in enumerate(turn):
        tasks = {examples[i].task for i in order[4 * step : 4 * step + 4]}
        assert tasks <= set(alternating.SPEECH) if branch == "words" else not tasks & set(alternating.SPEECH)
    assert order == list(alternating.TurnSampler(lengths, turn, batch=4, seed=1)), "an interrupted run must find the same batches"


# --- who learns ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("branch", list(alternating.BRANCHES))
def test_the_other_branch_stays_as_it_is_to_the_last_bit(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, branch: str
) -> None:
    """Weight decay and momentum would move it, too, were it only without a gradient of its own."""
    model, processor, utterances, stored = ready(make_tiny, speech)
    monkeypatch.setattr(alternating, "turns", lambda _, steps: [branch] * steps)
    monkeypatch.setattr(alternating, "JOINT", 0.0)
    before = weights(model)
    stage = Stage("reasoner", ("ambiguous",), TASKS, steps=4, batch=4, alternate=True)
    sft.run_stage(stage, recipe.read("nano-reasoner"), model, processor, utterances, stored, folder=tmp_path, device=CPU)
    assert moved(model, before) == {"words": branch == "words", "voice": branch == "voice", "language": True, "ear": False}
    assert all(p.requires_grad for n, p in model.named_parameters() if not n.startswith("audio_encoder."))


@pytest.mark.parametrize("alternate", [True, False])
def test_in_the_end_and_in_joint_training_both_learn(make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path, alternate: bool) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    before = weights(model)
    stage = Stage("reasoner", ("ambiguous",), TASKS, steps=3, batch=4, alternate=alternate)
    curve = sft.run_stage(stage, recipe.read("nano-reasoner"), model, processor, utterances, stored, folder=tmp_path, device=CPU)
    assert len(curve) == 3
    assert moved(model, before) == {"words": True, "voice": True, "language": True, "ear": False}


def test_a_turn_is_given_at_every_step(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    seen = []
    monkeypatch.setattr(alternating, "set_branches", lambda _, learning: seen.append(learning))
    stage = Stage("reasoner", ("ambiguous",), TASKS, steps=10, batch=2, alternate=True)
    sft.run_stage(stage, recipe.read("nano-reasoner"), model, processor, utterances, stored, folder=tmp_path, device=CPU, rows=1)
    turn = alternating.turns(TASKS, 10)
    expected = [alternating.learns(turn[step], step, 10) for step in range(10) for _ in range(2)]  # two rows one after the other a step
    assert seen[: len(expected)] == expected


# --- recipes and runs ------------------------------------------------------------------------------------------------------------------------


def test_a_stage_for_a_second_ear_needs_one(tmp_path: Path) -> None:
    text = "name: x\nabout: y\nstages: [{name: acoustic, parts: [p], tasks: {}, steps: 1}]"
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(RecipeError, match="set acoustic: true"):
        recipe.read(tmp_path / "x.yaml")


def test_cells_share_the_stages_of_the_second_ear_and_nothing_behind_them() -> None:
    plans = {name: reasoning.plan(name, 1, scale=1.0) for name in reasoning.ORDER}
    assert {f"reasoner/{name}" for name in reasoning.ORDER} == set(recipe.names("reasoner"))
    keys = {name: [KeptStages(Path(), plan, {}).key(i) for i in range(len(plan.stages))] for name, plan in plans.items()}
    two = [name for name in reasoning.ORDER if name != "one-encoder"]
    for stage in (0, 1):
        assert len({keys[name][stage] for name in two}) == 1
    assert len({keys[name][-1] for name in reasoning.ORDER}) == len(reasoning.ORDER)
    whole = recipe.read("nano-reasoner")
    assert KeptStages(Path(), whole, {}).key(1) == keys["sound"][1], "the variant's own second ear serves them"
    last = {name: plan.stages[-1] for name, plan in plans.items()}
    assert all(last[name].steps == last["sound"].steps and last[name].tasks == last["sound"].tasks for name in reasoning.ORDER)


def test_a_reasoner_goes_from_recipe_to_model_card(small: None, speech: Path, tmp_path: Path) -> None:
    text = """
name: small-reasoner
about: Two ears.
targets: sound
acoustic: true
stages:
  - {name: acoustic, parts: [ambiguous], tasks: {}, steps: 4, batch: 4}
  - {name: tone, parts: [ambiguous], tasks: {}, steps: 2, batch: 4}
  - {name: reasoner, parts: [ambiguous], tasks: {reason: 0.6, transcribe: 0.4}, steps: 4, batch: 4, alternate: true}
"""
    (tmp_path / "r.yaml").write_text(text)
    folder = run.train(tmp_path / "r.yaml", data=speech, output=tmp_path / "runs", device=CPU, limit=2, progress=False)
    assert (speech / evidence.FILE).exists()
    model, processor = zoo.load(folder)
    assert model.config.thinks == "freely"
    assert processor.acoustic
    assert model.acoustic_encoder.is_standardised
    assert all(p.isfinite().all() for p in model.parameters())
    card = (folder / "README.md").read_text()
    assert "taking turns" in card
    assert "acoustic encoder" in card
    assert json.loads((folder / "figures.json").read_text())
    curve = (folder / "curve.csv").read_text()
    assert all(f"{stage}," in curve for stage in ("acoustic", "tone", "reasoner"))


def test_what_a_grounded_target_says_of_the_sound_was_measured(speech: Path) -> None:
    evidence.add(speech, progress=False)
    told = [u for u in dataset.read(speech) if u.extra["evidence"]]
    assert told
    for u in told[:5]:
        answer = parse(data.target(u, "reason", "sound"))
        assert answer is not None
        assert all(word in answer.explanation for word in u.extra["evidence"])


def test_the_table_of_the_cells_says_whether_explanations_are_grounded() -> None:
    """Twelve sounds: loud ones that are called loud and sad ones that are called loud, too."""
    said = '<thought>The voice sounds {}: it is {}. The words are "It is here." {}</thought><response>Oh.</response>'
    rows = [
        {"id": f"u{i}", "part": "emotional_test", "voice": voice, "words": "happy", "answer": voice, "route": "reason", "intensity": 1.0,
         "sentence": f"s{i % 6}", "speaker": "a", "valid": 1.0, "recall": 1.0,
         "text": said.format({"angry": "angry", "sad": "sad"}[voice], word, reason)}
        for i, (voice, word, reason) in enumerate([("angry", "loud", "They feel wronged, since it crosses a line.")] * 6 + [("sad", "loud", "")] * 6)
    ]  # fmt: skip
    sounds = pd.DataFrame(0.0, index=[r["id"] for r in rows], columns=list(KINDS))
    sounds["loudness"] = [5.0] * 6 + [-5.0] * 6
    found = {row["measure"]: row for row in reasoning.figures(pd.DataFrame(rows), sounds=sounds)}
    assert found["names the voice"]["value"] == found["follows the voice on conflicts"]["value"] == 1.0
    assert found["claims of the sound that agree with it"]["value"] == 0.5
    assert found["claims that fit the emotion named"]["value"] == 0.5
    assert found["reasons that fit the emotion named"]["value"] == 1.0
    assert found["reasons that fit the emotion named"]["n"] == 6
    table = pd.DataFrame([{**row, "cell": cell, "seed": None} for row in found.values() for cell in ("sound", "label")])
    page = reasoning.page(table)
    assert page.startswith("| | sound | label |")
    assert "| claims of the sound that agree with it | 0.50 [" in page
