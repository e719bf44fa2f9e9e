"""Places of a passage by name, alike in every passage of a listener, so that they can be counted together over utterances of unequal length."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from cogviz.models.protocol import Passage, Transparent
from cogviz.probing.segments import SEGMENTS, segments, tones

By = Literal["segment", "token", "place"]

WORD_PARTS = 4
"""Into how many stretches the words are cut where places are named by token: sentences differ in length."""

LAST = "last"
"""The place whose next token is asked for."""


def spans(listener: Transparent, passage: Passage, by: By = "segment") -> dict[str, Tensor]:
    """Return (B, S) True where each named span stands; every place but the padding is in exactly one.

    Args:
        by: `segment`: `before` (the sound), `tone`, `words`, `instruction` (behind the sound), the steps of the answer, `last`.
            `token`: each tone token, the words in quarters, each token of what is the same for all.
            `place`: every place by itself, counted from the end: -1 is the last.

    Raises:
        ValueError: another kind of name.
    """
    if by not in ("segment", "token", "place"):
        raise ValueError(f"spans are named by segment, token or place, not by {by!r}")
    found = segments(listener, passage)
    real = found != SEGMENTS.index("padding")
    size = found.shape[1]
    place = torch.arange(size, device=found.device).expand_as(found)
    if by == "place":
        return {f"{k - size}": real & (place == k) for k in range(size) if real[:, k].any()}
    audio = passage.places("audio")
    before = real & ~audio & (audio.cumsum(dim=1) == 0)
    named = {"before": before & audio.any(dim=1, keepdim=True)}
    rest = real & ~named["before"] & (place < size - 1)
    if by == "segment":
        order = sorted(range(1, len(SEGMENTS)), key=lambda i: SEGMENTS[i] not in ("tone", "words"))  # the task stands behind the sound
        named |= {SEGMENTS[i]: rest & (found == i) for i in order}
    else:
        count, told = audio.cumsum(dim=1), tones(listener)
        named |= {f"tone {k + 1}": audio & (count == k + 1) for k in range(told)}
        words = audio & (count > told)
        stretch = ((count - told - 1) * WORD_PARTS).div((words.sum(dim=1, keepdim=True)).clamp(min=1), rounding_mode="floor")
        named |= {f"words {k + 1}/{WORD_PARTS}": words & (stretch == k) for k in range(WORD_PARTS)}
        shared = rest & ~audio
        tokens = {k: f"{k - size} {_text(listener, passage, k)}" for k in range(size - 1) if shared[:, k].any()}
        named |= {name: shared & (place == k) for k, name in tokens.items()}
    named[LAST] = real & (place == size - 1)
    return {name: mask for name, mask in named.items() if mask.any()}


def _text(listener: Transparent, passage: Passage, place: int) -> str:
    """The token at a place that all rows share."""
    ids = passage.ids[:, place].unique()
    return (str(listener.tokenizer.decode([int(ids[0])])).strip() or "space") if len(ids) == 1 else "..."


def lined_up(listener: Transparent, bases: Passage, donors: Passage) -> tuple[Tensor, Tensor]:
    """Match the places of each base with those of its donor, the same row of another passage, segment by segment.

    Where a segment has as many places in both, the first goes with the first and so on; else each place of the base goes with the donor's at
    the same share of the way.

    Returns:
        (N, S) the donor's place for each of the base's, -1 where there is none; (N,) True where all segments are equally long.
    """
    mine, theirs = spans(listener, bases), spans(listener, donors)
    match = torch.full_like(bases.ids, -1)
    equal = torch.ones(len(bases.ids), dtype=torch.bool, device=bases.ids.device)
    for name in mine.keys() | theirs.keys():
        for row in range(len(bases.ids)):
            here, there = (m[name][row].nonzero()[:, 0] if name in m else match.new_zeros(0) for m in (mine, theirs))
            equal[row] &= len(here) == len(there)
            if len(here) and len(there):
                way = torch.linspace(0, len(there) - 1, len(here), device=there.device).round().long()
                match[row, here] = there[way]
    return match, equal
