"""Examples: an utterance, a task, and the answer to learn. And the batches made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import Dataset

from cogviz.eips import Answer, render
from cogviz.emotions import EMOTIONS, emotion
from cogviz.lime import dataset, style
from cogviz.lime.annotate import annotate
from cogviz.lime.explanations import explain
from cogviz.lime.sentences import Sentence
from cogviz.models import tone
from cogviz.models.acoustic import moved
from cogviz.models.processing import CogAudioProcessor, padded
from cogviz.training.features import Features
from cogviz.training.spliced import Splice, Splicer
from cogviz.utterance import Utterance

STEPS = "steps"
"""The targets that are EIPS chains; the others are those of `lime.explanations`."""

GAIN_DB = 4.0
"""Spread of the random recording level in training: microphones differ, so the absolute level must not carry everything."""


def target(utterance: Utterance, task: str, targets: str = STEPS, *, speaks: bool = False) -> str:
    """Return the text that a model should answer to a task.

    Args:
        targets: how it thinks on the reasoning route, as in `Recipe`. speaks: it says how its response is to be spoken.
    """
    if task == "transcribe":
        return utterance.text
    if task == "name":
        return f"The voice sounds {emotion(str(utterance.emotion)).adjective}."
    if task == "topic":
        return f"They speak of {utterance.extra['topic']}."
    return _told(dataset.answer(utterance), utterance.text, task, targets, utterance, speaks)


def unfamiliar(sentence: Sentence, spoken: Utterance, *, seed: int) -> Answer:
    """Return the annotation of a sentence without a reading that is said as `spoken` is."""
    heard = cast("Sequence[str]", spoken.extra.get("heard") or ())
    return annotate(sentence, str(spoken.emotion), spoken.intensity, heard=heard, seed=seed)


def unfamiliar_answer(sentence: Sentence, spoken: Utterance, task: str, targets: str = STEPS, *, speaks: bool = False, seed: int) -> str:
    """Return what a model should answer to a sentence without a reading that is said as `spoken` is."""
    if task == "transcribe":
        return sentence.text
    if task == "topic":
        return f"They speak of {sentence.topic}."
    return _told(unfamiliar(sentence, spoken, seed=seed), sentence.text, task, targets, spoken, speaks)


def _told(given: Answer, text: str, task: str, targets: str, spoken: Utterance, speaks: bool) -> str:
    """The answer's text: with its thought on the reasoning route."""
    if speaks:
        given = replace(given, voice=style.render(style.style_for(str(spoken.emotion), spoken.intensity)))
    if task == "direct":
        return render(Answer(given.response, voice=given.voice))
    if targets == STEPS:
        return render(given)
    told = explain(given, text, targets, evidence=cast("Sequence[str]", spoken.extra.get("evidence") or ()))
    return render(replace(told, voice=given.voice))


@dataclass(frozen=True)
class Example:
    """Which utterance, and what is asked."""

    utterance: int
    task: str


