"""Adapt a model to a corpus of real speech, and measure it on speakers that it was not adapted to: folds by speaker.

What is learned anew is how a voice sounds (see `adapt_tone`; with `encoder` also how it is heard, see `adapt_encoder`) and the words for it;
the language model stays as it is. The same folds are given to a peer: logistic regression on what goes into the connector's tone.

The settings were chosen by cross-validation among RAVDESS's actors 1 to 12, two held out at a time; EmoDB had no part in it. The outer folds
were run three times: with one probe, with the mean of four, and with names that leave the words alone (see `adapt_tone`). Each of these was
compared on actors 1 to 12 as well. The encoder's settings are plain ones, tried on two of these actors.

Checkpoints that are adapted to RAVDESS are under its licence, CC BY-NC-SA 4.0, and are never shipped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cogviz import corpora
from cogviz.device import Device
from cogviz.emotions import EMOTIONS, emotion
from cogviz.models import zoo
from cogviz.models.listener import CogAudioListener
from cogviz.statistics import balanced_accuracy
from cogviz.training import adapt_acoustic, adapt_encoder, adapt_tone, features, run
from cogviz.training.data import TrainingError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.models.processing import CogAudioProcessor
    from cogviz.utterance import Utterance

FOLDS = 5

PEER_PENALTY = 0.003
"""C of the logistic regression; the middle one of those that `benchmarks/speech.py` chooses from."""


def folds(utterances: Sequence[Utterance], count: int, *, seed: int = 0) -> list[set[str]]:
    """Return the speakers of each fold, the sexes spread evenly; every speaker is in one.

    Raises:
        CorpusError: there are fewer speakers than folds.
    """
    sex = {u.speaker: str(u.extra.get("sex", "")) for u in utterances}
    if len(sex) < count:
        raise corpora.CorpusError(f"{len(sex)} speaker(s) cannot be split into {count} folds; take fewer")
    order = np.random.default_rng(seed).permutation(sorted(sex))
    dealt = sorted(order, key=lambda speaker: sex[speaker])
    return [set(dealt[i::count]) for i in range(count)]


@dataclass(frozen=True, eq=False)
class _Task:
    """What the folds share.

    Attributes:
        labels: name -> adjective; the seven emotions first.
        truth: (N,) place of each utterance's label.
        heard: (N, K) what the frozen model's tone path hears, not standardised.
        names: layer that makes the language model name a label; None where each fold makes its own.
        clips: what an adapted encoder learns from; None: it stays frozen.
    """

    name: str
    utterances: Sequence[Utterance]
    labels: dict[str, str]
    truth: Tensor
    stored: features.Features
    heard: Tensor
    names: nn.Linear | None
    clips: list[tuple[Tensor, Tensor]] | None
    device: Device
    scale: float
    seed: int

    def steps(self, count: int) -> int:
        return max(1, round(count * self.scale))


def adapt(
    name: str,
    corpus: str,
    root: str | Path,
    *,
    output: str | Path,
    device: Device,
    own_labels: bool = False,
    encoder: bool = False,
    count: int | None = None,
    scale: float = 1.0,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Adapt a model in `count` folds (None: `FOLDS`) and measure each on its own speakers; a finished fold is not trained again.

    Writes `output`/<model>-<corpus>[-own][-encoder]/fold-1 and so on (checkpoints) and adapted.json beside them.

    Args:
        own_labels: the corpus's emotions beyond the seven are labels too, each with an adjective of its own (`Corpus.others`).
        encoder: adapt Whisper's encoder as well; each checkpoint then holds its own.

    Raises:
        TrainingError: the folder was begun with another model or other settings, or a label's adjective is no word of the language model.

    Returns:
        Rows {model, measure, value, low, high, n, chance, data, settings}: balanced accuracy of the label that the model names (the
        likeliest of their words), of the connector's linear readout, of the same model before it was adapted, and of the peer.
    """
    utterances, count = corpora.read(corpus, root, own_labels=own_labels), count or FOLDS
    labels = {e: emotion(e).adjective for e in EMOTIONS} | (dict(corpora.corpus(corpus).others) if own_labels else {})
    folder = Path(output) / "-".join([Path(name).name, corpus, *["own"] * own_labels, *["encoder"] * encoder])
    settings = _settings(count, scale, seed, encoder=encoder)
    _claim(folder, name, settings)
    model, processor = zoo.load(name)
    _ready(model, device)
    stored = features.encode(utterances, model, processor, folder / "features", bf16=device.mixed)
    if model.acoustic_encoder is not None:
        if own_labels or encoder:
            raise TrainingError(
                f"{name} hears the voice through its acoustic encoder, which is adapted alone; leave --own-labels and --encoder out"
            )
        what = f"{corpus}, {len({u.emotion for u in utterances})} labels, {count} folds"
        found = adapt_acoustic.adapt(
            name, utterances, folds(utterances, count, seed=seed), stored=stored, folder=folder, device=device, scale=scale, seed=seed, data=what
        )  # fmt: skip
        rows = [row | {"settings": settings} for row in found]
        (folder / "adapted.json").write_text(json.dumps(rows, indent=1))
        return rows
    parts = [folder / f"fold-{number}" for number in range(1, count + 1)]
    if not all((part / "said.json").exists() for part in parts):
        before = CogAudioListener.of(model, processor, name=Path(name).name, batch=64, states=stored.by_id())
        chosen = before.scores(utterances, adjectives=list(labels.values())).argmax(axis=1).tolist()
        adapt_tone.restart(model)
        task = _Task(
            name=name,
            utterances=utterances,
            labels=labels,
            truth=torch.tensor([list(labels).index(str(u.emotion)) for u in utterances], device=device.name),
            stored=stored,
            heard=adapt_tone.pooled(model, stored),
            names=None if model.config.tone_words is not None else _names(model, processor, labels, device, scale, seed),
            clips=adapt_encoder.clips(utterances, processor, device) if encoder else None,
            device=device,
            scale=scale,
            seed=seed,
        )
        for number, (part, held_out) in enumerate(zip(parts, folds(utterances, count, seed=seed), strict=True), 1):
            if not (part / "said.json").exists():
                own = [i for i, u in enumerate(utterances) if u.speaker in held_out]
                said = _fold(task, own, folder=part, seed=seed + number) | {"named before": [list(labels)[chosen[i]] for i in own]}
                (part / "said.json").write_text(json.dumps({"held out": [utterances[i].id for i in own], "said": said}))
    what = f"{corpus}, {len({u.emotion for u in utterances})} labels, {count} folds" + ", encoder adapted" * encoder
    rows = [row | {"settings": settings} for row in _rows(parts, utterances, model=Path(name).name, data=what)]
    (folder / "adapted.json").write_text(json.dumps(rows, indent=1))
    return rows


