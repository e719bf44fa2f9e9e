"""What makes a model listen? The 2 x 2 {last layer, layer mix} x {tone agrees with words, LIME}: same stages, same steps, same kind of replies.

Both kinds of training speech use the emotional sentences and the same number of utterances: in one every sentence is said in the tone of its
words, in the other whole cells of lexically identical, multi-emotion speech. Stage 0 depends on layers and seed only and is shared.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from cogviz.device import Device
from cogviz.evaluation import dominance
from cogviz.training import recipe, run

LAYERS = {"last": "last layer", "mix": "layer mix"}
SPEECH = {"agrees": ("agreeing_train",), "lime": ("emotional_train",)}
LABELS = {"agrees": "agrees", "lime": "LIME"}
COLUMNS = ["encoder", "training speech", "measure", "value", "low", "high", "n", "chance", "seed"]


def plan(layers: str, speech: str, seed: int, scale: float) -> recipe.Recipe:
    """Return the recipe of one cell of the 2 x 2: the baseline's stages with other layers and other speech."""
    base = recipe.read("nano-baseline", seed=seed, scale=scale)
    *before, sft = base.stages
    return replace(
        base,
        name=f"{layers}-{speech}-{seed}",
        about=f"One cell of the 2 x 2: {LAYERS[layers]}, training speech {LABELS[speech]}, seed {seed}.",
        layers=layers,
        stages=(*before, replace(sft, parts=SPEECH[speech], utterances=1170)),
    )


def measure(
    *, data: Path, output: Path, device: Device, seeds: int = 3, scale: float = 1.0, limit: int | None = None, progress: bool = True
) -> pd.DataFrame:
    """Run what is missing of the 2 x 2 under `output`/causes and write `output`/two_by_two.csv, one row a cell, seed and measure, and pooled.

    The pooled rows take all seeds' answers together; their interval is clustered by sentence (and speaker, from ten on).
    """
    folder = output / "causes"
    rows: list[dict[str, Any]] = []
    for layers, encoder in LAYERS.items():
        for speech in SPEECH:
            tables = []
            for seed in range(seeds):
                cell = plan(layers, speech, seed, scale)
                _share_alignment(folder, cell.name, f"{layers}-{'agrees' if speech == 'lime' else 'lime'}-{seed}")
                where = folder / cell.name
                if not (where / "figures.json").exists():
                    run.train(cell, data=data, output=folder, device=device, limit=limit, progress=progress)
                answers = pd.read_parquet(where / "run" / "answers.parquet")
                answers = answers[(answers.part == "emotional_test") & (answers.route == "reason")]
                tables.append(answers)
                rows += [{**row, "encoder": encoder, "training speech": LABELS[speech], "seed": seed} for row in _figures(answers)]
            pooled = pd.concat(tables, ignore_index=True)
            rows += [{**row, "encoder": encoder, "training speech": LABELS[speech], "seed": None} for row in _figures(pooled)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.to_csv(output / "two_by_two.csv", index=False)
    return table


def _figures(answers: pd.DataFrame) -> list[dict[str, Any]]:
    wanted = {"follows_voice", "follows_words", "voice_balanced_accuracy"}
    found = dominance.rows(dominance.following(answers), model="", data="") + dominance.rows(dominance.accuracy(answers), model="", data="")
    return [{k: v for k, v in row.items() if k in COLUMNS} for row in found if row["measure"] in wanted]


def _share_alignment(folder: Path, name: str, twin: str) -> None:
    """Copy a finished stage 0 of the cell with the same layers and seed."""
    source, target = folder / twin / "run", folder / name / "run"
    if (source / "alignment.done.json").exists() and not (target / "alignment.done.json").exists():
        target.mkdir(parents=True, exist_ok=True)
        for stage in ("reading", "alignment"):
            for file in (f"{stage}.safetensors", f"{stage}.done.json"):
                shutil.copy(source / file, target / file)
