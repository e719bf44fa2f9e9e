"""Sentence + voice -> a neutral waveform and the time of every word.

A voice is one of two kinds (see `cogviz.lime.synthesizers`): an espeak-ng formant variant, or the one neural voice moved to another
speaker by shifting its pitch and scaling its formants with the WORLD vocoder (Morise et al., 2016). Speakers are split into train,
validation and test once, here, with both kinds and both sexes in every split.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cogviz.lime import synthesizers, world
from cogviz.lime.synthesizers import Span, Take, VoiceError
from cogviz.utterance import Word

__all__ = ["Speech", "Voice", "VoiceError", "Word", "move", "speak", "voices"]

LEVEL = 10 ** (-26 / 20)  # RMS of every take: -26 dBov, the customary active speech level (ITU-T P.56)
PEAK = 0.9
MARGIN = 0.05  # seconds of silence left on each side
FRAME = 0.01  # seconds; the grid on which silence is looked for
SILENCE = 10 ** (-40 / 20)  # of the loudest frame; below it a frame is silent
PAUSE = 0.06  # seconds; a shorter silence is a stop's closure and stays inside its word
SHORTEST = 0.05  # seconds; WORLD needs a few pitch periods


@dataclass(frozen=True, eq=False)
class Speech:
    """A neutral waveform: float32 mono `samples` (n,) in [-1, 1], `rate` in Hz, one word for every whitespace word of the text."""

    samples: np.ndarray
    rate: int
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Voice:
    """One speaker.

    Attributes:
        id: unique name, the `speaker` of every utterance made with it.
        synthesizer: "espeak" or "neural".
        sex: "female" or "male", as it sounds.
        f0: median fundamental frequency in Hz, measured on neutral sentences.
        split: "train", "validation" or "test".
        variant: espeak-ng's language file and voice variant.
        pitch, pitch_range: espeak-ng, 0 .. 99, where 50 is the variant's own; a range below 50 keeps the reading neutral.
        emphasis: espeak-ng: pre-emphasis y[n] = x[n] - emphasis * x[n - 1], which lifts its weak fricatives.
        speed: espeak-ng: words a minute; neural: 1 is the model's own pace.
        pitch_semitones, formant_scale: how `move` makes the speaker from the synthesizer's plain output; 0 and 1 change nothing.
    """

    id: str
    synthesizer: str
    sex: str
    f0: float
    split: str
    variant: str = ""
    pitch: int = 50
    pitch_range: int = 38
    emphasis: float = 0.6
    speed: float = 1.0
    pitch_semitones: float = 0.0
    formant_scale: float = 1.0

    @property
    def plain_f0(self) -> float:
        """Median F0 in Hz of the synthesizer's plain output, before it is moved."""
        return self.f0 / 2 ** (self.pitch_semitones / 12)


def voices(split: str | None = None, synthesizer: str | None = None) -> list[Voice]:
    """The speakers, in a fixed order; only those of one split or one synthesizer where given."""
    for value, known, name in ((split, ("train", "validation", "test"), "split"), (synthesizer, ("espeak", "neural"), "synthesizer")):
        if value is not None and value not in known:
            raise VoiceError(f"no {name} {value!r}; choose one of {', '.join(known)}")
    return [v for v in _TABLE.values() if split in (None, v.split) and synthesizer in (None, v.synthesizer)]


def speak(text: str, voice: Voice | str, *, moved: bool = True) -> Speech:
    """Speak a sentence neutrally.

    The same text and voice give the same samples, in every process.

    Args:
        text: an English sentence.
        voice: one of `voices()`, its id, or a `Voice` of your own.
        moved: shift pitch and formants to the speaker's. False gives the synthesizer's plain output, for a caller that analyses it
            with WORLD anyway and applies `voice.pitch_semitones` and `voice.formant_scale` while rendering. Word times are the same.

    Returns:
        The waveform at the synthesizer's rate, RMS -26 dBov, peak at most 0.9, with 50 ms of silence on each side.

    Raises:
        VoiceError: no letter in the text, an unknown voice, a missing package, or nothing that can be pronounced.
    """
    text = " ".join(text.split())
    if not any(map(str.isalpha, text)):
        raise VoiceError("there is nothing to say; give a text with at least one word")
    if isinstance(voice, str):
        if voice not in _TABLE:
            raise VoiceError(f"no voice {voice!r}; take an id from voices(), for example {next(iter(_TABLE))!r}")
        voice = _TABLE[voice]
    if voice.synthesizer == "espeak":
        take = synthesizers.espeak(
            text,
            voice=voice.variant,
            pitch=voice.pitch,
            pitch_range=voice.pitch_range,
            speed=round(voice.speed),
            emphasis=voice.emphasis,
        )
    elif voice.synthesizer == "neural":
        take = synthesizers.neural(text, speed=voice.speed)
    else:
        raise VoiceError(f"no synthesizer {voice.synthesizer!r}; choose espeak or neural")
    samples, words = _trim(text, take)
    if moved and (voice.pitch_semitones, voice.formant_scale) != (0.0, 1.0):
        samples = move(samples, take.rate, voice.pitch_semitones, voice.formant_scale, f0_near=voice.plain_f0)
    gain = min(LEVEL / np.sqrt(np.mean(samples**2)), PEAK / np.max(np.abs(samples)))
    return Speech((samples * gain).astype(np.float32), take.rate, words)


