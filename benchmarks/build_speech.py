"""How fast speech is built: seconds of speech for a second of one core, a sentence in all 21 variants (goal: at least 30).

    python benchmarks/build_speech.py [--sentences 4] [--profile] [--json FILE]

One row a synthesizer. Time is that of this process's core (`time.process_time`), files and annotation included; loading the models is not.
Then the same through `build` with all workers, by the clock, in which their start counts.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import tempfile
import time
from pathlib import Path

from cogviz import audio
from cogviz.lime.build import build
from cogviz.lime.plan import Cell, Part, Plan, cells
from cogviz.lime.voices import voices
from cogviz.lime.worker import render_cell


def plan(sentences: int, speakers: list[str]) -> Plan:
    part = Part("all", "ambiguous", "test", tuple(speakers), sentences=sentences, speakers_per_sentence=len(speakers), variants="all")
    return Plan("benchmark", (part,))


def build_one(cell: Cell, folder: Path) -> float:
    """Build a cell as a worker does; returns seconds of speech."""
    rendered = render_cell(cell)
    for row, samples in rendered:
        audio.write(folder / row["file_name"], samples)
    return sum(row["seconds"] for row, _ in rendered)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=4)
    parser.add_argument("--profile", action="store_true", help="also print where the time goes")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    speakers = [voices("test", "espeak")[0].id, voices("test", "neural")[0].id]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for speaker in speakers:
            todo = cells(plan(options.sentences, [speaker]))
            build_one(todo[0], folder)  # loads the models
            profile = cProfile.Profile() if options.profile else None
            start = time.process_time()
            if profile:
                profile.enable()
            seconds = sum(build_one(cell, folder) for cell in todo)
            if profile:
                profile.disable()
                pstats.Stats(profile).sort_stats("tottime").print_stats(12)
            used = time.process_time() - start
            rows.append({"measure": "speech built per core second", "data": speaker, "value": seconds / used, "n": len(todo)})
            print(f"{speaker}: {seconds:.0f} s of speech in {used:.1f} s of one core: {seconds / used:.0f} times real time")
        report = build(plan(options.sentences, speakers), folder / "built", progress=False)
        rows.append(
            {"measure": "speech built per second", "data": "build", "value": report.built_seconds / report.elapsed, "n": report.built}
        )
        print(report)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
