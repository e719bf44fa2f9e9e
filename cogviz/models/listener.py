"""CogAudio as a listener. What any listener is, and its adapters for other people's models: `models.protocol`, `models.listeners`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BatchFeature

from cogviz.audio import RATE
from cogviz.device import choose
from cogviz.eips import check_route
from cogviz.emotions import EMOTIONS, emotion
from cogviz.models import zoo
from cogviz.models.answering import Answering, Inputs, Item
from cogviz.models.configuration import SAMPLES_PER_FRAME
from cogviz.models.modeling import NO_ENROLMENT, CogAudioForConditionalGeneration
from cogviz.models.packing import packed, take
from cogviz.models.processing import CogAudioProcessor
from cogviz.models.protocol import Heard, Listener, Passage, Transparent
from cogviz.models.record import Record, record
from cogviz.utterance import Utterance

__all__ = ["CogAudioListener", "Heard", "Listener", "Transparent"]

MAX_NEW_TOKENS = 200
"""Of an answer: a chain and its response are about 110."""

PERCEIVES = {"steps": "<thought>[Perception] The voice sounds", "freely": "<thought>The voice sounds"}
"""How a thought begins, by the config's `thinks`; what follows names the emotion."""


def kept_states(states: Tensor, mask: Tensor, inputs: Inputs) -> list[tuple[np.ndarray, ...]]:
    """Return what `CogAudioProcessor.from_states` needs of each recording of a batch: layers, levels, and what an acoustic encoder hears.

    Args:
        states, mask: of `encode`. inputs: the batch, from the processor.
    """
    layers = states.float().cpu().numpy()
    others = [inputs[name].cpu().numpy() for name in ("audio_levels", "audio_acoustic") if name in inputs]
    return [(layers[i, :, :n], *(other[i, :n] for other in others)) for i, n in enumerate(mask.sum(dim=1).tolist())]


