"""Text-only pretraining: the language model learns to read what the connector will give it, before it hears a sound.

An untrained language model that meets a few thousand spoken sentences learns them by heart and never learns to listen. So it first repeats
sentences, more than half of them word salads that nothing but reading can repeat, from *simulated frames*: the embeddings of the sentence's
own tokens, each mixed with a little of another, and now and then a token too few, too many or wrong, which is what CTC compression leaves
of the connector's output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from cogviz.models.processing import CogAudioProcessor

SALAD = 0.6
"""Share of word salads."""

DROPPED, WRONG, ADDED = 0.03, 0.05, 0.03
"""Chance of each token to be missed, misheard, or followed by one that was not said."""


class ReadingExamples(Dataset):
    """`count` sentences or word salads with simulated frames, drawn by index, so that a resumed run sees the same."""

    def __init__(self, texts: Sequence[str], processor: CogAudioProcessor, *, count: int, seed: int) -> None:
        self.texts, self.processor, self.seed = list(texts), processor, seed
        self.words = sorted({word for text in texts for word in text.split()})
        self.lengths = [1] * count

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        draw = np.random.default_rng((self.seed, 7, index))
        salad = draw.random() < SALAD
        text = " ".join(draw.choice(self.words, draw.integers(4, 12))) if salad else self.texts[draw.integers(len(self.texts))]
        tokenizer = self.processor.tokenizer
        spoken = tokenizer(text, add_special_tokens=False)["input_ids"]
        others = draw.integers(len(tokenizer), size=(len(spoken), 2))
        chances = draw.random((len(spoken), 3))
        frames = []
        for token, (instead, added), chance in zip(spoken, others.tolist(), chances, strict=True):
            if chance[0] >= DROPPED:
                frames.append(instead if chance[1] < WRONG else token)
            if chance[2] < ADDED:
                frames.append(added)
        before = tokenizer(self.processor.prompt("transcribe", len(frames) + self.processor.tone_tokens), add_special_tokens=False)[
            "input_ids"
        ]
        answer = [*spoken, tokenizer.eos_token_id]
        return {"frame_tokens": frames, "input_ids": before + answer, "labels": [-100] * len(before) + answer}


def collate(rows: Sequence[dict[str, Any]], *, pad: int) -> dict[str, torch.Tensor]:
    """Pad rows to one batch."""

    def padded(name: str, fill: int) -> torch.Tensor:
        longest = max(len(r[name]) for r in rows)
        return torch.tensor([r[name] + [fill] * (longest - len(r[name])) for r in rows])

    longest = max(len(r["input_ids"]) for r in rows)
    return {
        "input_ids": padded("input_ids", pad),
        "labels": padded("labels", -100),
        "attention_mask": torch.tensor([[1] * len(r["input_ids"]) + [0] * (longest - len(r["input_ids"])) for r in rows]),
        "frame_tokens": padded("frame_tokens", -100),
    }
