"""Audio Flamingo 3 (Goel et al. 2025, arXiv 2507.08128): AF-Whisper encoder, a frame every 40 ms, Qwen2.5-7B."""

from __future__ import annotations

from cogviz.models.listeners.base import AudioLanguageModel


class AudioFlamingo3(AudioLanguageModel):
    """nvidia/audio-flamingo-3-hf."""

    model_class = "AudioFlamingo3ForConditionalGeneration"
