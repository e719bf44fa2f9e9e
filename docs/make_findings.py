"""Look inside the nano models as `docs/findings.md` tells it: `python docs/make_findings.py --lime data/nano --pairs data/pairs`.

Runs the commands below, writes their figures beside this file and all rows to `benchmarks/results/findings.json`. What has been run is kept under
`--output` and not run again. It took an hour on two cores beside other work.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cogviz import cli

BOTH = "--model nano-baseline nano-aligned"

COMMANDS = {
    "patching": f"patch {BOTH} --data {{pairs}} --items 120",
    "patching_words": f"patch {BOTH} --data {{pairs}} --items 80 --differs words",
    "patching_natural": f"patch {BOTH} --data {{lime}}/emotional_test --items 80",
    "parts": "patch --model nano-aligned --data {pairs} --items 40 --at sublayers",
    "knockout": f"patch --what knockout {BOTH} --data {{pairs}} --items 140",
    "erasing": f"patch --what erase {BOTH} --data {{lime}}/emotional_test --items 500 --sites connector lm.3",
    "neurons": f"patch --what neurons {BOTH} --data {{pairs}} --items 140",
    "probes": f"probe {BOTH} --data {{lime}}/emotional_test --items 294",
    "lens": "probe --what lens --model nano-baseline nano-aligned --data {lime}/emotional_test --items 294",
    "similarity": f"probe --what similarity --segments words {BOTH} --data {{lime}}/emotional_test --items 294",
    "maps": f"project {BOTH} --data {{lime}}/emotional_test --items 294",
    "shares": f"attribute --what shares {BOTH} --data {{lime}}/emotional_test --items 24",
    "sound": "attribute --what sound --model nano-aligned --data {lime}/emotional_test",
}
"""What each figure is called, and the command that makes it; `cogviz` comes before."""


def main() -> None:
    """Run what is missing, then put the rows together."""
    here = Path(__file__).parent
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--lime", required=True, help="dataset folder of `cogviz lime build FOLDER --plan nano`")
    options.add_argument("--pairs", required=True, help="dataset folder of `cogviz lime build FOLDER --plan pairs`")
    options.add_argument("--output", type=Path, default=Path("runs/findings"))
    given = options.parse_args()
    rows = []
    for name, text in COMMANDS.items():
        kept = given.output / f"{name}.json"
        if not kept.exists():
            words = text.format(lime=given.lime, pairs=given.pairs).split()
            print(f"cogviz {' '.join(words)}", flush=True)
            if cli.main([*words, "--json", str(kept), "--out", str(here / f"inside_{name}.png")]):
                raise SystemExit(f"{name} failed")
        found = json.loads(kept.read_text(encoding="utf-8"))
        rows += [{"finding": name, **{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}} for row in found]
    results = here.parent / "benchmarks" / "results" / "findings.json"
    results.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
