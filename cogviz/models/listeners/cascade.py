"""The pure reader: a listener to whom only the words get through, as Whisper hears them or as they truly are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cogviz.audio import RATE
from cogviz.models import backbones
from cogviz.models.batching import in_batches
from cogviz.models.fingerprint import fingerprint
from cogviz.models.listeners.naming import Naming
from cogviz.models.listeners.readers import Reader
from cogviz.utterance import Utterance

LONGEST = 64
"""Tokens of a transcript, a sentence or two."""

WINDOW_SHARE = 10.0
"""Seconds that every recording counts for in a batch: each fills a window of 30 s, and a small encoder takes a third of a model's work."""


class Transcriber:
    """Whisper, greedy.

    Args:
        name: a Whisper by its hub name, or a folder. batch: recordings at once; None: found automatically.

    Raises:
        WeightsError: it is not on this machine.
    """

    def __init__(
        self, name: str = backbones.WHISPER_TINY_EN, *, device: str = "cpu", dtype: Any = torch.float32, batch: int | None = None
    ) -> None:
        from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

        self.model = backbones.whisper(name).to(device, dtype)
        self.model.generation_config.max_length = LONGEST
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(backbones.resolve(name) / "tokenizer.json"))
        self.extractor = WhisperFeatureExtractor(feature_size=self.model.config.num_mel_bins)
        self.name, self.batch = name.split("/")[-1], batch

    def __call__(self, utterances: Sequence[Utterance], *, progress: bool = True) -> list[str]:
        """Return the words that are heard."""

        def work(rows: list[int]) -> list[str]:
            clips = [utterances[i].samples for i in rows]
            inputs = self.extractor(clips, sampling_rate=RATE, return_attention_mask=True, return_tensors="pt")
            inputs = inputs.to(self.model.device, self.model.dtype)
            with torch.inference_mode():
                out = self.model.generate(**inputs, do_sample=False).tolist()
            end = self.model.config.eos_token_id  # the first of the special tokens, which stand behind all words
            return [self.tokenizer.decode([t for t in row if t < end]).strip() for row in out]

        seconds = [WINDOW_SHARE] * len(utterances)
        return in_batches(work, seconds, device=self.model.device, batch=self.batch, name=f"{self.name}: words", progress=progress)


class Cascade(Naming):
    """Words -> reader.

    Args:
        reader: what names the emotion of the words.
        transcriber: what hears the words; None: they are known (`Utterance.text`), the most that a reader can reach.
    """

    def __init__(self, reader: Reader, transcriber: Transcriber | None = None, *, name: str | None = None) -> None:
        self.reader, self.transcriber = reader, transcriber
        self.name = name or f"{transcriber.name if transcriber else 'true words'} > {reader.name}"

    @property
    def fingerprint(self) -> str:
        """What tells these weights from others."""
        return fingerprint(self.reader.fingerprint, *([self.transcriber.model] if self.transcriber else []))

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions of the words.

        Raises:
            ValueError: the words should be known, and are not.
        """
        if self.transcriber is not None:
            return self.reader(self.transcriber(utterances, progress=progress), progress=progress)
        if unknown := [u.id for u in utterances if not u.text.strip()]:
            raise ValueError(
                f"{len(unknown)} utterance(s) have no transcript ({unknown[0]} is one); take the cascade, which hears the words"
            )
        return self.reader([u.text for u in utterances], progress=progress)

    def read_scores(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions of the words."""
        return self.reader(texts, progress=progress)
