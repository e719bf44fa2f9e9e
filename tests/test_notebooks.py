"""The course keeps its form: one first cell, a size that can be read, an assertion behind what is claimed. `pytest --nbmake` runs the notebooks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from cogviz import course, exercises

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if not path.name.startswith("00_")]


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request: pytest.FixtureRequest) -> Any:
    """A notebook of the course, with its path."""
    notebook = nbformat.read(request.param, as_version=4)
    nbformat.validate(notebook)
    notebook.path = request.param
    return notebook


def code(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: Any) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_the_first_code_cell_is_the_same_everywhere(lesson: Any) -> None:
    assert code(lesson)[0] == course.SETUP


def test_a_lesson_can_be_read_in_one_sitting(lesson: Any) -> None:
    cells = code(lesson)[1:]
    lines = [len([line for line in cell.splitlines() if line.strip()]) for cell in cells]
    assert 25 <= len(lesson.cells) <= 55
    assert sum(lines) <= 200
    assert sorted(lines)[len(lines) // 2] <= 7, "the cells are short"
    assert 800 <= len(re.findall(r"\w+", prose(lesson))) <= 2200
    assert not re.search(r"^\s*def (?!exercise|answer|my_|sapo|loss|gate)", "\n".join(cells), re.MULTILINE), "helpers live in the package"


def test_what_a_lesson_claims_is_asserted(lesson: Any) -> None:
    assert sum("assert " in cell for cell in code(lesson)) >= 4


def test_a_lesson_opens_with_what_one_learns_and_ends_with_exercises(lesson: Any) -> None:
    first = lesson.cells[0].source
    assert first.startswith("# ")
    for what in ("You will learn", "You need", "It takes"):
        assert what in first
    number = lesson.path.name[:2]
    keys = [key for key in exercises.all_keys() if key.startswith(f"{number}.")]
    assert len(keys) >= 2
    text = "\n".join(code(lesson))
    assert all(f'check("{key}"' in text for key in keys), "every exercise is asked"


def test_pictures_have_a_thumbnail_and_nothing_comes_from_the_network(lesson: Any) -> None:
    tagged = [cell for cell in lesson.cells if "thumbnail" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert not re.search(r"https?://", "\n".join(code(lesson)))
