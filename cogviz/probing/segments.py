"""What stands where in a passage: the instruction, the tone, the words, the steps of the chain, the response."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from cogviz.eips import STEPS
from cogviz.models.protocol import Passage, Transparent

SEGMENTS = ("padding", "instruction", "tone", "words", *STEPS, "response")
"""`tone`: what a model with a tone path says of the whole utterance; a model without one has its whole sound in `words`."""

_MARKS = {**{f"[{step.capitalize()}]": step for step in STEPS}, "<response>": "response"}
_MARK = re.compile("|".join(map(re.escape, _MARKS)))


def segments(listener: Transparent, passage: Passage) -> Tensor:
    """Return (B, S) the index into `SEGMENTS` of what stands at each place.

    An answer without the chain's marks is all response, up to the first mark; a mark belongs to what follows it.
    """
    found = torch.full_like(passage.parts, SEGMENTS.index("padding"))
    found[passage.places("instruction")] = SEGMENTS.index("instruction")
    audio = passage.places("audio")
    tone = audio & (audio.cumsum(dim=1) <= tones(listener))
    found[audio] = SEGMENTS.index("words")
    found[tone] = SEGMENTS.index("tone")
    for row, (ids, answer) in enumerate(zip(passage.ids, passage.places("answer"), strict=True)):
        places = answer.nonzero()[:, 0].tolist()
        for place, name in zip(places, _steps(listener, [int(ids[p]) for p in places]), strict=True):
            found[row, place] = SEGMENTS.index(name)
    return found


def tones(listener: Transparent) -> int:
    """Return how many of a passage's audio places tell the tone of the whole utterance: the first ones."""
    return int(getattr(getattr(listener, "processor", None), "tone_tokens", 0) or 0)


def _steps(listener: Transparent, tokens: list[int]) -> list[str]:
    """The segment of each token of an answer."""
    ends = [len(listener.tokenizer.decode(tokens[: i + 1])) for i in range(len(tokens))]
    marks = [(found.start(), _MARKS[found.group()]) for found in _MARK.finditer(listener.tokenizer.decode(tokens))]
    first = marks[0][1] if marks and marks[0][1] != "response" else "response"
    return [next((name for start, name in reversed(marks) if start < end), first) for end in ends]
