"""One table: many models, many datasets, the whole battery; `cogviz evaluate all`. Rows as JSON, a figure a dataset, a page of Markdown."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cogviz import corpora
from cogviz.audio import AudioError
from cogviz.evaluation import battery, results
from cogviz.evaluation.judge import Response
from cogviz.evaluation.judge import judge as judge_responses
from cogviz.evaluation.remembered import Remembered
from cogviz.lime import dataset
from cogviz.models.listeners import load_listener
from cogviz.plotting import leaderboard, theme
from cogviz.training import rewards
from cogviz.utterance import Utterance

SHOWN: Mapping[str, str] = {
    "voice_balanced_accuracy": "names the voice",
    "readings_scored": "… by its likeliest label",
    "follows_voice": "conflict: follows the voice",
    "follows_words": "conflict: follows the words",
    "gated_follows_voice": "… valid conditions: the voice",
    "gated_follows_words": "… valid conditions: the words",
    "information_from_voice": "information from the voice",
    "information_from_words": "information from the words",
    "weight_of_voice": "weight of the voice",
    "weight_of_words": "weight of the words",
    "accuracy_drop_other_tone": "lost with another tone",
    "accuracy_drop_silence": "lost with silence",
    "text_only_ratio": "kept where words are only read",
    "override_threshold": "override threshold (k)",
    "reasoned_response_tells_voice": "response tells the voice",
    "direct_response_tells_voice": "… on the direct route",
    "chain_follows_swapped_index": "response follows a swapped chain",
    "grounded_lift": "chain's claims beyond chance",
    "unparsed": "unparsed",
}
"""Measures of the Markdown page, in its order, and what they are called there. All of them are in the rows."""

VALIDATED = 1500
"""Recordings of a dataset, in whole cells, that the validity gate looks at: enough for each condition, however large a corpus is."""


def named(data: str) -> dict[str, list[Utterance]]:
    """Return the datasets of one `--data`: CORPUS=FOLDER, FOLDER/PART, or the held-out parts of FOLDER (all of it where it has none).

    Raises:
        CorpusError, BuildError: it cannot be read. ValueError: the folder has no such part.
    """
    name, _, root = data.partition("=")
    if root:
        return {name: corpora.read(name, root)}
    folder, wanted = (Path(data), "") if Path(data).is_dir() else (Path(data).parent, Path(data).name)
    everything = dataset.read(folder)
    parts: dict[str, list[Utterance]] = {}
    for u in everything:
        parts.setdefault(str(u.extra.get("part") or u.split), []).append(u)
    if wanted:
        if wanted not in parts:
            raise ValueError(f"{folder} has no part {wanted!r}; it has {', '.join(parts)}")
        return {wanted: parts[wanted]}
    return {part: spoken for part, spoken in parts.items() if spoken[0].split.startswith("test")} or {folder.name: everything}


def audible(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Leave out recordings that cannot be read or hold no sound, and warn of them."""
    kept, broken = [], []
    for u in utterances:
        try:
            silent = not np.any(u.samples)
        except AudioError as error:
            broken.append(str(error))
            continue
        (broken.append(f"{u.id} is silent") if silent else kept.append(u))
    if broken:
        warnings.warn(f"{len(broken)} recording(s) are left out ({broken[0]})", stacklevel=2)
    return kept


