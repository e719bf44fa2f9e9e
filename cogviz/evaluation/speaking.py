"""Is what a model writes spoken as it should be? An ear that shares nothing with the model listens to the model's own output.

The ear knows functionals of the sound alone (`recognisers.functionals`) and learned from LIME speech of *other* voices. It hears a recording relative
to the neutral speech of its voice, as a listener who knows the voice would. What it hears is held against the emotion that the text of the response
calls for (a judge of responses tells which emotion it answers to, `lime.style` how a good listener says such an answer), and against the style that
the model wrote. The controls are spoken by the same voice: the same responses without any style, and each in the style of another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cogviz.eips import Answer
from cogviz.evaluation.recognisers import acoustic_features, functionals
from cogviz.evaluation.results import named
from cogviz.lime import style
from cogviz.lime.prosody import FACTORS
from cogviz.statistics import Estimate, marginal_chance, mean
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table

CLEAR = 0.9
"""Intensity from which on an emotion can be heard by somebody who is to learn it."""

REFERENCES = 24
"""Neutral recordings that a voice is heard relative to."""


class Judge(Protocol):
    """Tells which emotion a response answers to; see `training.rewards.evaluation_judge`."""

    def tell(self, responses: Sequence[str]) -> list[str]:
        """The emotion that each response answers to."""
        ...


@dataclass(frozen=True, eq=False)
class Ear:
    """Tells the emotion of recordings from their sound.

    Attributes:
        classifier: of differences from the voice's neutral speech, in units of `spread`, (D,). voices: whom it learned from.
    """

    classifier: Any
    spread: np.ndarray
    voices: tuple[str, ...]

    def hear(self, features: np.ndarray, neutral: np.ndarray) -> list[str]:
        """Name the emotion of each recording. features: (N, D) `recognisers.functionals`; neutral: (M, D) of neutral speech of the same voice."""
        return [str(e) for e in self.classifier.predict((np.asarray(features) - np.asarray(neutral).mean(axis=0)) / self.spread)]


def train_ear(
    utterances: Sequence[Utterance], *, without: str = style.VOICE, each: int = 12, seed: int = 0, jobs: int = 1, progress: bool = True
) -> Ear:
    """Train an ear on the clear speech of every voice but one.

    Args:
        utterances: of a LIME dataset. Those at low intensity, and those with a factor of prosody switched off, are left out.
        without: the voice that it is to hear. each: utterances of a voice in an emotion, at most.

    Raises:
        ValueError: no other voice with neutral speech, or fewer than two emotions.
    """
    from sklearn.linear_model import LogisticRegression

    cells: dict[tuple[str, str], list[Utterance]] = {}
    for u in utterances:
        whole = set(u.extra.get("factors") or FACTORS) == set(FACTORS)  # type: ignore[call-overload]
        if u.emotion is not None and u.speaker != without and whole and (u.emotion == "neutral" or u.intensity >= CLEAR):
            cells.setdefault((u.speaker, u.emotion), []).append(u)
    known = {speaker for speaker, emotion in cells if emotion == "neutral"}
    draw = np.random.default_rng(seed)
    chosen = [
        u
        for (speaker, _), of in sorted(cells.items())
        if speaker in known
        for u in (of[i] for i in sorted(draw.permutation(len(of))[:each]))
    ]
    emotions = np.array([u.emotion for u in chosen])
    if len(set(emotions)) < 2:
        raise ValueError(f"an ear needs neutral speech and one emotion more of a voice other than {without}; give it a LIME dataset")
    speakers = np.array([u.speaker for u in chosen])
    found = acoustic_features(chosen, jobs=jobs, progress=progress)
    for speaker in known:
        found[speakers == speaker] -= found[(speakers == speaker) & (emotions == "neutral")].mean(axis=0)
    spread = found.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    classifier = LogisticRegression(C=0.1, max_iter=3000, class_weight="balanced").fit(found / spread, emotions)
    return Ear(classifier, spread, tuple(sorted(known)))


def listen_back(
    answers: Sequence[Answer | None],
    utterances: Sequence[Utterance],
    ear: Ear,
    *,
    judge: Judge,
    reference: Sequence[str],
    voice: str = style.VOICE,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Speak each response, in the style that its answer says, and let the ear hear it. Also without a style, and in that of another answer.

    Args:
        answers: to `utterances`; None where one was not in its form.
        reference: other responses, whose neutral readings say how the voice sounds; `REFERENCES` of them are drawn. They should be of the same kind:
            statements alone are no measure for questions and exclamations.

    Returns:
        A row an answer: id, sentence, speaker, voice (the user's), response, written (the style), calls (the emotion that the text calls for), and
        what the ear hears: sounds, plain, other. Where an answer has no response, or none that can be spoken, what was heard is "".

    Raises:
        ValueError: the ear knows the voice that it is to hear.
    """
    import pandas as pd
    from tqdm import tqdm

    if voice in ear.voices:
        raise ValueError(f"this ear learned from {voice}, which it is to hear; train it without that voice")
    draw = np.random.default_rng(seed)
    texts = list(dict.fromkeys(reference))
    plain = np.array([_heard(style.speak(texts[i], voice=voice)[0]) for i in draw.permutation(len(texts))[:REFERENCES]])
    called = judge.tell([a.response if a else "" for a in answers])
    written = [(style.parse(a.voice) if a else None) for a in answers]
    others = [written[i] for i in draw.permutation(len(written))]
    rows = []
    whole = zip(answers, utterances, written, others, called, strict=True)
    for answer, utterance, own, other, emotion in tqdm(whole, total=len(answers), desc="listening back", disable=not progress):
        heard = ["", "", ""]
        if answer is not None:
            try:
                spoken = style.speak(answer.response, [own or style.NEUTRAL, style.NEUTRAL, other or style.NEUTRAL], voice=voice)
                heard = ear.hear(np.array([_heard(s) for s in spoken]), plain)
            except ValueError:  # what cannot be spoken is not heard
                pass
        rows.append(
            {
                "id": utterance.id,
                "sentence": utterance.sentence,
                "speaker": utterance.speaker,
                "voice": utterance.emotion,
                "response": answer.response if answer else "",
                "written": style.render(own) if own else "",
                "writes": own.emotion if own else "",
                "calls": style.style_for(emotion).emotion if answer else "neutral",
                **dict(zip(("sounds", "plain", "other"), heard, strict=True)),
            }
        )
    return pd.DataFrame(rows)


