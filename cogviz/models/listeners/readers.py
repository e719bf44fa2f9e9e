"""Readers: words -> the emotion that they carry. What a model that only reads can reach.

Both learn from the packaged `emotional` sentences of the training split (see `lime.sentences`), and never see one of another split.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

from cogviz.emotions import EMOTIONS
from cogviz.lime.sentences import Sentence, sentences
from cogviz.models import backbones
from cogviz.models.batching import in_batches
from cogviz.models.fingerprint import fingerprint
from cogviz.models.listeners.prompts import LABELS
from cogviz.models.meaning import SentenceEncoder

EXAMPLES, CALIBRATING = 3, 8
"""Sentences of each emotion that the language model is shown with their label, and without one."""


class Reader(Protocol):
    """Words in, emotions out."""

    name: str

    @property
    def fingerprint(self) -> str:
        """What tells it from another."""
        ...

    def __call__(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions."""
        ...


def drawn(count: int, *, seed: int) -> list[Sentence]:
    """Draw `count` training sentences of each emotion, of different templates, in mixed order."""
    draw = np.random.default_rng(seed)
    pool = sentences(kind="emotional", split="train")
    found = []
    for emotion in EMOTIONS:
        own = {s.template: s for s in pool if s.emotion == emotion}
        found += [own[t] for t in draw.choice(sorted(own), count, replace=False)]
    return [found[i] for i in draw.permutation(len(found))]


class LanguageModelReader:
    """A small language model that is shown examples and asked how a person feels who says the words.

    The likelihood of each label, less its mean over sentences of all emotions: few-shot answers lean towards some labels (contextual
    calibration: Zhao et al. 2021, arXiv 2102.09690; with real sentences in place of "N/A", as in Zhou et al. 2023, arXiv 2309.17249).

    Args:
        name: a causal language model by its hub name, or a folder. batch: texts read at once; None: found automatically.

    Raises:
        WeightsError: it is not on this machine.
    """

    def __init__(self, name: str = backbones.SMOLLM2, *, device: str = "cpu", dtype: Any = torch.float32, batch: int | None = None) -> None:
        self.model, self.tokenizer = backbones.language_model(name)
        self.model.to(device, dtype)
        self.name, self.batch = name.split("/")[-1], batch
        self._kept: dict[str, np.ndarray] = {}

    @property
    def fingerprint(self) -> str:
        """What tells these weights, and the examples that are shown, from others."""
        return fingerprint(self.model, *(s.text for s in (*drawn(EXAMPLES, seed=0), *drawn(CALIBRATING, seed=1))))

    def __call__(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions; a text that came before is not computed again."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._kept]:
            raw = self._likelihoods(new, progress) - self._lean
            self._kept.update(zip(new, raw - np.logaddexp.reduce(raw, axis=1, keepdims=True), strict=True))
        return np.array([self._kept[text] for text in texts]).reshape(-1, len(EMOTIONS))

    @cached_property
    def _lean(self) -> np.ndarray:
        return self._likelihoods([s.text for s in drawn(CALIBRATING, seed=1)], progress=False).mean(axis=0)

    @cached_property
    def _shown(self) -> Any:
        """What the model keeps of the examples (its keys and values), computed once."""
        shown = "".join(f"{_asked(s.text)} {LABELS[EMOTIONS.index(str(s.emotion))]}.\n" for s in drawn(EXAMPLES, seed=0))
        inputs = self.tokenizer(shown, return_tensors="pt", add_special_tokens=False).to(self.model.device)
        with torch.inference_mode():
            return self.model(**inputs, use_cache=True).past_key_values

    def _likelihoods(self, texts: Sequence[str], progress: bool) -> np.ndarray:
        """(N, 7) mean log p of the tokens of each label."""
        asked = [self.tokenizer(_asked(text), add_special_tokens=False)["input_ids"] for text in texts]
        labels = [self.tokenizer(f" {label}", add_special_tokens=False)["input_ids"] for label in LABELS]

        def work(rows: list[int]) -> list[np.ndarray]:
            first = self._after([asked[i] for i in rows], 1)[:, 0]
            columns = []
            for word in labels:
                if len(word) == 1:
                    columns.append(first[:, word[0]])
                else:
                    likely = self._after([asked[i] + word for i in rows], len(word) + 1)[:, :-1]
                    columns.append(likely[:, range(len(word)), word].mean(dim=1))
            return list(torch.stack(columns, dim=1).cpu().numpy())

        seconds = [len(tokens) / 4 for tokens in asked]
        found = in_batches(work, seconds, device=self.model.device, batch=self.batch, name=f"{self.name}: reading", progress=progress)
        return np.array(found)

    def _after(self, rows: Sequence[list[int]], keep: int) -> torch.Tensor:
        """(B, keep, V) log p of the next token at the last places of each row, behind the examples."""
        device, longest = self.model.device, max(map(len, rows))
        shown = copy.deepcopy(self._shown)
        seen = shown.get_seq_length()
        shown.batch_repeat_interleave(len(rows))
        ids = torch.tensor([[self.tokenizer.pad_token_id or 0] * (longest - len(r)) + r for r in rows], device=device)
        mask = torch.tensor([[1] * seen + [0] * (longest - len(r)) + [1] * len(r) for r in rows], device=device)
        place = (mask.cumsum(dim=1) - 1)[:, seen:].clamp(min=0)
        with torch.inference_mode():
            out = self.model(ids, attention_mask=mask, position_ids=place, past_key_values=shown, logits_to_keep=keep)
        return out.logits.float().log_softmax(-1)


def _asked(text: str) -> str:
    return f'"{text}" The person who says this feels'


class SentenceReader:
    """Logistic regression on the sentence encoder's embeddings, fitted to the training sentences.

    Raises:
        WeightsError: the encoder is not on this machine.
    """

    def __init__(self, name: str = backbones.MINILM, *, device: str = "cpu", penalty: float = 1.0) -> None:
        from sklearn.linear_model import LogisticRegression

        self.encoder, self.name = SentenceEncoder(name, device=device), name.split("/")[-1]
        known = sentences(kind="emotional", split="train")
        labels = [EMOTIONS.index(str(s.emotion)) for s in known]
        self.classifier = LogisticRegression(C=penalty, max_iter=2000).fit(self.encoder([s.text for s in known]), labels)

    @property
    def fingerprint(self) -> str:
        """What tells these weights from others."""
        return fingerprint(self.encoder.model, {"coefficients": self.classifier.coef_})

    def __call__(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions."""
        return self.classifier.predict_log_proba(self.encoder(texts)) if texts else np.zeros((0, len(EMOTIONS)))
