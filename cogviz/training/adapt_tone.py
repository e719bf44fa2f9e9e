"""How a voice sounds, learned anew from real speech: a probe of what the connector's tone path hears, and the words for what it tells.

Of a recording the tone path hears mean and deviation over time of every encoder layer. They are standardised over the recordings that are
adapted to, once, and the path is learned afresh on batches of any length: standardised batch by batch, among recordings of similar length,
the length goes missing with all that goes with it, and .13 of the balanced accuracy is lost (docs/decisions.md). The language model stays as it
is: for the labels' scores, whatever voice they come from, tone tokens are sought that make it say the right word and leave it the words that
it heard (`find_names`). What else the tone tokens told, such as cue words, is not kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cogviz.emotions import EMOTIONS
from cogviz.lime.sentences import sentences
from cogviz.models.listener import PERCEIVES
from cogviz.training.data import TrainingError

if TYPE_CHECKING:
    from cogviz.device import Device
    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.models.processing import CogAudioProcessor
    from cogviz.training.features import Features

STEPS, BATCH, LEARNING_RATE = 300, 64, 2e-3
PROBES = 4
"""Learned from different beginnings, and averaged."""

NAMING_STEPS, NAMING_BATCH, NAMING_RATE = 400, 32, 3e-2

DROPOUT, WEIGHT_DECAY, SMOOTHING = 0.5, 0.3, 0.1
"""A corpus is a thousand recordings by a few actors, whose voices are soon known by heart: far more than synthetic speech needs."""


def asked(model: CogAudioForConditionalGeneration) -> dict[str, str]:
    """Task -> how a model's answer to it begins; what follows names the tone."""
    return {"reason": PERCEIVES[model.config.thinks], "name": "The voice sounds"}


MISREAD = 0.3
"""Share of the words that are others while names are sought: real speech is misheard more often than ours."""

SHARPNESS = 2.0
"""A name's probability is softmax(SHARPNESS x scores): the probe's own are smoothed, and a model that speaks must decide."""


def restart(model: CogAudioForConditionalGeneration) -> None:
    """Let the tone path hear every layer alike and as it is (`pooled` is not standardised); what it makes of them has to be learned again."""
    norm = model.connector.tone_norm
    with torch.no_grad():
        model.connector.tone_weight.zero_()
        torch.as_tensor(norm.running_mean).zero_()
        torch.as_tensor(norm.running_var).fill_(1 - norm.eps)


def pooled(model: CogAudioForConditionalGeneration, stored: Features) -> Tensor:
    """(N, K) float32 what the tone path hears of each recording."""
    rows = []
    with torch.no_grad():
        for i in range(len(stored)):
            states, levels, *_ = (torch.as_tensor(np.array(x), dtype=torch.float32, device=model.device)[None] for x in stored.get(i))
            rows.append(model.enrol(states, levels, torch.ones(levels.shape, device=model.device))[0])
    return torch.stack(rows)


def probe(model: CogAudioForConditionalGeneration, labels: int) -> nn.Sequential:
    """Return a fresh tone path that ends in the scores of so many labels."""
    return _layers(len(model.connector.neutral), model.config.tone_hidden, labels).to(model.device)


def _layers(width: int, hidden: int, labels: int) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(hidden, labels))


