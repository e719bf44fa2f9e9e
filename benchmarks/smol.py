"""How fast smol trains and answers on this machine, beside the plain way on the same examples in the same run.

    python benchmarks/smol.py --data data/smol [--json benchmarks/results/smol.json]

Training, stage I (chains), examples a second, forward and backward with the same frozen base in the same precision:

- *plain*: log-mels padded to Whisper's 30 s and encoded in every step, every pooled frame read by the language model, rows padded as they
  come, logits at every position.
- *cogviz*: encoder layers of the true length computed once (their share of the time is added for one pass over the data), only frames that
  say a token are read (CTC compression), rows of similar length together, logits only where there is a label.

Answering: seconds to the first piece of a direct answer to a recording of 3 s, and the peak memory of this process until then.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from cogviz import device
from cogviz.audio import without_silence
from cogviz.lime import dataset
from cogviz.models import zoo
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor, frame_levels
from cogviz.training.data import Example, Examples, collate, target
from cogviz.training.features import Features
from cogviz.utterance import Utterance

FRAMES = 3000
"""Log-mel frames of 30 s."""


def first_piece(utterance: Utterance, chosen: device.Device) -> dict[str, float]:
    """Load an untrained smol as `cogviz answer` loads a trained one and stream a direct answer; seconds and GB."""
    model, processor = zoo.new_smol()
    if chosen.mixed:
        model.store_frozen(chosen.dtype)
    listener = CogAudioListener.of(model, processor)
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        next(iter(listener.stream(utterance, route="direct", max_new_tokens=8)))
        taken.append(time.perf_counter() - begun)
    return {"first_piece_s": min(taken), "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def plain_step(model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, rows: list[Utterance]) -> tuple[float, int]:
    """One step as it is written without thinking about it: (loss, positions)."""
    mels = np.zeros((len(rows), 80, FRAMES), dtype=np.float32)
    levels = np.zeros((len(rows), FRAMES // 8), dtype=np.float32)
    for i, u in enumerate(rows):
        with torch.autocast("cpu", enabled=False):  # log-mels are fp32
            mel = processor.mel(without_silence(u.samples))
        mels[i, :, : mel.shape[1]] = mel
        levels[i] = frame_levels(np.pad(u.samples, (0, FRAMES * 160 - len(u.samples))), FRAMES // 8)
    states, mask = model.encode(torch.from_numpy(mels), torch.ones(len(rows), FRAMES, dtype=torch.long))
    words, tone = model.connector(states.float(), torch.from_numpy(levels), mask)
    table = model.get_input_embeddings().weight
    said = words.softmax(-1).to(table.dtype) @ table[: words.shape[-1]]
    texts = [processor.tokens(processor.prompt("reason", 0)) for _ in rows]
    answers = [[*processor.tokens(target(u, "reason")), processor.tokenizer.eos_token_id] for u in rows]
    longest = max(len(t) + len(a) for t, a in zip(texts, answers, strict=True))
    ids = torch.full((len(rows), longest), processor.tokenizer.pad_token_id)
    labels = torch.full_like(ids, -100)
    for i, (t, a) in enumerate(zip(texts, answers, strict=True)):
        ids[i, : len(t) + len(a)] = torch.tensor(t + a)
        labels[i, len(t) : len(t) + len(a)] = torch.tensor(a)
    audio = torch.cat([model.told(tone).to(table.dtype), said], dim=1)
    embeds = torch.cat([audio, model.get_input_embeddings()(ids)], dim=1)
    labels = torch.cat([labels.new_full(audio.shape[:2], -100), labels], dim=1)
    logits = model.language_model(inputs_embeds=embeds, use_cache=False).logits
    loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100)
    loss.backward()
    return float(loss.detach()), labels.numel()


def encoded(model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, utterances: list[Utterance]) -> Features:
    """The features of a few utterances in memory."""
    states, levels, starts = [], [], [0]
    for u in utterances:
        samples = without_silence(u.samples)
        with torch.autocast("cpu", enabled=False):
            mel = torch.from_numpy(processor.mel(samples))[None]
        found, _ = model.encode(mel, torch.ones(1, mel.shape[2], dtype=torch.long))
        states.append(found[0].transpose(0, 1).half().numpy())
        levels.append(frame_levels(samples, len(states[-1])))
        starts.append(starts[-1] + len(states[-1]))
    return Features(np.concatenate(states), np.concatenate(levels), np.array(starts), [u.id for u in utterances])


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset folder of `cogviz lime build`")
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    chosen = device.choose("cpu")
    utterances = [u for u in dataset.read(options.data) if u.extra["part"] == "ambiguous_train"]
    picked = [utterances[i] for i in np.random.default_rng(0).permutation(len(utterances))[: options.examples]]
    three = min(utterances, key=lambda u: abs(len(u.samples) / 16000 - 3))
    rows: list[dict[str, Any]] = [{"what": "answer", **first_piece(three, chosen)}]

    model, processor = zoo.new_smol()
    if chosen.mixed:
        model.store_frozen(chosen.dtype)
    model.config.use_cache = False
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=chosen.mixed)
    with autocast:
        begun = time.perf_counter()
        features = encoded(model, processor, picked)
        once = time.perf_counter() - begun
    examples = Examples([Example(i, "reason") for i in range(len(picked))], picked, features, processor, augment=True)
    order = sorted(range(len(picked)), key=lambda i: examples.lengths[i])
    model.train()
    for way in ("plain", "cogviz"):
        model.language_model.set_attn_implementation("sdpa" if way == "plain" else "eager")
        for measured in (False, True):  # the first round warms up
            count = options.examples if measured else options.batch
            begun, loss = time.perf_counter(), 0.0
            for start in range(0, count, options.batch):
                chunk = range(start, min(start + options.batch, count))
                if way == "plain":
                    with autocast:
                        loss, _ = plain_step(model, processor, [picked[i] for i in chunk])
                else:
                    batch = collate([examples[order[i]] for i in chunk], pad=processor.tokenizer.pad_token_id)
                    with autocast:
                        value = model(**batch).loss
                    value.backward()
                    loss = float(value.detach())
                model.zero_grad()
            seconds = time.perf_counter() - begun + (once if measured and way == "cogviz" else 0.0)
        rows.append({"what": f"train, {way}", "examples_per_s": options.examples / seconds, "loss": loss})
    rows.append({"what": "speed-up", "ratio": rows[2]["examples_per_s"] / rows[1]["examples_per_s"]})
    about = {"threads": torch.get_num_threads(), "device": chosen.reason, "batch": options.batch, "examples": options.examples}
    for row in rows:
        print(", ".join(f"{k} {v:.3g}" if isinstance(v, float) else str(v) for k, v in row.items()))
    print(about)
    if options.json:
        options.json.write_text(json.dumps([{**row, **about} for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
