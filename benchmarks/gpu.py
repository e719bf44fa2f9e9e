"""How fast smol trains and samples on a GPU, and which share of the processor's bf16 peak that is.

    python benchmarks/gpu.py --data data/smol [--json benchmarks/results/gpu.json]

Stage I (chains): forward, backward and optimizer step on rows of cached encoder layers, as `cogviz train smol-explicit` takes them, with the
time that the loader needs left out (it works beside the GPU). Tokens are those that the language model attends to; padding does not count.

Floating-point operations of a token, with N weights in the frozen linear layers, M in the adapters, L layers of width D and S tokens in its row:

    frozen layers   4 N           forward and the gradient of the activations; none for weights that stay as they are
    adapters        6 M
    attention       6 L D S       queries with keys, weights with values: 2 D S forward where half of the keys are masked, 4 D S backward
    output          4 D V         only for tokens that have a label (V: vocabulary)

The peak is that of dense bf16 as measured in the same run with one large matrix product, and the data sheet's is beside it.
Sampling: groups of outputs with the key-value cache, as DR-SAPO samples them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cogviz import device
from cogviz.lime import dataset
from cogviz.models import zoo
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.training import features, optimizer, rollout
from cogviz.training.data import Example, Examples, collate

DATA_SHEET = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12, "NVIDIA A100-SXM4-80GB": 312e12}
"""Dense bf16 operations a second."""


def seconds(work: Callable[[], Any], *, times: int) -> float:
    """Median seconds of `work` on the GPU, after one round that warms up."""
    work()
    taken = []
    for _ in range(times):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def measured_peak(size: int = 8192) -> float:
    """Operations a second of one large bf16 matrix product on random data."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds(lambda: a @ b, times=10)


def operations(model: CogAudioForConditionalGeneration, lengths: np.ndarray, labels: int) -> float:
    """Operations of one training step on rows of so many attended tokens; see the head of this file."""
    text = model.config.text_config
    inside = [(n, p.numel()) for n, p in model.language_model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    adapters = sum(size for n, size in inside if ".lora_" in n)
    frozen = sum(size for _, size in inside) - adapters
    tokens = float(lengths.sum())
    attention = 6 * text.num_hidden_layers * text.hidden_size * float(np.square(lengths.astype(float)).sum())
    return (4 * frozen + 6 * adapters) * tokens + attention + 4 * text.hidden_size * text.vocab_size * labels


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset folder of `cogviz lime build`")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64, 128, 256])
    parser.add_argument("--groups", type=int, nargs="+", default=[64, 256], help="outputs sampled at once")
    parser.add_argument("--compile", action="store_true", help="let torch compile the layers of the language model")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    chosen = device.choose("cuda")
    model, processor = zoo.new_smol()
    model.to("cuda")
    utterances = dataset.read(options.data)
    stored = features.encode(utterances, model, processor, options.data / "features", bf16=True)
    model.store_frozen(chosen.dtype)
    model.config.use_cache = False
    if options.compile:
        for layer in model.language_model.base_model.layers:
            layer.compile(dynamic=True)
    pool = [i for i, u in enumerate(utterances) if u.extra["part"] == "ambiguous_train"]
    peak, name = measured_peak(), torch.cuda.get_device_name()
    about = {"device": name, "torch": torch.__version__, "measured_peak_tflops": peak / 1e12, "compiled": options.compile}
    learner = optimizer.make(model, lr=1e-4, weight_decay=0.0, decay=set())
    rows: list[dict[str, Any]] = []
    for batch in options.batches:
        picked = np.random.default_rng(0).choice(pool, batch)
        examples = Examples(
            [Example(int(i), "reason") for i in picked], utterances, stored, processor, augment=True, told=processor.tone_tokens
        )
        inputs = {k: v.cuda() for k, v in collate([examples[i] for i in range(batch)], pad=processor.tokenizer.pad_token_id).items()}
        model.train()

        def step(inputs: dict[str, torch.Tensor] = inputs) -> None:
            with torch.autocast("cuda", torch.bfloat16):
                loss = model(**inputs).loss
            loss.backward()
            learner.step()
            learner.zero_grad()

        audio = {k: inputs[k] for k in ("audio_states", "audio_mask", "audio_levels")}
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
            attended = model.hear(inputs["input_ids"], inputs["attention_mask"], **audio)[1].sum(dim=1).cpu().numpy()
        taken = seconds(step, times=8)
        done = operations(model, attended, int((inputs["labels"] != -100).sum()))
        rows.append(
            {
                "what": f"stage I, batch {batch}",
                "tokens_per_s": float(attended.sum()) / taken,
                "seconds_a_step": taken,
                "share_of_measured_peak": done / taken / peak,
                "share_of_data_sheet": done / taken / DATA_SHEET[name] if name in DATA_SHEET else None,
                "memory_gb": torch.cuda.max_memory_allocated() / 1e9,
            }
        )
        print(rows[-1], flush=True)
    for group in options.groups:
        chosen_rows = np.random.default_rng(1).choice(pool, max(1, group // 8))

        def sampled(chosen_rows: np.ndarray = chosen_rows) -> None:
            with torch.autocast("cuda", torch.bfloat16):
                rollout.roll_out(
                    model, processor, stored, chosen_rows, route="reason", group=8, temperature=1.0, device=torch.device("cuda")
                )

        taken = seconds(sampled, times=1)
        tokens = 8 * len(chosen_rows) * rollout.MAX_NEW_TOKENS["reason"]
        rows.append(
            {
                "what": f"sampling, {8 * len(chosen_rows)} outputs of up to 190 tokens",
                "seconds": taken,
                "tokens_per_s_at_most": tokens / taken,
            }
        )
        print(rows[-1], flush=True)
    print(about)
    if options.json:
        options.json.write_text(json.dumps([{**row, **about} for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
