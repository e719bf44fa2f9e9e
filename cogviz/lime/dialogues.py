"""Dialogues of several turns, spoken: a dataset folder with `dialogues.jsonl`, one question a line.

The folder is an ordinary one (`lime.dataset`): FLAC files, `metadata.parquet`, built by `lime.build`. A line of `dialogues.jsonl`:

    id, scenario, domain, speaker, task, question, right ("A" .. "D"),
    options   four of {text, supposes}: the emotion that the option supposes in each turn, null where it says nothing of the turn
    turns     {audio, text, words, emotion, intensity, assistant}: the file, what is said, what the words alone say (null: nothing), how it is said,
              and what the assistant writes next (null after the last)

What the dialogues are, and why words alone cannot answer the questions: `lime.dialogue_scenarios`. Only speakers of the split "test" speak, and no
sentence of training is said. The file alone is enough for `read`, so that other people's dialogues can be measured too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from cogviz.emotions import EMOTIONS
from cogviz.lime import build as building
from cogviz.lime.dataset import read_rows, write_whole
from cogviz.lime.dialogue_scenarios import LETTERS, TASKS, Option, Scenario, scenarios
from cogviz.lime.plan import BuildError, Cell, Plan, Variant
from cogviz.lime.sentences import Sentence
from cogviz.lime.voices import Voice, voices
from cogviz.utterance import Utterance

FILE = "dialogues.jsonl"
PART = "dialogues"
INTENSITIES = (1.0, 1.5)
"""k of a voicing; the voicings of a scenario have them in turn."""

_KEYS = ("id", "scenario", "speaker", "task", "question", "options", "right", "turns")


Spoken: TypeAlias = dict[tuple[str, str, str, str], dict[str, Any]]
"""Rows of `metadata.parquet` by sentence, speaker, emotion and take."""


class DialogueError(ValueError):
    """Raised for dialogues that cannot be used; one sentence that says which, why and what to do."""


@dataclass(frozen=True)
class Item:
    """A question about a spoken dialogue.

    Attributes:
        options: four; right: the place of the right one.
        turns: what is said, in order. assistant: what is written between, one fewer.
    """

    id: str
    scenario: str
    speaker: str
    task: str
    question: str
    options: tuple[Option, ...]
    right: int
    turns: tuple[Utterance, ...]
    assistant: tuple[str, ...]


# --- reading ---------------------------------------------------------------------------------------------------------------------


def read(folder: str | Path) -> list[Item]:
    """Return the questions of a folder, all of them checked.

    Raises:
        DialogueError: there are none, or one is not as this module's docstring says: no JSON, an unknown task, fewer than two turns, an emotion that
            nobody annotated, a missing recording, options that do not differ, or not exactly one right answer.
    """
    folder = Path(folder)
    path = folder / FILE
    if not path.is_file():
        raise DialogueError(f"{folder} holds no dialogues (no {FILE}); build them with `cogviz lime dialogues {folder}`")
    found: dict[str, Item] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            item = _item(line, folder, f"{path}:{number}")
            if item.id in found:
                raise DialogueError(f"{path}:{number}: the id {item.id} comes twice; give each question its own")
            found[item.id] = item
    if not found:
        raise DialogueError(f"{path} is empty; delete it and run `cogviz lime dialogues {folder}`")
    return list(found.values())


def _item(line: str, folder: Path, where: str) -> Item:
    def need(ok: object, rule: str) -> None:
        if not ok:
            raise DialogueError(f"{where}: {rule}")

    try:
        row = json.loads(line)
    except ValueError:
        raise DialogueError(f"{where}: not JSON; delete the file and build the dialogues again") from None
    need(isinstance(row, dict), "must be an object with the fields " + ", ".join(_KEYS))
    for key in _KEYS:
        need(key in row, f"the field {key!r} is missing")
    need(row["task"] in TASKS, f"unknown task {row['task']!r}; the tasks are {', '.join(TASKS)}")
    plain = (
        isinstance(row["turns"], list)
        and isinstance(row["options"], list)
        and all(isinstance(x, dict) for x in row["turns"] + row["options"])
    )
    need(plain, "turns and options must be lists of objects")
    count = len(row["turns"])
    need(count >= 2, f"a dialogue has two turns or more, this has {count}; measure single recordings with `cogviz evaluate dominance`")
    for turn, said in enumerate(row["turns"], 1):
        need(said.get("text"), f"turn {turn} has no text")
        need(said.get("audio"), f"turn {turn} names no recording")
        name = said.get("emotion")
        need(name is not None, f"nobody annotated the emotion of turn {turn}; annotate it or leave the dialogue out")
        need(name in EMOTIONS, f"the emotion of turn {turn} is {name!r}; it must be one of {', '.join(EMOTIONS)}")
        need((folder / said["audio"]).is_file(), f"the recording {said['audio']} of turn {turn} is missing; build the folder again")
    need(len(row["options"]) == len(LETTERS), f"a question has {len(LETTERS)} options, this has {len(row['options'])}")
    need(
        all(o.get("text") and isinstance(o.get("supposes"), list) for o in row["options"]), "an option needs its text and what it supposes"
    )
    options = tuple(Option(o["text"], tuple(o["supposes"])) for o in row["options"])
    need(len({o.text for o in options}) == len(options), "two options have the same text")
    need(len({o.supposes for o in options}) == len(options), "two options suppose the same emotions")
    for o in options:
        need(len(o.supposes) == count, f"the option {o.text!r} must suppose an emotion, or null, for each of the {count} turns")
        need(any(o.supposes) and set(o.supposes) <= {None, *EMOTIONS}, f"the option {o.text!r} must suppose some of {', '.join(EMOTIONS)}")
    need(row["right"] in list(LETTERS), f"right must be one of {', '.join(LETTERS)}, not {row['right']!r}")
    voicing = tuple(said["emotion"] for said in row["turns"])
    fitting = [LETTERS[i] for i, o in enumerate(options) if o.fits(voicing)]
    need(fitting == [row["right"]], f"right is {row['right']}, but what is heard fits {', '.join(fitting) or 'no option'}")
    return Item(
        **{key: str(row[key]) for key in ("id", "scenario", "speaker", "task", "question")},
        options=options,
        right=LETTERS.index(row["right"]),
        turns=tuple(_utterance(said, turn, row, folder) for turn, said in enumerate(row["turns"], 1)),
        assistant=tuple(str(said.get("assistant") or "") for said in row["turns"][:-1]),
    )


def _utterance(said: dict[str, Any], turn: int, row: dict[str, Any], folder: Path) -> Utterance:
    return Utterance(
        id=Path(said["audio"]).stem,
        text=said["text"],
        emotion=said["emotion"],
        speaker=str(row["speaker"]),
        sentence=f"{row['scenario']}-{turn}",
        corpus="dialogues",
        intensity=float(said.get("intensity", 1.0)),
        path=folder / said["audio"],
        lexical_emotion=said.get("words"),
        split="test",
    )


# --- building --------------------------------------------------------------------------------------------------------------------


def build(
    folder: str | Path,
    *,
    speakers: int = 1,
    jobs: int | None = None,
    backend: str = "loky",
    seed: int = 0,
    chosen: Sequence[Scenario] | None = None,
    progress: bool = True,
) -> building.Report:
    """Speak the dialogues and write their questions; resumable, and a second run changes nothing (see `lime.build.build`).

    `dialogues.jsonl` is written when every recording is there, and not before.

    Args:
        speakers: how many of the test speakers say each scenario. Each says all four voicings, so that the tone alone differs.
        chosen: scenarios; None: all that are packaged.

    Raises:
        BuildError: as `lime.build.build`, or there are not so many speakers.
    """
    folder, told = Path(folder), scenarios() if chosen is None else tuple(chosen)
    if not 1 <= speakers <= len(voices("test")):
        raise BuildError(f"speakers must be 1 to {len(voices('test'))}, the speakers of the split test, not {speakers}")
    cast = [(number, scenario, voice) for number, scenario in enumerate(told) for voice in _speakers(number, speakers)]
    cells = [cell for number, scenario, voice in cast for cell in _cells(number, scenario, voice, seed)]
    plan = Plan(PART, (), "questions about dialogues of several turns")
    report = building.build(plan, folder, jobs=jobs, backend=backend, seed=seed, chosen=cells, progress=progress)
    if not report.missing:
        spoken: Spoken = {(row["sentence"], row["speaker"], row["emotion"], row["take"]): row for row in read_rows(folder)}
        rows = [row for number, scenario, voice in cast for row in _rows(number, scenario, voice, seed, spoken)]
        write_whole(folder / FILE, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
    return report


def _speakers(number: int, count: int) -> list[Voice]:
    """The speakers of a scenario: all test speakers in turn."""
    everyone = voices("test")
    return [everyone[(number * count + i) % len(everyone)] for i in range(count)]


def _level(number: int, voicing: int) -> float:
    return INTENSITIES[(number + voicing) % len(INTENSITIES)]


def _take(scenario: Scenario, turn: int, level: float, seed: int) -> str:
    return f"{seed}/{PART}/{_sentence(scenario, turn)}/{level:g}"


def _sentence(scenario: Scenario, turn: int) -> str:
    return f"{scenario.id}-{turn + 1}"


def _cells(number: int, scenario: Scenario, voice: Voice, seed: int) -> list[Cell]:
    """A cell a turn: its sentence in every tone that some voicing has, each once."""
    found = []
    for turn, text in enumerate(scenario.texts):
        words = scenario.words if turn == scenario.about else None
        sentence = Sentence(
            id=_sentence(scenario, turn),
            text=text,
            kind="everyday" if words is None else "emotional",
            domain=scenario.domain,
            split="test",
            template=scenario.id,
            topic=scenario.topic,
            emotion=words,
        )
        tones = dict.fromkeys((voicing[turn], _level(number, i)) for i, voicing in enumerate(scenario.voicings))
        variants = (Variant(name, 0.0 if name == "neutral" else k, _take(scenario, turn, k, seed)) for name, k in tones)
        found.append(Cell(PART, sentence, voice, tuple(variants)))
    return found


def _rows(number: int, scenario: Scenario, voice: Voice, seed: int, spoken: Spoken) -> list[dict[str, Any]]:
    """The questions about a scenario said by a speaker, voicing after voicing."""
    found = []
    for i, voicing in enumerate(scenario.voicings):
        turns = []
        for turn, name in enumerate(voicing):
            row = spoken[_sentence(scenario, turn), voice.id, name, _take(scenario, turn, _level(number, i), seed)]
            heard = {"audio": row["file_name"], "text": row["text"], "words": row["lexical_emotion"]}
            between = scenario.assistant[turn] if turn < len(scenario.assistant) else None
            turns.append({**heard, "emotion": name, "intensity": row["intensity"], "assistant": between})
        for question in scenario.questions():
            found.append(
                {
                    "id": f"{scenario.id}-{voice.id}-{i + 1}-{question.task}",
                    "scenario": scenario.id,
                    "domain": scenario.domain,
                    "speaker": voice.id,
                    "task": question.task,
                    "question": question.text,
                    "options": [{"text": o.text, "supposes": list(o.supposes)} for o in question.options],
                    "right": next(LETTERS[k] for k, o in enumerate(question.options) if o.fits(voicing)),
                    "turns": turns,
                }
            )
    return found
