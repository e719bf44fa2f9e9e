"""Two readings of an answer: by hand on a few, and on simulated answers whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cogviz.emotions import EMOTIONS, UnknownEmotion
from cogviz.evaluation.agreement import agreement, likeliest


def table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["voice", "answer", "scored", "sentence"])
    return frame.assign(words=None, speaker="anna")


FOUR = [("sad", "sad", "sad", "a"), ("sad", "happy", "sad", "b"), ("happy", None, "happy", "c"), ("happy", "happy", "fear", "d")]


def test_both_readings_by_hand() -> None:
    found = agreement(table(FOUR))
    assert found.scored.value == pytest.approx((1 + 1 / 2) / 2)
    assert found.parsed.value == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found.difference.value == pytest.approx(found.scored.value - found.parsed.value)
    assert found.unparsed.value == pytest.approx(1 / 4)
    assert found.disagree.value == pytest.approx(2 / 3)
    assert (found.disagreements, found.disagree.n, found.scored.n) == (2, 3, 4)
    assert found.table.loc["happy", "unparsed"] == found.table.loc["fear", "happy"] == 1
    assert list(found.table.columns) == [*EMOTIONS, "unparsed"]
    assert found.table.to_numpy().sum() == 4


def test_items_without_a_voice_emotion_do_not_count() -> None:
    found = agreement(table([*FOUR, (None, "sad", "fear", "e")]))
    assert (found.scored.n, found.disagreements) == (4, 2)
    with pytest.raises(ValueError, match="no item has a voice emotion"):
        agreement(table([(None, "sad", "sad", "a")]))


def test_nothing_parsed_is_all_wrong_and_no_disagreement() -> None:
    found = agreement(table([(voice, None, scored, s) for voice, _, scored, s in FOUR]))
    assert (found.parsed.value, found.unparsed.value, found.disagreements) == (0.0, 1.0, 0)
    assert np.isnan(found.disagree.value)


def test_the_likeliest_label_is_that_of_the_highest_score() -> None:
    assert likeliest(np.log(np.eye(7) + 0.01)) == list(EMOTIONS)
    assert likeliest(np.zeros((0, 7))) == []


def test_a_missing_or_foreign_label_is_named() -> None:
    with pytest.raises(ValueError, match="lacks the column scored"):
        agreement(table(FOUR).drop(columns="scored"))
    with pytest.raises(UnknownEmotion, match="column scored holds bored"):
        agreement(table([("sad", "sad", "bored", "a")]))


def test_the_intervals_cover_the_truth() -> None:
    """Scored right with 0.7, parsed like the label with 0.8 where there is a claim, which a tenth of the texts lack."""
    truth = {"scored": 0.7, "parsed": 0.9 * (0.8 * 0.7 + 0.2 * 0.3 / 6), "disagree": 0.2, "unparsed": 0.1}
    truth["difference"] = truth["scored"] - truth["parsed"]
    covered = dict.fromkeys(truth, 0)
    seeds = 40
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        rows = []
        for i in range(280):
            voice = i % 7
            label = voice if draw.random() < 0.7 else (voice + draw.integers(1, 7)) % 7
            claim = label if draw.random() < 0.8 else (label + draw.integers(1, 7)) % 7
            rows.append((EMOTIONS[voice], None if draw.random() < 0.1 else EMOTIONS[claim], EMOTIONS[label], f"s{i % 56}"))
        found = agreement(table(rows))
        for name, value in truth.items():
            estimate = getattr(found, name)
            covered[name] += estimate.low <= value <= estimate.high
    assert min(covered.values()) >= 0.85 * seeds, covered
