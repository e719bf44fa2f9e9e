"""Several processes train one model together: `accelerate launch` with two of them on a CPU (gloo)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from cogviz.models import backbones

RECIPE = """
name: together
about: every kind of stage, a few steps each
vocabulary: 600
stages:
  - {name: reading, parts: [], tasks: {transcribe: 1}, steps: 2, batch: 4}
  - {name: hearing, parts: [ambiguous], tasks: {}, steps: 2, batch: 4}
  - {name: tone, parts: [ambiguous], tasks: {}, steps: 2, batch: 4}
  - {name: explicit, parts: [ambiguous], tasks: {reason: 0.5, direct: 0.5}, steps: 2, batch: 4}
alignment: {parts: [ambiguous], steps: 2, prompts: 2, group: 2, updates: 2, kl: 0.1}
"""

ONE = """
import sys
from cogviz import device
from cogviz.training import rollout, run
rollout.MAX_NEW_TOKENS = {"reason": 8, "direct": 8}
run.train(sys.argv[1], data=sys.argv[2], output=sys.argv[3], device=device.choose("cpu"), held_out=(), progress=False)
"""


@pytest.mark.skipif(
    backbones.find(backbones.WHISPER_TINY_EN) is None, reason="no Whisper here; cogviz weights fetch openai/whisper-tiny.en"
)
def test_two_processes_train_one_model_through_every_stage(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "together.yaml").write_text(RECIPE)
    (tmp_path / "one.py").write_text(ONE)
    data = tmp_path / "data"
    data.mkdir()
    for name in ("audio", "metadata.parquet", "plan.json"):
        (data / name).symlink_to(tiny_dataset / name)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "--num_cpu_threads_per_process", "1"]
    done = subprocess.run(
        [*launch, str(tmp_path / "one.py"), str(tmp_path / "together.yaml"), str(data), str(tmp_path / "runs")],
        capture_output=True, text=True, check=False, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    folder = tmp_path / "runs" / "together"
    run = json.loads((folder / "run.json").read_text())
    assert run["headroom"]
    assert set(run["headroom"]) <= {"reason", "direct"}
    curve = pd.read_csv(folder / "curve.csv")
    assert set(curve["stage"]) == {"reading", "hearing", "tone", "explicit", "dr-sapo"}
    assert np.isfinite(curve["value"]).all()
    assert curve[curve["stage"] == "explicit"]["step"].max() == 2
    weights = load_file(folder / "model.safetensors")
    assert all(np.isfinite(w.astype(np.float32)).all() for w in weights.values())


def test_a_batch_that_the_processes_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from cogviz import device
    from cogviz.training import data, recipe, sft

    class Three:
        num_processes = 3

    monkeypatch.setattr(sft, "PartialState", Three)
    plan = recipe.read("nano-baseline")
    with pytest.raises(data.TrainingError, match="3 processes cannot share a batch of 32"):
        sft.run_stage(plan.stages[0], plan, None, None, [], None, folder=tmp_path, device=device.choose("cpu"))  # type: ignore[arg-type]
