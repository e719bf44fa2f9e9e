"""What the demo asks of the library: one copy of each model for all visitors, one question at a time, each within its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cogviz import audio, tour
from cogviz.demo.kept import Kept
from cogviz.demo.limits import DIALS, MODELS, SECONDS
from cogviz.demo.sounds import Sounds, as_heard
from cogviz.emotions import EMOTIONS, emotion
from cogviz.evaluation import asking, intensities
from cogviz.lime.world import VocoderError
from cogviz.models import zoo
from cogviz.plotting.meters import followed
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.dominance import Following
    from cogviz.models.listener import CogAudioListener
    from cogviz.models.protocol import Heard

AS_RECORDED = "as recorded"
"""The voice of a recording that is not changed."""

VOICES = (*EMOTIONS, AS_RECORDED)


class Busy(RuntimeError):
    """Raised where a question takes longer than its time, or waited as long for its turn; one sentence."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """What is to be heard: a recording, its neutral one, and what the visitor should know about it."""

    utterance: Utterance
    neutral: Utterance
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Said:
    """What listeners have said of a recording so far.

    Attributes:
        texts: {listener: text}. probabilities: {listener: (7,)}; empty until the answers are whole.
    """

    spoken: Spoken
    texts: dict[str, str]
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether the answers are whole."""
        return bool(self.probabilities)

    def claimed(self, name: str) -> str | None:
        """The emotion that a listener's answer names."""
        return claimed_emotion(self.texts[name])

    def verdict(self, name: str) -> str:
        """Whom a listener's answer follows, a key of `plotting.meters.FOLLOWED`."""
        u = self.spoken.utterance
        return followed(self.claimed(name), voice=u.emotion, words=u.lexical_emotion) if self.done else ""

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain row a listener."""
        u = self.spoken.utterance
        about = {"text": u.text, "voice": u.emotion, "words": u.lexical_emotion, "intensity": u.intensity}
        return [
            {
                **about,
                "model": name,
                "claimed": self.claimed(name),
                "followed": self.verdict(name),
                "answer": text,
                "probabilities": named(self.probabilities.get(name)),
            }
            for name, text in self.texts.items()
        ]


@dataclass(frozen=True, eq=False)
class Dialled:
    """A sentence at rising intensity: `made` recordings, {listener: (levels, 7) probabilities}, and what `plotting.threshold.dial` draws."""

    neutral: Utterance
    voice: str
    made: list[Utterance]
    probabilities: dict[str, np.ndarray]
    curves: pd.DataFrame

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain row a listener and level; a threshold that is never reached is None."""
        table = self.curves.assign(threshold=[t if np.isfinite(t) else None for t in self.curves["threshold"]])
        return [
            {**row, "sentence": self.neutral.text, "words_emotion": self.neutral.lexical_emotion, "voice_emotion": self.voice}
            for row in table.astype(object).where(table.notna(), None).to_dict("records")
        ]


