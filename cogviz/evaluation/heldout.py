"""The held-out figures of a model: what every training run measures on speakers and sentences that it never met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cogviz.evaluation import dominance, readings, results
from cogviz.models.listener import CogAudioListener, Heard
from cogviz.scoring import format_score, heard_words, normalised_words, word_error_rate, word_recall
from cogviz.statistics import bootstrap, mean
from cogviz.utterance import Utterance


def answers(heard: Sequence[Heard]) -> pd.DataFrame:
    """Return answers as a table: voice, words, answer, sentence, speaker, text, form and what was heard; one row an utterance."""
    return pd.DataFrame(
        {
            "id": [h.utterance.id for h in heard],
            "template": [str(h.utterance.extra.get("template", "")) for h in heard],
            "part": [str(h.utterance.extra.get("part", "")) for h in heard],
            "voice": [h.utterance.emotion for h in heard],
            "words": [h.utterance.lexical_emotion for h in heard],
            "intensity": [h.utterance.intensity for h in heard],
            "answer": [h.claimed for h in heard],
            "sentence": [h.utterance.sentence for h in heard],
            "speaker": [h.utterance.speaker for h in heard],
            "route": [h.route for h in heard],
            "text": [h.text for h in heard],
            "valid": [format_score(h.text, h.route) for h in heard],
            "response": [h.answer.response if h.answer else "" for h in heard],
            "quotes": [bool(heard_words(h.text)) for h in heard],
            "recall": [word_recall(h.utterance.text, heard_words(h.text)) if h.route == "reason" else np.nan for h in heard],
        }
    )


def figures(table: pd.DataFrame, *, model: str, data: str, judge: Any = None) -> list[dict[str, Any]]:
    """Return the figures of one table of answers (one route): tone, following, form, specificity, words heard.

    Args:
        judge: `rewards.evaluation_judge()`; without it specificity is left out.
    """
    rows: list[dict[str, Any]] = []

    def share(name: str, part: pd.DataFrame, values: pd.Series | np.ndarray, chance: float | None = None) -> None:
        if len(part):
            estimate = mean(
                np.asarray(values, dtype=float), sentences=part.sentence.tolist(), speakers=part.speaker.tolist(), chance=chance
            )
            rows.append(results.row(estimate, model=model, measure=name, data=data))

    reason, direct = table[table.route == "reason"], table[table.route == "direct"]
    if len(reason):
        rows += results.rows(dominance.accuracy(reason), model=model, data=data)
        if dominance.has_conflicts(reason):
            found = results.rows(dominance.following(reason), model=model, data=data)
            rows += [{**row, "measure": "unparsed_on_conflict"} if row["measure"] == "unparsed" else row for row in found]
        share("valid_chain", reason, reason.valid)
        if reason.quotes.any():  # not every thought repeats the words
            share("words_heard", reason, reason.recall)
        ambiguous = reason[reason.words.isna() & (reason.template != "")]
        if ambiguous.text.str.contains("[Intent]", regex=False).any():  # what is read is in that step; explanations have none
            kinds = readings.classify(ambiguous.text.tolist(), ambiguous.template.tolist(), ambiguous.voice.tolist())
            intends = ambiguous.text.str.contains("[Intent]", regex=False).any() or kinds.open.min() < 1
            for kind in kinds if intends else ():  # some thoughts have no place for a reading
                share(f"reading_{kind}", ambiguous, kinds[kind])
    if len(direct):
        share("valid_direct", direct, direct.valid)
    if judge is not None:
        for route, part in (("reason", reason), ("direct", direct)):
            if not len(part):
                continue
            told = np.array(judge.tell(part.response.tolist()))
            told[part.response.str.strip() == ""] = "none"
            share(f"response_tells_voice_{route}", part, told == part.voice.to_numpy(), chance=1 / 7)
            if route == "reason":
                claimed = part.answer.notna().to_numpy()
                share("response_tells_claim", part[claimed], (told == part.answer.to_numpy())[claimed], chance=1 / 7)
    return rows


def transcription(listener: CogAudioListener, utterances: Sequence[Utterance], *, data: str, progress: bool = True) -> dict[str, Any]:
    """Let a model repeat the words and return the row of its word error rate: errors over words, all utterances together."""
    heard = listener.transcribe(utterances, progress=progress)
    words = np.array([max(len(normalised_words(u.text)), 1) for u in utterances], dtype=float)
    errors = words * [word_error_rate(u.text, h) for u, h in zip(utterances, heard, strict=True)]
    estimate = bootstrap(
        lambda weights: float(weights @ errors / (weights @ words)),
        len(words),
        sentences=[u.sentence for u in utterances],
        speakers=[u.speaker for u in utterances],
    )
    return results.row(estimate, model=listener.name, measure="word_error_rate", data=data)


def evaluate(
    listener: CogAudioListener,
    utterances: Sequence[Utterance],
    *,
    data: str,
    judge: Any = None,
    routes: Sequence[str] = ("reason",),
    progress: bool = True,
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Let a model answer and return (figures, answers). All utterances count: their intensities are the data's choice."""
    table = pd.concat([answers(listener.listen(utterances, route=r, progress=progress)) for r in routes], ignore_index=True)
    return figures(table, model=listener.name, data=data, judge=judge), table
