"""A listener that answers nothing twice: what it said is kept in a file, so that a long evaluation goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cogviz.eips import parse
from cogviz.models.listener import Heard, Listener
from cogviz.scoring import claimed_emotion
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
        return [_heard(u, route, text) for u, text in zip(utterances, texts, strict=True)]

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """As `Listener.scores`."""

        def ask(places: list[int]) -> list[Any]:
            return self.listener.scores([utterances[i] for i in places], progress=False).tolist()

        return np.array(self._each("scores", [_sound(u) for u in utterances], ask, progress))

    def read(self, texts: Sequence[str], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        """As `Listener.read`."""
        read: dict[int, Heard] = {}

        def ask(places: list[int]) -> list[Any]:
            found = self.listener.read([texts[i] for i in places], route=route, progress=False)
            read.update(zip(places, found, strict=True))
            return [h.text for h in found]

        said = self._each(f"read {route}", list(texts), ask, progress)
        return [read.get(i) or _heard(_written(text), route, answer) for i, (text, answer) in enumerate(zip(texts, said, strict=True))]

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
        heard = utterance.path.read_bytes()
    else:
        heard = np.ascontiguousarray(utterance.samples, dtype=np.float32).tobytes()
    mark = hashlib.blake2b(heard, digest_size=12).hexdigest()
    return mark if utterance.enrolment is None else f"{mark} {_sound(utterance.enrolment)}"


def _heard(utterance: Utterance, route: str, text: str) -> Heard:
    return Heard(utterance, route, text, parse(text), claimed_emotion(text))


def _written(text: str) -> Utterance:
    return Utterance(id=text, text=text, emotion=None, speaker="", sentence=text, corpus="text")
