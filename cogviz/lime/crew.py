"""Workers and what is done when they fail: cells in, outcomes out.

The parallel round is joblib's, so that its backends work. Whoever dies there takes the whole pool along; the round goes on with a new pool,
and what was at work is tried again alone, where guilt is certain.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogviz.lime.plan import BuildError, Cell
from cogviz.lime.worker import JOURNAL, Outcome, render_cell, rows_of, running, work

BACKENDS = ("loky", "dask", "ray", "sequential")


@dataclass(frozen=True)
class Crew:
    """Who works: the two ways to get outcomes from cells.

    Attributes:
        folder: of the dataset.
        backend, jobs, time_limit: see `cogviz.lime.build.build`.
    """

    folder: Path
    backend: str
    jobs: int | None
    time_limit: float

    def _arguments(self) -> dict[str, Any]:
        local = self.backend == "loky"
        return {"time_limit": self.time_limit, "owner": os.getpid(), "local": local, "render": render_cell}

    def together(self, todo: list[Cell]) -> Generator[Outcome]:
        """Work in parallel; a pool that breaks is replaced, and the cells that it had at work count as failed."""
        import joblib

        jobs = self.jobs or (joblib.cpu_count() if self.backend == "loky" else -1)
        if self.backend == "sequential" or (self.backend == "loky" and jobs == 1):
            yield from self.alone(todo)
            return
        waiting = {cell.key: cell for cell in todo}
        while waiting:
            before = len(waiting)
            shutil.rmtree(self.folder / JOURNAL / "running", ignore_errors=True)
            (self.folder / JOURNAL / "running").mkdir(parents=True)
            try:
                for outcome in self._parallel(joblib, list(waiting.values()), jobs):
                    del waiting[outcome.key]
                    yield outcome
            except Exception as error:  # `work` raises nothing: it is the pool that broke
                for key in list(waiting):
                    if (rows := rows_of(self.folder, key)) is not None:  # its outcome was on the way
                        outcome = Outcome(key, rows=len(rows), seconds=sum(row["seconds"] for row in rows))
                    elif running(self.folder, key).exists():
                        innocent = not running(self.folder, key).stat().st_size  # a worker that was ended, or crashed, leaves a trace
                        outcome = Outcome(key, error=self._reason(key, error), doubtful=innocent)
                    else:
                        continue
                    del waiting[key]
                    yield outcome
                if len(waiting) == before:
                    raise BuildError(f"the {self.backend} workers do not start ({short(error)}); try the backend sequential") from None

    def _parallel(self, joblib: Any, todo: list[Cell], jobs: int) -> Iterator[Outcome]:
        if self.backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
        threads = {"inner_max_num_threads": 1} if self.backend == "loky" else {}
        with joblib.parallel_config(backend=self.backend, **threads):
            # The limit inside the workers comes first; this one is for a process that is stopped altogether.
            pool = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, timeout=2 * self.time_limit + 60)
            task = joblib.delayed(work)
            try:
                with closing(pool(task(cell, self.folder, **self._arguments()) for cell in todo)) as outcomes:
                    yield from outcomes
            finally:
                if self.backend == "loky":  # joblib would keep the workers, with the models they have loaded, for the next caller
                    from joblib.externals.loky import get_reusable_executor

                    get_reusable_executor().shutdown(wait=True, kill_workers=True)

    def alone(self, todo: list[Cell]) -> Generator[Outcome]:
        """Work one cell after the other in a process of their own, a fresh one after every failure."""
        if self.backend == "sequential":
            yield from (work(cell, self.folder, **self._arguments()) for cell in todo)
            return
        from joblib.externals.loky import ProcessPoolExecutor

        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
        pool = None
        try:
            for cell in todo:
                pool = pool or ProcessPoolExecutor(max_workers=1, env=single)
                try:
                    arguments = self._arguments() | {"local": True}
                    outcome = pool.submit(work, cell, self.folder, **arguments).result(2 * self.time_limit + 60)
                except Exception as error:
                    outcome = Outcome(cell.key, error=self._reason(cell.key, error))
                if outcome.error:
                    pool.shutdown(wait=True, kill_workers=True)
                    pool = None
                yield outcome
        finally:
            if pool is not None:
                pool.shutdown(wait=True, kill_workers=True)

    def _reason(self, key: str, error: Exception) -> str:
        """Why a worker died in a cell: the trace that it left in its marker, or what the pool says."""
        try:
            trace = running(self.folder, key).read_text(errors="replace").split("\n")
        except FileNotFoundError:
            trace = [""]
        if trace[0].startswith("Timeout"):
            where = next((line.strip() for line in trace if line.lstrip().startswith("File")), "")
            return f"took longer than {self.time_limit:g} s, in {where}"
        codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
        return f"the worker died ({trace[0] or (codes[1] if codes else short(error))}); if nothing else explains it, memory ran out"


def short(error: BaseException) -> str:
    """The message of an error in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
