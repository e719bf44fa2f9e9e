"""How fast a fresh nano learns to repeat what it reads: Muon and AdamW against AdamW alone, same rows, same learning rate.

    python benchmarks/optimizers.py --steps 400

Rows are the stage `reading` (simulated frames, no sound). Measured, teacher-forced, on sentences of held-out templates: the share of tokens
that are right, and cross-entropy. One thread, bf16 where the processor has it; seconds are those of training alone.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import torch
from torch.utils.data import DataLoader
from transformers import get_cosine_schedule_with_warmup
from transformers.trainer_pt_utils import LengthGroupedSampler

from cogviz.device import choose
from cogviz.eips import render
from cogviz.emotions import EMOTIONS
from cogviz.lime.annotate import annotate
from cogviz.lime.sentences import sentences
from cogviz.models import zoo
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.training import optimizer, reading, tokenizer

BATCH = 32


def right(model: CogAudioForConditionalGeneration, batches: list[dict[str, torch.Tensor]]) -> tuple[float, float]:
    """Return (share of the tokens that are right, mean cross-entropy)."""
    model.eval()
    hits, loss, count = 0.0, 0.0, 0
    for batch in batches:
        torch.manual_seed(1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=choose("cpu").mixed):
            logits = model(**{k: v for k, v in batch.items() if k != "labels"}).logits[:, :-1].float()
        wanted = batch["labels"][:, 1:]
        kept = wanted != -100
        hits += float((logits[kept].argmax(-1) == wanted[kept]).sum())
        loss += float(torch.nn.functional.cross_entropy(logits[kept], wanted[kept], reduction="sum"))
        count += int(kept.sum())
    return hits / count, loss / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, test = sentences(split="train"), sentences(split="test")
    chains = [render(annotate(s, e, "mid", seed=i)) for i, s in enumerate(train[::4]) for e in EMOTIONS]
    words = tokenizer.train([*(s.text for s in train), *chains], vocabulary=2048)
    for name in ("AdamW", "Muon and AdamW"):
        model, processor = zoo.new_nano(words)
        model.language_model.set_attn_implementation("eager")
        model.config.use_cache = False
        collate = partial(reading.collate, pad=words.pad_token_id)
        held_out = reading.ReadingExamples(list({s.text: 0 for s in test}), processor, count=96, seed=5)
        checks = [collate([held_out[i] for i in range(k, k + BATCH)]) for k in range(0, 96, BATCH)]
        rows = reading.ReadingExamples(list({s.text: 0 for s in train}), processor, count=options.steps * BATCH, seed=0)
        sampler = LengthGroupedSampler(BATCH, lengths=rows.lengths, generator=torch.Generator().manual_seed(0))
        learned = [p for p in model.parameters() if p.requires_grad]
        how = {"lr": options.learning_rate, "weight_decay": 0.01}
        update = (
            torch.optim.AdamW(learned, betas=optimizer.BETAS, **how)
            if name == "AdamW"
            else optimizer.make(model, decay={n for n, p in model.named_parameters() if p.ndim > 1}, **how)
        )
        schedule = get_cosine_schedule_with_warmup(update, max(1, options.steps // 20), options.steps)
        seconds = 0.0
        for step, batch in enumerate(DataLoader(rows, BATCH, sampler=sampler, collate_fn=collate), 1):
            started = time.time()
            model.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=choose("cpu").mixed):
                loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            update.step()
            update.zero_grad()
            schedule.step()
            seconds += time.time() - started
            if step % 100 == 0 or step == options.steps:
                share, entropy = right(model, checks)
                print(f"{name:<15} step {step:4d}  {seconds:4.0f} s  right {share:.3f}  cross-entropy {entropy:.3f}", flush=True)


if __name__ == "__main__":
    main()
