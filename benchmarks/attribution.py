"""How much faster is the attribution of a cell's seven variants in one call than in seven, and are the numbers the same?

    python benchmarks/attribution.py --model nano-aligned --json benchmarks/results/attribution.json

Three ways: all seven at once; seven calls; seven calls of captum around the whole listener, as one would write it without
`Replay` (over tokens only).
Which of them is measured first alternates, and the median of the rounds is given.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cogviz.attribution.gradients import attribute
from cogviz.attribution.prepare import prepared
from cogviz.attribution.targets import Emotion
from cogviz.lime import dataset
from cogviz.models.listener import CogAudioListener
from cogviz.probing.sites import hooked
from cogviz.utterance import Utterance, cells

QUESTION = Emotion("answered")


def plain(listener: CogAudioListener, utterances: Sequence[Utterance], method: str, steps: int, at_once: int) -> list[np.ndarray]:
    """Captum around the whole listener, one utterance after the other: each evaluation encodes the sound and asks at every place."""
    from captum import attr

    found = []
    for utterance in utterances:
        replay, way = prepared(listener, [utterance], QUESTION, "tokens", None)
        base = replay.embeds - way.differences[0]

        def run(embeds: Tensor, utterance: Utterance = utterance, target: Any = replay.target) -> Tensor:
            passage = listener.naming([utterance] * len(embeds))
            with hooked(listener, {"connector": lambda _: embeds}):
                logits = listener.logits(passage)
            return target.read(logits[:, -1:], torch.zeros(len(embeds), dtype=torch.long, device=embeds.device))

        if method == "integrated_gradients":
            values = attr.IntegratedGradients(run).attribute(replay.embeds, base, n_steps=steps, internal_batch_size=at_once)
        else:
            values = attr.InputXGradient(run).attribute(replay.embeds.clone().requires_grad_()) / replay.embeds * way.differences[0]
        found.append(values.sum(dim=-1)[0].detach().cpu().numpy())
    return found


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano-aligned")
    parser.add_argument("--data", type=Path, default=Path("data_samples"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--over", nargs="*", default=["tokens", "mel"])
    parser.add_argument("--methods", nargs="*", default=["gradient_x_input", "integrated_gradients", "occlusion"])
    parser.add_argument("--mel-steps", type=int, default=10, help="steps over the log-mel; fewer than by default, for time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    listener = CogAudioListener(options.model, device=options.device)
    cell = next(c for c in cells(dataset.read(options.data)) if len(c) == 7)
    seven, neutral = list(cell.values()), [cell["neutral"]] * 7
    rows = []
    for over in options.over:
        for method in options.methods:
            steps = options.mel_steps if over == "mel" else 50
            settings: dict[str, Any] = {"over": over, "method": method, "question": QUESTION, "steps": steps, "progress": False}
            references = neutral if over == "mel" else None

            def together(settings: dict[str, Any] = settings, references: Any = references) -> list[np.ndarray]:
                return list(attribute(listener, seven, references=references, **settings).values)

            def alone(settings: dict[str, Any] = settings, references: Any = references) -> list[np.ndarray]:
                return [
                    attribute(listener, [u], references=references and references[:1], **settings).values[0]
                    for u in seven
                ]  # fmt: skip

            ways: dict[str, Callable[[], list[np.ndarray]]] = {"at once": together, "seven calls": alone}
            if over == "tokens" and method != "occlusion":
                ways["seven plain calls"] = lambda method=method, steps=steps: plain(listener, seven, method, steps, 32)  # type: ignore[misc]
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            work: dict[str, list[float]] = {name: [] for name in ways}
            values: dict[str, list[np.ndarray]] = {}
            for n in range(options.rounds + 1):  # the first round warms up
                for name, way in list(ways.items())[:: 1 if n % 2 else -1]:
                    start, worked = time.perf_counter(), time.process_time()
                    values[name] = way()
                    if options.device != "cpu":
                        torch.cuda.synchronize()
                    seconds[name].append(time.perf_counter() - start)
                    work[name].append(time.process_time() - worked)
            middle, worked_for = ({name: float(np.median(s[1:])) for name, s in each.items()} for each in (seconds, work))
            apart = {
                name: max(float(np.abs(a - b).max()) for a, b in zip(found, values["at once"], strict=True))
                for name, found in values.items() if name != "at once"
            }  # fmt: skip
            row = {
                "model": options.model, "device": options.device, "threads": torch.get_num_threads(), "over": over, "method": method,
                "seconds": {name: round(s, 3) for name, s in middle.items()},
                "times faster": {name: round(s / middle["at once"], 2) for name, s in middle.items() if name != "at once"},
                # On a busy machine this one is to be believed.
                "times less processor time": {n: round(s / worked_for["at once"], 2) for n, s in worked_for.items() if n != "at once"},
                "largest difference": apart,
            }  # fmt: skip
            print(row, flush=True)
            rows.append(row)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
