"""Tables of items: one row a recording, in the table formats that benchmarks are published in.

A manifest of our own shape has these columns; only `audio` and `emotion` are needed:

    id               unique; without one, the sound file's name from the folder on
    audio            the sound file, relative to the table or to the folder; in a parquet it may be the file itself, as Hugging Face stores it
    emotion          what the voice says
    lexical_emotion  what the words say
    text, speaker, sentence, language
    question, options, answer    of a multiple choice; options as a list, or with | between them
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cogviz.corpora.base import CorpusError, Item, Skipped, Unfit, emotion_of, spoken
from cogviz.lime.dataset import write_whole
from cogviz.utterance import Utterance

CLIPS = "clips"
"""Sounds that lie inside a parquet are written to this folder beside it, once."""

EXTRA = ("language", "question", "options", "answer")

Row = Mapping[str, Any]


def tables(root: Path) -> list[Path]:
    """Return every file under `root` that may hold a table, in the order of paths."""
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in _READERS and not p.name.startswith("."))


def rows(table: Path) -> Iterator[Row]:
    """Yield the rows of a .json (a list of rows, or {id: row}), .jsonl, .csv, .tsv or .parquet; none where it holds something else.

    Raises:
        Unfit: it cannot be read.
    """
    try:
        yield from _READERS[table.suffix.lower()](table)
    except (ValueError, OSError, csv.Error) as error:  # pyarrow's and json's errors are ValueErrors or OSErrors
        raise Unfit(f"not readable as a table ({' '.join(str(error).split())[:80]})") from None


def each(tables: Iterable[Path], make: Callable[[Path, Row], Utterance | None]) -> Iterator[Item]:
    """Yield what `make` makes of every row of every table.

    Args:
        make: table, row -> Utterance; None for a row that is not to our use; raises `Unfit`, or KeyError for a column that is not there.
    """
    for table in tables:
        try:
            for number, row in enumerate(rows(table), 1):
                name = str(row.get("id") or f"{table.name} row {number}")
                try:
                    found = make(table, row)
                except Unfit as reason:
                    yield Skipped(name, str(reason))
                except KeyError as column:
                    yield Skipped(name, f"no column {column}")
                else:
                    if found is not None:
                        yield found
        except Unfit as reason:
            yield Skipped(table.name, str(reason))


def items(corpus: str, others: Collection[str] = ()) -> Callable[[Path], Iterator[Item]]:
    """Return the `items` of a corpus that is read from a manifest (see the columns above); tables without `audio` and `emotion` pass."""

    def make(root: Path, table: Path, row: Row) -> Utterance | None:
        if not {"audio", "emotion"} <= set(row):
            return None
        emotion, id = emotion_of(_text(row, "emotion"), others), _text(row, "id")
        path = sound(root, table, row["audio"], id)
        extra = {name: row[name] for name in EXTRA if row.get(name)}
        if isinstance(options := extra.get("options"), str):
            extra["options"] = [option.strip() for option in options.split("|")]
        return spoken(
            corpus,
            id or path.relative_to(root).with_suffix("").as_posix(),
            path,
            emotion,
            speaker=_text(row, "speaker"),
            sentence=_text(row, "sentence"),
            text=_text(row, "text"),
            lexical=_text(row, "lexical_emotion"),
            **extra,
        )

    return lambda root: each(tables(root), lambda table, row: make(root, table, row))


def sound(root: Path, table: Path, value: Any, id: str) -> Path:
    """Return the sound file that a row names, or writes the one that it holds to `CLIPS` beside the table; raises `Unfit` where there is none."""
    content, name = (value.get("bytes"), value.get("path")) if isinstance(value, Mapping) else (None, value)
    if content:
        if not id:
            raise Unfit("no id for the sound in it")
        path = table.parent / CLIPS / (re.sub(r"[^\w.-]", "_", id) + (Path(str(name)).suffix or ".wav"))
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, content)
        except OSError as error:
            raise CorpusError(f"{path} cannot be written ({error.strerror}); copy {table.parent} to where you may write") from None
        return path
    if not name:
        raise Unfit("no sound")
    for folder in (table.parent, root):
        if (path := folder / str(name).lstrip("/")).is_file():
            return path
    raise Unfit("its sound file is missing")


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    return "" if value is None or value != value else str(value).strip()  # NaN is how a table says nothing


def _json(table: Path) -> Iterator[Row]:
    content = json.loads(table.read_text(encoding="utf-8-sig"))
    if isinstance(content, dict):
        content = [{"id": key, **row} for key, row in content.items() if isinstance(row, dict)]
    if isinstance(content, list):
        yield from (row for row in content if isinstance(row, dict))


def _jsonl(table: Path) -> Iterator[Row]:
    with table.open(encoding="utf-8-sig") as lines:
        yield from (json.loads(line) for line in lines if line.strip().startswith("{"))


def _csv(table: Path) -> Iterator[Row]:
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        yield from csv.DictReader(lines, restval="", delimiter="\t" if table.suffix.lower() == ".tsv" else ",")


def _parquet(table: Path) -> Iterator[Row]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(table) as file:
        for batch in file.iter_batches(batch_size=32):
            yield from batch.to_pylist()


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}
