"""Exercises: every solution passes, a wrong answer gets a hint, and whatever a student's function does, the check says a sentence."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogviz import exercises

SOLUTIONS = Path(__file__).parents[1] / "notebooks" / "solutions"
KEYS = exercises.all_keys()


def solutions(key: str) -> dict[str, Any]:
    """{key: answer} of the notebook that an exercise is in."""
    return runpy.run_path(str(SOLUTIONS / f"{key.partition('.')[0]}.py"))["ANSWERS"]


@pytest.mark.parametrize("key", KEYS)
def test_the_solution_is_right_and_a_wrong_answer_gets_a_hint(key: str) -> None:
    right = exercises.check(key, solutions(key)[key])
    assert right, right.text
    exercise = exercises._find(key)
    wrong = exercises.check(key, exercise.wrong)
    assert not wrong
    assert exercise.hint in repr(wrong)
    assert not exercises.check(key, ...)
    assert "no answer yet" in exercises.check(key, None).text


def test_an_unknown_exercise_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(exercises.UnknownExercise, match=r"99\.1"):
        exercises.check("99.1", 1)


def test_answers_are_compared_by_kind() -> None:
    assert exercises._agree(np.float32(0.5), 0.5)
    assert exercises._agree([0.1, 0.2], np.array([0.1, 0.2]))
    assert not exercises._agree([0.1, 0.2], np.array([0.1, 0.2, 0.3]))
    assert exercises._agree({"a": 1}, {"a": 1.0})
    assert not exercises._agree({"a": 1}, {"b": 1})
    assert exercises._agree({"A": " Undecided"}, {"A": "undecided"})
    assert not exercises._agree({"A": "undecided", "B": "x"}, {"A": "undecided"})
    assert exercises._agree(["sad", "happy"], ("sad", "happy"))
    assert not exercises._safely(exercises._agree, object(), 3.0)


def test_a_beginner_is_told_what_to_do_and_not_given_the_hint_before_trying() -> None:
    untouched = exercises.check("01.1", ...)
    assert "put its name" in untouched.text
    assert exercises._find("01.1").hint not in untouched.text
    assert "Put your answer" in exercises.check("01.4", ...).text
    assert "return" in exercises.check("01.1", lambda hz, reference: None).text
    assert "a function is asked for, not float" in exercises.check("01.1", 12.0).text
    assert "raises TypeError" in exercises.check("01.1", lambda hz: hz).text
    assert "<p" in exercises.check("01.1", ...)._repr_html_()
