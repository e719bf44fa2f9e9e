"""The words for a tone, and which of them the tone tokens of an utterance should tell: its emotion, how strong it is, and what stands out."""

from __future__ import annotations

from collections.abc import Sequence

from cogviz.emotions import EMOTIONS, emotion

DEGREES = ("little", "clearly", "strongly")
CUES = ("loud", "soft", "high", "low", "slow", "quick", "rising", "falling", "flat", "lively")
WORDS = (*(emotion(name).adjective for name in EMOTIONS), *DEGREES, *CUES)
SILENT = len(WORDS)
"""The class of a token that has nothing to tell."""


def degree_of(named: str, k: float) -> int | None:
    """Return how strong an emotion is at intensity k, as an index into `DEGREES`; None for neutral, which has no degree."""
    return None if named == "neutral" else 0 if k < 0.75 else 1 if k < 1.25 else 2


def classes(named: str, k: float, heard: Sequence[str], tokens: int) -> list[int]:
    """Return what each of `tokens` tone tokens tells of an utterance, as indices into `WORDS`, or `SILENT`.

    Args:
        named: its emotion. k: its intensity, 0 .. 1.5; neutral has no degree.
        heard: cue words of `lime.annotate.cues`, at most two.
    """
    degree = degree_of(named, k)
    told = [EMOTIONS.index(named), SILENT if degree is None else WORDS.index(DEGREES[degree])]
    told += [WORDS.index(word.split()[0]) for word in heard]
    return (told + [SILENT] * tokens)[:tokens]
