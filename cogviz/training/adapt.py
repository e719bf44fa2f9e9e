"""Adapt a model to a corpus of real speech, and measure it on speakers that it was not adapted to: folds by speaker.

What is learned anew is how a voice sounds (the connector's tone, the encoder stays frozen) and to name it; the words and the chain stay as
they are. The same folds are given to a peer: logistic regression on what goes into the connector's tone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cogviz import corpora
from cogviz.device import Device
from cogviz.emotions import EMOTIONS
from cogviz.models import zoo
from cogviz.models.listener import CogAudioListener
from cogviz.statistics import balanced_accuracy
from cogviz.training import features, run, sft
from cogviz.training.data import TrainingError
from cogviz.training.recipe import Recipe, Stage

if TYPE_CHECKING:
    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.utterance import Utterance

STAGES = (
    Stage("tone", parts=("adapt",), tasks={}, steps=300, batch=64, learning_rate=2e-3),
    Stage("name", parts=("adapt",), tasks={"name": 1.0}, steps=100, batch=32, learning_rate=5e-4),
)
FOLDS = 5

DROPOUT = 0.5
"""Of the pooled tone, while adapting: a corpus is a thousand recordings by a few actors, and their voices are soon known by heart."""

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


def adapt(
    name: str,
    corpus: str,
    root: str | Path,
    *,
    output: str | Path,
    device: Device,
    count: int | None = None,
    scale: float = 1.0,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Adapt a model in `count` folds (None: `FOLDS`) and measure each on its own speakers; a finished fold is not trained again.

    Writes `output`/<model>-<corpus>/fold-1 and so on (checkpoints) and adapted.json beside them.

    Raises:
        TrainingError: the folder was begun with another model, seed or size dial.

    Returns:
        Rows {model, measure, value, low, high, n, chance, data}: balanced accuracy of the emotion that the model names (the likeliest of the
        seven words), of the connector's linear readout, of the same model before it was adapted, and of the peer.
    """
    utterances, count = corpora.read(corpus, root), count or FOLDS
    folder = Path(output) / f"{Path(name).name}-{corpus}"
    mine = {
        "folds": count,
        "scale": scale,
        "seed": seed,
        "model": hashlib.sha256((zoo.folder(name) / "model.safetensors").read_bytes()).hexdigest(),
    }
    begun = folder / "begun.json"
    if begun.exists() and json.loads(begun.read_text()) != mine:
        raise TrainingError(f"{folder} was begun with another model, seed or size dial; give another output folder, or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    begun.write_text(json.dumps(mine))
    model, processor = zoo.load(name)
    stored = features.encode(utterances, model, processor, folder / "features", bf16=device.mixed)
    truth = [str(u.emotion) for u in utterances]
    said: dict[str, list[str]] = {measure: [""] * len(utterances) for measure in ("named", "readout", "named before", "peer")}
    before = CogAudioListener.of(_ready(model, device), processor, name=Path(name).name, batch=64, states=stored.by_id())
    _fill(said["named before"], range(len(utterances)), before.scores(utterances).argmax(axis=1))
    for number, held_out in enumerate(folds(utterances, count, seed=seed), 1):
        part = folder / f"fold-{number}"
        own = [i for i, u in enumerate(utterances) if u.speaker in held_out]
        rest = [i for i, u in enumerate(utterances) if u.speaker not in held_out]
        if not (part / "said.json").exists():
            said_here = _fold(name, number, utterances, own, stored, folder=part, device=device, scale=scale, seed=seed)
            peer = _peer(model.cpu(), stored, truth, rest, own)
            (part / "said.json").write_text(json.dumps({**said_here, "peer": peer}))
        for measure, labels in json.loads((part / "said.json").read_text()).items():
            _fill(said[measure], own, [EMOTIONS.index(label) for label in labels])
    rows = []
    for measure, labels in said.items():
        found = balanced_accuracy(truth, labels, sentences=[u.sentence for u in utterances], speakers=[u.speaker for u in utterances])
        rows.append(
            {"model": Path(name).name, "measure": f"balanced_accuracy, {measure}", **found.row(), "data": f"{corpus}, {count} folds"}
        )
    (folder / "adapted.json").write_text(json.dumps(rows, indent=1))
    return rows


def _ready(model: CogAudioForConditionalGeneration, device: Device) -> CogAudioForConditionalGeneration:
    """On its device, a frozen language model in the device's precision."""
    if device.mixed:
        model.store_frozen(device.dtype)
    return model.to(device.name)


def _fill(said: list[str], places: Sequence[int] | range, chosen: Sequence[int] | np.ndarray) -> None:
    for place, index in zip(places, chosen, strict=True):
        said[place] = EMOTIONS[int(index)]


def _fold(
    name: str,
    number: int,
    utterances: Sequence[Utterance],
    held_out: Sequence[int],
    stored: features.Features,
    *,
    folder: Path,
    device: Device,
    scale: float,
    seed: int,
) -> dict[str, list[str]]:
    """Train one fold, save its checkpoint, and return what it names and reads out for its own speakers."""
    model, processor = zoo.load(name)
    _ready(model, device)
    for module in model.connector.tone.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = DROPOUT
    own = set(held_out)
    marked = [replace(u, extra={**u.extra, "part": "held out" if i in own else "adapt"}) for i, u in enumerate(utterances)]
    plan = Recipe(f"{Path(name).name}-fold-{number}", "Adapted to real speech.", scale=scale, seed=seed + number, stages=STAGES)
    for stage in STAGES:
        sft.run_stage(stage, plan, model, processor, marked, stored, folder=folder / "run", device=device)
    listener = CogAudioListener.of(model.to("cpu"), processor, batch=64, states=stored.by_id())
    named = listener.scores([utterances[i] for i in held_out]).argmax(axis=1)
    readout = _readout(model, stored, held_out)
    run.save(model, processor, folder)
    return {"named": [EMOTIONS[i] for i in named], "readout": [EMOTIONS[i] for i in readout]}


def _readout(model: CogAudioForConditionalGeneration, stored: features.Features, chosen: Sequence[int]) -> list[int]:
    """The emotion that the connector's linear readout tells, without the language model."""
    found = []
    with torch.no_grad():
        for i in chosen:
            states, levels = (torch.as_tensor(np.array(x), dtype=torch.float32)[None] for x in stored.get(i))
            _, tone = model.connector(states, levels, torch.ones(levels.shape, dtype=torch.bool))
            found.append(int(model.tone_scores(tone).argmax()))
    return found


def _peer(
    model: CogAudioForConditionalGeneration, stored: features.Features, truth: Sequence[str], train: Sequence[int], test: Sequence[int]
) -> list[str]:
    """Logistic regression on what goes into the connector's tone: mean and deviation over time of the layers that it hears, and of the level."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    def pooled(chosen: Sequence[int]) -> np.ndarray:
        rows = []
        with torch.no_grad():
            for i in chosen:
                states, levels = (torch.as_tensor(np.array(x), dtype=torch.float32)[None] for x in stored.get(i))
                rows.append(model.enrol(states, levels, torch.ones(levels.shape))[0].numpy())
        return np.stack(rows)

    scaler = StandardScaler().fit(pooled(train))
    classifier = LogisticRegression(C=PEER_PENALTY, max_iter=1000).fit(scaler.transform(pooled(train)), [truth[i] for i in train])
    return [str(label) for label in classifier.predict(scaler.transform(pooled(test)))]
