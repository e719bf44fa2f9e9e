"""The frozen encoder of Whisper, listened to at every layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from cogviz.models.configuration import POOL


def encode_layers(encoder: WhisperEncoder, input_features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Run Whisper's encoder on log-mels of their true length and return every layer, pooled to 80 ms.

    Padding is masked exactly: a clip gives the same numbers alone and in a batch.

    Args:
        input_features: (B, mels, F) log-mel frames of 10 ms, padded with anything.
        mask: (B, F) 1 where a frame is real.

    Returns:
        (B, L + 1, T, D) hidden states, 0 = after the convolutions, the last one after the final layer norm; (B, T) mask.
    """
    mask = mask.to(input_features.dtype)
    hidden = nn.functional.gelu(encoder.conv1(input_features * mask[:, None])) * mask[:, None]
    hidden = nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
    real = mask[:, ::2]
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    bias = torch.zeros_like(real).masked_fill(real == 0, torch.finfo(hidden.dtype).min)[:, None, None, :]
    states = [hidden]
    for layer in encoder.layers:
        hidden = layer(hidden, bias)
        states.append(hidden)
    states[-1] = encoder.layer_norm(states[-1])
    stacked = torch.stack(states, dim=1) * real[:, None, :, None]
    short = -stacked.shape[2] % POOL
    stacked = nn.functional.pad(stacked, (0, 0, 0, short))
    count = nn.functional.pad(real, (0, short)).unflatten(1, (-1, POOL)).sum(-1)
    pooled = stacked.unflatten(2, (-1, POOL)).sum(3) / count.clamp(min=1)[:, None, :, None]
    return pooled, count > 0
