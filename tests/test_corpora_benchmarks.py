"""LISTEN, LIME-440K, CASE and HumDial: rows with words, voice and questions."""

import json
from pathlib import Path

import pandas as pd
import pytest
from corpora_folders import lay, reading, tone

from cogviz.corpora import CorpusError
from cogviz.evaluation.items import read_items

CHOICES = ["neutral", "sadness", "anger", "excitement"]


def listen_row(id, experiment, answer, explicit, words="What the hell is this?", **more):
    return {
        "id": id, "audio": {"bytes": tone(), "path": f"{id}.wav"}, "question": "What emotion?", "choices": CHOICES, "answer": answer,
        "transcription": words, "experiment_type": experiment, "dataset_source": "IEMOCAP", "explicit_emotion": explicit, **more,
    }  # fmt: skip


@pytest.fixture
def listen(tmp_path):
    rows = [
        listen_row("a_1", "1", "sadness", None, words="Kids are talking by the door."),
        listen_row("b_2A", "2A", "anger", "anger"),
        listen_row("b_2B", "2B", "anger", None),
        listen_row("MUStARD_PRO_1_7575_u_3B", "3B", "anger", "happiness"),
        listen_row("d_3B", "3B", "sadness", "excitement"),
        listen_row("d_3A", "3A", "sadness", "excitement"),
        listen_row("e_4", "4", "excitement", None, words="[laughter]"),
        listen_row("f_3B", "3B", "puzzlement", "anger"),
    ]
    (tmp_path / "data").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    return tmp_path


def test_listen_conditions_questions_and_what_the_words_say(listen):
    found, (left_out, speakers) = reading("listen", listen)
    by_id = {u.id: u for u in found}
    assert {u.id: u.extra["condition"] for u in found} == {
        "a_1": "neutral text", "b_2B": "matched", "MUStARD_PRO_1_7575_u_3B": "mismatched", "d_3B": "mismatched",
    }  # fmt: skip
    assert [by_id[id].congruence for id in ("a_1", "b_2B", "MUStARD_PRO_1_7575_u_3B", "d_3B")] == [None, "congruent", "conflict", None]
    conflict = by_id["MUStARD_PRO_1_7575_u_3B"]
    assert (conflict.emotion, conflict.lexical_emotion) == ("angry", "happy")
    assert (conflict.extra["question"], conflict.extra["options"], conflict.extra["answer"]) == ("What emotion?", CHOICES, "anger")
    assert (by_id["d_3B"].lexical_emotion, by_id["d_3B"].extra["lexical_label"]) == (None, "excitement")
    assert len({u.speaker for u in found}) == 4
    assert conflict.sentence == by_id["b_2B"].sentence != by_id["a_1"].sentence
    assert "unknown label 'puzzlement': f_3B (1)" in left_out
    assert speakers == (
        "listen: the speaker of 4 of 4 recording(s) is unknown, so each counts as one of its own, and intervals may be too narrow"
    )


def test_listens_laughter_has_no_words_and_its_own_labels_are_kept_where_asked_for(listen):
    found, said = reading("listen", listen, own_labels=True)
    (laughter,) = (u for u in found if u.extra["condition"] == "paralinguistic")
    assert (laughter.emotion, laughter.text, laughter.lexical_emotion) == ("excitement", "", None)
    assert said[1] == "listen: 1 of 5 recording(s) have no transcript"


def test_sounds_inside_a_parquet_are_written_once_and_heard(listen):
    first = reading("listen", listen)[0][0]
    assert first.path == listen / "data" / "clips" / "a_1.wav"
    assert first.samples.shape == (3200,)
    written = first.path.stat().st_mtime_ns
    assert reading("listen", listen)[0][0].path.stat().st_mtime_ns == written


def test_where_the_sounds_cannot_be_written_it_is_said_what_to_do(listen):
    (listen / "data" / "clips").write_text("in the way")
    with pytest.raises(CorpusError, match=r"cannot be written \(File exists\); copy .*data to where you may write"):
        reading("listen", listen)


