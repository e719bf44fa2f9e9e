"""Voices: speakers that differ audibly, word times that are right, the same samples everywhere, clear errors."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache

import numpy as np
import parselmouth
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.fft import dct
from scipy.signal import lfilter

from cogviz.lime import synthesizers
from cogviz.lime.voices import PEAK, Speech, Voice, VoiceError, move, speak, voices

SENTENCE = "I never imagined, of all things, that the project would end like this."
SHORT = "The letter came this morning."
ONE_OF_EACH = [voices(synthesizer="espeak")[0].id, voices(synthesizer="neural")[0].id]


@lru_cache(maxsize=64)
def spoken(voice: str, text: str = SENTENCE) -> Speech:
    return speak(text, voice)


def median_f0(speech: Speech) -> float:
    pitch = parselmouth.Sound(speech.samples.astype(float), speech.rate).to_pitch_ac(pitch_floor=60, pitch_ceiling=450)
    frequency = pitch.selected_array["frequency"]
    return float(np.median(frequency[frequency > 0]))


def timbre(speech: Speech) -> np.ndarray:
    """Mean of cepstral coefficients 1 .. 12 (dB) of 24 mel bands below 8 kHz, over the louder half of the frames: (12,)."""
    size = round(0.032 * speech.rate)
    frames = np.lib.stride_tricks.sliding_window_view(speech.samples, size)[:: size // 2] * np.hanning(size)
    frames = frames[np.argsort((frames**2).sum(1))[len(frames) // 2 :]]
    power = np.abs(np.fft.rfft(frames)) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 26)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / speech.rate)
    bands = np.stack([power @ np.maximum(np.interp(bins, edges[i : i + 3], [0, 1, 0]), 0) for i in range(24)], axis=1)
    return dct(10 * np.log10(bands + 1e-9), norm="ortho")[:, 1:13].mean(0)


def digest(job: tuple[str, str]) -> str:
    speech = speak(*job)
    return hashlib.sha256(speech.samples.tobytes() + repr(speech.words).encode()).hexdigest()


def test_table_has_enough_speakers_and_every_split_has_both_kinds_and_sexes() -> None:
    everyone = voices()
    assert len(everyone) >= 24
    assert len({v.id for v in everyone}) == len(everyone)
    assert len(voices(synthesizer="espeak")) >= 10
    assert len(voices(synthesizer="neural")) >= 14
    for split in ("train", "validation", "test"):
        assert {v.synthesizer for v in voices(split)} == {"espeak", "neural"}
        assert {v.sex for v in voices(split)} == {"female", "male"}
    for split in ("train", "test"):
        assert {(v.synthesizer, v.sex) for v in voices(split)} == set(itertools.product(("espeak", "neural"), ("female", "male")))


def distance(a: Speech, b: Speech) -> tuple[float, float]:
    """How far two takes of one sentence are apart: semitones of median F0, dB of timbre."""
    return abs(12 * np.log2(median_f0(a) / median_f0(b))), float(np.linalg.norm(timbre(a) - timbre(b)))


def test_speakers_differ_audibly() -> None:
    """Any two speakers are further apart than two takes of one speaker, in pitch or in timbre.

    The control is one speaker of each kind who says the same sentence 5% faster. The unit of pitch is 1 semitone and that of timbre
    1.5 times the control's distance; the two add up as the sides of a right angle.
    """
    faster = [speak(SHORT, replace(v, speed=1.05 * v.speed)) for v in (voices("train", "espeak")[0], voices("train", "neural")[0])]
    control = [distance(spoken(id, SHORT), take) for id, take in zip(ONE_OF_EACH, faster, strict=True)]
    limit = 1.5 * max(decibels for _, decibels in control)
    assert max(semitones for semitones, _ in control) < 0.67, "the same holds for pitch"

    takes = {v.id: spoken(v.id, SHORT) for v in voices()}
    pitch = {id: 12 * np.log2(median_f0(take)) for id, take in takes.items()}
    colour = {id: timbre(take) for id, take in takes.items()}
    for a, b in itertools.combinations(takes, 2):
        semitones, decibels = abs(pitch[a] - pitch[b]), float(np.linalg.norm(colour[a] - colour[b]))
        assert np.hypot(semitones, decibels / limit) > 1, (a, b, semitones, decibels, limit)
    for v in voices():
        assert abs(pitch[v.id] - 12 * np.log2(v.f0)) < 3, f"{v.id}: the table says {v.f0} Hz"
        assert (v.f0 < 145) == (v.sex == "male"), v.id


@pytest.mark.parametrize("voice", [*ONE_OF_EACH, "espeak-us-f2", "neural-f4"])
def test_a_take_is_trimmed_levelled_and_finite(voice: str) -> None:
    speech = spoken(voice)
    assert speech.samples.dtype == np.float32
    assert speech.samples.ndim == 1
    assert speech.rate in (22050, 24000)
    assert np.isfinite(speech.samples).all()
    assert np.abs(speech.samples).max() <= PEAK + 1e-6
    assert 20 * np.log10(np.sqrt(np.mean(speech.samples**2))) == pytest.approx(-26, abs=0.1)
    edge = speech.samples[: round(0.03 * speech.rate)], speech.samples[-round(0.03 * speech.rate) :]
    assert max(np.abs(e).max() for e in edge) < 0.1 * np.abs(speech.samples).max()
    assert speech.words[0].start == pytest.approx(0.05, abs=0.002)
    assert speech.words[-1].end == pytest.approx(len(speech.samples) / speech.rate - 0.05, abs=0.002)


@pytest.mark.parametrize("voice", ONE_OF_EACH)
@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        "Is it out of the way of the bus at all?",  # espeak-ng joins small words
        "Dr. Smith paid $5 at 7:30 pm, in 1998, for well-known books. She did!",
        "- Wait — I think that this - is  the\tone...",
        "Yes.",
        "“Hello,” she said; (he didn't) answer",
    ],
)
def test_every_whitespace_word_has_a_time_in_order(voice: str, text: str) -> None:
    speech = speak(text, voice, moved=False)
    assert [word.text for word in speech.words] == text.split()
    times = [t for word in speech.words for t in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= len(speech.samples) / speech.rate
    assert all(word.end - word.start > 0.02 for word in speech.words if any(map(str.isalnum, word.text)))


@pytest.mark.parametrize("voice", ONE_OF_EACH)
def test_words_hold_the_sound_and_pauses_do_not(voice: str) -> None:
    speech = speak(SENTENCE, voice, moved=False)

    def level(start: float, end: float) -> float:
        part = speech.samples[round(start * speech.rate) : round(end * speech.rate)]
        return float(20 * np.log10(np.sqrt(np.mean(part**2)) + 1e-9))

    assert all(level(word.start, word.end) > -45 for word in speech.words)
    things, that = speech.words[5:7]
    assert that.start - things.end > 0.05, "the comma makes a pause"
    assert level(things.end + 0.01, that.start - 0.01) < -55
    inside = sum(word.end - word.start for word in speech.words)
    assert inside > 0.8 * (speech.words[-1].end - speech.words[0].start)


@pytest.mark.parametrize("voice", ONE_OF_EACH)
@pytest.mark.parametrize(("text", "place"), [("Now many ships are moving along.", 2), ("We will never allow rain in the city.", 7)])
def test_the_only_hiss_of_a_sentence_lies_inside_its_word(voice: str, text: str, place: int) -> None:
    """Independent of the synthesizers' own times: the strongest energy between 3 and 9 kHz is the "sh" or "s"."""
    speech = speak(text, voice, moved=False)
    size = round(0.02 * speech.rate)
    power = np.abs(np.fft.rfft(speech.samples[: len(speech.samples) // size * size].reshape(-1, size))) ** 2
    frequency = np.fft.rfftfreq(size, 1 / speech.rate)
    high = power[:, (frequency > 3000) & (frequency < 9000)].sum(1)
    strongest = (int(np.argmax(high)) + 0.5) * size / speech.rate
    word = speech.words[place]
    assert word.start - 0.02 <= strongest <= word.end + 0.02


def test_the_plain_output_of_all_neural_speakers_is_one_voice_with_the_same_word_times() -> None:
    voice = next(v for v in voices(synthesizer="neural") if v.formant_scale != 1)
    plain, moved = speak(SHORT, voice, moved=False), spoken(voice.id, SHORT)
    assert plain.words == moved.words
    assert plain.samples.shape == moved.samples.shape
    assert plain.rate == moved.rate
    assert 12 * np.log2(median_f0(moved) / median_f0(plain)) == pytest.approx(voice.pitch_semitones, abs=0.5)


def test_move_scales_formants_and_leaves_pitch_and_timing() -> None:
    """A vowel from two resonances on a 120 Hz pulse train, against the same vowel with both resonances scaled."""

    def vowel(scale: float) -> np.ndarray:
        pulses = np.zeros(12_000)
        pulses[::200] = 1.0
        for formant in (700 * scale, 1900 * scale):
            radius = np.exp(-np.pi * 100 / 24_000)
            pulses = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * formant / 24_000), radius**2], pulses)
        return (0.3 * pulses / np.abs(pulses).max()).astype(np.float32)

    moved = move(vowel(1.0), 24_000, 0, 0.85)
    there, back = Speech(vowel(0.85), 24_000, ()), Speech(vowel(1.0), 24_000, ())
    result = Speech(moved, 24_000, ())
    assert moved.shape == (12_000,)
    assert moved.dtype == np.float32
    assert distance(result, there)[0] < 0.1
    assert distance(result, there)[1] < 0.3 * distance(result, back)[1]


