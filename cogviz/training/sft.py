"""Supervised stages on `transformers.Trainer`: reading, hearing, 0 (transcribe), tone, I (chains), II (both routes)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch.utils.data import Dataset, Sampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import get_last_checkpoint

from cogviz.device import Device
from cogviz.emotions import EMOTIONS
from cogviz.lime.sentences import sentences
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import acoustic, alternating, distil, features, optimizer, reading
from cogviz.training.data import Examples, TrainingError, collate, draw_examples, draw_pool, need_annotation
from cogviz.training.features import Features
from cogviz.training.recipe import Recipe, Stage
from cogviz.utterance import Utterance

LOG_EVERY = 20

ROWS = {"cuda": 128, "cpu": 32}
"""Rows of a batch that a device takes at once, unless it is told to take fewer; the gradients of the others are added."""

HEARING = {"hearing": "words", "tone": "tone"}
"""The stages that need no language model: the connector learns by CTC which token each frame says, or by a readout how the voice sounds."""


class _StopAtNaN(TrainerCallback):
    """Stop at the first loss that is not finite."""

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not torch.isfinite(torch.tensor(float(loss))):
            raise TrainingError(
                f"the loss became {loss} at step {state.global_step}; lower learning_rate; the last checkpoint is in {args.output_dir}"
            )


class _Trainer(Trainer):
    """Batches of similar length, from lengths that are known beforehand; Muon and AdamW."""

    optimizer: torch.optim.Optimizer | None
    turn: Sequence[str] = ()  # the branch that each step is about, where they alternate

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler:
        train_dataset = train_dataset or self.train_dataset
        if self.turn:
            return alternating.TurnSampler(
                train_dataset.lengths, self.turn, batch=len(train_dataset) // len(self.turn), seed=self.args.seed
            )
        generator = torch.Generator().manual_seed(self.args.seed)
        return LengthGroupedSampler(self.args.train_batch_size, lengths=train_dataset.lengths, generator=generator)

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.turn:
            step = min(self.state.global_step, len(self.turn) - 1)
            alternating.set_branches(self.model, alternating.learns(self.turn[step], step, len(self.turn)))
        return super().training_step(model, inputs, *args, **kwargs)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            model = model or self.model
            decay = set(self.get_decay_parameter_names(model))
            self.optimizer = optimizer.make(model, lr=self.args.learning_rate, weight_decay=self.args.weight_decay, decay=decay)
        return self.optimizer


class _DistillingTrainer(distil.Distilling, _Trainer):
    """The same, with a teacher."""


@contextmanager
def out_of_memory(what: str, rows: int) -> Iterator[None]:
    """Say which knob to turn where memory runs out, on a GPU or on a CPU."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"{what} ran out of memory with {rows} rows at once; give --rows {max(1, rows // 2)} (what is finished is kept)"
        ) from None


def standardise(model: CogAudioForConditionalGeneration, stored: Features, pool: Sequence[int], *, count: int = 3000) -> None:
    """Let the connector hear how a voice differs from those in `pool` (indices), of which at most about `count` are taken, evenly."""
    heard = []
    for i in pool[:: max(1, len(pool) // count)]:
        states, levels, *_ = (torch.as_tensor(np.array(x), dtype=torch.float32, device=model.device)[None] for x in stored.get(i))
        heard.append(model.connector.statistics(states, levels, torch.ones(levels.shape, device=model.device)))
    model.connector.standardise(torch.cat(heard))


def run_stage(
    stage: Stage,
    recipe: Recipe,
    model: CogAudioForConditionalGeneration,
    processor: CogAudioProcessor,
    utterances: Sequence[Utterance],
    stored: Features,
    *,
    folder: Path,
    device: Device,
    rows: int | None = None,
    resume: bool = True,
) -> list[dict[str, float]]:
    """Train `model` in place through one stage and return its curve: [{step, loss, learning_rate, seconds}].

    A run that was interrupted goes on from its last checkpoint in `folder`.

    Args:
        rows: of a batch at once, the others after them; None: `ROWS` of the device. The connector's own stages take the whole batch, which
            is small for them.

    Raises:
        TrainingError: a batch cannot be shared, the loss is not finite, or memory ran out.
    """
    processes = PartialState().num_processes
    if stage.batch % processes:
        raise TrainingError(
            f"stage {stage.name}: {processes} processes cannot share a batch of {stage.batch}; take a number that divides it"
        )
    steps, seed = recipe.scaled(stage.steps), recipe.seed_of(stage)
    if stage.alternate and processes > 1:
        raise TrainingError(f"stage {stage.name}: branches that are frozen in turn are trained by one process, not {processes}")
    pad = processor.tokenizer.pad_token_id
    turn: list[str] = []
    told = processor.tone_tokens if model.config.tone_words is not None else 0
    if not stage.parts:
        known = sentences(split="train")
        answered = [(s, EMOTIONS) for s in known] if not stage.agreeing else [(s, (s.emotion,)) for s in known if s.emotion is not None]
        data: Dataset = reading.ReadingExamples(
            list(dict.fromkeys(s.text for s in known)),
            processor,
            count=steps * stage.batch,
            seed=seed,
            tasks=stage.tasks,
            answered=answered,
            unfamiliar=0.0 if stage.agreeing else stage.unfamiliar,
            told=0 if stage.agreeing else told,
        )
        collator = partial(reading.collate, pad=pad)
    else:
        pool = draw_pool(utterances, stage.parts, count=stage.utterances, seed=seed)
        if stage.name == "acoustic":
            if model.acoustic_encoder is None:
                raise TrainingError(
                    "the stage acoustic trains an acoustic encoder, which the model does not have; set acoustic: true in its recipe"
                )
            voices = acoustic.of_dataset(utterances, pool, stored)
            return acoustic.fit(
                model.acoustic_encoder,
                voices,
                steps=steps,
                batch=stage.batch,
                learning_rate=stage.learning_rate,
                seed=seed,
                bf16=device.mixed,
            )
        if HEARING.get(stage.name) != "words" and not model.connector.is_standardised:
            standardise(model, stored, pool)
        if stage.attributes or stage.distil or stage.speaks:
            need_annotation([utterances[i] for i in pool], of=stage.name)
        if stage.alternate:
            examples, turn = alternating.draw_alternating(steps, stage.batch, pool, stage.tasks, seed=seed)
        else:
            examples = draw_examples(steps * stage.batch, pool, stage.tasks or {"transcribe": 1}, seed=seed)
        learn = HEARING.get(stage.name, "answer")
        taught = partial(distil.TaughtExamples, thinks=model.config.thinks) if stage.distil else Examples
        data = taught(
            examples,
            utterances,
            stored,
            processor,
            augment=True,
            unfamiliar=stage.unfamiliar,
            told=told,
            targets=recipe.targets,
            attributes=stage.attributes,
            speaks=stage.speaks,
            learn=learn,
            seed=seed,
        )
        collator = partial(distil.collate, pad=pad) if stage.distil else partial(collate, pad=pad, learn=learn)
    share = stage.batch // processes
    at_once = share if stage.name in HEARING else next(n for n in range(min(share, rows or ROWS[device.name]), 0, -1) if share % n == 0)
    log_every = max(1, min(LOG_EVERY, steps // 5 or 1))
    arguments = TrainingArguments(
        output_dir=str(folder / stage.name),
        max_steps=steps,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=share // at_once,
        learning_rate=stage.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 20),
        weight_decay=0.01,
        max_grad_norm=1.0,
        logging_steps=log_every,
        logging_nan_inf_filter=False,  # or the Trainer hides from the log what _StopAtNaN looks for
        save_steps=-(-max(50, steps // 4) // log_every) * log_every,  # only what was looked at is kept
        save_total_limit=1,
        bf16=device.mixed,
        use_cpu=device.name == "cpu",
        dataloader_num_workers=features.workers(torch.device(device.name)),
        dataloader_pin_memory=device.name == "cuda",
        remove_unused_columns=False,
        report_to=[],
        seed=seed,
        data_seed=seed,
        disable_tqdm=False,
    )
    trainer = (_DistillingTrainer if stage.distil else _Trainer)(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=collator,
        callbacks=[_StopAtNaN()],
    )
    trainer.turn = turn
    if isinstance(trainer, _DistillingTrainer):
        trainer.teacher, trainer.pad = distil.Teacher(model, processor), pad
    started = time.time()
    model.train()
    model.train_language_model(stage.name not in HEARING)
    model.config.use_cache = False
    output = folder / stage.name
    last = get_last_checkpoint(str(output)) if resume and output.is_dir() else None
    with out_of_memory(f"stage {stage.name}", at_once):
        trainer.train(resume_from_checkpoint=last)
    model.config.use_cache = True
    model.train_language_model(True)
    alternating.set_branches(model, tuple(alternating.BRANCHES))
    model.eval()
    seconds = time.time() - started
    return [
        {"step": row["step"], "loss": row["loss"], "learning_rate": row["learning_rate"], "seconds": seconds * row["step"] / steps}
        for row in trainer.state.log_history
        if "loss" in row
    ]
