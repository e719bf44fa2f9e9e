"""What each part of the method is good for: a recipe for each part that is left out, all with the same seeds, in one table.

The recipes are `recipes/ablations/*.yaml`; the size dial makes all of them shorter. Columns after the paper's tables (arXiv 2606.06940, tables 3
and 4): all items, those where words and voice conflict, those where they do not; route A (the emotion that the chain names) and route B
(the emotion that a judge tells from the response alone).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cogviz.device import Device
from cogviz.emotions import EMOTIONS
from cogviz.statistics import mean
from cogviz.training import experiment, recipe, rewards

HELD_OUT = ("emotional_test",)
"""Words x voice: the only part with conflicts."""

FOLDER = "ablations"


def names() -> list[str]:
    """Return the packaged ablations, the full recipe first."""
    found = [name.removeprefix(f"{FOLDER}/") for name in recipe.names(FOLDER)]
    return ["full", *(name for name in found if name != "full")]


def plan(name: str, seed: int, *, scale: float) -> recipe.Recipe:
    """Return the recipe of an ablation with a seed; the first stages are the same for all seeds (`experiment.SHARED`)."""
    base = recipe.read(f"{FOLDER}/{name}", seed=seed, scale=scale)
    shared = tuple(replace(s, seed=0) if s.name in experiment.SHARED else s for s in base.stages)
    return replace(base, name=f"{name}-{seed}", stages=shared)


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
    """Run what is missing under `output`/ablations and write `output`/ablations.csv: one row an ablation, measure and seed, and pooled."""
    judge = rewards.evaluation_judge()
    table = experiment.measure(
        [experiment.Cell({"ablation": name}, partial(plan, name, scale=scale)) for name in names()],
        partial(figures, judge=judge),
        held_out=HELD_OUT,
        data=data,
        output=output,
        folder=output / FOLDER,
        device=device,
        seeds=seeds,
        limit=limit,
        rows=rows,
        progress=progress,
    )
    table.to_csv(output / "ablations.csv", index=False)
    return table


def figures(answers: pd.DataFrame, *, judge: Any) -> list[dict[str, Any]]:
    """Return accuracy of the voice's emotion on both routes: over all items, over conflicts, and over items whose words agree.

    "words" is the share of the conflicts in which the answer has the words' emotion instead.
    Items with neutral words are in none but the first: they neither conflict nor agree with a voice that carries emotion.
    """
    rows = []
    for route, letter in (("reason", "A"), ("direct", "B")):
        on = answers[answers.route == route]
        if route == "reason":
            told = on.answer.to_numpy()
        else:
            told = np.array(judge.tell(on.response.tolist()), dtype=object) if len(on) else np.zeros(0, dtype=object)
            told[(on.response.str.strip() == "").to_numpy()] = None
        carries = on.words.isin(EMOTIONS) & on.words.ne("neutral")
        everywhere, conflict = np.ones(len(on), dtype=bool), (carries & on.words.ne(on.voice)).to_numpy()
        for name, chosen, wanted in (
            ("overall", everywhere, on.voice),
            ("conflict", conflict, on.voice),
            ("non-conflict", (carries & on.words.eq(on.voice)).to_numpy(), on.voice),
            ("words", conflict, on.words),
        ):
            if chosen.any():
                kept = on[chosen]
                right = (told == wanted.to_numpy())[chosen].astype(float)
                found = mean(right, sentences=kept.sentence.tolist(), speakers=kept.speaker.tolist(), chance=1 / 7)
                rows.append({"measure": f"{name}, route {letter}", **{k: v for k, v in found.row().items() if k != "scope"}})
    return rows


def page(table: pd.DataFrame) -> str:
    """Return what `measure` returns as a Markdown table: a row an ablation, all seeds together, in the columns of the paper's tables."""
    return experiment.page(table, down="ablation", across="measure")
