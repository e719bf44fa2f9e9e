"""Real and published speech, read into `Utterance`. A corpus is one short file with a `CORPUS`; `catalogue` lists them."""

from __future__ import annotations

import importlib
import warnings
from itertools import islice
from pathlib import Path

from cogviz.corpora.base import Corpus, CorpusError, Skipped, collect, concerns, summary
from cogviz.utterance import Utterance

NAMES = (
    "ravdess", "emodb", "cremad", "tess", "savee", "esd", "emovdb", "jl",
    "meld", "iemocap",
    "listen", "case", "humdial", "lime440k",
)  # fmt: skip
"""Each is a module beside this file: actors, dialogues, benchmarks."""

GLANCE = 50
"""How many items of a folder are looked at to guess its corpus."""

__all__ = ["NAMES", "Corpus", "CorpusError", "Skipped", "catalogue", "collect", "corpus", "looks_like", "read"]


def corpus(name: str) -> Corpus:
    """Return the corpus called `name`; raises `CorpusError` with the list of names."""
    if name not in NAMES:
        raise CorpusError(f"unknown corpus {name!r}; known: {', '.join(NAMES)}")
    return importlib.import_module(f"cogviz.corpora.{name}").CORPUS


def catalogue() -> list[Corpus]:
    """Return every corpus that can be read, in the order of `NAMES`, with its title, licence, language, page and command."""
    return [corpus(name) for name in NAMES]


def looks_like(root: str | Path) -> str:
    """Return the name of the corpus of actors or dialogues whose layout a folder has, judged by its first items; "" where none fits."""
    best, most = "", 0
    for one in catalogue():
        if one.kind != "benchmark":
            fits = sum(isinstance(item, Utterance) for item in islice(one.items(Path(root)), GLANCE))
            best, most = (one.name, fits) if fits > most else (best, most)
    return best


def read(name: str, root: str | Path, *, own_labels: bool = False) -> list[Utterance]:
    """Read every usable recording under `root`, in the order of file names (of rows, where a table lists them).

    A warning says what was left out and why (names that do not fit, labels unknown, copies, files that are not sound or too long) with
    numbers and first names; others, that transcripts are missing, or that there is one emotion or one speaker only.

    Args:
        own_labels: with the emotions that are the corpus's own and none of the seven (RAVDESS's calm, EmoDB's boredom), under its name for them.

    Raises:
        CorpusError: unknown corpus, missing folder, or no recording of the corpus in it (with the page that has it, or the corpus that the
            folder looks like).
    """
    chosen, root = corpus(name), Path(root)
    found, skipped = collect(chosen, root, own_labels=own_labels)
    if not found:
        problem = f"no recording of {chosen.title} under {root}"
        if (other := looks_like(root)) not in ("", name):
            raise CorpusError(f"{problem}; it looks like {corpus(other).title}: read it as {other!r}")
        raise CorpusError(f"{problem}; {chosen.source}" + (f" ({summary(skipped)})" if skipped else ""))
    for sentence in concerns(chosen, found, skipped):
        warnings.warn(sentence, stacklevel=2)
    return found
