"""What a listener is: the interfaces that every analysis uses, and what they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from cogviz.eips import Answer, parse
from cogviz.models.record import Record
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance


@dataclass(frozen=True)
class Heard:
    """What a listener made of one utterance.

    Attributes:
        utterance: what was heard; where words were only read, one that has neither sound nor emotion.
        text: the raw answer. answer: parsed; None where its form is wrong.
        claimed: the emotion that the answer claims to hear; None where it claims none.
        scores: emotion -> log probability when the emotion's word is asked for (length-normalised); None where not computed.
        record: what was read and said, position by position; None where it was not asked for.
    """

    utterance: Utterance
    route: str
    text: str
    answer: Answer | None
    claimed: str | None
    scores: dict[str, float] | None = None
    record: Record | None = None


def heard(utterance: Utterance, route: str, text: str, **more: Any) -> Heard:
    """Return what an answer says, parsed."""
    return Heard(utterance, route, text, parse(text), claimed_emotion(text), **more)


def written(text: str) -> Utterance:
    """Return words without a sound as an utterance that nobody says."""
    return Utterance(id=text, text=text, emotion=None, speaker="", sentence=text, corpus="written")


class Listener(Protocol):
    """Anything that hears an utterance and answers.

    Attributes:
        name: what tables call it. fingerprint: changes with the weights and with what is asked; kept answers are found by it.
    """

    name: str

    @property
    def fingerprint(self) -> str:
        """What tells its answers from those of other weights (`models.fingerprint`)."""
        ...

    def listen(self, utterances: Sequence[Utterance], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """Answer each utterance on a route; the same sound gets the same answer."""
        ...

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of each emotion's label where one of the seven must be said: mean over its tokens, normalised over the seven."""
        ...

    def read(self, texts: Sequence[str], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """Answer words that are read while nothing is heard: the text-only control; with scores."""
        ...

    def answer(self, utterances: Sequence[Utterance], question: str | Sequence[str], *, progress: bool = True) -> list[str]:
        """Answer a question about each utterance in free text; one question for all, or one each."""
        ...


PARTS = ("padding", "instruction", "audio", "answer")


@dataclass(frozen=True, eq=False)
class Passage:
    """What goes through a model, place by place: the places are those of its decoder layers.

    Attributes:
        inputs: of the forward pass, as tensors by name.
        ids: (B, S) token ids, padded on the left; a place that holds sound has the model's audio token.
        parts: (B, S) index into `PARTS`. What the chat's form adds counts as instruction.
    """

    inputs: Mapping[str, Tensor]
    ids: Tensor
    parts: Tensor

    def places(self, part: str) -> Tensor:
        """(B, S) True where a part stands."""
        return self.parts == PARTS.index(part)


class Transparent(Listener, Protocol):
    """A listener that can be looked into. Hooks go on the layers, and see the passage's places; `logits` runs it."""

    model: Any

    @property
    def tokenizer(self) -> Any:
        """The language model's tokenizer."""
        ...

    @property
    def heads(self) -> int:
        """Attention heads of a decoder layer."""
        ...

    def layers(self) -> list[nn.Module]:
        """The decoder's layers, first to last."""
        ...

    def encoder_layers(self) -> list[nn.Module]:
        """The audio encoder's layers, first to last."""
        ...

    def passage(self, utterances: Sequence[Utterance], answers: Sequence[str] | None = None, *, route: str = "reason") -> Passage:
        """Return a batch with its answers: those given, or the model's own."""
        ...

    def naming(self, utterances: Sequence[Utterance]) -> Passage:
        """Return a batch that ends where `scores` asks for the emotion: what follows the last place is one of `label_tokens`."""
        ...

    @property
    def label_tokens(self) -> list[int]:
        """The token with which each of the seven labels begins, in the order of `EMOTIONS`."""
        ...

    def logits(self, passage: Passage, *, keep: int = 0) -> Tensor:
        """(B, S, V) of the next token at each place; with a gradient where one is wanted. `keep`: only at the last places; 0: at all."""
        ...
