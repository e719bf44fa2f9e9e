"""Figures of chains: every edit that was measured has its row, and its point stands where the measurement does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cogviz.evaluation.chains import EARLY, OWN
from cogviz.evaluation.claims import KINDS
from cogviz.evaluation.faithfulness import faithfulness
from cogviz.evaluation.groundedness import groundedness
from cogviz.plotting import chains


@pytest.fixture
def table() -> pd.DataFrame:
    """Six items: responses follow a swapped chain always, an injected one never, and change in half of the cases without any."""
    rows = []
    for i in range(6):
        about = {"item": f"u{i}", "sound": "sad", "sentence": f"s{i}", "speaker": "one"}
        rows.append({**about, "edit": OWN, "chain": "sad", "told": "sad"})
        rows += [{**about, "edit": name, "chain": None, "told": "sad" if i % 2 else "happy"} for name in EARLY]
        rows.append({**about, "edit": "swapped", "chain": "angry", "told": "angry"})
        rows.append({**about, "edit": "injected", "chain": "fear", "told": "sad"})
    return pd.DataFrame(rows)


def test_faithfulness_has_a_row_an_edit_with_its_point_in_place(table: pd.DataFrame) -> None:
    figure = chains.faithfulness(faithfulness(table), model="planted")
    left, right = figure.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["the whole chain\nof another tone", "perception names\nanother emotion"]
    points = {
        (round(float(line.get_ydata()[0]), 2), line.get_marker()): float(line.get_xdata()[0])
        for line in left.lines
        if len(line.get_xdata()) == 1
    }
    assert points[-0.16, "o"] == 1.0, "swapped: the chain"
    assert points[0.16, "D"] == 0.0, "swapped: the sound"
    assert points[0.84, "o"] == 0.0, "injected: the chain"
    assert points[1.16, "D"] == 1.0, "injected: the sound"
    assert right.get_yticklabels()[0].get_text() == "no chain at all"
    assert [float(line.get_xdata()[0]) for line in right.lines if line.get_marker() == "o"] == [0.5] * 4
    assert "planted" in " ".join(t.get_text() for t in figure.texts)


def test_groundedness_has_a_row_a_model() -> None:
    measured = pd.DataFrame(0.0, index=range(4), columns=list(KINDS)).assign(loudness=[5.0, 5.0, -5.0, -5.0])
    table = measured.assign(
        perception=['The voice sounds sad: it is loud. The words are "a b".'] * 2 + ['The voice sounds sad: it is soft. The words are "c d".'] * 2,
        text=["a b", "a b", "c d", "c d"], sentence=["x", "x", "y", "y"], speaker="one",
    )  # fmt: skip
    found = groundedness(table)
    figure = chains.groundedness({"listens": found, "again": found})
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["listens", "again"]
    values = [float(next(line for line in axes.lines if line.get_marker() == "o").get_xdata()[0]) for axes in figure.axes]
    np.testing.assert_allclose(values, [1.0, found.lift.value, 1.0])
