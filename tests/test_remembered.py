"""Kept answers: asked once, found again by the sound, never taken for those of other weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cogviz.emotions import EMOTIONS
from cogviz.evaluation import remembered
from cogviz.evaluation.remembered import Remembered
from cogviz.models.fingerprint import fingerprint
from cogviz.models.protocol import Heard, heard, written
from cogviz.utterance import Utterance


class Counting:
    """Answers with the emotion of the utterance and counts how often it is asked."""

    name, fingerprint = "org/counting", "abc"

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.stop_after = stop_after

    def _note(self, what: str, names: Sequence[str]) -> None:
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += [f"{what} {name}" for name in names]

    def listen(self, utterances: Sequence[Utterance], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        self._note(route, [u.id for u in utterances])
        return [heard(u, route, f"The voice sounds {u.emotion}.") for u in utterances]

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        self._note("scores", [u.id for u in utterances])
        return np.array([np.arange(7) + len(u.id) for u in utterances], dtype=float)

    def read(self, texts: Sequence[str], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        self._note("read", texts)
        return [heard(written(t), route, f"The words are {t}.", scores=dict.fromkeys(EMOTIONS, 0.5)) for t in texts]

    def answer(self, utterances: Sequence[Utterance], question: str | Sequence[str], *, progress: bool = True) -> list[str]:
        self._note("answer", [u.id for u in utterances])
        return [f"{q} {u.id}" for u, q in zip(utterances, question, strict=True)]

    def respond(self, utterances: Sequence[Utterance], thoughts: Sequence[str], *, progress: bool = True) -> list[str]:
        self._note("respond", [u.id for u in utterances])
        return [f"after {thought}" for thought in thoughts]


def spoken(count: int) -> list[Utterance]:
    draw = np.random.default_rng(0)
    return [
        Utterance(f"u{i}", f"text {i}", EMOTIONS[i % 7], "s", "t", "c", waveform=draw.standard_normal(50).astype(np.float32))
        for i in range(count)
    ]


def everything(listener: Remembered, utterances: Sequence[Utterance]) -> tuple:
    reasoned, direct = (listener.listen(utterances, route=r, progress=False) for r in ("reason", "direct"))
    read = listener.read([u.text for u in utterances], progress=False)
    return (
        [(h.utterance, h.route, h.text, h.claimed) for h in (*reasoned, *direct)],
        [(h.utterance.text, h.text, h.scores) for h in read],
        listener.scores(utterances, progress=False).tolist(),
        listener.answer(utterances, [f"q{i % 2}" for i in range(len(utterances))], progress=False),
        listener.respond(utterances, [f"t{i}" for i in range(len(utterances))], progress=False),
    )


def test_what_was_answered_is_not_asked_again_and_comes_back_as_it_was(tmp_path: Path) -> None:
    utterances, first, second = spoken(9), Counting(), Counting()
    whole = everything(Remembered(first, tmp_path), utterances)
    assert len(first.asked) == 6 * len(utterances)
    assert everything(Remembered(second, tmp_path), utterances) == whole
    assert second.asked == []
    assert whole[0][2][3] == "sad"


def test_an_interrupted_evaluation_goes_on_and_asks_for_the_rest_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "AT_ONCE", 3)
    utterances, cut, after = spoken(8), Counting(stop_after=6), Counting()
    with pytest.raises(KeyboardInterrupt):
        Remembered(cut, tmp_path).listen(utterances, progress=False)
    file = Remembered(after, tmp_path).path
    file.write_text(file.read_text()[:-9])  # the last line was half written
    answers = Remembered(after, tmp_path).listen(utterances, progress=False)
    assert [h.claimed for h in answers] == [u.emotion for u in utterances]
    assert len(cut.asked) == 6
    assert after.asked == ["reason u5", "reason u6", "reason u7"]
    assert len(Remembered(after, tmp_path).listen(utterances, progress=False)) == 8
    assert len(after.asked) == 3


def test_a_sound_is_known_by_what_is_heard_and_not_by_its_name(tmp_path: Path) -> None:
    listener = Counting()
    kept = Remembered(listener, tmp_path / "kept")
    one = spoken(1)[0]
    soundfile.write(tmp_path / "a.wav", one.samples, 16000)
    kept.scores([one, replace(one, id="renamed")], progress=False)
    assert len(listener.asked) == 1
    kept.scores([replace(one, id="u0", waveform=one.samples * 0.5), replace(one, enrolment=one)], progress=False)
    assert len(listener.asked) == 3
    on_disk = replace(one, waveform=None, path=tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    kept.scores([on_disk, replace(on_disk, path=tmp_path / "b.wav")], progress=False)
    assert len(listener.asked) == 4


def test_other_weights_have_a_file_of_their_own(tmp_path: Path) -> None:
    utterances, one, other = spoken(2), Counting(), Counting()
    other.fingerprint = "xyz"
    for listener in (one, other):
        Remembered(listener, tmp_path).scores(utterances, progress=False)
    assert len(other.asked) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_a_fingerprint_follows_values_shapes_and_names() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(40, 50)
    before = fingerprint(layer)
    assert before == fingerprint(layer)
    with torch.no_grad():
        layer.weight.add_(1e-3)
    weights = {"a": np.zeros(4), "b": np.ones(3)}
    marks = [before, fingerprint(layer), fingerprint(weights), fingerprint({"a": weights["a"], "c": weights["b"]})]
    marks += [fingerprint({"a": np.zeros((2, 2)), "b": weights["b"]}), fingerprint(weights, "prompt")]
    assert len(set(marks)) == len(marks)
