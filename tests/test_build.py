"""The dataset builder: what is in a plan, what is in the folder, and what happens when something goes wrong."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cogviz import audio
from cogviz.eips import parse, render
from cogviz.emotions import EMOTIONS
from cogviz.lime import crew, dataset, prosody, worker
from cogviz.lime.build import BuildError, build
from cogviz.lime.plan import Cell, Part, Plan, cells, load, packaged
from cogviz.lime.prosody import FACTORS
from cogviz.lime.voices import voices


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny plan, built without interruption in this process."""
    folder = tmp_path_factory.mktemp("lime") / "tiny"
    report = build("tiny", folder, backend="sequential", progress=False)
    assert not report.failures
    return folder


@lru_cache
def cells_of(name: str) -> list[Cell]:
    """The cells of a packaged plan with seed 0."""
    return cells(load(name))


def contents(folder: Path) -> dict[str, str]:
    """Every file that belongs to the dataset, with the digest of its bytes."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# --- plans -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", packaged())
def test_no_sentence_and_no_speaker_of_training_is_in_a_test_part(name: str) -> None:
    said, templates, speakers = defaultdict(set), defaultdict(set), defaultdict(set)
    for cell in cells_of(name):
        said[cell.sentence.split].add(cell.sentence.text)
        templates[cell.sentence.split].add(cell.sentence.template)
        speakers[cell.sentence.split].add(cell.voice.id)
    for split in ("validation", "test", "test_slots"):
        assert not said["train"] & said[split]
        assert not speakers["train"] & speakers[split]
        if split != "test_slots":
            assert not templates["train"] & templates[split]
    assert not (speakers["validation"] & speakers["test"])
    assert not (said["validation"] & said["test"])


def test_a_plan_gives_the_same_cells_for_a_seed_and_others_for_another() -> None:
    plan = load("samples")
    assert cells(plan, 3) == cells(plan, 3)
    assert {c.sentence.id for c in cells(plan, 3)} != {c.sentence.id for c in cells(plan, 4)}


def test_a_part_does_not_depend_on_the_other_parts() -> None:
    part = load("nano").parts[3]
    assert cells(Plan("alone", (part,))) == [c for c in cells_of("nano") if c.part == part.name]


def test_a_plan_can_include_another_and_adds_to_it(tmp_path: Path) -> None:
    whole, nano = load("smol"), load("nano")
    assert whole.parts[: len(nano.parts)] == nano.parts
    (more,) = whole.parts[len(nano.parts) :]
    found = cells(Plan("more", (more,)))
    assert {c.sentence.kind for c in found} == {"sampled"}
    assert len({c.sentence.text for c in found}) == len(found) >= 800
    assert all(len(c.variants) == 2 for c in found)


def test_variant_modes_give_the_tones_they_promise() -> None:
    def tones(**settings: object) -> list[list[tuple[str, float]]]:
        part = Part(**{"name": "p", "kind": "emotional", "split": "test", "voices": "test", "sentences": 4} | settings)  # type: ignore[arg-type]
        return [[(v.emotion, v.k) for v in cell.variants] for cell in cells(Plan("p", (part,)))]

    assert all(len(set(cell)) == 19 and Counter(e for e, _ in cell) == dict.fromkeys(EMOTIONS, 3) for cell in tones(variants="all"))
    assert all([e for e, _ in cell] == list(EMOTIONS) for cell in tones(variants="each"))
    assert {k for cell in tones(variants="each", intensities=("high", 0.7)) for _, k in cell} == {0.0, 1.5, 0.7}
    assert all(len({e for e, _ in cell}) == 3 for cell in tones(variants={"some": 3}))
    assert len({e for cell in tones(variants="congruent") for e, _ in cell}) == 4, "sentences come from the word emotions in turn"


def test_speakers_get_equal_shares_and_a_sentence_different_ones() -> None:
    part = Part("p", "everyday", "test", "test", per_template=3, speakers_per_sentence=4)
    found = cells(Plan("p", (part,)))
    share = Counter(c.voice.id for c in found)
    assert max(share.values()) - min(share.values()) <= 1
    assert len(share) == len(voices("test"))
    assert all(n == 4 for n in Counter(c.sentence.id for c in found).values())
    assert len({c.id for c in found}) == len(found)


def test_samples_are_six_cells_by_two_speakers_and_a_balanced_conflict_set() -> None:
    found = cells_of("samples")
    ambiguous = [c for c in found if c.part == "ambiguous"]
    assert len(ambiguous) == 12
    assert len({c.sentence.domain for c in ambiguous}) == 6
    assert all([v.emotion for v in c.variants] == list(EMOTIONS) for c in ambiguous)
    assert {(v.synthesizer, v.sex) for v in (c.voice for c in ambiguous)} == {("espeak", "male"), ("neural", "female")}
    said_by = defaultdict(list)
    for cell in found[12:]:
        for variant in cell.variants:
            said_by[cell.sentence.emotion, variant.emotion].append(cell.voice.id)
    for words in EMOTIONS:
        for tone in EMOTIONS:
            times = 0 if words == tone == "neutral" else 1 if words == "neutral" or words == tone else 2
            assert len(said_by[words, tone]) == len(set(said_by[words, tone])) == times
    assert len({v for group in said_by.values() for v in group}) == 4
    share = Counter(c.voice.id for c in found[12:])
    assert max(share.values()) - min(share.values()) <= 1


def test_factor_dropout_leaves_a_proper_subset_in_its_share_of_the_renderings() -> None:
    part = Part("p", "everyday", "train", "train", per_template=2, factor_dropout=0.25)
    variants = [v for c in cells(Plan("p", (part,))) for v in c.variants]
    dropped = [v for v in variants if v.factors != FACTORS]
    assert len(dropped) / len(variants) == pytest.approx(0.25, abs=3 * np.sqrt(0.25 * 0.75 / len(variants)))
    assert len({v.factors for v in dropped}) == 2 ** len(FACTORS) - 2
    by_part = defaultdict(list)
    for cell in cells_of("nano"):
        by_part[cell.part] += [v.factors != FACTORS for v in cell.variants]
    assert all((np.mean(found) > 0.1) == name.endswith("_train") for name, found in by_part.items())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("parts: [", "not YAML"),
        ("name: x", "no list `parts`"),
        ("include: other\nparts: [{name: a, kind: everyday, split: train, voices: train}]", "includes 'other'; it can include one of nano"),
        ("parts: [{name: a, kind: everyday, split: train}]", "`voices` is missing"),
        ("parts: [{name: a, kind: everyday, split: train, voices: train, per_templat: 2}]", "unknown setting 'per_templat'"),
        ("parts: [{name: a, kind: everyday, split: train, voices: [nobody]}]", "no speaker 'nobody'"),
        ("parts: [{name: a, kind: everyday, split: train, voices: train, variants: congruent}]", "words with an emotion"),
        ("parts: [{name: a, kind: everyday, split: train, voices: train, intensities: [loud]}]", "unknown intensity 'loud'"),
        ("parts: [{name: a, kind: everyday, split: train, voices: train, variants: {some: 8}}]", "must be 1 .. 7"),
    ],
)
def test_a_wrong_plan_is_refused_with_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(BuildError, match=says) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "mine" in str(caught.value)
    with pytest.raises(BuildError, match="no plan 'nanoo'"):
        load("nanoo")


# --- the folder ------------------------------------------------------------------------------------------------------------------


def test_rows_describe_the_sound_files(tiny: Path) -> None:
    table, utterances = dataset.table(tiny), dataset.read(tiny)
    assert len(table) == len(utterances) == sum(len(c.variants) for c in cells_of("tiny"))
    assert table.id.is_unique
    assert list(table.columns) == list(dataset.COLUMNS)
    for u, row in zip(utterances, table.to_dict("records"), strict=True):
        info = soundfile.info(tiny / row["file_name"])
        assert (info.samplerate, info.channels, info.format, info.subtype) == (audio.RATE, 1, "FLAC", "PCM_16")
        assert info.frames / audio.RATE == row["seconds"]
        values = prosody.delta(row["emotion"], row["intensity"], speaker=row["speaker"], take=row["take"], factors=row["factors"])
        np.testing.assert_array_equal(row["prosody"], values.astype(np.float32))
        off = [name for name, factor in prosody.PARAMETERS.items() if factor not in row["factors"]]
        assert not any(v for name, v in zip(prosody.PARAMETERS, row["prosody"], strict=True) if name in off)
        answer = dataset.answer(u)
        assert parse(render(answer)) == answer
        assert all(cue in u.extra["perception"] for cue in row["heard"])
        assert u.samples.shape == (info.frames,)
        assert u.extra["part"] == row["part"]
    assert {u.congruence for u in utterances if u.extra["kind"] == "emotional"} == {"congruent"}
    assert any(len(row) < len(FACTORS) for row in table.factors)


def test_words_cover_the_sound_in_order(tiny: Path) -> None:
    for u in dataset.read(tiny):
        seconds = u.extra["seconds"]
        assert [w.text for w in u.words] == u.text.split()
        edges = [t for w in u.words for t in (w.start, w.end)]
        assert edges == sorted(edges)
        assert all(w.end > w.start for w in u.words)
        assert edges[0] < 0.15
        assert seconds - 0.15 < edges[-1] <= seconds
        assert sum(w.end - w.start for w in u.words) > 0.6 * seconds


def test_keep_timing_makes_a_cell_of_equal_length_and_words(tiny: Path) -> None:
    by_part = defaultdict(list)
    for u in dataset.read(tiny):
        by_part[u.extra["part"]].append(u)
    assert len({len(u.samples) for u in by_part["equal_length"]}) == 1
    assert len({u.words for u in by_part["equal_length"]}) == 1
    assert len({len(u.samples) for u in by_part["ambiguous"][:7]}) > 1
    assert len({u.samples.tobytes() for u in by_part["equal_length"]}) == 7


def test_hugging_face_audiofolder_loads_every_row(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    if importlib.util.find_spec("torchcodec") is None:  # `datasets` asks for it even where it only hands on the path
        monkeypatch.setitem(sys.modules, "torchcodec", types.ModuleType("torchcodec"))
        monkeypatch.setitem(sys.modules, "torchcodec.encoders", types.SimpleNamespace(AudioEncoder=None))
    loaded = datasets.load_dataset("audiofolder", data_dir=str(tiny), cache_dir=str(tmp_path))
    assert list(loaded) == ["train"]
    rows = loaded["train"].cast_column("audio", datasets.Audio(decode=False))
    table = dataset.table(tiny).set_index("id")
    assert sorted(rows["id"]) == sorted(table.index)
    for row in rows:
        assert Path(row["audio"]["path"]).name == Path(table.file_name[row["id"]]).name
        assert row["emotion"] == table.emotion[row["id"]]
        assert [w["text"] for w in row["words"]] == row["text"].split()


def test_no_id_of_the_packaged_plans_looks_like_a_split_to_hugging_face() -> None:
    words = {"train", "training", "validation", "valid", "dev", "val", "test", "testing", "eval", "evaluation"}
    for name in packaged():
        for cell in cells_of(name):
            assert not words & set(f"{cell.sentence.id}-{cell.voice.id}".replace("_", "-").split("-"))


# --- running it ------------------------------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing_and_restores_what_is_missing(tiny: Path) -> None:
    before = contents(tiny)
    stamps = {p: p.stat().st_mtime_ns for p in tiny.rglob("*") if p.is_file()}
    report = build("tiny", tiny, progress=False)
    assert (report.built, report.kept, report.utterances) == (0, 7, 31)
    assert "nothing was left" in str(report)
    assert {p: p.stat().st_mtime_ns for p in tiny.rglob("*") if p.is_file()} == stamps
    lost, cut = sorted(tiny.glob("audio/*/*.flac"))[:2]
    lost.unlink()
    with pytest.raises(BuildError, match="is missing"):
        dataset.read(tiny)
    cut.write_bytes(b"")
    report = build("tiny", tiny, backend="sequential", progress=False)
    assert 1 <= report.built <= 2
    assert contents(tiny) == before


def test_two_workers_and_a_limit_give_the_same_bytes_as_one(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = build("tiny", tmp_path / "two", jobs=2, limit=3, progress=False)
    assert (first.cells, first.built) == (3, 3)
    assert not (tmp_path / "two" / worker.JOURNAL).exists()
    second = build("tiny", tmp_path / "two", jobs=2)
    assert (second.kept, second.built) == (3, 4)
    assert second.built_seconds > 0
    assert contents(tmp_path / "two") == contents(tiny)
    assert "utterances" in capsys.readouterr().err


# Python's own handler is set again, because a shell that runs the tests in the background has SIGINT ignored.
_SCRIPT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from cogviz.lime.build import build; "
    "build('tiny', sys.argv[1], jobs=2, progress=False)"
)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_build_that_is_interrupted_and_then_killed_continues_to_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"

    def started(until: int) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", _SCRIPT, folder], start_new_session=True, stderr=subprocess.PIPE, text=True)
        give_up = time.monotonic() + 60
        while len(list((folder / worker.JOURNAL / "rows").glob("*.json"))) < until and time.monotonic() < give_up:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        return process

    process = started(until=1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert errors.strip().split("\n")[-1].startswith("KeyboardInterrupt: stopped: ")
    assert "same command again" in errors
    kept = set((folder / worker.JOURNAL / "rows").glob("*.json"))
    assert kept
    process = started(until=len(kept) + 1)
    process.kill()
    process.communicate()
    assert not (folder / "metadata.parquet").exists()
    report = build("tiny", folder, jobs=1, progress=False)
    assert report.kept >= 2
    assert report.kept + report.built == 7
    assert contents(folder) == contents(tiny)


def broken_render(cell: Cell) -> list[worker.Rendered]:
    """Fail in each way that was seen, once or always, by the turn of the cell."""
    told = json.loads(os.environ["COGVIZ_TEST_TROUBLE"])
    trouble = told["cells"].get(cell.id)
    seen = Path(told["folder"]) / cell.key
    if trouble == "always" or (trouble and not seen.exists()):
        seen.touch()
        if trouble == "always":
            raise worker.audio.AudioError("nothing can be heard")
        if trouble == "memory":
            raise MemoryError("too much")
        if trouble == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(1000)
    return worker.render_cell(cell)


@pytest.fixture
def trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Make cells fail: {cell id: how}."""

    def make(cells: dict[str, str]) -> None:
        (tmp_path / "seen").mkdir()
        monkeypatch.setenv("COGVIZ_TEST_TROUBLE", json.dumps({"folder": str(tmp_path / "seen"), "cells": cells}))
        monkeypatch.setattr(crew, "render_cell", broken_render)

    return make


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_errors_and_dead_workers_are_tried_again_and_reported(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[dict[str, str]], None]
) -> None:
    names = [c.id for c in cells_of("tiny")]
    trouble({names[0]: "always", names[1]: "memory", names[2]: "killed"})
    report = build("tiny", tmp_path / "t", jobs=2, progress=False)
    (missing,) = report.missing
    assert missing.cell == names[0]
    assert "nothing can be heard" in missing.error
    assert "1 cell FAILED" in str(report)
    solved = {f.cell: f.error for f in report.failures if f.solved}
    assert set(names[1:3]) <= set(solved)
    assert len(solved) <= 3, "the two, and at most the cell that the other worker had in hand when the pool broke"
    assert "SIGKILL" in solved[names[2]]
    logged = [json.loads(line) for line in (tmp_path / "t" / "failures.jsonl").read_text().splitlines()]
    assert {row["cell"] for row in logged} == {f.cell for f in report.failures}
    assert report.built == 6
    monkeypatch.undo()
    report = build("tiny", tmp_path / "t", backend="sequential", progress=False)
    assert (report.kept, report.built) == (6, 1)
    assert contents(tmp_path / "t") == contents(tiny), "the next build mends it"


