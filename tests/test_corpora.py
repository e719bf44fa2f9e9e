"""Real speech in the corpora's own layouts: what is read, what is left out and said to be."""

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cogviz import audio, corpora
from cogviz.corpora import CorpusError
from cogviz.emotions import EMOTIONS, emotion

REAL_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "real_speech"


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_ravdess_names_are_understood(tmp_path):
    touch(tmp_path, "Actor_03/03-01-05-02-01-01-03.wav", "Actor_04/03-01-01-01-02-02-04.wav", "Actor_04/03-01-06-01-02-02-04.WAV")
    strong, neutral, fearful = corpora.read("ravdess", tmp_path)
    assert (strong.emotion, strong.intensity, strong.speaker, strong.sentence) == ("angry", 1.5, "ravdess-03", "ravdess-1")
    assert strong.text == "Kids are talking by the door."
    assert strong.extra == {"repetition": 1, "sex": "male"}
    assert (neutral.emotion, neutral.intensity, neutral.text) == ("neutral", 0.0, "Dogs are sitting by the door.")
    assert (fearful.emotion, fearful.intensity, fearful.extra["sex"]) == ("fear", 1.0, "female")
    assert len({u.id for u in (strong, neutral, fearful)}) == 3


def test_ravdess_calm_and_song_are_left_out_without_a_warning(tmp_path):
    touch(tmp_path, "Actor_01/03-01-02-01-01-01-01.wav", "Actor_01/03-02-03-01-01-01-01.wav", "Actor_01/03-01-03-01-01-01-01.wav")
    (only,) = corpora.read("ravdess", tmp_path)
    assert only.emotion == "happy"


def test_a_corpuss_own_labels_are_kept_where_asked_for(tmp_path):
    touch(tmp_path, "Actor_01/03-01-02-01-01-01-01.wav", "Actor_01/03-01-08-01-01-01-01.wav", "Actor_01/03-02-02-01-01-01-01.wav")
    assert [u.emotion for u in corpora.read("ravdess", tmp_path, own_labels=True)] == ["calm", "surprise"]
    touch(tmp_path, "08a02La.wav")
    assert [u.emotion for u in corpora.collect(corpora.corpus("emodb"), tmp_path, own_labels=True)[0]] == ["boredom"]
    for name in corpora.NAMES:
        assert not {emotion(e).adjective for e in EMOTIONS} & set(corpora.corpus(name).others.values())


def test_emodb_names_are_understood(tmp_path):
    touch(tmp_path, "wav/03a01Wa.wav", "wav/16b10Tb.wav", "wav/08a02Na.wav", "wav/08a02La.wav")
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
            "03-01-05-02-01-01-03.wav",
            ["mine.wav", "03-01-05-02-01-01.wav", "03-01-09-01-01-01-01.wav", "03-01-00-01-01-01-01.wav", "03-01-05-00-01-01-01.wav",
             "03-01-05-01-00-01-01.wav", "03-01-05-01-03-01-01.wav", "03-01-05-02-01-01-03 (1).wav"],
        ),
        ("emodb", "03a01Wa.wav", ["03a01W.wav", "03a01Xa.wav", "03z99Wa.wav", "xxa01Wa.wav", "03a01Wa copy.wav"]),
    ],
)  # fmt: skip
def test_odd_names_are_reported_in_one_warning(tmp_path, name, good, odd):
    touch(tmp_path, good, *odd, "notes.txt", ".hidden.wav")
    with pytest.warns(UserWarning, match=rf"{name}: {len(odd)} file\(s\) left out") as warned:
        found = corpora.read(name, tmp_path)
    assert len(found) == len(warned) == 1


@pytest.mark.parametrize("name", corpora.NAMES)
def test_missing_or_empty_folder_says_where_to_get_the_corpus(tmp_path, name):
    page = corpora.corpus(name).page
    with pytest.raises(CorpusError, match=f"is not a folder.*{page}"):
        corpora.read(name, tmp_path / "gone")
    with pytest.raises(CorpusError, match=f"no recording.*{page}"):
        corpora.read(name, touch(tmp_path, "readme.txt"))


def test_unknown_corpus_lists_the_known_ones():
    with pytest.raises(CorpusError, match="known: ravdess, emodb"):
        corpora.corpus("../emodb")


def test_samples_are_read_when_they_are_asked_for(tmp_path):
    tone = np.sin(np.arange(16_000) / 10).astype(np.float32) / 3
    audio.write(tmp_path / "03-01-04-01-01-01-01.flac", tone)
    (utterance,) = corpora.read("ravdess", tmp_path)
    np.testing.assert_allclose(utterance.samples, tone, atol=2**-15)
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


@pytest.mark.requires_shared
def test_real_emodb_is_complete():
    found = read_quietly("emodb")
    assert len(found) == len({u.id for u in found}) == 454
    assert set(EMOTIONS) - {u.emotion for u in found} == {"surprise"}
    assert len({u.speaker for u in found}) == len({u.sentence for u in found}) == 10
    assert found[0].samples.dtype == np.float32
