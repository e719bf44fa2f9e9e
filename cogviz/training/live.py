"""A training that one can watch: a nano goes through the stages in about a minute, on the shipped speech.

A fresh model would need a quarter of an hour on a GPU. So it begins with what `nano-baseline` knows, which reads words and knows the form of the
answers, but was trained on speech whose tone always agreed with its words; and with a new ear for the tone, which has learned nothing yet.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cogviz.device import Device
from cogviz.eips import parse
from cogviz.emotions import EMOTIONS
from cogviz.lime import dataset
from cogviz.models import zoo
from cogviz.models.configuration import CogAudioConfig
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.statistics import Estimate, mean
from cogviz.training import align, features, rewards, sft
from cogviz.training.recipe import Alignment, Recipe, Stage
from cogviz.training.rollout import roll_out
from cogviz.training.sapo import group_advantages
from cogviz.utterance import Utterance

BEGINS = "nano-baseline"

STAGES = (
    Stage("tone", ("train",), {}, steps=80, batch=32, learning_rate=2e-3),
    Stage("explicit", ("train",), {"reason": 0.8, "name": 0.2}, steps=36, batch=8, learning_rate=1e-3),
    Stage("implicit", ("train",), {"reason": 0.3, "direct": 0.7}, steps=20, batch=8, learning_rate=1e-3),
)
"""Stage 0 (the tone alone: its words come from the start), I and II, cut to a minute."""

_LAST = 30.0
"""Logit of the last encoder layer's share in the words, of which nothing is left to the others: as the start heard them."""


def new_ear(seed: int = 0) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor]:
    """Return `nano-baseline` with an untrained ear for the tone, which hears all of the encoder's layers and not the last alone."""
    base, processor = zoo.load(BEGINS)
    torch.manual_seed(seed)
    model = CogAudioForConditionalGeneration(CogAudioConfig.from_dict({**base.config.to_dict(), "layers": "mix"}))
    known = {name: w for name, w in base.state_dict().items() if not name.startswith(("connector.tone", "connector.neutral"))}
    model.load_state_dict(known, strict=False)
    model.language_model.tie_weights()
    with torch.no_grad():
        share = torch.as_tensor(model.connector.words_mix.weight)
        share.zero_()[-1] = _LAST
    model.audio_encoder.requires_grad_(False)
    return model.eval(), processor


