"""Listeners asked together: which emotion each hears, as probabilities and as the table that the measures read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.models.listener import CogAudioListener
    from cogviz.models.protocol import Listener


def ask(listeners: Sequence[Listener], utterances: Sequence[Utterance], *, progress: bool = False) -> dict[str, np.ndarray]:
    """Return {listener: (N, 7) probabilities} of the seven emotions, in their order, for each utterance.

    CogAudio listeners with one encoder (the variants share a frozen one) have every sound encoded once for all of them.

    Args:
        listeners: with different names; `utterances`: with different ids.
    """
    with _encoded_once(listeners, utterances):
        return {listener.name: np.exp(listener.scores(utterances, progress=progress)) for listener in listeners}


def stream(listeners: Sequence[CogAudioListener], utterance: Utterance, *, route: str = "reason") -> Iterator[dict[str, str]]:
    """Let several listeners answer one utterance side by side, and yield {listener: its text so far} whenever one of them has gone on."""
    pieces = {x.name: x.stream(utterance, route=route) for x in listeners}
    said = dict.fromkeys(pieces, "")
    try:
        while pieces:
            for name in tuple(pieces):
                if (piece := next(pieces[name], None)) is None:
                    del pieces[name]
                    continue
                said[name] += piece
                yield dict(said)
    finally:
        for left in pieces.values():
            left.close()  # type: ignore[attr-defined]


def answers(utterances: Sequence[Utterance], said: np.ndarray | Sequence[str]) -> pd.DataFrame:
    """Return the table that `evaluation.dominance` and `evaluation.threshold` read.

    Args:
        said: the emotion that was answered to each utterance, or (N, 7) probabilities, of which the likeliest is the answer.
    """
    import pandas as pd

    names = np.asarray(said)
    if names.ndim == 2:
        names = np.array(EMOTIONS)[names.argmax(axis=1)]

    return pd.DataFrame(
        {
            "id": [u.id for u in utterances],
            "text": [u.text for u in utterances],
            "voice": [u.emotion for u in utterances],
            "words": [u.lexical_emotion for u in utterances],
            "answer": names,
            "sentence": [u.sentence for u in utterances],
            "speaker": [u.speaker for u in utterances],
            "intensity": [u.intensity for u in utterances],
        }
    )


def read(listener: Listener, utterances: Sequence[Utterance]) -> list[str]:
    """Return the emotion that a listener names where it reads the words and hears nothing: the text-only control, each text read once."""
    texts = list(dict.fromkeys(u.text for u in utterances))
    found: dict[str, str] = {}
    for text, heard in zip(texts, listener.read(texts, progress=False), strict=True):
        assert heard.scores is not None
        found[text] = max(heard.scores, key=lambda name: (heard.scores or {})[name])
    return [found[u.text] for u in utterances]


def most_telling(utterances: Sequence[Utterance], reads: np.ndarray, listens: np.ndarray) -> Utterance:
    """Return the utterance at which two listeners part most: one is sure of the emotion of the words, the other of that of the voice.

    Args:
        utterances: conflicts. reads, listens: (N, 7) probabilities of the two.
    """

    def parted(i: int) -> float:
        words, voice = (EMOTIONS.index(str(e)) for e in (utterances[i].lexical_emotion, utterances[i].emotion))
        return float(reads[i, words] * listens[i, voice])

    return utterances[max(range(len(utterances)), key=parted)]


@contextmanager
def _encoded_once(listeners: Sequence[Any], utterances: Sequence[Utterance]) -> Iterator[None]:
    """Lend the listeners that can take them the encoder layers of all utterances, computed by the first of them."""
    from cogviz.models.listener import CogAudioListener

    ours = [x for x in listeners if isinstance(x, CogAudioListener)]
    ours = [x for x in ours if _same_encoder(ours[0], x)]
    plain = all(u.enrolment is None for u in utterances)
    if len(ours) < 2 or not plain or len({u.id for u in utterances}) < len(utterances):
        yield
        return
    before: list[Mapping[str, Any]] = [x.states for x in ours]
    states = _encoded(ours[0], utterances)
    try:
        for x in ours:
            x.states = states
        yield
    finally:
        for x, old in zip(ours, before, strict=True):
            x.states = old


def hear_once(listeners: Sequence[Any], utterances: Sequence[Utterance]) -> None:
    """Encode every sound once, and let all CogAudio listeners with the first one's encoder keep that: what comes later is five times as fast.

    What was kept before is forgotten. Sites inside the encoder are still computed from the sound (`probing.record`).

    Raises:
        ValueError: two utterances have one id.
    """
    if len({u.id for u in utterances}) < len(utterances):
        raise ValueError("two utterances have one id, by which what was heard is found again; leave the second one out")
    states = _encoded(listeners[0], utterances)
    for x in listeners:
        if _same_encoder(listeners[0], x):
            x.states = states


def _encoded(listener: Any, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Encoder layers and levels by id."""
    from cogviz.models.batching import in_batches, spoken_seconds

    def work(rows: list[int]) -> list[Any]:
        chosen = [utterances[i] for i in rows]
        states = listener._encoded(chosen)
        return [states[u.id] for u in chosen]

    seconds = [spoken_seconds(u) for u in utterances]
    heard = in_batches(work, seconds, device=listener.model.device, batch=listener.batch, name="hearing", progress=False)
    return {u.id: state for u, state in zip(utterances, heard, strict=True)}


def _same_encoder(one: Any, other: Any) -> bool:
    import torch

    mine, theirs = (x.model.audio_encoder.state_dict() for x in (one, other))
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
