"""How many rows go through the model at once: a setting, and less where memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from cogviz.attribution.paths import Over
from cogviz.models.protocol import Transparent

T = TypeVar("T")

AT_ONCE: dict[Over, int] = {"mel": 24, "audio": 96, "text": 96, "tokens": 96}
"""On a CPU, more rows are no faster. They bound the memory, whatever the number of utterances."""

GPU = 8
"""Times as many on a GPU."""


class Rows:
    """So many rows at once; halved for good where they do not fit.

    Args:
        wanted: the caller's setting; None: `AT_ONCE`, and `GPU` times as many on a GPU.
    """

    def __init__(self, listener: Transparent, over: Over, wanted: int | None) -> None:
        on_gpu = torch.device(listener.model.device).type == "cuda"
        self.at_once = wanted or AT_ONCE.get(over, 96) * (GPU if on_gpu else 1)

    def run(self, work: Callable[[int], T], *, least: int = 1) -> T:
        """Call `work` with the number of rows, and again with half of it where memory runs out, down to `least`; the error where that is too many."""
        while True:
            try:
                return work(max(self.at_once, least))
            except (torch.OutOfMemoryError, RuntimeError) as error:
                full = isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)  # the latter: a CPU's
                if not full or self.at_once <= least:
                    raise
            self.at_once = max(least, self.at_once // 2)
            logging.getLogger(__name__).warning("memory ran out; going on with %d rows at once", self.at_once)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
