"""Removing the tone, on listeners whose loss is known."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from cogviz import statistics
from cogviz.emotions import EMOTIONS, UnknownEmotion
from cogviz.evaluation.removal import UNTOUCHED, removal


def table(right: dict[str, float], *, sentences: int = 30, seed: int = 0) -> pd.DataFrame:
    """Answers that are right with these chances under each edit, else a guess among the other six."""
    draw = np.random.default_rng(seed)
    rows = []
    for s in range(sentences):
        for voice in EMOTIONS:
            for edit, chance in right.items():
                wrong = draw.choice([e for e in EMOTIONS if e != voice])
                rows.append((f"{s}{voice}", edit, voice, None, voice if draw.random() < chance else wrong, f"s{s}", f"p{s % 3}"))
    return pd.DataFrame(rows, columns=["item", "edit", "voice", "words", "answer", "sentence", "speaker"])


def test_what_a_listener_loses_is_measured_and_judged() -> None:
    found = removal(table({UNTOUCHED: 0.8, "flat_pitch": 0.4, "low_pass": 0.8, "silence": 1 / 7}))
    for edit, truth in (("flat_pitch", 0.4), ("low_pass", 0.0), ("silence", 0.8 - 1 / 7)):
        assert found[edit].drop.low <= truth <= found[edit].drop.high
        assert found[edit].before.value - found[edit].accuracy.value == pytest.approx(found[edit].drop.value)
        assert found[edit].accuracy.chance == pytest.approx(1 / 7, abs=0.01)
    assert [found[e].verdict for e in ("flat_pitch", "low_pass", "silence")] == ["needed", "undecided", "needed"]
    assert found["silence"].accuracy.n == 210


def test_intervals_cover_the_truth_and_pairing_makes_them_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "bootstrap", partial(statistics.bootstrap, draws=200))
    covered = 0
    for seed in range(100):
        drop = removal(table({UNTOUCHED: 0.7, "flat_pitch": 0.5}, sentences=12, seed=seed))["flat_pitch"].drop
        covered += drop.low <= 0.2 <= drop.high
    assert covered >= 88
    alike = table({UNTOUCHED: 0.6})
    drop = removal(pd.concat([alike, alike.assign(edit="resynthesis")]))["resynthesis"].drop
    assert drop.value == 0  # the same answers, item by item
    assert drop.low == -drop.high == pytest.approx(-(1 - 0.025 ** (1 / alike.sentence.nunique())))


def test_another_reference_takes_out_what_the_vocoder_does() -> None:
    found = removal(table({UNTOUCHED: 1.0, "resynthesis": 0.7, "flat_pitch": 0.7}, sentences=60), reference="resynthesis")
    assert set(found) == {UNTOUCHED, "flat_pitch"}
    assert found["flat_pitch"].drop.low <= 0 <= found["flat_pitch"].drop.high
    assert found[UNTOUCHED].verdict == "in the way"


def test_removal_that_helps_is_in_the_way_and_few_sentences_give_no_verdict() -> None:
    assert removal(table({UNTOUCHED: 0.3, "low_pass": 0.9}))["low_pass"].verdict == "in the way"
    few = removal(table({UNTOUCHED: 0.9, "low_pass": 0.1}, sentences=4))["low_pass"]
    assert few.verdict == "undecided"
    assert math.isnan(removal(table({UNTOUCHED: 0.9, "low_pass": 0.1}, sentences=1))["low_pass"].drop.low)


def test_items_are_paired_by_id_and_those_without_a_pair_are_left_out() -> None:
    some = table({UNTOUCHED: 1, "silence": 0}, sentences=6)
    lonely = some[~((some.edit == UNTOUCHED) & (some.sentence == "s0"))].sample(frac=1, random_state=0)
    found = removal(lonely)["silence"]
    assert (found.drop.n, found.drop.value, found.sentences) == (35, 1, 5)


def test_unparsed_answers_are_wrong() -> None:
    some = table({UNTOUCHED: 1, "silence": 1}, sentences=6)
    some.loc[some.edit == "silence", "answer"] = None
    assert removal(some)["silence"].accuracy.value == 0


def test_tables_that_cannot_be_compared_are_refused() -> None:
    some = table({UNTOUCHED: 1, "silence": 1}, sentences=2)
    with pytest.raises(ValueError, match="lacks the column"):
        removal(some.drop(columns="item"))
    with pytest.raises(ValueError, match="more than once under untouched"):
        removal(pd.concat([some, some]))
    with pytest.raises(ValueError, match="nothing to compare"):
        removal(some[some.edit == "silence"])
    with pytest.raises(ValueError, match="originals' ids"):
        removal(pd.concat([some[some.edit == UNTOUCHED], some[some.edit == "silence"].assign(item="other" + some.item)]))
    with pytest.raises(UnknownEmotion):
        removal(some.assign(answer="joyous"))
