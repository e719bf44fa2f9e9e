"""Adapt the acoustic encoder of a model to a corpus of real speech, where nothing but the emotion is known, and measure it on unknown speakers.

The encoder moves and what reads it stays: it learns until the frozen readouts, its own and that behind the connector, say the right emotion. So the
language model, which reads the same tokens, needs to learn nothing. As in `adapt`, a speaker is either trained on or measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from cogviz.device import Device
from cogviz.emotions import EMOTIONS
from cogviz.models import zoo
from cogviz.models.listener import CogAudioListener
from cogviz.statistics import balanced_accuracy
from cogviz.training import acoustic, run
from cogviz.training.data import TrainingError

if TYPE_CHECKING:
    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.training.features import Features
    from cogviz.utterance import Utterance

STEPS, BATCH, LEARNING_RATE = 300, 32, 5e-4
"""Not tuned: there is no corpus on which this was chosen."""


def adapt(
    name: str, utterances: Sequence[Utterance], held_out: Sequence[set[str]], *, stored: Features, folder: Path, device: Device,
    scale: float = 1.0, seed: int = 0, data: str = "", progress: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """Adapt a model once for each set of held-out speakers and return rows {model, measure, value, low, high, n, chance, data}.

    Writes `folder`/fold-1 and so on (checkpoints), and goes on behind the last that is finished.

    Args:
        stored: features of the utterances, with what the acoustic encoder hears. scale: of the steps.

    Raises:
        TrainingError: an utterance carries none of the seven emotions.
    """
    if any(u.emotion not in EMOTIONS for u in utterances):
        raise TrainingError("the acoustic encoder knows the seven emotions only; leave --own-labels out")
    for number, speakers in enumerate(held_out, 1):
        part = folder / f"fold-{number}"
        if (part / "said.json").exists():
            continue
        own = [i for i, u in enumerate(utterances) if u.speaker in speakers]
        rest = [i for i, u in enumerate(utterances) if u.speaker not in speakers]
        model, processor = zoo.load(name)
        model.to(device.name)
        said = {f"{k} before": v for k, v in _said(model, processor, utterances, own, stored).items()}
        voices = acoustic.of_dataset(utterances, rest, stored)
        assert model.acoustic_encoder is not None
        with _frozen(model):
            acoustic.fit(
                model.acoustic_encoder, voices, steps=max(1, round(STEPS * scale)), batch=BATCH, learning_rate=LEARNING_RATE, seed=seed + number,
                bf16=device.mixed, aside=partial(_behind, model), progress=progress,
            )  # fmt: skip
        said |= _said(model, processor, utterances, own, stored)
        run.save(model, processor, part)
        (part / "said.json").write_text(json.dumps({"held out": [utterances[i].id for i in own], "said": said}))
    return _rows([folder / f"fold-{n}" for n in range(1, len(held_out) + 1)], utterances, model=Path(name).name, data=data)


class _frozen:
    """What reads the encoder does not learn inside the block."""

    def __init__(self, model: CogAudioForConditionalGeneration) -> None:
        assert model.acoustic_encoder is not None
        self.weights = [*model.acoustic_encoder.emotion.parameters(), *model.connector.parameters(), *model.tone_head.parameters()]

    def __enter__(self) -> None:
        for weight in self.weights:
            weight.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for weight in self.weights:
            weight.requires_grad_(True)


def _behind(model: CogAudioForConditionalGeneration, tokens: Tensor, wanted: Tensor) -> Tensor:
    """Loss of the readout behind the connector."""
    scores = model.tone_scores(model.connector.tone(tokens))
    return nn.functional.cross_entropy(scores, wanted, label_smoothing=acoustic.SMOOTHING)


def _said(
    model: CogAudioForConditionalGeneration, processor: Any, utterances: Sequence[Utterance], own: Sequence[int], stored: Features
) -> dict[str, list[str]]:
    """What the model names, and what its encoder reads out, for some utterances (indices)."""
    listener = CogAudioListener.of(model, processor, batch=64, states=stored.by_id())
    named = listener.scores([utterances[i] for i in own], progress=False).argmax(axis=1)
    assert model.acoustic_encoder is not None
    readout = acoustic.logits(model.acoustic_encoder, acoustic.of_dataset(utterances, own, stored)).argmax(axis=1)
    return {"named": [EMOTIONS[i] for i in named], "readout": [EMOTIONS[i] for i in readout]}


def _rows(parts: Sequence[Path], utterances: Sequence[Utterance], *, model: str, data: str) -> list[dict[str, Any]]:
    by_id = {u.id: u for u in utterances}
    told = [json.loads((part / "said.json").read_text()) for part in parts]
    order = [by_id[name] for one in told for name in one["held out"]]
    rows = []
    for measure in ("named", "readout", "named before", "readout before"):
        said = [name for one in told for name in one["said"][measure]]
        found = balanced_accuracy(
            [str(u.emotion) for u in order], said, sentences=[u.sentence for u in order], speakers=[u.speaker for u in order]
        )
        rows.append({"model": model, "measure": f"balanced_accuracy, {measure}", **found.row(), "data": data})
    return rows