def batches(count: int, size: int, steps: int, *, seed: int) -> Iterator[np.ndarray]:
    """`steps` times `size` places below `count`: all in random order, again and again, of any length, so that a batch is like the corpus."""
    draw = np.random.default_rng(seed)
    order = np.concatenate([draw.permutation(count) for _ in range(-(-steps * size // count))])
    yield from order[: steps * size].reshape(steps, size)


def descend(groups: list[dict[str, Any]], loss_of: Callable[[np.ndarray], Tensor], rows: Iterator[np.ndarray], steps: int) -> None:
    """AdamW over `steps` batches, a cosine with warm-up.

    Args:
        groups: {params, lr, weight_decay} each.

    Raises:
        TrainingError: the loss is not finite.
    """
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    warm = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min((i + 1) / warm, (1 + math.cos(math.pi * i / steps)) / 2))
    learned = [weight for group in optimizer.param_groups for weight in group["params"]]
    for places in rows:
        optimizer.zero_grad()
        loss = loss_of(places)
        if not torch.isfinite(loss):
            raise TrainingError("the loss of the adaptation is not finite; is a recording broken?")
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()


def learn(model: CogAudioForConditionalGeneration, heard: Tensor, labels: Tensor, *, among: int, steps: int, seed: int) -> nn.Sequential:
    """Return a probe that has learned, the mean of `PROBES`: `heard` (N, K) standardised, `labels` (N,) places `among` so many labels."""
    probes = [probe(model, among) for _ in range(PROBES)]
    for number, layers in enumerate(probes):
        _fit(layers, heard, labels, steps=steps, seed=seed * PROBES + number)
    return merged(probes).eval()


def _fit(layers: nn.Sequential, heard: Tensor, labels: Tensor, *, steps: int, seed: int) -> None:
    layers.train()
    descend(
        [{"params": list(layers.parameters()), "lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}],
        lambda places: smoothed(layers(heard[places]), labels[places]),
        batches(len(heard), BATCH, steps, seed=seed),
        steps,
    )


def merged(probes: Sequence[nn.Sequential]) -> nn.Sequential:
    """Return one probe, as wide as all of them, whose scores are the mean of theirs."""
    states = [layers.state_dict() for layers in probes]
    whole = {
        "1.weight": torch.cat([s["1.weight"] for s in states]),
        "1.bias": torch.cat([s["1.bias"] for s in states]),
        "4.weight": torch.cat([s["4.weight"] for s in states], dim=1) / len(states),
        "4.bias": torch.stack([s["4.bias"] for s in states]).mean(dim=0),
    }
    hidden, width = whole["1.weight"].shape
    layers = _layers(width, hidden, len(whole["4.bias"])).to(whole["1.weight"].device)
    layers.load_state_dict(whole)
    return layers


def smoothed(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with label smoothing."""
    return nn.functional.cross_entropy(scores, labels, label_smoothing=SMOOTHING)


def find_names(
    model: CogAudioForConditionalGeneration,
    processor: CogAudioProcessor,
    labels: Mapping[str, str],
    *,
    device: Device,
    steps: int,
    seed: int,
) -> nn.Linear:
    """Return the layer from the labels' scores to tone tokens that make the language model name the likeliest.

    Where it is told the tone in words, these are the labels' adjectives. Otherwise embeddings are sought by gradient through the language
    model, whose weights are frozen for it, on drawn scores and written sentences: no recording takes part, so one search serves every fold.

    Args:
        labels: name -> adjective.

    Raises:
        TrainingError: an adjective is not a single token of a language model whose tone tokens are sought.
    """
    if model.config.tone_words is not None:
        return _told(model, [processor.tokens(f" {word}")[0] for word in labels.values()])  # a word's first token, as in `tone`
    words = [tokens[0] for word in labels.values() if len(tokens := processor.tokens(f" {word}")) == 1]
    if len(words) < len(labels):
        wrong = next(word for word in labels.values() if len(processor.tokens(f" {word}")) != 1)
        raise TrainingError(f"the language model has no single token for {wrong!r}; name that label by another adjective")
    names = nn.Linear(len(labels), model.connector.tone_tokens * model.connector.out).to(model.device)
    table = torch.as_tensor(model.get_input_embeddings().weight).detach()
    texts = [processor.spoken_tokens(s.text) for s in sentences(split="train")]
    chosen, draw = torch.tensor(words, device=model.device), np.random.default_rng((seed, 1))
    model.requires_grad_(False)
    beginnings = asked(model)

    def read(rows: Sequence[tuple[str, list[int], list[int]]], scores: Tensor, keep: int) -> Tensor:
        """(B, keep, V) float32 log p at the last places of (task, tokens heard, tokens of the answer so far)."""
        tone = names(scores).unflatten(1, (model.connector.tone_tokens, model.connector.out)).to(table.dtype)
        embeds = []
        for (task, heard, answer), told in zip(rows, tone, strict=True):
            before, after = processor.prompt(task, 1).split(processor.audio_token)
            told_and_heard = torch.cat([table[processor.tokens(before)], told, table[heard]])
            embeds.append(torch.cat([told_and_heard, table[processor.tokens(after + beginnings.get(task, "")) + answer]]))
        longest = max(map(len, embeds))
        mask = torch.tensor([[0] * (longest - len(e)) + [1] * len(e) for e in embeds], device=model.device)
        with torch.autocast(device.name, torch.bfloat16, enabled=device.mixed):
            logits = model.language_model(
                inputs_embeds=torch.stack([nn.functional.pad(e, (0, 0, longest - len(e), 0)) for e in embeds]),
                attention_mask=mask,
                position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
                use_cache=False,
                logits_to_keep=keep,
            ).logits
        return logits.float().log_softmax(-1)

    def loss(places: np.ndarray) -> Tensor:
        heard, first = [texts[place] for place in places], len(places) // 4
        heard[first:] = [[int(draw.integers(len(table))) if draw.random() < MISREAD else t for t in h] for h in heard[first:]]
        scores = torch.as_tensor(_drawn_scores(draw, len(heard), len(labels)), device=model.device)
        # The first are repeated, for the tone must not disturb the words; the tone of the others is named.
        named = read([(str(draw.choice(list(beginnings))), h, []) for h in heard[first:]], scores[first:], 1)[:, -1, chosen]
        longest = max(map(len, heard[:first]))
        said = read([("transcribe", h, h[:-1]) for h in heard[:first]], scores[:first], longest)
        right = torch.tensor([[-100] * (longest - len(h)) + h for h in heard[:first]], device=model.device)
        repeated = nn.functional.nll_loss(said.flatten(0, 1), right.flatten())
        return repeated - ((SHARPNESS * scores[first:]).softmax(-1) * named).sum(dim=1).mean()

    descend(
        [{"params": list(names.parameters()), "lr": NAMING_RATE, "weight_decay": 0.0}],
        loss,
        batches(len(texts), NAMING_BATCH, steps, seed=seed),
        steps,
    )
    return names


def _drawn_scores(draw: np.random.Generator, rows: int, labels: int) -> np.ndarray:
    """(rows, labels) float32 as a probe gives them for unknown speakers: one label or two ahead of the others by 0 to 5."""
    scores = draw.normal(0, 0.7, (rows, labels))
    for ahead in (5.0, 2.5):
        scores[np.arange(rows), draw.integers(labels, size=rows)] += ahead * draw.random(rows)
    return (scores - scores.mean(axis=1, keepdims=True)).astype(np.float32)


def _told(model: CogAudioForConditionalGeneration, words: Sequence[int]) -> nn.Linear:
    """The layer that puts scores on the first tone token's words and lets the others be silent; words it lacks are added."""
    connector, config = model.connector, model.config
    config.tone_words = [*config.tone_words, *(word for word in words if word not in config.tone_words)]
    connector.out = len(config.tone_words) + 1
    names = nn.Linear(len(words), connector.tone_tokens * connector.out).to(model.device)
    with torch.no_grad():
        weight, bias = names.weight.zero_().unflatten(0, (-1, connector.out)), names.bias.zero_().unflatten(0, (-1, connector.out))
        bias[0] = -30.0
        bias[1:, -1] = 30.0
        for label, word in enumerate(words):
            place = config.tone_words.index(word)
            weight[0, place, label], bias[0, place] = SHARPNESS, 0.0
    return names


def install(model: CogAudioForConditionalGeneration, layers: nn.Sequential, names: nn.Linear, neutral: Tensor) -> None:
    """Put a probe and its names into the model: as its tone path, and as the readout of the seven emotions, which are the first labels.

    Args:
        neutral: (K,) what the tone path hears of neutral speech, standardised: the mean that an enrolled voice is moved to.
    """
    connector = model.connector
    last, bias = (torch.as_tensor(x) for x in (layers[4].weight, layers[4].bias))
    told = nn.Linear(last.shape[1], names.out_features).to(model.device)
    with torch.no_grad():
        told.weight.copy_(names.weight @ last)
        told.bias.copy_(names.weight @ bias + names.bias)
        if model.config.tone_words is None:  # the readout hears the mean of the tone tokens; from it the scores are to be had back
            weight, bias = (x.unflatten(0, (connector.tone_tokens, -1)).mean(dim=0) for x in (names.weight, names.bias))
            back = torch.linalg.pinv(weight)[: len(EMOTIONS)]
            model.tone_head.weight.copy_(back)
            model.tone_head.bias.copy_(-back @ bias)
        connector.neutral.copy_(neutral)
    connector.tone = nn.Sequential(*list(layers)[:4], told).eval()
    model.config.tone_hidden = last.shape[1]
