"""The patch board: a field does what `probing.patch` does there, once, and says whether the answer flips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import traitlets
from spoken import cell

from cogviz.emotions import EMOTIONS
from cogviz.models.listener import CogAudioListener
from cogviz.probing import effects
from cogviz.probing.pairs import Pair, tone_pairs
from cogviz.probing.patch import patch
from cogviz.probing.suffix import Suffix
from cogviz.widgets.patch_board import NOWHERE, PatchBoard

PAIRS = tone_pairs([u for k in range(3) for u in cell(k, seconds=1.0 + 0.2 * k)], per_cell=2)


@pytest.fixture(scope="module")
def listener(tiny_model: Any) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


@pytest.fixture
def board(listener: CogAudioListener) -> PatchBoard:
    return PatchBoard(listener, PAIRS)


def softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max())
    return np.asarray(exp / exp.sum())


def test_every_field_is_what_patching_says_there(listener: CogAudioListener, board: PatchBoard) -> None:
    for number in (0, 4):
        found = patch(listener, [PAIRS[number]], control=False, progress=False)
        estimates = effects.effects(found)
        board.pair = number
        board.press_all()
        assert set(board.tried) == {(s, c) for s in board.sites for c in board.places[1:]}
        for i, site in enumerate(found.sites):
            for j, column in enumerate(found.columns[:-1]):
                board.press(site, column)
                np.testing.assert_allclose(board.patched, softmax(found.patched[0, i, j]), atol=1e-5, err_msg=f"{site} {column}")
                assert board.effect == pytest.approx(estimates.effect[site][column].value, abs=1e-3)
                assert board.answer == EMOTIONS[found.patched[0, i, j].argmax()]
                assert board.flipped == (found.patched[0, i, j].argmax() == found.donor.argmax() != found.base.argmax())


def test_nowhere_is_the_base_and_the_last_place_after_the_last_layer_the_donor(board: PatchBoard) -> None:
    np.testing.assert_array_equal(board.patched, board.base)
    assert board.effect == 0
    assert not board.flipped
    assert board.tried == {}
    board.press(board.sites[-1], "last")
    np.testing.assert_allclose(board.patched, board.donor, atol=1e-5)
    assert board.effect == pytest.approx(1, abs=1e-3)
    board.place = NOWHERE
    np.testing.assert_array_equal(board.patched, board.base)
    assert set(board.tried) == {(board.sites[-1], "last")}, "what was tried stays on the board"


def test_a_field_is_computed_once(board: PatchBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    run = Suffix.run

    def counted(self: Suffix, site: str, *args: Any, **kwargs: Any) -> np.ndarray:
        ran.append(site)
        return run(self, site, *args, **kwargs)

    monkeypatch.setattr(Suffix, "run", counted)
    for site in ("lm.0", "lm.1", "lm.0", "lm.0"):
        board.press(site, "tone")
        board.settle()
    assert ran == ["lm.0", "lm.1"]
    board.pair = 1
    board.settle()
    assert ran == ["lm.0", "lm.1", "lm.0"]
    assert set(board.tried) == {("lm.0", "tone")}


def test_buttons_and_sliders_do_the_same(board: PatchBoard) -> None:
    board.fields["lm.1", "tone"].click()
    assert (board.site, board.place) == ("lm.1", "tone")
    board.settle()
    assert board.fields["lm.1", "tone"].description
    assert not board.fields["lm.0", "tone"].description
    view = board.still()
    assert "after layer 1" in view
    assert view.count("<audio") == 2
    assert board.busy is False


def test_what_the_board_does_not_have_is_refused(board: PatchBoard, listener: CogAudioListener) -> None:
    for name, value, said in (("site", "lm.9", "connector"), ("place", "nose", "tone"), ("pair", 99, "0 to 5")):
        with pytest.raises(traitlets.TraitError, match=said):
            setattr(board, name, value)
    with pytest.raises(ValueError, match="tone_pairs"):
        PatchBoard(listener, [])


def test_one_recording_and_itself_have_nothing_to_exchange(listener: CogAudioListener) -> None:
    same = PatchBoard(listener, [Pair(PAIRS[0].base, PAIRS[0].base, "tone")])
    same.press("lm.0", "tone")
    assert np.isnan(same.effect)
    assert "? of what" in same.still()
    assert not same.flipped
