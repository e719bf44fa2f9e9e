"""Figures of the first lessons: what a tone changes, thresholds, and the pictures that follow a slider."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from cogviz import statistics, tour
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.threshold import override_threshold
from cogviz.lime import dataset
from cogviz.plotting import changes, live, page, theme, threshold
from cogviz.utterance import Utterance


@pytest.fixture(scope="module")
def pool() -> list[Utterance]:
    return [u for u in dataset.read(tour.samples()) if u.lexical_emotion is None]


def texts(figure: theme.Figure) -> str:
    return " ".join(t.get_text() for t in (*figure.texts, *(t for axes in figure.axes for t in axes.texts)))


def test_changes_are_measured_against_the_neutral_voice_of_the_same_cell(pool: list[Utterance]) -> None:
    few = [u for u in pool if u.sentence == pool[0].sentence and u.speaker == pool[0].speaker]
    table = changes.changes(few)
    assert table.emotion.tolist() == [e for e in EMOTIONS if e != "neutral"]
    angry = table.set_index("emotion").loc["angry"]
    assert angry.loudness > 6
    assert angry.pitch > 3
    with pytest.raises(ValueError, match="neutral"):
        changes.changes([u for u in few if u.emotion != "neutral"])


@pytest.mark.parametrize("dark", [False, True])
def test_fingerprints_show_every_mean_with_its_interval(dark: bool) -> None:
    draw = np.random.default_rng(0)
    rows = [
        {"emotion": e, "sentence": f"s{i}", "speaker": "p", **{m: draw.normal(3 if m == "pitch" else 0, 1) for m in changes.MEASURES}}
        for e in ("sad", "angry")
        for i in range(8)
    ]
    table = pd.DataFrame(rows)
    with theme.use(dark=dark):
        written = texts(changes.fingerprints(table))
    mean = table[table.emotion == "angry"].pitch.mean()
    assert f"{mean:+.1f}" in written
    assert "n = 8 recordings" in written
    assert "95% interval" in written
    found = changes.summary(table)["sad"]["pitch"]
    assert isinstance(found, statistics.Estimate)
    assert found.low < found.value < found.high


def curves(**thresholds: float) -> pd.DataFrame:
    k = np.linspace(0, 1.5, 7)
    return pd.concat(
        [pd.DataFrame({"model": m, "intensity": k, "voice": k / 1.5, "words": 1 - k / 1.5, "threshold": t}) for m, t in thresholds.items()]
    )


def test_the_dial_says_where_the_voice_wins_or_that_it_never_does() -> None:
    written = texts(threshold.dial(curves(one=0.75, other=math.inf), text="It is fine.", words="happy", voice="sad", intensity=1.0))
    assert "the voice wins from k = 0.75" in written
    assert "never" in written
    assert "example, not a measurement" in written
    assert "both sad" in texts(threshold.dial(curves(one=math.nan), text="It is fine.", words="sad", voice="sad"))


def answered(turns: float) -> pd.DataFrame:
    rows = [
        {"voice": "sad", "words": "happy", "answer": "sad" if k > turns else "happy", "sentence": f"s{i}", "speaker": "p", "intensity": k}
        for i in range(12)
        for k in (0.0, 0.5, 1.0, 1.5)
    ]
    return pd.DataFrame(rows)


def test_who_cannot_see_a_figure_reads_its_title_and_what_stands_under_it() -> None:
    shown = page.figure(threshold.dial, curves(one=0.75), text="It is fine.", words="happy", voice="sad")
    (said,) = re.findall(r'alt="([^"]*)"', shown)
    assert said.startswith("Happy words in a voice that grows ever more sad. ")
    assert "It is fine." in said
    assert "14%" in said


def test_curves_of_many_sentences_carry_threshold_interval_n_and_chance() -> None:
    found = {"hears": override_threshold(answered(0.75)), "reads": override_threshold(answered(9.0))}
    written = texts(threshold.override(found))
    assert "n = 48 renderings of 12 sentences" in written
    assert f"the voice wins from k = {found['hears'].threshold.value:.2f}" in written
    assert "no intensity makes the voice win [never, never]" in written


def test_bars_name_the_likeliest_and_mark_voice_and_words() -> None:
    p: Sequence[float] = [0.05, 0.6, 0.05, 0.1, 0.1, 0.05, 0.05]
    piece = live.bars({"<model>": p}, voice="happy", words="sad", note="n = 1")
    assert "&lt;model&gt;</b> hears <b>happy" in piece
    assert piece.count("◄") == 2
    assert "60%" in piece


def test_traces_leave_gaps_where_there_is_no_value() -> None:
    before = {"pitch": np.array([100.0, 110, np.nan, 120])}
    now = {"pitch": np.array([200.0, np.nan, np.nan, 220, 230])}
    piece = live.traces(before, now, color="#B0120F", seconds=0.03, units={"pitch": "Hz"}, frame=0.005)
    paths = [part.split('"')[0] for part in piece.split('d="')[1:]]
    assert [p.count("M") for p in paths] == [2, 2]
    assert "nan" not in piece
    empty = {"pitch": np.full(3, np.nan)}
    assert "<path" not in live.traces(empty, empty, color="#000000", seconds=0.1, units={"pitch": "Hz"}, frame=0.005)


def test_a_reply_is_escaped_and_silence_draws_nothing() -> None:
    assert "&lt;b&gt;" in live.reply("<b>")
    assert live.reply("") == ""
