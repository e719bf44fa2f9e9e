"""Measures of dominance on simulated listeners whose true value is known, with positive and negative controls of the verdict."""

import math

import numpy as np
import pandas as pd
import pytest
from simulated import mixture

from cogviz.emotions import EMOTIONS, UnknownEmotion
from cogviz.evaluation.dominance import UNPARSED, accuracy, following


def covers(estimate, truth, slack=1e-9) -> bool:
    return estimate.low - slack <= truth <= estimate.high + slack


def test_pure_reader_follows_the_words():
    found = following(mixture(words=1))
    assert (found.words.value, found.voice.value, found.neither.value, found.index.value) == (1, 0, 0, 1)
    assert found.verdict == "follows the words"


def test_pure_hearer_follows_the_voice():
    found = following(mixture(voice=1))
    assert (found.words.value, found.voice.value, found.index.value, found.difference.value) == (0, 1, 0, 1)
    assert found.verdict == "follows the voice"
    assert found.words.chance == pytest.approx(5 / 36)  # six word emotions alike; each is the voice of 5 of the 36 conflicts
    assert found.scope == "for these speakers"


def test_intervals_of_a_mixture_cover_the_truth():
    found = following(mixture(words=0.7, voice=0.2, seed=3))
    by_words, by_voice = 0.7 + 0.1 / 7, 0.2 + 0.1 / 7
    assert covers(found.words, by_words)
    assert covers(found.voice, by_voice)
    assert covers(found.neither, 0.5 / 7)
    assert covers(found.index, by_words / (by_words + by_voice))
    assert covers(found.difference, by_voice - by_words)
    assert found.verdict == "follows the words"


def test_coin_is_undecided_and_at_chance():
    found = [following(mixture(seed=seed)) for seed in range(8)]
    assert {f.verdict for f in found} == {"undecided"}
    assert sum(covers(f.together, f.together.chance) for f in found) >= 6
    assert {f.uniform_chance for f in found} == {1 / 7}


def test_favourite_answer_is_no_verdict_even_where_it_is_often_the_tone():
    table = mixture(favourite="angry", words=0.1, voice=0.1)
    often = table[(table.voice == "angry") | (np.arange(len(table)) % 4 == 0)]
    found = following(often)
    assert found.difference.low > 0
    assert found.verdict == "undecided"


def test_avoiding_the_words_is_not_following_the_voice():
    draw = np.random.default_rng(0)
    table = mixture(speakers=6)
    table["answer"] = [draw.choice([e for e in EMOTIONS if e != said]) for said in table.words]
    found = following(table)
    assert found.difference.low > 0
    assert found.together.high < found.together.chance
    assert found.verdict == "undecided"


def test_balanced_mixture_is_undecided_although_above_chance():
    found = following(mixture(words=0.45, voice=0.45))
    assert found.together.low > found.together.chance
    assert found.verdict == "undecided"


def test_few_sentences_give_no_verdict():
    # The first sentence is neutral: a control, no conflict.
    assert following(mixture(voice=1, sentences=5)).verdict == "undecided"
    assert following(mixture(voice=1, sentences=6)).verdict == "follows the voice"


def test_neutral_words_are_controls_and_no_conflict():
    table = mixture(voice=1)
    spoken = table[(table.words != "neutral") & (table.words != table.voice)]
    assert following(table).voice.n == len(spoken)


def test_unparsed_answers_count_as_neither_and_are_reported():
    found = following(mixture(unparsed=0.5, voice=0.5))
    assert found.neither.value == found.unparsed.value == pytest.approx(1 - found.voice.value)
    silent = following(mixture(unparsed=1))
    assert silent.neither.value == silent.unparsed.value == 1
    assert math.isnan(silent.index.value)
    assert silent.index.chance is None
    assert silent.verdict == "undecided"


