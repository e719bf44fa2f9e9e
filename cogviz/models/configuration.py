"""Configuration of CogAudio: which encoder, which language model, and what the connector does between them."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig

POOL = 4
"""Encoder frames (20 ms) averaged into one that the language model sees: 80 ms."""

SAMPLES_PER_FRAME = 160 * 2 * POOL
"""Samples (16 kHz) behind one pooled frame: Whisper's mel hop of 160, its stride of 2, our pooling."""


class CogAudioConfig(PreTrainedConfig):
    """Configuration of `CogAudioForConditionalGeneration`.

    Args:
        audio_config: a WhisperConfig (only its encoder is used).
        text_config: the config of any causal language model.
        audio_token_id: id of the placeholder that audio embeddings replace.
        layers: "mix": the connector learns a weight for every encoder layer, once for the words and once for the tone; "last": it reads the
            last layer only, as an ordinary audio language model does.
        tone_tokens: number of tokens that carry the tone of the whole utterance; 0 for none.
        connector_hidden, tone_hidden: width of the connector's hidden layers, of the words and of the tone.
        connector_dropout: of the frames that go into it, in training.
        spoken: a frame says one of the first so many tokens of the vocabulary; None: any. A byte-pair encoding is built by frequency, so that its
            first so many tokens are one themselves, which spells every word in pieces that are met often enough to be learned.
        tone_words: token ids of the words for a tone, as `models.tone` lists them: the tone then reaches a language model that knows such words
            as a mixture of their embeddings. None: as embeddings that it has to learn.
        text_backbone: the pretrained language model that stays frozen and is not in the checkpoint (see `backbones`); None: it is in there.
        lora_rank: of the adapters in every linear layer of the language model; 0: none.
        tone_degrees: a readout beside that of the emotion tells how strong it is, as `models.tone` says it (with `tone_words`, the words do).
        thinks: "steps": in the EIPS chain; "freely": in an explanation of its own words.
        acoustic: sizes of the acoustic encoder (see `acoustic.SIZES`), whose `tone_tokens` tokens tell the tone in place of Whisper's layers; None:
            there is none.
        encoder_folder: where the frozen encoder's weights lie, relative to the checkpoint; None if they are in the checkpoint itself.
    """

    model_type = "cogaudio"
    sub_configs = {"audio_config": AutoConfig, "text_config": AutoConfig}

    audio_config: Any = None
    text_config: Any = None
    audio_token_id: int = 0
    layers: str = "mix"
    tone_tokens: int = 4
    connector_hidden: int = 512
    tone_hidden: int = 96
    connector_dropout: float = 0.1
    spoken: int | None = None
    tone_words: list[int] | None = None
    text_backbone: str | None = None
    lora_rank: int = 0
    tone_degrees: bool = False
    thinks: str = "steps"
    acoustic: dict[str, Any] | None = None
    encoder_folder: str | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        for name, default in (("audio_config", "whisper"), ("text_config", "llama")):
            value = getattr(self, name)
            if value is None or isinstance(value, dict):
                value = dict(value or {})
                setattr(self, name, AutoConfig.for_model(value.pop("model_type", default), **value))
        if self.layers not in ("mix", "last"):
            raise ValueError(f"layers must be 'mix' or 'last', not {self.layers!r}")
        if self.thinks not in ("steps", "freely"):
            raise ValueError(f"thinks must be 'steps' or 'freely', not {self.thinks!r}")
        if self.spoken is not None and not self.audio_token_id < self.spoken <= self.text_config.vocab_size:
            raise ValueError(f"spoken must be above the audio token's id and not above the vocabulary, not {self.spoken}")
        super().__post_init__(**kwargs)