def _loud(samples: np.ndarray, rate: int) -> np.ndarray:
    """Which frames of `FRAME` seconds are not silent: bool (frames,)."""
    hop = round(FRAME * rate)
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % hop))
    rms = np.sqrt(np.mean(padded.reshape(-1, hop) ** 2, axis=1))
    return rms > max(SILENCE * rms.max(initial=0.0), 1e-6)


def _trim(text: str, take: Take) -> tuple[np.ndarray, tuple[Word, ...]]:
    """Cut the silence around the speech down to `MARGIN`, and the pauses out of the words.

    The synthesizers give a word everything up to the next one; a pause at a comma belongs to neither, so a border between two
    words that lies in a silence, or close to one, becomes that silence.
    """
    samples, rate = take.samples, take.rate
    loud = np.flatnonzero(_loud(samples, rate)) * round(FRAME * rate) / rate  # start time of every frame with sound
    if not len(loud) or not any(take.spans):
        raise VoiceError(f"the synthesizer finds no word in {text[:60]!r}; give it an English sentence")
    begin, finish = float(loud[0]), min(float(loud[-1]) + FRAME, len(samples) / rate)
    pauses = [(float(a) + FRAME, float(b)) for a, b in pairwise(loud) if b - a - FRAME > PAUSE]

    edges = [[min(max(float(t), begin), finish) for t in span] for span in take.spans if span is not None]
    edges[0][0], edges[-1][1] = begin, finish
    for left, right in pairwise(edges):
        border = (left[1] + right[0]) / 2  # the short gap of a space is shared by its neighbours
        near = [p for p in pauses if p[0] - PAUSE < border < p[1] + PAUSE and left[0] < p[0] and p[1] < right[1]]
        left[1], right[0] = max(near, key=lambda p: p[1] - p[0]) if near else (border, border)

    first, last = round((begin - MARGIN) * rate), round((finish + MARGIN) * rate)
    kept = np.pad(samples, (max(-first, 0), max(last - len(samples), 0)))[max(first, 0) :][: last - first]
    return kept, _words(text, take.spans, edges, first / rate)


def _words(text: str, spans: list[Span], edges: list[list[float]], origin: float) -> tuple[Word, ...]:
    """Words with their times from `origin` on; a word without sound takes the pause where it stands."""
    found, ahead = [], iter(edges)
    previous, upcoming = edges[0][0], next(ahead)
    for name, span in zip(text.split(), spans, strict=True):
        if span is None:
            start, end = previous, max(previous, upcoming[0])
        else:
            start, end = upcoming
            upcoming = next(ahead, [end, end])
        found.append(Word(name, round(float(start - origin), 4), round(float(end - origin), 4)))
        previous = end
    return tuple(found)


