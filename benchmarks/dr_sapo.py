"""What stage III adds to stage II: the difference on the same items, over seeds of stage III.

    cogviz train nano-implicit --data data/lime --output runs/base --limit 200
    cogviz train nano-aligned --data data/lime --output runs/seed-1 --limit 200 --seed 1    (and 2, 3)
    python benchmarks/dr_sapo.py --base runs/base/nano-implicit --aligned runs/seed-*/nano-aligned [--json FILE]

Per item the mean over the seeds of (aligned minus implicit); 95% intervals by sentence and speaker. "tells": the held-out judge tells the
voice's emotion from the response; "right": the chain names it; "valid": the answer has the agreed form.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cogviz.statistics import mean
from cogviz.training import rewards

PARTS = ("ambiguous_test", "emotional_test")


def answers(folder: Path) -> pd.DataFrame:
    """The answers that a run was measured by, one row an utterance and route, with what is compared."""
    table = pd.read_parquet(folder / "run" / "answers.parquet")
    table = table[table.part.isin(PARTS)].set_index(["route", "id"]).sort_index()
    told = np.array(rewards.evaluation_judge().tell(table.response.tolist()))
    told[table.response.str.strip() == ""] = "none"
    return table.assign(tells=told == table.voice, right=table.answer == table.voice, valid=table.valid)


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of stage II, with run/answers.parquet")
    parser.add_argument(
        "--aligned", type=Path, nargs="+", required=True, help="folders of stage III, one a seed, measured on the same items"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    base, seeds = answers(options.base), [answers(folder) for folder in options.aligned]
    rows: list[dict[str, Any]] = []
    for route, measures in (("reason", ("tells", "right", "valid")), ("direct", ("tells", "valid"))):
        before = base.loc[route]
        for measure in measures:
            apart = [table.loc[route].loc[before.index, measure].astype(float) - before[measure].astype(float) for table in seeds]
            found = mean(np.mean(apart, axis=0), sentences=before.sentence.tolist(), speakers=before.speaker.tolist())
            rows.append(
                {
                    "measure": f"{measure}, {route}, stage III minus stage II",
                    **{k: v for k, v in found.row().items() if k != "scope"},
                    "stage_ii": float(before[measure].astype(float).mean()),
                    "seeds": [float(values.mean()) for values in apart],
                }
            )
            print(rows[-1])
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
