"""Many recordings at once: similar lengths together, as many as fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from cogviz.audio import RATE
from cogviz.utterance import Utterance

T = TypeVar("T")

CPU_SECONDS = 120.0
"""Speech that a CPU hears at once, about 32 sentences: more are no faster (see `benchmarks/batching.py`)."""

FIRST = 4
"""On a GPU the first batch, of so many of the longest, shows how much memory a second of speech takes."""

MOST = 256
"""No batch is larger: it would win nothing, and be lost whole where a run is stopped."""

FREE_SHARE = 0.7
"""Of the free memory that a batch may take; the rest is lost between the pieces."""


def in_batches(
    work: Callable[[list[int]], Sequence[T]],
    seconds: Sequence[float],
    *,
    device: str | torch.device = "cpu",
    batch: int | None = None,
    name: str = "",
    progress: bool = True,
) -> list[T]:
    """Give `work` all items in batches of similar length, and return the results in the items' order.

    Args:
        work: indices of a batch -> a result each.
        seconds: length of each item.
        device: where the work is done.
        batch: items at once; None: on a CPU `CPU_SECONDS` of speech, on a GPU as many as its free memory holds. A batch that does not fit
            in memory is halved, and so are all after it.

    Raises:
        MemoryError: a single item does not fit.
    """
    length = np.maximum(np.asarray(seconds, dtype=float), 0.1)
    order = np.argsort(-length, kind="stable").tolist()  # the longest first: what does not fit shows at once
    on_gpu = torch.device(device).type == "cuda"
    most = batch or (FIRST if on_gpu else MOST)
    budget = float("inf") if batch or on_gpu else CPU_SECONDS
    measured = batch is not None or not on_gpu
    results: dict[int, T] = {}
    with tqdm(total=len(order), desc=name, disable=not progress, delay=2, mininterval=2) as bar:
        while len(results) < len(order):
            start = len(results)
            rows = order[start : start + max(1, int(min(most, budget / length[order[start]])))]
            if not measured:
                before = _watch()
            found = _try(work, rows)
            if found is None:
                most, measured = len(rows) // 2, True
                if not most:
                    raise MemoryError(
                        f"{name or 'a recording'}: {length[rows[0]]:.0f} s do not fit in memory; cut it, or take a smaller model"
                    )
                continue
            if not measured:
                budget, most, measured = _fitting(before, float(length[rows].sum())), MOST, True
            results.update(zip(rows, found, strict=True))
            bar.update(len(rows))
    return [results[i] for i in range(len(order))]


def spoken_seconds(utterance: Utterance) -> float:
    """Return how long an utterance is, without reading more of its file than must be."""
    if utterance.waveform is None and utterance.path is not None:
        import soundfile

        try:
            return float(soundfile.info(utterance.path).duration)
        except soundfile.LibsndfileError:
            pass  # reading it says what is wrong
    return len(utterance.samples) / RATE


def _try(work: Callable[[list[int]], Sequence[T]], rows: list[int]) -> Sequence[T] | None:
    """The results, or None where they do not fit in memory."""
    try:
        return work(rows)
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError) and "not enough memory" not in str(error):  # the latter: a CPU's
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _watch() -> int:
    """Begin to watch the memory of the GPU; returns the bytes in use."""
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _fitting(before: int, seconds: float) -> float:
    """Seconds of speech that fit, told by those of the batch since `_watch`."""
    taken = max(torch.cuda.max_memory_allocated() - before, 1)
    free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return FREE_SHARE * free / taken * seconds
