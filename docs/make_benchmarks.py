"""Put what `cogviz evaluate all` found into `docs/benchmarks.md`: `python docs/make_benchmarks.py FOLDER...` (the folders of its `--output`)."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pandas as pd

from cogviz import benchmark
from cogviz.plotting import leaderboard, theme

MARK = re.compile(r"<!-- measured -->.*<!-- /measured -->", re.DOTALL)


def main() -> None:
    """Write one table a dataset between the marks, its figure beside it, and the rows to `benchmarks/results/evaluation.json`."""
    here, folders = Path(__file__).parent, [Path(name) for name in sys.argv[1:]]
    rows = [row for folder in folders for row in json.loads((folder / "rows.json").read_text(encoding="utf-8"))]
    table = pd.DataFrame(rows).drop_duplicates(["model", "data", "measure"])
    text = []
    for data in dict.fromkeys(table.data):
        picture = f"leaderboard_{data}.png"
        with theme.use():
            theme.save(leaderboard.leaderboard(table, data=data), here / picture)
        text += [benchmark.page(table, data), f"![{data}: models and measures as points with intervals]({picture})", ""]
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
