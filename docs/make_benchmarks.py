"""Measure everything that `docs/benchmarks.md` shows, and put it there: tables, figures and `benchmarks/results/evaluation.json`.

    python docs/make_benchmarks.py --lime data/nano --ravdess FOLDER --emodb FOLDER

Hours on two cores (most of them the language model of 135 million parameters); answers are kept under `--output` by item, so that it goes on
where it was stopped and a second run only writes.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cogviz import benchmark
from cogviz.evaluation.battery import Budget
from cogviz.plotting import leaderboard, theme

MARK = re.compile(r"<!-- measured -->.*<!-- /measured -->", re.DOTALL)

SMALL = ("nano-baseline", "nano-explicit", "nano-implicit", "nano-aligned", "linear-probe")
RELATIVES = ("nano-reasoner", "nano-ieat")
LARGE = ("cascade-minilm", "cascade", "smol-baseline", "smol-aligned")
NAMING = ("naming the voice", "two readings")
UNEDITED = (
    *("naming the voice", "following", "information split", "cue weighting", "two readings", "following, scored", "LISTEN grid"),
    *("audio dependence", "specificity, reasoned"),
)
AMBIGUOUS = (
    *(*NAMING, "audio dependence", "removing the tone", "specificity, reasoned", "specificity, direct"),
    *("response divergence", "chain faithfulness", "groundedness"),
)


@dataclass(frozen=True)
class Group:
    """One run of `cogviz evaluate all`: what is measured of whom, on what."""

    name: str
    models: tuple[str, ...]
    data: tuple[str, ...]
    budget: Budget
    parts: tuple[str, ...] | None = None


GROUPS = (
    Group("conflict", SMALL, ("{lime}/emotional_test",), Budget(280, 56, 12)),
    Group(
        "conflict-relatives", RELATIVES, ("{lime}/emotional_test",), Budget(280, 56, 0), (*UNEDITED, "specificity, direct", "groundedness")
    ),
    Group("conflict-large", LARGE, ("{lime}/emotional_test",), Budget(280, 56, 0), UNEDITED),
    Group("ambiguous", SMALL, ("{lime}/ambiguous_test",), Budget(280, 56, 0), AMBIGUOUS),
    Group(
        "ambiguous-relatives", RELATIVES, ("{lime}/ambiguous_test",), Budget(280, 56, 0), (*NAMING, "specificity, direct", "groundedness")
    ),
    Group("ambiguous-large", LARGE, ("{lime}/ambiguous_test",), Budget(140, 28, 0), NAMING),
    Group("actors", SMALL, ("ravdess={ravdess}", "emodb={emodb}"), Budget(640, 60, 0), (*NAMING, "audio dependence")),
    Group("actors-relatives", RELATIVES, ("ravdess={ravdess}", "emodb={emodb}"), Budget(640, 60, 0), NAMING),
    Group("actors-large", LARGE, ("ravdess={ravdess}", "emodb={emodb}"), Budget(210, 21, 0), NAMING),
)
"""What is slow is measured on less; a cell of the table says its n."""


def main() -> None:
    """Measure what is missing, group by group, then write the page."""
    here = Path(__file__).parent
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--lime", required=True, help="dataset folder of `cogviz lime build FOLDER --plan nano`")
    options.add_argument("--ravdess", required=True, help="folder of RAVDESS's speech")
    options.add_argument("--emodb", required=True, help="folder of EmoDB")
    options.add_argument("--output", type=Path, default=Path("runs/benchmarks"))
    options.add_argument("--group", nargs="+", choices=[g.name for g in GROUPS], help="measure only these; the page shows what there is")
    given = options.parse_args()
    for group in GROUPS:
        if given.group and group.name not in given.group:
            continue
        data = [one.format(lime=given.lime, ravdess=given.ravdess, emodb=given.emodb) for one in group.data]
        benchmark.run(group.models, data, given.output / group.name, budget=group.budget, parts=group.parts)
    folders = [given.output / group.name for group in GROUPS if (given.output / group.name / "rows.json").exists()]
    rows = [row for folder in folders for row in json.loads((folder / "rows.json").read_text(encoding="utf-8"))]
    table = pd.DataFrame(rows).drop_duplicates(["model", "data", "measure"])
    text = []
    for data_name in dict.fromkeys(table.data):
        picture = f"leaderboard_{data_name}.png"
        with theme.use():
            theme.save(leaderboard.leaderboard(table, data=data_name), here / picture)
        text += [benchmark.page(table, data_name), f"![{data_name}: models and measures as points with intervals]({picture})", ""]
    commands = [
        line for folder in folders for line in (folder / "table.md").read_text(encoding="utf-8").splitlines() if line.startswith("Made by")
    ]
    made = "\n".join(["<!-- measured -->", *text, *(f"- {line}" for line in commands), "<!-- /measured -->"])
    page = here / "benchmarks.md"
    page.write_text(MARK.sub(lambda _: made, page.read_text(encoding="utf-8")), encoding="utf-8")
    results = here.parent / "benchmarks" / "results" / "evaluation.json"
    rounded = [{k: round(v, 4) if isinstance(v, float) else v for k, v in rows[i].items()} for i in table.index]
    results.write_text("[\n" + ",\n".join(json.dumps(row) for row in rounded) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
