"""A copy of a dataset folder in a quarter of the space: Vorbis for FLAC, to carry it to another machine. What was lost is written into it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cogviz.audio import RATE
from cogviz.lime.dataset import read_rows, write_rows, write_whole

LEVEL = 0.95
"""libsndfile's compression level (0 .. 1): about 32 kbit/s for speech at 16 kHz."""


def compact(folder: str | Path, target: str | Path, *, parts: Sequence[str] | None = None, jobs: int = -1) -> int:
    """Write a compact copy of a dataset folder and return how many utterances it holds; a copy that was interrupted goes on.

    The copy is read like any other folder; its `plan.json` says under "coded" what was done to the sound, and model cards repeat it.

    Args:
        parts: only these parts of the dataset; None: all. jobs: processes (-1: one a core).

    Raises:
        BuildError: `folder` holds no finished dataset. ValueError: it has none of the parts.
    """
    import joblib

    folder, target = Path(folder), Path(target)
    rows = [row for row in read_rows(folder) if parts is None or row["part"] in parts]
    if not rows:
        raise ValueError(f"{folder} has no utterance in {', '.join(parts or ())}")
    chunks = [rows[i : i + 200] for i in range(0, len(rows), 200)]
    named = joblib.Parallel(n_jobs=jobs)(joblib.delayed(_recode)(chunk, folder, target) for chunk in chunks)
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    plan["coded"] = "Vorbis, about 32 kbit/s"
    write_whole(target / "plan.json", (json.dumps(plan, indent=1, ensure_ascii=False) + "\n").encode())
    write_rows(target, [row for chunk in named for row in chunk])
    return len(rows)


def _recode(rows: Sequence[dict], folder: Path, target: Path) -> list[dict]:
    import soundfile

    found = []
    for row in rows:
        name = str(Path(row["file_name"]).with_suffix(".ogg"))
        path = target / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            samples, _ = soundfile.read(folder / row["file_name"], dtype="float32")
            part = path.with_name(f".{path.name}.part")
            soundfile.write(part, samples, RATE, format="OGG", subtype="VORBIS", compression_level=LEVEL)
            part.replace(path)
        found.append({**row, "file_name": name})
    return found
