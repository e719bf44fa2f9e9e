"""CREMA-D, TESS, SAVEE, ESD, EmoV-DB and JL-Corpus in tiny folders of their own layouts."""

from pathlib import Path
from unittest import mock

import pytest
from corpora_folders import lay, reading
from hypothesis import given, settings
from hypothesis import strategies as st

from cogviz import corpora
from cogviz.corpora import Skipped, base
from cogviz.emotions import EMOTIONS
from cogviz.utterance import Utterance, cells

ACTED = [one for one in corpora.catalogue() if one.kind == "acted"]
PIECES = ["03", "01", "1001", "0011", "000351", "a01", "DFA", "ANG", "XX", "OAF", "back", "ps", "DC", "su15", "bea", "amused", "1-28", "male1",
          "10a", "angry", "W", "Angry", "-", "_", "/", " ", "0", "٣", "é"]  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20))
def test_any_name_is_understood_or_reported_and_never_fatal(name):
    with mock.patch.object(base, "sounds", return_value=[Path("bea/Angry") / f"{name}.wav"]):
        for one in ACTED:
            for item in one.items(Path("no-such-folder")):
                if isinstance(item, Utterance):
                    assert item.emotion in {*EMOTIONS, *one.others}
                    assert 0 <= item.intensity <= 1.5
                    assert item.speaker.startswith(f"{one.name}-")
                else:
                    assert isinstance(item, Skipped)
                    assert item.why


def test_cremad_names_are_understood_and_its_quirks(tmp_path):
    lay(
        tmp_path,
        *(
            f"AudioWAV/{name}.wav"
            for name in ("1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1001_IEO_SAD_HI", "1040_ITH_SAD_X", "1040_ITH_NEU_XX")
        ),
    )
    lay(
        tmp_path,
        "AudioMP3/1001_DFA_ANG_XX.mp3",
        "AudioWAV/1076_MTI_SAD_XX.wav",
        "AudioWAV/1001_DFA_SUR_XX.wav",
        "AudioWAV/1001_XYZ_ANG_XX.wav",
    )
    (tmp_path / "VideoDemographics.csv").write_text("ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n")
    found, (said,) = reading("cremad", tmp_path)
    by_id = {u.id: u for u in found}
    assert len(found) == 5
    angry = by_id["1001_DFA_ANG_XX"]
    assert (angry.emotion, angry.speaker, angry.sentence, angry.intensity) == ("angry", "cremad-1001", "cremad-DFA", 1.0)
    assert (angry.text, angry.extra["sex"], angry.path.suffix) == ("Don't forget a jacket.", "male", ".wav")
    assert (by_id["1001_IEO_HAP_LO"].intensity, by_id["1001_IEO_SAD_HI"].intensity) == (0.5, 1.5)
    assert (by_id["1040_ITH_SAD_X"].intensity, by_id["1040_ITH_NEU_XX"].intensity) == (1.0, 0.0)
    assert by_id["1040_ITH_SAD_X"].extra["sex"] == ""
    assert "known to hold no voice: 1076_MTI_SAD_XX.wav (1)" in said
    assert "the name does not fit the corpus: 1001_DFA_SUR_XX.wav, 1001_XYZ_ANG_XX.wav (2)" in said


def test_cremads_mp3_is_read_where_it_is_all_there_is(tmp_path):
    lay(tmp_path, "AudioMP3/1001_DFA_ANG_XX.mp3", "AudioMP3/1002_DFA_SAD_XX.mp3")
    assert [u.speaker for u in corpora.read("cremad", tmp_path)] == ["cremad-1001", "cremad-1002"]


def test_tess_names_are_understood_and_the_misspelt_one(tmp_path):
    lay(tmp_path, "OAF_angry/OAF_back_angry.wav", "OAF_neutral/OA_bite_neutral.wav", "YAF_pleasant_surprised/YAF_back_ps.wav")
    lay(tmp_path, "again/OAF_angry/OAF_back_angry.wav", "YAF_sad/YAF_back_bored.wav")
    (angry, neutral, surprised), (said,) = reading("tess", tmp_path)
    assert (angry.emotion, angry.text, angry.speaker, angry.sentence) == ("angry", "Say the word back.", "tess-OAF", "tess-back")
    assert (neutral.speaker, neutral.intensity) == ("tess-OAF", 0.0)
    assert (surprised.emotion, surprised.speaker, surprised.sentence) == ("surprise", "tess-YAF", "tess-back")
    assert "2 file(s) left out" in said
    assert "a second one of this name: OAF_back_angry.wav (1)" in said
    assert "unknown label 'bored': YAF_back_bored.wav (1)" in said


def test_savee_in_both_its_layouts(tmp_path):
    lay(
        tmp_path / "surrey",
        "AudioData/DC/a01.wav",
        "AudioData/KL/su15.wav",
        "AudioData/KL/n30.wav",
        "AudioData/KL/x01.wav",
        "AudioData/me/a01.wav",
    )
    lay(tmp_path / "kaggle", "ALL/DC_a01.wav", "ALL/KL_su15.wav", "ALL/KL_n30.wav")
    found, said = reading("savee", tmp_path / "surrey")
    assert [(u.id, u.emotion, u.speaker, u.sentence) for u in found] == [
        ("DC_a01", "angry", "savee-DC", "savee-a01"),
        ("KL_n30", "neutral", "savee-KL", "savee-n30"),
        ("KL_su15", "surprise", "savee-KL", "savee-su15"),
    ]
    assert "2 file(s) left out; the name does not fit the corpus: x01.wav, a01.wav (2)" in said[0]
    assert said[1] == "savee: 3 of 3 recording(s) have no transcript"
    other, _ = reading("savee", tmp_path / "kaggle")
    assert [(u.id, u.speaker, u.sentence) for u in other] == [(u.id, u.speaker, u.sentence) for u in found]


