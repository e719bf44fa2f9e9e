"""The cell player: choose a voice, hear it, see it, ask."""

from __future__ import annotations

import pytest
import traitlets
from listening_widgets import LoudIsAngry

from cogviz import tour
from cogviz.lime import dataset
from cogviz.utterance import Utterance, cells
from cogviz.widgets.cell_player import CellPlayer


@pytest.fixture(scope="module")
def cell() -> dict[str, Utterance]:
    return next(c for c in cells(dataset.read(tour.samples())) if len(c) == 7)


def test_choosing_a_voice_asks_once_and_shows_it_beside_the_neutral_one(cell: dict[str, Utterance]) -> None:
    listener = LoudIsAngry()
    player = CellPlayer(cell, listener)
    assert listener.asked == 0
    player.emotion = "angry"
    assert player.answer == "angry"
    assert player.probabilities["angry"] > 0.9
    assert player.response == "I hear you."
    view = player.still()
    assert view.count("<audio") == 2
    assert "I hear you." in view
    assert "<picture>" in view
    player.emotion = "sad"
    assert player.answer == "happy"
    player.emotion = "angry"
    assert player.answer == "angry"
    assert listener.asked == 2, "what was asked before is remembered"


def test_without_a_listener_it_plays_only(cell: dict[str, Utterance]) -> None:
    player = CellPlayer({"sad": cell["sad"]})
    assert player.answer is None
    assert player.still().count("<audio") == 1


def test_a_voice_that_the_cell_lacks_is_refused_with_those_it_has(cell: dict[str, Utterance]) -> None:
    player = CellPlayer({"sad": cell["sad"], "angry": cell["angry"]})
    with pytest.raises(traitlets.TraitError, match="sad, angry"):
        player.emotion = "happy"
    with pytest.raises(ValueError, match="no variants"):
        CellPlayer({})
