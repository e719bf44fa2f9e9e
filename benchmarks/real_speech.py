"""What a model names on real actors it was never trained on, from single recordings as they are and with one neutral recording of the speaker.

    python benchmarks/real_speech.py --model smol-aligned --data ravdess=FOLDER emodb=FOLDER [--json FILE]

The likeliest of the seven words after "The voice sounds" (`CogAudioListener.scores`): one pass a recording, where
`cogviz evaluate dominance` lets the model answer in full. Balanced accuracy, 95% intervals by sentence and speaker.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cogviz import corpora
from cogviz.emotions import EMOTIONS
from cogviz.models.listener import CogAudioListener
from cogviz.statistics import balanced_accuracy
from cogviz.utterance import enrol


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["smol-aligned"])
    parser.add_argument("--data", nargs="+", required=True, help="corpus=folder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for model in options.model:
        listener = CogAudioListener(model, batch=32)
        for corpus, _, root in (data.partition("=") for data in options.data):
            plain = corpora.read(corpus, root)
            for name, spoken in ((corpus, plain), (f"{corpus}, enrolled", enrol(plain))):
                named = [EMOTIONS[i] for i in listener.scores(spoken).argmax(axis=1)]
                truth = [str(u.emotion) for u in spoken]
                found = balanced_accuracy(truth, named, sentences=[u.sentence for u in spoken], speakers=[u.speaker for u in spoken])
                rows.append({"model": Path(model).name, "measure": "balanced_accuracy, named", **found.row(), "data": name})
                print(rows[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
