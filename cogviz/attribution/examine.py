"""Every method on the same utterances, and what makes each of them credible: the table that a command prints."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cogviz.attribution.attention import KINDS, Kind, Looks, looks
from cogviz.attribution.faithfulness import Completeness, Curves, Randomised, agreement, completeness, curves, randomisation
from cogviz.attribution.gradients import METHODS, Attribution, Method, attribute
from cogviz.attribution.paths import Over
from cogviz.attribution.shares import AudioText, ToneWords, audio_text, tone_words
from cogviz.attribution.targets import Emotion, Question
from cogviz.attribution.words import Cues, by_word, cues
from cogviz.evaluation import results
from cogviz.evaluation.stimuli import neutrals
from cogviz.models.protocol import Transparent
from cogviz.probing.segments import tones
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance


@dataclass(frozen=True, eq=False)
class Examined:
    """What methods of attribution say of the same utterances, by method, and whether they can be believed.

    Attributes:
        cues: whether the words that speak are those whose sound changes; of methods over the sound, where references were given.
    """

    attributions: dict[str, Attribution]
    curves: dict[str, Curves]
    completeness: dict[str, Completeness]
    randomised: dict[str, Randomised]
    agreement: dict[str, Estimate]
    cues: dict[str, Cues]

    def rows(self, *, model: str, data: str) -> list[dict[str, Any]]:
        """Return every estimate as a row (see `evaluation.results`)."""
        return results.rows(self, model=model, data=data)


@dataclass(frozen=True, eq=False)
class Shares:
    """Whose answer it is, and where the model looks; `tone_words` is None for a model without places for the tone."""

    tone_words: ToneWords | None
    audio_text: AudioText
    attention: dict[str, Looks]

    def rows(self, *, model: str, data: str) -> list[dict[str, Any]]:
        """Return every estimate as a row (see `evaluation.results`)."""
        return results.rows(self, model=model, data=data)


def examine(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    over: Over = "tokens",
    methods: Sequence[Method] = METHODS,
    question: Question | None = None,
    references: Sequence[Utterance] | None = None,
    steps: int | None = None,
    at_once: int | None = None,
    progress: bool = True,
) -> Examined:
    """Attribute by each method and test it: deletion and insertion, completeness, a randomised model, agreement, the words' sound.

    For the arguments see `gradients.attribute`.
    """
    asked = question or Emotion("voice", against="words")
    found: dict[str, Attribution] = {
        method: attribute(
            listener,
            utterances,
            over=over,
            method=method,
            question=asked,
            references=references,
            steps=steps,
            at_once=at_once,
            progress=progress,
        )
        for method in methods
    }
    spoken = references is not None and over != "text"
    return Examined(
        attributions=found,
        curves={m: curves(listener, a, at_once=at_once, progress=progress) for m, a in found.items()},
        completeness={m: completeness(a) for m, a in found.items()},
        randomised={m: randomisation(listener, a, steps=steps, at_once=at_once, progress=progress) for m, a in found.items()},
        agreement=agreement(list(found.values())) if len(found) > 1 else {},
        cues={m: cues(by_word(a), utterances) for m, a in found.items()} if spoken else {},
    )


def share(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    kinds: Sequence[Kind] = KINDS,
    question: Question | None = None,
    references: Sequence[Utterance] | None = None,
    permutations: int = 6,
    at_once: int | None = None,
    progress: bool = True,
) -> Shares:
    """Measure whose answer it is. For the arguments see `shares` and `attention.looks`."""
    asked = question or Emotion("voice", against="words")
    settings: dict[str, Any] = {"question": asked, "references": references, "at_once": at_once, "progress": progress}
    return Shares(
        tone_words=tone_words(listener, utterances, **settings) if tones(listener) else None,
        audio_text=audio_text(listener, utterances, permutations=permutations, **settings),
        attention={kind: looks(listener, utterances, kind=kind, question=asked, progress=progress) for kind in kinds},
    )


def conflicts(utterances: Sequence[Utterance], count: int, *, seed: int = 0) -> tuple[list[Utterance], list[Utterance]]:
    """Draw conflict items, and the neutral rendering of each: as many of each speaker as can be, no sentence twice.

    Raises:
        ValueError: there is no conflict item with a neutral rendering of the same sentence by the same speaker.
    """
    calm = neutrals(utterances)
    pool = [u for u in utterances if u.congruence == "conflict" and u.emotion != "neutral" and (u.corpus, u.speaker, u.sentence) in calm]
    if not pool:
        raise ValueError("no conflict item has a neutral rendering of its sentence by its speaker; give whole cells, as LIME has")
    order = random.Random(seed).sample(pool, len(pool))
    by_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for u in order:
        by_speaker[u.speaker].append(u)
    chosen: list[Utterance] = []
    used: set[str] = set()
    while len(chosen) < count and any(by_speaker.values()):
        for items in by_speaker.values():
            while items and items[0].sentence in used:
                items.pop(0)
            if items and len(chosen) < count:
                chosen.append(items.pop(0))
                used.add(chosen[-1].sentence)
    return chosen, [calm[u.corpus, u.speaker, u.sentence] for u in chosen]
