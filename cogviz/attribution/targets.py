"""What is attributed: one number an utterance, read from the logits of a passage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cogviz.emotions import EMOTIONS, emotion
from cogviz.models.protocol import Passage, Transparent
from cogviz.probing.segments import SEGMENTS, segments
from cogviz.utterance import Utterance

WHOSE = ("voice", "words", "answered")
"""Whose emotion a target may ask for: that of the voice, of the words, or the one that the model names."""


@dataclass(frozen=True, eq=False)
class Target:
    """One number for each row of a passage.

    Attributes:
        name: what figures and tables call it, with its unit.
        places: (B, K) the places whose next-token logits it reads.
        read: logits (N, K, V) at those places and rows (N,), which row of the passage each is of -> (N,).
    """

    name: str
    places: Tensor
    read: Callable[[Tensor, Tensor], Tensor]


class Question(Protocol):
    """A target for any utterances: the passage that asks for it, and what is read from it."""

    def on(self, listener: Transparent, utterances: Sequence[Utterance]) -> tuple[Passage, Target]:
        """Ask a batch."""
        ...


@dataclass(frozen=True)
class Emotion:
    """The score of an emotion where one must be named, or how far it is ahead of another (contrastive: Jacovi et al. 2021, arXiv 2103.01378).

    Args:
        of: "voice", "words", "answered" (what the model names), or an emotion.
        against: None: log p of the emotion among the seven. "voice", "words" or an emotion: the logit of `of` minus that of `against`, which is
            the log of their odds.
    """

    of: str = "answered"
    against: str | None = None

    def on(self, listener: Transparent, utterances: Sequence[Utterance]) -> tuple[Passage, Target]:
        """Ask a batch.

        Raises:
            ValueError: an utterance has no such emotion, or `of` and `against` are the same for one.
        """
        passage = listener.naming(utterances)
        device = passage.ids.device
        labels = torch.tensor(listener.label_tokens, device=device)
        wanted = self._codes(self.of, listener, passage, utterances).to(device)
        last = torch.full((len(utterances), 1), passage.ids.shape[1] - 1, device=device)
        if self.against is None:

            def score(logits: Tensor, rows: Tensor) -> Tensor:
                return logits[:, 0, labels].float().log_softmax(-1).gather(1, wanted[rows, None])[:, 0]

            return passage, Target(f"log p({self.of})", last, score)
        other = self._codes(self.against, listener, passage, utterances).to(device)
        if (same := (wanted == other).nonzero()).numel():
            raise ValueError(
                f"{utterances[int(same[0])].id}: {self.of} and {self.against} are the same emotion; give conflict items, or another contrast"
            )

        def ahead(logits: Tensor, rows: Tensor) -> Tensor:
            seven = logits[:, 0, labels].float()
            return (seven.gather(1, wanted[rows, None]) - seven.gather(1, other[rows, None]))[:, 0]

        return passage, Target(f"log odds of {self.of} over {self.against}", last, ahead)

    @staticmethod
    def _codes(which: str, listener: Transparent, passage: Passage, utterances: Sequence[Utterance]) -> Tensor:
        """(B,) place in `EMOTIONS`."""
        if which == "answered":
            with torch.no_grad():
                return listener.logits(passage)[:, -1, listener.label_tokens].argmax(dim=-1).cpu()
        if which not in WHOSE:
            return torch.full((len(utterances),), EMOTIONS.index(emotion(which).name))
        named = [u.emotion if which == "voice" else u.lexical_emotion for u in utterances]
        if None in named:
            raise ValueError(
                f"{utterances[named.index(None)].id}: its {which} carries no known emotion; leave it out or ask for another target"
            )
        return torch.tensor([EMOTIONS.index(str(name)) for name in named])


@dataclass(frozen=True)
class Answer:
    """The mean log probability of the tokens of a step of the answer, or of one of its tokens.

    Args:
        segment: a step of the chain or "response" (see `probing.segments`).
        token: the number of a token in it, from 0 (or from the end, below 0); None: all of them.
        answers: one for each utterance of the batch; None: the model's own.
        route: on which it answers.
    """

    segment: str = "response"
    token: int | None = None
    answers: tuple[str, ...] | None = None
    route: str = "reason"

    def on(self, listener: Transparent, utterances: Sequence[Utterance]) -> tuple[Passage, Target]:
        """Ask a batch.

        Raises:
            ValueError: no such segment, or an answer lacks it or is too short for the token.
        """
        if self.segment not in SEGMENTS:
            raise ValueError(f"there is no segment {self.segment!r}; choose from {', '.join(SEGMENTS[4:])}")
        passage = listener.passage(utterances, self.answers, route=self.route)
        inside = (segments(listener, passage) == SEGMENTS.index(self.segment)) & passage.places("answer")
        if self.token is not None:
            chosen = torch.zeros_like(inside)
            for row, utterance in enumerate(utterances):
                at = inside[row].nonzero()[:, 0]
                if not -len(at) <= self.token < len(at):
                    raise ValueError(
                        f"the {self.segment} of the answer to {utterance.id} has {len(at)} tokens; there is no token {self.token}"
                    )
                chosen[row, at[self.token]] = True
            inside = chosen
        name = f"log p(token {self.token} of the {self.segment})" if self.token is not None else f"log p({self.segment}) a token"
        return passage, likely(passage, inside, name=name)


def likely(passage: Passage, chosen: Tensor, *, name: str) -> Target:
    """Return the mean log p of the tokens at the chosen places, each given all before it.

    Args:
        chosen: (B, S) True where a token counts.

    Raises:
        ValueError: a row has none.
    """
    counts = chosen.sum(dim=1)
    if (empty := (counts == 0).nonzero()).numel():
        raise ValueError(
            f"row {int(empty[0])} holds none of the tokens that are asked for; see what the model answers, or give the answers"
        )
    order = chosen.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, : int(counts.max())]
    weight = chosen.gather(1, order).float() / counts[:, None]
    tokens, places = passage.ids.gather(1, order), (order - 1).clamp(min=0)

    def read(logits: Tensor, rows: Tensor) -> Tensor:
        each = logits.float().log_softmax(-1).gather(-1, tokens[rows, :, None])[..., 0]
        return (each * weight[rows]).sum(dim=1)

    return Target(name, places, read)
