"""One answer with everything that attribution and probing need: what stood at each position, and how likely each token of the answer was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from transformers import BatchFeature

    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.models.processing import CogAudioProcessor

SEGMENTS = ("prompt", "tone", "words", "answer")


@dataclass(frozen=True, eq=False)
class Record:
    """What a model read and said, position by position.

    Attributes:
        ids: (S,) token ids: the prompt with its audio placeholders, then the answer.
        pieces: S texts; of a placeholder the token that its frame says, or "tone 1" and so on.
        segments: (S,) index into `SEGMENTS`.
        frames: (S,) which 80 ms frame a position of the words holds; -1 elsewhere.
        read: (S,) False where a frame says nothing new and the language model does not attend to it.
        log_probs: (S,) log p of each token of the answer given all before it; nan elsewhere.
    """

    ids: np.ndarray
    pieces: list[str]
    segments: np.ndarray
    frames: np.ndarray
    read: np.ndarray
    log_probs: np.ndarray

    def positions(self, segment: str) -> np.ndarray:
        """Return the positions of a segment (one of `SEGMENTS`) that the language model reads."""
        return np.flatnonzero((self.segments == SEGMENTS.index(segment)) & self.read)


def record(model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, inputs: BatchFeature, answer: Sequence[int]) -> Record:
    """Return the record of one answer.

    Args:
        inputs: of one utterance, from the processor. answer: the generated token ids.
    """
    given = inputs["input_ids"][0]
    ids = torch.cat([given, torch.tensor(list(answer), dtype=given.dtype, device=given.device)])
    audio = {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
    whole = {"input_ids": ids[None], "attention_mask": torch.ones_like(ids)[None], **audio}
    labels = ids.clone()
    labels[: len(given)] = -100
    with torch.no_grad():
        likely = model(**whole, labels=labels[None], temperature=1.0).logits.float().cpu().numpy()
        _, attended, says, _ = model.hear(whole["input_ids"], whole["attention_mask"], **audio)
    place = (ids == model.config.audio_token_id).cpu().numpy()
    place[len(given) :] = False
    tone = processor.tone_tokens
    order = np.cumsum(place) - 1  # which placeholder
    segments = np.where(place, np.where(order < tone, SEGMENTS.index("tone"), SEGMENTS.index("words")), SEGMENTS.index("prompt"))
    segments[len(given) :] = SEGMENTS.index("answer")
    frames = np.where(segments == SEGMENTS.index("words"), order - tone, -1)
    best = says[0].argmax(dim=-1).cpu().numpy()
    pieces = [
        f"tone {order[i] + 1}" if segment == SEGMENTS.index("tone")
        else processor.tokenizer.decode([int(best[frames[i]] if frames[i] >= 0 else ids[i])])
        for i, segment in enumerate(segments)
    ]  # fmt: skip
    log_probs = np.full(len(ids), np.nan)
    log_probs[len(given) :] = likely
    return Record(ids.cpu().numpy(), pieces, segments, frames, attended[0].bool().cpu().numpy(), log_probs)
