"""Training: recipes, examples, rewards, and small runs of every stage from recipe to model card."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from cogviz.device import Device
from cogviz.eips import Answer, Chain, parse, render
from cogviz.emotions import EMOTIONS
from cogviz.lime import dataset
from cogviz.lime import plan as plans
from cogviz.lime.sentences import sentences
from cogviz.models import zoo
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import AUDIO_TOKEN, CogAudioProcessor, frame_levels
from cogviz.scoring import claimed_emotion, format_score
from cogviz.training import align, data, features, reading, recipe, rewards, rollout, run, sft, tokenizer
from cogviz.training.kept import KeptStages
from cogviz.training.recipe import Alignment, RecipeError, Stage

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]
CPU = Device("cpu", torch.float32, "test")


@pytest.fixture(scope="module")
def speech(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny dataset that training may write features into."""
    return shutil.copytree(tiny_dataset, tmp_path_factory.mktemp("speech") / "tiny")


def ready(make: Callable[..., Pair], folder: Path) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor, list, features.Features]:
    """A tiny model with the dataset's utterances and their features."""
    model, processor = make()
    utterances = dataset.read(folder)
    return model, processor, utterances, features.encode(utterances, model, processor, folder / "features", progress=False)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


RECIPE = """
name: small
about: All stages, four steps each.
stages:
  - {name: reading, parts: [], tasks: {}, steps: 4, batch: 4}
  - {name: alignment, parts: [ambiguous], tasks: {transcribe: 1}, steps: 4, batch: 4}
  - {name: explicit, parts: [ambiguous], tasks: {reason: 0.7, name: 0.3}, steps: 4, batch: 4}
  - {name: implicit, parts: [ambiguous], tasks: {reason: 0.5, direct: 0.5}, steps: 4, batch: 4}
alignment: {parts: [ambiguous], steps: 3, prompts: 2, group: 4, updates: 2}
"""


# --- a whole run -----------------------------------------------------------------------------------------------------------------


