"""One function over many items, on all cores and with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import joblib
from tqdm.auto import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def over(
    function: Callable[[Item], Result], items: Sequence[Item], *, what: str, jobs: int | None = None, progress: bool = True
) -> list[Result]:
    """Return `function` of each item, in order; in processes of one thread each, or here where one job or one item is all there is.

    Args:
        function: at the top level of a module, so that another process finds it.
        what: name of the progress bar.
        jobs: processes; None: one for each core.
    """
    jobs = min(jobs or joblib.cpu_count(), len(items))

    def shown(results: Iterable[Result]) -> list[Result]:
        return list(tqdm(results, total=len(items), desc=what, disable=not progress or len(items) < 4, mininterval=2))

    if jobs <= 1:
        return shown(map(function, items))
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        return shown(joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=1)(joblib.delayed(function)(item) for item in items))
