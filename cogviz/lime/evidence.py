"""What stands out in the sound of an utterance against the speaker's neutral voice, measured in the signal and said in words.

An explanation that names such evidence can be checked (`evaluation.groundedness`, which measures with WORLD and knows nothing of this module). So a
word is only used where the difference is well above what that measure calls noticeable: two rulers must agree on it.

    FOLDER/evidence.parquet     id, what was measured, and the words; beside the dataset's metadata
"""

from __future__ import annotations

import hashlib
import io
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cogviz.audio import RATE, without_silence
from cogviz.lime.plan import BuildError
from cogviz.pitch import pitch, windows
from cogviz.scoring import normalised_words
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    import pandas as pd

SAID: Mapping[str, tuple[float, str, str]] = {
    "loudness": (3.0, "loud", "soft"),  # dB
    "pitch": (1.8, "high", "low"),  # semitones
    "tempo": (0.16, "quick", "slow"),  # octaves of letters a second
    "melody": (0.3, "lively", "flat"),  # octaves of the F0 range in semitones
    "ending": (2.5, "rising at the end", "falling at the end"),  # semitones of the last 250 ms against the median
    "brightness": (3.0, "bright", "dark"),  # dB above 920 Hz against below
}
"""Kind -> the least difference from neutral that is said, and the words for more and for less. The kinds are those of `evaluation.claims`."""

MOST = 3
"""Words that are said of one recording, the most salient first."""

_HOP = RATE // 100
_EDGE = 25  # voiced frames of 10 ms: 250 ms
_LEAST = 30  # voiced frames: 0.3 s
_BELOW_LOUD = 35.0  # dB
_HIGH = 920.0  # Hz

FILE = "evidence.parquet"
_CHUNK = 1000
_VERSION = b"1"  # of `measured`


def measured(samples: np.ndarray, text: str) -> np.ndarray:
    """Return (6,) the kinds of `SAID` in a recording (16 kHz), absolute; NaN where there is too little voice to measure. About 15 ms."""
    samples = without_silence(np.asarray(samples, dtype=np.float64))
    heard = pitch(samples, hop=_HOP)
    if heard.voiced.sum() < _LEAST:
        return np.full(len(SAID), np.nan)
    around = windows(samples, 512, _HOP, len(heard.hz))
    level = 10 * np.log10(np.square(around).mean(axis=1) + 1e-12)
    speech = level > np.percentile(level, 95) - _BELOW_LOUD
    tone = heard.semitones[heard.voiced]
    middle = float(np.median(tone))
    tone = tone[np.abs(tone - middle) < 14]  # octave errors
    power = np.square(np.abs(np.fft.rfft(around[heard.voiced] * np.hanning(512), axis=1))).sum(axis=0)
    above = np.fft.rfftfreq(512, 1 / RATE) >= _HIGH
    letters = max(sum(map(len, normalised_words(text))), 1)
    kinds = {
        "loudness": 10 * math.log10(float(np.square(samples).mean()) + 1e-12),
        "pitch": float(np.median(tone)),
        "tempo": math.log2(letters) - math.log2(speech.sum() * _HOP / RATE),
        "melody": math.log2(max(float(np.percentile(tone, 90) - np.percentile(tone, 10)), 0.3)),
        "ending": float(np.median(tone[-_EDGE:]) - np.median(tone)),
        "brightness": 10 * math.log10(float(power[above].sum()) / float(power[~above].sum())),
    }
    return np.array([kinds[kind] for kind in SAID])


