"""LISTEN: does an audio model hear the emotion or read it (Chen et al. 2026, EACL)? Four conditions, multiple choice.

A row of its parquet files (id, audio, question, choices, answer, transcription, experiment_type, explicit_emotion, ...: the fields that the
authors' own scripts read) is an item. Its emotion is `answer`, the voice's; what the words say is `explicit_emotion`. The rows of the
conditions that show the text alone (2A, 3A) are left out: to ask for the words, use the words of 2B and 3B. Who speaks is not said, so each
item is a speaker of its own. Experiment 4 has laughter and sighs and no words. The sounds are written to a folder `clips` once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cogviz.corpora import manifest
from cogviz.corpora.base import Corpus, Item, emotion_of, spoken
from cogviz.corpora.manifest import Row
from cogviz.utterance import Utterance

CONDITIONS = {"1": "neutral text", "2": "matched", "3": "mismatched", "4": "paralinguistic"}
_OTHERS = {"calm": "gentle", "excitement": "excited", "frustration": "frustrated", "ridicule": "mocking"}


def _items(root: Path) -> Iterator[Item]:
    return manifest.each(manifest.tables(root), lambda table, row: _item(root, table, row))


def _item(root: Path, table: Path, row: Row) -> Utterance | None:
    experiment = str(row.get("experiment_type") or "")
    if "answer" not in row or experiment[:1] not in CONDITIONS or experiment.endswith("A"):
        return None
    answer, id, condition = str(row["answer"]), str(row["id"]), CONDITIONS[experiment[0]]
    emotion = emotion_of(answer, _OTHERS)
    said = "" if condition == "paralinguistic" else str(row.get("transcription") or "")
    # By design the words of experiment 1 are neutral and those of experiment 2 say what the voice says.
    lexical = str(row.get("explicit_emotion") or "") or {"neutral text": "neutral", "matched": answer}.get(condition, "")
    return spoken(
        "listen",
        id,
        manifest.sound(root, table, row.get("audio"), id),
        emotion,
        text=said,
        lexical=lexical if said else "",
        condition=condition,
        experiment=experiment,
        question=row.get("question"),
        options=list(row.get("choices") or ()),
        answer=answer,
        source=row.get("dataset_source"),
    )


CORPUS = Corpus(
    name="listen",
    title="LISTEN",
    kind="benchmark",
    language="en",
    licence="not stated; made of corpora with licences of their own",
    page="huggingface.co/datasets/VibeCheck1/LISTEN_full",
    command="hf download VibeCheck1/LISTEN_full --repo-type dataset --local-dir LISTEN",
    items=_items,
    others=_OTHERS,
)
