"""The one interface that every analysis uses: a `Listener` hears utterances and answers. Adapters for other models implement the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from tqdm import tqdm
from transformers import BatchFeature

from cogviz.device import choose
from cogviz.eips import Answer, check_route, parse
from cogviz.emotions import EMOTIONS, emotion
from cogviz.models import zoo
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.models.record import Record, record
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance

MAX_NEW_TOKENS = 200
"""Of an answer: a chain and its response are about 110."""

PERCEIVES = "<thought>[Perception] The voice sounds"
"""How a chain begins; what follows names the emotion."""


@dataclass(frozen=True)
class Heard:
    """What a listener made of one utterance.

    Attributes:
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


class Listener(Protocol):
    """Anything that hears an utterance and answers."""

    name: str

    def listen(self, utterances: Sequence[Utterance], *, route: str = "reason") -> list[Heard]:
        """Answer each utterance on a route."""
        ...


class CogAudioListener:
    """A CogAudio model as a `Listener`.

    Args:
        model: a variant's name or a checkpoint folder; or use `CogAudioListener.of(model, processor)`.
        batch: utterances heard at once.
    """

    def __init__(self, model: str | Path, *, batch: int = 16, device: str = "cpu") -> None:
        loaded, processor = zoo.load(model)
        loaded.fold_adapters()
        if (chosen := choose(device)).mixed:
            loaded.store_frozen(chosen.dtype)
        self._set(loaded.to(device), processor, name=Path(model).name, batch=batch)

    @classmethod
    def of(
        cls,
        model: CogAudioForConditionalGeneration,
        processor: CogAudioProcessor,
        *,
        name: str = "model",
        batch: int = 16,
        states: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> CogAudioListener:
        """Wrap a model that is already loaded; `states`: encoder layers and levels by utterance id, where they were computed before."""
        self = cls.__new__(cls)
        self._set(model.eval(), processor, name=name, batch=batch)
        self.states = states or {}
        return self

    def _set(self, model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, *, name: str, batch: int) -> None:
        self.model, self.processor, self.name, self.batch = model, processor, name, batch
        self.states: Mapping[str, tuple[np.ndarray, np.ndarray]] = {}
        self._voices: dict[str, torch.Tensor] = {}

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """No gradient, and autocast where the weights are of two precisions."""
        device = torch.device(self.model.device).type
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=self.model.needs_autocast):
            yield

    def _inputs(
        self,
        utterances: Sequence[Utterance],
        task: str,
        prefix: str | Sequence[str] = "",
        states: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> BatchFeature:
        states = states or self.states
        if all(u.id in states for u in utterances) and utterances:
            inputs = self.processor.from_states([states[u.id] for u in utterances], task, prefix=prefix)
        else:
            inputs = self.processor([u.samples for u in utterances], task, prefix=prefix)
        if any(u.enrolment is not None for u in utterances) and self.model.connector.tone_tokens:
            unknown = self.model.connector.neutral.cpu()  # nobody: the voice is heard as it is
            inputs["enrolled"] = torch.stack([unknown if u.enrolment is None else self._voice(u.enrolment) for u in utterances])
        return inputs.to(self.model.device)

    def _voice(self, neutral: Utterance) -> torch.Tensor:
        """(K,) what a neutral recording says of a speaker's voice; kept, as many recordings share one."""
        if neutral.id not in self._voices:
            known = neutral.id in self.states
            inputs = self.processor.from_states([self.states[neutral.id]]) if known else self.processor(neutral.samples)
            inputs = inputs.to(self.model.device)
            with self._inference():
                if not known:
                    inputs["audio_states"], inputs["audio_mask"] = self.model.encode(
                        inputs["input_features"], inputs["feature_attention_mask"]
                    )
                voice = self.model.enrol(inputs["audio_states"], inputs["audio_levels"], inputs["audio_mask"])
            self._voices[neutral.id] = voice[0].cpu()
        return self._voices[neutral.id]

    def _batches(self, utterances: Sequence[Utterance], what: str, progress: bool) -> Iterator[list[int]]:
        # Similar lengths together: less padding. The order of the results is restored by index.
        waves = [self.states[u.id][0].shape[1] if u.id in self.states else len(u.samples) for u in utterances]
        order = np.argsort(waves, kind="stable").tolist()
        starts = range(0, len(order), self.batch)
        for start in tqdm(starts, desc=f"{self.name}: {what}", disable=not progress or len(starts) < 4, mininterval=2):
            yield order[start : start + self.batch]

    def _tokens(self, utterances: Sequence[Utterance], task: str, max_new_tokens: int, progress: bool) -> list[list[int]]:
        """Greedy answers as token ids, each up to and with its end token."""
        found: list[list[int]] = [[] for _ in utterances]
        end = self.processor.tokenizer.eos_token_id
        for rows in self._batches(utterances, task if task in ("reason", "direct", "transcribe", "name") else "answering", progress):
            inputs = self._inputs([utterances[i] for i in rows], task)
            with self._inference():
                out = self.model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
            for i, tokens in zip(rows, out[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
                found[i] = tokens[: tokens.index(end) + 1] if end in tokens else tokens
        return found

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.processor.tokenizer.decode(tokens, skip_special_tokens=True))

    def texts(
        self, utterances: Sequence[Utterance], task: str, *, max_new_tokens: int = MAX_NEW_TOKENS, progress: bool = True
    ) -> list[str]:
        """Greedy answers to a task (a key of `processing.PROMPTS` or a question), in order."""
        return [self._text(tokens) for tokens in self._tokens(utterances, task, max_new_tokens, progress)]

    def listen(
        self, utterances: Sequence[Utterance], *, route: str = "reason", explain: bool = False, progress: bool = True
    ) -> list[Heard]:
        """Answer each utterance on a route; greedy, so that the same sound gets the same answer.

        Args:
            explain: also keep each answer's `Record`, which attribution and probing need.
        """
        records: list[Record] | list[None] = [None] * len(utterances)
        if explain:
            tokens = self._tokens(utterances, check_route(route), MAX_NEW_TOKENS, progress)
            texts = [self._text(t) for t in tokens]
            records = [self._record(u, route, t) for u, t in zip(utterances, tokens, strict=True)]
        else:
            texts = self.texts(utterances, check_route(route), progress=progress)
        return [
            Heard(utterance, route, text, parse(text), claimed_emotion(text), record=kept)
            for utterance, text, kept in zip(utterances, texts, records, strict=True)
        ]

    def _record(self, utterance: Utterance, route: str, tokens: Sequence[int]) -> Record:
        inputs = self._inputs([utterance], route)
        with self._inference():
            return record(self.model, self.processor, inputs, tokens)

    def stream(self, utterance: Utterance, *, route: str = "reason", max_new_tokens: int = MAX_NEW_TOKENS) -> Iterator[str]:
        """Answer one utterance and yield the text as it comes; what is yielded, joined, is the answer that `listen` gives."""
        from transformers import TextIteratorStreamer

        inputs = self._inputs([utterance], check_route(route))
        streamer = TextIteratorStreamer(self.processor.tokenizer, skip_special_tokens=True)
        failed: list[BaseException] = []

        def answer() -> None:
            try:
                with self._inference():
                    self.model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens, streamer=streamer)
            except BaseException as error:  # whatever it is, whoever listens must hear of it and not wait
                failed.append(error)
                streamer.end()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield from (piece for piece in streamer if piece)
        thread.join()
        if failed:
            raise failed[0]

    def respond(self, utterances: Sequence[Utterance], thoughts: Sequence[str], *, progress: bool = True) -> list[str]:
        """Let the model respond on the reasoning route after thoughts that are put into its mouth; greedy.

        Args:
            thoughts: one for each utterance, the text between the thought tags (`eips.thought`); "" for none. A sound with many thoughts
                is encoded once a batch.

        Returns:
            The responses, without tags.
        """
        if len(thoughts) != len(utterances):
            raise ValueError(f"{len(utterances)} utterances but {len(thoughts)} thoughts")
        found = [""] * len(utterances)
        for rows in self._batches(utterances, "responding", progress):
            heard = [utterances[i] for i in rows]
            inputs = self._inputs(heard, "reason", [f"<thought>{thoughts[i]}</thought><response>" for i in rows], self._encoded(heard))
            with self._inference():
                out = self.model.generate(**inputs, do_sample=False, max_new_tokens=MAX_NEW_TOKENS)
            for i, tokens in zip(rows, out[:, inputs["input_ids"].shape[1] :], strict=True):
                said = self._text(tokens.tolist()).split("</response>")[0]
                found[i] = said.split("<response>")[-1].strip()  # a model that misses its steps may say them first
        return found

    def _encoded(self, utterances: Sequence[Utterance]) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        """Encoder layers and levels by utterance id, each utterance encoded once; those that were computed before where there are any."""
        different = {u.id: u for u in utterances}
        if all(name in self.states for name in different):
            return self.states
        inputs = self.processor([u.samples for u in different.values()]).to(self.model.device)
        with self._inference():
            states, mask = self.model.encode(inputs["input_features"], inputs["feature_attention_mask"])
        layers, levels = states.float().cpu().numpy(), inputs["audio_levels"].cpu().numpy()
        sizes = mask.sum(dim=1).tolist()
        return {name: (layers[i, :, :n], levels[i, :n]) for i, (name, n) in enumerate(zip(different, sizes, strict=True))}

    def transcribe(self, utterances: Sequence[Utterance], *, progress: bool = True) -> list[str]:
        """The words that the model hears."""
        return self.texts(utterances, "transcribe", max_new_tokens=48, progress=progress)

    def scores(self, utterances: Sequence[Utterance], *, adjectives: Sequence[str] | None = None, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of each emotion's word after "The voice sounds" on the reasoning route, per token, normalised over the seven.

        Args:
            adjectives: choose among these words and not those of the seven emotions.
        """
        adjectives = adjectives or [emotion(name).adjective for name in EMOTIONS]
        tokenizer = self.processor.tokenizer
        words = [tokenizer(f" {adjective}", add_special_tokens=False)["input_ids"] for adjective in adjectives]
        found = np.zeros((len(utterances), len(words)))
        for rows in self._batches(utterances, "scoring", progress):
            inputs = self._inputs([utterances[i] for i in rows], "reason", PERCEIVES)
            with self._inference():
                log_p = self.model(**inputs, logits_to_keep=1).logits[:, -1].float().log_softmax(-1)
                part = torch.stack([log_p[:, w[0]] if len(w) == 1 else self._continued(inputs, w) for w in words], dim=1)
            found[rows] = part.log_softmax(-1).cpu().numpy()
        return found

    def _continued(self, inputs: BatchFeature, word: list[int]) -> torch.Tensor:
        """(B,) mean log p of the tokens of `word` after the input."""
        rows = len(inputs["input_ids"])
        more = torch.tensor(word, device=self.model.device).expand(rows, -1)
        longer = dict(inputs)
        longer["input_ids"] = torch.cat([inputs["input_ids"], more], dim=1)
        longer["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(more)], dim=1)
        logits = self.model(**longer, logits_to_keep=len(word) + 1).logits[:, :-1].float().log_softmax(-1)
        return logits.gather(-1, more[..., None])[..., 0].mean(dim=1)