def against_neutral(utterances: Sequence[Utterance], values: np.ndarray) -> np.ndarray:
    """Return (N, 6) what was `measured` less the speaker's neutral reading of the same sentence, or else the mean of the speaker's neutral ones.

    Args:
        utterances: the neutral ones are found among them. values: (N, 6). NaN where the speaker has none.
    """
    same: dict[tuple[str, str], list[int]] = defaultdict(list)
    speaker: dict[str, list[int]] = defaultdict(list)
    for i, u in enumerate(utterances):
        if u.emotion == "neutral" and np.isfinite(values[i]).all():
            same[u.speaker, u.sentence].append(i)
            speaker[u.speaker].append(i)
    means: dict[object, np.ndarray] = {key: values[rows].mean(axis=0) for key, rows in (*same.items(), *speaker.items())}
    nothing = np.full(values.shape[1], np.nan)
    own = [means.get((u.speaker, u.sentence), means.get(u.speaker, nothing)) for u in utterances]
    return values - np.array(own).reshape(values.shape)


def words(difference: Sequence[float] | np.ndarray) -> tuple[str, ...]:
    """Return what is said of a difference (6,) from neutral: at most `MOST` words, the most salient first; () where nothing stands out."""
    found = []
    for value, (least, more, less) in zip(difference, SAID.values(), strict=True):
        if math.isfinite(value) and abs(value) >= least:
            found.append((abs(value) / least, more if value > 0 else less))
    return tuple(word for _, word in sorted(found, reverse=True)[:MOST])


def add(folder: str | Path, *, progress: bool = True) -> Path:
    """Measure a dataset folder and write its evidence.parquet; interrupted, it goes on where it was, and what is finished is left.

    Raises:
        BuildError: there is no dataset.
    """
    from tqdm import tqdm

    from cogviz.lime import dataset

    folder = Path(folder)
    mark = fingerprint(folder)
    if read(folder) is not None:
        return folder / FILE
    utterances = dataset.read(folder)
    kept = _table(folder)
    done = {} if kept is None else {name: list(values) for name, values in zip(kept.id, kept.measured, strict=True)}
    todo = [u for u in utterances if u.id not in done]
    with tqdm(total=len(utterances), initial=len(utterances) - len(todo), desc="evidence", disable=not progress, mininterval=5) as bar:
        for start in range(0, len(todo), _CHUNK):
            some = todo[start : start + _CHUNK]
            done |= {u.id: measured(u.samples, u.text).tolist() for u in some}
            _write(folder, done, None, mark)
            bar.update(len(some))
    difference = against_neutral(utterances, np.array([done[u.id] for u in utterances]))
    return _write(folder, {u.id: done[u.id] for u in utterances}, [list(words(row)) for row in difference], mark)


def read(folder: str | Path) -> dict[str, tuple[str, ...]] | None:
    """Return utterance id -> words; None where the folder has no evidence, that of another dataset, or an unfinished one."""
    table = _table(Path(folder))
    if table is None or table.attrs["said"] != _said():
        return None
    return {name: tuple(said) for name, said in zip(table.id, table.evidence, strict=True)}


def fingerprint(folder: Path) -> str:
    """Return what tells a dataset from others."""
    try:
        return hashlib.sha256(_VERSION + (folder / "metadata.parquet").read_bytes()).hexdigest()
    except OSError:
        raise BuildError(f"{folder} holds no finished dataset (no metadata.parquet); build one with `cogviz lime build {folder}`") from None


def _said() -> str:
    return repr((sorted(SAID.items()), MOST))


def _table(folder: Path) -> pd.DataFrame | None:
    """What was measured before of this dataset."""
    import pandas as pd

    path = folder / FILE
    table = pd.read_parquet(path) if path.is_file() else None
    return table if table is not None and table.attrs.get("fingerprint") == fingerprint(folder) else None


def _write(folder: Path, done: Mapping[str, list[float]], evidence: list[list[str]] | None, mark: str) -> Path:
    import pandas as pd

    from cogviz.lime.dataset import write_whole

    table = pd.DataFrame({"id": list(done), "measured": list(done.values())})
    table["evidence"] = evidence if evidence is not None else [[]] * len(table)
    table.attrs = {"fingerprint": mark, "said": _said() if evidence is not None else "unfinished"}
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    write_whole(folder / FILE, content.getvalue())
    return folder / FILE
