"""Every corpus: what is read, what is left out and said to be; RAVDESS and EmoDB for real."""

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from corpora_folders import lay, reading, tone

from cogviz import audio, corpora
from cogviz.corpora import CorpusError
from cogviz.emotions import EMOTIONS, emotion
from cogviz.utterance import cells

REAL_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "real_speech"

TWO = ("03-01-05-01-01-01-03.wav", "03-01-03-01-01-01-04.wav")
"""An angry man and a happy woman of RAVDESS: enough that nothing is to be warned of."""


def test_ravdess_names_are_understood(tmp_path):
    lay(tmp_path, "Actor_03/03-01-05-02-01-01-03.wav", "Actor_04/03-01-01-01-02-02-04.wav", "Actor_04/03-01-06-01-02-02-04.WAV")
    strong, neutral, fearful = corpora.read("ravdess", tmp_path)
    assert (strong.emotion, strong.intensity, strong.speaker, strong.sentence) == ("angry", 1.5, "ravdess-03", "ravdess-1")
    assert strong.text == "Kids are talking by the door."
    assert strong.extra == {"repetition": 1, "sex": "male"}
    assert (neutral.emotion, neutral.intensity, neutral.text) == ("neutral", 0.0, "Dogs are sitting by the door.")
    assert (fearful.emotion, fearful.intensity, fearful.extra["sex"]) == ("fear", 1.0, "female")
    assert len({u.id for u in (strong, neutral, fearful)}) == 3


def test_ravdess_calm_and_song_are_left_out_without_a_warning(tmp_path):
    lay(tmp_path, *TWO, "Actor_01/03-01-02-01-01-01-01.wav", "Actor_01/03-02-03-01-01-01-01.wav")
    assert {u.emotion for u in corpora.read("ravdess", tmp_path)} == {"angry", "happy"}


def test_a_corpuss_own_labels_are_kept_where_asked_for(tmp_path):
    lay(tmp_path, "Actor_01/03-01-02-01-01-01-01.wav", "Actor_02/03-01-08-01-01-01-02.wav", "Actor_01/03-02-02-01-01-01-01.wav")
    assert [u.emotion for u in corpora.read("ravdess", tmp_path, own_labels=True)] == ["calm", "surprise"]
    lay(tmp_path, "08a02La.wav")
    assert [u.emotion for u in corpora.collect(corpora.corpus("emodb"), tmp_path, own_labels=True)[0]] == ["boredom"]
    for one in corpora.catalogue():
        assert len(set(one.others.values())) == len(one.others), one.name
        assert not {emotion(e).adjective for e in EMOTIONS} & set(one.others.values()), one.name
        assert not set(EMOTIONS) & set(one.others), one.name


def test_emodb_names_are_understood(tmp_path):
    lay(tmp_path, "wav/03a01Wa.wav", "wav/16b10Tb.wav", "wav/08a02Na.wav", "wav/08a02La.wav")
    angry, neutral, sad = corpora.read("emodb", tmp_path)
    assert (angry.emotion, angry.speaker, angry.sentence, angry.extra["version"]) == ("angry", "emodb-03", "emodb-a01", "a")
    assert angry.text == "Der Lappen liegt auf dem Eisschrank."
    assert (neutral.emotion, neutral.intensity) == ("neutral", 0.0)
    assert (sad.emotion, sad.intensity) == ("sad", 1.0)


@pytest.mark.parametrize(
    ("name", "good", "odd"),
    [
        (
            "ravdess",
            TWO,
            ["mine.wav", "03-01-05-02-01-01.wav", "03-01-09-01-01-01-01.wav", "03-01-00-01-01-01-01.wav", "03-01-05-00-01-01-01.wav",
             "03-01-05-01-00-01-01.wav", "03-01-05-01-03-01-01.wav", "03-01-05-02-01-01-03 (1).wav"],
        ),
        ("emodb", ["03a01Wa.wav", "08a01Fa.wav"], ["03a01W.wav", "03a01Xa.wav", "03z99Wa.wav", "xxa01Wa.wav", "03a01Wa copy.wav"]),
    ],
)  # fmt: skip
def test_odd_names_are_reported_in_one_warning(tmp_path, name, good, odd):
    lay(tmp_path, *good, *odd, "notes.txt", ".hidden.wav")
    found, said = reading(name, tmp_path)
    assert len(found) == 2
    assert len(said) == 1
    assert said[0].startswith(f"{name}: {len(odd)} file(s) left out; the name does not fit the corpus: ")
    assert said[0].endswith(f", ... ({len(odd)})")


