"""Exercises of the notebooks that check themselves: `check("02.3", answer)`.

An answer is compared with a reference on inputs that the notebook does not show, and what is wrong is met with a hint, not with the solution.
A module of this folder holds the exercises of one notebook: `n02.EXERCISES`. Solutions are in `notebooks/solutions`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

TOLERANCE = 1e-6


class UnknownExercise(ValueError):
    """Raised for a key that no notebook has."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        key: notebook and number, "02.3".
        reference: the right answer, or a function that the answer, a function too, must agree with.
        inputs: for a function: makes the hidden inputs, a list of tuples of arguments.
        hint: what to think about when the answer is wrong.
        wrong: an answer that must fail; a test sees to it.
        compare: (answer, reference) -> whether they agree; None: numbers within `TOLERANCE`, everything else equal.
    """

    key: str
    reference: Any
    hint: str
    wrong: Any
    inputs: Callable[[], Sequence[tuple[Any, ...]]] | None = None
    compare: Callable[[Any, Any], bool] | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and a sentence about it."""

    right: bool
    text: str = field(default="")

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        """On a page: wrapped, where `repr` is one long line."""
        return f'<p role="status"><b>{"✓" if self.right else "·"}</b> {escape(self.text)}</p>'


def check(key: str, answer: Any) -> Verdict:
    """Compare an answer with the reference; the verdict is true where it is right, and says what to think about where it is not.

    Raises:
        UnknownExercise: no notebook has such an exercise.
    """
    exercise = _find(key)
    if answer is None or answer is Ellipsis:
        how = "Put your answer" if exercise.inputs is None else "Write the function above that line, and put its name"
        return Verdict(False, f"{key}: no answer yet. {how} in place of the dots and run the cell again; a wrong one gets a hint.")
    agree = exercise.compare or _agree
    if exercise.inputs is None:
        right = _safely(agree, answer, exercise.reference)
        return Verdict(right, f"{key}: right." if right else f"{key}: not yet. {exercise.hint}")
    if not callable(answer):
        return Verdict(False, f"{key}: a function is asked for, not {type(answer).__name__}. {exercise.hint}")
    for arguments in exercise.inputs():
        try:
            given = answer(*arguments)
        except Exception as error:  # a student's function may raise anything
            return Verdict(False, f"{key}: your function raises {type(error).__name__}: {error}. {exercise.hint}")
        if given is None:
            return Verdict(False, f"{key}: your function returns nothing; does it end with `return ...`? {exercise.hint}")
        if not _safely(agree, given, exercise.reference(*arguments)):
            return Verdict(False, f"{key}: not yet; it differs on an input that you do not see. {exercise.hint}")
    return Verdict(True, f"{key}: right.")


def all_keys() -> list[str]:
    """Return the keys of all exercises, in order."""
    modules = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("n"))
    return [e.key for name in modules for e in importlib.import_module(f"{__name__}.{name}").EXERCISES]


def _find(key: str) -> Exercise:
    known = {m.name for m in pkgutil.iter_modules(__path__)}
    module = f"n{key.partition('.')[0]}"
    exercises: Sequence[Exercise] = importlib.import_module(f"{__name__}.{module}").EXERCISES if module in known else ()
    for exercise in exercises:
        if exercise.key == key:
            return exercise
    raise UnknownExercise(f"there is no exercise {key!r}; this notebook has {', '.join(e.key for e in exercises) or 'none'}")


def _agree(answer: Any, reference: Any) -> bool:
    if isinstance(reference, str):
        return _bare(answer) == _bare(reference)
    if isinstance(reference, bool) or reference is None:
        return bool(answer == reference)
    if isinstance(reference, dict):
        return isinstance(answer, dict) and answer.keys() == reference.keys() and all(_agree(answer[k], v) for k, v in reference.items())
    if isinstance(reference, list | tuple) and any(isinstance(x, str) for x in reference):
        return list(map(_bare, answer)) == list(map(_bare, reference))
    mine, other = (np.asarray(_plain(x), dtype=float) for x in (answer, reference))
    return mine.shape == other.shape and bool(np.allclose(mine, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _bare(value: Any) -> Any:
    """A text without what nobody means: capitals, and spaces at its ends."""
    return value.strip().casefold() if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """A tensor as an array."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _safely(agree: Callable[[Any, Any], bool], answer: Any, reference: Any) -> bool:
    """Whether they agree; an answer of another kind does not."""
    try:
        return bool(agree(answer, reference))
    except (TypeError, ValueError, KeyError, AttributeError):
        return False