def esd(root, encoding="utf-16", text="The nine the eggs, I keep."):
    lay(
        root, "0011/Neutral/0011_000001.wav", "0011/Angry/0011_000351.wav", "0012/Surprise/test/0012_001401.wav", "0001/Sad/0001_001051.wav"
    )
    lines = [f"{name}\t{text}\t{label}" for name, label in (("0011_000001", "Neutral"), ("0011_000351", "Angry"))]
    (root / "0011" / "0011.txt").write_bytes("\r\n".join([*lines, "", "a line without tabs"]).encode(encoding))
    (root / "0001" / "0001.txt").write_bytes("0001_001051\t打远一看，它们的确很是美丽，\t伤心".encode("gb2312"))
    return root


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8", "latin-1"])
def test_esd_transcripts_of_every_published_encoding(tmp_path, encoding):
    text = "The café, I keep."
    found, said = reading("esd", esd(tmp_path, encoding, text))
    mandarin, angry, neutral, surprised = found
    assert (neutral.text, angry.text, surprised.text, mandarin.text) == (text, text, "", "打远一看，它们的确很是美丽，")
    assert said == ["esd: 1 of 4 recording(s) have no transcript, looked for in each speaker's folder (0011/0011.txt)"]


def test_esd_sentences_are_shared_by_the_emotions_and_the_speakers_of_a_language(tmp_path):
    mandarin, angry, neutral, surprised = reading("esd", esd(tmp_path))[0]
    assert angry.sentence == neutral.sentence == surprised.sentence == "esd-en-001"
    assert mandarin.sentence == "esd-zh-001"
    assert [u.emotion for u in (mandarin, angry, neutral, surprised)] == ["sad", "angry", "neutral", "surprise"]
    assert (angry.speaker, angry.extra) == ("esd-0011", {"language": "en", "sex": "male"})
    assert {"neutral", "angry"} in [set(cell) for cell in cells([angry, neutral, surprised])]


def test_esd_files_out_of_place_are_reported(tmp_path):
    lay(esd(tmp_path), "0011/0011_000352.wav", "0021/Sad/0021_000001.wav", "0011/Sad/0011_001751.wav")
    found, said = reading("esd", tmp_path)
    assert len(found) == 4
    assert "in no emotion's folder: 0011_000352.wav (1)" in said[0]
    assert "the name does not fit the corpus: 0011_001751.wav, 0021_000001.wav (2)" in said[0]


@pytest.mark.parametrize("folder", ["{}_{}", "{}/{}"])
def test_emovdb_styles_and_words(tmp_path, folder):
    names = {
        ("bea", "Amused"): "amused_1-15_0001",
        ("bea", "Angry"): "anger_1-28_0011",
        ("bea", "Neutral"): "neutral_1-28_0011",
        ("josh", "Neutral"): "neutral_1_28_0011",
        ("sam", "Disgusted"): "disgust_57-84_0075",
        ("sam", "Sleepy"): "sleepiness_1-28_0001",
    }
    for place, name in names.items():
        lay(tmp_path, f"{folder.format(*place)}/{name}.wav")
    lay(tmp_path, f"{folder.format('bea', 'Angry')}/angry.wav", "anger_1-28_0012.wav")
    (tmp_path / "cmuarctic.data").write_text(
        '( arctic_a0011 "He said \\"no\\"." )\n( arctic_b0001 "Gad, your letter came just in time." )\n'
    )
    found, said = reading("emovdb", tmp_path, own_labels=True)
    by_id = {u.id: u for u in found}
    assert len(found) == 6
    angry = by_id["bea_anger_1-28_0011"]
    assert (angry.emotion, angry.speaker, angry.sentence, angry.text) == ("angry", "emovdb-bea", "emovdb-0011", 'He said "no".')
    assert by_id["sam_sleepiness_1-28_0001"].emotion == "sleepy"
    assert by_id["josh_neutral_1_28_0011"].extra["sex"] == "male"
    assert "2 file(s) left out; the name does not fit the corpus" in said[0]
    assert "3 of 6 recording(s) have no transcript, looked for in cmuarctic.data" in said[1]
    assert {u.emotion for u in reading("emovdb", tmp_path)[0]} == {"angry", "disgust", "neutral"}


def test_jl_names_words_and_secondary_emotions(tmp_path):
    folder = "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
    lay(
        tmp_path,
        *(
            f"{folder}/{n}.wav"
            for n in ("male1_angry_10a_1", "female2_sad_10b_2", "male1_excited_1a_1", "male1_anxious_1a_1", "x_angry_1a_1")
        ),
    )
    found, said = reading("jl", tmp_path)
    assert [(u.emotion, u.speaker, u.sentence) for u in found] == [("sad", "jl-female2", "jl-10"), ("angry", "jl-male1", "jl-10")]
    assert "1 file(s) left out" in said[0]
    assert said[1] == "jl: 2 of 2 recording(s) have no transcript, looked for in a .txt beside each recording"
    for name in ("male1_angry_10a_1", "female2_sad_10b_2", "male1_excited_1a_1", "male1_anxious_1a_1"):
        (tmp_path / folder / f"{name}.txt").write_text("Jack views an art piece\n")
    own = reading("jl", tmp_path, own_labels=True)[0]
    assert {u.emotion for u in own} == {"angry", "sad", "excited", "anxious"}
    assert {(u.text, u.sentence) for u in own} == {("Jack views an art piece", "jl-jack views an art piece")}
