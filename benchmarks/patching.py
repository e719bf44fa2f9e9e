"""How much faster is a patch sweep that shares the encoder and runs the suffix only, and are its numbers those of whole passes?

    python benchmarks/patching.py --model nano-aligned --data data/lime

Every layer x every place of some pairs, against the loop that one would write: hear the donor and keep its states, then run the base with a hook,
sound included, for each layer and each place. The loop is timed on cells drawn evenly from the sweep (`--every`), the sweep whole.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cogviz.lime import dataset
from cogviz.models.listener import CogAudioListener
from cogviz.probing.pairs import Pair, tone_pairs
from cogviz.probing.patch import EVERYTHING, patch
from cogviz.probing.sites import hooked, watched
from cogviz.probing.spans import lined_up


def main() -> None:
    """Measure and print; write a JSON row where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano-aligned")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--every", type=int, default=47, help="the plain loop does every so-manieth cell of the sweep")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    listener = CogAudioListener(options.model, device=options.device)
    pool = [u for u in dataset.read(options.data) if u.split == "test"]
    pairs = tone_pairs(pool, per_cell=2)
    ready = [pair for pair in pairs[: 20 * options.pairs] if _equal(listener, pair)][: options.pairs]
    patch(listener, ready[:1], by="place", control=False, progress=False)  # what is loaded at the first use is not timed
    start, worked = time.perf_counter(), time.process_time()
    found = patch(listener, ready, by="place", unequal="refuse", control=False, progress=False)
    seconds, work = time.perf_counter() - start, time.process_time() - worked
    cells = [
        (i, j, k)
        for i in range(len(ready))
        for j in range(len(found.sites))
        for k, column in enumerate(found.columns)
        if column != EVERYTHING and not np.isnan(found.patched[i, j, k, 0])
    ]
    some = cells[:: options.every]
    loops = [_Loop(listener, pair, found.sites) for pair in ready]  # not timed: a few passes, where the loop makes thousands
    apart = 0.0
    start, worked = time.perf_counter(), time.process_time()
    for i, j, k in some:
        loop = loops[i].cell(found.sites[j], int(found.columns[k]))
        apart = max(apart, float(np.abs(loop - found.patched[i, j, k]).max()))
    share = len(cells) / len(some)
    plain, plain_work = (time.perf_counter() - start) * share, (time.process_time() - worked) * share
    row = {
        "model": options.model,
        "device": options.device,
        "pairs": len(ready),
        "cells": len(cells),
        "cells of the plain loop": len(some),
        "seconds": round(seconds, 1),
        "seconds of the plain loop, for all cells": round(plain, 1),
        "times faster": round(plain / seconds, 1),
        "times less processor time": round(plain_work / work, 1),  # on a busy machine this one is to be believed
        "largest difference of logits": apart,
    }
    print(json.dumps(row, indent=1))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([row], indent=1) + "\n")


def _equal(listener: CogAudioListener, pair: Pair) -> bool:
    return bool(lined_up(listener, listener.naming([pair.base]), listener.naming([pair.donor]))[1][0])


class _Loop:
    """The plain loop: one whole pass, sound included, for each layer and place; a pair's passages and its donor's states are kept."""

    def __init__(self, listener: CogAudioListener, pair: Pair, names: Sequence[str]) -> None:
        self.listener = listener
        self.base = listener.naming([pair.base])
        with torch.inference_mode(), watched(listener, names) as seen:
            listener.logits(listener.naming([pair.donor]))
        self.given = dict(seen)

    def cell(self, site: str, place: int) -> np.ndarray:
        """(7,) logits of the base's run with the donor's state at one place."""

        def put(state: Tensor) -> Tensor:
            changed = state.clone()
            changed[:, place] = self.given[site][:, place]
            return changed

        with torch.inference_mode(), hooked(self.listener, {site: put}):
            return self.listener.logits(self.base)[0, -1, self.listener.label_tokens].float().cpu().numpy()


if __name__ == "__main__":
    main()