def test_a_run_goes_from_recipe_to_model_card_and_a_second_one_changes_nothing(small: None, speech: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    how = {"data": speech, "output": tmp_path / "runs", "device": CPU, "progress": False}
    folder = run.train(tmp_path / "small.yaml", **how)
    assert folder == tmp_path / "runs" / "small"

    curve = pd.read_csv(folder / "curve.csv")
    assert list(curve.stage.unique()) == ["reading", "alignment", "explicit", "implicit", "dr-sapo"]
    assert np.isfinite(curve.value).all()
    figures = json.loads((folder / "figures.json").read_text(), parse_constant=pytest.fail)  # NaN is no JSON
    assert {row["data"] for row in figures} == {"equal_length", "agreeing"}
    assert all(set(row) == {"model", "measure", "value", "low", "high", "n", "chance", "data"} for row in figures)
    keys = [(row["data"], row["measure"]) for row in figures]
    assert len(keys) == len(set(keys))
    card = (folder / "README.md").read_text()
    for row in figures:
        value = "-" if row["value"] is None else f"{row['value']:.3f}"
        assert f"| {row['measure']} | {value} |" in card
    assert "Stage `reading`: 4 steps of 4, text only." in card
    assert "Stage `dr-sapo`: 3 steps of 2 prompts x 4 outputs" in card
    assert "headroom before" in card
    about = json.loads((folder / "run.json").read_text())
    assert about["recipe"]["stages"][0]["name"] == "reading"
    assert about["data"]["plan"] == "tiny"
    assert 0 < about["own_memory_gb"] <= about["peak_memory_gb"] or not Path("/proc/self/status").exists()

    model, _ = zoo.load(folder)
    assert not any("audio_encoder" in name for name in load_file(folder / "model.safetensors"))
    kept = {p: p.read_bytes() for p in (folder / "model.safetensors", folder / "figures.json", folder / "curve.csv")}
    run.train(tmp_path / "small.yaml", **how)
    assert {p: p.read_bytes() for p in kept} == kept

    with pytest.raises(sft.TrainingError, match="begun with another recipe, seed, size dial or dataset"):
        run.train(tmp_path / "small.yaml", **how, scale=2.0)

    (tmp_path / "next.yaml").write_text("name: next\nabout: goes on\nstart: small\nstages:\n" + RECIPE.split("\n")[7] + "\n")
    begun = run.begin(recipe.read(tmp_path / "next.yaml"), [], tmp_path / "runs" / "next")[0]  # the variant trained here before
    torch.testing.assert_close(weights(begun), weights(model))


@pytest.mark.parametrize("layers", ["last", "mix"])
def test_bf16_training_runs_where_the_processor_has_it(small: None, speech: Path, tmp_path: Path, layers: str) -> None:
    text = RECIPE.replace("name: small", f"name: small\nlayers: {layers}").replace("steps: 4", "steps: 1").replace("steps: 3", "steps: 1")
    (tmp_path / "small.yaml").write_text(text)
    folder = run.train(
        tmp_path / "small.yaml",
        data=speech,
        output=tmp_path,
        device=Device("cpu", torch.bfloat16, "test"),
        progress=False,
        limit=2,
    )
    model, _ = zoo.load(folder)
    assert all(p.isfinite().all() for p in model.parameters())
    assert model.config.layers == layers


def test_every_supervised_stage_leaves_the_encoder_as_it_was(make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    before = {n: p.clone() for n, p in model.audio_encoder.state_dict().items()}
    start = weights(model)
    stage = Stage("explicit", ("ambiguous",), {"reason": 1.0}, steps=3, batch=4)
    curve = sft.run_stage(stage, recipe.read("nano-explicit"), model, processor, utterances, stored, folder=tmp_path, device=CPU)
    assert [row["step"] for row in curve] == [1, 2, 3]
    torch.testing.assert_close(dict(model.audio_encoder.state_dict()), before, atol=0, rtol=0)
    assert any(not torch.equal(start[n], p) for n, p in weights(model).items())


def test_training_lowers_the_loss(make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    stage = Stage("alignment", ("ambiguous",), {"transcribe": 1.0}, steps=40, batch=6, learning_rate=5e-3)
    curve = sft.run_stage(stage, recipe.read("nano-explicit"), model, processor, utterances, stored, folder=tmp_path, device=CPU)
    assert curve[-1]["loss"] < 0.7 * curve[0]["loss"]


def test_chains_are_read_before_they_are_heard(make_tiny: Callable[..., Pair]) -> None:
    processor = make_tiny()[1]
    known = [s for s in sentences(split="train") if s.emotion == "sad"][:3]
    tasks = {"reason": 0.5, "direct": 0.5}
    answered = [(s, ("sad", "angry")) for s in known]
    rows = reading.ReadingExamples(["one two"], processor, count=60, seed=1, tasks=tasks, answered=answered)
    texts = [processor.tokenizer.decode([t for t in rows[i]["labels"] if t != -100][:-1]) for i in range(60)]
    assert {claimed_emotion(t) for t, task in zip(texts, rows.drawn, strict=True) if task == "reason"} == {"sad", "angry"}
    assert all(format_score(t, str(task)) == 1 for t, task in zip(texts, rows.drawn, strict=True))
    assert all(any(s.text in t for s in known) for t, task in zip(texts, rows.drawn, strict=True) if task == "reason")


@pytest.mark.parametrize(("name", "part"), [("hearing", "connector.words"), ("tone", "connector.tone")])
def test_a_connectors_stage_teaches_its_part_and_leaves_the_rest_alone(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path, name: str, part: str
) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    before = weights(model)
    stage = Stage(name, ("ambiguous",), {}, steps=40, batch=6, learning_rate=5e-3)
    curve = sft.run_stage(stage, recipe.read("nano-explicit"), model, processor, utterances, stored, folder=tmp_path, device=CPU)
    assert curve[-1]["loss"] < 0.8 * curve[0]["loss"]
    moved = {name for name, value in weights(model).items() if not torch.equal(value, before[name])}
    assert moved == {n for n in before if n.startswith((part, "tone_head" if name == "tone" else part))}
    assert all(p.requires_grad for p in model.language_model.parameters())


def test_a_finished_stage_comes_back_with_its_running_statistics(small: None, speech: Path, tmp_path: Path) -> None:
    """A run that is killed behind its last stage measures the model that it trained."""
    (tmp_path / "small.yaml").write_text(RECIPE.split("alignment: {")[0])
    how = {"data": speech, "output": tmp_path / "runs", "device": CPU, "progress": False}
    folder = run.train(tmp_path / "small.yaml", **how)
    kept = load_file(folder / "model.safetensors")
    assert kept["connector.tone_norm.running_mean"].abs().max() > 0
    (folder / "model.safetensors").unlink()
    run.train(tmp_path / "small.yaml", **how)
    torch.testing.assert_close(load_file(folder / "model.safetensors"), kept, atol=0, rtol=0)


def test_the_reading_stage_needs_no_sound_and_its_salads_cannot_be_learned_by_heart(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path
) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    stage = Stage("reading", (), {}, steps=2, batch=4)
    curve = sft.run_stage(stage, recipe.read("nano-explicit"), model, processor, utterances, stored, folder=tmp_path, device=CPU)
    assert len(curve) == 2
    texts = ["one two three four", "five six seven eight"]
    rows = reading.ReadingExamples(texts, processor, count=200, seed=3)
    said = [processor.tokenizer.decode([t for t in row["labels"] if t != -100][:-1]) for row in (rows[i] for i in range(200))]
    assert sum(s in texts for s in said) / 200 == pytest.approx(1 - reading.SALAD, abs=0.1)
    assert set(" ".join(said).split()) == set(" ".join(texts).split())
    place = processor.tokenizer.convert_tokens_to_ids(AUDIO_TOKEN)
    right = wrong = 0
    for row in (rows[i] for i in range(200)):
        assert row["input_ids"].count(place) == len(row["frame_tokens"]) + processor.tone_tokens
        spoken = [t for t in row["labels"] if t != -100][:-1]
        same = SequenceMatcher(None, spoken, row["frame_tokens"], autojunk=False)
        right += sum(block.size for block in same.get_matching_blocks())
        wrong += len(spoken)
    assert right / wrong == pytest.approx((1 - reading.DROPPED) * (1 - reading.WRONG), abs=0.03)
    assert rows[5] == reading.ReadingExamples(texts, processor, count=6, seed=3)[5]


def test_a_kept_stage_is_found_by_all_that_went_into_it(tmp_path: Path) -> None:
    plan = recipe.read("nano-explicit")
    first, second = plan.stages[:2]

    def keys(**changes: object) -> tuple[str, str]:
        kept = KeptStages(tmp_path, replace(plan, **changes), {"plan": "tiny"})
        return kept.key(0), kept.key(1)

    mine = keys()
    assert mine == keys(name="another", about="another")
    assert keys(seed=1) != mine
    assert keys(seed=1, stages=tuple(replace(s, seed=0) for s in plan.stages)) == mine, "a stage may have the seed that it names"
    for change in ({"layers": "last"}, {"scale": 0.5}, {"vocabulary": 512}, {"stages": (replace(first, steps=1), second)}):
        assert not set(keys(**change)) & set(mine), "what is changed at the beginning changes everything behind it"
    later = keys(stages=(first, replace(second, steps=1)))
    assert later[0] == mine[0]
    assert later[1] != mine[1]
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "model.safetensors").write_bytes(b"weights")
    for other in ({"data": {"plan": "nano"}}, {"data": {"plan": "tiny"}, "start": tmp_path / "start"}):
        assert KeptStages(tmp_path, plan, **other).key(0) != mine[0]


# --- interruptions ---------------------------------------------------------------------------------------------------------------


class Interrupted(Exception):
    """What stops a run in these tests."""


def test_an_interrupted_supervised_stage_ends_where_an_uninterrupted_one_does(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage("alignment", ("ambiguous",), {"transcribe": 0.5, "name": 0.5}, steps=70, batch=2)

    def train(folder: Path) -> dict[str, torch.Tensor]:
        model, processor, utterances, stored = ready(make_tiny, speech)
        plan = recipe.read("nano-explicit")
        sft.run_stage(stage, plan, model, processor, utterances, stored, folder=folder, device=CPU)
        return weights(model)

    whole = train(tmp_path / "whole")
    batches = 0

    def stop_at_60(rows: list, *, pad: int, learn: str) -> dict[str, torch.Tensor]:
        nonlocal batches
        batches += 1
        if batches == 60:
            raise Interrupted
        return data.collate(rows, pad=pad, learn=learn)

    with monkeypatch.context() as patch:
        patch.setattr(sft, "collate", stop_at_60)
        with pytest.raises(Interrupted):
            train(tmp_path / "cut")
    assert [p.name for p in (tmp_path / "cut" / "alignment").glob("checkpoint-*")] == ["checkpoint-56"]
    torch.testing.assert_close(train(tmp_path / "cut"), whole, atol=1e-6, rtol=0)


def letters(texts: list[str], *_: object) -> dict[str, np.ndarray]:
    """A reward that differs from output to output, which an untrained model's true one does not."""
    value = np.array([(sum(map(ord, t)) % 97) / 97 for t in texts])
    return {"total": value, "empathy": value}


def test_an_interrupted_dr_sapo_ends_where_an_uninterrupted_one_does(
    make_tiny: Callable[..., Pair], judge: rewards.ResponseJudge, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "MAX_NEW_TOKENS", {"reason": 8, "direct": 8})
    monkeypatch.setattr(align, "SAVE_EVERY", 2)
    plan = Alignment(("ambiguous",), steps=5, prompts=2, group=3, learning_rate=1e-2)

    def train(folder: Path, score: Callable = letters) -> tuple[dict[str, torch.Tensor], list, dict]:
        monkeypatch.setattr(align, "score", score)
        model, processor, utterances, stored = ready(make_tiny, speech)
        how = {"folder": folder, "device": CPU, "judge": judge, "progress": False}
        curve, before = align.run_alignment(plan, recipe.read("nano-aligned"), model, processor, utterances, stored, **how)
        return weights(model), [{k: v for k, v in row.items() if "seconds" not in k} for row in curve], before

    whole, curve, before = train(tmp_path / "whole")
    start = weights(make_tiny()[0])
    assert any(not torch.equal(start[n], p) for n, p in whole.items()), "the run must change something"
    assert all(row["ratio_change"] > 0 for row in curve), "more than one update a rollout, or the gate has nothing to do"
    calls = 0

    def stop_at_4(*arguments: object) -> dict[str, np.ndarray]:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Interrupted
        return letters(*arguments)

    with pytest.raises(Interrupted):
        train(tmp_path / "cut", stop_at_4)
    again, curve_again, before_again = train(tmp_path / "cut")
    torch.testing.assert_close(again, whole, atol=0, rtol=0)
    assert curve_again == curve
    assert before_again == before


def test_the_first_update_starts_at_a_ratio_of_one(
    make_tiny: Callable[..., Pair], judge: rewards.ResponseJudge, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout between sampling and updating would move the ratio without any update."""
    monkeypatch.setattr(rollout, "MAX_NEW_TOKENS", {"reason": 8, "direct": 8})
    monkeypatch.setattr(align, "score", letters)
    seen: list[float] = []
    real = align.sapo_loss

    def watch(now: torch.Tensor, old: torch.Tensor, *rest: object, **more: object) -> torch.Tensor:
        seen.append(float((now - old).abs().max().detach()))
        return real(now, old, *rest, **more)

    monkeypatch.setattr(align, "sapo_loss", watch)
    model, processor, utterances, stored = ready(make_tiny, speech)
    plan = Alignment(("ambiguous",), steps=1, prompts=2, group=4, learning_rate=1e-2)
    align.run_alignment(
        plan, recipe.read("nano-aligned"), model, processor, utterances, stored, folder=tmp_path, device=CPU, judge=judge, progress=False
    )
    assert len(seen) == 4
    assert seen[0] < 1e-4 < seen[-1]


def test_the_kl_penalty_is_nought_at_the_reference_and_never_negative() -> None:
    draw = torch.Generator().manual_seed(0)
    reference = -torch.rand(3, 5, generator=draw)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
    assert align.kl_penalty(reference, reference, mask) == 0
    moved = reference + 0.3 * torch.randn(3, 5, generator=draw)
    by_hand = [
        np.mean([np.exp(r - p) - (r - p) - 1 for p, r, kept in zip(*row, strict=True) if kept])
        for row in zip(moved.tolist(), reference.tolist(), mask.tolist(), strict=True)
    ]
    assert float(align.kl_penalty(moved, reference, mask)) == pytest.approx(np.mean(by_hand), rel=1e-5)
    assert min(by_hand) > 0


def test_with_the_kl_penalty_the_policy_stays_nearer_to_where_it_started(
    make_tiny: Callable[..., Pair], judge: rewards.ResponseJudge, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "MAX_NEW_TOKENS", {"reason": 8, "direct": 8})
    monkeypatch.setattr(align, "score", letters)
    real = align.kl_penalty
    moved: dict[float, list[float]] = {1e-9: [], 10.0: []}
    for kl, seen in moved.items():

        def watch(*of: torch.Tensor, seen: list[float] = seen) -> torch.Tensor:
            value = real(*of)
            seen.append(float(value.detach()))
            return value

        monkeypatch.setattr(align, "kl_penalty", watch)
        model, processor, utterances, stored = ready(make_tiny, speech)
        plan = Alignment(("ambiguous",), steps=1, prompts=2, group=4, updates=16, learning_rate=3e-4, kl=kl)
        align.run_alignment(
            plan, recipe.read("nano-aligned"), model, processor, utterances, stored,
            folder=tmp_path / str(kl), device=CPU, judge=judge, progress=False,
        )  # fmt: skip
        assert seen[0] < 1e-9, "the reference is where the stage starts"
    assert np.mean(moved[10.0][-4:]) < 0.5 * np.mean(moved[1e-9][-4:])


def test_a_loss_that_is_not_finite_stops_both_kinds_of_training(
    make_tiny: Callable[..., Pair], judge: rewards.ResponseJudge, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    with torch.no_grad():
        model.connector.words[0].weight.fill_(float("nan"))
    stage = Stage("alignment", ("ambiguous",), {"transcribe": 1.0}, steps=5, batch=2)
    with pytest.raises(sft.TrainingError, match="loss became nan at step 1; lower learning_rate"):
        sft.run_stage(stage, recipe.read("nano-explicit"), model, processor, utterances, stored, folder=tmp_path, device=CPU)
    model, processor, utterances, stored = ready(make_tiny, speech)
    monkeypatch.setattr(rollout, "MAX_NEW_TOKENS", {"reason": 4, "direct": 4})
    monkeypatch.setattr(align, "score", lambda texts, *_: {name: np.full(len(texts), np.nan) for name in ("total", "empathy")})
    with pytest.raises(sft.TrainingError, match="loss is not finite at step 0"):
        align.run_alignment(
            Alignment(("ambiguous",), steps=2, prompts=2, group=2),
            recipe.read("nano-aligned"),
            model,
            processor,
            utterances,
            stored,
            folder=tmp_path,
            device=CPU,
            judge=judge,
            progress=False,
        )


def test_parts_that_the_data_lacks_are_named(make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    stage = Stage("explicit", ("ambiguous_train",), {"reason": 1.0}, steps=1)
    with pytest.raises(sft.TrainingError, match="no utterance in parts ambiguous_train; build the data with: cogviz lime build"):
        sft.run_stage(stage, recipe.read("nano-explicit"), model, processor, utterances, stored, folder=tmp_path, device=CPU)


# --- recipes ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipe.names())
def test_packaged_recipes_fit_the_variants_the_plan_and_each_other(name: str) -> None:
    plan = recipe.read(name)
    assert plan.name == name
    assert name in zoo.VARIANTS
    assert plan.start is None or plan.start in recipe.names()
    parts = {p.name: p for p in plans.load(plan.size).parts}
    used = {part for s in plan.stages for part in s.parts} | set(plan.alignment.parts if plan.alignment else ())
    assert used
    assert used <= set(parts)
    assert all(parts[part].split == "train" for part in used)
    assert not used & set(run.HELD_OUT)
    assert set(run.HELD_OUT) <= set(parts)
    for stage in plan.stages:
        assert set(stage.tasks) <= {"transcribe", "name", "reason", "direct", "topic"}


def test_the_size_dial_scales_steps_and_never_to_none() -> None:
    plan = recipe.read("nano-baseline", scale=0.01, seed=7)
    assert (plan.scaled(600), plan.scaled(10), plan.seed) == (6, 1, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nabout: y\nsteps: 3", "unknown key 'steps'"),
        ("about: y", "the key 'name' is missing"),
        ("name: x\nabout: y\nstages: [{name: a, parts: [p], tasks: {reason: 1}, steps: 1, lr: 3}]", "stage 1: unknown key 'lr'"),
        ("name: x\nabout: y\nstages: [{name: a}]", "stage 1: the key 'parts' is missing"),
        ("name: x\nabout: y\nalignment: {parts: [p]}", "alignment: the key 'steps' is missing"),
        ("name: x\nabout: y\nsize: huge", "unknown size 'huge'; choose nano, smol"),
        ("name: x\nabout: y\nalignment: {parts: [p], steps: 1, similarity: x}", "unknown similarity 'x'; choose words, meaning"),
        ("- a\n- b", "is no recipe"),
        ("name: [", "is not YAML"),
        ("", "is no recipe"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=message) as caught:
        recipe.read(tmp_path / "r.yaml")
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_is_told_what_there_is() -> None:
    with pytest.raises(RecipeError, match="unknown recipe 'nano-x'; choose nano-aligned"):
        recipe.read("nano-x")


# --- examples --------------------------------------------------------------------------------------------------------------------


def test_the_pool_is_used_up_before_anything_comes_twice_and_tasks_follow_their_weights() -> None:
    drawn = data.draw_examples(1000, range(10, 110), {"reason": 3.0, "direct": 1.0}, seed=1)
    assert len(drawn) == 1000
    assert set(Counter(e.utterance for e in drawn[:100]).values()) == {1}
    assert Counter(e.task for e in drawn)["reason"] == pytest.approx(750, abs=60)
    assert drawn == data.draw_examples(1000, range(10, 110), {"reason": 3.0, "direct": 1.0}, seed=1)
    assert drawn != data.draw_examples(1000, range(10, 110), {"reason": 3.0, "direct": 1.0}, seed=2)


def test_an_example_asks_with_placeholders_and_learns_the_answer_only(make_tiny: Callable[..., Pair], speech: Path) -> None:
    _, processor, utterances, stored = ready(make_tiny, speech)
    tasks = ("transcribe", "name", "reason", "direct")
    examples = data.Examples([data.Example(3, t) for t in tasks], utterances, stored, processor, augment=False)
    decode = processor.tokenizer.decode
    for row, task in zip(examples, tasks, strict=False):
        learned = [token for token in row["labels"] if token != -100]
        assert decode(learned) == data.target(utterances[3], task) + "<|end|>"
        asked = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == -100]
        assert asked.count(processor.tokenizer.convert_tokens_to_ids(AUDIO_TOKEN)) == row["states"].shape[1] + processor.tone_tokens
    assert data.target(utterances[3], "transcribe") == utterances[3].text
    assert data.target(utterances[0], "name") == "The voice sounds calm."
    chain = parse(data.target(utterances[3], "reason"))
    assert chain == dataset.answer(utterances[3])
    assert parse(data.target(utterances[3], "direct")) == Answer(chain.response)


def test_a_batch_is_padded_on_the_right_and_its_padding_is_neither_heard_nor_learned(make_tiny: Callable[..., Pair], speech: Path) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    examples = data.Examples([data.Example(0, "reason"), data.Example(25, "transcribe")], utterances, stored, processor, augment=False)
    rows = [examples[0], examples[1]]
    batch = data.collate(rows, pad=processor.tokenizer.pad_token_id)
    assert len(rows[0]["input_ids"]) != len(rows[1]["input_ids"])
    with torch.inference_mode():
        together = model(**batch).logits
        for i, row in enumerate(rows):
            alone = model(**data.collate([row], pad=0)).logits[0]
            torch.testing.assert_close(together[i, : len(row["input_ids"])], alone, atol=1e-4, rtol=0)
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()


def test_levels_are_moved_by_a_few_db_and_the_same_each_time(make_tiny: Callable[..., Pair], speech: Path) -> None:
    _, processor, utterances, stored = ready(make_tiny, speech)
    many = [data.Example(0, "name")] * 300
    examples = data.Examples(many, utterances, stored, processor, augment=True, seed=5)
    moved = np.array([(row["levels"] - stored.get(0)[1])[0] for row in (examples[i] for i in range(300))])
    assert moved.std() * 20 == pytest.approx(data.GAIN_DB, rel=0.15)
    np.testing.assert_array_equal(examples[7]["levels"], examples[7]["levels"])


def test_features_are_those_of_the_model_and_are_computed_once(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = make_tiny()
    utterances = dataset.read(speech)[:3]
    stored = features.encode(utterances, model, processor, tmp_path, progress=False)
    for i, u in enumerate(utterances):
        inputs = processor(u.samples)
        states, _ = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
        np.testing.assert_allclose(stored.get(i)[0], states[0].numpy(), atol=2e-3, rtol=2e-3)
        np.testing.assert_array_equal(stored.get(i)[1], frame_levels(u.samples, states.shape[2]))
        np.testing.assert_array_equal(stored.by_id()[u.id][0], stored.get(i)[0])
    other = make_tiny(seed=9)[0]
    with monkeypatch.context() as patch:
        patch.setattr(CogAudioForConditionalGeneration, "encode", lambda *_: pytest.fail("computed again"))
        features.encode(utterances, model, processor, tmp_path, progress=False)
        model.audio_encoder.half().float()  # as it comes back from a checkpoint
        features.encode(utterances, model, processor, tmp_path, progress=False)
        with pytest.raises(pytest.fail.Exception):
            features.encode(utterances, other, processor, tmp_path, progress=False)
    assert len(features.encode(utterances[:2], model, processor, tmp_path, progress=False)) == 2


def test_the_tokenizer_keeps_every_text_and_gives_tags_and_adjectives_one_token() -> None:
    words = tokenizer.train(["The voice sounds calm. I never imagined this."], vocabulary=400)
    text = render(Answer("I hear “you”, à bientôt.", Chain("The voice sounds calm, not calmly.", "b", "c", "d")))
    ids = words(text, add_special_tokens=False)["input_ids"]
    assert words.decode(ids, skip_special_tokens=True) == text
    for mark in ("<thought>", "[Perception]", "</response>", " calm", " frightened", AUDIO_TOKEN):
        assert len(words(mark, add_special_tokens=False)["input_ids"]) == 1, mark


# --- rewards ---------------------------------------------------------------------------------------------------------------------


class FixedJudge(rewards.ResponseJudge):
    """Says which log-probability the true emotion gets, by the first word of the response."""

    def __init__(self, table: dict[str, float]) -> None:
        super().__init__(None, None)
        object.__setattr__(self, "table", table)

    def log_probabilities(self, responses: list[str]) -> np.ndarray:  # type: ignore[override]
        sure = np.array([self.table.get(r.split(" ")[0], 1 / 7) for r in responses])  # type: ignore[attr-defined]
        rows = np.log((1 - sure) / 6)[:, None].repeat(7, axis=1)
        rows[:, EMOTIONS.index("sad")] = np.log(sure)
        return rows


REFERENCE = Answer("ref", Chain("The voice sounds sad.", "wants comfort soon", "feels alone", "listen closely"))


def test_every_part_of_the_reward_by_hand() -> None:
    """Three answers: all right; the wrong emotion, half an intent and a vague response; no form at all."""
    right = render(Answer("sure", Chain("The voice sounds sad.", "wants comfort soon", "feels alone", "listen closely")))
    wrong = render(Answer("vague", Chain("The voice sounds happy.", "wants comfort later", "likes tea", "listen closely")))
    none = "I do not know."
    judge = FixedJudge({"sure": 0.999, "vague": 0.5})
    found = rewards.score([right, wrong, none], "reason", ["sad"] * 3, [REFERENCE] * 3, judge)
    expected = {
        "format": [1, 1, 0],
        "emotion": [1, 0, 0],
        "intent": [1, 2 / 3, 0],  # two of three content words
        "psychology": [1, 0, 0],
        "strategy": [1, 1, 0],
        "empathy": [1, 0.5, 0],  # log-odds above 4; 0; nothing said
    }
    assert set(found) == {*expected, "total"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(found["total"], [1.0, 0.1 + 0.1 * 2 / 3 + 0.1 + 0.15, 0], atol=1e-9)


def test_the_parts_weights_sum_to_one_and_the_total_is_their_sum(judge: rewards.ResponseJudge) -> None:
    assert sum(rewards.WEIGHTS.values()) == pytest.approx(1)
    texts = [render(replace(REFERENCE, response=r)) for r in ("I am so sorry for your loss.", "Congratulations!")]
    found = rewards.score(texts, "reason", ["sad", "happy"], [REFERENCE] * 2, judge)
    np.testing.assert_allclose(found["total"], sum(w * found[name] for name, w in rewards.WEIGHTS.items()))


def test_on_the_direct_route_only_empathy_counts_and_only_in_the_right_form() -> None:
    judge = FixedJudge({"sure": 0.999})
    texts = ["<response>sure thing</response>", "sure thing", render(replace(REFERENCE, response="sure"))]
    found = rewards.score(texts, "direct", ["sad"] * 3, [REFERENCE] * 3, judge)
    assert set(found) == {"format", "empathy", "total"}
    np.testing.assert_allclose(found["total"], [1, 0, 0], atol=1e-9)


def test_empathy_grows_with_the_log_odds_up_to_four() -> None:
    odds = np.array([-6, -4, -2, 0, 2, 3.9, 4, 6])
    judge = FixedJudge({f"w{i}": float(1 / (1 + np.exp(-o))) for i, o in enumerate(odds)})
    found = judge.empathy([f"w{i} x" for i in range(len(odds))], ["sad"] * len(odds))
    np.testing.assert_allclose(found, (np.clip(odds, -4, 4) + 4) / 8, atol=1e-9)
    assert judge.empathy(["  "], ["sad"])[0] == 0


def test_a_fitted_judge_tells_the_emotion_of_responses_it_has_not_seen(judge: rewards.ResponseJudge) -> None:
    from cogviz.lime.annotate import annotate

    others = rewards._spread(("ambiguous",), ("validation",), 1)[:20]
    told = [(e, annotate(s, e, "mid", seed="new").response) for s in others for e in EMOTIONS]
    right = np.mean([guess == e for guess, (e, _) in zip(judge.tell([r for _, r in told]), told, strict=True)])
    assert right > 0.5
    probabilities = np.exp(judge.log_probabilities([r for _, r in told[:5]]))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_the_judge_that_rewards_and_the_one_that_evaluates_share_no_sentence_and_no_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "_fit", lambda pool, **how: (pool, how))
    (rewarded, how), (evaluated, other) = rewards.reward_judge.__wrapped__(), rewards.evaluation_judge.__wrapped__()
    assert rewarded
    assert evaluated
    assert not {s.text for s in rewarded} & {s.text for s in evaluated}
    assert not {s.template for s in rewarded} & {s.template for s in evaluated}
    assert {s.split for s in rewarded} == {"train"}
    assert how["analyzer"] != other["analyzer"]
