"""How much faster are answers in batches, and are they the same?

    python benchmarks/batching.py --model nano-aligned --data data/lime --count 96

One utterance at a time, fixed batches, and the size that is found automatically; the answers of each are compared with those of the first.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from cogviz.lime import dataset
from cogviz.models.listener import CogAudioListener


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano-aligned")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=96)
    parser.add_argument("--batches", type=int, nargs="*", default=[4, 16, 32, 64, 128])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pool = [u for u in dataset.read(options.data) if u.split == "test"]
    chosen = [pool[i] for i in np.random.default_rng(0).choice(len(pool), min(options.count, len(pool)), replace=False)]
    listener = CogAudioListener(options.model, device=options.device)
    listener.listen(chosen[:2], progress=False)  # what is loaded at the first use is not timed
    rows: list[dict[str, Any]] = []
    first: tuple[float, float, list[str], np.ndarray] | None = None
    for batch in (1, *options.batches, None):
        listener.batch = batch
        start, worked = time.perf_counter(), time.process_time()
        texts = [h.text for h in listener.listen(chosen, progress=False)]
        seconds, work = time.perf_counter() - start, time.process_time() - worked
        scores = listener.scores(chosen, progress=False)
        first = first or (seconds, work, texts, scores)
        row = {
            "model": options.model,
            "device": options.device,
            "batch": batch or "automatic",
            "utterances": len(chosen),
            "utterances a second": round(len(chosen) / seconds, 2),
            "times faster": round(first[0] / seconds, 2),
            "times less processor time": round(first[1] / work, 2),  # on a busy machine this one is to be believed
            "same answers": float(np.mean([a == b for a, b in zip(texts, first[2], strict=True)])),
            "largest difference of scores": float(np.abs(scores - first[3]).max()),
        }
        print(row, flush=True)
        rows.append(row)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
