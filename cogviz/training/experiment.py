"""Many runs that differ in one thing: every cell with every seed, and one table of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cogviz.device import Device
from cogviz.training import run
from cogviz.training.recipe import Recipe

FIGURES = ["measure", "value", "low", "high", "n", "chance"]

SHARED = ("reading", "chains", "hearing", "alignment")
"""The stages before a model learns to answer speech. They are trained once for all seeds, with seed 0: seeds vary what comes after."""


@dataclass(frozen=True)
class Cell:
    """What one row of the table is about: its labels, and the recipe for a seed."""

    labels: Mapping[str, str]
    plan: Callable[[int], Recipe]


def measure(
    cells: Sequence[Cell],
    figures: Callable[[pd.DataFrame], list[dict[str, Any]]],
    *,
    held_out: Sequence[str],
    data: Path,
    output: Path,
    folder: Path,
    device: Device,
    seeds: int,
    limit: int | None = None,
    rows: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train what is missing under `folder` and return one row a cell, seed and measure, and pooled over the seeds (seed None).

    The pooled rows take all seeds' answers together; their interval is clustered by sentence (and speaker, from ten on), and says nothing of
    how far seeds differ: that is what the single rows show. Stages that cells share are trained once (see `KeptStages`).

    Args:
        figures: a table of answers (`evaluation.heldout.answers`, both routes) -> rows with the columns `FIGURES`.
        held_out: the parts of the dataset that are measured.
        output: where finished stages are kept. rows: as in `run.train`.
    """
    table: list[dict[str, Any]] = []
    for cell in cells:
        tables = []
        for seed in range(seeds):
            where = run.train(
                cell.plan(seed),
                data=data,
                output=folder,
                device=device,
                limit=limit,
                rows=rows,
                held_out=held_out,
                stages=output / "stages",
                progress=progress,
            )
            answers = pd.read_parquet(where / "run" / "answers.parquet")
            tables.append(answers[answers.part.isin(held_out)])
            table += [{**row, **cell.labels, "seed": seed} for row in figures(tables[-1])]
        table += [{**row, **cell.labels, "seed": None} for row in figures(pd.concat(tables, ignore_index=True))]
    return pd.DataFrame(table, columns=[*cells[0].labels, *FIGURES, "seed"])


def page(table: pd.DataFrame, *, down: str, across: str) -> str:
    """Return what `measure` returns as a Markdown table, all seeds together.

    Args:
        down, across: the columns (of the cells' labels, or "measure") whose values are the rows and the columns.
    """
    pooled = table[table.seed.isna()]
    columns = list(dict.fromkeys(pooled[across]))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, rows in pooled.groupby(down, sort=False):
        by = rows.set_index(across)
        cells = (f"{by.value[c]:.2f} [{by.low[c]:.2f}, {by.high[c]:.2f}]" if c in by.index else "" for c in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
