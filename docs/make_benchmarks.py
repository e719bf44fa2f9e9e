"""Put what `cogviz evaluate all` found into `docs/benchmarks.md`: `python docs/make_benchmarks.py FOLDER...` (the folders of its `--output`)."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path


def main() -> None:
    """Write the tables between the marks, the figures beside them, and the rows to `benchmarks/results/evaluation.json`."""
    here = Path(__file__).parent
    rows, text = [], []
    for folder in map(Path, sys.argv[1:]):
        rows += json.loads((folder / "rows.json").read_text(encoding="utf-8"))
        text.append((folder / "table.md").read_text(encoding="utf-8").strip())
        for picture in sorted(folder.glob("*.png")):
            shutil.copy(picture, here / f"leaderboard_{picture.name}")
            text.append(f"![{picture.stem}: models and measures as points with intervals](leaderboard_{picture.name})")
    page = here / "benchmarks.md"
    made = "<!-- measured -->\n" + "\n\n".join(text) + "\n<!-- /measured -->"
    page.write_text(
        re.sub(r"<!-- measured -->.*<!-- /measured -->", lambda _: made, page.read_text(encoding="utf-8"), flags=re.S), encoding="utf-8"
    )
    results = here.parent / "benchmarks" / "results" / "evaluation.json"
    results.write_text(
        json.dumps([{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows], indent=0) + "\n"
    )


if __name__ == "__main__":
    main()
