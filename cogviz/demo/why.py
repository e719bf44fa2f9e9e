"""Looking inside, for one recording: which sound spoke, where the model looked, which layer decides, where the recording lies among others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cogviz.demo.engine import Engine, Spoken, named
from cogviz.emotions import EMOTIONS
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    from cogviz.attribution.attention import Kind, Looks
    from cogviz.attribution.gradients import Attribution
    from cogviz.attribution.words import SpokenWord
    from cogviz.models.listener import CogAudioListener
    from cogviz.probing.patch import Patching
    from cogviz.probing.record import Recording
    from cogviz.projection.embeddings import Map

STEPS = 10
"""Of integrated gradients: enough that the relevance adds up to within a few percent, which the figure's subtitle shows."""

LOOKS: Kind = "gradient_weighted"


@dataclass(frozen=True, eq=False)
class Why:
    """What was found so far; None where it is still to come, or cannot be.

    Attributes:
        answer: the emotion that the model finds likeliest. probabilities: (7,).
        words: relevance by word. no_layers: why there is no `layers`, "" where there is.
    """

    spoken: Spoken
    model: str
    answer: str
    probabilities: np.ndarray
    sound: Attribution | None = None
    words: tuple[SpokenWord, ...] = ()
    looks: Looks | None = None
    layers: Patching | None = None
    no_layers: str = ""
    map: Map | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain row a finding."""
        about = {"model": self.model, "text": self.spoken.utterance.text, "voice": self.spoken.utterance.emotion, "answer": self.answer}
        rows: list[dict[str, Any]] = [{**about, "what": "probabilities", "value": named(self.probabilities)}]
        rows += [
            {
                **about,
                "what": "relevance",
                "word": w.text,
                "start": round(w.start, 3),
                "end": round(w.end, 3),
                "value": round(w.relevance, 4),
            }
            for w in self.words
        ]
        if self.looks is not None:
            rows += [
                {**about, "what": "attention", "segment": name, "value": round(e.value, 4), "chance": e.chance}
                for name, e in self.looks.share.items()
            ]
        if self.layers is not None:
            from cogviz.probing.effects import log_odds

            f = self.layers
            base, donor, patched = (log_odds(x, f.moves)[0] for x in (f.base, f.donor, f.patched))
            rows += [
                {**about, "what": "patching", "site": site, "segment": c, "value": _share(patched[i, j], base, donor)}
                for i, site in enumerate(f.sites)
                for j, c in enumerate(f.columns)
            ]
        return rows


def why(engine: Engine, spoken: Spoken, model: str) -> Iterator[Why]:
    """Look inside a model that hears a recording, and yield what was found after each look."""
    from cogviz.attribution import attention, gradients, words
    from cogviz.attribution.targets import Emotion
    from cogviz.probing import patch
    from cogviz.probing.pairs import Pair

    u = spoken.utterance
    calm = None if u.emotion in (None, "neutral") else engine.sounds.variant(spoken.neutral, "neutral", 0.0)
    question = Emotion("voice") if u.emotion else Emotion()
    if u.emotion and u.lexical_emotion not in (None, "neutral", u.emotion):
        question = Emotion("voice", against="words")
    with engine.turn() as check:
        listener = engine.listener(model)
        found = _first(listener, spoken)
        yield found
        sound = gradients.attribute(
            listener, [u], over="mel", question=question, references=None if calm is None else [calm], steps=STEPS, progress=False
        )
        check()
        try:
            by_word = tuple(words.by_word(sound)[0])
        except ValueError:  # its frames say no words
            by_word = ()
        words.tracks.cache_clear()  # it would keep a visitor's recording
        found = replace(found, sound=sound, words=by_word)
        yield found
        found = replace(found, looks=attention.looks(listener, [u], kind=LOOKS, question=Emotion(), progress=False))
        check()
        if calm is None:
            found = replace(
                found, no_layers="Choose a voice that is not neutral: a layer decides only where two readings of the same words differ."
            )
        else:
            found = replace(found, layers=patch.patch(listener, [Pair(calm, u, "tone")], control=False, progress=False))
        check()
        yield found
        yield replace(found, map=_place(engine, listener, u))


def _first(listener: CogAudioListener, spoken: Spoken) -> Why:
    p = np.exp(listener.scores([spoken.utterance], progress=False))[0]
    return Why(spoken, listener.name, EMOTIONS[int(p.argmax())], p)


def _place(engine: Engine, listener: CogAudioListener, u: Utterance) -> Map:
    """Where a recording lies among the shipped ones whose words say nothing; those are heard once for all visitors."""
    from cogviz.probing.record import record
    from cogviz.probing.segments import tones
    from cogviz.projection import embeddings

    known: Recording | None = engine.recorded.get(listener.name)
    if known is None:
        among = [v for v in engine.sounds.pool if v.lexical_emotion is None] or engine.sounds.pool
        known = engine.recorded[listener.name] = record(listener, among, ["connector"], progress=False)
    own = record(listener, [u], ["connector"], progress=False)
    both = replace(
        known,
        utterances=(*known.utterances, u),
        states={"connector": np.concatenate([known.states["connector"], own.states["connector"]])},
        scores=None,
    )
    return embeddings.stages([both], ["connector"], segment="tone" if tones(listener) else "words", method="pca")[0]


def _share(value: Any, base: Any, donor: Any) -> float | None:
    share = (float(value) - float(base)) / (float(donor) - float(base) or 1.0)
    return None if np.isnan(share) else round(share, 4)
