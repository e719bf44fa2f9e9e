"""The connector: from the encoder's layers to what is said and how it sounds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cogviz.models.acoustic import SIZES
from cogviz.models.configuration import CogAudioConfig

TONE_DROPOUT = 0.2
"""Of the pooled tone, in training: held-out speakers differ from those of the training in many of its values."""


class LayerMix(nn.Module):
    """A learned convex combination of the encoder's layers, each brought to the same scale first; or the last layer alone.

    Args:
        last: the last layer's share (as a logit over the others) that learning starts from.
    """

    def __init__(self, layers: int, width: int, mode: str, *, last: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.weight = nn.Parameter(torch.tensor([0.0] * (layers - 1) + [last])) if mode == "mix" else None

    def forward(self, states: Tensor) -> Tensor:
        """(B, L + 1, T, D) -> (B, T, D)."""
        if self.weight is None:
            return self.norm(states[:, -1])
        return torch.einsum("l,bltd->btd", self.weight.softmax(0).to(states.dtype), self.norm(states))


class CogAudioConnector(nn.Module):
    """Encoder layers -> which token each 80 ms frame says, and a few embeddings for the tone of the whole utterance.

    The words reach the language model in its own language: as the embeddings of the tokens, weighted by what CTC makes of the frame (after
    LegoSLM, Ma et al. 2025, arXiv 2505.11352). The tone comes from mean and deviation over time of each layer, weighed by a learned share.
    The level goes in beside both, because Whisper's log-mel is scaled to its own maximum and forgets how loud a voice is.
    """

    neutral: Tensor

    def __init__(self, config: CogAudioConfig) -> None:
        super().__init__()
        width, layers = config.audio_config.d_model, config.audio_config.encoder_layers + 1
        out = config.text_config.hidden_size
        self.words_mix = LayerMix(layers, width, config.layers, last=4.0)  # words are on top of the encoder, tone below
        self.words = nn.Sequential(
            nn.Linear(width + 1, config.connector_hidden),
            nn.GELU(),
            nn.Linear(config.connector_hidden, config.spoken or config.text_config.vocab_size),
        )
        self.dropout = nn.Dropout(config.connector_dropout)
        self.tone_tokens = config.tone_tokens
        self.out = out if config.tone_words is None else len(config.tone_words) + 1
        self.enrols = bool(self.tone_tokens) and config.acoustic is None
        if config.acoustic is not None:  # two layers with SiLU, as in arXiv 2506.06820
            inner = int({**SIZES, **config.acoustic}["width"])
            wide = int({**SIZES, **config.acoustic}["hidden"])
            self.register_buffer("neutral", torch.zeros(self.tone_tokens, inner))
            self.tone = nn.Sequential(nn.Linear(inner, wide), nn.SiLU(), nn.Dropout(TONE_DROPOUT), nn.Linear(wide, self.out))
        elif self.tone_tokens:
            heard = layers if config.layers == "mix" else 1
            self.tone_weight = nn.Parameter(torch.zeros(heard))
            # Standardised over utterances: what differs between them is small beside what they share, and it is what the tone is made of. Over all
            # that are trained on, once (`standardise`): over a batch of utterances of similar length, the tempo would go missing.
            self.tone_norm = nn.BatchNorm1d(heard * 2 * width + 2, affine=False)
            self.register_buffer("neutral", torch.zeros(heard * 2 * width + 2))
            self.tone = nn.Sequential(
                nn.Dropout(TONE_DROPOUT),
                nn.Linear(heard * 2 * width + 2, config.tone_hidden),
                nn.GELU(),
                nn.Dropout(TONE_DROPOUT),
                nn.Linear(config.tone_hidden, self.tone_tokens * self.out),
            )

    def train(self, mode: bool = True) -> CogAudioConnector:
        """As every module; what the tone is standardised by does not follow the batch."""
        super().train(mode)
        if self.enrols:
            self.tone_norm.eval()
        return self

    @property
    def is_standardised(self) -> bool:
        """Whether `standardise` was called."""
        return not self.enrols or bool(torch.as_tensor(self.tone_norm.num_batches_tracked))

    def standardise(self, heard: Tensor) -> None:
        """Hear how an utterance differs from others from now on: `heard` (N, layers x 2 D + 2) is their `statistics`."""
        torch.as_tensor(self.tone_norm.running_mean).copy_(heard.mean(dim=0))
        torch.as_tensor(self.tone_norm.running_var).copy_(heard.var(dim=0))
        torch.as_tensor(self.tone_norm.num_batches_tracked).fill_(1)

    def statistics(self, states: Tensor, levels: Tensor, mask: Tensor) -> Tensor:
        """(B, layers x 2 D + 2) float32 mean and deviation over time of every layer that is heard and of the level."""
        heard = states if len(self.tone_weight) > 1 else states[:, -1:]
        real = mask[:, None, :, None].float()
        count = real.sum(dim=2).clamp(min=1)
        mean = (heard.float() * real).sum(dim=2) / count
        spread = (((heard.float() - mean[:, :, None]).square() * real).sum(dim=2) / count).sqrt()
        level = (levels.float() * mask).sum(dim=1, keepdim=True) / count[:, 0]
        deviation = (((levels.float() - level).square() * mask).sum(dim=1, keepdim=True) / count[:, 0]).sqrt()
        return torch.cat([torch.cat([mean, spread], dim=-1).flatten(1), level, deviation], dim=1)

    def pooled(self, states: Tensor, levels: Tensor, mask: Tensor) -> Tensor:
        """(B, layers x 2 D + 2) `statistics`, standardised and weighted by layer."""
        standard = self.tone_norm(self.statistics(states, levels, mask))
        share = self.tone_weight.softmax(0) * len(self.tone_weight)
        weight = torch.cat([share.repeat_interleave(2 * states.shape[-1]), share.new_ones(2)])
        return (standard * weight).to(self.tone[1].weight.dtype)

    def plain(self) -> Tensor:
        """(1, K, H) the tone of the training speakers' neutral speech, in the form that `forward` returns."""
        neutral = self.neutral[None].to(torch.as_tensor(self.tone[-1].weight).dtype)
        found: Tensor = self.tone(neutral)
        return found.unflatten(1, (self.tone_tokens, self.out)) if self.enrols else found

    def forward(
        self, states: Tensor, levels: Tensor, mask: Tensor, enrolled: Tensor | None = None, voice: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return ((B, T, V) log-probabilities of the token that a frame says (V: those that can be spoken), (B, K, H) embeddings of the tone;
        with the config's `tone_words` (B, K, W + 1) logits of which word each tells, the last for none).

        Args:
            states: (B, L + 1, T, D) from `encode_layers`.
            levels: (B, T) level of each frame, (dBFS + 40) / 20.
            mask: (B, T).
            enrolled: (B, layers x 2 D + 2) `pooled` of a neutral recording by the same speaker: the voice is then heard relative to it, as if it
                were by a speaker whose neutral speech is the mean of the training speakers' (`neutral`). None: as it is.
            voice: (B, K, W) tokens of the acoustic encoder, where the model has one.
        """
        states = states.to(torch.as_tensor(self.words[0].weight).dtype)  # encoder layers are kept in half precision
        levels = levels.to(states.dtype)[..., None]
        words = self.words(self.dropout(torch.cat([self.words_mix(states), levels], dim=-1))).float().log_softmax(-1)
        if not self.tone_tokens:
            return words, states.new_zeros(len(states), 0, self.out)
        if voice is not None:
            return words, self.tone(voice)
        pooled = self.pooled(states, levels[..., 0], mask)
        if enrolled is not None:
            pooled = pooled - enrolled.to(pooled.dtype) + self.neutral.to(pooled.dtype)
        return words, self.tone(pooled).unflatten(1, (self.tone_tokens, self.out))