def test_odd_files_are_read_where_they_are_sound_and_reported_where_not(tmp_path):
    lay(tmp_path, *TWO, "more/03-01-05-01-01-01-03.wav")
    odd = {
        "03-01-04-01-01-01-01.wav": tone(kind="AIFF"),
        "03-01-04-01-01-01-02.wav": tone(rate=96_000, subtype="PCM_24"),
        "03-01-04-01-01-01-05.wav": tone(channels=2, rate=44_100),
        "03-01-04-01-01-01-06.wav": b"",
        "03-01-04-01-01-01-07.wav": b"no sound at all",
        "03-01-04-01-01-01-08.wav": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "03-01-04-01-01-01-09.wav": tone(seconds=31, rate=8_000),
        "03-01-04-01-01-01-10.wav": tone(seconds=0.05),
    }
    for name, content in odd.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "03-01-04-01-01-01-11.wav").symlink_to(tmp_path / "gone.wav")
    found, (said,) = reading("ravdess", tmp_path)
    sad = [u for u in found if u.emotion == "sad"]
    assert [u.speaker for u in sad] == ["ravdess-01", "ravdess-02", "ravdess-05"]
    for u in sad:
        assert u.samples.shape == (3200,)
        assert np.argmax(np.abs(np.fft.rfft(u.samples))) == pytest.approx(220 * 0.2, abs=1)
    assert "ravdess: 7 file(s) left out; " in said
    for why, count in (("not readable as sound", 3), ("longer than 30 s", 1), ("shorter than 0.1 s", 1), ("run `git lfs pull`", 1)):
        assert f"({count})" in said.partition(why)[2].partition(";")[0], why
    assert "a second one of this name: 03-01-05-01-01-01-03.wav (1)" in said


def test_one_emotion_or_one_speaker_is_said(tmp_path):
    lay(tmp_path, TWO[0])
    _, said = reading("ravdess", tmp_path)
    assert said == [
        "ravdess: one emotion only (angry), so there is nothing to tell it from",
        "ravdess: one speaker only, so nothing can be said about other speakers",
    ]


@pytest.mark.parametrize("name", corpora.NAMES)
def test_missing_or_empty_folder_says_where_to_get_the_corpus(tmp_path, name):
    one = corpora.corpus(name)
    assert one.name == name
    assert one.kind in ("acted", "dialogue", "benchmark")
    with pytest.raises(CorpusError) as gone:
        corpora.read(name, tmp_path / "gone")
    assert "is not a folder" in str(gone.value)
    with pytest.raises(CorpusError) as empty:
        corpora.read(name, lay(tmp_path, "readme.txt", "notes.json"))
    assert f"no recording of {one.title}" in str(empty.value)
    for error in (gone, empty):
        assert one.page in str(error.value)
        assert one.command in str(error.value)


LAYOUTS = {
    "ravdess": "Actor_03/03-01-05-02-01-01-03.wav",
    "emodb": "wav/03a01Wa.wav",
    "cremad": "AudioWAV/1001_DFA_ANG_XX.wav",
    "tess": "OAF_angry/OAF_back_angry.wav",
    "savee": "DC/a01.wav",
    "esd": "0011/Angry/0011_000351.wav",
    "emovdb": "bea_Angry/anger_1-28_0011.wav",
    "jl": "male1_angry_10a_1.wav",
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("asked", ["ravdess", "meld", "listen"])
def test_a_folder_of_another_corpus_is_recognised(tmp_path, name, asked):
    folder = lay(tmp_path, LAYOUTS[name])
    assert corpora.looks_like(folder) == name
    if asked != name:
        with pytest.raises(CorpusError, match=f"it looks like .*: read it as '{name}'"):
            corpora.read(asked, folder)


def test_unknown_corpus_lists_the_known_ones():
    with pytest.raises(CorpusError, match="known: ravdess, emodb"):
        corpora.corpus("../emodb")


def test_every_reader_is_in_the_catalogue():
    files = {p.stem for p in Path(corpora.__file__).parent.glob("*.py")} - {"__init__", "base", "manifest"}
    assert files == set(corpora.NAMES) == {one.name for one in corpora.catalogue()}


def test_samples_are_read_when_they_are_asked_for(tmp_path):
    wave = np.sin(np.arange(16_000) / 10).astype(np.float32) / 3
    for name in TWO:
        audio.write(tmp_path / Path(name).with_suffix(".flac"), wave)
    (utterance, _) = corpora.read("ravdess", tmp_path)
    np.testing.assert_allclose(utterance.samples, wave, atol=2**-15)
    assert utterance.congruence is None


def read_quietly(name: str) -> list:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return corpora.read(name, REAL_SPEECH / name)


@pytest.mark.requires_shared
def test_real_ravdess_is_complete():
    found = read_quietly("ravdess")
    assert len(found) == len({u.id for u in found}) == 1248
    count = Counter(u.emotion for u in found)
    assert count.pop("neutral") == 96
    assert set(count) == set(EMOTIONS[1:])
    assert set(count.values()) == {192}
    assert len({u.speaker for u in found}) == 24
    assert len({u.sentence for u in found}) == 2
    assert [set(cell) for cell in cells(found)] == [set(EMOTIONS)] * 48
    assert corpora.looks_like(REAL_SPEECH / "ravdess") == "ravdess"


@pytest.mark.requires_shared
def test_real_emodb_is_complete():
    found = read_quietly("emodb")
    assert len(found) == len({u.id for u in found}) == 454
    assert set(EMOTIONS) - {u.emotion for u in found} == {"surprise"}
    assert len({u.speaker for u in found}) == len({u.sentence for u in found}) == 10
    assert found[0].samples.dtype == np.float32
    assert corpora.looks_like(REAL_SPEECH / "emodb") == "emodb"
