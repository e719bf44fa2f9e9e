"""What the adapters for other people's audio language models share. One is a short file with its class and how its prompt is built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cogviz.audio import RATE
from cogviz.device import Device
from cogviz.eips import Answer, parse
from cogviz.models.answering import Answering, Inputs, Item
from cogviz.models.convert import WeightsError
from cogviz.models.listeners.prompts import LABELS, NAMED, asked
from cogviz.models.protocol import Heard, Passage
from cogviz.models.quiet import without_bars
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance


class AudioLanguageModel(Answering):
    """A pretrained audio language model of transformers: encoder and projector in `model.model`, chat template in the processor.

    Attributes:
        model_class: name of its class in transformers. needs: packages that its processor needs -> what to install.
        encoder: where in `model.model` the audio encoder is.
        reads_along: it understands any question, so that words can be given beside the sound.
    """

    model_class: ClassVar[str]
    needs: ClassVar[dict[str, str]] = {}
    encoder: ClassVar[str] = "audio_tower"

    reads_along = True
    labels = LABELS
    begins = ("name", NAMED)
    max_new_tokens = 256

    def __init__(self, model: Any, processor: Any, *, name: str = "model", batch: int | None = None) -> None:
        """Wrap a model that is already loaded.

        Raises:
            ValueError: the tokenizer has no token for sound, so that nothing can be heard.
        """
        self.model, self.processor, self.name, self.batch = model.eval(), processor, name, batch
        token = getattr(model.config, "audio_token_id", None)
        if token is None or token not in self.tokenizer.get_vocab().values():
            raise ValueError(f"{name} has no audio token ({token}) in its tokenizer, so it cannot hear; give its own processor, unchanged")
        self.tokenizer.padding_side = "left"

    @classmethod
    def load(cls, folder: Path, *, device: Device, name: str, batch: int | None = None) -> AudioLanguageModel:
        """Load from a folder.

        Raises:
            WeightsError: the folder has no weights or no processor in it, or a package is missing.
        """
        import importlib.util

        import transformers

        for package, install in cls.needs.items():
            if importlib.util.find_spec(package) is None:
                raise WeightsError(f"{name} needs the package {package}; run: pip install {install}")
        try:
            with without_bars():
                processor = transformers.AutoProcessor.from_pretrained(folder)
                model = getattr(transformers, cls.model_class).from_pretrained(folder, dtype=device.dtype)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = " ".join(str(error).split())[:160]
            raise WeightsError(f"{name} in {folder} cannot be loaded ({type(error).__name__}: {reason}); fetch it again") from None
        return cls(model.to(device.name), processor, name=name, batch=batch)

    @property
    def tokenizer(self) -> Any:
        """The language model's tokenizer."""
        return self.processor.tokenizer

    def _inputs(self, items: Sequence[Item], task: str | Sequence[str], prefix: str = "") -> Inputs:
        tasks = [task] * len(items) if isinstance(task, str) else task
        clips = [item.samples for item in items if isinstance(item, Utterance)]
        prompts = [asked(t, item if isinstance(item, str) else None) for t, item in zip(tasks, items, strict=True)]
        inputs = self._prompt(prompts, clips or None)
        inputs = {n: v.to(self.model.device, self.model.dtype if v.is_floating_point() else None) for n, v in inputs.items()}
        if not prefix:
            return inputs
        begun = torch.tensor(self.tokenizer(prefix, add_special_tokens=False)["input_ids"], device=self.model.device)
        return {
            **inputs,
            "input_ids": torch.cat([inputs["input_ids"], begun.expand(len(items), -1)], dim=1),
            "attention_mask": torch.cat([inputs["attention_mask"], torch.ones_like(begun).expand(len(items), -1)], dim=1),
        }

    def _prompt(self, prompts: Sequence[str], clips: Sequence[Any] | None) -> Inputs:
        """Token ids, mask and features of a batch, each prompt with its clip before it."""
        text = [self._chat(p, sound=clips is not None) for p in prompts]
        sound = {} if clips is None else {"audio": list(clips), "audio_kwargs": {"sampling_rate": RATE}}
        return self.processor(text=text, **sound, text_kwargs={"padding": True, "add_special_tokens": False}, return_tensors="pt")

    def _chat(self, prompt: str, *, sound: bool) -> str:
        """The text of a chat whose next words are the answer."""
        content = [{"type": "audio"}] * sound + [{"type": "text", "text": prompt}]
        return self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)

    def _heard(self, utterance: Utterance, route: str, text: str, **more: Any) -> Heard:
        """On the direct route nobody is told to write tags: what is said is the response, and claims nothing."""
        if route == "direct" and parse(text) is None and text.strip():
            return Heard(utterance, route, text, Answer(text.strip()), None, **more)
        return Heard(utterance, route, text, parse(text), claimed_emotion(text), **more)

    def _end_logits(self, inputs: Inputs, keep: int) -> Tensor:
        hidden = self.model.model(**inputs, use_cache=False).last_hidden_state[:, -keep:]
        return self.model.get_output_embeddings()(hidden)  # at the end only: a vocabulary times a whole prompt is gigabytes

    def layers(self) -> list[nn.Module]:
        """The decoder's layers, first to last."""
        return list(self.model.model.language_model.layers)

    def encoder_layers(self) -> list[nn.Module]:
        """The audio encoder's layers, first to last."""
        return list(getattr(self.model.model, self.encoder).layers)

    def logits(self, passage: Passage, *, keep: int = 0) -> Tensor:
        """(B, S, V) of the next token at each place; with a gradient where one is wanted. `keep`: only at the last places; 0: at all."""
        return self._end_logits(passage.inputs, keep) if keep else self.model(**passage.inputs, use_cache=False).logits
