"""Chain editor: the traits do what the menus do, the response follows the thought that is shown, and what was asked once is not asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import traitlets

from cogviz.eips import STEPS, Answer, Chain, render
from cogviz.emotions import EMOTIONS, emotion
from cogviz.models.protocol import Heard, heard
from cogviz.utterance import Utterance
from cogviz.widgets.chain_editor import ChainEditor

SOUND = np.sin(np.arange(1600, dtype="float32"))
CELL = {name: Utterance(name, "the house", name, "s", "house", "made", waveform=SOUND) for name in ("sad", "happy", "angry")}


@dataclass
class Parrot:
    """A planted truth: its response repeats the strategy step, or names the sound where there is none."""

    name: str = "parrot"
    asked: list[tuple[str, str]] = field(default_factory=list)
    thinks: bool = True

    def listen(self, utterances: Sequence[Utterance], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        chains = [
            Chain(f'The voice sounds {emotion(str(u.emotion)).adjective}. The words are "the house".', "i", "p", f"be {u.emotion}")
            for u in utterances
        ]
        return [heard(u, route, render(Answer("r", c if self.thinks else None))) for u, c in zip(utterances, chains, strict=True)]

    def respond(self, utterances: Sequence[Utterance], thoughts: Sequence[str], *, progress: bool = True) -> list[str]:
        self.asked += [(u.id, t) for u, t in zip(utterances, thoughts, strict=True)]
        return [t.partition("[Strategy] be ")[2] or str(u.emotion) for u, t in zip(utterances, thoughts, strict=True)]


class Judge:
    def tell(self, responses: Sequence[str]) -> list[str]:
        return [r if r in EMOTIONS else "neutral" for r in responses]


@pytest.fixture
def editor() -> ChainEditor:
    return ChainEditor(CELL, Parrot(), Judge())


def test_it_begins_with_the_models_own_chain(editor: ChainEditor) -> None:
    assert editor.voice == "happy"  # the first in the order of the emotions
    assert editor.strategy == "be happy"
    assert (editor.response, editor.own, editor.told, editor.claimed) == ("happy", "happy", "happy", "happy")


def test_a_ready_made_edit_fills_the_steps_and_changes_the_response(editor: ChainEditor) -> None:
    editor.edit = "swapped with sad"
    assert editor.strategy == "be sad"
    assert (editor.response, editor.told, editor.own) == ("sad", "sad", "happy")
    editor.edit = "says fear"
    assert editor.claimed == "fear"
    assert '"the house"' in editor.perception
    assert editor.told == "happy", "this model does not look at its perception"
    editor.edit = "without strategy"
    assert "[Strategy]" not in editor.thought
    assert editor.strategy == ""
    assert editor.response == "happy", "nothing but the sound is left"


def test_a_step_written_by_hand_is_put_into_the_models_mouth(editor: ChainEditor) -> None:
    editor.strategy = "be angry"
    assert editor.edit == "by hand"
    assert editor.told == "angry"
    assert "answered to happy before, and to angry now" in editor.still()
    editor.edit = "own chain"
    assert editor.strategy == "be happy"
    assert editor.told == "happy"


def test_another_voice_brings_its_own_chain(editor: ChainEditor) -> None:
    editor.strategy = "be angry"
    editor.voice = "sad"
    assert editor.edit == "own chain"
    assert editor.strategy == "be sad"
    assert editor.told == "sad"


def test_what_was_asked_once_is_not_asked_again_and_only_the_last_edit_is_asked(editor: ChainEditor) -> None:
    assert editor.told == "happy"
    asked = editor.listener.asked
    before = len(asked)
    for name in ("sad", "angry", "happy", "sad"):
        editor.edit = f"swapped with {name}"
    assert len(asked) == before, "nothing is asked before an output is read"
    assert editor.told == "sad"
    assert len(asked) == before + 1
    editor.edit = "own chain"
    assert editor.told == "happy"
    assert len(asked) == before + 1


def test_text_is_escaped_and_marks_in_a_step_are_refused(editor: ChainEditor) -> None:
    editor.strategy = "be <b>"
    with pytest.raises(ValueError, match="strategy step holds one of"):
        editor.settle()
    assert "strategy" in editor.problem
    editor.strategy = "be & calm"
    assert editor.response == "& calm"
    assert "&amp; calm" in editor.still()


def test_what_does_not_exist_is_refused_with_what_there_is(editor: ChainEditor) -> None:
    with pytest.raises(traitlets.TraitError, match="happy, sad, angry"):
        editor.voice = "fear"
    with pytest.raises(traitlets.TraitError, match="own chain"):
        editor.edit = "upside down"
    with pytest.raises(ValueError, match="no chain"):
        ChainEditor(CELL, Parrot(thinks=False), Judge())
    assert set(STEPS) <= set(editor.trait_names())
