"""How a voice sounds, learned anew from a corpus of real speech: the connector's tone path and what the language model calls it.

Of a recording the tone path hears mean and deviation over time of every encoder layer. What these are in a corpus of real speech is not what
they are in synthetic speech, so they are standardised over the recordings adapted to, and the path starts fresh: a start from synthetic
voices, batches standardised by themselves, or batches of similar length are each worse on unknown speakers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cogviz.emotions import EMOTIONS
from cogviz.models.listener import PERCEIVES
from cogviz.training.data import TrainingError, collate

if TYPE_CHECKING:
    from cogviz.device import Device
    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.models.processing import CogAudioProcessor
    from cogviz.training.features import Features

STEPS, BATCH, LEARNING_RATE = 300, 64, 2e-3
NAMING_STEPS, NAMING_BATCH, NAMING_RATE = 100, 32, 5e-4

DROPOUT, WEIGHT_DECAY, SMOOTHING = 0.5, 0.3, 0.1
"""A corpus is a thousand recordings by a few actors, whose voices are soon known by heart: far more than synthetic speech needs."""

ASKED = {"reason": PERCEIVES, "name": "The voice sounds"}
"""Task -> how its answer begins; what follows names the tone."""


class Readout(nn.Module):
    """Logits of a corpus's labels, read out of what the connector says of the tone.

    Args:
        labels: name -> adjective; the seven emotions come first.
    """

    def __init__(self, model: CogAudioForConditionalGeneration, labels: Mapping[str, str]) -> None:
        super().__init__()
        words = model.config.tone_words
        others = len(labels) - len(EMOTIONS)
        # Where tone is told in words, these have a logit already: the seven are the first, the corpus's own the last.
        self.places = None if words is None else [*range(len(EMOTIONS)), *range(len(words) - others, len(words))]
        self.linear = nn.Linear(model.config.text_config.hidden_size, len(labels)) if words is None else None

    def forward(self, tone: Tensor) -> Tensor:
        """(B, K, H) of the connector -> (B, labels) float32."""
        return tone[:, 0, self.places].float() if self.linear is None else self.linear(tone.float().mean(dim=1))

    def save(self, model: CogAudioForConditionalGeneration, labels: Mapping[str, str], folder: Path) -> None:
        """Put what is read out of the seven into the model, and all of it beside its checkpoint."""
        from safetensors.torch import save_file

        if self.linear is not None:
            with torch.no_grad():
                model.tone_head.weight.copy_(self.linear.weight[: len(EMOTIONS)])
                model.tone_head.bias.copy_(self.linear.bias[: len(EMOTIONS)])
            save_file({name: value.detach().cpu() for name, value in self.state_dict().items()}, folder / "readout.safetensors")
        (folder / "labels.json").write_text(json.dumps(dict(labels)))


def renew(model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, labels: Mapping[str, str]) -> Readout:
    """Give the model a fresh tone path that can tell `labels`, and return its readout; `connector.pooled` is not standardised then."""
    connector, config = model.connector, model.config
    others = [adjective for name, adjective in labels.items() if name not in EMOTIONS]
    if config.tone_words is not None and others:
        tokens = [processor.tokens(f" {word}") for word in others]
        if wrong := [word for word, found in zip(others, tokens, strict=True) if len(found) != 1]:
            raise TrainingError(f"the language model has no single token for {wrong[0]!r}; choose another adjective for it")
        config.tone_words = [*config.tone_words, *(found[0] for found in tokens)]
        connector.out += len(others)
    device, first = connector.tone[1].weight.device, connector.tone[1]
    connector.tone = nn.Sequential(
        nn.Dropout(DROPOUT),
        nn.Linear(first.in_features, first.out_features),
        nn.GELU(),
        nn.Dropout(DROPOUT),
        nn.Linear(first.out_features, connector.tone_tokens * connector.out),
    ).to(device)
    with torch.no_grad():
        connector.tone_weight.zero_()
    standardise(model, torch.zeros(1, first.in_features), torch.ones(1, first.in_features) - connector.tone_norm.eps)
    return Readout(model, labels).to(device)


def standardise(model: CogAudioForConditionalGeneration, mean: Tensor, variance: Tensor) -> None:
    """Let the tone path hear deviations from `mean` in units of the root of `variance`, (K,) or (1, K) each."""
    norm = model.connector.tone_norm
    norm.running_mean.copy_(mean.flatten())
    norm.running_var.copy_(variance.flatten())


def pooled(model: CogAudioForConditionalGeneration, stored: Features) -> Tensor:
    """(N, K) what the tone path hears of each recording."""
    rows = []
    with torch.no_grad():
        for i in range(len(stored)):
            states, levels = (torch.as_tensor(np.array(x), dtype=torch.float32, device=model.device)[None] for x in stored.get(i))
            rows.append(model.enrol(states, levels, torch.ones(levels.shape, device=model.device))[0])
    return torch.stack(rows)


def batches(count: int, size: int, steps: int, *, seed: int) -> Iterator[np.ndarray]:
    """`steps` times `size` places below `count`, each in random order again and again; of any length, so that a batch is like the corpus."""
    draw = np.random.default_rng(seed)
    order = np.concatenate([draw.permutation(count) for _ in range(-(-steps * size // count))])
    yield from order[: steps * size].reshape(steps, size)


def descend(weights: Sequence[Mapping[str, Any]], loss_of: Callable[[np.ndarray], Tensor], rows: Sequence[np.ndarray]) -> None:
    """AdamW over `rows` of batches, a cosine with warm-up.

    Args:
        weights: groups {params, lr, weight_decay} of an optimizer.
    """
    optimizer = torch.optim.AdamW([dict(group) for group in weights], betas=(0.9, 0.98))
    warm, steps = max(1, len(rows) // 20), len(rows)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (1 + math.cos(math.pi * step / steps)) / 2)
    )
    learned = [weight for group in optimizer.param_groups for weight in group["params"]]
    for places in rows:
        optimizer.zero_grad()
        loss = loss_of(places)
        if not torch.isfinite(loss):
            raise TrainingError("the loss is not finite any more; is a recording broken?")
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()


def smoothed(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with label smoothing."""
    return nn.functional.cross_entropy(scores, labels, label_smoothing=SMOOTHING)


