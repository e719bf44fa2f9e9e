"""How often the 95% intervals of the behavioural measures cover the truth, on simulated listeners whose true value is known.

    python benchmarks/measures.py [--seeds 100] [--only information] [--json benchmarks/results/measures.json]

Each row: a figure of a listener, its truth, the mean over the seeds, the median width of the interval, the bias in such widths and the share of the
intervals that cover the truth. A figure passes with at least 88 of 100 covered and a bias below a fifth of the width. About ten minutes of processor
time; the seeds are fixed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from joblib import Parallel, delayed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the listeners are those of the tests

from recovery import CASES, recover

COVERED, BIAS = 0.88, 0.2


def main() -> None:
    """Run, print every figure, write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--only", nargs="+", default=[], help="measures")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cases = [case for case in CASES if not options.only or case.measure in options.only]
    start = time.monotonic()
    rows = []
    for found in Parallel(n_jobs=options.jobs, return_as="generator")(delayed(recover)(case, range(options.seeds)) for case in cases):
        for row in found:
            passes = row["covered"] >= COVERED and abs(row["bias_in_widths"]) < BIAS
            rows.append({**row, "passes": passes})
            truth, mean = ("never" if row[name] is None else f"{row[name]:.3f}" for name in ("truth", "mean"))
            print(
                f"{row['measure']:36} {row['listener']:46} truth {truth:>6} mean {mean:>6} bias {row['bias_in_widths']:+.2f} "
                f"covered {row['covered']:.2f}{'' if passes else '  FAILS'}",
                flush=True,
            )
    print(f"{sum(row['passes'] for row in rows)} of {len(rows)} figures pass, {time.monotonic() - start:.0f} s")
    if options.json:
        options.json.write_text(json.dumps({"seeds": options.seeds, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
