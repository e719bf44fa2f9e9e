"""How a language model with ears listens: prompt in, greedy answer out, the seven labels scored. What CogAudio and other people's models share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from cogviz.eips import check_route
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.fingerprint import fingerprint
from cogviz.models.protocol import PARTS, Heard, Passage, heard, written
from cogviz.utterance import Utterance

Item: TypeAlias = Utterance | str
"""An utterance is heard, a text is only read."""

Inputs: TypeAlias = Mapping[str, Tensor]

LETTERS_A_SECOND = 15
"""Of a text that is read aloud."""


class Answering(ABC):
    """A `Transparent` listener but for how its input is made and where its layers are.

    Attributes:
        labels: the word for each of the seven emotions, in their order. begins: task and beginning of the answer after which they are scored.
        max_new_tokens: of an answer.
    """

    name: str
    batch: int | None
    model: Any
    labels: Sequence[str]
    begins: tuple[str, str]
    max_new_tokens: int

    @property
    @abstractmethod
    def tokenizer(self) -> Any:
        """The language model's tokenizer."""

    @abstractmethod
    def _inputs(self, items: Sequence[Item], task: str | Sequence[str], prefix: str = "") -> Inputs:
        """Input of the model for a batch, padded on the left: a task (or a question) for all, or one each, and the beginning of the answer."""

    @abstractmethod
    def _end_logits(self, inputs: Inputs, keep: int) -> Tensor:
        """(B, keep, V) of the next token at the last places."""

    @contextmanager
    def _inference(self) -> Iterator[None]:
        with torch.inference_mode():
            yield

    def _seconds(self, item: Item) -> float:
        """How long an item is; only batches depend on it."""
        return len(item) / LETTERS_A_SECOND if isinstance(item, str) else spoken_seconds(item)

    def _in_batches(self, work: Callable[[list[int]], Sequence[Any]], items: Sequence[Item], what: str, progress: bool) -> list[Any]:
        return in_batches(
            work,
            [self._seconds(item) for item in items],
            device=self.model.device,
            batch=self.batch,
            name=f"{self.name}: {what}",
            progress=progress,
        )

    def _tokens(self, items: Sequence[Item], task: str | Sequence[str], max_new_tokens: int, progress: bool) -> list[list[int]]:
        """Greedy answers as token ids, each up to and with its end token."""
        ends = self._ends()

        def work(rows: list[int]) -> list[list[int]]:
            inputs = self._inputs([items[i] for i in rows], task if isinstance(task, str) else [task[i] for i in rows])
            with self._inference():
                out = self.model.generate(
                    **inputs, do_sample=False, temperature=None, top_p=None, top_k=None, max_new_tokens=max_new_tokens
                )
            given = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
            return [_cut(tokens, ends) for tokens in out[:, given:].tolist()]

        return self._in_batches(work, items, "answering", progress)

    def _ends(self) -> set[int]:
        """Tokens that end an answer."""
        found = self.model.generation_config.eos_token_id
        return {self.tokenizer.eos_token_id, *(found if isinstance(found, list) else [found])} - {None}

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def texts(
        self, items: Sequence[Item], task: str | Sequence[str], *, max_new_tokens: int | None = None, progress: bool = True
    ) -> list[str]:
        """Greedy answers to a task or question, in order; one task for all, or one each."""
        return [self._text(tokens) for tokens in self._tokens(items, task, max_new_tokens or self.max_new_tokens, progress)]

    def listen(self, utterances: Sequence[Utterance], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """Answer each utterance on a route; greedy, so that the same sound gets the same answer."""
        texts = self.texts(utterances, check_route(route), progress=progress)
        return [self._heard(utterance, route, text) for utterance, text in zip(utterances, texts, strict=True)]

    def _heard(self, utterance: Utterance, route: str, text: str, **more: Any) -> Heard:
        return heard(utterance, route, text, **more)

    def read(self, texts: Sequence[str], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """Answer words that are read while nothing is heard: the text-only control; with scores."""
        answers = self.texts(texts, check_route(route), progress=progress)
        scores = self._scores(texts, self.labels, progress)
        return [
            self._heard(written(text), route, answer, scores=by_emotion(row))
            for text, answer, row in zip(texts, answers, scores, strict=True)
        ]

    def answer(self, utterances: Sequence[Utterance], question: str | Sequence[str], *, progress: bool = True) -> list[str]:
        """Answer a question about each utterance in free text; one question for all, or one each."""
        return self.texts(utterances, question, progress=progress)

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of each emotion's label where one of the seven must be said: mean over its tokens, normalised over the seven."""
        return self._scores(utterances, self.labels, progress)

    def _scores(self, items: Sequence[Item], labels: Sequence[str], progress: bool) -> np.ndarray:
        words = [self.tokenizer(f" {label}", add_special_tokens=False)["input_ids"] for label in labels]
        task, prefix = self.begins

        def work(rows: list[int]) -> list[np.ndarray]:
            inputs = self._inputs([items[i] for i in rows], task, prefix)
            with self._inference():
                first = self._end_logits(inputs, 1)[:, -1].float().log_softmax(-1)
                part = [first[:, w[0]] if len(w) == 1 else self._continued(inputs, w) for w in words]
            return list(torch.stack(part, dim=1).log_softmax(-1).cpu().numpy())

        return np.array(self._in_batches(work, items, "scoring", progress)).reshape(-1, len(labels))

    def _continued(self, inputs: Inputs, word: list[int]) -> Tensor:
        """(B,) mean log p of the tokens of `word` after the input."""
        more = torch.tensor(word, device=self.model.device).expand(len(inputs["attention_mask"]), -1)
        logits = self._end_logits(extended(inputs, more, self.model.get_input_embeddings()), len(word) + 1)
        return logits[:, :-1].float().log_softmax(-1).gather(-1, more[..., None])[..., 0].mean(dim=1)

    @property
    def fingerprint(self) -> str:
        """What tells these weights from others."""
        return fingerprint(self.model, " ".join(self.labels), *self.begins)

    @property
    def heads(self) -> int:
        """Attention heads of a decoder layer."""
        return int(self.model.config.get_text_config().num_attention_heads)

    @abstractmethod
    def layers(self) -> list[nn.Module]:
        """The decoder's layers, first to last."""

    @abstractmethod
    def encoder_layers(self) -> list[nn.Module]:
        """The audio encoder's layers, first to last."""

    def passage(self, utterances: Sequence[Utterance], answers: Sequence[str] | None = None, *, route: str = "reason") -> Passage:
        """Return a batch with its answers: those given, or the model's own."""
        task = check_route(route)
        if answers is None:
            tokens = self._tokens(utterances, task, self.max_new_tokens, progress=False)
        else:
            tokens = [[*self.tokenizer(a, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id] for a in answers]
        inputs, said = with_answers(self._inputs(utterances, task), tokens, pad=self.tokenizer.pad_token_id or 0)
        return self._passage(inputs, said)

    def naming(self, utterances: Sequence[Utterance]) -> Passage:
        """Return a batch that ends where `scores` asks for the emotion: what follows the last place is one of `label_tokens`."""
        task, prefix = self.begins
        begun = self.tokenizer(prefix, add_special_tokens=False)["input_ids"]
        inputs = self._inputs(utterances, task)
        return self._passage(*with_answers(inputs, [begun] * len(utterances), pad=self.tokenizer.pad_token_id or 0))

    @property
    def label_tokens(self) -> list[int]:
        """The token with which each of the seven labels begins, in the order of `EMOTIONS`.

        Raises:
            ValueError: two labels begin with the same token, so that one token cannot tell them apart.
        """
        first = [self.tokenizer(f" {label}", add_special_tokens=False)["input_ids"][0] for label in self.labels]
        if len(set(first)) < len(first):
            raise ValueError(f"{self.name}: two of its labels ({', '.join(self.labels)}) begin with the same token; give it other labels")
        return first

    def _passage(self, inputs: Inputs, said: Tensor) -> Passage:
        """The passage of a whole input; `said`: (B, S) True where the answer stands."""
        return Passage(inputs, inputs["input_ids"], self._parts(inputs["input_ids"], inputs["attention_mask"], said))

    def _parts(self, ids: Tensor, mask: Tensor, said: Tensor) -> Tensor:
        parts = torch.full_like(ids, PARTS.index("instruction"))
        parts[ids == self.model.config.audio_token_id] = PARTS.index("audio")
        parts[said] = PARTS.index("answer")
        parts[mask == 0] = PARTS.index("padding")
        return parts

    @abstractmethod
    def logits(self, passage: Passage, *, keep: int = 0) -> Tensor:
        """(B, S, V) of the next token at each place; with a gradient where one is wanted. `keep`: only at the last places; 0: at all."""


def by_emotion(row: np.ndarray) -> dict[str, float]:
    """Return a row of scores by the emotions' names."""
    from cogviz.emotions import EMOTIONS

    return dict(zip(EMOTIONS, row.tolist(), strict=True))


def extended(inputs: Inputs, more: Tensor, embed: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Return the input with the tokens `more` (B, T) behind it."""
    longer = dict(inputs)
    if "inputs_embeds" in inputs:
        longer["inputs_embeds"] = torch.cat([inputs["inputs_embeds"], embed(more)], dim=1)
    else:
        longer["input_ids"] = torch.cat([inputs["input_ids"], more], dim=1)
    longer["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(more)], dim=1)
    return longer


def with_answers(inputs: Inputs, answers: Sequence[Sequence[int]], *, pad: int) -> tuple[dict[str, Tensor], Tensor]:
    """Return the input with an answer behind each row, padded on the left again, and (B, S) True where the answers stand."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    rows = [
        torch.cat([i[m], torch.tensor(list(a), dtype=ids.dtype, device=ids.device)]) for i, m, a in zip(ids, mask, answers, strict=True)
    ]
    longest = max(map(len, rows))
    place = torch.arange(longest, device=ids.device)
    lengths = torch.tensor([len(r) for r in rows], device=ids.device)[:, None]
    told = torch.tensor([len(a) for a in answers], device=ids.device)[:, None]
    whole = torch.stack([nn.functional.pad(r, (longest - len(r), 0), value=pad) for r in rows])
    return {**inputs, "input_ids": whole, "attention_mask": (place >= longest - lengths).long()}, place >= longest - told


def _cut(tokens: list[int], ends: set[int]) -> list[int]:
    end = next((i for i, token in enumerate(tokens) if token in ends), None)
    return tokens if end is None else tokens[: end + 1]
