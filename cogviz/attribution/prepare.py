"""Ask a batch: the passage, the target, the way from its baseline to it, and the sound encoded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from torch import Tensor

from cogviz.attribution.paths import Over, Path, path
from cogviz.attribution.replay import Replay
from cogviz.attribution.targets import Question
from cogviz.models.listener import CogAudioListener, kept_states
from cogviz.models.protocol import Transparent
from cogviz.utterance import Utterance


def prepared(
    listener: Transparent, utterances: Sequence[Utterance], question: Question, over: Over, references: Sequence[Utterance] | None
) -> tuple[Replay, Path]:
    """Ask a batch, and return the way from its baseline to it. A CogAudio model encodes the sound once."""
    with heard_once(listener, utterances, with_mel=over == "mel") as sound:
        passage, target = question.on(listener, utterances)
    if sound:
        passage = replace(passage, inputs={**passage.inputs, **sound})
    replay = Replay(listener, passage, target)
    return replay, path(replay, over, utterances, references)


@contextmanager
def heard_once(listener: Transparent, utterances: Sequence[Utterance], *, with_mel: bool) -> Iterator[dict[str, Tensor]]:
    """Let a CogAudio listener ask the same recordings any number of times inside the block and encode them once.

    Yields:
        `input_features` and `feature_attention_mask` of the batch where they are wanted.
    """
    if not isinstance(listener, CogAudioListener):
        yield {}
        return
    before = listener.states
    wanted = [u for u in utterances if u.id not in before]
    sound = {}
    known: dict[str, tuple[np.ndarray, ...]] = {}
    if with_mel or wanted:
        inputs = listener.processor([u.samples for u in (utterances if with_mel else wanted)]).to(listener.model.device)
        mel, mask = inputs["input_features"], inputs["feature_attention_mask"]
        with listener._inference():
            states, real = listener.model.encode(mel, mask)
        known = {u.id: kept for u, kept in zip(utterances if with_mel else wanted, kept_states(states, real, inputs), strict=True)}
        if with_mel:
            sound = {"input_features": mel, "feature_attention_mask": mask}
    listener.states = {**{u.id: before[u.id] for u in utterances if u.id in before}, **known}
    try:
        yield sound
    finally:
        listener.states = before


def remember(listeners: Sequence[CogAudioListener], utterances: Sequence[Utterance]) -> None:
    """Encode recordings once and let the listeners keep what their encoder says of them: every later question is then several times faster.

    The encoder is frozen and the variants share it, so that one encoding serves all whose encoders have the same weights.
    """
    done: list[CogAudioListener] = []
    for listener in listeners:
        known = next((other.states for other in done if _same_encoder(other, listener)), None)
        if known is None:
            with heard_once(listener, utterances, with_mel=False):
                known = listener.states
        listener.states = {**listener.states, **known}
        done.append(listener)


def _same_encoder(one: CogAudioListener, other: CogAudioListener) -> bool:
    if other.processor.acoustic and not one.processor.acoustic:  # it hears more than that
        return False
    mine, theirs = (x.model.audio_encoder.state_dict() for x in (one, other))
    return mine.keys() == theirs.keys() and all(bool((mine[name] == theirs[name]).all()) for name in mine)