def run(
    models: Sequence[str],
    data: Sequence[str],
    output: Path,
    *,
    budget: battery.Budget | None = None,
    parts: Sequence[str] | None = None,
    device: str = "auto",
    llm_judge: tuple[str, str] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Measure every model on every dataset and write `output`/rows.json, table.md and a figure a dataset; returns the rows.

    What a model said is kept under `output`/answers, so an interrupted run, or a later one with more models, asks for the rest only.

    Args:
        llm_judge: (URL, model) of a language model that judges how specific the responses to the edited items are (`evaluation.judge`).
    """
    output.mkdir(parents=True, exist_ok=True)
    budget = budget or battery.Budget()
    command = _command(models, data, parts, budget)
    sets = {name: audible(utterances) for one in data for name, utterances in named(one).items()}
    judge = rewards.evaluation_judge()
    rows: list[dict[str, Any]] = []
    left_out: dict[tuple[str, str], dict[str, str]] = {}
    material: dict[str, battery.Material] = {}
    for name, utterances in sets.items():
        valid = None
        try:
            valid = battery.validity(battery.choose(utterances, VALIDATED), progress=progress)
            rows += battery.rows_of_gate(valid, data=name)
        except ValueError as reason:
            left_out[name, "all"] = {"validity gate": str(reason)}
        material[name] = battery.Material(utterances, budget=budget, valid=valid, folder=output / "sounds", progress=progress)
    for model in models:
        listener = Remembered(load_listener(model, device=device), output / "answers")
        for name in sets:
            began = time.time()
            found = battery.measure(listener, material[name], data=name, judge=judge, parts=parts)
            rows += found.rows
            left_out[name, listener.name] = found.left_out
            if llm_judge is not None:
                rows += _judged(listener, material[name], *llm_judge, output / "judged.jsonl", data=name, progress=progress)
            print(f"{listener.name} on {name}: {len(material[name].items)} items, {time.time() - began:.0f} s", flush=True)
            _write(output, rows, left_out, command)
    table = pd.DataFrame(rows)
    for name in sets:
        with theme.use():
            try:
                theme.save(leaderboard.leaderboard(table, data=name), output / f"{name.replace('/', '-')}.png")
            except ValueError as reason:
                warnings.warn(f"no figure of {name}: {reason}", stacklevel=2)
    return table


def _judged(
    listener: Remembered, material: battery.Material, url: str, model: str, kept: Path, *, data: str, progress: bool
) -> list[dict[str, Any]]:
    """Rows of what a language model says of the reasoned responses to the edited items."""
    said = [
        Response(u.id, u.text, str(u.emotion), h.answer.response, u.sentence, u.speaker)
        for h in listener.listen(material.edited, route="reason", progress=progress)
        if h.answer is not None and (u := h.utterance).emotion
    ]
    if not said:
        warnings.warn(f"{listener.name} on {data}: no response in the expected form to judge", stacklevel=2)
        return []
    found = results.rows(judge_responses(said, url=url, model=model, kept=kept, progress=progress), model=listener.name, data=data)
    return [{**row, "measure": f"judged_{row['measure']}"} for row in found]


def _write(
    output: Path,
    rows: Sequence[dict[str, Any]],
    left_out: Mapping[tuple[str, str], Mapping[str, str]],
    command: str,
) -> None:
    (output / "rows.json").write_text(json.dumps(list(rows), indent=1) + "\n", encoding="utf-8")
    text = [f"Made by `{command}`. Value and 95% interval.", ""]
    text += [page(pd.DataFrame(rows), name) for name in dict.fromkeys(row["data"] for row in rows)]
    reasons: dict[str, list[str]] = {}
    for (name, model), parts in left_out.items():
        for part, reason in parts.items():
            reasons.setdefault(f"{part}: {reason}", []).append(f"{model} on {name}")
    if reasons:
        text += ["### Not measured", "", *(f"- {reason} ({', '.join(where)})" for reason, where in sorted(reasons.items())), ""]
    (output / "table.md").write_text("\n".join(text), encoding="utf-8")


def _command(models: Sequence[str], data: Sequence[str], parts: Sequence[str] | None, budget: battery.Budget) -> str:
    """The command that makes the same page; folders of this machine are left out of it."""
    names = [
        f"{one.partition('=')[0]}=FOLDER" if "=" in one else "FOLDER" if Path(one).is_dir() else f"FOLDER/{Path(one).name}" for one in data
    ]
    words = ["cogviz evaluate all --model", *models, "--data", *names, *(f"--{key} {value}" for key, value in asdict(budget).items())]
    return " ".join([*words, *(["--part", *(f'"{part}"' for part in parts)] if parts else [])])


def page(table: pd.DataFrame, data: str) -> str:
    """Return one dataset's part of the rows as Markdown: measures down, models across."""
    here = table[table.data == data]
    models = [m for m in dict.fromkeys(here.model) if m != battery.STIMULI]
    lines = [f"### {data}", "", f"| | {' | '.join(models)} | chance | n |", "|---|" + "---|" * (len(models) + 2)]
    for measure, title in SHOWN.items():
        rows = here[here.measure == measure].drop_duplicates("model").set_index("model")
        if len(rows):
            cells = [_cell(rows.loc[m], measure) if m in rows.index else "" for m in models]
            chance, n = _span(rows.chance.dropna(), _decimal), _span(rows.n, lambda count: str(int(count)))
            lines.append(f"| {title} | {' | '.join(cells)} | {chance} | {n} |")
    stimuli = here[here.model == battery.STIMULI].set_index("measure")
    if len(stimuli):
        said = [
            f"{title} {_cell(stimuli.loc[m], m)} (n = {int(stimuli.n[m])})" for m, title in battery.GATE_SHOWN.items() if m in stimuli.index
        ]
        lines += ["", f"The stimuli: {'; '.join(said)}."]
    return "\n".join([*lines, ""])


def _cell(row: pd.Series, measure: str) -> str:
    value, low, high = (None if pd.isna(row[c]) else float(row[c]) for c in ("value", "low", "high"))
    if value is None:
        return "never" if measure == "override_threshold" else "–"
    interval = "" if low is None else f" [{_decimal(low)}, {'–' if high is None else _decimal(high)}]"
    return f"{_decimal(value)}{interval}"


def _decimal(value: float) -> str:
    """Two places, without a zero before the point: many models then fit beside each other."""
    text = f"{value:.2f}"
    return (text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text).replace("-.00", ".00")


def _span(values: pd.Series, shown: Callable[[float], str]) -> str:
    """The value that all share, or the least and the largest; "" for none."""
    least, most = (shown(values.min()), shown(values.max())) if len(values) else ("", "")
    return least if least == most else f"{least} – {most}"
