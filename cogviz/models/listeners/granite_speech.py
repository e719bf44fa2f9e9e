"""Granite Speech (Saon et al. 2025, arXiv 2505.08699): conformer encoder, Q-former, Granite with an adapter that is on while it hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from cogviz.models.answering import Inputs
from cogviz.models.listeners.base import AudioLanguageModel
from cogviz.models.protocol import Passage
from cogviz.utterance import Utterance


class GraniteSpeech(AudioLanguageModel):
    """ibm-granite/granite-speech-3.3-2b, -8b.

    Its encoder has no mask: what fills up a shorter clip in a batch would change what is heard. So clips are heard one at a time.
    """

    model_class = "GraniteSpeechForConditionalGeneration"
    needs = {"torchaudio": "torchaudio"}  # of the processor, for the log-mel
    encoder = "encoder"

    def __init__(self, model: Any, processor: Any, *, name: str = "model", batch: int | None = None) -> None:
        super().__init__(model, processor, name=name, batch=1)

    def _chat(self, prompt: str, *, sound: bool) -> str:
        """Its template is the tokenizer's, and takes text with the token of the sound in it."""
        chat = [{"role": "user", "content": self.processor.audio_token * sound + prompt}]
        return self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)

    def _end_logits(self, inputs: Inputs, keep: int) -> Tensor:
        self._adapt(inputs)
        return super()._end_logits(inputs, keep)

    def passage(self, utterances: Sequence[Utterance], answers: Sequence[str] | None = None, *, route: str = "reason") -> Passage:
        """Return one utterance with its answer: the one given, or the model's own."""
        self._check_one(utterances)
        return super().passage(utterances, answers, route=route)

    def naming(self, utterances: Sequence[Utterance]) -> Passage:
        """Return one utterance up to where the emotion is asked for."""
        self._check_one(utterances)
        return super().naming(utterances)

    def _check_one(self, utterances: Sequence[Utterance]) -> None:
        if len(utterances) != 1:
            raise ValueError(f"{self.name} hears one recording at a time (its encoder has no mask); ask for the passage of each")

    def logits(self, passage: Passage, *, keep: int = 0) -> Tensor:
        """(B, S, V) of the next token at each place; with a gradient where one is wanted. `keep`: only at the last places; 0: at all."""
        self._adapt(passage.inputs)
        return super().logits(passage, keep=keep)

    def _adapt(self, inputs: Inputs) -> None:
        """Switch the adapter on for sound and off for text, as the model itself does in `generate` only."""
        if getattr(self.model, "_hf_peft_config_loaded", False):
            (self.model.enable_adapters if "input_features" in inputs else self.model.disable_adapters)()
