"""What a probe must be better than: the same architecture with random weights, and the words alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from cogviz.models.listener import CogAudioListener
from cogviz.models.protocol import Transparent
from cogviz.utterance import Utterance


def reinitialised(listener: Transparent, *, seed: int = 0, keep_encoder: bool = False) -> Any:
    """Return a listener of the same architecture with new random weights.

    Args:
        keep_encoder: of CogAudio, keep the pretrained audio encoder (and what was encoded before): what is then told beyond this baseline is due
            to the training of connector and language model.
    """
    import torch

    model = listener.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model)(copy.deepcopy(model.config))
    name = f"{listener.name} (random weights)"
    if isinstance(listener, CogAudioListener):
        if keep_encoder:
            fresh.audio_encoder.load_state_dict(model.audio_encoder.state_dict())
        fresh.to(model.device)
        states = listener.states if keep_encoder else None
        return CogAudioListener.of(fresh, listener.processor, name=name, batch=listener.batch, states=states)
    other = copy.copy(listener)
    other.model, other.name = fresh.to(model.device, model.dtype).eval(), name
    return other


def bag_of_words(utterances: Sequence[Utterance]) -> np.ndarray:
    """(N, words) float32 which words and pairs of words each utterance has: all that can be told without a voice."""
    from sklearn.feature_extraction.text import CountVectorizer

    texts = [u.text.lower() or "(unknown)" for u in utterances]
    return CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"[^\s]+").fit_transform(texts).toarray().astype(np.float32)