def test_same_text_and_voice_give_the_same_samples_here_and_in_spawned_workers() -> None:
    jobs = [(SHORT, "espeak-us-f2"), (SENTENCE, "espeak-us-m3"), (SHORT, "neural-m1"), (SENTENCE, "neural-f4")]
    here = [digest(job) for job in jobs]
    speak("Something else was said before.", "espeak-us-m1")
    assert [digest(job) for job in reversed(jobs)] == here[::-1]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(digest, jobs)) == here


@pytest.mark.parametrize("voice", ONE_OF_EACH)
@pytest.mark.parametrize("text", ["", "   ", "123 456", "?!", "\n"])
def test_text_without_a_word_is_refused(voice: str, text: str) -> None:
    with pytest.raises(VoiceError, match="at least one word"):
        speak(text, voice)


def test_errors_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VoiceError, match=r"voices\(\)"):
        speak("Hello.", "nobody")
    with pytest.raises(VoiceError, match="train, validation, test"):
        voices("dev")
    with pytest.raises(VoiceError, match="no voice 'gmw/none'"):
        speak("Hello.", Voice("x", "espeak", "male", 100, "train", variant="gmw/none", speed=150))
    with pytest.raises(VoiceError, match="full stops"):
        speak("no and " * 120, ONE_OF_EACH[1])
    for wave, message in ((np.zeros(500), "50 ms"), (np.zeros((2, 24_000)), "one channel"), (np.full(24_000, np.nan), "NaN")):
        with pytest.raises(VoiceError, match=message):
            move(wave, 24_000, 2, 1.1)
    with pytest.raises(VoiceError, match="semitones"):
        move(np.zeros(24_000), 24_000, 99, 1.0)
    synthesizers._hibari.cache_clear()
    for package, voice, command in (("espeakng_loader", ONE_OF_EACH[0], "espeakng-loader"), ("hibari", ONE_OF_EACH[1], "hibari-tts")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(VoiceError, match=f"pip install {command}"):
            speak("Hello.", voice)


def test_silence_stays_silence() -> None:
    assert not move(np.zeros(24_000, np.float32), 24_000, 3, 1.1).any()


@given(st.text(max_size=40))
@example("¹A")
@example(")È")
@example("A\ud800 b\0c")
@settings(max_examples=60, deadline=None)
def test_any_text_is_spoken_with_one_time_a_word_or_refused(text: str) -> None:
    for voice in ONE_OF_EACH:
        try:
            speech = speak(text, voice, moved=False)
        except VoiceError:
            continue
        assert len(speech.words) == len(text.split())
        assert all(word.start <= word.end for word in speech.words)
        assert np.isfinite(speech.samples).all()