class CogAudioListener(Answering):
    """A CogAudio model as a `Listener`.

    Args:
        model: a variant's name or a checkpoint folder; or use `CogAudioListener.of(model, processor)`.
        batch: utterances heard at once; None: found automatically (see `models.batching`).
    """

    labels = tuple(emotion(name).adjective for name in EMOTIONS)
    max_new_tokens = MAX_NEW_TOKENS

    def __init__(self, model: str | Path, *, batch: int | None = None, device: str = "cpu") -> None:
        loaded, processor = zoo.load(model)
        loaded.fold_adapters()
        if (chosen := choose(device)).mixed:
            loaded.store_frozen(chosen.dtype)
        self._set(loaded.to(chosen.name), processor, name=Path(model).name, batch=batch)

    @classmethod
    def of(
        cls,
        model: CogAudioForConditionalGeneration,
        processor: CogAudioProcessor,
        *,
        name: str = "model",
        batch: int | None = None,
        states: Mapping[str, tuple[np.ndarray, ...]] | None = None,
    ) -> CogAudioListener:
        """Wrap a model that is already loaded; `states`: encoder layers and levels by utterance id, where they were computed before."""
        self = cls.__new__(cls)
        self._set(model.eval(), processor, name=name, batch=batch)
        self.states = states or {}
        return self

    def _set(self, model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, *, name: str, batch: int | None) -> None:
        self.model, self.processor, self.name, self.batch = model, processor, name, batch
        self.begins = ("reason", PERCEIVES[model.config.thinks])
        self.states: Mapping[str, tuple[np.ndarray, ...]] = {}
        self._voices: dict[str, Tensor] = {}

    @property
    def tokenizer(self) -> Any:
        """The language model's tokenizer."""
        return self.processor.tokenizer

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """No gradient, and autocast where the weights are of two precisions."""
        with torch.inference_mode(), self._autocast():
            yield

    def _autocast(self) -> torch.autocast:
        return torch.autocast(torch.device(self.model.device).type, torch.bfloat16, enabled=self.model.needs_autocast)

    def _inputs(
        self,
        items: Sequence[Item],
        task: str | Sequence[str],
        prefix: str | Sequence[str] = "",
        states: Mapping[str, tuple[np.ndarray, ...]] | None = None,
    ) -> BatchFeature:
        utterances = [item for item in items if isinstance(item, Utterance)]
        if not utterances:
            return self._written([str(item) for item in items], task, prefix)
        states = states or self.states
        if all(u.id in states for u in utterances):
            inputs = self.processor.from_states([states[u.id] for u in utterances], task, prefix=prefix)
        else:
            inputs = self.processor([u.samples for u in utterances], task, prefix=prefix, names=[u.id for u in utterances])
        if any(u.enrolment is not None for u in utterances) and self.model.connector.tone_tokens:
            if not self.model.connector.enrols:
                raise ValueError(f"{self.name}: {NO_ENROLMENT}")
            unknown = self.model.connector.neutral.cpu()  # nobody: the voice is heard as it is
            inputs["enrolled"] = torch.stack([unknown if u.enrolment is None else self._voice(u.enrolment) for u in utterances])
        return inputs.to(self.model.device)

    def _written(self, texts: Sequence[str], task: str | Sequence[str], prefix: str | Sequence[str]) -> BatchFeature:
        """Words in place of the sound, as text-only pretraining gives them (`training.reading`): each token as a frame that says it, no tone."""
        processor, device = self.processor, self.model.device
        spoken = [processor.spoken_tokens(text) for text in texts]
        prompts = processor.prompts([len(s) + processor.tone_tokens for s in spoken], task, prefix)
        ids, mask = (torch.as_tensor(prompts[name], device=device) for name in ("input_ids", "attention_mask"))
        longest = max(map(len, spoken))
        frames = torch.tensor([s + [-100] * (longest - len(s)) for s in spoken], dtype=torch.long, device=device)
        with self._inference():
            embeds = self.model.simulate(ids, frames)
        return BatchFeature({"inputs_embeds": embeds, "attention_mask": mask})

    def _voice(self, neutral: Utterance) -> Tensor:
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

    def _ends(self) -> set[int]:
        return {self.tokenizer.eos_token_id}

    def _seconds(self, item: Item) -> float:
        if isinstance(item, Utterance) and item.id in self.states:
            return self.states[item.id][0].shape[1] * SAMPLES_PER_FRAME / RATE
        return super()._seconds(item)

    def _end_logits(self, inputs: Inputs, keep: int) -> Tensor:
        place = {}
        if "inputs_embeds" in inputs:
            place["position_ids"] = (inputs["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        return self.model(**inputs, **place, logits_to_keep=keep).logits

    def listen(
        self, utterances: Sequence[Utterance], *, route: str = "reason", explain: bool = False, progress: bool = True
    ) -> list[Heard]:
        """Answer each utterance on a route; greedy, so that the same sound gets the same answer.

        Args:
            explain: also keep each answer's `Record`, which attribution and probing need.
        """
        if not explain:
            return super().listen(utterances, route=route, progress=progress)
        answers = self._tokens(utterances, check_route(route), MAX_NEW_TOKENS, progress)
        return [self._heard(u, route, self._text(t), record=self._record(u, route, t)) for u, t in zip(utterances, answers, strict=True)]

    def _record(self, utterance: Utterance, route: str, tokens: Sequence[int]) -> Record:
        inputs = self._inputs([utterance], route)
        with self._inference():
            return record(self.model, self.processor, inputs, tokens)

    def stream(self, utterance: Utterance, *, route: str = "reason", max_new_tokens: int = MAX_NEW_TOKENS) -> Iterator[str]:
        """Answer one utterance and yield the text as it comes; what is yielded, joined, is the answer that `listen` gives.

        Where whoever listens leaves (the generator is closed), the model stops after the token that it is at.
        """
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        inputs = self._inputs([utterance], check_route(route))
        streamer = TextIteratorStreamer(self.processor.tokenizer, skip_special_tokens=True)
        failed: list[BaseException] = []
        left = threading.Event()

        def gone(ids: Tensor, *_: Any, **__: Any) -> Tensor:
            return torch.full((len(ids),), left.is_set(), device=ids.device)

        def answer() -> None:
            try:
                with self._inference():
                    self.model.generate(
                        **inputs,
                        do_sample=False,
                        max_new_tokens=max_new_tokens,
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([gone]),
                    )
            except BaseException as error:  # whatever it is, whoever listens must hear of it and not wait
                failed.append(error)
                streamer.end()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield from (piece for piece in streamer if piece)
        finally:
            left.set()
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

        def work(rows: list[int]) -> list[str]:
            heard = [utterances[i] for i in rows]
            inputs = self._inputs(heard, "reason", [f"<thought>{thoughts[i]}</thought><response>" for i in rows], self._encoded(heard))
            with self._inference():
                out = self.model.generate(**inputs, do_sample=False, max_new_tokens=MAX_NEW_TOKENS)
            said = [self._text(tokens).split("</response>")[0] for tokens in out[:, inputs["input_ids"].shape[1] :].tolist()]
            return [text.split("<response>")[-1].strip() for text in said]  # a model that misses its steps may say them first

        return self._in_batches(work, utterances, "responding", progress)

    def _encoded(self, utterances: Sequence[Utterance]) -> Mapping[str, tuple[np.ndarray, ...]]:
        """Encoder layers and levels by utterance id, each utterance encoded once; those that were computed before where there are any."""
        different = {u.id: u for u in utterances}
        if all(name in self.states for name in different):
            return self.states
        inputs = self.processor([u.samples for u in different.values()], names=list(different)).to(self.model.device)
        with self._inference():
            states, mask = self.model.encode(inputs["input_features"], inputs["feature_attention_mask"])
        return dict(zip(different, kept_states(states, mask, inputs), strict=True))

    def transcribe(self, utterances: Sequence[Utterance], *, progress: bool = True) -> list[str]:
        """The words that the model hears."""
        return self.texts(utterances, "transcribe", max_new_tokens=48, progress=progress)

    def scores(self, utterances: Sequence[Utterance], *, adjectives: Sequence[str] | None = None, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of each emotion's word after "The voice sounds" on the reasoning route, per token, normalised over the seven.

        Args:
            adjectives: choose among these words and not those of the seven emotions.
        """
        return self._scores(utterances, adjectives or self.labels, progress)

    def layers(self) -> list[nn.Module]:
        """The decoder's layers, first to last."""
        return list(self.model.language_model.base_model.layers)

    def encoder_layers(self) -> list[nn.Module]:
        """The audio encoder's layers, first to last."""
        return list(self.model.audio_encoder.layers)

    def _passage(self, inputs: Inputs, said: Tensor) -> Passage:
        with self._inference():
            _, kept, _, _ = self.model.hear(**inputs)
        order = packed(kept, left=True)  # a frame that says nothing new has no place in the language model
        ids = inputs["input_ids"].gather(1, order)
        return Passage(inputs, ids, self._parts(ids, kept.gather(1, order), said.gather(1, order)))

    @contextmanager
    def hearing_once(self) -> Iterator[None]:
        """Hear the sound of a batch once inside the block, however often it then goes through the model; without a gradient."""
        hear = self.model.hear
        known: dict[str, Any] = {}

        def once(*args: Any, **kwargs: Any) -> Any:
            given = [*args, *kwargs.values()]
            same = len(given) == len(known.get("given", ())) and all(a is b for a, b in zip(given, known["given"], strict=True))
            if not same:
                known.update(given=given, found=hear(*args, **kwargs))
            return known["found"]

        self.model.hear = once
        try:
            yield
        finally:
            del self.model.hear

    def logits(self, passage: Passage, *, keep: int = 0) -> Tensor:
        """(B, S, V) of the next token at each place; with a gradient where one is wanted. `keep`: only at the last places; 0: at all."""
        with self._autocast():
            embeds, kept, _, _ = self.model.hear(**passage.inputs)
            order = packed(kept, left=True)
            mask = kept.gather(1, order)
            place = (mask.cumsum(dim=1) - 1).clamp(min=0)
            return self.model.language_model(
                inputs_embeds=take(embeds, order), attention_mask=mask, position_ids=place, logits_to_keep=keep
            ).logits