def draw_examples(count: int, pool: Sequence[int], tasks: dict[str, float], *, seed: int) -> list[Example]:
    """Draw `count` examples: the pool in random order, again and again; the task by weight."""
    draw = np.random.default_rng(seed)
    order = np.concatenate([draw.permutation(pool) for _ in range(-(-count // len(pool)))])[:count]
    names = draw.choice(list(tasks), size=count, p=np.array(list(tasks.values())) / sum(tasks.values()))
    return [Example(int(i), str(t)) for i, t in zip(order, names, strict=True)]


def draw_pool(utterances: Sequence[Utterance], parts: Sequence[str], *, count: int | None = None, seed: int = 0) -> list[int]:
    """Return the indices of the utterances in `parts`; with `count` whole cells (sentence by speaker), drawn until there are so many.

    Raises:
        TrainingError: there is none.
    """
    pool = [i for i, u in enumerate(utterances) if u.extra.get("part") in parts]
    if not pool:
        raise TrainingError(f"no utterance in parts {', '.join(parts)}; build the data with: cogviz lime build")
    if count is None or count >= len(pool):
        return pool
    grouped: dict[tuple[str, str], list[int]] = {}
    for i in pool:
        grouped.setdefault((utterances[i].sentence, utterances[i].speaker), []).append(i)
    cells = list(grouped.values())
    chosen: list[int] = []
    for c in np.random.default_rng(seed).permutation(len(cells)):
        if len(chosen) >= count:
            break
        chosen += cells[c]
    return sorted(chosen)


class TrainingError(RuntimeError):
    """Raised where training cannot go on; the last good state is kept."""


def need_annotation(utterances: Sequence[Utterance], *, of: str) -> None:
    """Raise `TrainingError` where the emotion of a voice, or how strong it is, is to be learned and nobody annotated it.

    Args:
        of: the stage that wants to.
    """
    missing = [u.id for u in utterances if u.emotion not in EMOTIONS or not 0 <= u.intensity <= 1.5]
    if missing:
        raise TrainingError(
            f"stage {of} learns from the emotion of the voice and its intensity, which nobody annotated in {len(missing)} of {len(utterances)} "
            f"utterances ({missing[0]}); annotate them, or leave their parts out of the stage"
        )


class Examples(Dataset):
    """Examples as tensors. `lengths` estimates tokens, so that batches can be built of similar ones.

    Args:
        augment: move the recording level at random. unfamiliar: share of the examples that are splices (see `spliced`).
        told: number of tone tokens that tell words (see `models.tone`); 0: the tone's label is the emotion alone.
        targets: how the model thinks, as in `Recipe`. attributes, speaks: as in `Stage`.
        learn: as in `collate`; a row holds no more than that.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        utterances: Sequence[Utterance],
        features: Features,
        processor: CogAudioProcessor,
        *,
        augment: bool,
        unfamiliar: float = 0.0,
        told: int = 0,
        targets: str = STEPS,
        attributes: bool = False,
        speaks: bool = False,
        learn: str = "answer",
        seed: int = 0,
    ) -> None:
        self.examples, self.utterances, self.features, self.processor = examples, utterances, features, processor
        self.augment, self.unfamiliar, self.told = augment, unfamiliar, told
        self.targets, self.attributes, self.speaks, self.learn, self.seed = targets, attributes, speaks, learn, seed
        self.splicer = Splicer(utterances, [e.utterance for e in examples]) if unfamiliar else None
        frames = features.lengths()
        words = {"transcribe": 16, "name": 8, "topic": 10, "reason": 130, "direct": 35}
        self.lengths = [int(frames[e.utterance]) + words[e.task] for e in examples]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.examples[index]
        utterance = self.utterances[example.utterance]
        heard = self.features.get(example.utterance)
        splice = self._splice(index)
        if splice is not None:
            others = self.features.get(splice.second)
            heard = tuple(splice.join(one, two, axis=axis) for one, two, axis in zip(heard, others, (1, 0, 0), strict=False))
        text, answer = self._wanted(index, splice)
        gain = float(np.random.default_rng((self.seed, index)).normal(0, GAIN_DB / 20)) if self.augment else 0.0
        states, levels = heard[0], heard[1] + gain
        row: dict[str, Any] = {"states": states, "levels": levels}
        if len(heard) > 2:
            row["acoustic"] = moved(heard[2], gain)
        if self.learn == "tone":
            return {**row, "tone": self._tone(utterance)}
        if self.attributes:
            row["tone"] = self._tone(utterance)
        row["spoken"] = self.processor.spoken_tokens(text)
        if self.learn == "words":
            return row
        prompt = self.processor.prompt(example.task, states.shape[1] + self.processor.tone_tokens)
        before = self.processor.tokens(prompt)
        after = [*self.processor.tokens(answer), self.processor.tokenizer.eos_token_id]
        return {**row, "input_ids": before + after, "labels": [-100] * len(before) + after}

    def _wanted(self, index: int, splice: Splice | None) -> tuple[str, str]:
        """(the words, what to answer) of an example."""
        example = self.examples[index]
        utterance = self.utterances[example.utterance]
        if splice is None:
            return utterance.text, target(utterance, example.task, self.targets, speaks=self.speaks)
        sentence = splice.sentence
        return sentence.text, unfamiliar_answer(sentence, utterance, example.task, self.targets, speaks=self.speaks, seed=index)

    def _tone(self, utterance: Utterance) -> int | list[int]:
        named = str(utterance.emotion)
        if not self.told and not self.attributes:
            return EMOTIONS.index(named)
        if not self.told:
            degree = tone.degree_of(named, utterance.intensity)
            return [EMOTIONS.index(named), -100 if degree is None else degree]
        return tone.classes(named, utterance.intensity, cast("Sequence[str]", utterance.extra.get("heard") or ()), self.told)

    def _splice(self, index: int) -> Splice | None:
        """The splice in place of an example's utterance, where one is drawn and fits: an answer needs words that carry no emotion."""
        example = self.examples[index]
        if self.splicer is None or example.task == "name":
            return None
        draw = np.random.default_rng((self.seed, index, 1))
        if example.task not in ("transcribe", "topic") and self.utterances[example.utterance].lexical_emotion is not None:
            return None
        return self.splicer.splice(example.utterance, draw) if draw.random() < self.unfamiliar else None


def collate(rows: Sequence[dict[str, Any]], *, pad: int, learn: str = "answer") -> dict[str, torch.Tensor]:
    """Pad rows to one batch: text on the right, frames at the end.

    Args:
        learn: "answer": prompt and answer, and CTC labels beside them; "words": CTC labels only; "tone": the emotion of the voice only.
    """
    frames = max(r["states"].shape[1] for r in rows)
    states = np.zeros((len(rows), rows[0]["states"].shape[0], frames, rows[0]["states"].shape[2]), dtype=np.float16)
    levels = np.zeros((len(rows), frames), dtype=np.float32)
    mask = np.zeros((len(rows), frames), dtype=bool)
    for i, r in enumerate(rows):
        length = r["states"].shape[1]
        states[i, :, :length], levels[i, :length], mask[i, :length] = r["states"], r["levels"], True
    audio = {
        "audio_states": torch.from_numpy(states),  # half: the model makes it what its weights are
        "audio_levels": torch.from_numpy(levels),
        "audio_mask": torch.from_numpy(mask),
    }
    if "acoustic" in rows[0]:
        audio["audio_acoustic"] = torch.from_numpy(padded([r["acoustic"] for r in rows], frames))
    if "tone" in rows[0]:
        audio["tone_labels"] = torch.tensor([r["tone"] for r in rows])
    if learn == "tone":
        return audio
    longest = max(len(r["spoken"]) for r in rows)
    audio["ctc_labels"] = torch.tensor([r["spoken"] + [-100] * (longest - len(r["spoken"])) for r in rows])
    if learn == "words":
        return audio
    width = max(len(r["input_ids"]) for r in rows)
    return audio | {
        "input_ids": torch.tensor([r["input_ids"] + [pad] * (width - len(r["input_ids"])) for r in rows]),
        "labels": torch.tensor([r["labels"] + [-100] * (width - len(r["labels"])) for r in rows]),
        "attention_mask": torch.tensor([[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in rows]),
    }
