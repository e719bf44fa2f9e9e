"""What makes a model listen? The 2 x 2 {last layer, layer mix} x {tone agrees with words, LIME}: same stages, same steps, same kind of replies.

Both kinds of training speech use the emotional sentences and the same number of utterances: in one every sentence is said in the tone of its
words, in the other whole cells of lexically identical, multi-emotion speech. What comes before that depends on the layers only: it is trained once
and shared by all seeds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from cogviz.device import Device
from cogviz.evaluation import dominance, results
from cogviz.training import experiment, recipe

LAYERS = {"last": "last layer", "mix": "layer mix"}
SHARED = ("reading", "chains", "hearing", "alignment")
"""Stages that are the same whatever the cell and the seed: text only, or on all speech."""

SHORTER = 2
"""The other stages take so many times fewer steps than those of the baseline: there are twelve of each."""

SPEECH = {"agrees": ("agreeing_train",), "lime": ("emotional_train",)}
HELD_OUT = ("emotional_test",)
"""Words x voice: the only part in which the two can disagree."""

UTTERANCES = 2340
"""Of either kind of training speech: all that agree, and as many of the others, in whole cells."""

LABELS = {"agrees": "agrees", "lime": "LIME"}


def plan(layers: str, speech: str, seed: int, *, scale: float) -> recipe.Recipe:
    """Return the recipe of one cell of the 2 x 2: the baseline's stages with other layers and other speech."""
    base = recipe.read("nano-baseline", seed=seed, scale=scale)
    return replace(
        base,
        name=f"{layers}-{speech}-{seed}",
        about=f"One cell of the 2 x 2: {LAYERS[layers]}, training speech {LABELS[speech]}, seed {seed}.",
        layers=layers,
        stages=tuple(
            replace(s, seed=0) if s.name in SHARED else replace(s, parts=SPEECH[speech], utterances=UTTERANCES, steps=s.steps // SHORTER)
            for s in base.stages
        ),
    )


def measure(
    *,
    data: Path,
    output: Path,
    device: Device,
    seeds: int = 3,
    scale: float = 1.0,
    limit: int | None = None,
    rows: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run what is missing of the 2 x 2 under `output`/causes and write `output`/two_by_two.csv, one row a cell, seed and measure, and pooled."""
    cells = [
        experiment.Cell(
            {"encoder": encoder, "training_speech": LABELS[speech]},
            partial(plan, layers, speech, scale=scale),
        )
        for layers, encoder in LAYERS.items()
        for speech in SPEECH
    ]
    table = experiment.measure(
        cells,
        _figures,
        held_out=HELD_OUT,
        data=data,
        output=output,
        folder=output / "causes",
        device=device,
        seeds=seeds,
        limit=limit,
        rows=rows,
        progress=progress,
    )
    table.to_csv(output / "two_by_two.csv", index=False)
    return table


def _figures(answers: pd.DataFrame) -> list[dict[str, Any]]:
    answers = answers[answers.route == "reason"]
    wanted = {"follows_voice", "follows_words", "voice_balanced_accuracy"}
    found = results.rows(dominance.following(answers), model="", data="") + results.rows(dominance.accuracy(answers), model="", data="")
    return [{k: row[k] for k in experiment.FIGURES} for row in found if row["measure"] in wanted]
