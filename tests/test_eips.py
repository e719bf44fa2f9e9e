"""The text form of an answer: what is rendered comes back, and nothing else is accepted."""

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogviz.eips import ROUTES, STEPS, Answer, Chain, UnknownRoute, check_route, parse, render

step = st.text(st.characters(exclude_characters="<>[]")).map(str.strip).filter(bool)
spoken = st.text(st.characters(exclude_characters="<>")).map(str.strip).filter(bool)
CHAIN = Chain("It sounds sad.", "They want comfort.", "A loss.", "Be gentle.")
GOOD = "<thought>[Perception] a [Intent] b [Psychology] c [Strategy] d</thought><response>e</response>"


@settings(deadline=None)
@given(spoken, st.none() | st.builds(Chain, step, step, step, step))
def test_rendered_answer_comes_back(response, chain):
    answer = Answer(response, chain)
    assert parse(render(answer)) == answer


@settings(deadline=None)
@given(st.text())
def test_any_text_is_parsed_or_none(text):
    found = parse(text)
    assert found is None or parse(render(found)) == found


def test_text_form_is_the_papers():
    assert render(Answer("I am here.", CHAIN)) == (
        "<thought>[Perception] It sounds sad. [Intent] They want comfort. [Psychology] A loss. [Strategy] Be gentle.</thought>"
        "<response>I am here.</response>"
    )
    assert render(Answer("Hi.")) == "<response>Hi.</response>"


def test_white_space_and_line_breaks_do_not_matter():
    assert parse("\n " + GOOD.replace(" [", "\n[").replace("</thought>", " </thought>\n") + "\n") == parse(GOOD)
    assert parse(GOOD) == Answer("e", Chain("a", "b", "c", "d"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "e",
        "The answer is B",
        "<response></response>",
        "<response> </response>",
        "<response>e",
        "e</response>",
        "<response>e</response> more",
        "before <response>e</response>",
        "<response>e</response><response>f</response>",
        "<response><response>e</response></response>",
        "<response>a < b</response>",
        GOOD + GOOD,
        GOOD + "x",
        "x" + GOOD,
        GOOD.replace("<thought>", ""),
        GOOD.replace("</thought>", ""),
        GOOD.replace("</response>", ""),
        GOOD.replace("<response>e</response>", ""),
        GOOD.replace("[Intent] b ", ""),
        GOOD.replace("[Intent] b", "[Intent] "),
        GOOD.replace("[Intent] b", "[Intent] b [Intent] b"),
        GOOD.replace("[Intent] b [Psychology] c", "[Psychology] c [Intent] b"),
        GOOD.replace("[Intent]", "[intent]"),
        GOOD.replace("[Intent]", "Intent"),
        GOOD.replace("[Perception]", "so [Perception]"),
        GOOD.replace(" d", " d [Extra] x"),
        GOOD.replace(" d", " "),
        GOOD.replace(">e<", "><"),
        GOOD.upper(),
    ],
)
def test_malformed_text_is_none(text):
    assert parse(text) is None


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_answer_cut_anywhere_is_none(number):
    assert parse(GOOD[:number]) is None


@pytest.mark.parametrize("name", STEPS)
def test_bracket_inside_a_step_is_none(name):
    assert parse(render(Answer("e", replace(CHAIN, **{name: "a [b] c"})))) is None


def test_long_degenerate_output_is_refused_quickly():
    start = time.perf_counter()
    for filler in (" ", "\n", "[Intent] ", "<thought>", "a ", "</thought>"):
        for head in ("", "<thought>", "<thought>[Perception] ", "<thought>[Perception] a [Intent] ", "<response>"):
            assert parse(head + filler * 2000) is None
    assert time.perf_counter() - start < 5


def test_unknown_route_lists_the_routes():
    assert [check_route(route) for route in ROUTES] == ["reason", "direct"]
    with pytest.raises(UnknownRoute, match=r"choose reason .* or direct"):
        check_route("quick")
