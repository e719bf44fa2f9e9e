"""Questions about spoken dialogues: reading alone is at chance by construction, hearing is not, and what is damaged is refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogviz import cli
from cogviz.audio import NoVoice
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import results
from cogviz.evaluation.dialogues import PAUSE, Dialogues, evaluate, joined, letter, question
from cogviz.evaluation.stimuli import draw
from cogviz.lime import crew, dataset
from cogviz.lime.dialogue_scenarios import LETTERS, TASKS, parse, scenarios
from cogviz.lime.dialogues import FILE, DialogueError, Item, build, read
from cogviz.lime.plan import BuildError, Cell
from cogviz.lime.sentences import KINDS, ScenarioError, sentences
from cogviz.lime.voices import voices
from cogviz.models import listeners
from cogviz.models.protocol import Heard, written
from cogviz.plotting.dialogues import dialogues as draw_dialogues
from cogviz.utterance import Utterance


class Simulated:
    """A listener whose belief in each emotion is a function of the utterance, and whose answers are given."""

    def __init__(self, believe: Callable[[Utterance], np.ndarray], say: Callable[[Utterance, str], str] = lambda u, q: "") -> None:
        self.name, self.fingerprint, self.believe, self.say = "simulated", "simulated", believe, say

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        return np.stack([self.believe(u) for u in utterances])

    def read(self, texts: Sequence[str], *, route: str = "reason", progress: bool = True) -> list[Heard]:
        said = [self.believe(written(text)) for text in texts]
        return [Heard(written(t), route, "", None, None, dict(zip(EMOTIONS, s, strict=True))) for t, s in zip(texts, said, strict=True)]

    def answer(self, utterances: Sequence[Utterance], question: Sequence[str], *, progress: bool = True) -> list[str]:
        return [self.say(u, q) for u, q in zip(utterances, question, strict=True)]


def hears(u: Utterance) -> np.ndarray:
    """The truth wherever there is a sound with a tone."""
    silent = u.emotion is None or u.extra.get("edit") == "silence"
    return np.zeros(7) if silent else np.where(np.array(EMOTIONS) == u.emotion, -0.1, -5.0)


def reads(u: Utterance) -> np.ndarray:
    """Something that depends on the words, and on nothing else."""
    return np.random.default_rng(draw(u.text)).normal(size=7)


def guesses(u: Utterance) -> np.ndarray:
    return np.random.default_rng(draw(u.id, "coin")).normal(size=7)


def quick(cell: Cell) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Stands in for the synthesizer: a short noise, with the row that belongs to it."""
    rows = []
    for v in cell.variants:
        name = f"{cell.sentence.id}-{cell.voice.id}-{v.emotion}-{v.take.rsplit('/', 1)[1]}"
        row = {
            "file_name": f"audio/{name}.flac", "id": name, "text": cell.sentence.text, "emotion": v.emotion, "intensity": v.k, "part": cell.part,
            "speaker": cell.voice.id, "sentence": cell.sentence.id, "lexical_emotion": cell.sentence.emotion, "take": v.take, "seconds": 0.2,
        }  # fmt: skip
        rows.append((row, np.random.default_rng(len(rows)).normal(0, 0.05, 3200).astype(np.float32)))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All dialogues, as noise."""
    path = tmp_path_factory.mktemp("dialogues") / "all"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crew, "render_cell", quick)
        build(path, backend="sequential", progress=False)
    return path


@pytest.fixture(scope="module")
def items(folder: Path) -> list[Item]:
    return read(folder)


# --- the data --------------------------------------------------------------------------------------------------------------------


def test_no_sentence_is_in_any_other_data_nor_close_to_one_of_training() -> None:
    def words(text: str) -> tuple[str, ...]:
        return tuple(re.findall(r"[a-z']+", text.lower()))

    ours = [words(text) for s in scenarios() for text in s.texts]
    known = {words(s.text): s.split for kind in KINDS for s in sentences(kind=kind)}
    assert not set(ours) & set(known)
    assert len(set(ours)) == len(ours)
    trained = [set(w) for w, split in known.items() if split == "train"]
    closest = {text: max(len(set(text) & other) / len(set(text) | other) for other in trained) for text in ours}
    assert max(closest.values()) < 0.5, max(closest, key=closest.__getitem__)


def test_every_question_has_four_voicings_of_the_same_words_in_each_of_which_another_option_is_right(items: list[Item]) -> None:
    asked: dict[tuple[object, ...], list[int]] = {}
    for item in items:
        same = item.scenario, item.speaker, item.question, item.options, tuple(u.text for u in item.turns), item.assistant
        asked.setdefault(same, []).append(item.right)
    assert {tuple(sorted(rights)) for rights in asked.values()} == {(0, 1, 2, 3)}
    assert len(items) == 4 * len(asked) == 224


def test_right_answers_are_balanced_over_tasks_places_and_emotions(items: list[Item]) -> None:
    assert Counter(item.task for item in items) == dict.fromkeys(TASKS, 56)
    assert set(Counter((item.task, item.right) for item in items).values()) == {14}
    for task in TASKS[1:]:
        right = Counter((next(filter(None, i.options[i.right].supposes)), i.right) for i in items if i.task == task)
        assert right == {(name, place): 2 for name in EMOTIONS for place in range(4)}, task
    assert {u.intensity for i in items for u in i.turns} == {0.0, 1.0, 1.5}
    strong = Counter(u.intensity for i in items for u in i.turns if u.emotion != "neutral")
    assert 0.45 < strong[1.5] / strong.total() < 0.55


def test_distractors_suppose_other_emotions_and_are_tempting() -> None:
    for scenario in scenarios():
        for q in scenario.questions():
            assert all(a.supposes != b.supposes and a.text != b.text for a, b in combinations(q.options, 2))
            long = [len(o.text) for o in q.options]
            assert max(long) < 2.2 * min(long), (scenario.id, q.task)  # the right one is not told by its length
        if scenario.words is None:  # a trajectory comes with its reverse, and an option fits another turn of the same voicing
            assert {v[::-1] for v in scenario.voicings} == set(scenario.voicings)
        for voicing in scenario.voicings:
            offered = set(scenario.feelings or scenario.causes)
            assert offered & (set(voicing) - {voicing[scenario.about]}), scenario.id


def test_words_of_conflict_carry_each_emotion_and_agree_with_the_voice_in_one_voicing_of_four(items: list[Item]) -> None:
    carried = Counter(s.words for s in scenarios() if s.words)
    assert set(carried) == set(EMOTIONS[1:])
    assert min(carried.values()) == 2
    agree = [any(u.lexical_emotion == u.emotion for u in i.turns) for i in items if i.task == "conflict"]
    assert sum(agree) == len(agree) / 4
    assert not any(u.lexical_emotion for i in items if i.task != "conflict" for u in i.turns)


def test_speakers_are_those_of_the_test_split(items: list[Item]) -> None:
    assert {i.speaker for i in items} == {v.id for v in voices("test")}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row["voicings"][0].__setitem__(row["about"], row["voicings"][1][row["about"]]), "must be right in one voicing"),
        (lambda row: row["turns"].__delitem__(slice(1, None)), "3 to 5 turns of the speaker, not 1"),
        (lambda row: row["turns"][0].update(text="I am so sad about it today."), "names an emotion"),
        (lambda row: row["voicings"][0].__setitem__(0, "bored"), "one of"),
        (lambda row: row["replies"].popitem(), "reply needs 4 options"),
        (lambda row: row.pop("about"), "missing 'about'"),
    ],
)
def test_a_scenario_that_breaks_a_rule_is_refused(change: Callable[[dict[str, Any]], object], reason: str) -> None:
    s = next(s for s in scenarios() if s.words is None)
    turns = [{"text": text, "assistant": said} for text, said in zip(s.texts, (*s.assistant, None), strict=True)]
    row = {"id": s.id, "domain": s.domain, "topic": s.topic, "turns": turns, "voicings": [list(v) for v in s.voicings], "about": s.about,
           "causes": dict(s.causes), "replies": dict(s.replies)}  # fmt: skip
    assert parse(row, "here") == s
    change(row)
    with pytest.raises(ScenarioError, match=reason):
        parse(row, "here")


# --- building --------------------------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_build_speaks_goes_on_where_it_was_stopped_and_changes_nothing_the_second_time(tmp_path: Path) -> None:
    few = [s for s in scenarios() if s.id in ("dialogue-lungs", "dialogue-bill")]
    report = build(tmp_path / "d", chosen=few, backend="sequential", progress=False)
    assert not report.missing
    found = read(tmp_path / "d")
    assert Counter(i.task for i in found) == dict.fromkeys(TASKS, 4)
    assert all(1.0 < len(u.samples) / 16000 < 15.0 for i in found for u in i.turns)
    assert {u.id for u in dataset.read(tmp_path / "d")} == {u.id for i in found for u in i.turns}  # an ordinary dataset folder, too
    before = contents(tmp_path / "d")
    build(tmp_path / "d", chosen=few, backend="sequential", progress=False)
    assert contents(tmp_path / "d") == before
    gone = found[0].turns[0].path
    assert gone is not None
    gone.unlink()
    (tmp_path / "d" / FILE).unlink()
    again = build(tmp_path / "d", chosen=few, backend="sequential", progress=False)
    assert again.built == 1
    assert {name: data for name, (data, _) in contents(tmp_path / "d").items()} == {name: data for name, (data, _) in before.items()}


def test_no_questions_are_written_where_a_recording_could_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sometimes(cell: Cell) -> list[tuple[dict[str, Any], np.ndarray]]:
        if cell.sentence.id == "dialogue-bill-2":
            raise ValueError("hoarse")
        return quick(cell)

    monkeypatch.setattr(crew, "render_cell", sometimes)
    report = build(tmp_path / "d", chosen=[s for s in scenarios() if s.id == "dialogue-bill"], backend="sequential", progress=False)
    assert [f.cell for f in report.missing] == ["dialogues/dialogue-bill-2/espeak-us-m3"]
    with pytest.raises(DialogueError, match="holds no dialogues"):
        read(tmp_path / "d")


def test_more_speakers_say_the_same_dialogues_each_in_all_voicings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "render_cell", quick)
    build(tmp_path / "d", speakers=3, chosen=scenarios()[:2], backend="sequential", progress=False)
    assert set(Counter((i.scenario, i.speaker, i.task) for i in read(tmp_path / "d")).values()) == {4}
    with pytest.raises(BuildError, match="speakers must be 1 to 8"):
        build(tmp_path / "e", speakers=9)
    assert not (tmp_path / "e").exists()


# --- bad input -------------------------------------------------------------------------------------------------------------------


def _one_turn(row: dict[str, Any]) -> None:
    del row["turns"][1:]


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "one turn": (_one_turn, "a dialogue has two turns or more, this has 1"),
    "not annotated": (lambda row: row["turns"][1].update(emotion=None), "nobody annotated the emotion of turn 2"),
    "no such emotion": (lambda row: row["turns"][0].update(emotion="bored"), "the emotion of turn 1 is 'bored'; it must be one of"),
    "no sound": (lambda row: row["turns"][2].update(audio="audio/gone.flac"), "the recording audio/gone.flac of turn 3 is missing"),
    "no recording named": (lambda row: row["turns"][2].pop("audio"), "turn 3 names no recording"),
    "task": (lambda row: row.update(task="weather"), "unknown task 'weather'; the tasks are trajectory, cause, reply, conflict"),
    "wrong answer": (lambda row: row.update(right="ABCD"["ABCD".index(row["right"]) - 1]), "but what is heard fits"),
    "no letter": (lambda row: row.update(right="E"), "right must be one of A, B, C, D"),
    "three options": (lambda row: row["options"].pop(), "a question has 4 options, this has 3"),
    "same options": (lambda row: row["options"][0].update(text=row["options"][1]["text"]), "two options have the same text"),
    "no speaker": (lambda row: row.pop("speaker"), "the field 'speaker' is missing"),
    "other form": (lambda row: row.update(turns="hello"), "turns and options must be lists"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_dialogue_is_refused_with_one_sentence_and_its_place(name: str, folder: Path, tmp_path: Path) -> None:
    change, reason = BROKEN[name]
    rows = [json.loads(line) for line in (folder / FILE).read_text().splitlines()[:3]]
    change(rows[1])
    (tmp_path / "audio").symlink_to(folder / "audio")
    (tmp_path / FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DialogueError, match=re.escape(reason)) as refused:
        read(tmp_path)
    assert f"{FILE}:2: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_folder_of_dialogues_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DialogueError, match="build them with `cogviz lime dialogues"):
        read(tmp_path)
    (tmp_path / FILE).write_text("")
    with pytest.raises(DialogueError, match="is empty"):
        read(tmp_path)
    (tmp_path / FILE).write_text("{half")
    with pytest.raises(DialogueError, match="not JSON"):
        read(tmp_path)
    (tmp_path / "audio").symlink_to(folder / "audio")
    line = (folder / FILE).read_text().splitlines()[0]
    (tmp_path / FILE).write_text(f"{line}\n{line}\n")
    with pytest.raises(DialogueError, match="comes twice"):
        read(tmp_path)


# --- measuring -------------------------------------------------------------------------------------------------------------------


def test_a_pure_hearer_is_right_with_the_voice_and_wrong_with_another(items: list[Item]) -> None:
    found = evaluate(Simulated(hears), items, progress=False)
    assert {name: e.value for name, e in found.accuracy.items()} == dict.fromkeys([*TASKS, "all"], 1.0)
    assert found.turn_accuracy is not None
    assert found.turn_accuracy.value == 1.0
    assert found.follows_words is not None
    assert (found.follows_words.value, found.follows_words.n) == (0.0, 42)
    assert max(found.other_tone[task].value for task in TASKS[1:]) <= 0.05
    for control in (found.no_audio, found.silence):  # equal beliefs: the first option, always
        assert {e.value for e in control.values()} == {0.25}


def test_a_pure_reader_is_exactly_at_chance_whatever_it_reads(items: list[Item]) -> None:
    found = evaluate(Simulated(reads), items, progress=False)
    for figures in (found.accuracy, found.no_audio, found.silence, found.other_tone):
        assert {e.value for e in figures.values()} == {0.25}
    by_words = evaluate(Simulated(lambda u: np.array([float(name == _carried(items, u.text)) for name in EMOTIONS])), items, controls=())
    assert by_words.follows_words is not None
    assert by_words.follows_words.value == 1.0
    assert by_words.accuracy["conflict"].value == 0.25


def test_a_listener_that_needs_a_voice_is_measured_without_silence(items: list[Item]) -> None:
    def needs(u: Utterance) -> np.ndarray:
        if u.extra.get("edit") == "silence":
            raise NoVoice("nobody speaks")
        return hears(u)

    found = evaluate(Simulated(needs), items, progress=False)
    assert found.silence == {}
    assert found.accuracy == evaluate(Simulated(hears), items, progress=False).accuracy


def _carried(items: list[Item], text: str) -> str | None:
    return next((u.lexical_emotion for i in items for u in i.turns if u.text == text), None)


def test_a_coin_is_at_chance_and_its_interval_says_so(items: list[Item]) -> None:
    found = evaluate(Simulated(guesses), items, controls=(), progress=False)
    assert all(e.low <= 0.25 <= e.high for e in found.accuracy.values())
    assert {e.chance for e in found.accuracy.values()} == {0.25}
    assert found.accuracy["all"].n == 224


def test_asking_reads_the_letter_and_counts_what_names_none_as_wrong(items: list[Item]) -> None:
    few = items[:24]
    right = {item.id: LETTERS[item.right] for item in few}
    knows = evaluate(Simulated(hears, lambda u, q: f"The answer is {right[u.id]}."), few, way="ask", controls=())
    assert {e.value for e in knows.accuracy.values()} == {1.0}
    assert knows.unparsed is not None
    assert knows.unparsed.value == 0.0
    reader = evaluate(Simulated(hears, lambda u, q: LETTERS[draw(q) % 4]), few, way="ask")
    assert {e.value for part in (reader.accuracy, reader.silence, reader.other_tone) for e in part.values()} == {0.25}
    mumbles = evaluate(Simulated(hears, lambda u, q: "A calm person, I believe."), few, way="ask", controls=())
    assert mumbles.unparsed is not None
    assert (mumbles.accuracy["all"].value, mumbles.unparsed.value, mumbles.turn_accuracy) == (0.0, 1.0, None)


def test_what_is_asked_holds_all_turns_as_sound_and_as_words(items: list[Item]) -> None:
    item = items[0]
    spoken, text = joined(item, item.turns), question(item)
    assert len(spoken.samples) == sum(len(u.samples) for u in item.turns) + (len(item.turns) - 1) * round(PAUSE * 16000)
    for part in (*(u.text for u in item.turns), *item.assistant, item.question, *(o.text for o in item.options)):
        assert part in text


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("B", "B"), ("B.", "B"), ("(B)", "B"), ("**B**", "B"), ("B) Angry, then calm.", "B"), ("The answer is B", "B"), ("Answer: **C**.", "C"),
        ("I hear sobbing, so option D fits.", "D"), ("I choose B.", "B"), ("Because of the tone, the right answer is (A).", "A"),
        ("A calm voice, and nothing more.", None), ("The answer is A calm one", None), ("Happy", None), ("", None),
        ("A) no\nB) no\nC) maybe\nD) no", None), ("E", None), ("Bored.", None), ("A or B", None), ("It's either (A) or (B).", None),
    ],
)  # fmt: skip
def test_letters_are_read_as_people_would(answer: str, expected: str | None) -> None:
    assert letter(answer) == expected


def test_the_words_of_an_option_name_it(items: list[Item]) -> None:
    assert letter(f"I think this: {items[0].options[2].text.lower()}", items[0]) == "C"
    assert letter(" ".join(o.text for o in items[0].options), items[0]) is None


def test_unknown_ways_and_controls_are_refused(items: list[Item]) -> None:
    for options, reason in ({"way": "guess"}, "unknown way"), ({"controls": ["noise"]}, "unknown control"), (
        {"way": "ask", "controls": ["no_audio"]}, "unknown control 'no_audio' for the way ask",
    ):  # fmt: skip
        with pytest.raises(ValueError, match=reason):
            evaluate(Simulated(hears), items, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no dialogue to answer"):
        evaluate(Simulated(hears), [])
    silent = Simulated(hears)
    silent.read = lambda texts, **_: [replace(h, scores=None) for h in Simulated(hears).read(texts)]  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="leave the control no_audio out"):
        evaluate(silent, items[:12], progress=False)


# --- command and figure ----------------------------------------------------------------------------------------------------------


def test_the_command_writes_a_row_for_each_task_and_control(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listeners, "load_listener", lambda name, **_: Simulated(hears))
    target = tmp_path / "rows.json"
    assert cli.main(["evaluate", "dialogues", "--model", "any", "--data", str(folder), "--json", str(target)]) == 0
    rows = {row["measure"]: row for row in json.loads(target.read_text())}
    assert set(rows["accuracy_cause"]) == {"model", "measure", "value", "low", "high", "n", "chance", "data"}
    assert {f"{name}_{task}" for name in ("accuracy", "no_audio", "silence", "other_tone") for task in (*TASKS, "all")} < set(rows)
    assert (rows["accuracy_reply"]["value"], rows["accuracy_reply"]["n"], rows["no_audio_reply"]["value"]) == (1.0, 56, 0.25)
    assert "accuracy_trajectory" in capsys.readouterr().out
    assert cli.main(["evaluate", "dialogues", "--model", "any", "--data", str(tmp_path)]) == 2
    assert "holds no dialogues" in capsys.readouterr().err


def test_the_build_command_says_what_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(crew, "render_cell", quick)
    assert cli.main(["lime", "dialogues", str(tmp_path / "d"), "--backend", "sequential"]) == 0
    assert "224 questions (56 trajectory, 56 cause, 56 reply, 56 conflict)" in capsys.readouterr().out


def test_the_figure_shows_every_task_with_and_without_the_voice(items: list[Item]) -> None:
    found: Dialogues = evaluate(Simulated(hears), items, progress=False)
    figure = draw_dialogues(results.rows(found, model="hearer", data="d"), data="d")
    assert len(figure.axes) == len(TASKS)
    first = [line for line in figure.axes[1].lines if line.get_marker() in ("o", "D")]
    assert sorted(float(line.get_xdata()[0]) for line in first) == [0.0, 0.25, 1.0]
    with pytest.raises(ValueError, match="no accuracy of a task"):
        draw_dialogues([])
