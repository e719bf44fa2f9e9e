"""What each part of speech emotion reasoning is good for (after arXiv 2506.06820, tables 3 to 5): targets, schedule, encoders, in one table.

The recipes are `recipes/reasoner/*.yaml`: explanations that name the emotion alone, interpret, quote the words, or also name what is measured in the
sound; branches that learn in turn or together; a second encoder or none. All go on from `nano-explicit` with the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cogviz.device import Device
from cogviz.evaluation import dominance, groundedness, relevance
from cogviz.evaluation.claims import KINDS
from cogviz.lime import dataset
from cogviz.statistics import mean
from cogviz.training import experiment, recipe
from cogviz.utterance import Utterance

HELD_OUT = ("ambiguous_test", "emotional_test")
FOLDER = "reasoner"
SHARED = ("acoustic", "tone")
"""The stages of the second encoder, which all cells and seeds share."""

ORDER = ("sound", "quoted", "summary", "label", "joint", "one-encoder")

MEASURED = 100
"""Recordings whose sound is measured with WORLD, .7 s each, for the groundedness of what is claimed of them."""


def plan(name: str, seed: int, *, scale: float) -> recipe.Recipe:
    """Return the recipe of a cell with a seed."""
    base = recipe.read(f"{FOLDER}/{name}", seed=seed, scale=scale)
    return replace(base, name=f"{name}-{seed}", stages=tuple(replace(s, seed=0) if s.name in SHARED else s for s in base.stages))


def measure(
    *,
    data: Path,
    output: Path,
    device: Device,
    seeds: int = 1,
    scale: float = 1.0,
    limit: int | None = None,
    rows: int | None = None,
    names: Sequence[str] = ORDER,
    progress: bool = True,
) -> pd.DataFrame:
    """Run what is missing under `output`/reasoner and write `output`/reasoner.csv: one row a cell, measure and seed, and pooled."""
    sounds = measured(data, output / FOLDER / "measured.parquet", limit=limit, progress=progress)
    table = experiment.measure(
        [experiment.Cell({"cell": name}, partial(plan, name, scale=scale)) for name in names],
        partial(figures, sounds=sounds),
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
    table.to_csv(output / "reasoner.csv", index=False)
    return table


def measured(data: Path, kept: Path, *, limit: int | None, count: int = MEASURED, progress: bool = True) -> pd.DataFrame:
    """Return how some of the held-out recordings that are measured differ from neutral, by id; kept in a file."""
    utterances = dataset.read(data)
    chosen: list[Utterance] = []
    for part in HELD_OUT:
        found = [u for u in utterances if u.extra.get("part") == part]
        found = found[:: max(1, len(found) // limit)] if limit else found  # as `run.measure` chooses
        emotional = [u for u in found if u.emotion != "neutral"]
        chosen += emotional[:: max(1, len(emotional) * len(HELD_OUT) // count)]
    if kept.exists() and (table := pd.read_parquet(kept)).index.tolist() == [u.id for u in chosen]:
        return table
    cells = {(u.speaker, u.sentence) for u in chosen}
    neutral = [u for u in utterances if u.emotion == "neutral" and (u.speaker, u.sentence) in cells]
    table = groundedness.relative(chosen, neutral, progress=progress).set_axis([u.id for u in chosen])
    table.columns = list(KINDS)
    kept.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(kept)
    return table


def figures(answers: pd.DataFrame, *, sounds: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the figures of one cell: who is followed, the form, and whether explanations are grounded and relevant.

    Args:
        answers: of `heldout.answers`. sounds: what was `measured`, by utterance id.
    """
    on = answers[answers.route == "reason"].reset_index(drop=True)
    rows: list[dict[str, Any]] = []

    def add(name: str, found: Any) -> None:
        rows.append({"measure": name, **{k: v for k, v in found.row().items() if k != "scope"}})

    def share(name: str, part: pd.DataFrame, values: Any, chance: float | None = None) -> None:
        if len(part):
            sentences, speakers = part.sentence.tolist(), part.speaker.tolist()
            add(name, mean(np.asarray(values, dtype=float), sentences=sentences, speakers=speakers, chance=chance))

    share("names the voice", on, on.answer == on.voice, chance=1 / 7)
    for part, table in on.groupby("part", sort=False):
        share(f"names the voice, {part}", table, table.answer == table.voice, chance=1 / 7)
    if dominance.has_conflicts(on):
        found = dominance.following(on)
        add("follows the voice on conflicts", found.voice)
        add("follows the words on conflicts", found.words)
    share("valid form", on, on.valid)
    quoting = on[on.text.str.contains('"', regex=False)]
    share("words quoted rightly", quoting, quoting.recall)
    thoughts = [relevance.of_text(text) for text in on.text]
    claimed = on.assign(perception=[t.perceived for t in thoughts], reasons=[t.reasons for t in thoughts])
    heard = claimed[claimed.id.isin(sounds.index)]
    try:
        agree = groundedness.groundedness(heard.assign(text="").join(sounds, on="id"))  # how well words are quoted is in `recall`
    except ValueError:  # nothing is claimed
        agree = None
    if agree is not None:
        add("claims of the sound that agree with it", agree.agree)
        add("more than on other sounds", agree.lift)
        add("claims an answer", agree.claims)
    relevant = relevance.relevance(claimed)
    for name, estimate in (
        ("claims that fit the emotion named", relevant.claims),
        ("reasons that fit the emotion named", relevant.reasons),
    ):
        if estimate is not None:
            add(name, estimate)
    return rows


def page(table: pd.DataFrame) -> str:
    """Return what `measure` returns as a Markdown table: a row a measure, a column a cell, all seeds together."""
    return experiment.page(table, down="measure", across="cell")
