"""Recordings and prompts -> tensors: log-mels of their true length, frame levels, text with a placeholder for every audio embedding."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from transformers import BatchFeature, ProcessorMixin

from cogviz.audio import RATE, without_silence
from cogviz.models.acoustic import acoustic_frames
from cogviz.models.configuration import POOL, SAMPLES_PER_FRAME

PROMPTS = {
    "transcribe": "Repeat the words.",
    "name": "How does the voice sound?",
    "topic": "What are they speaking of?",
    "reason": "Think step by step about the voice and the words, then respond.",
    "direct": "Respond at once.",
}
"""What can be asked. `reason` and `direct` are the paper's prompts A and B; `transcribe` trains hearing, `name` asks for the emotion,
`topic` for what the words are about."""

AUDIO_TOKEN = "<|audio|>"


def pooled_frames(frames: int) -> int:
    """Return the number of pooled frames of a log-mel of `frames` frames."""
    return math.ceil(math.ceil(frames / 2) / POOL)


def frame_levels(samples: np.ndarray, frames: int) -> np.ndarray:
    """Return the level of each 80 ms frame, (frames,) float32: (dBFS + 40) / 20, so that -40 dBFS is 0 and full scale is 2."""
    padded = np.zeros(frames * SAMPLES_PER_FRAME, dtype=np.float64)
    kept = min(len(samples), len(padded))
    padded[:kept] = samples[:kept]
    power = np.square(padded).reshape(frames, SAMPLES_PER_FRAME).mean(axis=1)
    return np.clip((10 * np.log10(power + 1e-9) + 40) / 20, -2, 2).astype(np.float32)


def padded(rows: Sequence[np.ndarray], frames: int) -> np.ndarray:
    """(B, frames, W) float32 rows (T, W) of at most so many frames, zeros behind them."""
    return np.stack([np.pad(np.asarray(row, dtype=np.float32), ((0, frames - len(row)), (0, 0))) for row in rows])


class CogAudioProcessor(ProcessorMixin):
    """Feature extractor and tokenizer of a CogAudio model.

    Args:
        feature_extractor: a WhisperFeatureExtractor.
        tokenizer: the language model's; `AUDIO_TOKEN` must be in it.
        tone_tokens: as in the model's config.
        template: the prompt around {audio} and {prompt}.
        audio_token: the placeholder that audio embeddings replace.
        spoken: as in the model's config.
        acoustic: also make what an acoustic encoder hears (see `models.acoustic`).
    """

    def __init__(
        self,
        feature_extractor: Any = None,
        tokenizer: Any = None,
        tone_tokens: int = 4,
        template: str = "<|user|>{audio}{prompt}<|assistant|>",
        audio_token: str = AUDIO_TOKEN,
        spoken: int | None = None,
        acoustic: bool = False,
        **kwargs: Any,
    ) -> None:
        self.tone_tokens, self.audio_token, self.spoken, self.acoustic = tone_tokens, audio_token, spoken, acoustic
        self.template = template
        super().__init__(feature_extractor, tokenizer, **kwargs)

    def mel(self, samples: np.ndarray) -> np.ndarray:
        """Return the log-mel of one recording, (mels, F) float32, not padded to 30 s. `samples`: (n,) float, 16 kHz."""
        features = self.feature_extractor(samples, sampling_rate=RATE, padding="longest", return_tensors="np")
        return features["input_features"][0]

    def placeholders(self, frames: int) -> int:
        """Number of audio embeddings for a log-mel of `frames` frames."""
        return pooled_frames(frames) + self.tone_tokens

    def prompt(self, task: str, placeholders: int) -> str:
        """Return the text of a prompt with its placeholders; `task` is a key of `PROMPTS` or a question of your own."""
        return self.template.format(audio=self.audio_token * placeholders, prompt=PROMPTS.get(task, task))

    def prompts(self, placeholders: Sequence[int], task: str | Sequence[str], prefix: str | Sequence[str]) -> Any:
        """Return input_ids and attention_mask of the prompts with the beginnings of their answers, left-padded."""
        tasks, prefixes = ([one] * len(placeholders) if isinstance(one, str) else list(one) for one in (task, prefix))
        if not len(tasks) == len(prefixes) == len(placeholders):
            raise ValueError(f"{len(placeholders)} recordings but {len(tasks)} tasks and {len(prefixes)} prefixes")
        text = [self.prompt(t, n) + begun for t, n, begun in zip(tasks, placeholders, prefixes, strict=True)]
        return self.tokenizer(text, padding=True, padding_side="left", return_tensors="np", add_special_tokens=False)

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, as the language model writes it."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def spoken_tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, as the frames of its speech say it: only those below `spoken`."""
        return self.tokens(text) if self.spoken is None else self._speller.encode(text, add_special_tokens=False).ids

    @cached_property
    def _speller(self) -> Tokenizer:
        """The tokenizer with the first `spoken` entries of its vocabulary, and the merges that make them."""
        whole = json.loads(self.tokenizer.backend_tokenizer.to_str())
        model = whole["model"]
        vocabulary = {token: i for token, i in model["vocab"].items() if i < self.spoken}
        merges = [m.split(" ", 1) if isinstance(m, str) else m for m in model["merges"]]
        model["vocab"], model["merges"] = vocabulary, [m for m in merges if {*m, "".join(m)} <= vocabulary.keys()]
        whole["added_tokens"] = [token for token in whole["added_tokens"] if token["id"] < self.spoken]
        return Tokenizer.from_str(json.dumps(whole))

    def __call__(
        self,
        audio: np.ndarray | Sequence[np.ndarray],
        task: str | Sequence[str] = "reason",
        *,
        prefix: str | Sequence[str] = "",
        names: Sequence[str] = (),
        **kwargs: Any,
    ) -> BatchFeature:
        """Build the model's input for one or many recordings, without the silence at their ends.

        Args:
            audio: (n,) samples at 16 kHz, or a sequence of them.
            task: a key of `PROMPTS` or a question, one for all or one each.
            prefix: the beginning of the answer, to be continued; one for all or one each.
            names: of the recordings, for what is said where one cannot be heard.

        Returns:
            input_ids, attention_mask (left-padded), input_features (B, mels, F), feature_attention_mask (B, F), audio_levels (B, T); for an
            acoustic encoder audio_acoustic (B, T, 4 x 44), too.

        Raises:
            NoVoice: an acoustic encoder is to hear a recording without a voiced frame.
        """
        clips = [without_silence(c) for c in ([audio] if isinstance(audio, np.ndarray) and audio.ndim == 1 else audio)]
        mels = [self.mel(clip) for clip in clips]
        longest = max(m.shape[1] for m in mels)
        counts = [self.placeholders(m.shape[1]) for m in mels]
        tokens = self.prompts(counts, task, prefix)
        frames = max(counts) - self.tone_tokens
        data = {
            "input_ids": tokens["input_ids"],
            "attention_mask": tokens["attention_mask"],
            "input_features": np.stack([np.pad(m, ((0, 0), (0, longest - m.shape[1]))) for m in mels]),
            "feature_attention_mask": np.stack([np.arange(longest) < m.shape[1] for m in mels]).astype(np.int64),
            "audio_levels": np.stack([frame_levels(c, frames) for c in clips]),
        }
        if self.acoustic:
            named = names or ["the recording"] * len(clips)
            heard = [acoustic_frames(c, n - self.tone_tokens, name=name) for c, n, name in zip(clips, counts, named, strict=True)]
            data["audio_acoustic"] = padded(heard, frames)
        return BatchFeature(data, tensor_type=kwargs.get("return_tensors", "pt"))

    def from_states(
        self,
        clips: Sequence[tuple[np.ndarray, ...]],
        task: str | Sequence[str] = "reason",
        *,
        prefix: str | Sequence[str] = "",
        **kwargs: Any,
    ) -> BatchFeature:
        """Build the model's input from encoder layers that were computed before.

        Args:
            clips: ((L + 1, T, D) pooled encoder layers, (T,) levels) of each recording, and for an acoustic encoder (T, 4 x 44) `acoustic_frames`.
            task, prefix: as in `__call__`.

        Returns:
            input_ids, attention_mask (left-padded), audio_states (B, L + 1, T, D), audio_mask (B, T), audio_levels (B, T); audio_acoustic
            (B, T, 4 x 44) for an acoustic encoder.

        Raises:
            ValueError: there is nothing for the acoustic encoder.
        """
        states, all_levels = [c[0] for c in clips], [c[1] for c in clips]
        tokens = self.prompts([s.shape[1] + self.tone_tokens for s in states], task, prefix)
        frames = max(s.shape[1] for s in states)
        data = {
            "input_ids": tokens["input_ids"],
            "attention_mask": tokens["attention_mask"],
            "audio_states": np.stack([np.pad(s.astype(np.float32), ((0, 0), (0, frames - s.shape[1]), (0, 0))) for s in states]),
            "audio_mask": np.stack([np.arange(frames) < s.shape[1] for s in states]),
            "audio_levels": np.stack([np.pad(level, (0, frames - len(level))) for level in all_levels]).astype(np.float32),
        }
        if self.acoustic:
            if any(len(c) < 3 for c in clips):
                raise ValueError(
                    "this model has an acoustic encoder; keep its frames beside the encoder layers (`features.encode` with its processor)"
                )
            data["audio_acoustic"] = padded([c[2] for c in clips], frames)
        return BatchFeature(data, tensor_type=kwargs.get("return_tensors", "pt"))
