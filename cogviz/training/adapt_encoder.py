"""The encoder adapted too: Whisper's encoder and a probe learn together from log-mels, and the words stay where they were.

The probe has learned on the frozen encoder before, so that its first gradients do not undo what the encoder knows (Kumar et al. 2022,
arXiv 2202.10054). What the frames say of the words is held to what the encoder made them say before.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cogviz.audio import without_silence
from cogviz.models.encoder import encode_layers
from cogviz.models.processing import frame_levels, pooled_frames
from cogviz.training import adapt_tone
from cogviz.training.data import GAIN_DB
from cogviz.training.features import Features

if TYPE_CHECKING:
    from cogviz.device import Device
    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.models.processing import CogAudioProcessor
    from cogviz.utterance import Utterance

    Clip = tuple[Tensor, Tensor]

STEPS, BATCH = 500, 32
ENCODER_RATE, PROBE_RATE = 1e-4, 5e-4
WEIGHT_DECAY = 0.05

BANDS, FRAMES = 12, 0.1
"""SpecAugment (Park et al. 2019, arXiv 1904.08779): twice up to so many of the 80 mel bands, and up to this share of the frames, are masked."""

KEEP_WORDS = 1.0
"""Weight of the divergence of the words from what they were."""


def clips(utterances: Sequence[Utterance], processor: CogAudioProcessor, device: Device) -> list[Clip]:
    """Return ((F, mels) log-mel, (T,) levels) of each recording, on the device: they are few enough to stay there."""

    def clip(utterance: Utterance) -> Clip:
        samples = without_silence(utterance.samples)
        mel = processor.mel(samples)
        level = frame_levels(samples, pooled_frames(mel.shape[1]))
        return torch.from_numpy(mel.T.copy()).to(device.name), torch.from_numpy(level).to(device.name)

    with ThreadPoolExecutor() as threads:
        return list(threads.map(clip, utterances))


def _batch(chosen: Sequence[Clip]) -> tuple[Tensor, Tensor, Tensor]:
    """(B, mels, F) log-mels, (B, F) which frames are real, (B, T) levels."""
    mels = nn.utils.rnn.pad_sequence([mel for mel, _ in chosen], batch_first=True).transpose(1, 2)
    lengths = torch.tensor([len(mel) for mel, _ in chosen], device=mels.device)
    mask = torch.arange(mels.shape[2], device=mels.device) < lengths[:, None]
    return mels, mask.long(), nn.utils.rnn.pad_sequence([level for _, level in chosen], batch_first=True)


def masked(mels: Tensor, mask: Tensor, draw: np.random.Generator) -> Tensor:
    """Put each recording's mean in place of some of its bands and frames. `mels` (B, mels, F), `mask` (B, F)."""
    real = mask[:, None].to(mels.dtype)
    mean = (mels * real).sum(dim=(1, 2), keepdim=True) / (real.sum(dim=2, keepdim=True) * mels.shape[1])
    lengths = mask.sum(dim=1).cpu().numpy()
    hidden = torch.zeros_like(mels, dtype=torch.bool)
    for _ in range(2):
        for axis, size, longest in (
            (1, np.full(len(mels), mels.shape[1]), np.full(len(mels), float(BANDS))),
            (2, lengths, lengths * FRAMES),
        ):
            width = draw.random(len(mels)) * longest
            first = draw.random(len(mels)) * (size - width)
            bounds = torch.as_tensor(np.stack([first, first + width]).round(), device=mels.device)[..., None]
            places = torch.arange(mels.shape[axis], device=mels.device)
            inside = (places >= bounds[0]) & (places < bounds[1])
            hidden |= inside.unsqueeze(3 - axis)
    return torch.where(hidden, mean, mels)


def fine_tune(
    model: CogAudioForConditionalGeneration,
    layers: nn.Sequential,
    heard: Sequence[Clip],
    labels: Tensor,
    *,
    device: Device,
    steps: int = STEPS,
    seed: int = 0,
) -> None:
    """Teach the encoder and the `layers` of a probe that has learned before; `labels` (N,) of the clips."""
    connector, encoder, before = model.connector, model.audio_encoder, copy.deepcopy(model.audio_encoder)
    draw = np.random.default_rng((seed, 2))
    encoder.requires_grad_(True)
    encoder.embed_positions.requires_grad_(False)
    layers.train()

    def words(states: Tensor, levels: Tensor) -> Tensor:
        return connector.words(torch.cat([connector.words_mix(states), levels[..., None]], dim=-1)).float().log_softmax(-1)

    def loss(places: np.ndarray) -> Tensor:
        mels, mask, levels = _batch([heard[p] for p in places])
        mels = masked(mels, mask, draw)
        levels = levels + torch.as_tensor(draw.normal(0, GAIN_DB / 20, (len(places), 1)), dtype=levels.dtype, device=levels.device)
        with torch.autocast(device.name, torch.bfloat16, enabled=device.mixed):
            states, real = encode_layers(encoder, mels, mask)
            with torch.no_grad():
                said = words(encode_layers(before, mels, mask)[0], levels)
            moved = (said.exp() * (said - words(states, levels))).sum(-1)[real].mean()
        with torch.autocast(device.name, enabled=False):
            scores = layers(connector.pooled(states.float(), levels, real))
        return adapt_tone.smoothed(scores, labels[places]) + KEEP_WORDS * moved

    adapt_tone.descend(
        [
            {"params": [w for w in encoder.parameters() if w.requires_grad], "lr": ENCODER_RATE, "weight_decay": WEIGHT_DECAY},
            {"params": list(layers.parameters()), "lr": PROBE_RATE, "weight_decay": adapt_tone.WEIGHT_DECAY},
        ],
        loss,
        adapt_tone.batches(len(heard), BATCH, steps, seed=seed),
        steps,
    )
    layers.eval()
    encoder.requires_grad_(False)
    model.config.encoder_folder = None  # it is in the checkpoint from now on


def encoded(model: CogAudioForConditionalGeneration, heard: Sequence[Clip], ids: Sequence[str], *, device: Device) -> Features:
    """Return the features of clips by the model's encoder, in memory."""
    blocks: list[np.ndarray] = []
    for start in range(0, len(heard), BATCH):
        mels, mask, _ = _batch(heard[start : start + BATCH])
        with torch.autocast(device.name, torch.bfloat16, enabled=device.mixed):
            states, real = model.encode(mels, mask)
        blocks += [s[:, r].transpose(0, 1).half().cpu().numpy() for s, r in zip(states, real, strict=True)]
    return Features(
        states=np.concatenate(blocks),
        levels=np.concatenate([level.cpu().numpy() for _, level in heard]),
        starts=np.cumsum([0, *map(len, blocks)]),
        ids=list(ids),
    )
