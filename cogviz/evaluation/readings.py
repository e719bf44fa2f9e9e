"""Does the thought say what this sentence means in this tone, or facts that nobody said?

On templates that were trained on (with slot values that were not) the right reading should appear. On templates that were never trained on no
reading can be known: an answer that tells a trained one is invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from cogviz.eips import parse
from cogviz.lime.sentences import sentences
from cogviz.scoring import SENTENCE_END, step_similarity

SAME = 0.5
"""Content-word F1 from which two clauses tell the same story."""


@lru_cache(maxsize=1)
def trained() -> dict[tuple[str, str], str]:
    """Return (template, emotion) -> the reading's `what`, of every template of the training split, with one filling of its slots."""
    known: dict[tuple[str, str], str] = {}
    for sentence in sentences(kind="ambiguous", split="train"):
        for emotion, reading in sentence.readings.items():
            known.setdefault((sentence.template, emotion), reading.what)
    return known


def told(intent: str) -> tuple[str, str] | None:
    """Return the (template, emotion) whose trained reading an intent step, or a sentence like one, tells; None where it tells none."""
    known = trained()
    scores = np.array([step_similarity(intent, what) for what in known.values()])
    best = int(scores.argmax())
    return list(known)[best] if scores[best] >= SAME else None


def classify(texts: Sequence[str], templates: Sequence[str], emotions: Sequence[str]) -> pd.DataFrame:
    """Say what each answer's chain tells, or the sentence of its explanation that tells most.

    Args:
        texts: raw answers of the reasoning route. templates, emotions: of the utterances.

    Returns:
        Columns right (the reading of this template and voice emotion), other_emotion (of this template, another emotion), invented (a reading of
        another template), open (none). Exactly one is 1 in each row; an answer without a thought counts as open.
    """
    rows = []
    for text, template, emotion in zip(texts, templates, emotions, strict=True):
        answer = parse(text)
        intents = [] if answer is None else [answer.chain.intent] if answer.chain is not None else SENTENCE_END.split(answer.explanation)
        found = next(filter(None, map(told, intents)), None)
        kind = (
            "open" if found is None
            else "right" if found == (template, emotion)
            else "other_emotion" if found[0] == template
            else "invented"
        )  # fmt: skip
        rows.append({name: float(name == kind) for name in ("right", "other_emotion", "invented", "open")})
    return pd.DataFrame(rows, columns=["right", "other_emotion", "invented", "open"])
