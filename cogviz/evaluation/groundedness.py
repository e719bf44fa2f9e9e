"""Does the chain say what is in the sound? Its claims about the voice ("loud", "high", "slow") against what is measured in the signal.

A claim agrees where the signal differs from the speaker's neutral reading in the claimed direction by at least `NOTICED`. Chance is what the same
claims would score on the other sounds of the table.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cogviz import audio, statistics
from cogviz.evaluation.claims import KINDS, Claim, claims
from cogviz.evaluation.parallel import over
from cogviz.evaluation.stimuli import neutrals
from cogviz.lime import world
from cogviz.lime.measure import measure
from cogviz.lime.prosody import BAND_EDGES, NOISE_EDGES
from cogviz.scoring import heard_words, normalised_words, word_recall
from cogviz.statistics import MIN_SENTENCES, Estimate
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table
    from cogviz.models.listener import Heard

COLUMNS = ("perception", "text", "sentence", "speaker")

NOTICED: Mapping[str, float] = {
    "ending": 1.0,  # semitones of the last 250 ms against the median; as pitch
    "loudness": 1.0,  # dB: Zwicker & Fastl 1999
    "tempo": 0.07,  # octaves of letters a second, 5%: Quené 2007
    "melody": 0.1,  # octaves of the F0 range in semitones
    "pitch": 1.0,  # semitones of the median; less than what is noticed in running speech, 1.5 (Rietveld & Gussenhoven 1985) to 3 ('t Hart 1981)
    "breathiness": 0.5,  # dB of aperiodicity
    "brightness": 1.0,  # dB above 920 Hz against below; as loudness
    "roughness": 0.1,  # octaves of the F0 movement that is faster than 100 ms: jitter and tremor
}
"""The least difference from neutral that makes a claim of a kind true, and the unit in which the kind is measured."""


def perception(heard: Heard) -> str:
    """Return where an answer may claim something of the sound: its perception step or explanation, all of a text in another form, "" without a
    thought."""
    return heard.text if heard.answer is None else heard.answer.perceived


# --- what is in the signal -------------------------------------------------------------------------------------------------------------------


def relative(
    utterances: Sequence[Utterance], pool: Sequence[Utterance] = (), *, jobs: int | None = None, progress: bool = True
) -> pd.DataFrame:
    """Measure how each utterance differs from its speaker's neutral reading of the same sentence, or else from the mean of their neutral ones.

    A neutral reading that is its own reference differs in nothing: there every claim is wrong. About 0.7 s of one core a recording.

    Args:
        pool: where neutral recordings are; the utterances themselves are searched too.

    Returns:
        (N, 8), the kinds of `claims.KINDS` in their units. NaN where a recording cannot be taken apart or its speaker has no neutral one.
    """
    import pandas as pd

    own = neutrals([*pool, *utterances])
    of_speaker: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for (corpus, speaker, _), u in own.items():
        of_speaker[corpus, speaker].append(u)
    readings = [
        [own[u.corpus, u.speaker, u.sentence]] if (u.corpus, u.speaker, u.sentence) in own else of_speaker[u.corpus, u.speaker]
        for u in utterances
    ]
    needed = {u.id: u for u in [*utterances, *(r for of_one in readings for r in of_one)]}
    measured = dict(zip(needed, over(_absolute, list(needed.values()), what="measuring", jobs=jobs, progress=progress), strict=True))
    rows = []
    for u, of_one in zip(utterances, readings, strict=True):
        found = [measured[r.id] for r in of_one if np.isfinite(measured[r.id][0])]
        rows.append(measured[u.id] - np.mean(found, axis=0) if found else np.full(len(KINDS), np.nan))
    return pd.DataFrame(np.reshape(rows, (len(utterances), len(KINDS))), columns=list(KINDS))


def _absolute(utterance: Utterance) -> np.ndarray:
    """(8,) the kinds of `claims.KINDS` in a recording; NaN where there is too little voice to measure."""
    try:
        analysis = world.analyse(audio.without_silence(utterance.samples), audio.RATE)
    except world.VocoderError:
        return np.full(len(KINDS), np.nan)
    if (analysis.f0 > 0).sum() < 60:  # 0.3 s
        return np.full(len(KINDS), np.nan)
    found = measure(analysis)
    letters = max(sum(map(len, normalised_words(utterance.text))), 1)

    def power(edges: Sequence[float]) -> float:
        return sum(10 ** (found[f"band_{low}"] / 10) for low in edges)

    kinds = {
        "ending": found["f0_final"],
        "loudness": found["level"],
        "tempo": math.log2(letters) - found["duration"],
        "melody": found["f0_range"],
        "pitch": found["f0_level"],
        "breathiness": float(np.mean([found[f"noise_{low}"] for low in NOISE_EDGES[:-1]])),
        "brightness": 10 * math.log10(power([e for e in BAND_EDGES[:-1] if e >= 920]) / power([e for e in BAND_EDGES if e < 920])),
        "roughness": found["micro"],
    }
    return np.array([kinds[kind] for kind in KINDS])


# --- the measure -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Groundedness:
    """Whether what the chain says of the sound is so.

    Attributes:
        agree: share of claims that agree with the signal; chance is what they would score on the other sounds of the table.
        lift: agree - chance, claim by claim: 0 for claims that have nothing to do with their sound.
        kinds: kind of claim -> share that agrees, where there is any.
        claims: claims an item.
        transcript: share of the words that are said and quoted; chance is the share of another sentence's words.
        unmeasured: claims on sounds that could not be measured; they are left out.
        sentences: number of distinct sentences with a claim.
    """

    agree: Estimate
    lift: Estimate
    kinds: dict[str, Estimate]
    claims: Estimate
    transcript: Estimate
    unmeasured: int
    sentences: int

    @property
    def verdict(self) -> str:
        """Return "grounded", "contradicts the sound" or "undecided": where the lift's interval excludes 0 and there are `MIN_SENTENCES`."""
        if self.sentences < MIN_SENTENCES:
            return "undecided"
        return "grounded" if self.lift.low > 0 else "contradicts the sound" if self.lift.high < 0 else "undecided"


