"""Self-distillation: the language model teaches itself to answer what it hears as it would answer what it is told.

After injected emotional-attribution thinking (IEAT, arXiv 2601.04960), whose loss and settings are not published; this is ours. The *teacher* is the
model that the stage begins with, frozen. It reads the words, in place of sound (`CogAudio.simulate`), and a thought is put into its mouth that names
the speaker's emotion and its cause; the response that it gives then is what the *student* learns, who hears the recording and is told nothing. The
loss is KL(teacher || student) at every token of the teacher's own greedy response, so that the student learns how sure the teacher was of each
word and not only which it took: what is learned is to listen, and the language model keeps its way of putting things.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer

from cogviz.eips import ROUTES, Answer, thought
from cogviz.lime import dataset
from cogviz.lime.explanations import explain
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import data

BEGINS = "<response>"

LONGEST = 64
"""Tokens of a response; the teacher's are about 25."""


def injected(given: Answer, text: str, thinks: str) -> str:
    """Return the beginning of an answer in which the emotion and its cause are already thought.

    Args:
        given: the annotation. text: the words. thinks: how the teacher thinks, as in its config: what it is told must have the form that it knows.
    """
    told = thought(given.chain) if thinks == "steps" and given.chain is not None else explain(given, text, "cause").explanation
    return f"<thought>{told}</thought>{BEGINS}"


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """Return KL(teacher || student) in nats, mean over places; both (places, V) logits."""
    wanted, found = (logits.float().log_softmax(-1) for logits in (teacher, student))
    return nn.functional.kl_div(found, wanted, log_target=True, reduction="sum") / max(len(teacher), 1)


