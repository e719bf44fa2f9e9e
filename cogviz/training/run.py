"""A training run from recipe to checkpoint: data, features, stages, held-out figures, model card."""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState

import cogviz
from cogviz.device import Device
from cogviz.eips import render
from cogviz.evaluation import heldout
from cogviz.lime import dataset, evidence
from cogviz.models import zoo
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import align, card, features, recipe, rewards, sft, tokenizer
from cogviz.training.data import TrainingError
from cogviz.training.kept import KeptStages
from cogviz.training.recipe import Recipe
from cogviz.utterance import Utterance

HELD_OUT = ("ambiguous_test", "ambiguous_slots", "emotional_test")
"""Parts of the dataset that no stage trains on; each is measured by itself."""

PATIENCE = timedelta(hours=12)
"""How long one of several processes waits for the one that encodes speech or measures."""


def beginning(plan: Recipe, folder: Path) -> Path | None:
    """Return the checkpoint that a recipe goes on from: trained beside `folder` before, or shipped; None: it goes on from none."""
    if plan.start is None:
        return None
    here = folder.parent / plan.start
    return here if (here / "config.json").exists() else zoo.folder(plan.start)


def begin(plan: Recipe, utterances: Sequence[Utterance], folder: Path) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor]:
    """Return the model that a recipe starts from: another variant (trained here before, or shipped), or a new one of its size."""
    seed = plan.seed_of(plan.stages[0]) if plan.stages else plan.seed
    if (start := beginning(plan, folder)) is not None:
        found = zoo.load(start)
        return zoo.with_acoustic(*found, seed=seed) if plan.acoustic and found[0].acoustic_encoder is None else found
    if plan.acoustic:
        return zoo.with_acoustic(*begin(replace(plan, acoustic=False), utterances, folder), seed=seed)
    if plan.size == "smol":
        return zoo.new_smol(layers=plan.layers, seed=seed)
    train = [u for u in utterances if u.split == "train"]
    texts = [u.text for u in train] + [render(dataset.answer(u)) for u in train]
    return zoo.new_nano(tokenizer.train(texts, vocabulary=plan.vocabulary), layers=plan.layers, seed=seed)