def _settings(count: int, scale: float, seed: int, *, encoder: bool) -> dict[str, Any]:
    """Everything that a result depends on beside the model and the corpus."""

    def part(steps: int, batch: int, rate: float) -> dict[str, float]:
        return {"steps": max(1, round(steps * scale)), "batch": batch, "learning_rate": rate}

    tone = part(adapt_tone.STEPS, adapt_tone.BATCH, adapt_tone.LEARNING_RATE)
    tone |= {
        "probes": adapt_tone.PROBES,
        "dropout": adapt_tone.DROPOUT,
        "weight_decay": adapt_tone.WEIGHT_DECAY,
        "smoothing": adapt_tone.SMOOTHING,
    }
    names = part(adapt_tone.NAMING_STEPS, adapt_tone.NAMING_BATCH, adapt_tone.NAMING_RATE)
    heard = part(adapt_encoder.STEPS, adapt_encoder.BATCH, adapt_encoder.ENCODER_RATE)
    return {"folds": count, "scale": scale, "seed": seed, "tone": tone, "names": names} | ({"encoder": heard} if encoder else {})


def _claim(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Mark a folder with what it depends on; raises `TrainingError` where it was begun with something else."""
    mine = {**settings, "model": hashlib.sha256((zoo.folder(name) / "model.safetensors").read_bytes()).hexdigest()}
    begun = folder / "begun.json"
    if begun.exists() and json.loads(begun.read_text()) != mine:
        raise TrainingError(f"{folder} was begun with another model or other settings; give another output folder, or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    begun.write_text(json.dumps(mine))


def _ready(model: CogAudioForConditionalGeneration, device: Device) -> None:
    """Put a model on its device, a frozen language model in the device's precision."""
    if device.mixed:
        model.store_frozen(device.dtype)
    model.to(device.name)


def _names(
    model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, labels: dict[str, str], device: Device, scale: float, seed: int
) -> nn.Linear:
    steps = max(1, round(adapt_tone.NAMING_STEPS * scale))
    return adapt_tone.find_names(model, processor, labels, device=device, steps=steps, seed=seed)


def _fold(task: _Task, held_out: Sequence[int], *, folder: Path, seed: int) -> dict[str, list[str]]:
    """Train one fold, save its checkpoint, and return what it names and reads out for its own speakers, and the peer for them."""
    device, own = task.device, set(held_out)
    rest = [i for i in range(len(task.utterances)) if i not in own]
    torch.manual_seed(seed)
    model, processor = zoo.load(task.name)
    _ready(model, device)
    adapt_tone.restart(model)
    model.connector.standardise(task.heard[rest])
    stored, heard = task.stored, model.connector.tone_norm(task.heard)
    steps = task.steps(adapt_tone.STEPS)
    layers = adapt_tone.learn(model, heard[rest], task.truth[rest], among=len(task.labels), steps=steps, seed=seed)
    neutral = [i for i in rest if task.utterances[i].emotion == "neutral"] or rest
    own_heard, neutral_heard = heard[held_out], heard[neutral]
    if task.clips is not None:
        clips, steps = task.clips, task.steps(adapt_encoder.STEPS)
        adapt_encoder.fine_tune(model, layers, [clips[i] for i in rest], task.truth[rest], device=device, steps=steps, seed=seed)
        needed = [*held_out, *neutral]
        stored = adapt_encoder.encoded(model, [clips[i] for i in needed], [task.utterances[i].id for i in needed], device=device)
        own_heard, neutral_heard = adapt_tone.pooled(model, stored).split([len(held_out), len(neutral)])
    names = task.names or _names(model, processor, task.labels, device, task.scale, task.seed)
    adapt_tone.install(model, layers, names, neutral_heard.mean(dim=0))
    listener = CogAudioListener.of(model, processor, batch=64, states=stored.by_id())
    named = listener.scores([task.utterances[i] for i in held_out], adjectives=list(task.labels.values())).argmax(axis=1)
    with torch.no_grad():
        readout = layers(own_heard).argmax(dim=1)
    run.save(model, processor, folder)
    (folder / "labels.json").write_text(json.dumps(task.labels))
    found = {"named": named.tolist(), "readout": readout.tolist(), "peer": _peer(task, rest, held_out)}
    return {measure: [list(task.labels)[i] for i in places] for measure, places in found.items()}


def _peer(task: _Task, train: Sequence[int], test: Sequence[int]) -> list[int]:
    """Logistic regression on what goes into the connector's tone: mean and deviation over time of the layers that it hears, and of the level."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    heard, truth = task.heard.cpu().numpy(), task.truth.cpu().numpy()
    scaler = StandardScaler().fit(heard[train])
    classifier = LogisticRegression(C=PEER_PENALTY, max_iter=1000).fit(scaler.transform(heard[train]), truth[train])
    return classifier.predict(scaler.transform(heard[test])).tolist()


def _rows(parts: Sequence[Path], utterances: Sequence[Utterance], *, model: str, data: str) -> list[dict[str, Any]]:
    """Balanced accuracy of everything that was said, over all folds."""
    by_id = {u.id: u for u in utterances}
    order: list[Utterance] = []
    said: dict[str, list[str]] = {}
    for part in parts:
        told = json.loads((part / "said.json").read_text())
        order += [by_id[name] for name in told["held out"]]
        for measure, found in told["said"].items():
            said.setdefault(measure, []).extend(found)
    rows = []
    for measure in ("named", "readout", "named before", "peer"):
        found = balanced_accuracy(
            [str(u.emotion) for u in order], said[measure], sentences=[u.sentence for u in order], speakers=[u.speaker for u in order]
        )
        rows.append({"model": model, "measure": f"balanced_accuracy, {measure}", **found.row(), "data": data})
    return rows
