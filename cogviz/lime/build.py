"""Plan -> dataset folder, in parallel; may be killed at any time and started again.

A cell (one sentence by one speaker) is the unit of work: synthesized and analysed once, rendered in all its variants. When its sound files
are in place, its rows go into the folder's journal, which marks it as finished; at the end the journal becomes `metadata.parquet`.
Whatever fails in a worker (an error, no memory, a dead or hanging process) is tried once more, alone in a fresh process, and
logged in `failures.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import cogviz
from cogviz.lime.crew import BACKENDS, Crew
from cogviz.lime.dataset import read_rows, write_rows, write_whole
from cogviz.lime.plan import BuildError, Cell, Plan, as_dict, cells, load
from cogviz.lime.worker import JOURNAL, Outcome, Row, is_full, journal, rows_of

__all__ = ["BuildError", "Failure", "Report", "build"]

TIME_LIMIT = 120.0
"""Seconds for one cell; a usual one takes one or two."""

_HOPELESS = 10  # this many failures and not one success: the reason is not in the cells
_MAKERS = ("cogviz", "espeakng-loader", "hibari-tts", "onnxruntime", "pyworld", "numpy", "scipy", "soundfile", "soxr")


@dataclass(frozen=True)
class Failure:
    """A cell that failed: at first, or (`solved` False) both times."""

    cell: str
    text: str
    error: str
    solved: bool


@dataclass
class Report:
    """What a build did.

    Attributes:
        cells: that were asked for. built, kept: those made now, and those that were there.
        utterances, seconds: what the folder holds now.
        built_seconds: of speech made now. elapsed: seconds that it took.
        failures: cells that are missing, and cells that worked only at the second try.
    """

    folder: Path
    cells: int
    kept: int
    built: int = 0
    utterances: int = 0
    seconds: float = 0.0
    built_seconds: float = 0.0
    elapsed: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @property
    def missing(self) -> list[Failure]:
        """The cells that could not be built."""
        return [failure for failure in self.failures if not failure.solved]

    def __str__(self) -> str:
        text = f"{self.folder}: {self.utterances:,} utterances, {_length(self.seconds)} of speech"
        if self.built:
            rate = self.built_seconds / max(self.elapsed, 1e-9)
            text += f"; built {_count(self.built)} ({_length(self.built_seconds)}) in {_length(self.elapsed)}, {rate:.0f} times real time"
        else:
            text += "; nothing was left to build" if not self.failures else "; nothing could be built"
        if solved := len(self.failures) - len(self.missing):
            text += f"; {_count(solved)} worked at the second try only"
        if self.missing:
            first = self.missing[0]
            text += f"; {_count(len(self.missing))} FAILED, see {self.folder / 'failures.jsonl'} (first: {first.cell}: {first.error})"
        return text


def build(
    plan: Plan | str | Path,
    folder: str | Path,
    *,
    jobs: int | None = None,
    backend: str = "loky",
    seed: int = 0,
    limit: int | None = None,
    time_limit: float = TIME_LIMIT,
    chosen: Sequence[Cell] | None = None,
    progress: bool = True,
) -> Report:
    """Build a dataset folder, or finish one.

    The result follows from plan and seed; a second run changes nothing and restores files that are missing.

    Args:
        plan: a `Plan`, the name of a packaged one (nano, samples, tiny), or a YAML file.
        folder: new, empty, or one that was begun with the same plan and seed.
        jobs: number of workers; None: one for each core (dask, ray: all that the cluster has).
        backend: loky (processes on this machine), dask, ray (joblib's backends, on a cluster that shares `folder`), or sequential (in this
            process; no time limit and no fresh process for a second try).
        limit: build only so many cells, spread over the plan; a later call with a higher limit goes on.
        time_limit: seconds for one cell.
        chosen: the cells themselves, where they do not follow from the plan's parts (`lime.dialogues`); the plan then gives the name alone.

    Raises:
        BuildError: the plan or the folder cannot be used, the disk is full, or nothing works. What is finished stays.
        KeyboardInterrupt: on Ctrl-C; its message says how to go on.
    """
    start = time.perf_counter()
    folder, plan = Path(folder), load(plan)
    if backend not in BACKENDS:
        raise BuildError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    if jobs is not None and jobs < 1:
        raise BuildError(f"jobs must be 1 or more, not {jobs}")
    everything = cells(plan, seed) if chosen is None else list(chosen)
    done: dict[str, list[Row]] = {}
    try:
        _claim(folder, plan, seed, everything)
        done = _finished(folder, everything)
        wanted = sorted(everything, key=lambda cell: cell.key)[:limit]  # in the order of a hash: any first part is a fair sample
        todo = [cell for cell in wanted if cell.key not in done]
        report = Report(folder, cells=len(wanted), kept=len(wanted) - len(todo))
        if todo:
            if done:
                _same_makers(folder)
            (folder / JOURNAL / "rows").mkdir(parents=True, exist_ok=True)
            (folder / JOURNAL / "running").mkdir(exist_ok=True)
            for cell in todo:  # a row without its sound is not finished
                journal(folder, cell.key).unlink(missing_ok=True)
            crew = Crew(folder, backend, jobs, time_limit)
            _run(crew, todo, report, progress=progress, name=plan.name)
            done = _finished(folder, everything, known=done)
            told = {failure.cell for failure in report.missing}
            gone = [cell for cell in todo if cell.key not in done and cell.id not in told]
            report.failures += [Failure(c.id, c.sentence.text, "its files vanished while the build went on", solved=False) for c in gone]
        rows = [row for cell in everything for row in done.get(cell.key, ())]
        write_rows(folder, rows)
        shutil.rmtree(folder / JOURNAL, ignore_errors=True)
        if todo:
            for half in folder.glob("audio/*/.*.part"):  # of a build that was killed
                half.unlink(missing_ok=True)
    except OSError as error:
        if is_full(error):
            raise _full(folder) from None
        raise BuildError(f"{folder} cannot be written ({error.strerror or error}); give a folder of your own") from None
    except KeyboardInterrupt:
        finished = len(set(done) | {path.stem for path in (folder / JOURNAL / "rows").glob("*.json")})
        message = f"stopped: {finished:,} of {len(everything):,} cells are finished and kept; give the same command again to go on"
        raise KeyboardInterrupt(message) from None
    report.utterances, report.seconds = len(rows), sum(row["seconds"] for row in rows)
    report.elapsed = time.perf_counter() - start
    return report


# --- the folder ------------------------------------------------------------------------------------------------------------------


def _fingerprint(plan: Plan, seed: int, everything: list[Cell]) -> dict[str, str]:
    """What the sound depends on, by name; two folders with the same fingerprint hold the same speech."""

    def digest(value: Any) -> str:
        return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]

    rules = (resources.files("cogviz.lime") / "prosody.yaml").read_text(encoding="utf-8")
    speakers = {cell.voice.id: asdict(cell.voice) for cell in everything}
    said = [(cell.id, asdict(cell.sentence), [asdict(v) for v in cell.variants]) for cell in everything]
    parts = {"plan": [asdict(p) for p in plan.parts], "seed": seed, "sentences": said, "speakers": speakers, "prosody rules": rules}
    return {name: digest(value) for name, value in parts.items()}


def _versions() -> dict[str, str]:
    found = {"cogviz": cogviz.__version__}
    for name in _MAKERS[1:]:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def _claim(folder: Path, plan: Plan, seed: int, everything: list[Cell]) -> None:
    """Make the folder ours, or check that it was begun with the same plan and seed."""
    mine = _fingerprint(plan, seed, everything)
    path = folder / "plan.json"
    if path.exists():
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
        except (ValueError, KeyError, TypeError):
            raise BuildError(
                f"{path} is damaged; delete it if {folder} belongs to plan {plan.name} with seed {seed}, else give another folder"
            ) from None
        if other := [name for name in mine if theirs.get(name) != mine[name]]:
            raise BuildError(
                f"{folder} was begun with another {' and '.join(other)}; give another folder, or delete this one to start anew"
            )
    else:
        if taken := [name for name in ("audio", "metadata.parquet", "metadata.csv", "metadata.jsonl") if (folder / name).exists()]:
            raise BuildError(f"{folder} holds {taken[0]} from elsewhere; give a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        content = {"plan": as_dict(plan), "seed": seed, "versions": _versions(), "fingerprint": mine}
        write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def _same_makers(folder: Path) -> None:
    """Half a dataset by one version and half by another would hide a difference: stop instead."""
    before, now = json.loads((folder / "plan.json").read_text(encoding="utf-8")).get("versions", {}), _versions()
    if changed := [f"{name} {before.get(name)} (now {now[name]})" for name in now if before.get(name) != now[name]]:
        raise BuildError(f"{folder} was begun with {', '.join(changed)}; install that to finish it, or build into another folder")


def _finished(folder: Path, everything: list[Cell], known: dict[str, list[Row]] | None = None) -> dict[str, list[Row]]:
    """Rows of every cell that is finished and whose sound files are all there, by key."""
    by_cell: dict[str, list[Row]] = {}
    if known is None and (folder / "metadata.parquet").exists():
        try:
            for row in read_rows(folder):
                by_cell.setdefault(f"{row['part']}/{row['sentence']}/{row['speaker']}", []).append(row)
        except BuildError:
            by_cell = {}  # a damaged table is built again
    found: dict[str, list[Row]] = {}
    for cell in everything:
        if known is not None and cell.key in known:
            found[cell.key] = known[cell.key]
            continue
        rows = rows_of(folder, cell.key) or by_cell.get(cell.id)
        if rows and len(rows) == len(cell.variants) and all(_has_sound(folder / row["file_name"]) for row in rows):
            found[cell.key] = rows
    return found


def _has_sound(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


# --- the work -------------------------------------------------------------------------------------------------------------------


def _run(crew: Crew, todo: list[Cell], report: Report, *, progress: bool, name: str) -> None:
    """Build the cells, those that fail a second time alone; fills the report and `failures.jsonl`."""
    from tqdm.auto import tqdm

    log = report.folder / "failures.jsonl"
    log.unlink(missing_ok=True)
    by_key = {cell.key: cell for cell in todo}
    utterances = 0
    failed: dict[str, str] = {}
    doubtful: set[str] = set()

    def note(key: str, error: str, *, solved: bool) -> None:
        failure = Failure(by_key[key].id, by_key[key].sentence.text, error, solved)
        report.failures.append(failure)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(failure), ensure_ascii=False) + "\n")

    with tqdm(total=len(todo), desc=name, unit="cell", disable=not progress) as bar:

        def follow(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
            nonlocal utterances
            for outcome in outcomes:
                if outcome.disk_full:
                    raise _full(report.folder)
                if not outcome.error:
                    report.built += 1
                    report.built_seconds += outcome.seconds
                    utterances += outcome.rows
                    bar.update()
                state = f"{utterances:,} utterances, {_length(report.built_seconds)} of speech"
                bar.set_postfix_str(state + (f", {len(failed)} failed" if failed else ""))
                yield outcome

        with closing(crew.together(todo)) as outcomes:
            for outcome in follow(outcomes):
                if outcome.error:
                    failed[outcome.key] = outcome.error
                    doubtful |= {outcome.key} if outcome.doubtful else set()
                    if len(failed) >= _HOPELESS and not report.built:
                        raise BuildError(f"the first {len(failed)} cells all failed ({outcome.error}); mend that and build again")
        again = list(failed)
        while again:
            with closing(crew.alone([by_key[key] for key in again])) as outcomes:
                again = []
                for outcome in follow(outcomes):
                    if outcome.error and outcome.key in doubtful:
                        # Its worker may have gone down with another's: this was its first failure.
                        doubtful.discard(outcome.key)
                        failed[outcome.key] = outcome.error
                        again.append(outcome.key)
                        continue
                    first = failed.pop(outcome.key)
                    note(outcome.key, outcome.error or first, solved=not outcome.error)


def _full(folder: Path) -> BuildError:
    return BuildError(f"the disk of {folder} is full; free some space and give the same command again: what is finished is kept")


def _count(cells: int) -> str:
    return f"{cells:,} cell{'s' * (cells != 1)}"


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
