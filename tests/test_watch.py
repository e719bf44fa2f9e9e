"""The reward hacking watch: each figure by hand, and that it sees a policy that games its reward."""

from __future__ import annotations

import math

import pytest

from cogviz.eips import Answer, Chain, render
from cogviz.emotions import EMOTIONS
from cogviz.lime.annotate import annotate
from cogviz.lime.sentences import sentences
from cogviz.training import rewards
from cogviz.training.watch import repetition, spread, watch


def test_repetition_counts_runs_of_four_words_that_came_before() -> None:
    assert repetition("one two three four five") == 0
    assert repetition("Go on, go on, go on, go on, go on!") == pytest.approx(1 - 2 / 7)
    assert repetition("too short") == 0


def test_spread_is_nought_at_one_emotion_and_log_seven_at_all() -> None:
    assert spread(["sad"] * 5) == 0
    assert spread(EMOTIONS) == pytest.approx(math.log(7))


def test_a_rollout_that_answers_well_and_ones_that_game_the_reward(judge: rewards.ResponseJudge) -> None:
    chosen = sentences(kind="ambiguous", split="train")[:4]
    emotions = [e for _ in chosen for e in EMOTIONS]
    good = [render(annotate(s, e, "mid", seed=1)) for s in chosen for e in EMOTIONS]
    fine = watch(good, emotions, judge)
    assert fine["emotion_spread"] > 0.85
    assert fine["held_out_empathy"] > 0.7
    assert fine["label_in_response"] < 0.1
    assert fine["words"] > 20

    collapsed = watch([good[EMOTIONS.index("happy")]] * len(good), emotions, judge)
    assert collapsed["emotion_spread"] == 0
    assert collapsed["held_out_empathy"] < fine["held_out_empathy"] - 0.2

    chain = Chain("The voice sounds sad.", "They say so.", "It is so.", "Answer.")
    labelled = watch([render(Answer("So sad, so sad, so sad, so sad, so sad.", chain))] * 3, ["sad", "sad", "angry"], judge)
    assert labelled["label_in_response"] == 1
    assert labelled["repetition"] > 0.15

    broken = watch(["no form at all"] * 2, ["sad", "angry"], judge)
    assert broken["held_out_empathy"] == 0
