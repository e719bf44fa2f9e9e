"""Every recording that a user may bring is read into the house format or refused in one sentence that says what to do."""

import time

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cogviz import audio
from cogviz.audio import MAX_SECONDS, RATE, AudioError, from_array, level_db, read, write


def tone(seconds: float = 0.5, rate: int = RATE, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def is_house_format(samples: np.ndarray) -> bool:
    return samples.dtype == np.float32 and samples.ndim == 1 and bool(np.isfinite(samples).all())


@pytest.mark.parametrize(
    ("name", "rate", "options"),
    [
        ("a.wav", 16_000, {"subtype": "PCM_16"}),
        ("eight_bit.wav", 16_000, {"subtype": "PCM_U8"}),
        ("float.wav", 44_100, {"subtype": "FLOAT"}),
        ("studio.wav", 96_000, {"subtype": "PCM_24"}),
        ("phone.wav", 8_000, {"subtype": "ULAW"}),
        ("a.flac", 22_050, {}),
        ("a.mp3", 44_100, {}),
        ("a.ogg", 48_000, {}),
        ("aiff_named.wav", 16_000, {"format": "AIFF"}),
        ("no_suffix", 16_000, {"format": "WAV"}),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_common_recordings_are_simply_read(tmp_path, name, rate, options, channels):
    original = tone(1.0, rate)
    soundfile.write(tmp_path / name, np.stack([original] * channels, axis=1), rate, **options)
    recording = read(tmp_path / name)
    assert is_house_format(recording.samples)
    assert recording.notices == ()
    assert recording.seconds == pytest.approx(1.0, abs=0.06)
    assert level_db(recording.samples) == pytest.approx(level_db(original), abs=0.5)


def test_resampling_keeps_the_pitch(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1.0, 96_000), 96_000)
    spectrum = np.abs(np.fft.rfft(read(tmp_path / "a.wav").samples))
    assert np.argmax(spectrum) == pytest.approx(220, abs=1)


def test_stereo_is_the_mean_of_its_channels():
    left, right = tone(level=0.4), np.zeros(RATE // 2, np.float32)
    np.testing.assert_allclose(from_array(np.stack([left, right], axis=1), RATE).samples, left / 2, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16])
def test_integer_samples_are_scaled_by_their_range(dtype):
    info = np.iinfo(dtype)
    middle = (int(info.max) + int(info.min) + 1) // 2
    integers = (middle + tone() * (int(info.max) - middle)).astype(dtype)
    np.testing.assert_allclose(from_array(integers, RATE).samples, tone(), atol=2 / 2**7 if info.bits == 8 else 1e-4)


def test_clipped_recording_is_read_with_a_notice():
    recording = from_array(np.clip(tone() * 10, -1, 1), RATE)
    assert len(recording.notices) == 1
    assert "clipped" in recording.notices[0]


def test_quiet_recording_is_read_with_a_notice():
    recording = from_array(tone(level=1e-3), RATE, name="mine")
    assert len(recording.notices) == 1
    assert "mine is very quiet" in recording.notices[0]


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros(0, np.float32), "empty"),
        (np.zeros((0, 2), np.float32), "empty"),
        (np.zeros((RATE, 0), np.float32), "empty"),
        (np.zeros(RATE, np.float32), "silent"),
        (np.full(RATE, 128, np.uint8), "silent"),
        (np.append(tone(), np.nan), "NaN"),
        (np.append(tone(), -np.inf), "NaN or infinite"),
        (np.ones(5, np.float32) / 2, "0 ms long"),
        (tone(MAX_SECONDS + 1), "the limit is 30 s"),
        (tone() * 32768, r"-1 \.\. 1"),
        (np.full(RATE, 1e300), r"-1 \.\. 1"),
        (np.ones(RATE, complex), "complex"),
        (np.array(["a", "b"]), "number"),
        (np.zeros((2, 3, 4)), "3 dimensions"),
        (np.float32(0.5), "0 dimensions"),
    ],
)
def test_unusable_samples_are_refused_in_one_sentence(samples, says):
    with pytest.raises(AudioError, match=says) as caught:
        from_array(samples, RATE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [0, -16_000])
def test_impossible_rate_is_refused(rate):
    with pytest.raises(AudioError, match="sample rate"):
        from_array(tone(), rate)