def test_a_hanging_worker_is_ended_tried_again_and_reported_with_its_place(
    tmp_path: Path, trouble: Callable[[dict[str, str]], None]
) -> None:
    first = min(cells_of("tiny"), key=lambda cell: cell.key)
    trouble({first.id: "hangs"})
    report = build("tiny", tmp_path / "t", jobs=1, limit=1, time_limit=10, progress=False)
    (failure,) = report.failures
    assert failure.solved
    assert "longer than 10 s" in failure.error
    assert "broken_render" in failure.error
    assert report.built == 1


def test_where_every_cell_fails_the_build_stops_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(cell: Cell) -> list[worker.Rendered]:
        raise worker.audio.AudioError("no sound today")

    monkeypatch.setattr(crew, "render_cell", fails)
    with pytest.raises(BuildError, match=r"the first 10 cells all failed .*no sound today"):
        build("samples", tmp_path / "x", backend="sequential", progress=False)


def test_a_full_disk_stops_with_one_sentence_and_keeps_what_is_finished(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    write = audio.write

    def full(path: Path, samples: np.ndarray) -> None:
        if len(written) >= 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(path, samples)

    monkeypatch.setattr(audio, "write", full)
    with pytest.raises(BuildError, match=r"disk .* is full.*same command again") as caught:
        build("tiny", tmp_path / "t", backend="sequential", progress=False)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    monkeypatch.undo()
    report = build("tiny", tmp_path / "t", backend="sequential", progress=False)
    assert report.kept > 0
    assert not report.failures
    assert contents(tmp_path / "t") == contents(tiny)


def test_another_plan_or_seed_into_the_same_folder_is_refused_and_nothing_is_lost(tiny: Path, tmp_path: Path) -> None:
    before = contents(tiny)
    with pytest.raises(BuildError, match="begun with another plan and sentences"):
        build("samples", tiny, progress=False)
    with pytest.raises(BuildError, match="begun with another seed"):
        build("tiny", tiny, seed=1, progress=False)
    assert contents(tiny) == before
    (tmp_path / "metadata.csv").write_text("mine")
    with pytest.raises(BuildError, match=r"metadata\.csv from elsewhere"):
        build("tiny", tmp_path, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["metadata.csv"]


@pytest.mark.parametrize(("settings", "says"), [({"backend": "loki"}, "unknown backend"), ({"jobs": 0}, "jobs must be 1 or more")])
def test_wrong_settings_are_refused_with_one_sentence(tmp_path: Path, settings: dict[str, object], says: str) -> None:
    with pytest.raises(BuildError, match=says):
        build("tiny", tmp_path / "t", progress=False, **settings)  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match="cannot be written"):
        build("tiny", tmp_path / "file" / "t", progress=False)


def test_reading_a_folder_without_a_dataset_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="cogviz lime build"):
        dataset.read(tmp_path)
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BuildError, match="cannot be read"):
        dataset.table(tmp_path)
