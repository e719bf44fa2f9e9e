"""Finished stages, kept under everything that they depend on: a run that begins as another one did takes them from there.

An interrupted run goes on with what is kept, the cells of an experiment share what comes before they differ, and so do variants. Weights as
safetensors, curves as JSON; nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

import cogviz
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.training.recipe import Recipe, Stage

Curve = list[dict[str, float]]


def _asked(stage: Stage) -> dict[str, Any]:
    """The stage's settings; switches that came later and are off leave the name of a stage as it was."""
    return {name: value for name, value in asdict(stage).items() if value or name not in ("attributes", "distil", "speaks", "alternate")}


class KeptStages:
    """The stages of one recipe in a folder that many runs share.

    Args:
        folder: where all of them lie. data: fingerprint of the dataset. start: the checkpoint that the recipe goes on from.
    """

    def __init__(self, folder: Path, plan: Recipe, data: Mapping[str, str], *, start: Path | None = None) -> None:
        self.folder, self.plan, self.data = folder, plan, dict(data)
        self.start = hashlib.sha256((start / "model.safetensors").read_bytes()).hexdigest() if start is not None else None

    def key(self, index: int) -> str:
        """Return the name of a stage: a hash of what went into it and into the ones before it."""
        plan = self.plan
        stages = [{**_asked(stage), "seed": plan.seed_of(stage)} for stage in plan.stages[: index + 1]]
        made = {"start": self.start, "size": plan.size, "layers": plan.layers, "vocabulary": plan.vocabulary, "scale": plan.scale}
        if plan.targets != "steps" and any("reason" in stage["tasks"] for stage in stages):
            made["targets"] = plan.targets
        if plan.acoustic:
            made["acoustic"] = True
        about = {"cogviz": cogviz.__version__, "data": self.data, "stages": stages, **made}
        return f"{stages[-1]['name']}-{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]}"

    def load(self, index: int, model: CogAudioForConditionalGeneration) -> Curve | None:
        """Load a finished stage into `model` and return its curve; None where it is not there."""
        curve = self.folder / f"{self.key(index)}.json"
        if not curve.exists():
            return None
        model.load_state_dict(load_file(curve.with_suffix(".safetensors")), strict=False)
        found: Curve = json.loads(curve.read_text())
        return found

    def save(self, index: int, model: CogAudioForConditionalGeneration, curve: Curve) -> None:
        """Keep a stage that has just been trained; the curve is written last and marks it as finished."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tied = set(model.all_tied_weights_keys or ())  # safetensors holds each tensor once
        weights = {n: t.detach().cpu().contiguous() for n, t in model.state_dict().items() if not model.is_frozen(n) and n not in tied}
        target = self.folder / f"{self.key(index)}.safetensors"
        save_file(weights, target.with_suffix(".part"))
        target.with_suffix(".part").replace(target)
        target.with_suffix(".json").write_text(json.dumps(curve))
