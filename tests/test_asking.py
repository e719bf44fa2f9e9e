"""Listeners asked together answer as each would alone, and the table of answers is what the measures read."""

from __future__ import annotations

import numpy as np
import pytest

from cogviz import tour
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import asking, dominance
from cogviz.lime import dataset
from cogviz.models.listener import CogAudioListener
from cogviz.utterance import Utterance


@pytest.fixture(scope="module")
def conflicts() -> list[Utterance]:
    return [u for u in dataset.read(tour.samples()) if u.congruence == "conflict"][:6]


@pytest.fixture(scope="module")
def both() -> list[CogAudioListener]:
    return [CogAudioListener(name) for name in ("nano-baseline", "nano-aligned")]


def test_a_sound_is_encoded_once_and_everyone_answers_as_alone(
    conflicts: list[Utterance], both: list[CogAudioListener], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    for listener in both:
        plain = listener.model.encode
        monkeypatch.setattr(listener.model, "encode", lambda *inputs, plain=plain: (encoded.append(len(inputs[0])), plain(*inputs))[1])
    together = asking.ask(both, conflicts)
    assert sum(encoded) == len(conflicts)
    for listener in both:
        alone = np.exp(listener.scores(conflicts, progress=False))
        assert np.abs(together[listener.name] - alone).max() < 1e-3
        assert listener.states == {}, "what was lent is given back"


def test_sounds_of_one_name_are_not_taken_for_each_other(conflicts: list[Utterance], both: list[CogAudioListener]) -> None:
    from dataclasses import replace

    twins = [conflicts[0], replace(conflicts[1], id=conflicts[0].id)]
    found = asking.ask(both, twins)["nano-aligned"]
    assert np.abs(found - np.exp(both[1].scores([*conflicts[:2]], progress=False))).max() < 1e-3


def test_answers_by_name_and_by_probability_make_the_same_table(conflicts: list[Utterance]) -> None:
    p = np.eye(7)[[EMOTIONS.index(str(u.emotion)) for u in conflicts]]
    one, other = asking.answers(conflicts, p), asking.answers(conflicts, [str(u.emotion) for u in conflicts])
    assert one.equals(other)
    assert dominance.following(one).voice.value == 1


def test_reading_names_an_emotion_for_every_text_and_the_same_for_the_same_text(
    conflicts: list[Utterance], both: list[CogAudioListener]
) -> None:
    read = asking.read(both[0], [*conflicts, conflicts[0]])
    assert len(read) == len(conflicts) + 1
    assert read[0] == read[-1]
    words = [u.lexical_emotion for u in conflicts]
    assert np.mean([r == w for r, w in zip(read, words, strict=False)]) > 0.5, "the baseline can read"


def test_the_most_telling_item_is_where_one_reads_and_the_other_listens(conflicts: list[Utterance]) -> None:
    reads, listens = np.full((len(conflicts), 7), 1 / 7), np.full((len(conflicts), 7), 1 / 7)
    reads[3] = np.eye(7)[EMOTIONS.index(str(conflicts[3].lexical_emotion))]
    listens[3] = np.eye(7)[EMOTIONS.index(str(conflicts[3].emotion))]
    assert asking.most_telling(conflicts, reads, listens) is conflicts[3]


def test_what_was_heard_once_is_kept_for_everyone(conflicts: list[Utterance], monkeypatch: pytest.MonkeyPatch) -> None:
    listeners = [CogAudioListener(name) for name in ("nano-baseline", "nano-aligned")]
    alone = [x.scores(conflicts, progress=False) for x in listeners]
    asking.hear_once(listeners, conflicts)

    def deaf(*_: object) -> None:
        raise AssertionError("heard again")

    for listener, before in zip(listeners, alone, strict=True):
        monkeypatch.setattr(listener.model, "encode", deaf)
        assert np.abs(listener.scores(conflicts, progress=False) - before).max() < 1e-2
    with pytest.raises(ValueError, match="one id"):
        asking.hear_once(listeners, [conflicts[0], conflicts[0]])
