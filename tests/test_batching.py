"""Batches: everything once and in order, as much as fits, and half of it where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cogviz.models import batching
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.utterance import Utterance


def recorded(sizes: list[int], *, fits: int = 10**6, error: Exception | None = None) -> Callable[[list[int]], list[int]]:
    """Work that notes the size of each batch, and has memory for `fits` items."""

    def work(rows: list[int]) -> list[int]:
        if len(rows) > fits:
            raise error or torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(rows))
        return [10 * i for i in rows]

    return work


@given(st.lists(st.floats(0.1, 30), max_size=80), st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 9))
def test_every_item_is_done_once_and_in_order(seconds: list[float], batch: int | None, fits: int) -> None:
    sizes: list[int] = []
    assert in_batches(recorded(sizes, fits=fits), seconds, batch=batch, progress=False) == [10 * i for i in range(len(seconds))]
    assert sum(sizes) == len(seconds)
    assert max(sizes, default=0) <= min(fits, batch or 10**6)


def test_similar_lengths_go_together_the_longest_first() -> None:
    batches: list[list[int]] = []
    in_batches(lambda rows: batches.append(rows) or rows, [1.0, 9.0, 2.0, 8.0, 3.0], batch=2, progress=False)
    assert batches == [[1, 3], [4, 2], [0]]


def test_a_cpu_hears_so_many_seconds_at_once() -> None:
    sizes: list[int] = []
    in_batches(recorded(sizes), [2.0] * 200, progress=False)
    assert sizes[0] == batching.CPU_SECONDS / 2
    sizes.clear()
    in_batches(recorded(sizes), [30.0] * 20, progress=False)
    assert sizes[0] == int(batching.CPU_SECONDS / 30)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: not enough memory: you tried")])
def test_what_does_not_fit_is_halved_for_good(error: Exception) -> None:
    sizes: list[int] = []
    assert len(in_batches(recorded(sizes, fits=3, error=error), [1.0] * 20, batch=16, progress=False)) == 20
    assert sizes == [2] * 10


def test_one_recording_that_does_not_fit_is_named_with_its_length() -> None:
    with pytest.raises(MemoryError, match="nano: 12 s do not fit in memory; cut it, or take a smaller model"):
        in_batches(recorded([], fits=0), [12.0, 1.0], name="nano", progress=False)


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        in_batches(recorded([], fits=0, error=RuntimeError("shapes do not match")), [1.0], progress=False)


def test_a_gpu_is_filled_by_what_the_first_batch_took(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"peak": 4 * 10.0 * 1e6}  # a megabyte a second
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name, value in {
        "reset_peak_memory_stats": lambda: None,
        "empty_cache": lambda: None,
        "memory_allocated": lambda: 0,
        "memory_reserved": lambda: 0,
        "max_memory_allocated": lambda: taken["peak"],
        "mem_get_info": lambda: (500e6 / batching.FREE_SHARE, 1e9),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    sizes: list[int] = []
    in_batches(recorded(sizes), [10.0] * 100, device="cuda", progress=False)
    assert sizes == [4, 50, 46]
    sizes.clear()
    in_batches(recorded(sizes, fits=2), [10.0] * 10, device="cuda", progress=False)
    assert sizes == [2] * 5, "where not even the first fits, nothing is measured"


@pytest.mark.requires_cuda
def test_a_real_gpu_that_is_asked_for_too_much_gets_less() -> None:
    whole = torch.cuda.get_device_properties(0).total_memory

    def work(rows: list[int]) -> list[int]:
        held = torch.empty(len(rows), whole // 40, dtype=torch.uint8, device="cuda")
        return [int(held.shape[0]) for _ in rows]

    sizes = in_batches(work, [1.0] * 200, device="cuda", progress=False)
    assert len(sizes) == 200
    assert 8 <= max(sizes) < 40
    assert in_batches(work, [1.0] * 100, device="cuda", batch=64, progress=False) == [32] * 96 + [4] * 4


def test_the_length_of_a_file_is_read_from_its_head(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cogviz import audio

    audio.write(tmp_path / "a.flac", np.sin(np.arange(24_000) / 9).astype(np.float32))
    (tmp_path / "b.flac").write_bytes(b"no sound")
    there, broken = (Utterance(n, "", None, "s", "x", "test", path=tmp_path / f"{n}.flac") for n in "ab")
    with pytest.raises(audio.AudioError, match="cannot be read as audio"):
        spoken_seconds(broken)
    monkeypatch.setattr(audio, "read", lambda _: pytest.fail("the whole file was read"))
    assert spoken_seconds(there) == 1.5
