"""Explanations in free words, and the answers that hold them: written, read back, and scored as chains are."""

from __future__ import annotations

import pytest

from cogviz.eips import Answer, Chain, begun, parse, render
from cogviz.lime.annotate import annotate
from cogviz.lime.explanations import EXPLANATIONS, explain
from cogviz.lime.sentences import sentences
from cogviz.scoring import claimed_emotion, format_score, heard_words
from cogviz.training import recipe

SENTENCE = sentences(kind="ambiguous", split="train")[0]
GIVEN = annotate(SENTENCE, "sad", "high", heard=("low", "slow"))


@pytest.mark.parametrize("kind", EXPLANATIONS)
def test_an_explanation_reads_back_as_it_was_written_and_claims_its_emotion(kind: str) -> None:
    told = explain(GIVEN, SENTENCE.text, kind, evidence=("low", "slow"))
    assert told.chain is None
    assert parse(render(told)) == told
    assert claimed_emotion(render(told)) == "sad"
    assert format_score(render(told), "reason") == 1.0
    assert format_score(render(told), "direct") == 0.0


def test_each_explanation_holds_what_it_says() -> None:
    made = {kind: explain(GIVEN, SENTENCE.text, kind, evidence=("low", "slow")).explanation for kind in EXPLANATIONS}
    assert made["label"] == "The voice sounds sad, strongly."
    assert GIVEN.chain is not None
    assert GIVEN.chain.psychology in made["summary"]
    assert SENTENCE.text not in made["summary"]
    assert SENTENCE.text in made["quoted"]
    assert "slow" not in made["quoted"]
    assert "it is low and slow." in made["sound"]
    assert SENTENCE.text in made["sound"]
    assert GIVEN.chain.intent in made["cause"]
    assert GIVEN.chain.psychology in made["cause"]
    assert heard_words(render(explain(GIVEN, SENTENCE.text, "sound"))) == SENTENCE.text


def test_without_evidence_nothing_is_claimed_of_the_sound() -> None:
    assert "it is" not in explain(GIVEN, SENTENCE.text, "sound").explanation.split('"')[0]


def test_unknown_kinds_and_answers_without_a_chain_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown explanation 'poem'; choose label"):
        explain(GIVEN, SENTENCE.text, "poem")
    with pytest.raises(ValueError, match="has no chain"):
        explain(Answer("Oh."), SENTENCE.text, "label")
    with pytest.raises(recipe.RecipeError, match="unknown targets 'poem'"):
        recipe.read("nano-implicit", targets="poem")


def test_the_voice_of_a_response_reads_back_on_both_routes() -> None:
    for answer in (
        Answer("Oh dear.", voice="sad, a little: slow"),
        Answer("Oh dear.", explanation="The voice sounds sad.", voice="sad"),
        Answer("Oh dear.", Chain("The voice sounds sad.", "b", "c", "d"), voice="sad"),
    ):
        assert parse(render(answer)) == answer
    assert parse("<response>Oh.</response><voice>sad") is None
    assert parse("<voice>sad</voice><response>Oh.</response>") is None


def test_a_broken_chain_is_no_explanation() -> None:
    assert parse("<thought>[Perception] a [Intent] b [Psychology] c</thought><response>d</response>") is None
    assert parse("<thought> </thought><response>d</response>") is None


def test_an_unfinished_explanation_is_shown_as_it_comes() -> None:
    assert begun("<thought>The voice sou") == {"explanation": "The voice sou"}
    assert begun("<thought>") == {}
    assert begun("<thought>The voice.</thought><response>Oh.</response><voice>sa") == {
        "explanation": "The voice.",
        "response": "Oh.",
        "voice": "sa",
    }
    assert list(begun("<thought>[Perception] a")) == ["perception"]
