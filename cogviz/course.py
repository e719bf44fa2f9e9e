"""What the notebooks share: their first cell, and exercises that check themselves (`cogviz.exercises`)."""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SETUP = """# The same first cell in every notebook. Where cogviz is not installed (Binder, Colab), it is installed from the folder above this one.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("cogviz") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "..[all]"], check=True)

from cogviz import course

course.begin()"""
"""A test holds every notebook to it."""

PACKAGES = ("captum", "ipywidgets", "umap")


def begin() -> None:
    """Make a notebook ready: says what is missing on this machine, and answers a cell that is run too early with a sentence."""
    import importlib.util

    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        print(f"{', '.join(missing)}: not installed, which some notebooks need; run: pip install 'cogviz[notebooks]'")
    from IPython import get_ipython

    if (shell := get_ipython()) is not None:
        shell.set_custom_exc((NameError,), _too_early)


def _too_early(shell: Any, kind: type[BaseException], error: BaseException, trace: Any, tb_offset: int | None = None) -> None:
    """Under the traceback of a `NameError`, say what it mostly means here, and which cell to run first."""
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    name = getattr(error, "name", None) or "a name in it"
    text = f"{name} does not exist yet. Was a cell above skipped, or the kernel restarted? Run > Run All Above Selected Cell makes what is missing."
    if (first := made_by(name, _cells())) is not None:
        text += f"\n{name} itself is made by the cell that begins: {first}"
    print(text)


def made_by(name: str, cells: Sequence[str]) -> str | None:
    """Return the first line of the first of the code cells that makes a name; None where none does."""
    for source in cells:
        try:
            tree = ast.parse(source)
        except SyntaxError:  # half-written, or a magic
            continue
        if name in _made(tree):
            return next(line for line in source.splitlines() if line.strip())
    return None


def _made(node: ast.AST) -> set[str]:
    """What a cell assigns, defines or imports; what lives only inside a function or a comprehension does not count."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return set()
    return {name for child in ast.iter_child_nodes(node) for name in _made(child)}


def _cells() -> list[str]:
    """The code cells of the notebook that is open in Jupyter, as it was saved; none where it is not known."""
    path = Path(os.environ.get("JPY_SESSION_NAME", ""))
    if path.suffix != ".ipynb" or not path.is_file():
        return []
    import nbformat

    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
