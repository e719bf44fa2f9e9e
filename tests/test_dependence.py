"""Audio dependence on paired answers whose truth is known."""

import math

import numpy as np
import pytest
from simulated import mixture

from cogviz.evaluation.dependence import audio_dependence
from cogviz.evaluation.results import rows


def asked(words=0.0, voice=0.0, *, seed=0, **how):
    return mixture(words, voice, seed=seed, **how).assign(id=lambda t: [f"item{i}" for i in range(len(t))])


def test_pure_reader_owes_nothing_to_the_audio():
    table = asked(words=1)
    found = audio_dependence({"full": table, "silence": table, "other_words": table, "other_tone": table, "no_audio": table})
    assert found.s_audio.value == 0
    assert found.text_ratio.value == found.text_ratio.chance == 1
    assert {e.value for e in found.changed.values()} == {e.value for e in found.drop.values()} == {0}
    assert {e.value for e in found.ars.values()} == {0}


def test_pure_hearer_owes_all_to_it():
    full, deaf = asked(voice=1), asked(seed=1)
    found = audio_dependence({"full": full, "silence": deaf, "other_words": deaf, "other_tone": deaf, "no_audio": deaf})
    reached = (deaf.answer == deaf.voice).mean()
    assert found.accuracy["full"].value == 1
    assert found.s_audio.value == pytest.approx(1 - reached)
    assert found.text_ratio.value == pytest.approx(reached)
    assert found.changed["other_tone"].value == pytest.approx(1 - reached)
    assert found.ars["silence"].value == pytest.approx(2 * (1 - reached) / (2 - reached))
    assert found.s_audio.low > 0.8


def test_items_are_paired_by_id_and_not_by_row():
    full = asked(words=0.5, voice=0.4)
    shuffled = full.sample(frac=1, random_state=0)[["id", "answer"]]
    assert audio_dependence({"full": full, "silence": shuffled}).changed["silence"].value == 0


def test_pairing_makes_the_interval_of_a_difference_narrow():
    full = asked(words=0.9, voice=0.05)
    nearly = full.assign(answer=np.where(np.arange(len(full)) % 50 == 0, "neutral", full.answer))
    found = audio_dependence({"full": full, "silence": nearly})
    drop, accuracy = found.drop["silence"], found.accuracy["full"]
    assert drop.high - drop.low < 0.5 * (accuracy.high - accuracy.low)


def test_parts_that_were_not_asked_are_left_out():
    found = audio_dependence({"full": asked(voice=0.5), "other_tone": asked(seed=1)})
    assert found.s_audio is None
    assert found.text_ratio is None
    assert [r["measure"] for r in rows(found, model="m", data="d")] == [
        "accuracy_full", "accuracy_other_tone", "accuracy_drop_other_tone", "answer_changed_other_tone", "audio_response_score_other_tone",
    ]  # fmt: skip


def test_ratio_over_nothing_is_nan():
    table = asked().assign(answer=None)
    assert math.isnan(audio_dependence({"full": table, "no_audio": table}).text_ratio.value)


def test_single_sentence_has_no_interval():
    table = asked(voice=0.5).assign(sentence="s")
    assert math.isnan(audio_dependence({"full": table, "silence": table}).drop["silence"].low)


def test_tables_that_do_not_pair_are_refused():
    table = asked(voice=0.5, sentences=7)
    with pytest.raises(ValueError, match=r"unknown condition\(s\) noise"):
        audio_dependence({"full": table, "noise": table})
    with pytest.raises(ValueError, match='compares the table "full"'):
        audio_dependence({"silence": table})
    with pytest.raises(ValueError, match='compares the table "full"'):
        audio_dependence({"full": table})
    with pytest.raises(ValueError, match=r"lacks the column\(s\) id"):
        audio_dependence({"full": table, "silence": table.drop(columns="id")})
    with pytest.raises(ValueError, match="does not hold the same items"):
        audio_dependence({"full": table, "silence": table[1:]})
    with pytest.raises(ValueError, match="the id item0 twice"):
        audio_dependence({"full": table, "silence": table.assign(id="item0")})
    with pytest.raises(ValueError, match="no item whose voice"):
        audio_dependence({"full": table.assign(voice=None), "silence": table})