def test_unparsed_answers_are_wrong_in_accuracy():
    found = accuracy(mixture(voice=0.6, unparsed=0.4))
    assert found.plain.value == pytest.approx(1 - found.unparsed.value)
    assert found.balanced.value < 0.7
    assert found.confusion[UNPARSED].sum() == round(found.unparsed.value * found.unparsed.n)


def test_only_conflicts_count_in_following():
    table = mixture(voice=1, sentences=7, speakers=1)
    table.loc[table.sentence == "s0", "words"] = np.nan
    assert following(table).voice.n == 6 * 6
    with pytest.raises(ValueError, match="no conflict items"):
        following(table[table.voice == table.words])


def test_marginal_chance_is_the_one_of_the_formula():
    table = pd.DataFrame(
        {
            "voice": ["happy", "happy", "sad", "angry"],
            "words": ["sad", "angry", "angry", "happy"],
            "answer": ["happy", "happy", "happy", None],
            "sentence": list("abcd"),
            "speaker": list("xxyy"),
        }
    )
    found = following(table)
    assert found.voice.chance == pytest.approx(0.5 * 0.75)
    assert found.words.chance == pytest.approx(0.25 * 0.75)
    assert found.difference.chance == pytest.approx(0.25 * 0.75)
    assert found.neither.chance == pytest.approx(1 - 0.75 * 0.75)


def test_repeated_sentences_widen_the_interval():
    draw = np.random.default_rng(0)
    answers = draw.choice(["happy", "sad"], 6)

    def table(sentences: int, repeats: int) -> pd.DataFrame:
        answer = np.repeat(answers if sentences == 6 else np.tile(answers, 50), repeats)
        ids = np.repeat(np.arange(sentences), repeats).astype(str)
        return pd.DataFrame({"voice": "happy", "words": "sad", "answer": answer, "sentence": ids, "speaker": "p"})

    few, many = following(table(6, 50)), following(table(300, 1))
    assert few.voice.n == many.voice.n == 300
    assert few.voice.value == many.voice.value
    assert few.voice.high - few.voice.low > 3 * (many.voice.high - many.voice.low)


def test_from_ten_speakers_on_the_interval_speaks_for_speakers_too():
    assert following(mixture(voice=0.5, speakers=9, sentences=7)).scope == "for these speakers"
    assert following(mixture(voice=0.5, speakers=10, sentences=7)).scope == ""


def test_accuracy_by_hand():
    table = pd.DataFrame(
        {
            "voice": ["happy"] * 4 + ["sad"] * 2 + [None],
            "words": None,
            "answer": ["happy", "happy", "happy", None, "angry", "sad", "sad"],
            "sentence": list("abcdefg"),
            "speaker": "p",
        }
    )
    found = accuracy(table)
    assert found.balanced.value == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found.balanced.chance == 1 / 2
    assert found.plain.value == pytest.approx(4 / 6)
    assert found.plain.chance == pytest.approx(4 / 6 * 3 / 6 + 2 / 6 * 1 / 6)
    assert {name: e.value for name, e in found.recall.items()} == {"happy": 0.75, "sad": 0.5}
    assert found.recall["happy"].chance == 3 / 6
    assert list(found.confusion.index) == list(EMOTIONS)
    assert list(found.confusion.columns) == [*EMOTIONS, UNPARSED]
    assert found.confusion.loc["happy", UNPARSED] == 1
    assert found.confusion.loc["sad", "angry"] == 1
    assert found.confusion.to_numpy().sum() == 6


def test_bad_tables_get_one_clear_sentence():
    table = mixture(voice=1, sentences=7)
    with pytest.raises(ValueError, match="lacks the column"):
        following(table.drop(columns="speaker"))
    with pytest.raises(UnknownEmotion, match="joyful"):
        accuracy(table.assign(answer="joyful"))
    with pytest.raises(ValueError, match="no sentence"):
        following(table.assign(sentence=None))
    assert following(table.to_dict("list")).voice.value == 1
