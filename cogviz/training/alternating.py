"""Task-alternating training of two branches (arXiv 2506.06820): a batch about the words teaches the words' branch, one about the voice the voice's.

The language model learns from both; the other branch is frozen, to the last bit. In the last fifth of the steps everything learns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.training.data import Example, TrainingError, draw_examples

SPEECH = ("transcribe", "topic")
"""Tasks about the words; the others are about the voice."""

BRANCHES = {"words": ("connector.words",), "voice": ("acoustic_encoder.", "connector.tone", "tone_head.")}
"""Branch -> beginnings of the names of its weights."""

JOINT = 0.2
"""Share of the steps, the last ones, in which both branches learn."""


def turns(tasks: dict[str, float], steps: int) -> list[str]:
    """Return the branch that each step is about, evenly spread by the weights of their tasks.

    Raises:
        TrainingError: there are tasks of one branch only.
    """
    share = sum(weight for task, weight in tasks.items() if task in SPEECH) / sum(tasks.values())
    if not 0 < share < 1:
        raise TrainingError(f"tasks of both branches are needed to alternate: of {', '.join(SPEECH)}, and others")
    at = np.floor(np.arange(steps + 1) * share + 0.5)
    return ["words" if more else "voice" for more in np.diff(at)]


def learns(branch: str, step: int, steps: int) -> tuple[str, ...]:
    """Return the branches that learn in a step (from 0) about `branch`."""
    return tuple(BRANCHES) if step >= round(steps * (1 - JOINT)) else (branch,)


def set_branches(model: CogAudioForConditionalGeneration, learning: Sequence[str]) -> None:
    """Let these branches learn and no other; encoder and language model stay as they are."""
    for name, weight in model.named_parameters():
        for branch, beginnings in BRANCHES.items():
            if name.startswith(beginnings):
                weight.requires_grad_(branch in learning)


def draw_alternating(steps: int, batch: int, pool: Sequence[int], tasks: dict[str, float], *, seed: int) -> tuple[list[Example], list[str]]:
    """Return the examples, those about the words first, and whose turn each step is."""
    turn = turns(tasks, steps)
    examples: list[Example] = []
    for i, branch in enumerate(BRANCHES):
        of_branch = {task: weight for task, weight in tasks.items() if (task in SPEECH) == (branch == "words")}
        examples += draw_examples(turn.count(branch) * batch, pool, of_branch, seed=seed + i) if branch in turn else []
    return examples, turn


class TurnSampler(Sampler[int]):
    """Indices in batches that are all about one branch, of similar length.

    Args:
        lengths: of the examples of `draw_alternating`, in their order. turn: the branch of each step. batch: examples a step.
    """

    def __init__(self, lengths: Sequence[int], turn: Sequence[str], *, batch: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.order: list[int] = []
        words = turn.count("words") * batch
        grouped = {}
        for branch, first, last in (("words", 0, words), ("voice", words, len(lengths))):
            found = get_length_grouped_indices(list(lengths[first:last]), batch, generator=generator) if last > first else []
            chunks = [[first + i for i in found[at : at + batch]] for at in range(0, len(found), batch)]
            grouped[branch] = iter([chunks[i] for i in torch.randperm(len(chunks), generator=generator).tolist()])
        for branch in turn:
            self.order += next(grouped[branch])

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)
