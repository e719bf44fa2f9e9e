"""Which part of the tone counts, and how much against the words: exact Shapley values over the six factors of a spoken sentence.

The players are the words and the five factors of `cogviz.lime.prosody`. A coalition is a rendering in which the factors outside it are neutral:
the prosody's keep their value in the speaker's neutral reading, and the words are those of another sentence of the same speaker, which carry no
emotion, in the same prosody. So every coalition is speech of the kind that a model knows, not a waveform with holes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cogviz import audio, statistics
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.parallel import over
from cogviz.evaluation.stimuli import draw, neutrals
from cogviz.lime import prosody, world
from cogviz.statistics import MIN_SENTENCES, Estimate
from cogviz.utterance import Utterance

FACTORS = ("words", *prosody.FACTORS)
"""The players. In coalition c, 0 .. 63, factor i is on where bit i of c is 1: 0 is all neutral, 1 the words alone, 62 the whole tone, 63 all."""

COALITIONS = 2 ** len(FACTORS)

_ON = (np.arange(COALITIONS)[:, None] >> np.arange(len(FACTORS))) & 1 == 1
_NOTHING, _WORDS, _TONE, _ALL = 0, 1, COALITIONS - 2, COALITIONS - 1


@dataclass(frozen=True)
class Shapley:
    """What each factor adds to the value of the target, in the value's own unit.

    Attributes:
        factors: factor -> its Shapley value, the mean over items; they sum to `total`.
        total: value of the whole rendering minus that of the neutral reading of the neutral words.
        tone: sum of the five factors of prosody.
        interaction: v(words and tone) - v(words) - v(tone) + v(neither), the Shapley interaction index of the words and the tone as a whole
            (Grabisch & Roubens 1999): 0 where the two add up, above it where they need each other, below it where one makes the other needless.
        shares: factor -> its value over the total; NaN where the interval of the total holds 0, for then there is nothing to share.
        warning: "" or one sentence.
    """

    factors: dict[str, Estimate]
    total: Estimate
    tone: Estimate
    interaction: Estimate
    shares: dict[str, Estimate]
    warning: str = ""


def weights() -> np.ndarray:
    """Return the matrix (6, 64) that turns the values of the coalitions into Shapley values: |S|! (5 - |S|)! / 6! (Shapley 1953)."""
    players = len(FACTORS)
    size = _ON.sum(axis=1)
    joins = np.array([math.factorial(s - 1) * math.factorial(players - s) / math.factorial(players) if s else 0.0 for s in size])
    leaves = np.array([math.factorial(s) * math.factorial(players - s - 1) / math.factorial(players) if s < players else 0.0 for s in size])
    return np.where(_ON.T, joins, -leaves)


def shapley(values: np.ndarray, *, sentences: Sequence[str], speakers: Sequence[str]) -> Shapley:
    """Split the total effect among the factors, exactly.

    Args:
        values: (N, 64), what each coalition of each item is worth (see `worth`, `margin`).
        sentences, speakers: (N,), the clusters of the intervals.

    Raises:
        ValueError: not 64 values an item, or one that is not finite.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] != COALITIONS:
        raise ValueError(f"values have shape {values.shape}; give ({{items}}, {COALITIONS}), one value for each coalition of each item")
    if not np.isfinite(values).all():
        raise ValueError("values hold NaN or infinity; every coalition of every item needs a value")
    mean = partial(statistics.mean, sentences=sentences, speakers=speakers)
    parts = values @ weights().T
    whole = values[:, _ALL] - values[:, _NOTHING]

    def share(part: np.ndarray) -> Estimate:
        def ratio(drawn: np.ndarray) -> float:
            return float(drawn @ part / (drawn @ whole)) if drawn @ whole else math.nan

        return statistics.bootstrap(ratio, len(whole), sentences=sentences, speakers=speakers)

    total = mean(whole, chance=0.0)
    clear = total.low > 0 or total.high < 0
    few = len(set(sentences))
    warning = ""
    if few < MIN_SENTENCES:
        warning = f"{few} sentence(s) are too few for a verdict; give at least {MIN_SENTENCES}"
    elif not clear:
        warning = "the total effect is not clearly different from 0, so there are no shares of it"
    return Shapley(
        factors={f: mean(part, chance=0.0) for f, part in zip(FACTORS, parts.T, strict=True)},
        total=total,
        tone=mean(parts[:, 1:].sum(axis=1), chance=0.0),
        interaction=mean(values[:, _ALL] - values[:, _WORDS] - values[:, _TONE] + values[:, _NOTHING], chance=0.0),
        shares={
            f: share(part) if clear else Estimate(math.nan, math.nan, math.nan, len(whole))
            for f, part in zip(FACTORS, parts.T, strict=True)
        },
        warning=warning,
    )


# --- what a coalition is worth ----------------------------------------------------------------------------------------------------------------


