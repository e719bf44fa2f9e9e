"""Batches that are read in parts because memory is small: the same training, and a sentence where it still runs out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from cogviz.device import Device
from cogviz.lime import dataset
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import align, features, recipe, rewards, rollout, sft
from cogviz.training.recipe import Alignment, Stage

CPU = Device("cpu", torch.float32, "test")

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


@pytest.fixture(autouse=True)
def own_precision() -> None:
    """accelerate keeps one precision a process, and another test's may be bf16."""
    AcceleratorState._reset_state(reset_partial_state=True)


def letters(texts: list[str], *_: object) -> dict[str, np.ndarray]:
    value = np.array([(sum(map(ord, t)) % 97) / 97 for t in texts])
    return {"total": value, "empathy": value}


def test_dr_sapo_in_parts_takes_the_same_steps(
    make_tiny: Callable[..., Pair],
    judge: rewards.ResponseJudge,
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(align, "score", letters)
    utterances = dataset.read(tiny_dataset)
    found, sampled = [], []

    def drawn(model: CogAudioForConditionalGeneration, batch: dict[str, torch.Tensor], **_: object) -> torch.Tensor:
        """Outputs of 3 to 8 tokens that differ from row to row, whatever rows are sampled together."""
        sampled.append(len(batch["input_ids"]))
        places = range(sum(sampled) - sampled[-1], sum(sampled))
        end = model.generation_config.eos_token_id
        outputs = [[5 + (7 * i + 3 * k) % 40 for k in range(3 + i % 5)] + [end] for i in places]
        longest = max(map(len, outputs))
        new = torch.tensor([output + [end] * (longest - len(output)) for output in outputs])
        return torch.cat([batch["input_ids"], new], dim=1)

    monkeypatch.setattr(rollout, "sample", drawn)
    for rows in (None, 1, 3):
        sampled.clear()
        model, processor = make_tiny()
        stored = features.encode(utterances, model, processor, tmp_path / "features", progress=False)
        plan = Alignment(("ambiguous",), steps=2, prompts=2, group=3, learning_rate=1e-3, kl=0.5)
        how = {"folder": tmp_path / str(rows), "device": CPU, "judge": judge, "rows": rows, "progress": False}
        align.run_alignment(plan, recipe.read("nano-aligned"), model, processor, utterances, stored, **how)
        assert sampled == [min(rows or 6, 6)] * len(sampled), "six outputs a step, so many at once"
        found.append({n: p.detach().clone() for n, p in model.named_parameters()})
    start = {n: p.detach() for n, p in make_tiny()[0].named_parameters()}

    def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
        return float(sum((one[n] - other[n]).abs().sum() for n in one))

    moved = apart(found[0], start)
    assert moved > 0, "the run must change something"
    for other in found[1:]:  # where a gradient is all rounding, AdamW turns its sign into a step
        assert apart(found[0], other) < 0.02 * moved


@pytest.mark.parametrize(("rows", "at_once"), [(None, 6), (4, 3), (2, 2), (5, 3)])
def test_a_supervised_batch_is_split_into_equal_parts(
    make_tiny: Callable[..., Pair], tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int | None, at_once: int
) -> None:
    utterances = dataset.read(tiny_dataset)
    model, processor = make_tiny()
    stored = features.encode(utterances, model, processor, tmp_path / "features", progress=False)
    sizes = []
    real = sft.collate
    monkeypatch.setattr(sft, "collate", lambda batch, **how: sizes.append(len(batch)) or real(batch, **how))
    stage = Stage("explicit", ("ambiguous",), {"reason": 1.0}, steps=2, batch=6)
    curve = sft.run_stage(stage, recipe.read("nano-explicit"), model, processor, utterances, stored, folder=tmp_path, device=CPU, rows=rows)
    assert set(sizes) == {at_once}
    assert sum(sizes) >= 12
    assert [row["step"] for row in curve] == [1, 2]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_where_memory_runs_out_one_sentence_names_the_knob(error: Exception) -> None:
    with (
        pytest.raises(sft.TrainingError, match=r"stage sft ran out of memory with 32 rows at once; give --rows 16"),
        sft.out_of_memory("stage sft", 32),
    ):
        raise error
    with pytest.raises(RuntimeError, match="another"), sft.out_of_memory("stage sft", 32):
        raise RuntimeError("another")


def test_the_tone_of_a_voice_does_not_depend_on_who_else_is_in_the_batch(
    make_tiny: Callable[..., Pair], tiny_dataset: Path, tmp_path: Path
) -> None:
    utterances = dataset.read(tiny_dataset)
    model, processor = make_tiny()
    stored = features.encode(utterances, model, processor, tmp_path / "features", progress=False)
    connector = model.connector
    assert not connector.is_standardised
    sft.standardise(model, stored, range(len(utterances)))
    assert connector.is_standardised
    model.train()
    for module in connector.tone.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = processor.from_states([stored.get(i) for i in range(4)])
    audio = [batch[name] for name in ("audio_states", "audio_levels", "audio_mask")]
    together = connector.pooled(*audio)
    torch.testing.assert_close(connector.pooled(*(x[1:2] for x in audio)), together[1:2], atol=1e-5, rtol=1e-5)
    everyone = torch.cat([connector.pooled(*(processor.from_states([stored.get(i)])[n] for n in ("audio_states", "audio_levels", "audio_mask")))
                          for i in range(len(utterances))])  # fmt: skip
    spread = everyone.detach().std(dim=0)
    torch.testing.assert_close(everyone.detach().mean(dim=0), torch.zeros(everyone.shape[1]), atol=1e-3, rtol=0)
    assert float(spread.median()) == pytest.approx(1, abs=0.01)
