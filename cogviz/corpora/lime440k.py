"""LIME-440K: lexically identical, multi-emotion synthetic speech, seven emotions in three strengths (arXiv 2606.06940), parts A and B.

    PartB_json_EN/10.json   {"10_1_surprise": {"text", "emotion", "scenario", "group", "wav_path": "/10/medium/10_1_surprise.wav"}}
    PartB_wav_en/           what PartB_wav_en.tar.gz holds, unpacked into a folder of this name; `wav_path` is relative to it

A group has the same words in several emotions, so it is the sentence (punctuation may differ; the published part B has no text). Who speaks is not
said: each item is a speaker of its own. Of the folders that name the strength, "medium" and "strong" could be looked up; any other counts as
mild (k = 0.5) and is kept in extra["strength"]. The words are meant to fit every emotion, so they carry none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cogviz.corpora import manifest
from cogviz.corpora.base import Corpus, Item, Unfit, emotion_of, spoken
from cogviz.corpora.manifest import Row
from cogviz.utterance import Utterance

_INTENSITY = {"medium": 1.0, "strong": 1.5}


def _items(root: Path) -> Iterator[Item]:
    @cache
    def places(folder: Path) -> list[Path]:
        """Where the sounds of the tables in a folder may lie: folders of the same part, which may hold one of its name again."""
        own = [p for p in sorted(folder.parent.glob(f"{_part(folder)}*")) if p.is_dir()]
        return [*own, *(inner for p in own for inner in sorted(p.iterdir()) if inner.is_dir()), folder, root]

    def make(table: Path, row: Row) -> Utterance | None:
        if not {"id", "emotion", "group", "wav_path"} <= set(row):
            return None
        wav = str(row["wav_path"]).lstrip("/")
        path = next((place / wav for place in places(table.parent) if (place / wav).is_file()), None)
        if path is None:
            raise Unfit("its sound file is missing")
        part, strength = _part(table.parent), path.parent.name
        return spoken(
            "lime440k",
            f"{part}/{row['id']}",
            path,
            emotion_of(str(row["emotion"])),
            sentence=f"{part}/{row['group']}",
            text=str(row.get("text") or ""),
            intensity=_INTENSITY.get(strength, 0.5),
            strength=strength,
            scenario=row.get("scenario"),
            language="zh" if part == "PartA" else "en",
        )

    return manifest.each(manifest.tables(root), make)


def _part(folder: Path) -> str:
    return folder.name.partition("_")[0]


CORPUS = Corpus(
    name="lime440k",
    title="LIME-440K",
    kind="benchmark",
    language="en, zh",
    licence="unknown: ask its authors before any use",
    page="huggingface.co/datasets/zhaoxiaoxian/LIME-440K_CogAudio-LLM",
    command='hf download zhaoxiaoxian/LIME-440K_CogAudio-LLM --repo-type dataset --include "PartB_*" --local-dir LIME-440K',
    items=_items,
)