def test_the_readers_table_is_one_that_the_measures_take(listen):
    found, _ = reading("listen", listen)
    items = read_items(
        pd.DataFrame(
            {
                "voice": [u.emotion for u in found], "words": [u.lexical_emotion for u in found], "answer": [u.emotion for u in found],
                "sentence": [u.sentence for u in found], "speaker": [u.speaker for u in found],
            }
        )
    )  # fmt: skip
    assert len(items.voice) == 4


def lime(root, part="PartB", suffix="EN", inner=""):
    rows = {
        "10_1_surprise": {"text": None, "emotion": "SURPRISE", "scenario": "work", "group": "10_g_0", "wav_path": "/10/medium/10_1_surprise.wav"},
        "10_2_sad": {"text": "It is done.", "emotion": "SAD", "scenario": "work", "group": "10_g_0", "wav_path": "/10/strong/10_2_sad.wav"},
        "10_3_neutral": {"text": "It is done.", "emotion": "NEUTRAL", "scenario": "work", "group": "10_g_1", "wav_path": "/10/weak/10_3_neutral.wav"},
        "10_4_angry": {"text": "It is done.", "emotion": "ANGRY", "scenario": "work", "group": "10_g_1", "wav_path": "/10/weak/10_4_angry.wav"},
        "10_5_fear": {"text": "Gone.", "emotion": "FEAR", "scenario": "work", "group": "10_g_2", "wav_path": "/10/medium/10_5_fear.wav"},
    }  # fmt: skip
    folder = root / f"{part}_json_{suffix}"
    folder.mkdir(parents=True)
    (folder / "10.json").write_text(json.dumps(rows))
    for row in list(rows.values())[:-1]:
        lay(root / f"{part}_wav_{suffix.lower()}" / inner, str(row["wav_path"]).lstrip("/"))
    return root


@pytest.mark.parametrize("inner", ["", "PartB_wav_en"])
def test_lime440k_is_read_as_it_is_published(tmp_path, inner):
    found, said = reading("lime440k", lime(tmp_path, inner=inner))
    assert [(u.id, u.emotion, u.intensity, u.extra["strength"]) for u in found] == [
        ("PartB/10_1_surprise", "surprise", 1.0, "medium"),
        ("PartB/10_2_sad", "sad", 1.5, "strong"),
        ("PartB/10_3_neutral", "neutral", 0.0, "weak"),
        ("PartB/10_4_angry", "angry", 0.5, "weak"),
    ]
    assert [u.sentence for u in found] == ["lime440k-PartB/10_g_0"] * 2 + ["lime440k-PartB/10_g_1"] * 2
    assert len({u.speaker for u in found}) == 4
    assert {u.extra["language"] for u in found} == {"en"}
    assert {u.lexical_emotion for u in found} == {None}
    assert "its sound file is missing: 10_5_fear (1)" in said[0]
    assert said[1] == "lime440k: 1 of 4 recording(s) have no transcript"


def test_the_parts_of_lime440k_share_names_and_are_kept_apart(tmp_path):
    lime(tmp_path)
    found, _ = reading("lime440k", lime(tmp_path, part="PartA", suffix="CN"))
    assert len(found) == 8
    for u in found:
        part = u.id.partition("/")[0]
        assert u.path.relative_to(tmp_path).parts[0].startswith(part)
        assert u.extra["language"] == {"PartA": "zh", "PartB": "en"}[part]


MANIFEST = [
    {"id": "1", "audio": "en/1.wav", "emotion": "sad", "lexical_emotion": "joy", "text": "Great.", "speaker": "s1", "language": "en",
     "question": "How do they feel?", "options": "sad|happy", "answer": "sad"},
    {"id": "2", "audio": "en/2.wav", "emotion": "Anger", "lexical_emotion": "", "text": "", "speaker": "s2", "language": "en",
     "question": "", "options": "", "answer": ""},
    {"id": "3", "audio": "en/gone.wav", "emotion": "sad", "lexical_emotion": "", "text": "", "speaker": "", "language": "", "question": "",
     "options": "", "answer": ""},
    {"id": "4", "audio": "en/1.wav", "emotion": "bittersweet", "lexical_emotion": "", "text": "", "speaker": "", "language": "", "question": "",
     "options": "", "answer": ""},
]  # fmt: skip


