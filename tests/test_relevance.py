"""Whether a thought speaks for the emotion that it names: thoughts by hand, those of the annotator, and ones whose parts were exchanged."""

from __future__ import annotations

import pandas as pd
import pytest

from cogviz.eips import Answer, render
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.relevance import Thought, of_answer, of_text, reader, relevance, typical
from cogviz.lime.annotate import annotate
from cogviz.lime.explanations import explain
from cogviz.lime.sentences import sentences
from cogviz.scoring import mask_emotion_words

TRAIN = sentences(kind="ambiguous", split="train")[:6]


def table(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["perception", "reasons", "answer"])
    return made.assign(sentence=[str(i % 5) for i in range(len(made))], speaker="s")


def test_a_thought_is_taken_apart_in_either_form() -> None:
    given = annotate(TRAIN[0], "sad", "high")
    assert given.chain is not None
    chain, free = of_answer(given), of_text(render(explain(given, TRAIN[0].text, "sound", evidence=("soft", "low"))))
    assert chain == Thought(given.chain.perception, given.chain.psychology)
    assert free.reasons == given.chain.psychology
    assert "soft and low" in free.perceived
    assert of_text(render(explain(given, TRAIN[0].text, "label"))).reasons == ""
    assert of_answer(None) == of_answer(Answer("Oh.")) == of_text("no form") == Thought("", "")


def test_a_quoted_question_is_no_reason() -> None:
    text = '<thought>The voice sounds sad. The words are "Is it? They left." It weighs on them.</thought><response>Oh.</response>'
    assert of_text(text).reasons == "It weighs on them."


def test_emotions_move_the_voice_as_actors_do() -> None:
    known = typical()
    assert known["angry"]["loudness"] == known["happy"]["loudness"] == 1
    assert known["sad"]["loudness"] == -1
    assert known["fear"]["pitch"] == 1
    assert known["disgust"]["tempo"] == -1
    assert not any(known["neutral"].values())


def test_claims_of_the_named_emotion_fit_and_those_of_its_opposite_do_not() -> None:
    fits = relevance(table([("The voice sounds angry: it is loud.", "", "angry")] * 5))
    other = relevance(table([("The voice sounds sad: it is loud.", "", "sad")] * 5))
    assert fits.claims is not None
    assert other.claims is not None
    assert (fits.claims.value, other.claims.value) == (1.0, 0.0)
    assert fits.claims.chance is not None
    assert 0 < fits.claims.chance < 1
    assert fits.reasons is None
    neutral = relevance(table([("The voice sounds neutral: it is loud.", "", "neutral")] * 5))
    assert neutral.claims is None
    assert neutral.undirected == 5


def test_the_annotators_reasons_fit_and_exchanged_ones_fit_another_emotion() -> None:
    rows, wrong = [], []
    for sentence in TRAIN:
        for i, emotion in enumerate(EMOTIONS):
            chain = annotate(sentence, emotion, "mid").chain
            other = annotate(sentence, EMOTIONS[(i + 1) % len(EMOTIONS)], "mid").chain
            assert chain is not None
            assert other is not None
            rows.append((chain.perception, chain.psychology, emotion))
            wrong.append((chain.perception, other.psychology, emotion))
    right, exchanged = relevance(table(rows)).reasons, relevance(table(wrong)).reasons
    assert right is not None
    assert exchanged is not None
    assert right.value > 0.95
    assert exchanged.value < 0.1


def test_the_reader_does_not_read_the_label() -> None:
    told = {str(reader().predict([mask_emotion_words(f"They feel {word}.")])[0]) for word in ("sad", "angry", "afraid")}
    assert len(told) == 1


def test_answers_without_an_emotion_are_left_out_and_a_missing_column_is_named() -> None:
    found = relevance(table([("The voice is loud.", "It weighs on them.", None)] * 3))  # type: ignore[list-item]
    assert found.claims is None
    assert found.reasons is None
    with pytest.raises(ValueError, match="lacks the column\\(s\\) reasons"):
        relevance(table([]).drop(columns="reasons"))
