"""The readings measure tells a trained story, another emotion's story, an invented one and none apart."""

from __future__ import annotations

import dataclasses

from cogviz.eips import render
from cogviz.evaluation.readings import classify
from cogviz.lime.annotate import annotate
from cogviz.lime.explanations import explain
from cogviz.lime.sentences import Sentence, sentences


def answer(sentence: Sentence, emotion: str) -> str:
    return render(annotate(sentence, emotion))


def test_each_kind_of_story_is_recognised() -> None:
    own = sentences(kind="ambiguous", split="test_slots")[0]
    other = next(s for s in sentences(kind="ambiguous", split="train") if s.domain != own.domain)
    texts = [
        answer(own, "fear"),
        answer(own, "happy"),
        answer(other, "fear"),
        answer(dataclasses.replace(own, readings={}), "fear"),
        "rubbish",
    ]
    kinds = classify(texts, [own.template] * 5, ["fear"] * 5)
    assert kinds.idxmax(axis=1).tolist() == ["right", "other_emotion", "invented", "open", "open"]
    assert (kinds.sum(axis=1) == 1).all()


def test_authored_readings_of_held_out_slots_are_found_by_the_measure() -> None:
    """Positive control: the annotation itself must count as right nearly always, though the slot values differ from the stored filling."""
    spoken = sentences(kind="ambiguous", split="test_slots")[::9]
    kinds = classify([answer(s, "angry") for s in spoken], [s.template for s in spoken], ["angry"] * len(spoken))
    assert kinds.right.mean() > 0.9


def test_authored_readings_of_unknown_templates_do_not_count_as_invented() -> None:
    """Negative control: true readings of test templates tell no trained story."""
    spoken = sentences(kind="ambiguous", split="test")[::9]
    kinds = classify([answer(s, "sad") for s in spoken], [s.template for s in spoken], ["sad"] * len(spoken))
    assert kinds.invented.mean() < 0.05


def test_the_sentence_of_an_explanation_that_tells_a_story_counts() -> None:
    spoken = sentences(kind="ambiguous", split="test_slots")[::9]

    def explained(sentence: Sentence, emotion: str, kind: str) -> str:
        return render(explain(annotate(sentence, emotion), sentence.text, kind))

    told = ([s.template for s in spoken], ["angry"] * len(spoken))
    assert classify([explained(s, "angry", "cause") for s in spoken], *told).right.mean() > 0.9
    assert classify([explained(s, "sad", "cause") for s in spoken], *told).other_emotion.mean() > 0.9
    assert classify([explained(s, "angry", "label") for s in spoken], *told).open.all(), "a label tells no story"
