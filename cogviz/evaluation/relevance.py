"""Does a thought speak for the emotion that it names? Its claims about the sound against how that emotion sounds, its reasons against those for it.

Groundedness asks whether a thought is true of this recording; relevance, whether it has to do with its own conclusion (arXiv 2506.06820 has a judge
rate both). The same for EIPS chains and for explanations in free words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cogviz import statistics
from cogviz.eips import Answer, parse
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import recognisers
from cogviz.evaluation.claims import KINDS, claims
from cogviz.evaluation.groundedness import NOTICED
from cogviz.lime import prosody
from cogviz.lime.annotate import annotate
from cogviz.lime.sentences import sentences
from cogviz.scoring import SENTENCE_END, mask_emotion_words
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from cogviz.evaluation.items import Table

COLUMNS = ("perception", "reasons", "answer", "sentence", "speaker")

TEMPLATES = 2
"""Sentences of each template that the reader of reasons learns from."""

_NO_REASON = re.compile(r"\s*(?:the voice|the words|they alone)\b", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*(?:"|$)')


@dataclass(frozen=True)
class Thought:
    """What a thought says of the voice, and why the speaker feels so ("" where it says nothing)."""

    perceived: str
    reasons: str


def of_answer(answer: Answer | None) -> Thought:
    """Take a thought apart: of a chain its perception and psychology steps, of an explanation what is about the voice or words, and the rest."""
    if answer is None or not answer.thinks:
        return Thought("", "")
    if answer.chain is not None:
        return Thought(answer.chain.perception, answer.chain.psychology)
    rest = [s for s in SENTENCE_END.split(_QUOTED.sub('"".', answer.explanation)) if s.strip('". ') and not _NO_REASON.match(s)]
    return Thought(answer.explanation, " ".join(rest))


def of_text(text: str) -> Thought:
    """Take the thought of a raw answer apart; nothing of one in another form."""
    return of_answer(parse(text))


@dataclass(frozen=True)
class Relevance:
    """Whether thoughts speak for the emotions that they name.

    Attributes:
        claims: share of the claims about the sound whose direction is that of the emotion in `prosody.rules`; claims of which the emotion has no
            direction are left out; chance is what they would score with the other emotions. None where there is none.
        reasons: share of the reasons from which a reader, emotion words masked, tells the emotion named. None where no thought gives reasons.
        undirected: claims that are left out.
    """

    claims: Estimate | None
    reasons: Estimate | None
    undirected: int


def relevance(table: Table) -> Relevance:
    """Compare what thoughts claim and reason with the emotion that they name.

    Args:
        table: the columns `COLUMNS`, one row an item; `answer` is the emotion named (none: the item is left out).

    Raises:
        ValueError: a column is missing.
    """
    import pandas as pd

    frame = pd.DataFrame(table)
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise ValueError(f"the table lacks the column(s) {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    frame = frame[frame.answer.isin(EMOTIONS)].reset_index(drop=True)
    expected = typical()
    rows, undirected = [], 0
    for i, (text, named) in enumerate(zip(frame.perception, frame.answer, strict=True)):
        for claim in claims(text):
            directions = {e: expected[e][claim.kind] for e in EMOTIONS if expected[e][claim.kind]}
            if named not in directions:
                undirected += 1
                continue
            others = [float(d == claim.direction) for e, d in directions.items() if e != named]
            rows.append((i, float(directions[named] == claim.direction), float(np.mean(others)) if others else np.nan))
    made = pd.DataFrame(rows, columns=["item", "fits", "chance"]).join(frame[["sentence", "speaker"]], on="item")
    reasoned = frame[frame.reasons.str.strip() != ""]
    told = reader().predict([mask_emotion_words(r) for r in reasoned.reasons]) if len(reasoned) else np.zeros(0, dtype=object)
    return Relevance(
        claims=_mean(made, made.fits, float(made.chance.mean())) if len(made) else None,
        reasons=_mean(reasoned, told == reasoned.answer.to_numpy(), 1 / len(EMOTIONS)) if len(reasoned) else None,
        undirected=undirected,
    )


def _mean(part: Any, values: Any, chance: float) -> Estimate:
    sentences_of, speakers = part.sentence.astype(str).tolist(), part.speaker.astype(str).tolist()
    return statistics.mean(np.asarray(values, dtype=float), sentences=sentences_of, speakers=speakers, chance=chance)


@lru_cache(maxsize=1)
def typical() -> Mapping[str, Mapping[str, int]]:
    """Return emotion -> kind of claim -> the direction (+1, -1) in which real actors move it at normal strength; 0 where by less than `NOTICED`."""
    rules = prosody.rules().mean[:, 1]
    names = list(prosody.PARAMETERS)

    def band(row: np.ndarray, low: int, high: int) -> float:
        return float(np.mean([row[names.index(f"band_{e}")] for e in prosody.BAND_EDGES[:-1] if low <= e < high]))

    found = {}
    for emotion, row in zip(EMOTIONS, rules, strict=True):
        value = {
            "ending": row[names.index("f0_final")],
            "loudness": row[names.index("level")],
            "tempo": -row[names.index("duration")],
            "melody": row[names.index("f0_range")],
            "pitch": row[names.index("f0_level")],
            "breathiness": float(np.mean([row[names.index(f"noise_{e}")] for e in prosody.NOISE_EDGES[:-1]])),
            "brightness": band(row, 920, 8000) - band(row, 0, 920),
            "roughness": row[names.index("micro")],
        }
        found[emotion] = {kind: int(np.sign(value[kind])) if abs(value[kind]) >= NOTICED[kind] else 0 for kind in KINDS}
    return found


@lru_cache(maxsize=1)
def reader() -> Any:
    """The reader of reasons: psychology steps of sentences that no model was trained on -> emotion, emotion words masked."""
    texts, labels, seen = [], [], dict[str, int]()
    for split in ("validation", "test"):
        for sentence in sentences(split=split):
            if seen.setdefault(sentence.template, 0) >= TEMPLATES:
                continue
            seen[sentence.template] += 1
            for emotion in EMOTIONS:
                for take in range(2):
                    chain = annotate(sentence, emotion, "mid", seed=f"reasons-{take}").chain
                    assert chain is not None
                    texts.append(mask_emotion_words(chain.psychology))
                    labels.append(emotion)
    return recognisers.fitted(recognisers.text_classifier(), texts, labels)
