"""Qwen2-Audio (Chu et al. 2024, arXiv 2407.10759): Whisper encoder, a frame every 40 ms, Qwen-7B."""

from __future__ import annotations

from cogviz.models.listeners.base import AudioLanguageModel


class Qwen2Audio(AudioLanguageModel):
    """Qwen/Qwen2-Audio-7B-Instruct."""

    model_class = "Qwen2AudioForConditionalGeneration"