class LiveRun:
    """A model in training and what is measured of it between the stages.

    Attributes:
        model, processor: in training.
        curve: stage, step, name, value; as a run's curve.csv.
        figures: after, measure, speech, and the fields of an `Estimate`: one row a measurement.

    Args:
        learned, held: utterances to learn from, and to measure on; those of a dataset folder.
        begin: the model and its processor (changed in place); None: `new_ear`.
        seed: of the new ear, and of what is drawn in training.
        judge: tells the emotion from a response (`rewards.evaluation_judge()`).
    """

    def __init__(
        self,
        learned: Sequence[Utterance],
        held: Sequence[Utterance],
        *,
        judge: Any,
        begin: tuple[CogAudioForConditionalGeneration, CogAudioProcessor] | None = None,
        seed: int = 0,
    ) -> None:
        both = {u.id for u in learned} & {u.id for u in held}
        if both or {u.sentence for u in learned} & {u.sentence for u in held}:
            raise ValueError("what is measured must be held out: no sentence may stand in both `learned` and `held`")
        self.model, self.processor = begin or new_ear(seed)
        self.model.language_model.set_attn_implementation("eager")  # a tenth faster on a CPU, see `run.train`
        parts = [(u, "train") for u in learned] + [(u, "held") for u in held]
        self.utterances = [replace(u, extra={**u.extra, "part": part}) for u, part in parts]
        self.judge, self.device = judge, Device("cpu", torch.float32, "small enough")
        folder = Path(tempfile.mkdtemp(prefix="cogviz-live-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.stored = features.encode(self.utterances, self.model, self.processor, folder / "features", progress=False)
        self.plan = Recipe("live", "a stage at a time", seed=seed)
        self.curve = pd.DataFrame(columns=["stage", "step", "name", "value"])
        self.figures = pd.DataFrame()

    def part(self, name: str) -> list[Utterance]:
        """The utterances of a part: "train" or "held"."""
        return [u for u in self.utterances if u.extra["part"] == name]

    def train(self, stage: Stage) -> None:
        """Take the model through a stage (in place) and add its loss to `curve`."""
        with tempfile.TemporaryDirectory(prefix="cogviz-live-") as folder, _silent():
            rows = sft.run_stage(
                stage,
                self.plan,
                self.model,
                self.processor,
                self.utterances,
                self.stored,
                folder=Path(folder),
                device=self.device,
                resume=False,
            )
        self._log([{"stage": stage.name, "step": r["step"], "name": "loss", "value": r["loss"]} for r in rows])

    def align(self, plan: Alignment) -> None:
        """Take the model through a few steps of DR-SAPO (in place) and add what was watched to `curve`."""
        with tempfile.TemporaryDirectory(prefix="cogviz-live-") as folder:
            steps, _ = align.run_alignment(
                plan,
                self.plan,
                self.model,
                self.processor,
                self.utterances,
                self.stored,
                folder=Path(folder),
                device=self.device,
                progress=False,
            )
        names = [key for key in steps[0] if key not in ("step", "route")]
        self._log(
            [{"stage": "dr-sapo", "step": r["step"], "name": f"{k} ({r['route']})", "value": r[k]} for r in steps for k in names if k in r]
        )

    def groups(self, chosen: Sequence[Utterance], *, route: str = "direct", size: int = 6, seed: int = 0) -> pd.DataFrame:
        """Sample a group of outputs for each of some utterances, as stage III does, and score them.

        Returns:
            id, voice, ear (the emotion that the connector tells), response, every part of the reward, total, and advantage; groups together.
        """
        torch.manual_seed(seed)
        ids = [u.id for u in self.utterances]
        rollout = roll_out(
            self.model, self.processor, self.stored, [ids.index(u.id) for u in chosen], route=route, group=size, temperature=1.0,
            device=torch.device("cpu"),
        )  # fmt: skip
        texts, spoken = rollout.texts(self.processor), [u for u in chosen for _ in range(size)]
        parts = rewards.score(texts, route, [str(u.emotion) for u in spoken], [dataset.answer(u) for u in spoken], rewards.reward_judge())
        advantages = group_advantages(torch.tensor(parts["total"]).view(-1, size)).flatten().numpy()
        responses = [a.response if (a := parse(t)) else "" for t in texts]
        about = {"id": [u.id for u in spoken], "voice": [u.emotion for u in spoken], "ear": np.repeat(self._told(chosen), size)}
        return pd.DataFrame({**about, "response": responses, **parts, "advantage": advantages})

    def _log(self, rows: list[dict[str, Any]]) -> None:
        new = pd.DataFrame(rows, columns=["stage", "step", "name", "value"])
        self.curve = pd.concat([self.curve, new], ignore_index=True) if len(self.curve) else new

    def listener(self) -> CogAudioListener:
        """The model as it is now, which hears the utterances of this run without encoding them again."""
        return CogAudioListener.of(self.model, self.processor, name="live", states=self.stored.by_id())

    def measure(self, after: str, *, routes: Sequence[str] = ("reason", "direct")) -> pd.DataFrame:
        """Measure the model on both parts and add the rows to `figures`.

        Three places where the emotion of the voice may be found: what the connector tells ("ear"), the emotion that the chain would name ("chain"),
        and what the judge tells from the response of the direct route ("direct response").
        """
        listener, rows = self.listener(), []
        for speech in ("held", "train"):
            heard = self.part(speech)
            found: dict[str, list[str]] = {"ear": self._told(heard)}
            if "reason" in routes:
                found["chain"] = [EMOTIONS[i] for i in listener.scores(heard, progress=False).argmax(axis=1)]
            if "direct" in routes and speech == "held":
                answers = [h.answer for h in listener.listen(heard, route="direct", progress=False)]
                told = self.judge.tell([a.response if a else "" for a in answers])
                found["direct response"] = [t if a else "" for t, a in zip(told, answers, strict=True)]
            for name, emotions in found.items():
                rows.append({"after": after, "measure": name, "speech": speech, **_share(heard, emotions).row()})
        new = pd.DataFrame(rows)
        self.figures = pd.concat([self.figures, new], ignore_index=True)
        return new

    def _told(self, heard: Sequence[Utterance]) -> list[str]:
        """The emotion that the connector alone tells of each utterance."""
        states, told = self.stored.by_id(), []
        with torch.no_grad():
            for u in heard:
                layers, levels = (torch.as_tensor(np.array(x), dtype=torch.float32)[None] for x in states[u.id])
                _, tone = self.model.connector(layers, levels, torch.ones(levels.shape, dtype=torch.bool))
                told.append(EMOTIONS[int(self.model.tone_scores(tone).argmax())])
        return told

    def value(self, after: str, measure: str, speech: str = "held") -> float:
        """A figure that was measured."""
        rows = self.figures
        return float(rows[(rows.after == after) & (rows.measure == measure) & (rows.speech == speech)].value.iloc[-1])


def _share(heard: Sequence[Utterance], emotions: Sequence[str]) -> Estimate:
    right = np.array([e == u.emotion for u, e in zip(heard, emotions, strict=True)], dtype=float)
    return mean(right, sentences=[u.sentence for u in heard], speakers=[u.speaker for u in heard], chance=1 / len(EMOTIONS))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the Trainer's bars and logs: what they say is in the curve."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(before)