def train(
    name: str | Path | Recipe,
    *,
    data: str | Path,
    output: str | Path,
    device: Device,
    scale: float = 1.0,
    seed: int = 0,
    limit: int | None = None,
    held_out: Sequence[str] | None = None,
    stages: Path | None = None,
    rows: int | None = None,
    progress: bool = True,
) -> Path:
    """Train a variant and return its checkpoint folder, `output`/<variant>. An interrupted run goes on where it stopped; a finished one is left.

    Under `accelerate launch` all processes train together, each on its share of every batch; the first one saves and measures.

    Args:
        name: a recipe's name or YAML file, or a `Recipe` (then `scale` and `seed` are its own).
        data: a dataset folder of `cogviz lime build nano`.
        scale: size dial, multiplies every number of steps.
        limit: about so many held-out utterances a part are measured; None: all.
        held_out: the parts that are measured; None: `HELD_OUT`.
        stages: folder of finished stages, which runs share; None: `output`/stages.
        rows: so many rows of a batch at once, the others after them: fewer need less memory; None: `sft.ROWS` of the device.
    """
    plan = name if isinstance(name, Recipe) else recipe.read(name, scale=scale, seed=seed)
    folder = Path(output) / plan.name
    work = folder / "run"
    utterances = dataset.read(data)
    processes = PartialState(cpu=device.name == "cpu", timeout=PATIENCE)  # this one, or those of `accelerate launch`
    work.mkdir(parents=True, exist_ok=True)
    with processes.main_process_first():
        _claim(work, plan, Path(data))
        if plan.targets == "sound":
            evidence.add(data, progress=progress)
    if plan.targets == "sound":
        utterances = dataset.read(data)
    if (folder / "figures.json").exists() and (folder / "model.safetensors").exists():
        return folder
    model, processor = begin(plan, utterances, folder)
    thinks = "steps" if plan.targets == "steps" else "freely"
    if not plan.stages:
        model.config.thinks = thinks
    if any(stage.attributes for stage in plan.stages):
        model.tell_degrees()
    model.to(processes.device)
    with processes.main_process_first():
        stored = features.encode(utterances, model, processor, Path(data) / "features", bf16=device.mixed, progress=progress)
    if device.name == "cpu":
        # Short rows and a padding mask: the plain path is a tenth faster here than the fused one, whose backward is slow on a CPU.
        model.language_model.set_attn_implementation("eager")
    if device.mixed:
        model.store_frozen(device.dtype)
    curves: list[dict[str, Any]] = []
    seconds = 0.0  # of the stages, whenever and for whomever they ran
    memory = 0.0
    kept = KeptStages(stages or folder.parent / "stages", plan, _fingerprint(Path(data)), start=beginning(plan, folder))
    for index, stage in enumerate(plan.stages):
        curve = kept.load(index, model)
        if curve is None:
            curve = sft.run_stage(stage, plan, model, processor, utterances, stored, folder=work, device=device, rows=rows)
            if processes.is_main_process:
                kept.save(index, model, curve)
            processes.wait_for_everyone()
            memory = max(memory, _anonymous_gb())
        model.config.thinks = thinks  # until here as the model that it goes on from, which may be its teacher
        curves += [{"stage": stage.name, "step": row["step"], "name": "loss", "value": row["loss"]} for row in curve]
        seconds += curve[-1]["seconds"]
    before: dict[str, dict[str, float]] = {}
    if plan.alignment is not None:
        steps, before = align.run_alignment(
            plan.alignment, plan, model, processor, utterances, stored, folder=work, device=device, rows=rows, progress=progress
        )
        curves += [
            {"stage": "dr-sapo", "step": r["step"], "name": f"{key} ({r['route']})", "value": r[key]}
            for r in steps
            for key in r
            if key.startswith(("reward_", "watch_"))
            or key in ("tokens", "ratio_change", "groups_without_variance", "seconds", "seconds_sampling")
        ]
        seconds += sum(float(r["seconds"]) for r in steps)
        memory = max(memory, _anonymous_gb())
    if not processes.is_main_process:
        return folder
    remember_neutral(model, utterances, stored)
    save(model, processor, folder)
    about = {
        "name": plan.name,
        "cogviz": cogviz.__version__,
        "torch": torch.__version__,
        "device": device.reason,
        "seconds": round(seconds),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 1),  # kB on Linux; with the mapped features
        "own_memory_gb": round(memory, 1),
        "recipe": asdict(plan),
        "data": _fingerprint(Path(data)),
        "parameters": sum(p.numel() for n, p in model.named_parameters() if not model.is_frozen(n)),
        "headroom": before,
    }
    (folder / "run.json").write_text(json.dumps(about, indent=1))
    pd.DataFrame(curves, columns=["stage", "step", "name", "value"]).to_csv(folder / "curve.csv", index=False)
    measure(folder, utterances, model=model, processor=processor, states=stored.by_id(), limit=limit, held_out=held_out, progress=progress)
    return folder


