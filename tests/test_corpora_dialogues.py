"""MELD and IEMOCAP in tiny folders of their own layouts."""

import pytest
from corpora_folders import lay, reading

from cogviz import corpora
from cogviz.corpora import CorpusError

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"


def meld(root):
    (root / "train").mkdir(parents=True)
    rows = (
        '1,"Oh my God, he\x92s lost it.",Phoebe,sadness,negative,0,0,4,7,"00:20:57,256","00:21:00,049"',
        "2,What?,Monica,surprise,negative,0,1,4,7,a,b",
        "3,Hm,Monica,bemusement,neutral,0,2,4,7,a,b",
        "4,Gone,Monica,neutral,neutral,125,3,4,7,a,b",
    )
    (root / "train" / "train_sent_emo.csv").write_bytes((HEADER + "\n".join(rows)).encode("latin-1"))
    (root / "dev_sent_emo.csv").write_text(HEADER + "1,What?,Chandler Bing,joy,positive,0,0,4,7,a,b\n")
    (root / "test_sent_emo.csv").write_text(HEADER + "1,Fine.,Rachel,neutral,neutral,0,0,4,7,a,b\n")
    (root / "test_sent_emo_dya.csv").write_text(HEADER + "1,Fine.,Rachel,neutral,neutral,0,0,4,7,a,b\n")
    return lay(root, "train/train_splits/dia0_utt0.wav", "train/train_splits/dia0_utt1.wav", "train/train_splits/dia0_utt2.wav",
               "dev_splits_complete/dia0_utt0.flac", "output_repeated_splits_test/dia0_utt0.wav",
               "output_repeated_splits_test/final_videos_testdia0_utt0.wav")  # fmt: skip


def test_meld_rows_find_the_sound_of_their_own_split(tmp_path):
    found, (said,) = reading("meld", meld(tmp_path / "MELD.Raw"))
    by_id = {u.id: u for u in found}
    assert sorted(by_id) == ["dev_dia0_utt0", "test_dia0_utt0", "train_dia0_utt0", "train_dia0_utt1"]
    sad = by_id["train_dia0_utt0"]
    assert (sad.emotion, sad.speaker, sad.split, sad.path.parent.name) == ("sad", "meld-phoebe", "train", "train_splits")
    assert sad.text.startswith("Oh my God, he")
    assert (by_id["dev_dia0_utt0"].emotion, by_id["dev_dia0_utt0"].split) == ("happy", "validation")
    assert by_id["dev_dia0_utt0"].speaker == "meld-chandler-bing"
    assert by_id["dev_dia0_utt0"].path.suffix == ".flac"
    assert by_id["test_dia0_utt0"].split == "test"
    assert by_id["train_dia0_utt1"].sentence == by_id["dev_dia0_utt0"].sentence == "meld-what"
    assert "unknown label 'bemusement': train_sent_emo.csv row 3 (1)" in said
    assert "its sound file is missing: train_sent_emo.csv row 4 (1)" in said


def test_meld_as_it_comes_says_how_to_take_the_sound_out_of_the_films(tmp_path):
    (tmp_path / "dev_sent_emo.csv").write_text(HEADER + "1,What?,Monica,joy,positive,0,0,4,7,a,b\n")
    lay(tmp_path, "dev_splits_complete/dia0_utt0.mp4")
    with pytest.raises(CorpusError, match=r"no recording of MELD.*still an MP4.*ffmpeg"):
        corpora.read("meld", tmp_path)


def test_meld_table_of_another_shape_is_reported(tmp_path):
    meld(tmp_path / "MELD.Raw")
    (tmp_path / "MELD.Raw" / "dev_sent_emo.csv").write_text("text,label\nWhat?,joy\n")
    assert "no column 'Dialogue_ID': dev_sent_emo.csv row 1 (1)" in reading("meld", tmp_path)[1][0]


def iemocap(root):
    session = root / "IEMOCAP_full_release" / "Session1"
    (session / "dialog" / "EmoEvaluation").mkdir(parents=True)
    (session / "dialog" / "transcriptions").mkdir()
    labels = {
        "F000": "neu",
        "F001": "ang",
        "M000": "exc",
        "M001": "xxx",
        "M002": "fru",
        "F002": "oth",
        "M003": "hap",
        "F003": "zzz",
        "M004": "sad",
    }
    lines = [
        f"[6.2901 - 8.2357]\tSes01F_impro01_{who}\t{label}\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()" for who, label in labels.items()
    ]
    (session / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt").write_text(
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "\n\n".join(lines)
    )
    (session / "dialog" / "transcriptions" / "Ses01F_impro01.txt").write_text(
        "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\nSes01F_impro01_M000 [007.0000-009.0000]: Excuse me!\nM: breathing\n"
    )
    (session / "dialog" / "EmoEvaluation" / "Ses01M_script02_2.txt").write_text(
        "[1.0 - 2.0]\tSes01M_script02_2_F000\tfea\t[2.0, 2.0, 2.0]\n"
    )
    sounds = [f"Ses01F_impro01/Ses01F_impro01_{who}.wav" for who in labels if who != "M004"]
    return lay(session / "sentences" / "wav", *sounds, "Ses01M_script02_2/Ses01M_script02_2_F000.wav").parents[3]


def test_iemocap_labels_words_and_speakers(tmp_path):
    found, said = reading("iemocap", iemocap(tmp_path), own_labels=True)
    by_id = {u.id: u for u in found}
    assert {u.id.removeprefix("Ses01F_impro01_"): u.emotion for u in found} == {
        "F000": "neutral", "F001": "angry", "M000": "excited", "M002": "frustrated", "M003": "happy", "Ses01M_script02_2_F000": "fear",
    }  # fmt: skip
    first = by_id["Ses01F_impro01_F000"]
    assert (first.text, first.speaker, first.extra) == (
        "Excuse me.", "iemocap-01F", {"sex": "female", "dialogue": "Ses01F_impro01", "scripted": False}
    )  # fmt: skip
    assert first.sentence == by_id["Ses01F_impro01_M000"].sentence == "iemocap-excuse me"
    assert by_id["Ses01F_impro01_M000"].speaker == "iemocap-01M"
    scripted = by_id["Ses01M_script02_2_F000"]
    assert (scripted.speaker, scripted.extra["scripted"], scripted.sentence) == ("iemocap-01F", True, "iemocap-Ses01M_script02_2_F000")
    assert "2 file(s) left out" in said[0]
    assert "unknown label 'zzz': Ses01F_impro01_F003 (1)" in said[0]
    assert "its sound file is missing: Ses01F_impro01_M004 (1)" in said[0]
    assert said[1] == "iemocap: 4 of 6 recording(s) have no transcript, looked for in each session's dialog/transcriptions"


def test_iemocap_without_its_own_labels_keeps_the_seven(tmp_path):
    assert {u.emotion for u in reading("iemocap", iemocap(tmp_path))[0]} == {"neutral", "angry", "happy", "fear"}


def test_dialogue_corpora_are_recognised(tmp_path):
    meld(tmp_path / "a")
    iemocap(tmp_path / "b")
    assert corpora.looks_like(tmp_path / "a") == "meld"
    assert corpora.looks_like(tmp_path / "b") == "iemocap"
    with pytest.raises(CorpusError, match="it looks like MELD: read it as 'meld'"):
        corpora.read("iemocap", tmp_path / "a")
