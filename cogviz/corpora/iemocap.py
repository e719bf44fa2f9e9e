"""IEMOCAP: ten actors in five sessions of scripted and improvised dialogues, ten labels (Busso et al. 2008, Language Resources and Evaluation 42).

Utterances without a majority label (xxx) and with "other" (oth) are left out. A sentence is what is said, so that a script's line is one
sentence in all sessions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cogviz.corpora.base import Corpus, Item, Skipped, Unfit, emotion_of, spoken

_EMOTION = {"neu": "neutral", "hap": "happy", "sad": "sad", "ang": "angry", "fea": "fearful", "sur": "surprised", "dis": "disgusted",
            "exc": "excited", "fru": "frustrated"}  # fmt: skip
_NO_LABEL = {"xxx", "oth"}
_OTHERS = {"excited": "excited", "frustrated": "frustrated"}
_LABEL = re.compile(r"^\[[\d.]+ - [\d.]+\]\t(\w+)\t(\w+)", re.MULTILINE)
_WORDS = re.compile(r"^(\w+) \[[\d.]+-[\d.]+\]: (.*)$", re.MULTILINE)


def _items(root: Path) -> Iterator[Item]:
    """Go through Session*/dialog/EmoEvaluation/*.txt; sound in sentences/wav, words in dialog/transcriptions."""
    for file in sorted(p for p in root.rglob("EmoEvaluation/*.txt") if not p.name.startswith(".")):
        session = file.parents[2]
        script = session / "dialog" / "transcriptions" / file.name
        words = dict(_WORDS.findall(_read(script))) if script.is_file() else {}
        for id, code in _LABEL.findall(_read(file)):
            path = session / "sentences" / "wav" / file.stem / f"{id}.wav"
            if code in _NO_LABEL:
                continue
            try:
                emotion = emotion_of(_EMOTION.get(code, code), _OTHERS)
            except Unfit as reason:
                yield Skipped(id, str(reason))
                continue
            if not path.is_file():
                yield Skipped(id, "its sound file is missing")
                continue
            sex = id.rpartition("_")[2][0]  # the letter after Ses01 is who wears the markers, not who speaks
            yield spoken(
                "iemocap",
                id,
                path,
                emotion,
                speaker=id[3:5] + sex,
                text=words.get(id, "").strip(),
                sex="female" if sex == "F" else "male",
                dialogue=file.stem,
                scripted="script" in file.stem,
            )


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    kind="dialogue",
    language="en",
    licence="research only, after a signed form",
    page="sail.usc.edu/iemocap",
    items=_items,
    others=_OTHERS,
    transcripts="each session's dialog/transcriptions",
)