def write_table(rows: list[dict], path: Path) -> None:
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        pd.DataFrame(rows).to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("name", ["case", "humdial"])
def test_a_manifest_is_read_in_every_table_format(tmp_path, name, kind):
    lay(tmp_path, "en/1.wav", "en/2.wav")
    write_table(MANIFEST, tmp_path / f"items.{kind}")
    (conflict, angry), said = reading(name, tmp_path)
    assert (conflict.emotion, conflict.lexical_emotion, conflict.congruence) == ("sad", "happy", "conflict")
    assert (conflict.speaker, conflict.sentence, conflict.text) == (f"{name}-s1", f"{name}-great", "Great.")
    assert conflict.extra == {"language": "en", "question": "How do they feel?", "options": ["sad", "happy"], "answer": "sad"}
    assert (angry.emotion, angry.lexical_emotion, angry.sentence) == ("angry", None, f"{name}-2")
    assert "its sound file is missing: 3 (1)" in said[0]
    assert "unknown label 'bittersweet': 4 (1)" in said[0]


def test_a_manifest_needs_no_more_than_sound_and_emotion(tmp_path):
    lay(tmp_path, "1.wav", "2.wav")
    write_table([{"audio": "1.wav", "emotion": "sad"}, {"audio": "2.wav", "emotion": "joy"}], tmp_path / "items.csv")
    found, said = reading("case", tmp_path)
    assert [(u.id, u.speaker, u.sentence) for u in found] == [("1", "case-1", "case-1"), ("2", "case-2", "case-2")]
    assert said == [
        "case: 2 of 2 recording(s) have no transcript",
        "case: the speaker of 2 of 2 recording(s) is unknown, so each counts as one of its own, and intervals may be too narrow",
        "case: the sentence of 2 of 2 recording(s) is unknown, so each counts as one of its own, and intervals may be too narrow",
    ]


def test_without_ids_the_same_file_name_in_two_folders_is_two_items(tmp_path):
    lay(tmp_path, "en/1.wav", "zh/1.wav")
    write_table([{"audio": "1.wav", "emotion": "sad", "language": "en"}], tmp_path / "en" / "items.csv")
    write_table([{"audio": "1.wav", "emotion": "joy", "language": "zh"}], tmp_path / "zh" / "items.csv")
    assert [(u.id, u.emotion, u.extra["language"]) for u in reading("humdial", tmp_path)[0]] == [
        ("en/1", "sad", "en"),
        ("zh/1", "happy", "zh"),
    ]


def test_what_a_table_does_not_say_is_unknown_and_no_word(tmp_path):
    lay(tmp_path, "1.wav", "2.wav")
    rows = [
        {"audio": "1.wav", "emotion": "sad", "speaker": 7.0, "text": None},
        {"audio": "2.wav", "emotion": "joy", "speaker": float("nan"), "text": "So."},
    ]
    write_table(rows, tmp_path / "items.parquet")
    found, _ = reading("case", tmp_path)
    assert [(u.speaker, u.text) for u in found] == [("case-7.0", ""), ("case-2", "So.")]


def test_a_broken_table_is_reported_and_the_others_are_read(tmp_path):
    lay(tmp_path, "1.wav", "2.wav")
    (tmp_path / "broken.json").write_text('[{"audio": ')
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "config.json").write_text('{"version": 1, "names": ["a"]}')
    write_table([{"audio": "1.wav", "emotion": "sad"}, {"audio": "2.wav", "emotion": "joy"}], tmp_path / "items.csv")
    found, said = reading("case", tmp_path)
    assert len(found) == 2
    assert said[0].startswith("case: 2 file(s) left out; not readable as a table")
    assert "broken.json" in said[0]
    assert "broken.parquet" in said[0]
