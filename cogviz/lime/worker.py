"""One cell, from the synthesizer to its files: the part of the builder that runs in the workers.

A worker never raises: whatever happens in a cell comes back as an `Outcome`. One that hangs is ended from inside by `faulthandler`'s
thread, which needs no cooperation from the code that hangs; what it was doing stays behind in its marker file.
"""

from __future__ import annotations

import errno
import faulthandler
import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cogviz import audio
from cogviz.eips import STEPS
from cogviz.lime import prosody, world
from cogviz.lime.annotate import annotate, cues
from cogviz.lime.dataset import write_whole
from cogviz.lime.plan import Cell, Variant
from cogviz.lime.voices import speak

Row = dict[str, Any]
Rendered = tuple[Row, np.ndarray]

JOURNAL = ".build"
"""Folder, inside the dataset's, of the rows of finished cells and the markers of those at work; gone once all is in `metadata.parquet`."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        key: of the cell.
        error: why it failed, "" where it did not.
        disk_full: it failed because nothing more can be written.
        doubtful: its worker died, but perhaps through another's fault.
        rows, seconds: utterances and speech written.
    """

    key: str
    error: str = ""
    disk_full: bool = False
    doubtful: bool = False
    rows: int = 0
    seconds: float = 0.0


def render_cell(cell: Cell) -> list[Rendered]:
    """Speak and analyse the sentence once, render every variant: rows of the metadata with their samples (n,) float32 at 16 kHz.

    Raises:
        VoiceError, VocoderError, AudioError: something on the way is not speech (empty, silent, not finite, too long).
    """
    speech = speak(cell.sentence.text, cell.voice, moved=False)
    analysis = world.analyse(speech.samples, speech.rate, speech.words, f0_near=cell.voice.plain_f0)
    analysis = world.move(analysis, semitones=cell.voice.pitch_semitones, formants=cell.voice.formant_scale, rate=audio.RATE)
    return [_render(cell, variant, analysis) for variant in cell.variants]


def _render(cell: Cell, variant: Variant, analysis: world.Analysis) -> Rendered:
    sentence, voice = cell.sentence, cell.voice
    values = prosody.delta(variant.emotion, variant.k, speaker=voice.id, take=variant.take, factors=variant.factors)
    rendering = prosody.render(analysis, values, keep_timing=cell.keep_timing, seed=variant.take)
    name = f"{sentence.id}-{voice.id}-{variant.emotion}"
    samples = audio.from_array(rendering.samples, audio.RATE, name=name).samples
    heard = cues(values.tolist())
    told = annotate(sentence, variant.emotion, variant.k, heard=heard, seed=variant.take)
    assert told.chain is not None
    digest = hashlib.sha256(f"{cell.id}/{variant.emotion}/{variant.take}".encode()).hexdigest()
    seconds = len(samples) / audio.RATE
    row: Row = {
        "file_name": f"audio/{digest[:2]}/{name}-{digest[:6]}.flac",
        "id": f"{name}-{digest[:6]}",
        "text": sentence.text,
        "emotion": variant.emotion,
        "intensity": variant.k,
        "speaker": voice.id,
        "sentence": sentence.id,
        "template": sentence.template,
        "kind": sentence.kind,
        "domain": sentence.domain,
        "split": sentence.split,
        "part": cell.part,
        "lexical_emotion": sentence.emotion,
        "topic": sentence.topic,
        "synthesizer": voice.synthesizer,
        "sex": voice.sex,
        "take": variant.take,
        "factors": list(variant.factors),
        "heard": list(heard),
        "seconds": seconds,
        "words": [{"text": w.text, "start": _inside(w.start, seconds), "end": _inside(w.end, seconds)} for w in rendering.words],
        "prosody": [float(value) for value in np.asarray(values, np.float32)],
        **{step: getattr(told.chain, step) for step in STEPS},
        "response": told.response,
    }
    return row, samples


def _inside(time: float, seconds: float) -> float:
    return round(min(max(float(time), 0.0), seconds), 4)


def is_full(error: BaseException) -> bool:
    """Say whether an error means that nothing more can be written."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def journal(folder: Path, key: str) -> Path:
    """Return the file of a cell's rows, whose presence says that the cell is finished."""
    return folder / JOURNAL / "rows" / f"{key}.json"


def rows_of(folder: Path, key: str) -> list[Row] | None:
    """Return the journal's rows of a cell; None where it is not finished."""
    try:
        return json.loads(journal(folder, key).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def running(folder: Path, key: str) -> Path:
    """Return the marker file of a cell at work; where its worker died, it holds the trace."""
    return folder / JOURNAL / "running" / key


def work(cell: Cell, folder: Path, *, time_limit: float, owner: int, local: bool, render: Callable[[Cell], list[Rendered]]) -> Outcome:
    """Build one cell: its sound files, then its rows, which say that it is finished.

    Args:
        folder: of the dataset, with the journal's folders in it.
        time_limit: seconds after which the worker ends itself.
        owner: process that runs the build. In the owner itself there is no time limit.
        local: the owner is the parent of its workers, so that one whose parent is gone stops.
        render: `render_cell`, or another in tests.
    """
    apart = os.getpid() != owner
    if apart and local and os.name == "posix" and os.getppid() != owner:
        os._exit(0)
    if apart and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's business
    marker = running(folder, cell.key)
    try:
        with _watched(marker, time_limit, apart):
            rendered = render(cell)
            for row, samples in rendered:
                audio.write(folder / row["file_name"], samples)
            rows = [row for row, _ in rendered]
            content = json.dumps(rows, ensure_ascii=False).encode()
            write_whole(journal(folder, cell.key), content)
    except Exception as error:  # a worker must not raise: its outcome does
        return Outcome(cell.key, error=f"{type(error).__name__}: {error}", disk_full=is_full(error))
    return Outcome(cell.key, rows=len(rows), seconds=sum(row["seconds"] for row in rows))


@contextmanager
def _watched(marker: Path, time_limit: float, apart: bool) -> Iterator[None]:
    """Mark the cell as being at work; end this process where it takes too long, leaving a trace in the marker."""
    if not apart:
        yield
        return
    try:
        with marker.open("w") as file:
            faulthandler.enable(file, all_threads=False)
            faulthandler.dump_traceback_later(time_limit, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
                faulthandler.disable()
    finally:
        marker.unlink(missing_ok=True)