def move(samples: np.ndarray, rate: int, semitones: float, formant_scale: float, *, f0_near: float | None = None) -> np.ndarray:
    """Shift the pitch and scale the formants of a voice, with the timing kept.

    WORLD analysis and synthesis: F0 is multiplied, the spectral envelope and the aperiodicity are stretched along frequency
    (Morise, Yokomori and Ozawa 2016, doi:10.1587/transinf.2015EDP7457; Morise 2017 for Harvest).

    Args:
        samples: mono (n,), in [-1, 1].
        rate: Hz.
        semitones: -24 .. 24; 12 is an octave up.
        formant_scale: 0.5 .. 2; 0.85 is a vocal tract 1 / 0.85 as long.
        f0_near: Hz, the voice's usual F0 before it is moved, where it is known (see `world.analyse`).

    Returns:
        float32 (n,), with the RMS of the input.

    Raises:
        VoiceError: shorter than 50 ms, not finite, not mono, or a setting out of range.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or len(samples) < SHORTEST * rate:
        raise VoiceError(f"moving a voice needs one channel of at least {SHORTEST * 1000:.0f} ms, got shape {samples.shape} at {rate} Hz")
    if not np.isfinite(samples).all():
        raise VoiceError("the waveform holds NaN or infinite values; repair the recording first")
    if not (-24 <= semitones <= 24 and 0.5 <= formant_scale <= 2):
        raise VoiceError(f"{semitones} semitones, formants x {formant_scale}: stay within -24 .. 24 and 0.5 .. 2")
    if not samples.any():
        return np.zeros(len(samples), np.float32)
    try:
        wave = world.synthesize(world.move(world.analyse(samples, rate, f0_near=f0_near), semitones=semitones, formants=formant_scale))
    except world.VocoderError as error:
        raise VoiceError(f"the voice cannot be moved: {error}") from error
    wave = np.pad(wave, (0, max(len(samples) - len(wave), 0)))[: len(samples)]
    loudness = np.sqrt(np.mean(wave**2))
    return (wave * (np.sqrt(np.mean(samples.astype(np.float64) ** 2)) / loudness)).astype(np.float32)


def _espeak(id: str, sex: str, f0: float, split: str, variant: str, pitch: int, speed: int, formants: float = 1.0) -> Voice:
    emphasis = 0.8 if sex == "female" else 0.6  # what Whisper understood best
    return Voice(id, "espeak", sex, f0, split, "gmw/" + variant, pitch, emphasis=emphasis, speed=speed, formant_scale=formants)


def _neural(id: str, sex: str, f0: float, split: str, semitones: float, formants: float, speed: float) -> Voice:
    return Voice(id, "neural", sex, f0, split, speed=speed, pitch_semitones=semitones, formant_scale=formants)


# Chosen by how well Whisper tiny.en (greedy) understands them: about 70 espeak-ng settings on ten neutral sentences gave 21; of these ten are
# kept, of both sexes, with 15 .. 28% word errors on 24 other neutral renderings each (docs/decisions.md). The neural voice: 4%.
_TABLE: dict[str, Voice] = {
    v.id: v
    for v in (
        _espeak("espeak-us-m1", "male", 91, "train", "en-US+m1", 50, 145),
        _espeak("espeak-us-m2", "male", 99, "train", "en-US+m2", 50, 145),
        _espeak("espeak-us-storm", "male", 81, "train", "en-US+Storm", 50, 145),
        _espeak("espeak-gb-m6", "male", 99, "train", "en+m6", 50, 145),
        _espeak("espeak-rp-m5", "male", 99, "train", "en-GB-x-rp+m5", 50, 140),
        _espeak("espeak-us-f3-high", "female", 194, "train", "en-US+f3", 45, 140, 0.95),
        _espeak("espeak-us-f2", "female", 192, "train", "en-US+f2", 50, 140, 0.9),
        _espeak("espeak-us-robert", "male", 93, "validation", "en-US+robert", 50, 145),
        _espeak("espeak-us-m3", "male", 102, "test", "en-US+m3", 50, 145),
        _espeak("espeak-us-aunty", "female", 175, "test", "en-US+aunty", 50, 135, 0.95),
        _neural("neural-m1", "male", 97, "train", -12.0, 0.82, 0.95),
        _neural("neural-m3", "male", 110, "train", -9.9, 0.82, 1.0),
        _neural("neural-m5", "male", 123, "train", -7.8, 0.83, 1.08),
        _neural("neural-m7", "male", 136, "train", -6.1, 0.84, 1.03),
        _neural("neural-f1", "female", 164, "train", -3.2, 0.92, 0.95),
        _neural("neural-f3", "female", 186, "train", -1.1, 0.93, 1.0),
        _neural("neural-f4", "female", 194, "train", 0.0, 1.0, 1.0),
        _neural("neural-f5", "female", 207, "train", 1.0, 1.08, 0.93),
        _neural("neural-f7", "female", 235, "train", 3.0, 1.1, 1.0),
        _neural("neural-f9", "female", 260, "train", 5.0, 1.14, 1.05),
        _neural("neural-f10", "female", 275, "train", 5.9, 1.06, 0.97),
        _neural("neural-m4", "male", 116, "validation", -8.8, 0.9, 0.92),
        _neural("neural-f6", "female", 216, "validation", 2.0, 0.97, 1.07),
        _neural("neural-m2", "male", 103, "test", -11.0, 0.89, 1.05),
        _neural("neural-m6", "male", 132, "test", -6.8, 0.89, 0.98),
        _neural("neural-f2", "female", 171, "test", -2.2, 1.0, 1.06),
        _neural("neural-m8", "male", 122, "test", -8.0, 0.95, 1.02),
        _neural("neural-f8", "female", 248, "test", 4.0, 1.03, 0.95),
        _neural("neural-f11", "female", 224, "test", 2.5, 1.04, 1.03),
    )
}
