"""The second ear: a small encoder of the voice, trained from scratch, beside Whisper's of the words.

It sees what Whisper's log-mel forgets (the absolute level) or hides (F0, periodicity), on the grid of the pooled encoder frames: four sub-frames of
20 ms in each. It learns to tell the emotion, how strong it is, and how prosody was moved; what it tells the language model are a few tokens, each
pooled over the whole utterance by a learned query. After speech emotion reasoning (arXiv 2506.06820), whose emotion encoder gives 10 tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cogviz.audio import RATE, NoVoice
from cogviz.emotions import EMOTIONS
from cogviz.lime.prosody import PARAMETERS
from cogviz.models.configuration import POOL, SAMPLES_PER_FRAME
from cogviz.pitch import pitch, windows

MELS = 40
CHANNELS = (*(f"mel_{i}" for i in range(MELS)), "energy", "f0", "periodicity", "flatness")
"""Of a sub-frame: log-mel and energy in (dBFS + 40) / 20, F0 in octaves above 100 Hz (0 where unvoiced), periodicity 0 .. 1, log flatness."""

LEVELS = MELS + 1
"""The first so many channels move with the recording level."""

LAYOUT = "2"
"""Changes whenever `acoustic_frames` gives other numbers: what was kept before is then computed again."""

SUB = SAMPLES_PER_FRAME // POOL
"""Samples of a sub-frame: 20 ms."""

WIDTH = POOL * len(CHANNELS)
"""Numbers a pooled frame: those of its sub-frames, one after the other."""

SIZES: dict[str, Any] = {"width": 128, "layers": 2, "heads": 4, "dropout": 0.2, "hidden": 256}
"""Of the encoder that variants have, and of the connector behind it (`hidden`)."""

TOKENS = 10
"""That it tells the language model, as in arXiv 2506.06820."""

FACTORS = tuple(PARAMETERS)
"""What the third head tells: the parameters of `lime.prosody`, standardised."""

LEAST_VOICE = 3
"""Sub-frames with a voice that a recording must have."""

_WINDOW = 512  # samples, 32 ms


def acoustic_frames(samples: np.ndarray, frames: int, *, name: str = "the recording") -> np.ndarray:
    """Return what the acoustic encoder hears, (frames, 4 x 44) float32, on the grid of the pooled encoder frames (80 ms).

    Args:
        samples: (n,) float, 16 kHz, without the silence at its ends. frames: as `processing.pooled_frames` says. name: for the message.

    Raises:
        NoVoice: no voiced frame.
    """
    count = frames * POOL
    heard = pitch(samples, hop=SUB, frames=count)
    if heard.voiced.sum() < LEAST_VOICE:
        raise NoVoice(f"{name} has no voiced frame (no F0), so the voice cannot be judged; give a recording in which somebody speaks aloud")
    around = windows(samples, _WINDOW, SUB, count)
    power = np.square(np.abs(np.fft.rfft(around * np.hanning(_WINDOW), axis=1))) / (_WINDOW * _WINDOW / 4)
    mel = power @ _filters()
    level = np.square(around).mean(axis=1)
    mean = power.mean(axis=1, keepdims=True)
    flatness = np.log(power / (mean + 1e-12) + 1e-4).mean(axis=1)  # whatever the level
    channels = [
        _loudness(mel),
        _loudness(level)[:, None],
        (heard.semitones / 12)[:, None],
        heard.periodicity[:, None],
        flatness[:, None] / 3,
    ]
    return np.concatenate(channels, axis=1).reshape(frames, WIDTH).astype(np.float32)


def moved(frames: np.ndarray, levels: float) -> np.ndarray:
    """Return frames as they would be at another recording level; `levels`: in units of 20 dB."""
    each = np.where(np.arange(WIDTH) % len(CHANNELS) < LEVELS, levels, 0.0).astype(frames.dtype)
    return frames + each


def _loudness(power: np.ndarray) -> np.ndarray:
    return np.clip((10 * np.log10(power + 1e-10) + 40) / 20, -3, 3)


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    from transformers.audio_utils import mel_filter_bank

    return np.asarray(mel_filter_bank(_WINDOW // 2 + 1, MELS, 50.0, RATE / 2, RATE, mel_scale="htk"))


class AcousticEncoder(nn.Module):
    """Convolutions and self-attention over 80 ms frames, then learned queries that each gather one token from the whole utterance.

    Padding is masked exactly: a clip gives the same numbers alone and in a batch.

    Args:
        sizes: `SIZES`, or some of them changed. tokens: number of queries.
    """

    mean: Tensor
    spread: Tensor
    factor_mean: Tensor
    factor_spread: Tensor

    def __init__(self, sizes: Mapping[str, Any], *, tokens: int) -> None:
        super().__init__()
        if unknown := set(sizes) - set(SIZES):
            raise ValueError(f"unknown size {sorted(unknown)[0]!r} of the acoustic encoder; known: {', '.join(SIZES)}")
        sizes = {**SIZES, **sizes}
        width, heads, drop = int(sizes["width"]), int(sizes["heads"]), float(sizes["dropout"])
        self.register_buffer("mean", torch.zeros(len(CHANNELS)))
        self.register_buffer("spread", torch.zeros(len(CHANNELS)))  # 0: not standardised yet
        self.register_buffer("factor_mean", torch.zeros(len(FACTORS)))
        self.register_buffer("factor_spread", torch.ones(len(FACTORS)))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(
                width if i else len(CHANNELS),
                width,
                6 if i < HALVINGS else 3,
                stride=2 if i < HALVINGS else 1,
                padding=2 if i < HALVINGS else 1,
            )
            for i in range(4)
        )
        self.whole = nn.Linear(2 * len(CHANNELS) + 2, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.place = nn.Linear(3, width)
        self.dropout = nn.Dropout(drop)
        self.blocks = nn.ModuleList(_Block(width, heads, drop) for _ in range(int(sizes["layers"])))
        self.queries = nn.Parameter(torch.randn(tokens, width) * 0.5)
        self.pool = _Attention(width, heads)
        self.before, self.last = nn.LayerNorm(width), nn.LayerNorm(width)
        self.emotion = nn.Linear(width, len(EMOTIONS))
        self.intensity = nn.Linear(width, 1)
        self.factors = nn.Linear(width, len(FACTORS))

    @property
    def is_standardised(self) -> bool:
        """Whether `standardise` was called, or a trained encoder was loaded."""
        return bool((self.spread > 0).all())

    def standardise(self, frames: np.ndarray, factors: np.ndarray | None = None) -> None:
        """Hear how a frame differs from others from now on: `frames` (N, 4 x 44) of the training speech, `factors` (M, 27) of its prosody."""
        each = torch.as_tensor(np.asarray(frames, dtype=np.float32)).reshape(-1, len(CHANNELS))
        self.mean.copy_(each.mean(dim=0))
        self.spread.copy_(each.std(dim=0).clamp(min=1e-2))
        if factors is not None and len(factors) > 1:
            known = torch.as_tensor(np.asarray(factors, dtype=np.float32))
            self.factor_mean.copy_(known.mean(dim=0))
            self.factor_spread.copy_(known.std(dim=0).clamp(min=1e-3))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(B, T, 4 x 44) frames and their (B, T) mask -> (B, K, W) tokens."""
        real = mask.bool().repeat_interleave(POOL, dim=1)
        each = (frames.float().unflatten(-1, (POOL, len(CHANNELS))).flatten(1, 2) - self.mean) / self.spread.clamp(min=1e-2)
        hidden = each.to(self.queries.dtype) * real[..., None]
        whole = self.whole(_statistics(hidden, frames.unflatten(-1, (POOL, -1)).flatten(1, 2)[..., F0] != 0, real))
        for i, (layer, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            real = real[:, ::2] if i < HALVINGS else real
            out = nn.functional.gelu(norm(layer(hidden.transpose(1, 2)).transpose(1, 2))) * real[..., None]  # padding stays zero
            hidden = hidden + out if i >= HALVINGS else out
        hidden = self.dropout(hidden + self.place(_places(real).to(hidden.dtype)))
        for block in self.blocks:
            hidden = block(hidden, real)
        asks = self.queries + whole[:, None]
        return torch.as_tensor(self.last(asks + self.pool(asks, self.before(hidden), real)))

    def told(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the tokens (B, K, W) say: (B, 7) logits of the emotion, (B,) its intensity k, (B, 27) prosody in units of its spread."""
        whole = tokens.mean(dim=1)
        return self.emotion(whole).float(), self.intensity(whole).float()[:, 0], self.factors(whole).float()


HALVINGS = 2
"""Convolutions that halve the rate, from 20 ms to the 80 ms of the pooled encoder frames."""

F0 = CHANNELS.index("f0")


class _Attention(nn.Module):
    """Attention (Vaswani et al. 2017) of some places to all that are real."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.asks, self.offers, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, places: Tensor, hidden: Tensor, real: Tensor) -> Tensor:
        """(B, Q, W) of `places` to (B, T, W) of `hidden`, where (B, T) `real`."""
        asked = self.asks(places).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        keys, values = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in self.offers(hidden).chunk(2, dim=-1))
        found = nn.functional.scaled_dot_product_attention(asked, keys, values, attn_mask=real[:, None, None])
        return torch.as_tensor(self.out(found.transpose(1, 2).flatten(2)))


class _Block(nn.Module):
    """Attention and two layers, each beside what goes past them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention, self.dropout = _Attention(width, heads), nn.Dropout(dropout)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(B, T, W) -> (B, T, W)."""
        normed = self.norms[0](hidden)
        hidden = hidden + self.dropout(self.attention(normed, normed, real))
        return torch.as_tensor(hidden + self.dropout(self.layers(self.norms[1](hidden))))


def _statistics(hidden: Tensor, voiced: Tensor, real: Tensor) -> Tensor:
    """(B, 2 x 44 + 2) mean and deviation over time of every channel (B, T, 44), and of F0 where there is a voice."""
    found = []
    for values, there in ((hidden, real), (hidden[..., F0 : F0 + 1], real & voiced)):
        weight = there[..., None].to(hidden.dtype)
        count = weight.sum(dim=1).clamp(min=1)
        mean = (values * weight).sum(dim=1) / count
        found += [mean, (((values - mean[:, None]).square() * weight).sum(dim=1) / count + 1e-6).sqrt()]
    return torch.cat(found, dim=-1)


def _places(real: Tensor) -> Tensor:
    """(B, T, 3) seconds from the beginning, to the end, and altogether, so that an ending is heard as one."""
    seconds = SAMPLES_PER_FRAME / RATE
    since = (real.long().cumsum(dim=1).float() - 1) * seconds
    whole = real.sum(dim=1, keepdim=True).float() * seconds
    return torch.stack([since.clamp(max=4), (whole - since).clamp(0, 4), whole.expand_as(since)], dim=-1)