class Engine:
    """The models and the sounds.

    Attributes:
        pair: the two listeners that stand side by side. offered: all whose checkpoints are on this machine, and of the same size as these.
        behind: {listener: whom it follows on held-out conflicts}.

    Args:
        models: two variants or checkpoint folders. device: as `device.choose`.
        seconds: time limit of a question. listeners: loaded already (instead of `models`). pool: recordings (default: the shipped ones).
    """

    def __init__(
        self,
        models: Sequence[str] = MODELS,
        *,
        device: str = "cpu",
        seconds: float = SECONDS,
        listeners: Sequence[CogAudioListener] = (),
        pool: Sequence[Utterance] = (),
    ) -> None:
        from cogviz.lime import dataset

        if len(listeners or models) != 2:
            raise ValueError(f"the demo shows two models side by side, got {len(listeners or models)}; for example {' '.join(MODELS)}")
        self.device, self.seconds = device, seconds
        self.sounds = Sounds(pool or dataset.read(tour.samples()))
        self._lock = threading.Lock()
        self._loaded: dict[str, CogAudioListener] = {x.name: x for x in listeners}
        self.recorded: dict[str, Any] = {}  # {listener: states of the shipped recordings}, for `why`
        self._dials: Kept[Dialled] = Kept(most=DIALS)
        self._paths = {} if listeners else {zoo.folder(m).name: str(m) for m in models}
        self.pair: tuple[str, ...] = tuple(self._loaded or self._paths)
        if not listeners:
            sizes = {name.split("-")[0] for name in self.pair}
            beside = [v for v in zoo.VARIANTS if v.split("-")[0] in sizes and (zoo.checkpoints() / v / "config.json").is_file()]
            self._paths |= {v: v for v in beside if v not in self._paths}
        self.offered: tuple[str, ...] = tuple(self._loaded or self._paths)
        self.behind = _behind(self.offered) if not listeners else {}

    def warm(self) -> None:
        """Load the two listeners and let each begin an answer: the first visitor does not wait, and no two threads import the same things."""
        spoken = self.spoken(next(iter(self.sounds.sentences)), "neutral", 1.0)
        answers = self.listen(spoken)
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        with self._turn():
            asking.ask(self._listeners(self.pair), [spoken.utterance])

    def spoken(self, sentence: str, voice: str, k: float | str, own: str | None = None) -> Spoken:
        """Return what is to be heard.

        Args:
            sentence: a label of `sounds.sentences`; not read where there is a recording. voice: of `VOICES`. k: low, mid, high or 0 .. 1.5.
            own: path of a visitor's recording.

        Raises:
            ValueError: (AudioError, UnknownEmotion) one sentence. VocoderError: no voice in the recording that could be changed.
        """
        if voice not in VOICES:
            raise ValueError(f"there is no voice “{str(voice)[:40]}”; choose one of {', '.join(VOICES)}")
        neutral, notices = self.sounds.own(own) if own else (self.sounds.sentence(sentence), ())
        if voice == AS_RECORDED:
            return Spoken(as_heard(neutral) if own else neutral, neutral, notices)
        return Spoken(self.sounds.variant(neutral, voice, k), neutral, notices)

    def listen(self, spoken: Spoken, names: Sequence[str] = (), *, route: str = "reason") -> Iterator[Said]:
        """Let listeners answer side by side, and yield what they have said so far; the last with probabilities."""
        with self._turn() as check:
            heard = self._listeners(names or self.pair)
            said = Said(spoken, {x.name: "" for x in heard})
            for texts in asking.stream(heard, spoken.utterance, route=route):
                check()
                said = Said(spoken, texts)
                yield said
            found = asking.ask(heard, [spoken.utterance])
        yield Said(spoken, said.texts, {name: p[0] for name, p in found.items()})

    def seven(self, sentence: str, k: float | str, own: str | None = None) -> Iterator[dict[str, list[Heard]]]:
        """Let the two listeners answer all seven variants, and yield {listener: answers} after each listener."""
        neutral, _ = self.sounds.own(own) if own else (self.sounds.sentence(sentence), ())
        made = list(self.sounds.seven(neutral, k).values())
        found: dict[str, list[Heard]] = {}
        with self._turn() as check:
            for listener in self._listeners(self.pair):
                found[listener.name] = listener.listen(made, progress=False)
                check()
                yield dict(found)

    def conflict(self, sentence: str, voice: str) -> Dialled:
        """Let a voice grow from neutral to strong against the words, and ask the two listeners at every level."""
        neutral, voice = self.sounds.sentence(sentence), emotion(voice).name
        if voice == "neutral":
            raise ValueError("a neutral voice has no intensity that could grow; choose another emotion for the voice")
        if neutral.lexical_emotion is None:
            raise ValueError(
                "the words of this sentence say nothing that a voice could contradict; choose one whose words carry an emotion"
            )
        return self._dials.get(f"{neutral.id}>{voice}", lambda: self._dialled(neutral, voice))

    def _dialled(self, neutral: Utterance, voice: str) -> Dialled:
        made = self.sounds.rising(neutral, voice)
        with self._turn():
            found = asking.ask(self._listeners(self.pair), made)
        curves = intensities.curves(found, intensities.LEVELS, words=str(neutral.lexical_emotion), voice=voice)
        return Dialled(neutral, voice, made, found, curves)

    def compare(self, first: tuple[Spoken, str], second: tuple[Spoken, str]) -> Iterator[tuple[Said, Said]]:
        """Let a listener answer a recording, and another (or the same) another, and yield both as they go on."""
        gone: list[Said | None] = [None, None]
        for i, (spoken, name) in enumerate((first, second)):
            for said in self.listen(spoken, [name]):
                gone[i] = said
                blank = Said(second[0], {second[1]: ""})
                yield gone[0] or said, gone[1] or blank

    @contextmanager
    def turn(self) -> Iterator[Any]:
        """Have the models to oneself; what is given is called now and then, and raises `Busy` when the time is up."""
        with self._turn() as check:
            yield check

    def listener(self, name: str) -> CogAudioListener:
        """Return one of the listeners on offer, loaded; call it inside `turn`."""
        return self._listeners([name])[0]

    @contextmanager
    def _turn(self) -> Iterator[Any]:
        end = time.monotonic() + self.seconds

        def check() -> None:
            if time.monotonic() > end:
                raise Busy(
                    f"this took longer than {self.seconds:g} s and was stopped; try a shorter recording, or try again when fewer people are here"
                )

        if not self._lock.acquire(timeout=self.seconds):
            raise Busy("the models are answering other visitors; try again in a minute")
        try:
            yield check
        finally:
            self._lock.release()

    def _listeners(self, names: Sequence[str]) -> list[CogAudioListener]:
        from cogviz.models.listener import CogAudioListener

        for name in names:
            if name not in self.offered:
                raise ValueError(f"there is no model “{str(name)[:40]}” here; choose one of {', '.join(self.offered)}")
            if name not in self._loaded:
                loaded = CogAudioListener(self._paths[name], device=self.device)
                loaded.name = name
                self._loaded[name] = loaded
        return [self._loaded[name] for name in names]


def named(p: np.ndarray | None) -> dict[str, float] | None:
    """Return probabilities by the emotions' names, rounded to four places."""
    return None if p is None else {name: round(float(x), 4) for name, x in zip(EMOTIONS, p, strict=True)}


def _behind(names: Sequence[str]) -> dict[str, Following]:
    table = tour.held_out(tour.checkpoint_folders([n for n in names if n in zoo.VARIANTS]))
    found = {name: tour.held_out_following(table, name) for name in names}
    return {name: f for name, f in found.items() if f is not None}


ERRORS = (ValueError, Busy, VocoderError, audio.AudioError)
"""What a visitor may read: each is one sentence, without a path."""