def learn_tone(
    model: CogAudioForConditionalGeneration, readout: Readout, heard: Tensor, labels: Tensor, *, steps: int = STEPS, seed: int = 0
) -> None:
    """Teach the tone path and its readout, `heard` (N, K) standardised, `labels` (N,)."""
    tone = model.connector.tone.train()

    def loss(places: np.ndarray) -> Tensor:
        said = tone(heard[places]).unflatten(1, (model.connector.tone_tokens, model.connector.out))
        return smoothed(readout(said), labels[places])

    group = {"params": [*tone.parameters(), *readout.parameters()], "lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
    descend([group], loss, list(batches(len(heard), BATCH, steps, seed=seed)))
    tone.eval()


def question(
    processor: CogAudioProcessor, clip: tuple[np.ndarray, np.ndarray], task: str, adjective: str
) -> dict[str, Any]:
    """A row for `data.collate` in which only the word for the tone counts."""
    states, levels = clip
    before = processor.tokens(processor.prompt(task, states.shape[1] + processor.tone_tokens) + ASKED[task])
    after = processor.tokens(f" {adjective}")
    return {
        "states": states, "levels": levels, "spoken": [],
        "input_ids": before + after, "labels": [-100] * len(before) + after,
    }  # fmt: skip


def learn_to_name(
    model: CogAudioForConditionalGeneration,
    readout: Readout,
    processor: CogAudioProcessor,
    stored: Features,
    chosen: Sequence[int],
    heard: Tensor,
    labels: Tensor,
    adjectives: Sequence[str],
    *,
    device: Device,
    steps: int = NAMING_STEPS,
    seed: int = 0,
    which: str = "tone",
) -> None:
    """Teach the language model the word for what the tone path tells."""
    tone = model.connector.tone
    model.train()
    model.connector.tone_norm.eval()
    pad = processor.tokenizer.pad_token_id
    count = [0]

    def loss(places: np.ndarray) -> Tensor:
        count[0] += 1
        rows = [
            question(processor, stored.get(chosen[p]), list(ASKED)[(i + count[0]) % len(ASKED)], adjectives[int(labels[p])])
            for i, p in enumerate(places)
        ]
        batch = {name: value.to(model.device) for name, value in collate(rows, pad=pad).items() if name != "ctc_labels"}
        said = tone(heard[places]).unflatten(1, (model.connector.tone_tokens, model.connector.out))
        with torch.autocast(device.name, torch.bfloat16, enabled=device.mixed):
            named = model(**batch).loss
        return named + smoothed(readout(said), labels[places])

    groups = []
    if "tone" in which:
        groups.append({"params": [*tone.parameters(), *readout.parameters()], "lr": NAMING_RATE, "weight_decay": WEIGHT_DECAY})
    if "lm" in which:
        groups.append({"params": [w for w in model.language_model.parameters() if w.requires_grad], "lr": NAMING_RATE, "weight_decay": .01})
    descend(groups, loss, list(batches(len(heard), NAMING_BATCH, steps, seed=seed)))
    model.eval()
