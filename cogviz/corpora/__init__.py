"""Real speech, read into `Utterance`. A corpus is one short file with a `CORPUS` and a parser of its file names."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

from cogviz.corpora.base import Corpus, CorpusError, collect
from cogviz.utterance import Utterance

NAMES = ("ravdess", "emodb")
"""Each is a module beside this file."""

__all__ = ["NAMES", "Corpus", "CorpusError", "corpus", "read"]


def corpus(name: str) -> Corpus:
    """Return the corpus called `name`; raises `CorpusError` with the list of names."""
    if name not in NAMES:
        raise CorpusError(f"unknown corpus {name!r}; known: {', '.join(NAMES)}")
    return importlib.import_module(f"cogviz.corpora.{name}").CORPUS


def read(name: str, root: str | Path, *, own_labels: bool = False) -> list[Utterance]:
    """Read every usable recording under `root`, in the order of file names.

    Files that do not fit the corpus's naming are left out and reported in one warning, with their number and the first names.

    Args:
        own_labels: with the emotions that are the corpus's own and none of the seven (RAVDESS's calm, EmoDB's boredom), under its name for them.

    Raises:
        CorpusError: unknown corpus, missing folder, or no recording of the corpus in it (with the page that has it).
    """
    found, skipped = collect(corpus(name), Path(root), own_labels=own_labels)
    if skipped:
        shown = ", ".join(p.name for p in skipped[:3])
        warnings.warn(f"{name}: {len(skipped)} file(s) left out because their names do not fit the corpus: {shown}", stacklevel=2)
    return found
