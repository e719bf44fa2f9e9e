"""Figures of the finer scales: they say n, interval and chance, and draw what the result holds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cogviz.emotions import EMOTIONS
from cogviz.evaluation import factors, information, weighing
from cogviz.plotting import theme
from cogviz.plotting import weighing as figures
from cogviz.utterance import Utterance


def table(follows: str) -> pd.DataFrame:
    """Answers of a pure reader ("words") or a pure hearer ("voice") to a crossed design."""
    rows = [{"words": w, "voice": v, "sentence": f"{w}{k}", "speaker": f"s{k}"} for w in EMOTIONS for v in EMOTIONS for k in range(2)]
    frame = pd.DataFrame(rows)
    return frame.assign(answer=frame[follows])


def target(emotion: str) -> Utterance:
    return Utterance(f"{emotion}.wav", "words", emotion, "anna", emotion, "test")


def values() -> np.ndarray:
    """(6, 64) worths in which loudness alone counts."""
    loud = np.array([c >> factors.FACTORS.index("energy") & 1 for c in range(factors.COALITIONS)], dtype=float)
    return np.outer(np.linspace(0.5, 1.0, 6), loud)


def said(figure: Figure) -> str:
    """Everything that stands in a figure."""
    parts = [t.get_text() for t in figure.texts]
    for axes in figure.axes:
        parts += [t.get_text() for t in (*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels())]
    return " ".join(parts)


def test_weights_and_information_say_what_they_rest_on() -> None:
    for draw, measure in ((figures.weights, weighing.cue_weighting), (figures.information, information.information_split)):
        found = {follows: measure(table(follows)) for follows in ("words", "voice")}
        text = said(draw(found))
        assert "n = 98" in text
        assert "95% interval" in text
        assert "(chance)" in text


def test_the_factor_that_counts_is_the_one_that_is_drawn_away_from_0() -> None:
    split = factors.shapley(values(), sentences=list("abcdef"), speakers=["s"] * 6)
    items = values() @ factors.weights().T
    figure = figures.factors({"planted": split}, {"planted": items}, sentences=6)
    axes = next(a for a in figure.axes if a.get_xlabel())
    points = [line for line in axes.lines if line.get_marker() in "os" and len(line.get_xdata()) == 1]
    drawn = [float(np.asarray(line.get_xdata())[0]) for line in points]
    assert np.argmax(drawn) == factors.FACTORS.index("energy")
    assert drawn[factors.FACTORS.index("words")] == pytest.approx(0, abs=1e-9)
    assert "n = 6 items, 6 sentences" in said(figure)


@pytest.mark.parametrize("dark", [False, True])
def test_a_map_of_factors_has_a_row_an_item_and_their_mean(dark: bool) -> None:
    split = factors.shapley(values(), sentences=list("abcdef"), speakers=["s"] * 6)
    targets = [target(e) for e in EMOTIONS[1:]]
    with theme.use(dark=dark):
        text = said(figures.factor_map(values() @ factors.weights().T, targets, mean=split, model="planted"))
    assert all(str(u.emotion) in text for u in targets)
    assert "+75" in text  # the mean of loudness
    assert "n = 6, 6 sentences, 95% interval" in text
    with pytest.raises(ValueError, match="a row a target"):
        figures.factor_map(np.zeros((2, 6)), targets, mean=split, model="planted")


def test_nothing_is_refused_and_what_is_no_number_is_no_label() -> None:
    with pytest.raises(ValueError, match="no model"):
        figures.weights({})
    assert figures._points(math.nan) == "?"
    assert figures._tidy("-0.00") == "0.00"
    assert figures._points(-0.004) == "0"
