"""A compact copy of a dataset: smaller, read like the whole, told in the card; nothing is done twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cogviz.cli import main
from cogviz.lime import dataset
from cogviz.lime.compact import compact
from cogviz.training import run


def test_a_compact_copy_is_a_fraction_and_reads_alike(tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    assert main(["lime", "compact", str(tiny_dataset), str(copy), "--parts", "ambiguous"]) == 0
    whole = [u for u in dataset.read(tiny_dataset) if u.extra["part"] == "ambiguous"]
    small = dataset.read(copy)
    assert f"{len(whole)} utterances" in capsys.readouterr().out
    assert [(u.id, u.text, u.words, u.emotion) for u in small] == [(u.id, u.text, u.words, u.emotion) for u in whole]
    for one, other in zip(whole, small, strict=True):
        assert len(one.samples) == len(other.samples)
        assert np.corrcoef(one.samples, other.samples)[0, 1] > 0.9
    size = [sum(u.path.stat().st_size for u in part if u.path) for part in (whole, small)]
    assert size[1] < 0.4 * size[0]
    assert run._fingerprint(copy)["coded"] == "Vorbis, about 32 kbit/s"
    assert "coded" not in run._fingerprint(tiny_dataset)


def test_an_interrupted_copy_goes_on_and_unknown_parts_are_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    compact(tiny_dataset, copy, parts=["equal_length"], jobs=1)
    first, *others = sorted(copy.rglob("*.ogg"))
    before = {p: p.stat().st_mtime_ns for p in others}
    first.unlink()
    (copy / "metadata.parquet").unlink()
    count = compact(tiny_dataset, copy, parts=["equal_length"], jobs=1)
    assert first.exists()
    assert {p: p.stat().st_mtime_ns for p in others} == before
    assert count == len(dataset.read(copy)) == len(others) + 1
    assert not list(copy.rglob(".*.part"))
    assert json.loads((copy / "plan.json").read_text())["plan"] == json.loads((tiny_dataset / "plan.json").read_text())["plan"]
    with pytest.raises(ValueError, match="has no utterance in nowhere"):
        compact(tiny_dataset, copy, parts=["nowhere"])
