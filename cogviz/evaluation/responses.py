"""Responses: do they change with the tone, and can the tone be told from them?

Input is a table with one row a response: `sentence` and `speaker` (together the *cell*: same words, same voice), `voice` (the tone that the response
answers to) and, for divergence, `response` (its text).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from cogviz import statistics
from cogviz.emotions import EMOTIONS, emotion
from cogviz.evaluation.items import emotion_codes
from cogviz.evaluation.results import named
from cogviz.scoring import step_similarity
from cogviz.statistics import Estimate, ratio, resample_sums

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table

SURE = 0.9
"""From this probability on the judge is sure of an emotion."""

VALENCE = np.sign([emotion(name).valence for name in EMOTIONS])
"""Unpleasant, neutral or pleasant: what a coarse answer gets right."""


@dataclass(frozen=True)
class Distance:
    """How far responses lie apart, 0 (the same) .. 1. `n` counts cells.

    Attributes:
        between: mean distance of two responses of a cell to different tones.
        within: of two responses to one and the same recording: what sampling alone does.
        ratio: between / within; NaN where resamples never differ (greedy decoding). Chance is 1.
        difference: between - within; chance is 0.
    """

    between: Estimate
    within: Estimate
    ratio: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Divergence:
    """How much more responses differ between tones than between resamples of one recording.

    Attributes:
        words: 1 - F1 of the content words (`scoring.step_similarity`). meaning: 1 - cosine of the embeddings; None without them.
    """

    words: Distance = field(metadata=named("response_divergence"))
    meaning: Distance | None = field(metadata=named("response_divergence_in_meaning"))


@dataclass(frozen=True)
class Specificity:
    """Whether the tone can be told from the response alone.

    Attributes:
        told: share of responses in which the judge finds the tone; chance is prediction-marginal.
        picked: share of responses that answer to their tone better, says the judge, than any other response of their cell does (a tie counts in
            parts); chance is one over the cell's size. What the judge likes to say everywhere does not help here.
        rubric: mean of the published 1 .. 4 (arXiv 2606.06940) as far as a classifier sees it: 1 generic (another kind of feeling, or none),
            2 coarse (right in valence), 3 specific (the right emotion), 4 the right emotion, surely (`SURE`) and picked in its cell. What the
            rubric calls deep insight no classifier sees: 4 is necessary for it and not sufficient. Chance: the same responses to shuffled tones.
        levels: "1" .. "4" -> share of the responses.
    """

    told: Estimate = field(metadata=named("response_tells_voice"))
    picked: Estimate = field(metadata=named("response_picked_in_cell"))
    rubric: Estimate = field(metadata=named("response_rubric"))
    levels: dict[str, Estimate] = field(metadata=named("response_rubric_level"))


def response_divergence(table: Table, *, embed: Callable[[Sequence[str]], np.ndarray] | None = None) -> Divergence:
    """Compare the responses within each cell: pairs to different tones, and pairs to the same recording.

    Args:
        table: rows with the same sentence, speaker and voice are resamples of one recording.
        embed: texts -> (N, D) embeddings of length 1, such as `models.meaning.SentenceEncoder`.

    Raises:
        ValueError: a column is missing, no cell has two tones, or no recording was answered twice.
    """
    frame = _responses(table, "response")
    texts = frame.response.fillna("").astype(str).tolist()
    found = {"words": lambda a, b: 1 - step_similarity(texts[a], texts[b])}
    if embed is not None:
        at = np.asarray(embed(texts), dtype=float)
        found["meaning"] = lambda a, b: 1 - float(at[a] @ at[b])
    cells = list(frame.reset_index(drop=True).groupby(["sentence", "speaker"]))
    measured = {}
    for name, distance in found.items():
        sums = np.zeros((len(cells), 4))  # of distances between, number of pairs, of distances within, number of pairs
        for i, (_, cell) in enumerate(cells):
            for a, b in combinations(cell.index, 2):
                same = 2 * int(cell.voice[a] == cell.voice[b])
                sums[i, same : same + 2] += distance(a, b), 1
        if not sums[:, 1].any():
            raise ValueError("no cell has responses to two tones: divergence compares the same sentence and speaker in different voices")
        if not sums[:, 3].any():
            raise ValueError("no recording was answered twice: sample each at least two times (same sentence, speaker and voice)")
        draws = resample_sums(sums, sentences=[str(c[0][0]) for c in cells], speakers=[str(c[0][1]) for c in cells])
        means = draws.map(lambda s: np.column_stack([ratio(s[:, :2]), ratio(s[:, 2:])]))
        measured[name] = Distance(
            between=means.estimate(0),
            within=means.estimate(1),
            ratio=means.map(ratio).estimate(chance=1.0),
            difference=means.map(lambda m: m[:, :1] - m[:, 1:]).estimate(chance=0.0),
        )
    return Divergence(words=measured["words"], meaning=measured.get("meaning"))


def emotion_specificity(table: Table, judged: np.ndarray | Sequence[str | None]) -> Specificity:
    """Measure whether a judge of responses finds the tone in them; never the judge that gave the reward.

    Args:
        table: one response to each tone of a cell.
        judged: (N, 7) p(emotion | response) in the order of `EMOTIONS`, or the judge's N labels, None where it finds none.

    Raises:
        ValueError: a column or a voice is missing, a cell has two responses to one tone, or `judged` has another length or is no distribution.
    """
    frame = _responses(table).reset_index(drop=True)
    voice = emotion_codes(frame.voice)
    p = _probabilities(judged, len(frame))
    found = np.where(p.max(axis=1) > 0, p.argmax(axis=1), -1)
    picked, level, chance = np.zeros((3, len(p)))
    for (sentence, speaker), cell in frame.groupby(["sentence", "speaker"]).indices.items():
        tones = voice[cell]
        if len(set(tones)) < len(tones):
            raise ValueError(f"sentence {sentence} by {speaker} has two responses to one tone: keep one of them")
        # (response, tone)
        answers = p[cell][:, tones]
        best = answers == answers.max(axis=0)
        part = best / best.sum(axis=0)
        told = found[cell, None] == tones
        coarse = (VALENCE[found[cell, None]] == VALENCE[tones]) & (found[cell, None] >= 0)
        levels = np.where(told, 3 + ((part == 1) & (answers >= SURE)), 1 + coarse)
        picked[cell], level[cell], chance[cell] = part.diagonal(), levels.diagonal(), levels.mean(axis=1)
    sentences, speakers = frame.sentence.astype(str).tolist(), frame.speaker.astype(str).tolist()

    def share(values: np.ndarray, chance: float | None = None) -> Estimate:
        return statistics.mean(values, sentences=sentences, speakers=speakers, chance=chance)

    sizes = frame.groupby(["sentence", "speaker"]).voice.transform("size")
    return Specificity(
        told=share(found == voice, statistics.marginal_chance([str(k) for k in voice], [str(k) for k in found])),
        picked=share(picked, float((1 / sizes).mean())),
        rubric=share(level, float(chance.mean())),
        levels={str(of): share(level == of) for of in (1, 2, 3, 4)},
    )


def _responses(table: Table, *further: str) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(table)
    wanted = ("sentence", "speaker", "voice", *further)
    if missing := [name for name in wanted if name not in frame.columns]:
        raise ValueError(f"the table lacks the column(s) {', '.join(missing)}; it needs {', '.join(wanted)}")
    for name in wanted[:3]:
        if frame[name].isna().any():
            raise ValueError(f"{int(frame[name].isna().sum())} response(s) have no {name}")
    emotion_codes(frame.voice)
    return frame


def _probabilities(judged: np.ndarray | Sequence[str | None], n: int) -> np.ndarray:
    import pandas as pd

    if isinstance(judged, np.ndarray) and judged.ndim == 2:
        p = judged.astype(float)
        if p.shape != (n, len(EMOTIONS)) or not (p >= 0).all() or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
            raise ValueError(f"judged must be {n} distributions over the {len(EMOTIONS)} emotions, got an array of shape {p.shape}")
        return p
    if len(judged) != n:
        raise ValueError(f"{n} responses need {n} judgements, got {len(judged)}")
    codes = emotion_codes(pd.Series(list(judged), name="judged", dtype=object))
    return np.where(codes[:, None] >= 0, np.eye(len(EMOTIONS))[codes], 0.0)
