"""ESD: ten English and ten Mandarin speakers, 350 sentences a language in five emotions (Zhou et al. 2021, ICASSP).

Files are numbered through: 350 neutral ones, then the same sentences in each further emotion; a language's speakers share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from cogviz.corpora.base import Corpus, Item, Unfit, emotion_of, parsed, spoken
from cogviz.utterance import Utterance

SENTENCES = 350
_EMOTIONS = {"Neutral", "Angry", "Happy", "Sad", "Surprise"}
_MALE = {4, 5, 6, 8, 10, 11, 12, 13, 14, 20}


def _items(root: Path) -> Iterator[Item]:
    lines: dict[str, str] = {}
    for file in sorted(root.rglob("00[0-2][0-9].txt")):
        for line in _decoded(file.read_bytes(), mandarin=int(file.stem) <= 10).splitlines():
            name, *rest = line.split("\t")
            if rest:
                lines[name.strip()] = rest[0].strip()
    return parsed(root, partial(_parse, lines))


def _decoded(content: bytes, *, mandarin: bool) -> str:
    """The published transcripts are in UTF-16, UTF-8, GB2312 or Latin-1, as each speaker's was saved."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030" if mandarin else "latin-1", errors="replace")


def _parse(lines: Mapping[str, str], path: Path) -> Utterance | None:
    """Name: speaker_number, in the folder of the emotion (or its train, evaluation, test)."""
    speaker, number = map(int, path.stem.split("_"))
    if not (1 <= speaker <= 20 and 1 <= number <= SENTENCES * len(_EMOTIONS)):
        raise ValueError(path.stem)
    emotion = next((folder.name for folder in path.parents if folder.name in _EMOTIONS), None)
    if emotion is None:
        raise Unfit("in no emotion's folder")
    language = "zh" if speaker <= 10 else "en"
    return spoken(
        "esd",
        path.stem,
        path,
        emotion_of(emotion),
        speaker=f"{speaker:04d}",
        sentence=f"{language}-{(number - 1) % SENTENCES + 1:03d}",
        text=lines.get(path.stem, ""),
        language=language,
        sex="male" if speaker in _MALE else "female",
    )


CORPUS = Corpus(
    name="esd",
    title="the Emotional Speech Dataset (ESD)",
    kind="acted",
    language="en, zh",
    licence="research only, after a signed licence",
    page="hltsingapore.github.io/ESD",
    items=_items,
    transcripts="each speaker's folder (0011/0011.txt)",
)
