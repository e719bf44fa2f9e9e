"""What stands at each place of a passage, as people read it: the piece of text, the segment, the time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cogviz.audio import RATE
from cogviz.models.configuration import SAMPLES_PER_FRAME
from cogviz.models.packing import packed
from cogviz.models.protocol import Passage, Transparent
from cogviz.probing.segments import SEGMENTS, segments, tones

FRAME = SAMPLES_PER_FRAME / RATE
"""Seconds of a frame that the connector reads."""


@dataclass(frozen=True, eq=False)
class Places:
    """The places of one row that are no padding.

    Attributes:
        pieces: a text each: the token; of a place of the sound what its frame says, or "tone 1" and so on.
        segments: the name of the segment each.
        frames: (places,) which 80 ms frame of the sound; -1 where there is none or it is not known.
    """

    pieces: tuple[str, ...]
    segments: tuple[str, ...]
    frames: np.ndarray

    def of(self, *names: str) -> np.ndarray:
        """(places,) True in one of these segments."""
        return np.isin(self.segments, names)


def places(listener: Transparent, passage: Passage) -> list[Places]:
    """Return what stands where, row by row."""
    named, audio, count = segments(listener, passage).cpu().numpy(), passage.places("audio").cpu().numpy(), tones(listener)
    frames, said = _frames(listener, passage)
    found = []
    for row, ids in enumerate(passage.ids.cpu().numpy()):
        real = named[row] != SEGMENTS.index("padding")
        nth = np.cumsum(audio[row]) - 1
        pieces = [
            listener.tokenizer.decode([int(token)]) if not sounds
            else f"tone {nth[s] + 1}" if nth[s] < count
            else listener.tokenizer.decode([int(said[row, s])]) if said is not None else f"audio {nth[s] - count + 1}"
            for s, (token, sounds) in enumerate(zip(ids, audio[row], strict=True)) if real[s]
        ]  # fmt: skip
        found.append(Places(tuple(pieces), tuple(SEGMENTS[i] for i in named[row][real]), frames[row][real]))
    return found


def _frames(listener: Transparent, passage: Passage) -> tuple[np.ndarray, np.ndarray | None]:
    """(B, S) frame of each place, and which token it says: of a CogAudio model."""
    unknown = np.full(passage.ids.shape, -1)
    if not hasattr(listener.model, "hear"):
        return unknown, None
    ids = passage.inputs["input_ids"]
    with torch.no_grad():
        _, kept, words, _ = listener.model.hear(**passage.inputs)
    order = packed(kept, left=True)
    sounds = ids == listener.model.config.audio_token_id
    frame = torch.where(sounds, sounds.cumsum(dim=1) - 1 - tones(listener), -1).clamp(min=-1).gather(1, order)
    best = words.argmax(dim=-1)
    said = best.gather(1, frame.clamp(min=0, max=best.shape[1] - 1))
    return frame.cpu().numpy(), said.cpu().numpy()
