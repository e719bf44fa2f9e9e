"""How long it takes to train the nano models (goal on two cores: all four within 60 minutes and 8 GB, speech and encoder layers being there).

    cogviz train nano-baseline nano-explicit nano-implicit nano-aligned --data data/lime --output runs
    python benchmarks/training.py [FOLDER ...] [--json benchmarks/results/training.json]

Every run notes its own time (stages only: neither the encoding of the speech nor the measuring afterwards) and its memory without the encoder
layers that are mapped from disk (3 GB and more, given back when memory is short; an older run counts them in); this adds up the times.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

NAMES = ("nano-baseline", "nano-explicit", "nano-implicit", "nano-aligned")


def main() -> None:
    """Print one row a run and their sum; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="*", default=[Path("runs") / name for name in NAMES])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for folder in options.folder:
        run = json.loads((folder / "run.json").read_text())
        rows.append(
            {
                "model": run["name"],
                "minutes": round(run["seconds"] / 60, 1),
                "gb": run.get("own_memory_gb") or run["peak_memory_gb"],
                "device": run["device"],
            }
        )
    rows.append(
        {
            "model": "all",
            "minutes": round(sum(r["minutes"] for r in rows), 1),
            "gb": max(r["gb"] for r in rows),
            "device": rows[0]["device"],
        }
    )
    for row in rows:
        print(f"{row['model']:<16} {row['minutes']:6.1f} min  {row['gb']:4.1f} GB  {row['device']}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
