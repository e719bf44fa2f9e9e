"""By what the utterances of an estimate are clustered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from cogviz.utterance import Utterance


class Clusters(TypedDict):
    """The keyword arguments of `cogviz.statistics` that say which items belong together."""

    sentences: list[str]
    speakers: list[str]


def clusters(utterances: Sequence[Utterance]) -> Clusters:
    """Return the sentence and the speaker of each utterance."""
    return {"sentences": [u.sentence for u in utterances], "speakers": [u.speaker for u in utterances]}
