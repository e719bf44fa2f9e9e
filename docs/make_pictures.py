"""Render the README's pictures from the shipped samples and checkpoints: `python docs/make_pictures.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from cogviz import tour
from cogviz.lime import dataset
from cogviz.lime.prosody import rules
from cogviz.models import zoo
from cogviz.plotting import ablations, dialogues, dominance, speech, theme, training
from cogviz.utterance import cells


def main() -> None:
    """Write seven_emotions.png, prosody_rules.png, following.png, following_smol.png, reward_watch.png, ablations.png and dialogues.png beside this
    file."""
    here = Path(__file__).parent
    spoken = [
        u for u in dataset.read(here.parent / "data_samples") if u.extra["part"] == "ambiguous" and u.extra["synthesizer"] == "neural"
    ]
    with theme.use():
        theme.save(speech.cell(cells(spoken)[0]), here / "seven_emotions.png")
        theme.save(speech.rules(rules()), here / "prosody_rules.png")
        theme.save(training.watch(pd.read_csv(zoo.folder("nano-aligned") / "curve.csv")), here / "reward_watch.png")
        theme.save(ablations.ablations(pd.read_csv(here.parent / "checkpoints" / "ablations.csv")), here / "ablations.png")
        answered = json.loads((here.parent / "benchmarks" / "results" / "dialogues.json").read_text(encoding="utf-8"))
        theme.save(dialogues.dialogues(answered), here / "dialogues.png")
        for size, picture in (("nano", "following.png"), ("smol", "following_smol.png")):
            folders = tour.checkpoint_folders([f"{size}-aligned"])
            figures = tour.held_out(folders)
            found = {f.name: followed for f in folders if (followed := tour.held_out_following(figures, f.name)) is not None}
            theme.save(dominance.following(tour.following_rows(found, data="emotional_test")), here / picture)


if __name__ == "__main__":
    main()
