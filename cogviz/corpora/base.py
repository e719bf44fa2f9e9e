"""What every corpus reader shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cogviz.utterance import Utterance

SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".aiff", ".aif"}


class CorpusError(ValueError):
    """Raised where a corpus cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Corpus:
    """A corpus of acted speech.

    Attributes:
        parse: path -> Utterance; None for a file that belongs to the corpus but not to our use (song);
            raises ValueError, KeyError or IndexError for a file whose name does not fit.
        others: emotions of the corpus that are none of the seven -> adjective for such a voice, one that no other label has.
        page: where a user gets it. licence: what it allows. language: ISO 639-1.
    """

    name: str
    title: str
    language: str
    licence: str
    page: str
    parse: Callable[[Path], Utterance | None]
    others: Mapping[str, str] = field(default_factory=dict)


def collect(corpus: Corpus, root: Path, *, own_labels: bool = False) -> tuple[list[Utterance], list[Path]]:
    """Return (utterances, files whose names do not fit) of everything audible under `root`; with `own_labels` those of `others` too."""
    if not root.is_dir():
        raise CorpusError(f"{root} is not a folder; download {corpus.title} from {corpus.page} and give its folder")
    found, skipped = [], []
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")):
        try:
            utterance = corpus.parse(path)
        except (ValueError, KeyError, IndexError):
            skipped.append(path)
            continue
        if utterance is not None and (own_labels or utterance.emotion not in corpus.others):
            found.append(utterance)
    if not found:
        raise CorpusError(f"no recording of {corpus.title} under {root}; download it from {corpus.page}")
    return found, skipped
