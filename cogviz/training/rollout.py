"""Rollouts of stage III: outputs sampled for a few prompts on one route, and how likely a policy finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training.features import Features

MAX_NEW_TOKENS = {"reason": 190, "direct": 60}


def prompt_batch(indices: Sequence[int] | np.ndarray, task: str, features: Features, processor: CogAudioProcessor) -> dict[str, Tensor]:
    """Return the left-padded model input of a task for utterances by index, from cached features."""
    return dict(processor.from_states([features.get(int(i)) for i in indices], task))


def repeat(batch: dict[str, Tensor], times: int) -> dict[str, Tensor]:
    """Repeat every row `times` times, neighbours together."""
    return {name: value.repeat_interleave(times, dim=0) for name, value in batch.items()}


def sample(model: CogAudioForConditionalGeneration, batch: dict[str, Tensor], *, route: str, temperature: float) -> Tensor:
    """Sample one output a row with the key-value cache; (N, S + new) token ids."""
    model.config.use_cache = True
    with torch.no_grad(), model.folded():
        return model.generate(**batch, do_sample=True, temperature=temperature, top_k=0, top_p=1.0, max_new_tokens=MAX_NEW_TOKENS[route])


def log_probabilities(model: torch.nn.Module, batch: dict[str, Tensor], sequences: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Return (N, new) log p of the sampled tokens under the policy, at the temperature that sampled them; 0 outside `mask`."""
    start = batch["input_ids"].shape[1]
    attention = torch.cat([batch["attention_mask"], mask.long()], dim=1)
    labels = sequences.masked_fill(~torch.nn.functional.pad(mask, (start, 0)), -100)
    rest = {k: v for k, v in batch.items() if k not in ("input_ids", "attention_mask")}
    found = model(input_ids=sequences, attention_mask=attention, labels=labels, temperature=temperature, use_cache=False, **rest).logits
    return found.new_zeros(mask.shape).masked_scatter(mask, found)


def output_mask(new: Tensor, end: int) -> Tensor:
    """(N, new) True up to and including the first end token."""
    ended = (new == end).cumsum(dim=1)
    return (ended == 0) | ((new == end) & (ended == 1))


@dataclass(frozen=True, eq=False)
class Rollout:
    """Outputs of one policy.

    Attributes:
        batch: model input of N rows, those of one prompt together. sequences: (N, S + new) with the outputs. mask: (N, new) their tokens.
        temperature: at which they were sampled.
    """

    batch: dict[str, Tensor]
    sequences: Tensor
    mask: Tensor
    temperature: float

    def texts(self, processor: CogAudioProcessor) -> list[str]:
        """The outputs as text."""
        new = self.sequences[:, self.batch["input_ids"].shape[1] :]
        return [processor.tokenizer.decode(row[keep], skip_special_tokens=True) for row, keep in zip(new, self.mask, strict=True)]

    def log_probabilities(self, policy: torch.nn.Module, rows: Tensor) -> Tensor:
        """(rows, new) log p of the tokens of some outputs under a policy; 0 outside their mask."""
        batch = {name: value[rows] for name, value in self.batch.items()}
        return log_probabilities(policy, batch, self.sequences[rows], self.mask[rows], self.temperature)

    def everything(self, policy: torch.nn.Module, at_once: int) -> Tensor:
        """(N, new) log p of all outputs under a policy, without gradient."""
        with torch.no_grad():
            rows = torch.arange(len(self.sequences), device=self.sequences.device)
            return torch.cat([self.log_probabilities(policy, part) for part in rows.split(at_once)])


def roll_out(
    model: CogAudioForConditionalGeneration,
    processor: CogAudioProcessor,
    features: Features,
    chosen: Sequence[int] | np.ndarray,
    *,
    route: str,
    group: int,
    temperature: float,
    device: torch.device,
    rows: int | None = None,
) -> Rollout:
    """Sample `group` outputs on a route for each of the chosen utterances (indices).

    Args:
        rows: outputs sampled at once, for less memory; None: all.
    """
    batch = {k: v.to(device) for k, v in repeat(prompt_batch(chosen, route, features, processor), group).items()}
    model.eval()
    start, end = batch["input_ids"].shape[1], processor.tokenizer.eos_token_id
    count = len(batch["input_ids"])
    new = [
        sample(model, {k: v[first : first + (rows or count)] for k, v in batch.items()}, route=route, temperature=temperature)[:, start:]
        for first in range(0, count, rows or count)
    ]
    longest = max(part.shape[1] for part in new)
    outputs = torch.cat([torch.nn.functional.pad(part, (0, longest - part.shape[1]), value=end) for part in new])
    sequences = torch.cat([batch["input_ids"], outputs], dim=1)
    mask = output_mask(outputs, end)
    return Rollout(batch, sequences, mask, temperature)
