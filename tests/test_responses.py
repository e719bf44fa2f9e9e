"""Response divergence and emotion specificity on simulated responses whose truth is known."""

import math

import numpy as np
import pandas as pd
import pytest
from simulated import SIZE, judged, responses

from cogviz.emotions import EMOTIONS, UnknownEmotion
from cogviz.evaluation.responses import emotion_specificity, response_divergence


def cell(texts: dict[str, list[str]]) -> pd.DataFrame:
    return pd.DataFrame(
        [("s", "p", tone, text) for tone, said in texts.items() for text in said], columns=["sentence", "speaker", "voice", "response"]
    )


def test_divergence_by_hand():
    found = response_divergence(cell({"sad": ["red house", "red tree"], "happy": ["blue house", "blue house"]})).words
    assert found.within.value == pytest.approx((0.5 + 0) / 2)
    assert found.between.value == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)
    assert found.ratio.value == pytest.approx(3)
    assert found.difference.value == pytest.approx(0.5)
    assert found.ratio.n == 1
    assert math.isnan(found.ratio.low)


def test_responses_that_ignore_the_tone_diverge_no_more_than_resamples():
    found = response_divergence(responses(0.0)).words
    assert found.ratio.low < 1 < found.ratio.high
    assert found.difference.low < 0 < found.difference.high


def test_responses_that_tell_the_tone_diverge():
    found = response_divergence(responses(0.5)).words
    assert found.ratio.low > found.ratio.chance == 1
    assert found.difference.low > 0


def test_greedy_responses_have_a_difference_and_no_ratio():
    found = response_divergence(responses(1.0, takes=1).pipe(lambda t: pd.concat([t, t]))).words
    assert math.isnan(found.ratio.value)
    assert found.difference.value == found.between.value > 0


def test_embeddings_see_what_words_do_not():
    table = cell({"sad": ["I grieve", "I mourn"], "happy": ["I rejoice", "I celebrate"]})
    side = {"I grieve": 0, "I mourn": 0, "I rejoice": 1, "I celebrate": 1}
    found = response_divergence(table, embed=lambda texts: np.eye(2)[[side[t] for t in texts]])
    assert found.words.ratio.value == pytest.approx(1)
    assert found.meaning.between.value == 1
    assert found.meaning.within.value == 0


def test_divergence_needs_two_tones_and_resamples():
    with pytest.raises(ValueError, match="no cell has responses to two tones"):
        response_divergence(cell({"sad": ["a", "b"]}))
    with pytest.raises(ValueError, match="no recording was answered twice"):
        response_divergence(cell({"sad": ["a"], "happy": ["b"]}))
    with pytest.raises(ValueError, match=r"lacks the column\(s\) response"):
        response_divergence(cell({"sad": ["a"]}).drop(columns="response"))
    with pytest.raises(ValueError, match="have no speaker"):
        response_divergence(cell({"sad": ["a"]}).assign(speaker=None))


def test_perfect_judge_finds_every_tone():
    table, _ = judged(0.0, sentences=14)
    found = emotion_specificity(table, table.voice.tolist())
    assert (found.told.value, found.picked.value, found.rubric.value) == (1, 1, 4)
    assert [found.told.chance, found.picked.chance] == pytest.approx([1 / 7, 1 / 7])
    assert found.levels["4"].value == 1


def test_same_response_to_every_tone_is_at_chance():
    table, _ = judged(0.0, sentences=14)
    found = emotion_specificity(table, np.tile(np.linspace(1, 2, SIZE) / np.linspace(1, 2, SIZE).sum(), (len(table), 1)))
    assert found.picked.value == pytest.approx(found.picked.chance) == pytest.approx(1 / 7)
    assert found.told.value == pytest.approx(1 / 7)
    assert found.rubric.value == pytest.approx(found.rubric.chance)


def test_rubric_by_hand():
    table = cell({"sad": [""], "angry": [""], "happy": [""], "neutral": [""]})
    p = np.full((4, SIZE), 0.01)
    for row, (emotion, sure) in enumerate((("fear", 0.94), ("angry", 0.6), ("happy", 0.94), ("surprise", 0.94))):
        p[row, EMOTIONS.index(emotion)] = sure
    p[1, EMOTIONS.index("fear")] = 0.35
    found = emotion_specificity(table, p / p.sum(axis=1, keepdims=True))
    assert {level: e.value for level, e in found.levels.items()} == {"1": 0.25, "2": 0.25, "3": 0.25, "4": 0.25}
    assert found.rubric.value == pytest.approx((2 + 3 + 4 + 1) / 4)
    assert found.told.value == 0.5


def test_judge_that_always_says_sad_is_at_its_marginal_chance_and_picks_nothing():
    table, _ = judged(0.0, sentences=14)
    found = emotion_specificity(table, ["sad"] * len(table))
    assert found.told.value == pytest.approx(found.told.chance)
    assert found.picked.value == pytest.approx(found.picked.chance)


def test_no_label_is_wrong_and_generic():
    table, _ = judged(0.0, sentences=7)
    found = emotion_specificity(table, [None] * len(table))
    assert found.told.value == 0
    assert found.rubric.value == 1


def test_judgements_that_do_not_fit_are_refused():
    table, p = judged(1.0, sentences=7)
    with pytest.raises(ValueError, match="need 49 judgements, got 3"):
        emotion_specificity(table, ["sad"] * 3)
    with pytest.raises(ValueError, match="49 distributions over the 7 emotions"):
        emotion_specificity(table, p[:, :3])
    with pytest.raises(ValueError, match="49 distributions over the 7 emotions"):
        emotion_specificity(table, p * 2)
    with pytest.raises(UnknownEmotion, match="judged holds joyful"):
        emotion_specificity(table, ["joyful"] * len(table))
    with pytest.raises(ValueError, match="two responses to one tone"):
        emotion_specificity(pd.concat([table, table]), np.concatenate([p, p]))
    with pytest.raises(ValueError, match="have no voice"):
        emotion_specificity(table.assign(voice=None), p)
