"""A cell that is run too early says which one to run first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from cogviz import course

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def test_the_first_cell_that_makes_a_name_is_found() -> None:
    cells = [
        "%matplotlib inline",
        "# how it begins\nimport numpy as np\nfrom a.b import c, d as e",
        "x = [y for y in range(3)]\nfor z, w in []:\n    pass",
        "def f(inner):\n    local = inner",
        "x, v = 1, (u := 2)",
    ]
    names = {"np": 1, "c": 1, "e": 1, "x": 2, "z": 2, "w": 2, "f": 3, "v": 4, "u": 4}
    assert {name: course.made_by(name, cells) for name in names} == {name: cells[i].splitlines()[0] for name, i in names.items()}
    assert [course.made_by(name, cells) for name in ("y", "inner", "local", "d", "nothing")] == [None] * 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_needs_only_what_cells_above_it_make(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """As IPython would meet a lesson whose cells were all skipped but one: the sentence names a cell above."""
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    shell = SimpleNamespace(showtraceback=lambda *args, **kwargs: None)
    told: list[tuple[int, str, str]] = []
    for i, source in list(enumerate(cells))[3:]:
        try:
            exec(compile(source, path.name, "exec"), {})
        except NameError as error:
            course._too_early(shell, NameError, error, None)
            told.append((i, error.name, capsys.readouterr().out))
    assert len(told) > 10
    for i, name, said in told:
        assert f"{name} does not exist yet" in said
        first = said.partition("the cell that begins: ")[2].strip()
        assert first in [line for above in cells[:i] for line in above.splitlines()], name


def test_where_the_notebook_is_not_known_the_sentence_still_comes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    shell = SimpleNamespace(showtraceback=lambda *args, **kwargs: None)
    for path in ("", "no/such.ipynb", __file__):
        monkeypatch.setenv("JPY_SESSION_NAME", path)
        course._too_early(shell, NameError, NameError("name 'x' is not defined", name="x"), None)
        said = capsys.readouterr().out
        assert "x does not exist yet" in said
        assert "Run All Above" in said
        assert "begins" not in said
