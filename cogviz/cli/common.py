"""What the commands share: how one is added, how data are named, how rows are printed and written."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ENROL = "hear each voice relative to a neutral recording of its speaker (another sentence) in the same data"


def command(group: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """Add a command to a group; `run` gets the options and returns the exit code."""
    added: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)
    added.set_defaults(run=run)
    added.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return added


def read_data(data: str, limit: int | None) -> tuple[str, list[Any]]:
    """Return (name, utterances) of a dataset folder or of corpus=folder."""
    from cogviz import corpora
    from cogviz.lime import dataset

    name, _, root = data.partition("=")
    if root:
        return name, corpora.read(name, root)[:limit]
    return Path(data).name, dataset.read(data)[:limit]


def print_rows(rows: list[dict[str, Any]], say: Callable[[str], None]) -> None:
    """Print rows of figures, a line each."""
    width = max((len(r["measure"]) for r in rows), default=0)
    for r in rows:
        value, low, high = ("     -" if x is None else f"{x:6.3f}" for x in (r["value"], r["low"], r["high"]))
        chance = "" if r["chance"] is None else f"  chance {r['chance']:.3f}"
        say(f"{r['model']:<16} {r['measure']:<{width}} {value}  [{low}, {high}]  n = {r['n']}{chance}")


def say(target: Path | None) -> Callable[[str], None]:
    """Return what prints for people: to standard output, or to standard error where that is taken by JSON."""
    return partial(print, file=sys.stderr if str(target) == "-" else sys.stdout)


def write_json(rows: list[dict[str, Any]], target: Path | None) -> None:
    """Write rows to a file, or to standard output for "-"; nothing where there is no target."""
    if target is None:
        return
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    if str(target) == "-":
        print(text)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n", encoding="utf-8")