def assert_refused(path, says: str) -> None:
    with pytest.raises(AudioError, match=says) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_say_so(tmp_path):
    assert_refused(tmp_path / "gone.wav", "does not exist")
    assert_refused(tmp_path, "is a folder")


@pytest.mark.parametrize("name", ["text.wav", "text.mp3", "text.txt", "text.raw", "text"])
def test_text_in_a_sound_files_clothes_is_refused(tmp_path, name):
    (tmp_path / name).write_text("This is not sound.\n" * 200)
    assert_refused(tmp_path / name, "cannot be read as audio|needed to hear")


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "a.wav").touch()
    assert_refused(tmp_path / "a.wav", "cannot be read as audio")


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_refused(tmp_path, seed):
    (tmp_path / "a.wav").write_bytes(np.random.default_rng(seed).bytes(5000))
    assert_refused(tmp_path / "a.wav", "cannot be read as audio|needed to hear")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
@pytest.mark.parametrize("keep", [0.02, 0.3, 0.9])
def test_file_cut_short_is_read_or_refused(tmp_path, name, keep):
    whole, cut = tmp_path / f"whole_{name}", tmp_path / name
    soundfile.write(whole, tone(2.0), RATE)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * keep)])
    try:
        recording = read(cut)
    except AudioError:
        return
    assert is_house_format(recording.samples)


def test_recording_without_sound_is_refused_with_its_path(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    assert_refused(tmp_path / "empty.wav", "empty")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    assert_refused(tmp_path / "silent.wav", "silent")
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    assert_refused(tmp_path / "nan.wav", "NaN")
    soundfile.write(tmp_path / "short.wav", tone(0.001), RATE)
    assert_refused(tmp_path / "short.wav", "1 ms long")


def test_two_hours_are_refused_from_the_header_alone(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(), RATE, subtype="PCM_16")
    header = bytearray(path.read_bytes()[:44])
    size = 2 * 3600 * RATE * 2
    header[4:8], header[40:44] = (size + 36).to_bytes(4, "little"), size.to_bytes(4, "little")
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(44 + size)  # a sparse file: 230 MB of nothing
    start = time.perf_counter()
    assert_refused(path, "2.0 h long; the limit is 30 s")
    assert time.perf_counter() - start < 1


def test_limit_can_be_raised(tmp_path):
    write(tmp_path / "a.flac", tone(31))
    assert_refused(tmp_path / "a.flac", "31 s long")
    assert read(tmp_path / "a.flac", max_seconds=40).seconds == 31


def test_written_samples_come_back_and_nothing_else_is_left(tmp_path):
    write(tmp_path / "new" / "a.flac", tone())
    np.testing.assert_allclose(read(tmp_path / "new" / "a.flac").samples, tone(), atol=2**-15)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.flac"]


def test_failed_write_leaves_the_old_file_and_no_half_one(tmp_path):
    write(tmp_path / "a.wav", tone())
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(ValueError, match="shape"):
        write(tmp_path / "a.wav", np.zeros((2, 2, 2)))
    assert (tmp_path / "a.wav").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


NUMBERS = st.sampled_from(
    [np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.bool_]
)


@settings(max_examples=200, deadline=None)
@given(
    NUMBERS.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=300))),
    st.one_of(st.integers(1, 400_000), st.sampled_from([100, 1000, 8000])),
)
def test_any_array_gives_the_house_format_or_an_audio_error(samples, rate):
    try:
        recording = from_array(samples, rate)
    except AudioError:
        return
    assert is_house_format(recording.samples)
    assert recording.seconds == pytest.approx(len(samples) / rate, abs=0.01)


def test_silence_is_cut_off_the_ends_and_only_there() -> None:
    tone = np.sin(np.arange(16_000) / 9).astype(np.float32)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)  # 57 dB down
    cut = audio.without_silence(np.concatenate([noise, tone, noise, tone, noise]))
    assert len(cut) == 3 * 16_000 + 2 * 1_600
    np.testing.assert_array_equal(cut[1_600:17_600], tone)
    np.testing.assert_array_equal(audio.without_silence(tone), tone)
    assert len(audio.without_silence(np.zeros(5_000, np.float32))) == 5_000
    assert len(audio.without_silence(tone[:100])) == 100
