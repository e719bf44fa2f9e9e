"""How long the battery takes, over the number of items: `python benchmarks/battery.py --data data/nano/emotional_test`.

Every run starts with nothing kept; edited items and targets grow with the items as in the default budget (500, 140, 20). Prints a table of seconds on
the clock and of processor seconds of all processes (which other work on the machine changes less), and the straight line through the latter with
the largest distance from it; `--output` writes JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from cogviz import benchmark
from cogviz.evaluation.battery import Budget

ITEMS = (63, 126, 252, 504)


def processor_seconds() -> float:
    """Of this process and its children, those that have ended included."""
    me = psutil.Process()
    own = me.cpu_times()
    children = [child.cpu_times() for child in me.children(recursive=True)]
    return own.user + own.system + own.children_user + own.children_system + sum(c.user + c.system for c in children)


def main() -> None:
    """Run the battery once a number of items."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", required=True)
    options.add_argument("--model", default="nano-aligned")
    options.add_argument("--items", type=int, nargs="+", default=ITEMS)
    options.add_argument("--output", type=Path, default=Path("benchmarks/results/battery.json"))
    given = options.parse_args()
    whole, rows = Budget(), []
    for items in given.items:
        share = items / whole.items
        budget = Budget(items, round(whole.edited * share), max(1, round(whole.targets * share)))
        with tempfile.TemporaryDirectory() as folder:
            began, before = time.time(), processor_seconds()
            benchmark.run([given.model], [given.data], Path(folder), budget=budget, progress=False)
            took = {"seconds": round(time.time() - began, 1), "processor_seconds": round(processor_seconds() - before, 1)}
            rows.append({"items": items, "edited": budget.edited, "targets": budget.targets, **took})
        print(rows[-1], flush=True)
    x, y = (np.array([row[name] for row in rows], dtype=float) for name in ("items", "processor_seconds"))
    slope, start = np.polyfit(x, y, 1)
    off = float(np.abs(y - (start + slope * x)).max() / y.max())
    print(f"{start:.0f} + {slope:.2f} processor seconds an item; no run is further from the line than {off:.0%} of the longest")
    found = {
        "model": given.model,
        "runs": rows,
        "start_processor_seconds": round(float(start), 1),
        "processor_seconds_an_item": round(float(slope), 3),
        "off_line": round(off, 3),
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
