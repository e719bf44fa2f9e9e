"""What the notebooks share: their first cell, and exercises that check themselves (`cogviz.exercises`)."""

from __future__ import annotations

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
    """Under the traceback of a `NameError`, say what it mostly means here."""
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    name = getattr(error, "name", None) or "a name in it"
    print(
        f"{name} does not exist yet. Was a cell above skipped, or the kernel restarted? Run > Run All Above Selected Cell makes what is missing."
    )
