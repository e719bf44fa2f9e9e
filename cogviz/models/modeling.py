"""CogAudio: a Whisper encoder, a connector that keeps words and tone, and a causal language model.

The shape is that of the audio language models in transformers: placeholders in the text are replaced by audio embeddings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from cogviz.models.configuration import POOL, CogAudioConfig


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


class LayerMix(nn.Module):
    """A learned convex combination of the encoder's layers, each brought to the same scale first; or the last layer alone."""

    def __init__(self, layers: int, width: int, mode: str) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.weight = nn.Parameter(torch.zeros(layers)) if mode == "mix" else None

    def forward(self, states: Tensor) -> Tensor:
        """(B, L + 1, T, D) -> (B, T, D)."""
        if self.weight is None:
            return self.norm(states[:, -1])
        return torch.einsum("l,bltd->btd", self.weight.softmax(0).to(states.dtype), self.norm(states))


class CogAudioConnector(nn.Module):
    """Encoder layers -> embeddings: one per 80 ms for the words, and a few for the tone of the whole utterance.

    The level of each frame goes in beside it, because Whisper's log-mel is scaled to its own maximum and forgets how loud a voice is.
    """

    def __init__(self, config: CogAudioConfig) -> None:
        super().__init__()
        width, layers = config.audio_config.d_model, config.audio_config.encoder_layers + 1
        out = config.text_config.hidden_size
        self.words_mix = LayerMix(layers, width, config.layers)
        self.tone_mix = LayerMix(layers, width, config.layers)
        self.words = nn.Sequential(nn.Linear(width + 1, config.connector_hidden), nn.GELU(), nn.Linear(config.connector_hidden, out))
        self.radius = nn.Parameter(torch.tensor(1.0))
        self.dropout = nn.Dropout(config.connector_dropout)
        self.tone_tokens = config.tone_tokens
        if self.tone_tokens:
            self.attend = nn.Linear(width + 1, self.tone_tokens)
            self.tone = nn.Sequential(
                nn.Linear(2 * (width + 1), config.connector_hidden),
                nn.GELU(),
                nn.Linear(config.connector_hidden, out),
            )
            # Standardised over utterances: what differs between them is small beside what they share, and it is what the tone is made of.
            self.tone_norm = nn.BatchNorm1d(2 * (width + 1), affine=False)
            self.tone_place = nn.Parameter(torch.zeros(self.tone_tokens, out))

    def project(self, words: Tensor) -> Tensor:
        """Put word embeddings on a sphere of learned radius: only their direction speaks, as in the CTC loss that forms them."""
        return nn.functional.normalize(words.float(), dim=-1).to(words.dtype) * self.radius

    def forward(self, states: Tensor, levels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return ((B, tone + T, H) embeddings, (B, tone + T) mask).

        Args:
            states: (B, L + 1, T, D) from `encode_layers`.
            levels: (B, T) level of each frame, (dBFS + 40) / 20.
            mask: (B, T).
        """
        levels = levels.to(states.dtype)[..., None]
        words = self.project(self.words(self.dropout(torch.cat([self.words_mix(states), levels], dim=-1))))
        if not self.tone_tokens:
            return words, mask
        frames = self.dropout(torch.cat([self.tone_mix(states), levels], dim=-1))
        score = self.attend(frames).float().masked_fill(~mask[..., None], -1e9).softmax(dim=1).to(frames.dtype)
        mean = torch.einsum("btk,btd->bkd", score, frames)
        spread = (torch.einsum("btk,btd->bkd", score, frames.square()) - mean.square()).clamp(min=1e-5).sqrt()
        pooled = torch.cat([mean, spread], dim=-1)
        pooled = self.tone_norm(pooled.float().flatten(0, 1)).view_as(pooled).to(pooled.dtype)
        tone = self.tone(pooled) + self.tone_place
        return torch.cat([tone, words], dim=1), torch.cat([mask.new_ones(len(mask), self.tone_tokens), mask], dim=1)


class CogAudioPreTrainedModel(PreTrainedModel):
    """What transformers needs to know of every CogAudio model."""

    config_class = CogAudioConfig
    base_model_prefix = "model"
    input_modalities = ("audio", "text")
    _keys_to_ignore_on_load_missing = [r"audio_encoder\."]
    _supports_sdpa = True
    _supports_attention_backend = True


class CogAudioForConditionalGeneration(CogAudioPreTrainedModel, GenerationMixin):
    """Audio and text in, text out.

    Audio comes as log-mels (`input_features` with `feature_attention_mask`) or as encoder layers computed before (`audio_states` with
    `audio_mask`); `audio_levels` belongs to both.
    """

    def __init__(self, config: CogAudioConfig) -> None:
        super().__init__(config)
        self.audio_encoder = WhisperEncoder(config.audio_config)
        self.connector = CogAudioConnector(config)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.ctc_scale = nn.Parameter(torch.tensor(2.7))
        self.post_init()

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Save as transformers does; without the frozen encoder where the config says that it lies in a folder of its own."""
        if self.config.encoder_folder is not None:
            state = kwargs.pop("state_dict", None) or self.state_dict()
            kwargs["state_dict"] = {name: value for name, value in state.items() if not name.startswith("audio_encoder.")}
        super().save_pretrained(save_directory, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *args: Any, **kwargs: Any) -> CogAudioForConditionalGeneration:
        """Load as transformers does, and the frozen encoder from the folder that the config names."""
        model = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        if model.config.encoder_folder is not None:
            from safetensors.torch import load_file

            path = Path(pretrained_model_name_or_path) / model.config.encoder_folder / "model.safetensors"
            if not path.is_file():
                raise OSError(f"the frozen encoder {path} is missing; it belongs beside the checkpoint")
            model.audio_encoder.load_state_dict(load_file(path))
        model.audio_encoder.requires_grad_(False)
        return model

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def encode(self, input_features: Tensor, feature_attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return ((B, L + 1, T, D) encoder layers, (B, T) mask); no gradient, the encoder is frozen."""
        with torch.no_grad():
            weight = self.audio_encoder.conv1.weight
            return encode_layers(self.audio_encoder, input_features.to(weight.dtype), feature_attention_mask)

    def embed(self, input_ids: Tensor, audio_states: Tensor, audio_levels: Tensor, audio_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return ((B, S, H) text embeddings with the audio put in place of the placeholders, (B, T, H) the audio embeddings of the words).

        Raises:
            ValueError: the number of placeholders is not the number of audio embeddings.
        """
        embeds = self.get_input_embeddings()(input_ids)
        audio, mask = self.connector(audio_states.to(embeds.dtype), audio_levels, audio_mask.bool())
        return self._placed(embeds, input_ids, audio, mask), audio[:, self.connector.tone_tokens :]

    def simulate(self, input_ids: Tensor, frame_tokens: Tensor) -> Tensor:
        """Return text embeddings with simulated speech in place of the placeholders: noisy token embeddings, no tone (see `training.reading`).

        Args:
            frame_tokens: (B, T) the token that each frame stands for; -100 is padding.
        """
        embeds = self.get_input_embeddings()(input_ids)
        mask = frame_tokens != -100
        frames = nn.functional.normalize(self.get_input_embeddings()(frame_tokens.clamp(min=0)).float(), dim=-1)
        noise = nn.functional.normalize(torch.randn_like(frames), dim=-1) * 1.2 * torch.rand_like(frames[..., :1])
        words = self.connector.project(frames + noise)
        tone = words.new_zeros(len(words), self.connector.tone_tokens, words.shape[-1])
        audio = torch.cat([tone, words], dim=1)
        return self._placed(embeds, input_ids, audio, torch.cat([mask.new_ones(tone.shape[:2]), mask], dim=1))

    def _placed(self, embeds: Tensor, input_ids: Tensor, audio: Tensor, mask: Tensor) -> Tensor:
        places = input_ids == self.config.audio_token_id
        have, want = places.sum(dim=1), mask.sum(dim=1)  # row by row, or one text's audio could land in another
        if len(wrong := (have != want).nonzero()):
            row = int(wrong[0])
            raise ValueError(
                f"text {row} has {int(have[row])} audio placeholders for {int(want[row])} audio embeddings; build it with the processor"
            )
        return embeds.masked_scatter(places[..., None], audio[mask].to(embeds.dtype))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_attention_mask: Tensor | None = None,
        audio_states: Tensor | None = None,
        audio_mask: Tensor | None = None,
        audio_levels: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        ctc_labels: Tensor | None = None,
        frame_tokens: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Next-token logits, and the loss where `labels` (B, S; -100 is ignored) are given.

        In training, `ctc_labels` (B, U; -100 is padding), the tokens of the spoken words, add a CTC loss on the audio embeddings: it draws
        each toward the embedding of the token that is being said, so that the language model finds the words in its own language.
        `frame_tokens` (B, T) put simulated speech in place of the audio (see `simulate`).
        """
        aside: Tensor | float = 0.0
        if frame_tokens is not None and input_ids is not None:
            inputs_embeds, input_ids = self.simulate(input_ids, frame_tokens), None
        if inputs_embeds is None and input_ids is not None and (input_features is not None or audio_states is not None):
            if audio_states is None:
                if input_features is None or feature_attention_mask is None:
                    raise ValueError("input_features need feature_attention_mask; build both with the processor")
                audio_states, audio_mask = self.encode(input_features, feature_attention_mask)
            if audio_levels is None or audio_mask is None:
                raise ValueError("audio needs audio_levels (and audio_states need audio_mask); build them with the processor")
            inputs_embeds, words = self.embed(input_ids, audio_states, audio_levels, audio_mask)
            input_ids = None
            if ctc_labels is not None:
                aside = self._ctc(words, audio_mask, ctc_labels)
        if labels is not None and self.training:
            loss = self._loss(
                labels, input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, inputs_embeds=inputs_embeds
            )
            return CausalLMOutputWithPast(loss=loss + aside)
        return self.language_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )

    def _ctc(self, words: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """CTC (Graves et al. 2006) over the language model's own embeddings, mean per token; the padding token is the blank."""
        table = nn.functional.normalize(torch.as_tensor(self.get_input_embeddings().weight).float(), dim=-1)
        scores = nn.functional.normalize(words.float(), dim=-1) @ table.T * self.ctc_scale.exp()
        blank = self.config.text_config.pad_token_id
        lengths = (labels != -100).sum(dim=1)
        return nn.functional.ctc_loss(
            scores.log_softmax(-1).transpose(0, 1), labels.clamp(min=0), mask.sum(dim=1), lengths, blank=blank, zero_infinity=True
        )

    def _loss(self, labels: Tensor, **inputs: Any) -> Tensor:
        """Mean cross-entropy with logits only where there is a label: audio and prompt, half of a training row, need none."""
        hidden = self.language_model.base_model(**inputs, use_cache=False).last_hidden_state[:, :-1]
        wanted = labels[:, 1:]
        kept = wanted != -100
        logits = self.get_output_embeddings()(hidden[kept])
        return nn.functional.cross_entropy(logits.float(), wanted[kept])

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs: Any) -> dict[str, Any]:
        """Hand the audio on in the first step only; later steps find it in the cache."""
        audio = {
            name: kwargs.pop(name, None)
            for name in ("input_features", "feature_attention_mask", "audio_states", "audio_mask", "audio_levels")
        }
        first = kwargs.get("is_first_iteration", False)
        inputs = super().prepare_inputs_for_generation(input_ids, **kwargs)
        if first or not kwargs.get("use_cache", True):
            inputs.update({name: value for name, value in audio.items() if value is not None})
        return inputs