def groundedness(table: Table) -> Groundedness:
    """Compare what perception steps claim with what was measured.

    Args:
        table: the columns `COLUMNS` and those of `relative`, one row an item. `text` is what is said.

    Raises:
        ValueError: a column is missing, or no perception claims anything that was measured.
    """
    import pandas as pd

    frame = pd.DataFrame(table).reset_index(drop=True)
    if missing := [name for name in (*COLUMNS, *KINDS) if name not in frame.columns]:
        raise ValueError(f"the table lacks the column(s) {', '.join(missing)}; it needs {', '.join(COLUMNS)} and those of `relative`")
    made = [claims(text) for text in frame.perception]
    rows = [
        (i, claim.kind, *_agrees(frame[claim.kind].to_numpy(dtype=float), i, claim)) for i, of_item in enumerate(made) for claim in of_item
    ]
    every = pd.DataFrame(rows, columns=["item", "kind", "agrees", "chance"])
    found = every.dropna().join(frame[["sentence", "speaker"]], on="item")
    if found.empty:
        raise ValueError(
            f"none of {len(frame)} perceptions claims anything of the sound that was measured, beside another sound to compare with"
        )
    said = frame.perception.map(heard_words)
    recall = np.array([word_recall(text, quoted) for text, quoted in zip(frame.text, said, strict=True)])
    return Groundedness(
        agree=_mean(found, found.agrees, float(found.chance.mean())),
        lift=_mean(found, found.agrees - found.chance, 0.0),
        kinds={str(kind): _mean(part, part.agrees, float(part.chance.mean())) for kind, part in found.groupby("kind", sort=False)},
        claims=_mean(frame, [len(of_item) for of_item in made]),
        transcript=_mean(frame, recall, _recall_of_others(frame.text.tolist(), said.tolist(), frame.sentence.tolist())),
        unmeasured=len(every) - len(found),
        sentences=found.sentence.nunique(),
    )


def _agrees(measured: np.ndarray, item: int, claim: Claim) -> tuple[float, float]:
    """Return whether a claim agrees with its sound (NaN: not measured), and the share of the other sounds with which it would."""
    hits = np.where(np.isfinite(measured), claim.direction * measured >= NOTICED[claim.kind], np.nan)
    others = np.delete(hits, item)
    others = others[np.isfinite(others)]
    return float(hits[item]), float(others.mean()) if len(others) else math.nan


def _recall_of_others(texts: list[str], said: list[str], sentences: list[str]) -> float | None:
    """Return the mean recall of each quoted transcript against one other sentence of the table, drawn at random; None where there is none."""
    draw = np.random.default_rng(0)
    different = {sentence: text for sentence, text in zip(sentences, texts, strict=True)}
    if len(different) < 2:
        return None
    names = list(different)
    others = [different[names[(names.index(sentence) + draw.integers(1, len(names))) % len(names)]] for sentence in sentences]
    return float(np.mean([word_recall(text, quoted) for text, quoted in zip(others, said, strict=True)]))


def _mean(part: pd.DataFrame, values: Sequence[float] | pd.Series, chance: float | None = None) -> Estimate:
    sentences, speakers = part.sentence.astype(str).tolist(), part.speaker.astype(str).tolist()
    return statistics.mean(np.asarray(values, dtype=float), sentences=sentences, speakers=speakers, chance=chance)
