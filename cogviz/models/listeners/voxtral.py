"""Voxtral (Mistral AI 2025, arXiv 2507.13264): Whisper encoder over windows of 30 s, a frame every 80 ms, Ministral 3B or Mistral Small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from cogviz.audio import RATE
from cogviz.models.answering import Inputs
from cogviz.models.listeners.base import AudioLanguageModel


class Voxtral(AudioLanguageModel):
    """mistralai/Voxtral-Mini-3B-2507, Voxtral-Small-24B-2507."""

    model_class = "VoxtralForConditionalGeneration"
    needs = {"mistral_common": "'mistral-common[audio]'"}  # its tokenizer, tekken.json

    def _prompt(self, prompts: Sequence[str], clips: Sequence[Any] | None) -> Inputs:
        """<s>[INST][BEGIN_AUDIO][AUDIO]...PROMPT[/INST], as mistral-common writes it; its chat needs every clip as a file.

        A clip is one window of 30 s, whatever its length.
        """
        token = self.tokenizer.convert_tokens_to_ids
        before, after = [self.tokenizer.bos_token_id, token("[INST]")], [token("[/INST]")]
        features: Inputs = {}
        if clips is not None:
            config = self.model.config.audio_config
            frames = config.max_source_positions * config.hidden_size // config.intermediate_size  # the projector stacks frames
            before += [token("[BEGIN_AUDIO]"), *[self.model.config.audio_token_id] * frames]
            features = self.processor.feature_extractor(list(clips), sampling_rate=RATE, return_tensors="pt")
        rows = [before + self.tokenizer(p, add_special_tokens=False)["input_ids"] + after for p in prompts]
        longest = max(map(len, rows))
        pad = self.tokenizer.pad_token_id or 0
        return {
            **features,
            "input_ids": torch.tensor([[pad] * (longest - len(r)) + r for r in rows]),
            "attention_mask": torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows]),
        }
