"""EmoV-DB: two women and two men read CMU Arctic in five styles, three of them ours (Adigwe et al. 2018, arXiv 1806.09514).

The download holds no words: put cmuarctic.data (festvox.org/cmu_arctic) into the folder to have them; sentence n is arctic_a n there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from cogviz.corpora.base import Corpus, Item, emotion_of, parsed, spoken
from cogviz.utterance import Utterance

_SPEAKER = {"bea": "female", "jenie": "female", "josh": "male", "sam": "male"}
_STYLE = {"amused": "amused", "anger": "anger", "angry": "anger", "disgust": "disgust", "disgusted": "disgust", "neutral": "neutral",
          "sleepiness": "sleepy", "sleepy": "sleepy"}  # fmt: skip
_NAME = re.compile(r"([a-z]+)_\d+[-_]\d+_(\d{4})")
_LINE = re.compile(r'\(\s*arctic_a(\d{4})\s+"(.*)"\s*\)')
_OTHERS = {"amused": "amused", "sleepy": "sleepy"}


def _items(root: Path) -> Iterator[Item]:
    words: dict[str, str] = {}
    for file in sorted(root.rglob("cmuarctic.data")):
        words = {number: text.replace('\\"', '"') for number, text in _LINE.findall(file.read_text(encoding="utf-8", errors="replace"))}
    return parsed(root, partial(_parse, words))


def _parse(words: Mapping[str, str], path: Path) -> Utterance | None:
    """Name: style_range_sentence, in the folder bea/Amused or bea_Amused."""
    match = _NAME.fullmatch(path.stem.lower())
    folders = [name for folder in path.parents for name in folder.name.lower().split("_")]
    speaker = next((name for name in folders if name in _SPEAKER), "")
    if match is None or not speaker:
        raise ValueError(path.stem)
    return spoken(
        "emovdb",
        f"{speaker}_{path.stem}",
        path,
        emotion_of(_STYLE[match[1]], _OTHERS),
        speaker=speaker,
        sentence=match[2],
        text=words.get(match[2], ""),
        sex=_SPEAKER[speaker],
    )


CORPUS = Corpus(
    name="emovdb",
    title="EmoV-DB",
    kind="acted",
    language="en",
    licence="non-commercial purposes only",
    page="openslr.org/115",
    items=_items,
    others=_OTHERS,
    transcripts="cmuarctic.data (festvox.org/cmu_arctic)",
)
