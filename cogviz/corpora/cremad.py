"""CREMA-D: 91 actors, twelve sentences, six emotions, one sentence in three intensities (Cao et al. 2014, IEEE Trans. Affective Computing 5(4)).

The label is what the actor meant, not what listeners voted. Of the clone's two copies of the sound, AudioWAV is read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from cogviz.corpora.base import Corpus, Item, Unfit, emotion_of, parsed, spoken
from cogviz.utterance import Utterance

_EMOTION = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
_INTENSITY = {"LO": 0.5, "MD": 1.0, "HI": 1.5, "XX": 1.0, "X": 1.0}  # XX: unspecified; 1040_ITH_SAD_X.wav is published under that name
_SENTENCE = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_SILENT = {"1076_MTI_SAD_XX"}


def _items(root: Path) -> Iterator[Item]:
    """Read the actors' sexes from VideoDemographics.csv, where it is there, then the file names."""
    sex: dict[str, str] = {}
    for table in sorted(root.rglob("VideoDemographics.csv")):
        with table.open(encoding="utf-8", newline="") as lines:
            sex = {row["ActorID"]: row["Sex"].lower() for row in csv.DictReader(lines)}
    return parsed(root, partial(_parse, sex))


def _parse(sex: Mapping[str, str], path: Path) -> Utterance | None:
    """Name: actor_sentence_emotion_intensity."""
    actor, sentence, emotion, intensity = path.stem.split("_")
    if path.parent.name == "AudioMP3" and (path.parents[1] / "AudioWAV").is_dir():
        return None
    if path.stem in _SILENT:
        raise Unfit("known to hold no voice")
    return spoken(
        "cremad",
        path.stem,
        path,
        emotion_of(_EMOTION[emotion]),
        speaker=f"{int(actor):04d}",
        sentence=sentence,
        text=_SENTENCE[sentence],
        intensity=_INTENSITY[intensity],
        sex=sex.get(actor, ""),
    )


CORPUS = Corpus(
    name="cremad",
    title="CREMA-D",
    kind="acted",
    language="en",
    licence="ODbL 1.0, contents DbCL 1.0",
    page="github.com/CheyneyComputerScience/CREMA-D",
    command="git lfs install && git clone https://github.com/CheyneyComputerScience/CREMA-D",
    items=_items,
)
