"""Qwen2.5-Omni (Xu et al. 2025, arXiv 2503.20215): its thinker, which hears and writes; the talker is left out."""

from __future__ import annotations

from cogviz.models.listeners.base import AudioLanguageModel


class Qwen25Omni(AudioLanguageModel):
    """Qwen/Qwen2.5-Omni-7B, -3B."""

    model_class = "Qwen2_5OmniThinkerForConditionalGeneration"
    needs = {"torchvision": "torchvision"}  # of the processor, for pictures
