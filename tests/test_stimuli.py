"""Each edit takes away what it says, and leaves the rest: measured on synthesized speech."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from cogviz.audio import RATE, level_db
from cogviz.evaluation.stimuli import REMOVALS, has_partners, other_tone, other_words, remove, unrelated
from cogviz.lime import prosody, world
from cogviz.lime.measure import measure
from cogviz.lime.voices import speak
from cogviz.utterance import Utterance


@pytest.fixture(scope="module")
def cell() -> list[Utterance]:
    """A sentence said neutrally and in strong surprise (wide melody, a pause), with word times."""
    speech = speak("They moved our meeting to the garden.", "espeak-us-m3")
    analysis = world.move(world.analyse(speech.samples, speech.rate, speech.words), rate=RATE)
    variants = []
    for emotion, k in (("neutral", 0.0), ("surprise", 1.5)):
        values = dict(zip(prosody.PARAMETERS, prosody.delta(emotion, k, variation=0), strict=True))
        if emotion == "surprise":
            values |= {"duration": 0.4, "pause": 0.3, "dynamics": 3.0}
        made = prosody.render(analysis, np.array(list(values.values())))
        variants.append(
            Utterance(
                emotion, "They moved our meeting to the garden.", emotion, "p", "s", "test", k, waveform=made.samples, words=made.words
            )
        )
    return variants


@pytest.fixture(scope="module")
def edited(cell: list[Utterance]) -> dict[str, Utterance]:
    return {kind: made[0] for kind, made in remove(cell[1:], pool=cell, jobs=1, progress=False).items()}


def parameters(utterance: Utterance) -> dict[str, float]:
    return measure(world.analyse(utterance.samples, RATE))


def pitch(utterance: Utterance) -> np.ndarray:
    """Frame-wise F0 by Praat's autocorrelation, 0 where unvoiced: another ruler than the vocoder's."""
    import parselmouth

    found = parselmouth.Sound(utterance.samples.astype(float), RATE).to_pitch_ac(time_step=0.01, pitch_floor=65, pitch_ceiling=700)
    return found.selected_array["frequency"]


def loudness(samples: np.ndarray) -> np.ndarray:
    """dB of each 50 ms, but for those 30 dB below the loudest."""
    frames = samples[: len(samples) // 800 * 800].reshape(-1, 800).astype(float)
    found = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    return found[found > found.max() - 30]


def envelopes(samples: np.ndarray) -> np.ndarray:
    """(4, frames) loudness in dB of four bands of speech, every 40 ms: what words are made of."""
    power = np.abs(signal.stft(samples, RATE, nperseg=1024, noverlap=1024 - 640)[2]) ** 2
    return 10 * np.log10(np.stack([power[a:b].sum(axis=0) for a, b in ((6, 32), (32, 90), (90, 200), (200, 500))]) + 1e-9)


def alike(a: Utterance, b: Utterance) -> float:
    """Correlation of the envelopes of two sounds, moment by moment."""
    first, second = envelopes(a.samples), envelopes(b.samples)
    size = min(first.shape[1], second.shape[1])
    return float(np.corrcoef(first[:, :size].ravel(), second[:, :size].ravel())[0, 1])


def test_every_edit_says_what_it_is_of_and_keeps_the_item(cell: list[Utterance], edited: dict[str, Utterance]) -> None:
    assert set(edited) == set(REMOVALS)
    for kind, made in edited.items():
        assert made.id == f"surprise#{kind}"
        assert (made.extra["of"], made.extra["edit"]) == ("surprise", kind)
        assert (made.speaker, made.sentence, made.emotion, made.text) == ("p", "s", "surprise", cell[1].text)
        assert made.samples.dtype == np.float32
        assert np.abs(made.samples).max() <= 0.98 + 1e-6
        if kind not in ("level_loudness", "silence"):
            assert level_db(made.samples) == pytest.approx(level_db(cell[1].samples), abs=0.1)


def test_silence_is_as_long_as_the_sound(cell: list[Utterance], edited: dict[str, Utterance]) -> None:
    assert len(edited["silence"].samples) == len(cell[1].samples)
    assert not edited["silence"].samples.any()


def test_resynthesis_changes_no_tone(cell: list[Utterance], edited: dict[str, Utterance]) -> None:
    before, after = parameters(cell[1]), parameters(edited["resynthesis"])
    for name, slack in (("f0_level", 0.3), ("f0_range", 0.15), ("duration", 0.03), ("dynamics", 1.0)):
        assert after[name] == pytest.approx(before[name], abs=slack), name


def test_flat_pitch_takes_the_melody_and_nothing_else(cell: list[Utterance], edited: dict[str, Utterance]) -> None:
    wide, narrow = (np.diff(np.percentile(12 * np.log2(f[f > 0]), [10, 90]))[0] for f in (pitch(cell[1]), pitch(edited["flat_pitch"])))
    assert wide > 5
    assert narrow < 0.5
    assert alike(cell[1], edited["flat_pitch"]) > 0.95


def test_level_loudness_makes_all_moments_and_all_recordings_equally_loud(cell: list[Utterance]) -> None:
    louder = replace(cell[1], id="louder", waveform=cell[1].samples * 2)
    made = remove([cell[1], louder], ["level_loudness"], jobs=1, progress=False)["level_loudness"]
    assert np.std(loudness(cell[1].samples)) > 5
    for u in made:
        assert level_db(u.samples) == pytest.approx(prosody.BASE_LEVEL, abs=0.1)
        assert np.std(loudness(u.samples)) < 3.5
    assert pitch(made[0])[pitch(made[0]) > 0].mean() == pytest.approx(pitch(cell[1])[pitch(cell[1]) > 0].mean(), rel=0.05)


def test_neutral_timing_gives_each_word_the_neutral_variants_time(cell: list[Utterance], edited: dict[str, Utterance]) -> None:
    made = edited["neutral_timing"]
    assert len(cell[1].samples) > 1.3 * len(cell[0].samples)
    assert len(made.samples) == pytest.approx(len(cell[0].samples), abs=0.01 * RATE)
    assert [(w.start, w.end) for w in made.words] == [(w.start, w.end) for w in cell[0].words]
    assert parameters(made)["f0_level"] == pytest.approx(parameters(cell[1])["f0_level"], abs=1)
    # The words are at their places: it sounds at each moment like the neutral variant, more than where only the whole is as long.
    stretched = remove([replace(cell[1], words=())], ["neutral_timing"], pool=cell, jobs=1, progress=False)["neutral_timing"][0]
    assert alike(made, cell[0]) > 0.7
    assert alike(made, cell[0]) > alike(stretched, cell[0]) + 0.1


def test_neutral_timing_without_word_times_fits_the_whole(cell: list[Utterance]) -> None:
    bare = [replace(u, words=(), waveform=np.pad(u.samples, RATE)) for u in cell]
    made = remove(bare[1:], ["neutral_timing"], pool=bare, jobs=1, progress=False)["neutral_timing"][0]
    assert len(made.samples) == pytest.approx(len(cell[0].samples), abs=0.3 * RATE)
    assert made.words == ()


def test_low_pass_keeps_the_melody_and_takes_the_words(cell: list[Utterance], edited: dict[str, Utterance]) -> None:
    made = edited["low_pass"]
    power = np.abs(np.fft.rfft(made.samples)) ** 2
    hz = np.fft.rfftfreq(len(made.samples), 1 / RATE)
    assert 10 * np.log10(power[hz > 800].sum() / power[hz < 400].sum()) < -40
    before, after = pitch(cell[1]), pitch(made)
    both = (before > 0) & (after > 0)
    assert both.sum() > 0.9 * (before > 0).sum()
    assert np.corrcoef(np.log(before[both]), np.log(after[both]))[0, 1] > 0.95


def test_noise_vocoding_keeps_the_bands_and_takes_the_melody(cell: list[Utterance], edited: dict[str, Utterance]) -> None:
    made = edited["noise_vocoded"]
    assert alike(cell[1], made) > 0.9
    before, after = pitch(cell[1]), pitch(made)
    right = (before > 0) & (after > 0) & (np.abs(12 * np.log2(np.maximum(after, 1) / np.maximum(before, 1))) < 1)
    assert right.sum() < 0.15 * (before > 0).sum()
    again = remove([cell[1]], ["noise_vocoded"], jobs=1, progress=False)["noise_vocoded"][0]
    np.testing.assert_array_equal(made.samples, again.samples)


def test_processes_give_the_same_sounds_in_the_same_order(cell: list[Utterance]) -> None:
    several = [replace(cell[i % 2], id=f"u{i}") for i in range(4)]
    one, two = (remove(several, ["low_pass", "silence"], jobs=jobs, progress=False) for jobs in (1, 2))
    for kind in one:
        assert [u.id for u in one[kind]] == [u.id for u in two[kind]] == [f"u{i}#{kind}" for i in range(4)]
        for a, b in zip(one[kind], two[kind], strict=True):
            np.testing.assert_array_equal(a.samples, b.samples)


def test_what_cannot_be_edited_is_said(cell: list[Utterance]) -> None:
    with pytest.raises(ValueError, match="choose from resynthesis"):
        remove(cell, ["reverb"])
    with pytest.raises(ValueError, match="no neutral variant"):
        remove(cell[1:], ["neutral_timing"])
    hiss = replace(cell[1], id="hiss", waveform=np.zeros(RATE, np.float32))
    with pytest.warns(UserWarning, match="1 of 2 recordings could not be taken apart.*hiss"):
        made = remove([hiss, cell[1]], ["flat_pitch", "low_pass"], jobs=1, progress=False)
    assert [[u.extra["of"] for u in part] for part in made.values()] == [["surprise"], ["surprise"]]


def corpus() -> list[Utterance]:
    """Three sentences by two speakers, the first sad in its words, in three emotions, one of them at two intensities."""
    variants = (("neutral", 0.0), ("sad", 1.0), ("sad", 1.5), ("fear", 1.0))
    found = []
    for speaker, sentence, (emotion, k) in itertools.product("pq", "xyz", variants):
        words = "sad" if sentence == "x" else None
        name, wave = f"{speaker}{sentence}{emotion}{k}", np.zeros(9, np.float32)
        found.append(Utterance(name, f"text {sentence}", emotion, speaker, sentence, "test", k, waveform=wave, lexical_emotion=words))
    return found


def test_other_words_are_the_same_speakers_in_the_same_tone() -> None:
    pool = corpus()
    by_id = {u.id: u for u in pool}
    for made in other_words(pool, pool):
        of = by_id[str(made.extra["of"])]
        heard = next(u for u in pool if u.waveform is made.waveform)
        assert (heard.speaker, heard.emotion, heard.intensity) == (of.speaker, of.emotion, of.intensity)
        assert heard.sentence != of.sentence
        assert (made.text, made.lexical_emotion) == (heard.text, heard.lexical_emotion)
        assert (made.sentence, made.emotion, made.extra["edit"]) == (of.sentence, of.emotion, "other_words")
    with pytest.raises(ValueError, match="no other sentence"):
        other_words(pool, [u for u in pool if u.sentence == "x"])


def test_other_tone_is_another_variant_of_the_cell() -> None:
    pool = corpus()
    by_id = {u.id: u for u in pool}
    for made in other_tone(pool, pool):
        of = by_id[str(made.extra["of"])]
        heard = next(u for u in pool if u.waveform is made.waveform)
        assert (heard.speaker, heard.sentence, heard.text) == (of.speaker, of.sentence, of.text)
        assert made.emotion == heard.emotion != of.emotion
    with pytest.raises(ValueError, match="no variant"):
        other_tone(pool, [u for u in pool if u.emotion == "sad"][:1])


def test_an_unrelated_recording_shares_the_speaker_only() -> None:
    pool = corpus()
    by_id = {u.id: u for u in pool}
    for made in unrelated(pool, pool):
        of = by_id[str(made.extra["of"])]
        heard = next(u for u in pool if u.waveform is made.waveform)
        assert heard.speaker == of.speaker
        assert heard.sentence != of.sentence
        assert heard.emotion != of.emotion
    assert all(has_partners(u, pool) for u in pool)
    assert not has_partners(pool[0], [u for u in pool if u.sentence == "x"])
    assert not has_partners(pool[0], [u for u in pool if u.emotion == pool[0].emotion])
    with pytest.raises(ValueError, match="another sentence in another emotion"):
        unrelated(pool, [u for u in pool if u.sentence == "x"])
