"""Measure the rule table on real actors and write `cogviz/lime/prosody.yaml`.

    python benchmarks/calibrate_prosody.py --root RAVDESS_FOLDER [--jobs 2]

RAVDESS actors 1-12 only: actors 13-24 and EmoDB stay unseen, because the transfer from synthetic to real speech is tested on them.
Each recording is compared with the mean neutral recording of the same actor and sentence. The table holds the median and a robust
standard deviation (interquartile range / 1.35) over the actors; no recording and no single actor's values are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from joblib import Parallel, delayed

from cogviz import audio
from cogviz.lime.measure import measure
from cogviz.lime.prosody import PARAMETERS
from cogviz.lime.world import analyse

EMOTION = {1: "neutral", 3: "happy", 4: "sad", 5: "angry", 6: "fear", 7: "disgust", 8: "surprise"}
SOURCE = (
    "Median and robust standard deviation (IQR / 1.35) over RAVDESS actors 1-12 (Livingstone & Russo 2018), each recording against the same "
    "actor's neutral reading of the same sentence; measured with benchmarks/calibrate_prosody.py. neutral/take: neutral takes against their mean."
)


def row(path: Path) -> dict[str, float]:
    """Measure one recording; its name holds emotion, intensity, statement, repetition and actor."""
    _, _, emotion, strength, statement, _, actor = map(int, path.stem.split("-"))
    values = measure(analyse(audio.read(path).samples, audio.RATE))
    return {"actor": actor, "statement": statement, "emotion": EMOTION[emotion], "strength": strength, **values}


def main() -> None:
    """Read, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "cogviz/lime/prosody.yaml")
    parser.add_argument("--keep", type=Path, help="also write every recording's measurement here (Parquet)")
    options = parser.parse_args()
    paths = [p for p in sorted(options.root.rglob("*-*-*-*-*-*-*.*")) if int(p.stem[-2:]) <= 12 and int(p.stem.split("-")[2]) in EMOTION]
    table = pd.DataFrame(Parallel(options.jobs, verbose=1)(delayed(row)(p) for p in paths))
    if options.keep:
        table.to_parquet(options.keep)
    names = list(PARAMETERS)
    neutral = table[table.emotion == "neutral"].groupby(["actor", "statement"])[names].mean()
    table[names] -= neutral.loc[list(zip(table.actor, table.statement, strict=True))].to_numpy()
    rules: dict[str, dict] = {}
    for (emotion, strength), group in table.groupby(["emotion", "strength"], sort=False):
        anchor = "take" if emotion == "neutral" else {1: "normal", 2: "strong"}[strength]
        spread = (group[names].quantile(0.75) - group[names].quantile(0.25)) / 1.35
        # Two takes and their mean: each differs from the mean by sqrt(1/2) of the spread of a take.
        spread = spread * np.sqrt(2) if emotion == "neutral" else spread
        middle = group[names].median() * (emotion != "neutral")
        rules.setdefault(emotion, {})[anchor] = {n: [round(float(middle[n]), 3), round(float(spread[n]), 3)] for n in names}
    text = yaml.safe_dump({"source": SOURCE, "n": len(table), "rules": rules}, sort_keys=False, default_flow_style=None, width=150)
    options.output.write_text(
        "# Written by benchmarks/calibrate_prosody.py: parameter: [median, spread]. Units: cogviz/lime/prosody.py.\n" + text
    )


if __name__ == "__main__":
    main()