def measure(
    folder: Path,
    utterances: Sequence[Utterance],
    *,
    model: CogAudioForConditionalGeneration,
    processor: CogAudioProcessor,
    states: Mapping[str, Any] | None = None,
    limit: int | None = None,
    held_out: Sequence[str] | None = None,
    progress: bool = True,
) -> None:
    """Measure a checkpoint on the held-out parts and write figures.json, answers.parquet (under run/) and the model card.

    The model's adapters are folded: it learns no more.
    """
    model.fold_adapters()
    batch = 512 if model.device.type == "cuda" else 64  # a step of generation takes a GPU as long for one answer as for hundreds
    listener = CogAudioListener.of(model, processor, name=folder.name, batch=batch, states=states)
    judge = rewards.evaluation_judge()
    rows, tables = [], []
    for part in HELD_OUT if held_out is None else held_out:
        chosen = [u for u in utterances if u.extra.get("part") == part]
        chosen = chosen[:: max(1, len(chosen) // limit)] if limit else chosen
        if chosen:
            found, table = heldout.evaluate(listener, chosen, data=part, judge=judge, routes=("reason", "direct"), progress=progress)
            rows += [*found, heldout.transcription(listener, chosen, data=part, progress=progress)]
            tables.append(table)
    (folder / "figures.json").write_text(json.dumps(rows, indent=1))
    if tables:
        (folder / "run").mkdir(exist_ok=True)
        pd.concat(tables, ignore_index=True).to_parquet(folder / "run" / "answers.parquet")
    (folder / "README.md").write_text(card.render(folder), encoding="utf-8")


def remember_neutral(
    model: CogAudioForConditionalGeneration, utterances: Sequence[Utterance], stored: features.Features, *, count: int = 300
) -> None:
    """Store in the connector what the training speakers' neutral speech has in common: where an enrolled voice is moved to, and a tone like any other
    is measured from."""
    if not model.connector.tone_tokens:
        return
    neutral = [i for i, u in enumerate(utterances) if u.split == "train" and u.emotion == "neutral"]
    total, chosen = torch.zeros_like(model.connector.neutral), neutral[:: max(1, len(neutral) // count)]
    model.eval()
    with torch.no_grad():
        for i in chosen:
            states, levels, *voice = (torch.as_tensor(np.array(x), dtype=torch.float32)[None].to(model.device) for x in stored.get(i))
            mask = torch.ones(levels.shape, device=model.device)
            heard = model.voice(voice[0] if voice else None, mask)  # of an acoustic encoder
            total = total + (model.enrol(states, levels, mask) if heard is None else heard)[0]
    if chosen:
        model.connector.neutral.copy_(total / len(chosen))


def save(model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, folder: Path) -> None:
    """Save in half precision, the frozen encoder once beside all checkpoints."""
    from safetensors.torch import save_file

    encoder = folder.parent / zoo.ENCODER
    if model.config.encoder_folder is not None and not (encoder / "model.safetensors").exists():
        encoder.mkdir(parents=True, exist_ok=True)
        save_file({k: v.detach().half().contiguous() for k, v in model.audio_encoder.state_dict().items()}, encoder / "model.safetensors")
        model.config.audio_config.save_pretrained(encoder)
        (encoder / "README.md").write_text(card.ENCODER, encoding="utf-8")
    halves: dict[int, torch.Tensor] = {}  # by storage, so that tied weights stay one tensor and are written once
    state = {k: halves.setdefault(v.data_ptr(), _half(v).cpu().contiguous()) for k, v in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=state)
    processor.save_pretrained(folder)


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().half() if tensor.is_floating_point() else tensor.detach()  # a count must stay whole


def _claim(work: Path, plan: Recipe, data: Path) -> None:
    """Mark a run's folder with what it depends on; raises `TrainingError` where it was begun with something else."""
    mark = work / "begun.json"
    mine = json.dumps({"recipe": asdict(plan), "data": _fingerprint(data)}, indent=1)
    if mark.exists() and mark.read_text() != mine:
        raise TrainingError(f"{work} was begun with another recipe, seed, size dial or dataset; give another output folder, or delete it")
    mark.write_text(mine)


def _anonymous_gb() -> float:
    """Memory of this process without files that are mapped into it, as the encoder's layers are: what it needs; 0 where nobody tells."""
    status = Path("/proc/self/status")
    line = next((x for x in status.read_text().splitlines() if x.startswith("RssAnon:")), "") if status.exists() else ""
    return int(line.split()[1]) / 1e6 if line else 0.0


def _fingerprint(data: Path) -> dict[str, str]:
    plan = json.loads((data / "plan.json").read_text())
    about = {"plan": plan["plan"]["name"], "metadata_sha256": hashlib.sha256((data / "metadata.parquet").read_bytes()).hexdigest()}
    return about | ({"coded": plan["coded"]} if "coded" in plan else {})
