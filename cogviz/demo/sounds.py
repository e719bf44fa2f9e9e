"""What the demo plays: the shipped sentences and a visitor's own recording, each in seven emotions at three intensities."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cogviz import audio
from cogviz.demo.kept import Kept
from cogviz.demo.limits import BYTES, FORGET, KEPT, SENTENCES
from cogviz.emotions import EMOTIONS, INTENSITIES, emotion, intensity
from cogviz.evaluation import intensities, stimuli
from cogviz.lime.world import VocoderError
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    from cogviz.lime.world import Analysis

OWN = "your own recording"
"""What messages call what a visitor uploads or records."""

OWN_CORPUS = "own"


class Sounds:
    """The sentences on offer, and how one is spoken.

    Attributes:
        sentences: {label: neutral recording}. Those whose words carry an emotion come first.
        pool: all shipped recordings. recordings: visitors' own that were taken apart.
    """

    def __init__(self, pool: Sequence[Utterance]) -> None:
        self.pool = list(pool)
        found = [u for u in stimuli.neutrals(self.pool).values() if u.lexical_emotion != "neutral"]
        telling = _one_each(found, lambda u: u.lexical_emotion or "")
        silent = list({u.sentence: u for u in found if u.lexical_emotion is None}.values())[:SENTENCES]
        self.sentences = {u.text: u for u in (*telling, *silent)}
        if not self.sentences:
            raise ValueError("the demo needs neutral recordings; build some with: cogviz lime build data_samples --plan samples")
        self.recordings: Kept[Analysis] = Kept(most=KEPT, seconds=FORGET)
        self._shipped: Kept[Analysis] = Kept()

    @property
    def emotional(self) -> dict[str, Utterance]:
        """The sentences whose words carry an emotion, by label."""
        return {label: u for label, u in self.sentences.items() if u.lexical_emotion}

    def sentence(self, label: str) -> Utterance:
        """Return a neutral recording by its label; raises `ValueError` with what there is."""
        try:
            return self.sentences[label]
        except KeyError:
            raise ValueError(f"there is no sentence “{str(label)[:60]}”; choose one of: {'; '.join(self.sentences)}") from None

    def own(self, path: str) -> tuple[Utterance, tuple[str, ...]]:
        """Read a visitor's recording and return it as a neutral voice, with notices; raises `AudioError`, one sentence without the path."""
        file = Path(path)
        if file.is_file() and file.stat().st_size > BYTES:
            raise audio.AudioError(
                f"{OWN} has {file.stat().st_size / 2**20:.0f} MB; the limit is {BYTES // 2**20} MB: cut it, or save it as FLAC"
            )
        recording = audio.read(file, cut=True, name=OWN)
        name = "own-" + hashlib.sha256(recording.samples.tobytes()).hexdigest()[:16]  # never another visitor's
        spoken = Utterance(name, "", "neutral", "you", name, OWN_CORPUS, intensity=0.0, waveform=recording.samples)
        return spoken, recording.notices

    def variant(self, neutral: Utterance, voice: str, k: float | str) -> Utterance:
        """Return a neutral recording spoken with an emotion at an intensity; neutral itself is rendered too, so that all sound alike."""
        strength = 0.0 if emotion(voice).name == "neutral" else intensity(k)
        return intensities.at(self._analysis(neutral), intensities.spoken_as(neutral, voice), strength)

    def seven(self, neutral: Utterance, k: float | str) -> dict[str, Utterance]:
        """Return the seven variants of a neutral recording, {emotion: variant}."""
        return {name: self.variant(neutral, name, k) for name in EMOTIONS}

    def rising(self, neutral: Utterance, voice: str) -> list[Utterance]:
        """Return a neutral recording spoken with an emotion at every level of `intensities.LEVELS`."""
        return [self.variant(neutral, voice, k) for k in intensities.LEVELS]

    def prepare(self) -> None:
        """Take all sentences on offer apart, so that nobody waits for it."""
        for neutral in self.sentences.values():
            self._analysis(neutral)

    def prepare_own(self, path: str | None) -> None:
        """Take a visitor's recording apart before they ask for a voice; raises `AudioError` as `own` does."""
        if path:
            with suppress(VocoderError):  # said when another voice is asked for
                self._analysis(self.own(path)[0])

    def _analysis(self, neutral: Utterance) -> Analysis:
        kept = self.recordings if neutral.corpus == OWN_CORPUS else self._shipped
        return kept.get(neutral.id, lambda: intensities.analysed(neutral))


def as_heard(recording: Utterance) -> Utterance:
    """Return a visitor's recording as it is, its emotion unknown."""
    return replace(recording, id=f"{recording.id}#as-it-is", emotion=None)


def strength(name: str | float) -> float:
    """Return k of low, mid, high or a number."""
    return INTENSITIES.get(str(name), 0.0) or intensity(name)


def _one_each(found: Sequence[Utterance], key: Callable[[Utterance], str]) -> list[Utterance]:
    """The first of each kind, in the order of the emotions; kinds that are no emotion are left out."""
    first: dict[str, Utterance] = {}
    for u in found:
        first.setdefault(key(u), u)
    return [first[name] for name in EMOTIONS if name in first]