def worth(scores: np.ndarray, targets: Sequence[Utterance], *, probability: bool = False) -> np.ndarray:
    """Return (N, 64) log p of each target's voice emotion, or its probability.

    Args:
        scores: (N * 64, 7) log p of `listener.scores(coalitions(targets, ...))`.
    """
    values = _by_item(scores, targets)[np.arange(len(targets)), :, [EMOTIONS.index(str(u.emotion)) for u in targets]]
    return np.exp(values) if probability else values


def margin(scores: np.ndarray, targets: Sequence[Utterance]) -> np.ndarray:
    """Return (N, 64) log p of the voice's emotion minus that of the words' emotion: above 0 the voice is followed.

    Raises:
        ValueError: the words of a target carry no emotion.
    """
    if silent := [u.id for u in targets if u.lexical_emotion is None]:
        raise ValueError(f"the words of {len(silent)} target(s) carry no emotion (first: {silent[0]}); take sentences whose words do")
    by_words = _by_item(scores, targets)[np.arange(len(targets)), :, [EMOTIONS.index(str(u.lexical_emotion)) for u in targets]]
    return worth(scores, targets) - by_words


def _by_item(scores: np.ndarray, targets: Sequence[Utterance]) -> np.ndarray:
    if np.shape(scores) != (len(targets) * COALITIONS, len(EMOTIONS)):
        raise ValueError(f"{len(targets)} targets have {len(targets) * COALITIONS} coalitions; the scores are of shape {np.shape(scores)}")
    return np.reshape(scores, (len(targets), COALITIONS, len(EMOTIONS)))


# --- the sounds -------------------------------------------------------------------------------------------------------------------------------


def coalitions(
    targets: Sequence[Utterance],
    pool: Sequence[Utterance],
    *,
    folder: Path | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> list[Utterance]:
    """Render the 64 coalitions of each target, those of one target together and in the order of `FACTORS`' bits.

    About 17 MB of samples a target; `extra["of"]` is the target's id and `extra["factors"]` what is on.

    Args:
        targets: emotional variants; each is rendered anew from the neutral variant of its cell, at its emotion and intensity.
        pool: where the neutral recordings are: the cells' own, and a sentence without emotion by each speaker.
        folder: where the sounds are kept as FLAC and found again by a later call; None keeps them in memory.

    Raises:
        ValueError: a target is neutral, or the pool lacks a recording that it needs.
        VocoderError: a neutral recording cannot be taken apart.
    """
    own = neutrals(pool)
    plain: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for (corpus, speaker, _), u in own.items():
        if u.lexical_emotion in (None, "neutral"):
            plain[corpus, speaker].append(u)
    work = []
    for u in targets:
        if u.emotion is None or u.emotion == "neutral":
            raise ValueError(f"{u.id} is neutral: there is no tone in it to take apart; give emotional variants")
        others = [o for o in plain[u.corpus, u.speaker] if o.sentence != u.sentence]
        if (u.corpus, u.speaker, u.sentence) not in own or not others:
            lacking = (
                "neutral reading of another sentence without emotion" if (u.corpus, u.speaker, u.sentence) in own else "neutral variant"
            )
            raise ValueError(f"{u.id}: the pool holds no {lacking} by {u.speaker}")
        work.append((u, own[u.corpus, u.speaker, u.sentence], min(others, key=lambda o: (abs(len(o.text) - len(u.text)), o.id))))
    return [made for item in over(partial(_coalitions, folder), work, what="coalitions", jobs=jobs, progress=progress) for made in item]


def _coalitions(folder: Path | None, item: tuple[Utterance, Utterance, Utterance]) -> list[Utterance]:
    """The 64 coalitions of a target, from its neutral variant and a neutral reading of words without emotion; each is taken apart once."""
    target, own, plain = item
    take = str(target.extra.get("take", target.id))
    key = f"{draw(target.corpus, target.id, own.id, plain.id, target.emotion, target.intensity, take):08x}"
    paths = [None if folder is None else folder / f"{key}-{c:02d}.flac" for c in range(COALITIONS)]
    apart = {} if all(p is not None and p.exists() for p in paths) else {u.id: _taken_apart(u) for u in (own, plain)}
    made = []
    for c, path in enumerate(paths):
        said = own if _ON[c, 0] else plain
        on = [f for f, there in zip(FACTORS, _ON[c], strict=True) if there]
        waveform = None
        if path is None or not path.exists():
            values = prosody.delta(str(target.emotion), target.intensity, speaker=target.speaker, take=take, factors=set(on) - {"words"})
            waveform = prosody.render(apart[said.id], values, seed=take).samples
            if path is not None:
                audio.write(path, waveform)
        made.append(
            replace(
                target,
                id=f"{target.id}#{c:02d}",
                text=said.text,
                lexical_emotion=said.lexical_emotion,
                words=(),
                path=path,
                waveform=waveform if path is None else None,
                extra={**target.extra, "of": target.id, "edit": "coalition", "factors": on},
            )
        )
    return made


def _taken_apart(utterance: Utterance) -> world.Analysis:
    try:
        return world.analyse(audio.without_silence(utterance.samples), audio.RATE, utterance.words)
    except world.VocoderError as error:
        raise world.VocoderError(f"{utterance.id}: {error}") from None
