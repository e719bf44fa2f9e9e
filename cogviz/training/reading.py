"""Text-only pretraining: the language model learns to read what the connector will give it, before it hears a sound.

An untrained language model that meets a few thousand spoken sentences learns them by heart and never learns to listen. So it first repeats
sentences, more than half of them word salads that nothing but reading can repeat, from *simulated frames*: the embeddings of the sentence's
own tokens, each mixed with a little of another, and now and then a token too few, too many or wrong, which is what CTC compression leaves
of the connector's output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from cogviz.eips import Answer, render
from cogviz.emotions import EMOTIONS, INTENSITIES, intensity
from cogviz.lime.annotate import annotate, cues
from cogviz.lime.prosody import delta
from cogviz.lime.sentences import Sentence
from cogviz.models import tone
from cogviz.models.processing import CogAudioProcessor

SALAD = 0.6
"""Share of word salads."""

LENGTHS = {"transcribe": 1, "direct": 2, "reason": 3}
"""Rank of a row's length by task, so that batches hold similar ones."""

DROPPED, WRONG, ADDED = 0.03, 0.08, 0.03
"""Mean chance of each token to be missed, misheard, or followed by one that was not said; a row's own is 0 to 2 times as large."""

KINDS = {"ambiguous": 0.6, "emotional": 0.2, "everyday": 0.2}
"""Share of the sentences to answer by kind: the ambiguous ones have a reading of their own in each of the seven emotions."""


class ReadingExamples(Dataset):
    """`count` rows with simulated frames, drawn by index, so that a resumed run sees the same.

    Args:
        texts: the sentences to repeat ("transcribe"); more than half of the rows are salads of their words.
        answered: (sentence, emotions that it may be said in) to answer ("reason", "direct"), in one of them: which cannot be heard here, so
            that only what follows from it is learned.
        tasks: task -> weight.
        unfamiliar: share of the answered sentences of which half the words are exchanged, and which have no reading then.
        told: number of tone tokens that tell in words (see `models.tone`) what an answer is to follow from; 0: the tone is silent.
    """

    def __init__(
        self,
        texts: Sequence[str],
        processor: CogAudioProcessor,
        *,
        count: int,
        seed: int,
        tasks: Mapping[str, float] | None = None,
        answered: Sequence[tuple[Sentence, Sequence[str]]] = (),
        unfamiliar: float = 0.0,
        told: int = 0,
    ) -> None:
        self.texts, self.processor, self.seed, self.unfamiliar, self.told = list(texts), processor, seed, unfamiliar, told
        self.tasks = dict(tasks or {"transcribe": 1.0})
        self.kinds = {kind: [pair for pair in answered if pair[0].kind == kind] for kind in KINDS}
        share = np.array([KINDS[kind] * bool(pairs) for kind, pairs in self.kinds.items()])
        self.shares = share / max(share.sum(), 1e-9)
        self.words = np.array(sorted({word for text in texts for word in text.split()}))
        self.drawn = np.random.default_rng((seed, 8)).choice(
            list(self.tasks), size=count, p=np.array(list(self.tasks.values())) / sum(self.tasks.values())
        )
        self.lengths = [LENGTHS[str(task)] for task in self.drawn]

    def __len__(self) -> int:
        return len(self.lengths)

    def _said(self, task: str, draw: np.random.Generator) -> tuple[str, str, list[int]]:
        """(words spoken, answer, what the tone tokens tell)."""
        if task == "transcribe":
            salad = draw.random() < SALAD
            text = " ".join(draw.choice(self.words, draw.integers(4, 12))) if salad else self.texts[draw.integers(len(self.texts))]
            return text, text, self._tone(str(draw.choice(list(EMOTIONS))), "mid", draw)[0] if self.told else []
        pairs = self.kinds[str(draw.choice(list(self.kinds), p=self.shares))]
        sentence, emotions = pairs[int(draw.integers(len(pairs)))]
        if self.unfamiliar and draw.random() < self.unfamiliar:
            sentence = self._exchanged(sentence, draw)
        emotion, level = str(draw.choice(list(emotions))), str(draw.choice(list(INTENSITIES)))
        told, heard = self._tone(emotion, level, draw)
        given = annotate(sentence, emotion, level, heard=heard, seed=int(draw.integers(1 << 30)))
        return sentence.text, render(given if task == "reason" else Answer(given.response)), told

    def _tone(self, emotion: str, level: str, draw: np.random.Generator) -> tuple[list[int], tuple[str, ...]]:
        """(what the tone tokens tell, cue words) of a rendering that nobody makes; neither where the tone is silent."""
        if not self.told:
            return [], ()
        k = 0.0 if emotion == "neutral" else intensity(level)
        heard = cues(delta(emotion, k, speaker="reading", take=str(draw.integers(1 << 30))).tolist())
        return tone.classes(emotion, k, heard, self.told), heard

    def _exchanged(self, sentence: Sentence, draw: np.random.Generator) -> Sentence:
        """The sentence with every second word, on average, another one; its topic stays, its reading and its emotion do not hold any more."""
        start = sentence.text.lower().find(sentence.topic.lower())
        end = start + len(sentence.topic)
        before, topic, behind = (
            (sentence.text[:start], sentence.text[start:end], sentence.text[end:]) if start >= 0 else ("", sentence.text, "")
        )

        def exchange(part: str) -> str:
            return " ".join(str(draw.choice(self.words)) if w[0].isalpha() and draw.random() < 0.5 else w for w in part.split())

        text = " ".join(part for part in (exchange(before), topic, exchange(behind)) if part)
        return replace(sentence, text=text, readings={}, emotion=None)

    def __getitem__(self, index: int) -> dict[str, Any]:
        draw = np.random.default_rng((self.seed, 7, index))
        task = str(self.drawn[index])
        text, answer, told = self._said(task, draw)
        processor = self.processor
        spoken = processor.spoken_tokens(text)
        others = draw.integers(processor.spoken or len(processor.tokenizer), size=(len(spoken), 2))
        chances = draw.random((len(spoken), 3)) / (2 * draw.random() + 1e-9)
        frames = []
        for token, (instead, added), chance in zip(spoken, others.tolist(), chances, strict=True):
            if chance[0] >= DROPPED:
                frames.append(instead if chance[1] < WRONG else token)
            if chance[2] < ADDED:
                frames.append(added)
        before = processor.tokens(processor.prompt(task, len(frames) + processor.tone_tokens))
        after = [*processor.tokens(answer), processor.tokenizer.eos_token_id]
        return {"frame_tokens": frames, "tone": told, "input_ids": before + after, "labels": [-100] * len(before) + after}


def collate(rows: Sequence[dict[str, Any]], *, pad: int) -> dict[str, torch.Tensor]:
    """Pad rows to one batch."""

    def padded(name: str, fill: int) -> torch.Tensor:
        longest = max(len(r[name]) for r in rows)
        return torch.tensor([r[name] + [fill] * (longest - len(r[name])) for r in rows])

    longest = max(len(r["input_ids"]) for r in rows)
    tone_classes = {"tone_classes": torch.tensor([r["tone"] for r in rows])} if rows[0]["tone"] else {}
    return tone_classes | {
        "input_ids": padded("input_ids", pad),
        "labels": padded("labels", -100),
        "attention_mask": torch.tensor([[1] * len(r["input_ids"]) + [0] * (longest - len(r["input_ids"])) for r in rows]),
        "frame_tokens": padded("frame_tokens", -100),
    }
