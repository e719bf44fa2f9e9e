"""The same sentence in the same tone, from barely to strongly: renderings for the override threshold, and one sentence's answers along them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cogviz import audio
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.parallel import over
from cogviz.evaluation.stimuli import neutrals
from cogviz.lime import prosody, world
from cogviz.utterance import Utterance, Word

if TYPE_CHECKING:
    import pandas as pd

VOICES = tuple(e for e in EMOTIONS if e != "neutral")
"""The emotions that a voice can have more or less of."""

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""k of the renderings: 0 is a neutral reading, 1 what actors call normal, 1.5 what they call strong."""


def render(
    targets: Sequence[Utterance],
    pool: Sequence[Utterance],
    *,
    levels: Sequence[float] = LEVELS,
    jobs: int | None = None,
    progress: bool = True,
) -> list[Utterance]:
    """Render each target anew at every level of intensity, from the neutral variant of its cell; those of one target together.

    Args:
        targets: emotional variants. pool: where their neutral variants are.

    Raises:
        ValueError: a target has no neutral variant. VocoderError: one cannot be taken apart.
    """
    own = neutrals(pool)
    if lacking := [u.id for u in targets if (u.corpus, u.speaker, u.sentence) not in own]:
        raise ValueError(f"{len(lacking)} target(s) have no neutral variant (first: {lacking[0]}), from which other intensities are made")
    work = [(u, own[u.corpus, u.speaker, u.sentence]) for u in targets]
    return [made for item in over(partial(_levels, tuple(levels)), work, what="intensities", jobs=jobs, progress=progress) for made in item]


def neutral_voices(pool: Sequence[Utterance]) -> list[Utterance]:
    """Return the recordings whose voice is neutral and whose words carry an emotion."""
    return [u for u in neutrals(pool).values() if u.lexical_emotion not in (None, "neutral")]


def spoken_as(neutral: Utterance, voice: str) -> Utterance:
    """Return a neutral recording as what it is to become, the same words in another voice: a target for `render` and `at`."""
    return replace(neutral, id=f"{neutral.id}>{voice}", emotion=voice, intensity=1.0)


def analysed(neutral: Utterance) -> world.Analysis:
    """Take a neutral recording apart, without the silence at its ends; raises `VocoderError`."""
    first, last = audio.speech_span(neutral.samples)
    cut = first / audio.RATE
    words = tuple(Word(w.text, max(w.start - cut, 0.0), w.end - cut) for w in neutral.words)
    return world.analyse(neutral.samples[first:last], audio.RATE, words)


def at(analysis: world.Analysis, target: Utterance, k: float) -> Utterance:
    """Render one target at intensity k from its neutral recording that was taken apart; its words are at their new times.

    No pause is put between words, so that recordings whose word times are not known are treated like the others.
    """
    take = str(target.extra.get("take", target.id))
    values = prosody.delta(str(target.emotion), k, speaker=target.speaker, take=take)
    values[list(prosody.PARAMETERS).index("pause")] = 0.0
    made = prosody.render(analysis, values, seed=take)
    extra = {**target.extra, "of": target.id, "edit": f"intensity {k:g}"}
    return replace(target, id=f"{target.id}#k{k:g}", intensity=k, words=made.words, path=None, waveform=made.samples, extra=extra)


def _levels(levels: tuple[float, ...], pair: tuple[Utterance, Utterance]) -> list[Utterance]:
    target, neutral = pair
    analysis = analysed(neutral)
    return [at(analysis, target, k) for k in levels]


def curves(found: Mapping[str, np.ndarray], levels: Sequence[float], *, words: str, voice: str) -> pd.DataFrame:
    """Return what `plotting.threshold.dial` draws of {listener: (levels, 7) probabilities}."""
    import pandas as pd

    parts = []
    for name, p in found.items():
        by_voice, by_words = (p[:, EMOTIONS.index(e)] for e in (voice, words))
        others = np.delete(p, EMOTIONS.index(voice), axis=1).max(axis=1)
        crossing = math.nan if words == voice else first_crossing(levels, by_voice - others)
        parts.append(pd.DataFrame({"model": name, "intensity": levels, "voice": by_voice, "words": by_words, "threshold": crossing}))
    return pd.concat(parts, ignore_index=True)


def first_crossing(levels: Sequence[float], lead: np.ndarray) -> float:
    """Return where `lead` (levels,) first rises above 0, on a straight line between levels; the first level where it starts above, infinite
    where it never is."""
    ahead = np.flatnonzero(lead > 0)
    if not len(ahead):
        return math.inf
    i = int(ahead[0])
    if i == 0:
        return float(levels[0])
    share = -lead[i - 1] / (lead[i] - lead[i - 1])
    return float(levels[i - 1] + share * (levels[i] - levels[i - 1]))