class TaughtExamples(data.Examples):
    """`Examples` whose responses on both routes are left to a teacher: a row ends where the response begins, and holds what the teacher reads.

    Args:
        thinks: how the teacher thinks.
    """

    def __init__(self, *args: Any, thinks: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.thinks = thinks

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = super().__getitem__(index)
        example = self.examples[index]
        if example.task not in ROUTES:
            return row
        splice = self._splice(index)
        text, answer = self._wanted(index, splice)
        spoken = self.utterances[example.utterance]
        given = dataset.answer(spoken) if splice is None else data.unfamiliar(splice.sentence, spoken, seed=index)
        prompt = row["labels"].count(-100)
        ends = answer.index(BEGINS) + len(BEGINS)
        begun = self.processor.tokens(answer[:ends])
        row["input_ids"], row["labels"] = row["input_ids"][:prompt] + begun, row["labels"][:prompt] + begun
        row["annotated"] = [*self.processor.tokens(answer[ends:]), self.processor.tokenizer.eos_token_id]
        return {**row, **reading(self.processor, given, text, self.thinks)}


def reading(processor: CogAudioProcessor, given: Answer, text: str, thinks: str) -> dict[str, list[int]]:
    """Return what a teacher reads of an utterance: the tokens of its prompt, with the thought, and those that its frames say."""
    frames = processor.spoken_tokens(text)
    prompt = processor.prompt("reason", len(frames) + processor.tone_tokens) + injected(given, text, thinks)
    return {"teacher_ids": processor.tokens(prompt), "teacher_frames": frames}


def collate(rows: Sequence[dict[str, Any]], *, pad: int) -> dict[str, Tensor]:
    """Pad rows to one batch, as `data.collate` does; of those that are taught also teacher_ids, teacher_mask (on the left), teacher_frames, annotated
    (the response to learn where the teacher has none) and taught (B,), which rows these are."""
    taught = [r for r in rows if "teacher_ids" in r]
    wide, frames, long = (max((len(r[name]) for r in taught), default=0) for name in ("teacher_ids", "teacher_frames", "annotated"))

    def matrix(lines: list[list[int]], width: int) -> Tensor:
        return torch.tensor(lines, dtype=torch.long).reshape(len(taught), width)

    return data.collate(rows, pad=pad) | {
        "taught": torch.tensor(["teacher_ids" in r for r in rows]),
        "teacher_ids": matrix([[pad] * (wide - len(r["teacher_ids"])) + r["teacher_ids"] for r in taught], wide),
        "teacher_mask": matrix([[0] * (wide - len(r["teacher_ids"])) + [1] * len(r["teacher_ids"]) for r in taught], wide),
        "teacher_frames": matrix([r["teacher_frames"] + [-100] * (frames - len(r["teacher_frames"])) for r in taught], frames),
        "annotated": matrix([r["annotated"] + [-100] * (long - len(r["annotated"])) for r in taught], long),
    }


class Teacher:
    """A frozen copy of a model that answers words and an injected thought. Weights that stay frozen anyway are shared with the model."""

    def __init__(self, model: CogAudioForConditionalGeneration, processor: CogAudioProcessor) -> None:
        shared = {id(weight): weight for name, weight in model.named_parameters() if model.is_frozen(name)}
        self.model = copy.deepcopy(model, memo=shared).eval()
        for name, weight in self.model.named_parameters():
            if not self.model.is_frozen(name):
                weight.requires_grad_(False)
        self.closes = processor.tokens("</response>")
        self.end = int(processor.tokenizer.eos_token_id)

    @torch.no_grad()
    def respond(self, ids: Tensor, mask: Tensor, frames: Tensor) -> tuple[list[list[int]], list[Tensor]]:
        """Return the greedy response to each row, its tokens with their end, and the (tokens, V) logits behind them; both empty where no end came.

        Args:
            ids, mask: (B, S) prompt and thought, padded on the left. frames: (B, T) the token that each frame says; -100 is padding.
        """
        out = self.model.generate(
            inputs_embeds=self.model.simulate(ids, frames),
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=LONGEST,
            output_logits=True,
            return_dict_in_generate=True,
        )
        logits = torch.stack(out.logits, dim=1)
        said = [self._cut(tokens) for tokens in out.sequences[:, -logits.shape[1] :].tolist()]
        return said, [row[: len(tokens)] for row, tokens in zip(logits, said, strict=True)]

    def _cut(self, tokens: list[int]) -> list[int]:
        """The response with its closing tag and the end of the answer; [] where there is none, or nothing before it."""
        n = len(self.closes)
        close = next((i for i in range(1, len(tokens) - n) if tokens[i : i + n] == self.closes), None)
        return [] if close is None or tokens[close + n] != self.end else tokens[: close + n + 1]


def taught_batch(batch: dict[str, Tensor], teacher: Teacher, *, pad: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Let the teacher respond and return (the batch with its responses, or the annotated ones where it has none, behind the rows that are taught;
    (L,) True where a label, row after row, is of a teacher's response; (places, V) the teacher's logits there)."""
    batch = dict(batch)
    taught, ids, mask, frames, annotated = (
        batch.pop(name) for name in ("taught", "teacher_ids", "teacher_mask", "teacher_frames", "annotated")
    )
    said, logits = teacher.respond(ids, mask, frames) if len(ids) else ([], [])
    responses, rows, told = iter(zip(said, annotated, strict=True)), [], []
    for tokens, labels, there, is_taught in zip(
        batch["input_ids"], batch["labels"], batch["attention_mask"].bool(), taught.tolist(), strict=True
    ):
        response, instead = next(responses) if is_taught else ([], annotated.new_empty(0))
        more = response or instead[instead != -100].tolist()
        kept = labels[there].tolist()
        rows.append((tokens[there].tolist() + more, kept + more))
        told += [False] * sum(label != -100 for label in kept) + [bool(response)] * len(more)
    width = max(len(tokens) for tokens, _ in rows)
    like = batch["input_ids"]
    batch["input_ids"] = like.new_tensor([tokens + [pad] * (width - len(tokens)) for tokens, _ in rows])
    batch["labels"] = like.new_tensor([labels + [-100] * (width - len(labels)) for _, labels in rows])
    batch["attention_mask"] = like.new_tensor([[1] * len(tokens) + [0] * (width - len(tokens)) for tokens, _ in rows])
    return batch, torch.tensor(told, device=like.device), torch.cat(logits) if logits else like.new_zeros((0, 1)).float()


class Distilling(Trainer):
    """A Trainer whose loss is cross-entropy but where a teacher responds: there it is the divergence from the teacher."""

    teacher: Teacher
    pad: int

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        batch, told, wanted = taught_batch(inputs, self.teacher, pad=self.pad)
        out = model(**batch)
        labels = batch["labels"][batch["labels"] != -100]  # row after row, as the logits
        # The model's own loss holds the cross-entropy of every label: that of the responses makes way for the divergence.
        loss = out.loss - nn.functional.cross_entropy(out.logits, labels)
        if not told.all():
            loss = loss + nn.functional.cross_entropy(out.logits[~told], labels[~told])
        if told.any():
            loss = loss + divergence(wanted, out.logits[told])
        return (loss, out) if return_outputs else loss
