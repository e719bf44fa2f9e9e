"""A dataset folder: FLAC files and `metadata.parquet`, one row an utterance, loadable as a Hugging Face `audiofolder`.

    audio/<two letters>/<id>.flac   16 kHz, mono, 16 bit
    metadata.parquet                the columns of `COLUMNS`
    plan.json                       plan, seed, versions, fingerprint

`datasets.load_dataset("audiofolder", data_dir=FOLDER)["train"]` holds every row; the column `split` tells training from test.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogviz.eips import STEPS, Answer, Chain
from cogviz.lime import evidence
from cogviz.lime.plan import BuildError
from cogviz.utterance import Utterance, Word

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS: dict[str, str] = {
    "file_name": "string",
    "id": "string",
    "text": "string",
    "emotion": "string",  # acoustic: what the tone says
    "intensity": "double",  # k; 0 for neutral
    "speaker": "string",
    "sentence": "string",
    "template": "string",
    "kind": "string",
    "domain": "string",
    "split": "string",
    "part": "string",
    "lexical_emotion": "string",  # what the words alone say; null: nothing
    "topic": "string",
    "synthesizer": "string",
    "sex": "string",
    "take": "string",  # seed of the rendering
    "factors": "list",  # of prosody that are switched on
    "heard": "list",  # cue words that the perception may name
    "seconds": "double",
    "words": "words",
    "prosody": "floats",  # the parameters of `prosody.PARAMETERS`
    **{name: "string" for name in (*STEPS, "response")},
}
"""Every column and its type."""

_FIELDS = {"id", "text", "emotion", "speaker", "sentence", "intensity", "lexical_emotion", "words", "split", "file_name"}


def _schema() -> pa.Schema:
    import pyarrow as pa

    word = pa.struct([("text", pa.string()), ("start", pa.float64()), ("end", pa.float64())])
    types = {"string": pa.string(), "double": pa.float64(), "list": pa.list_(pa.string()), "words": pa.list_(word)}
    types["floats"] = pa.list_(pa.float32())
    return pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])


def write_rows(folder: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write `metadata.parquet`, whole or not at all; the same rows leave the file as it is."""
    import pyarrow as pa
    import pyarrow.parquet

    content = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(list(rows), schema=_schema()), content)
    write_whole(folder / "metadata.parquet", content.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it; a file that already holds `content` is not touched."""
    if path.exists() and path.read_bytes() == content:
        return
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of `metadata.parquet`; raises `BuildError` where there is none, or not ours."""
    import pyarrow as pa
    import pyarrow.parquet

    path = folder / "metadata.parquet"
    if not path.is_file():
        raise BuildError(
            f"{folder} holds no finished dataset (no metadata.parquet); build one with `cogviz lime build {folder} --plan PLAN`"
        )
    try:
        table = pa.parquet.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise BuildError(f"{path} cannot be read ({' '.join(str(error).split())[:100]}); delete it and build again") from None
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise BuildError(f"{path} is not a LIME dataset: it has no column {missing[0]}")
    return table.select(list(COLUMNS)).to_pylist()


def read(folder: str | Path) -> list[Utterance]:
    """Return the utterances of a dataset folder; `extra` carries the columns that `Utterance` has no place for, and the `evidence` in the sound where
    it was measured (`lime.evidence`).

    Raises:
        BuildError: no dataset there, or a sound file is missing.
    """
    folder = Path(folder)
    found = []
    said = evidence.read(folder) or {}
    for row in read_rows(folder):
        path = folder / row["file_name"]
        if not path.is_file():
            raise BuildError(f"{path} is missing; run the command that built {folder} again, it restores what is missing")
        found.append(
            Utterance(
                corpus="lime",
                path=path,
                words=tuple(Word(**word) for word in row["words"]),
                extra={name: value for name, value in row.items() if name not in _FIELDS}
                | ({"evidence": said[row["id"]]} if row["id"] in said else {}),
                **{name: row[name] for name in _FIELDS - {"file_name", "words"}},
            )
        )
    return found


def table(folder: str | Path) -> pd.DataFrame:
    """Return the metadata as a DataFrame, one row an utterance, in the order of the plan."""
    import pandas as pd

    return pd.DataFrame(read_rows(Path(folder)), columns=list(COLUMNS))


def answer(utterance: Utterance) -> Answer:
    """Return the annotation of an utterance from a dataset folder: the chain and response that a model should learn."""
    text = {name: str(utterance.extra[name]) for name in (*STEPS, "response")}
    return Answer(text.pop("response"), Chain(**text))
