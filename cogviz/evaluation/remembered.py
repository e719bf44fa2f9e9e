"""A listener that answers nothing twice: what it said is kept in a file, so that a long evaluation goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cogviz.models.protocol import Heard, Listener, heard, written
from cogviz.utterance import Utterance

AT_ONCE = 128
"""Answers between two writes: so many are lost at most where a run is killed."""


class Remembered:
    """A listener whose answers are kept in `folder`/<name>-<fingerprint>.jsonl.

    An answer is found again by what was asked and by the sound itself, whatever its file is called; another model, or the same with other
    weights (`Listener.fingerprint`), has a file of its own. A line that was half written when a run was killed is asked again.
    """

    def __init__(self, listener: Listener, folder: str | Path) -> None:
        self.listener, self.name, self.fingerprint = listener, listener.name, listener.fingerprint
        self.path = Path(folder) / f"{self.name.replace('/', '--')}-{self.fingerprint[:12]}.jsonl"
        self._known: dict[str, Any] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    key, value = json.loads(line)
                except ValueError:
                    continue
                self._known[key] = value

    def listen(self, utterances: Sequence[Utterance], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """As `Listener.listen`."""

        def ask(places: list[int]) -> list[Any]:
            return [h.text for h in self.listener.listen([utterances[i] for i in places], route=route, progress=False)]

        texts = self._each(f"listen {route}", [_sound(u) for u in utterances], ask, progress)
        return [heard(u, route, text) for u, text in zip(utterances, texts, strict=True)]

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """As `Listener.scores`."""

        def ask(places: list[int]) -> list[Any]:
            return self.listener.scores([utterances[i] for i in places], progress=False).tolist()

        return np.array(self._each("scores", [_sound(u) for u in utterances], ask, progress))

    def read(self, texts: Sequence[str], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """As `Listener.read`."""

        def ask(places: list[int]) -> list[Any]:
            return [[h.text, h.scores] for h in self.listener.read([texts[i] for i in places], route=route, progress=False)]

        said = self._each(f"read {route}", list(texts), ask, progress)
        return [heard(written(text), route, answer, scores=scores) for text, (answer, scores) in zip(texts, said, strict=True)]

    def answer(self, utterances: Sequence[Utterance], question: str | Sequence[str], *, progress: bool = True) -> list[str]:
        """As `Listener.answer`."""
        questions = [question] * len(utterances) if isinstance(question, str) else list(question)

        def ask(places: list[int]) -> list[Any]:
            return self.listener.answer([utterances[i] for i in places], [questions[i] for i in places], progress=False)

        asked = [f"{_sound(u)} {q}" for u, q in zip(utterances, questions, strict=True)]
        return self._each("answer", asked, ask, progress)

    @property
    def responds(self) -> bool:
        """Whether the listener can respond after thoughts that are put into its mouth."""
        return hasattr(self.listener, "respond")

    @property
    def reads_along(self) -> bool:
        """Whether the listener can be given words beside the sound (those that know a few fixed tasks cannot)."""
        return bool(getattr(self.listener, "reads_along", False))

    def respond(self, utterances: Sequence[Utterance], thoughts: Sequence[str], *, progress: bool = True) -> list[str]:
        """As `CogAudioListener.respond`."""

        def ask(places: list[int]) -> list[Any]:
            return self.listener.respond([utterances[i] for i in places], [thoughts[i] for i in places], progress=False)  # type: ignore[attr-defined]

        asked = [f"{_sound(u)} {thought}" for u, thought in zip(utterances, thoughts, strict=True)]
        return self._each("respond", asked, ask, progress)

    def _each(self, what: str, asked: Sequence[str], ask: Callable[[list[int]], list[Any]], progress: bool) -> list[Any]:
        """Return what is known to each question, after asking for the rest; equal questions are asked once."""
        keys = [hashlib.blake2b(f"{what} {question}".encode(), digest_size=12).hexdigest() for question in asked]
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self._known}
        missing = sorted(first.values())
        if missing:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with (
                open(self.path, "a", encoding="utf-8") as file,
                tqdm(total=len(missing), desc=f"{self.name}: {what}", disable=not progress or len(missing) < 32, mininterval=2) as bar,
            ):
                if file.tell() and not self.path.read_bytes().endswith(b"\n"):
                    file.write("\n")
                for start in range(0, len(missing), AT_ONCE):
                    places = missing[start : start + AT_ONCE]
                    for i, value in zip(places, ask(places), strict=True):
                        self._known[keys[i]] = value
                        file.write(json.dumps([keys[i], value], ensure_ascii=False) + "\n")
                    file.flush()
                    bar.update(len(places))
        return [self._known[key] for key in keys]


def _sound(utterance: Utterance) -> str:
    """What identifies a recording, and the one that its speaker is enrolled with: the bytes of the file, or the samples."""
    if utterance.path is not None and utterance.waveform is None:
        content = utterance.path.read_bytes()
    else:
        content = np.ascontiguousarray(utterance.samples, dtype=np.float32).tobytes()
    mark = hashlib.blake2b(content, digest_size=12).hexdigest()
    return mark if utterance.enrolment is None else f"{mark} {_sound(utterance.enrolment)}"
