"""The 2 x 2 of causes and the ablations: what their cells share and what they do not, on a tiny model and speech of a minute."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from cogviz.device import Device
from cogviz.lime import plan as plans
from cogviz.lime.build import build
from cogviz.plotting import ablations as plotted
from cogviz.training import ablations, causes, experiment, recipe, sft
from cogviz.training.recipe import Alignment, Recipe, Stage

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


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(run, stage) of every stage that is trained, and not taken from what is kept."""
    seen: list[tuple[str, str]] = []
    real = sft.run_stage

    def watch(stage: Stage, plan: Recipe, *rest: object, **more: object) -> list[dict[str, float]]:
        seen.append((plan.name, stage.name))
        return real(stage, plan, *rest, **more)

    monkeypatch.setattr(sft, "run_stage", watch)
    return seen


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
                if mine.name in experiment.SHARED:
                    assert mine == replace(its, seed=0)
                else:
                    assert mine == replace(its, parts=parts, utterances=causes.UTTERANCES, steps=its.steps // causes.SHORTER)


def test_the_two_by_two_shares_what_comes_before_the_speech_and_measures_every_cell(
    small: None, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(causes.recipe, "read", lambda name, **changes: replace(BASE, **changes))
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
    assert list(table.columns) == ["encoder", "training_speech", "measure", "value", "low", "high", "n", "chance", "seed"]
    keys = ["encoder", "training_speech", "measure"]
    for _, rows in table.groupby(keys):
        assert list(rows.seed.dropna()) == [0, 1]
        assert rows[rows.seed.isna()].n.item() == rows.n[rows.seed.notna()].sum()
    assert set(table.measure) == {"follows_voice", "follows_words", "voice_balanced_accuracy"}
    assert table.n[table.measure.eq("voice_balanced_accuracy") & table.seed.eq(0)].eq(21).all()

    ran.clear()
    causes.measure(**how)
    assert not ran, "what is finished is left alone"


# --- ablations -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ablations.names())
def test_an_ablation_differs_from_the_full_recipe_in_what_its_name_says(name: str) -> None:
    full, mine = (ablations.plan(n, 1, scale=1.0) for n in ("full", name))
    parts = {p.name for p in plans.load("nano").parts if p.split == "train"}
    assert {p for s in mine.stages for p in s.parts} <= parts
    stages, whole = [s.name for s in mine.stages], [s.name for s in full.stages]
    tasks = {task for s in mine.stages for task in s.tasks}
    different = {
        "full": mine == full,
        "last-layer": (mine.layers, full.layers) == ("last", "mix") and mine.stages == full.stages,
        "no-stage-0": [s for s in whole if s not in stages] == ["hearing", "alignment", "tone"],
        "no-chain": "reason" not in tasks and mine.alignment is not None and mine.alignment.routes == ("direct",),
        "explicit-only": "implicit" not in stages and mine.alignment is None,
        "no-rl": mine.alignment is None and mine.stages == full.stages,
        "single-route": mine.alignment is not None and mine.alignment.routes == ("reason",) and mine.stages == full.stages,
        "lime-small": {s.parts for s in mine.stages[-3:]} == {("emotional_train",)},
        "agreeing": {s.parts for s in mine.stages[-3:]} == {("agreeing_train",)},
    }
    assert different[name]
    if name not in ("full", "lime-small", "agreeing", "no-stage-0"):
        learned = [sum(s.steps for s in p.stages if s.name in ("explicit", "implicit")) for p in (mine, full)]
        assert learned[0] == learned[1], "as many steps of chains or responses"


def test_seeds_share_the_stages_before_speech_is_answered_and_nothing_after() -> None:
    one, other = (ablations.plan("full", seed, scale=1.0) for seed in (1, 2))
    shared = {s.name for s in one.stages if one.seed_of(s) == other.seed_of(s)}
    assert shared == set(experiment.SHARED)


def test_small_lime_and_agreeing_speech_are_equally_much_and_differ_in_nothing_else() -> None:
    lime, agreeing = (ablations.plan(n, 0, scale=1.0) for n in ("lime-small", "agreeing"))
    as_lime = tuple(replace(s, parts=("emotional_train",)) if s.parts == ("agreeing_train",) else s for s in agreeing.stages)
    assert as_lime == lime.stages
    assert {s.utterances for s in lime.stages[-3:]} == {causes.UTTERANCES}


def test_figures_of_an_ablation_follow_the_papers_columns() -> None:
    class Judge:
        def tell(self, responses: list[str]) -> list[str]:
            return [r or "happy" for r in responses]

    rows = []
    for words, voice, named, response in (
        ("sad", "happy", "happy", "happy"),  # conflict
        ("sad", "angry", "sad", "angry"),  # conflict
        ("sad", "sad", "sad", "fear"),  # no conflict
        ("neutral", "happy", None, ""),  # neither, and no answer
    ):
        both = {"words": words, "voice": voice, "sentence": f"{words}{voice}", "speaker": "a"}
        rows.append({**both, "route": "reason", "answer": named, "response": ""})
        rows.append({**both, "route": "direct", "answer": None, "response": response})
    found = {row["measure"]: (row["value"], row["n"]) for row in ablations.figures(pd.DataFrame(rows), judge=Judge())}
    assert found == {
        "overall, route A": (0.5, 4),
        "conflict, route A": (0.5, 2),
        "non-conflict, route A": (1.0, 1),
        "words, route A": (0.5, 2),
        "overall, route B": (0.5, 4),
        "conflict, route B": (1.0, 2),
        "non-conflict, route B": (0.0, 1),
        "words, route B": (0.0, 2),
    }


def test_ablations_share_the_stages_that_they_have_in_common(
    small: None, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: list[tuple[str, str]]
) -> None:
    lime = ("emotional_train",)
    base = replace(
        BASE,
        layers="mix",
        stages=(*BASE.stages[:2], Stage("explicit", lime, {"reason": 1.0}, steps=2, batch=2)),
        alignment=Alignment(lime, steps=1, prompts=2, group=2),
    )
    made = {"full": base, "no-rl": replace(base, alignment=None), "last-layer": replace(base, layers="last")}
    monkeypatch.setattr(ablations, "names", lambda: list(made))
    monkeypatch.setattr(ablations.recipe, "read", lambda name, **changes: replace(made[name.removeprefix("ablations/")], **changes))
    table = ablations.measure(data=speech, output=tmp_path, device=CPU, seeds=2, progress=False)
    assert [name for name, stage in ran if stage == "reading"] == ["full-0", "last-layer-0"], "text only: once for either kind of layers"
    assert [name for name, stage in ran if stage == "explicit"] == ["full-0", "full-1", "last-layer-0", "last-layer-1"]
    assert set(table.ablation) == set(made)
    assert {(r.measure, r.seed) for r in table.itertuples() if r.ablation == "full" and r.seed == 0} == {
        (f"{columns}, route {route}", 0) for columns in ("overall", "conflict", "non-conflict", "words") for route in "AB"
    }
    page = ablations.page(table).splitlines()
    assert [line.split("|")[1].strip() for line in page] == ["", "---", *made]
    full = table[(table.ablation == "full") & table.seed.isna()].iloc[0]
    assert page[2].split("|")[2].strip() == f"{full.value:.2f} [{full.low:.2f}, {full.high:.2f}]"
    assert len(plotted.ablations(table).axes) == len(plotted.COLUMNS)
    assert (tmp_path / "ablations.csv").is_file()
    begun = json.loads((tmp_path / "ablations" / "no-rl-1" / "run.json").read_text())
    assert begun["headroom"] == {}
    assert begun["recipe"]["seed"] == 1
