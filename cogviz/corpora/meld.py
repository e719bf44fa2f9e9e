"""MELD: 13,708 utterances of 1,433 dialogues from the series Friends, seven emotions (Poria et al. 2019, ACL).

Labels were given with video and dialogue at hand, and the audience's laughter is in the sound. The sound comes as MP4, which must be turned into
WAV first (`MP4`). A sentence is what is said: the same words in two scenes are one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cogviz.corpora import manifest
from cogviz.corpora.base import Corpus, Item, Unfit, emotion_of, sounds, spoken
from cogviz.corpora.manifest import Row
from cogviz.utterance import Utterance

MP4 = (
    'still an MP4; turn them into WAV: find . -name "dia*.mp4" -exec sh -c \'ffmpeg -i "$1" -vn -ac 1 -ar 16000 "${1%.mp4}.wav"\' _ {} \\;'
)

_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def _items(root: Path) -> Iterator[Item]:
    """Go through {train,dev,test}_sent_emo.csv; a row's sound is diaD_uttU in the nearest folder whose name holds the split's."""
    heard = {(_split(path), path.stem): path for path in sounds(root)}
    films = {(_split(path), path.stem) for path in root.rglob("dia*.mp4")}

    def make(table: Path, row: Row) -> Utterance | None:
        split, stem = table.name.partition("_")[0], f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
        if (split, stem) not in heard:
            raise Unfit(MP4 if (split, stem) in films else "its sound file is missing")
        return spoken(
            "meld",
            f"{split}_{stem}",
            heard[split, stem],
            emotion_of(row["Emotion"]),
            speaker=row["Speaker"].strip().lower().replace(" ", "-"),
            text=row["Utterance"].strip(),
            split=_SPLITS[split],
            dialogue=row["Dialogue_ID"],
        )

    return manifest.each(sorted(table for split in _SPLITS for table in root.rglob(f"{split}_sent_emo.csv")), make)


def _split(path: Path) -> str:
    return next((split for folder in path.parents for split in _SPLITS if split in folder.name.lower()), "")


CORPUS = Corpus(
    name="meld",
    title="MELD",
    kind="dialogue",
    language="en",
    licence="GPL-3.0; the series belongs to its owners",
    page="affective-meld.github.io",
    command="curl -LO https://huggingface.co/datasets/declare-lab/MELD/resolve/main/MELD.Raw.tar.gz",
    items=_items,
)
