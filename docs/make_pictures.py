"""Render the README's pictures from the shipped samples: `python docs/make_pictures.py`."""

from __future__ import annotations

from pathlib import Path

from cogviz.lime import dataset
from cogviz.lime.prosody import rules
from cogviz.plotting import speech, theme
from cogviz.utterance import cells


def main() -> None:
    """Write docs/seven_emotions.png and docs/prosody_rules.png."""
    here = Path(__file__).parent
    spoken = [
        u for u in dataset.read(here.parent / "data_samples") if u.extra["part"] == "ambiguous" and u.extra["synthesizer"] == "neural"
    ]
    with theme.use():
        theme.save(speech.cell(cells(spoken)[0]), here / "seven_emotions.png")
        theme.save(speech.rules(rules()), here / "prosody_rules.png")


if __name__ == "__main__":
    main()
