"""How a response is spoken: from the emotion of the speaker to the voice of whoever answers, and from there to sound.

A good listener does not throw back what it hears. Joy, surprise and sorrow are shared; anger and fear are met calmly, so that they do not climb.
`RESPONSES` says which, and why. A style is written into an answer as text (`<voice>sad, clearly: slow and soft</voice>`), and `speak` makes it
sound: a neutral reading of the response, which may be any text, moved by the same rules as the speech of the data (`lime.prosody`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cogviz.audio import RATE
from cogviz.eips import Answer
from cogviz.emotions import EMOTIONS, INTENSITIES, emotion, intensity
from cogviz.lime import prosody, voices, world
from cogviz.lime.annotate import CUES, DEGREES
from cogviz.lime.prosody import FACTORS, PARAMETERS
from cogviz.utterance import Word

VOICE = "neural-f6"
"""Who speaks the responses: a natural voice of the validation split, so that no model was trained on it and none is tested on it."""


class StyleError(ValueError):
    """Raised for a style that nobody knows, or that cannot be spoken; the message says what to do."""


@dataclass(frozen=True)
class Style:
    """A way to speak.

    Attributes:
        emotion: one of the seven.
        degree: low, mid or high; of neutral always "mid", which changes nothing.
        cues: words of `lime.annotate.CUES` such as "slow" and "soft": each holds of the sound whatever the emotion alone would do.
    """

    emotion: str = "neutral"
    degree: str = "mid"
    cues: tuple[str, ...] = ()


NEUTRAL = Style()

RESPONSES: dict[str, tuple[str, tuple[str, str, str], tuple[str, ...]]] = {
    # Nothing is asked of the voice but to be clear.
    "neutral": ("neutral", ("mid", "mid", "mid"), ()),
    # Good news is shared with energy (Gable, Reis, Impett & Asher 2004, J. Pers. Soc. Psychol. 87: the active-constructive response is the one that
    # does people good). But never strongly: strong joy is loud and pressed, and was taken for anger in 49 of 70 responses (docs/decisions.md).
    "happy": ("happy", ("mid", "mid", "mid"), ("lively",)),
    # Sorrow is shared, and never with more of it than the speaker may have; physicians who bring bad news are felt to be kind when they lower
    # their pitch and slow down (McHenry, Parker, Baile & Lenzi 2012, Support. Care Cancer 20).
    "sad": ("sad", ("mid", "mid", "mid"), ("slow", "soft")),
    # Anger answered with anger climbs: a calm voice belongs to de-escalation (Richmond et al. 2012, West. J. Emerg. Med. 13).
    "angry": ("neutral", ("mid", "mid", "mid"), ("low", "slow")),
    # Fear is caught from a frightened voice (Hatfield, Cacioppo & Rapson 1994, Emotional Contagion), and so is calm: soft and slow, as one speaks
    # to a child at night.
    "fear": ("neutral", ("mid", "mid", "mid"), ("soft", "slow")),
    # Agreeing that it is foul takes as much of the same voice as there is reason for; more would mock (no study that we know of).
    "disgust": ("disgust", ("low", "mid", "mid"), ()),
    # "Really?" in a flat voice says that one does not care: surprise is shared, as joy is, and never strongly, which sounds like alarm.
    "surprise": ("surprise", ("mid", "mid", "mid"), ()),
}
"""Emotion of the speaker -> (emotion of the answer, its degree where the speaker's is low, mid and high, cues)."""


def style_for(heard: str, strength: str | float = "mid") -> Style:
    """Return the style in which a good listener answers somebody who sounds `heard`, at an intensity of low, mid, high or 0 .. 1.5."""
    name, degrees, cues = RESPONSES[emotion(heard).name]
    k = intensity(strength)
    return Style(name, degrees[0 if k < 0.75 else 1 if k < 1.25 else 2], cues)


def render(style: Style) -> str:
    """Return the text form of a style, as "sad, clearly: slow and soft"; neutral is "calm" and has no degree."""
    named = emotion(style.emotion).adjective + ("" if style.emotion == "neutral" else f", {DEGREES[style.degree]}")
    return f"{named}: {' and '.join(style.cues)}" if style.cues else named


_WRITTEN = re.compile(
    rf"(?P<named>{'|'.join(emotion(e).adjective for e in EMOTIONS)})"
    rf"(?:, (?P<degree>{'|'.join(DEGREES.values())}))?"
    r"(?:: (?P<cues>.+))?"
)


def parse(text: str) -> Style | None:
    """Read the text form; None where it is not exactly that: an unknown word, a degree of neutral or none of another, a cue twice."""
    if (found := _WRITTEN.fullmatch(" ".join(text.split()))) is None:
        return None
    named = next(e for e in EMOTIONS if emotion(e).adjective == found["named"])
    if (named == "neutral") != (found["degree"] is None):
        return None
    degree = next((name for name, said in DEGREES.items() if said == found["degree"]), "mid")
    cues = tuple(found["cues"].split(" and ")) if found["cues"] else ()
    if len(set(cues)) < len(cues) or not set(cues) <= {word for *_, word in CUES}:
        return None
    return Style(named, degree, cues)


def values(style: Style, factors: Iterable[str] = FACTORS) -> np.ndarray:
    """Return the parameters (P,) of `prosody.render` that a style asks for: those of the mean actor, and at least what each cue claims.

    Args:
        factors: those of `prosody.FACTORS` that are switched on; the others stay as in the neutral reading, cues and all.

    Raises:
        StyleError: an unknown emotion, degree or cue.
    """
    chosen, limits = set(factors), {word: (parameter, limit) for parameter, limit, word in CUES}
    if style.emotion not in EMOTIONS or style.degree not in INTENSITIES or (unknown := [c for c in style.cues if c not in limits]):
        what = next(iter(unknown), "") if style.emotion in EMOTIONS and style.degree in INTENSITIES else f"{style.emotion}, {style.degree}"
        raise StyleError(f"unknown style ({what}); an emotion of {', '.join(EMOTIONS)}, low, mid or high, and cues of {', '.join(limits)}")
    k = 0.0 if style.emotion == "neutral" else intensity(style.degree)
    found = prosody.delta(style.emotion, k, variation=0.0, factors=chosen)
    for parameter, limit in (limits[cue] for cue in style.cues):
        if PARAMETERS[parameter] in chosen:
            place = list(PARAMETERS).index(parameter)
            found[place] = (max if limit > 0 else min)(found[place], limit)
    return found


@dataclass(frozen=True, eq=False)
class Spoken:
    """A response that was spoken: samples (n,) float32 in [-1, 1] at `rate` Hz, the times of its words, how, and by whom."""

    samples: np.ndarray
    rate: int
    words: tuple[Word, ...]
    style: Style
    voice: str

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


def speak(
    response: str,
    styles: Style | str | Sequence[Style | str] = NEUTRAL,
    *,
    voice: voices.Voice | str = VOICE,
    factors: Iterable[str] = FACTORS,
) -> list[Spoken]:
    """Speak a response in one style or in several: it is read once, neutrally, and moved.

    The same response, style and voice give the same samples. They are as loud as the speech of the data: neutral speech at
    `prosody.BASE_LEVEL`, louder and softer by what the style asks for.

    Args:
        response: any English text.
        styles: as `Style` or in the text form.
        voice: one of `voices.voices()`, or its id.
        factors: switches, as in `values`.

    Raises:
        StyleError: nothing to say, an unknown style, or a text that the voice says nothing for.
        VoiceError: an unknown voice, or its synthesizer is missing.
    """
    if not any(map(str.isalnum, response)):
        raise StyleError("the response is empty: there is nothing to speak; give it at least one word")
    wanted = [styles] if isinstance(styles, (Style, str)) else list(styles)
    read = [parse(s) if isinstance(s, str) else s for s in wanted]
    if (wrong := next((w for w, r in zip(wanted, read, strict=True) if r is None), None)) is not None:
        raise StyleError(f"{wrong!r} is no style; write it as {render(style_for('sad'))!r}: an emotion, how strong, and cues")
    known = [style for style in read if style is not None]
    moves = [values(style, factors) for style in known]
    speech = voices.speak(response, voice, moved=False)
    who = voice if isinstance(voice, voices.Voice) else next(v for v in voices.voices() if v.id == voice)
    try:
        analysis = world.analyse(speech.samples, speech.rate, speech.words, f0_near=who.plain_f0)
        analysis = world.move(analysis, semitones=who.pitch_semitones, formants=who.formant_scale, rate=RATE)
        made = [prosody.render(analysis, move, seed=response) for move in moves]
    except world.VocoderError as error:
        raise StyleError(f"{response[:60]!r} cannot be spoken by {who.id}: {error}; give it a longer text or another voice") from None
    return [Spoken(m.samples, RATE, m.words, style, who.id) for m, style in zip(made, known, strict=True)]


def speak_answer(answer: Answer, *, voice: voices.Voice | str = VOICE, factors: Iterable[str] = FACTORS) -> tuple[Spoken, str]:
    """Speak the response of an answer as the answer says, and return it with a note where that was not possible ("" where it was).

    An answer that says nothing of its voice, or something that is no style, is spoken neutrally.

    Raises:
        StyleError, VoiceError: as `speak`.
    """
    style = parse(answer.voice)
    note = ""
    if style is None:
        why = f"{answer.voice!r} is no style" if answer.voice else "the answer does not say how it is to be spoken"
        note = f"{why}: it is spoken neutrally"
    return speak(answer.response, style or NEUTRAL, voice=voice, factors=factors)[0], note
