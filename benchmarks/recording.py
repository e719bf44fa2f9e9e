"""How fast are all layers of many utterances recorded: in batches, one at a time, and with nnsight on the same model?

    python benchmarks/recording.py --model nano-aligned --data data/nano --count 500
    python benchmarks/recording.py --model nano-aligned --data data/nano --count 500 --features data/nano/features

All run on the same machine in one process, in turns, and their states are compared. Kept is the mean over the frames of every encoder layer and
the last place of every layer of the language model, sound to states; with `--features`, of the language model alone, from what the encoder made
of the sound before: of a small model on a CPU the encoder is most of the work, and that is no less in batches. nnsight (Fiotto-Kaufman et al.
2025, arXiv 2407.14561) hears the same batches; it is left out where it is not installed (`pip install nnsight`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cogviz.lime import dataset
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.listener import CogAudioListener
from cogviz.probing.record import record
from cogviz.probing.sites import watched
from cogviz.training.features import encode
from cogviz.utterance import Utterance

States = dict[str, np.ndarray]


def recorded(listener: CogAudioListener, utterances: list[Utterance], sites: list[str], batch: int | None) -> States:
    return dict(record(listener, utterances, sites, at="end", batch=batch, progress=False).states)


def by_hand(listener: CogAudioListener, utterances: list[Utterance], sites: list[str]) -> States:
    found: dict[str, list[torch.Tensor]] = {name: [] for name in sites}
    for utterance in utterances:
        with torch.inference_mode(), watched(listener, sites) as seen:
            listener.logits(listener.naming([utterance]))
        for name in sites:
            found[name].append(seen[name][0].mean(dim=0) if name.startswith("encoder.") else seen[name][0, -1])
    return {name: torch.stack(rows).cpu().numpy() for name, rows in found.items()}


def with_nnsight(listener: CogAudioListener, utterances: list[Utterance]) -> States:
    import nnsight

    traced = nnsight.NNsight(listener.model)
    task, prefix = listener.begins
    heard = [] if listener.states else list(traced.audio_encoder.layers)

    def work(rows: list[int]) -> list[dict[str, np.ndarray]]:
        inputs = listener._inputs([utterances[i] for i in rows], task, prefix)
        with torch.inference_mode(), traced.trace(**inputs, logits_to_keep=1):
            frames = nnsight.save([layer.output for layer in heard])
            states = nnsight.save([layer.output[:, -1] for layer in traced.language_model.model.layers])
        found: dict[str, np.ndarray] = {}
        if frames:
            real = inputs["feature_attention_mask"][:, ::2, None].float()
            found |= {f"encoder.{i}": ((f * real).sum(1) / real.sum(1)).cpu().numpy() for i, f in enumerate(frames)}
        found |= {f"lm.{i}": s.cpu().numpy() for i, s in enumerate(states)}
        return [{name: values[i] for name, values in found.items()} for i in range(len(rows))]

    rows = in_batches(work, [spoken_seconds(u) for u in utterances], device=listener.model.device, progress=False)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano-aligned")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--turns", type=int, default=2, help="each way so often; the fastest counts")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--features", type=Path, help="encoder layers of the dataset that were computed before")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pool = dataset.read(options.data)
    chosen = [pool[i] for i in np.random.default_rng(0).choice(len(pool), min(options.count, len(pool)), replace=False)]
    listener = CogAudioListener(options.model, device=options.device)
    if options.features is not None:
        listener.states = encode(pool, listener.model, listener.processor, options.features).by_id()
    encoder = [] if listener.states else [f"encoder.{i}" for i in range(len(listener.encoder_layers()))]
    sites = [*encoder, *(f"lm.{i}" for i in range(len(listener.layers())))]
    ways: dict[str, Callable[[list[Utterance]], States]] = {
        "in batches": lambda some: recorded(listener, some, sites, None),
        "one at a time": lambda some: recorded(listener, some, sites, 1),
        "one at a time, hooks by hand": lambda some: by_hand(listener, some, sites),
        "nnsight, in batches": lambda some: with_nnsight(listener, some),
    }
    if find_spec("nnsight") is None:
        print("nnsight is not installed and is left out; pip install nnsight")
        ways.pop("nnsight, in batches")
    seconds: dict[str, float] = dict.fromkeys(ways, float("inf"))
    work = dict(seconds)  # of the processor: on a busy machine this one is to be believed
    states: dict[str, States] = {}
    for way in ways.values():
        way(chosen[:4])  # what is loaded at the first use is not timed
    for _ in range(options.turns):
        for name, way in ways.items():
            start, worked = time.perf_counter(), time.process_time()
            states[name] = way(chosen)
            seconds[name] = min(seconds[name], time.perf_counter() - start)
            work[name] = min(work[name], time.process_time() - worked)
    rows: list[dict[str, Any]] = []
    for name in ways:
        first = states["in batches"]
        apart = max(float(np.abs(states[name][s] - first[s]).max() / max(np.abs(first[s]).max(), 1)) for s in sites)
        row = {
            "model": options.model,
            "device": options.device,
            "from": "sound" if encoder else "features",
            "utterances": len(chosen),
            "sites": len(sites),
            "way": name,
            "seconds": round(seconds[name], 2),
            "utterances a second": round(len(chosen) / seconds[name], 1),
            "times as long as in batches": round(seconds[name] / seconds["in batches"], 2),
            "times as much processor time": round(work[name] / work["in batches"], 2),
            "largest relative difference of states": apart,
        }
        print(row, flush=True)
        rows.append(row)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