def _heard(spoken: style.Spoken) -> list[float]:
    return list(functionals(spoken.samples).values())


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far what is written and how it is spoken agree, in shares of the answers; what could not be read or spoken agrees with nothing.

    Attributes:
        with_text: it sounds as the text of the response calls for. with_style: as the style that the model wrote. style_with_text: the style that was
            written is what the text calls for.
        plain, other: the controls: with the text, spoken without a style, and in the style of another answer.
        by_emotion: `with_text` for each emotion that a text calls for. Chance is prediction-marginal everywhere.
        confusion: answers that call for (rows) and sound like (columns).
    """

    with_text: Estimate = field(metadata=named("spoken_as_text_calls_for"))
    with_style: Estimate = field(metadata=named("spoken_as_style_says"))
    style_with_text: Estimate = field(metadata=named("style_as_text_calls_for"))
    plain: Estimate = field(metadata=named("spoken_plainly"))
    other: Estimate = field(metadata=named("spoken_in_another_style"))
    by_emotion: dict[str, Estimate] = field(metadata=named("spoken_as_text_calls_for"))
    confusion: pd.DataFrame


def agreement(table: Table) -> Agreement:
    """Measure a table of `listen_back`."""
    import pandas as pd

    frame = pd.DataFrame(table)

    def share(of: str, truth: str, rows: pd.DataFrame = frame, chance: bool = True) -> Estimate:
        right = ((rows[of] == rows[truth]) & (rows[of] != "")).to_numpy(dtype=float)
        expected = marginal_chance(rows[truth].astype(str).tolist(), rows[of].astype(str).tolist()) if chance else None
        return mean(right, sentences=rows.sentence.astype(str).tolist(), speakers=rows.speaker.astype(str).tolist(), chance=expected)

    return Agreement(
        with_text=share("sounds", "calls"),
        with_style=share("sounds", "writes"),
        style_with_text=share("writes", "calls"),
        plain=share("plain", "calls"),
        other=share("other", "calls"),
        by_emotion={str(e): share("sounds", "calls", of, chance=False) for e, of in frame.groupby("calls")},
        confusion=pd.crosstab(frame.calls, frame.sounds),
    )
