"""The word error rate of a model's transcription: errors over words, by hand."""

from __future__ import annotations

import pytest

from cogviz.evaluation import heldout
from cogviz.utterance import Utterance


class Deaf:
    """Repeats the first two words and nothing else."""

    name = "deaf"

    def transcribe(self, utterances: list[Utterance], *, progress: bool = True) -> list[str]:
        return [" ".join(u.text.split()[:2]) for u in utterances]


def test_errors_are_counted_over_all_words_and_not_by_utterance() -> None:
    spoken = [Utterance(str(i), text, None, "s", f"t{i}", "c") for i, text in enumerate(["Two words.", "There are six words in here."] * 6)]
    row = heldout.transcription(Deaf(), spoken, data="mine", progress=False)  # type: ignore[arg-type]
    assert row["value"] == pytest.approx(4 / 8)
    assert row["low"] < 0.5 < row["high"]
    assert (row["model"], row["measure"], row["n"], row["data"], row["chance"]) == ("deaf", "word_error_rate", 12, "mine", None)
