"""Dialogues of several turns as they are authored: the scenarios, their checks, and the multiple-choice questions that they ask.

A scenario is one line of JSON in `scenarios/dialogues/<domain>.jsonl`: three to five things that one speaker says, with what an assistant writes
between them, and four *voicings*, each an emotion a turn. The words of a voice scenario are plausible in every emotion. A conflict scenario has one
turn whose words carry an emotion.

The tasks are those of HumDial-EIBench (arXiv 2604.11594) in small: `trajectory` (how the feelings develop), `cause` (what has happened, so that one
turn sounds like this), `reply` (which answer fits the last turn) and `conflict` (what the speaker feels, whatever the words say).

**Words alone are at chance by construction.** The four voicings of a scenario have the same words, question and options in the same order, and each
option is right in exactly one of them. Whoever reads and does not hear chooses the same option four times and is right once. A distractor is what the
words alone, another turn of the same dialogue, or the trajectory read backwards would suggest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

from cogviz.emotions import EMOTIONS, emotion
from cogviz.lime.sentences import DOMAINS, NAMING, ScenarioError

TASKS = ("trajectory", "cause", "reply", "conflict")
LETTERS = "ABCD"
TURNS = (3, 5)
"""Fewest and most turns of the speaker in a scenario of our own."""


@dataclass(frozen=True)
class Option:
    """One of the four answers, and the emotion that it supposes in each turn; None in a turn that it says nothing of."""

    text: str
    supposes: tuple[str | None, ...]

    def fits(self, voicing: tuple[str, ...]) -> bool:
        """Say whether a voicing is as the option supposes."""
        return all(supposed in (None, heard) for supposed, heard in zip(self.supposes, voicing, strict=True))


@dataclass(frozen=True)
class Question:
    """A question about a dialogue with its four options, in their order."""

    task: str
    text: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Scenario:
    """One authored dialogue.

    Attributes:
        topic: what it is about, a noun phrase.
        texts: what the speaker says, a sentence a turn. assistant: what is written between them, one fewer.
        voicings: four, each with an emotion a turn.
        about: the turn that `cause` or `conflict` asks about, from 0.
        words: the emotion that the words of that turn carry; None in a voice scenario.
        causes, replies: emotion -> option, of a voice scenario. feelings: the emotions offered, of a conflict scenario.
    """

    id: str
    domain: str
    topic: str
    texts: tuple[str, ...]
    assistant: tuple[str, ...]
    voicings: tuple[tuple[str, ...], ...]
    about: int
    words: str | None = None
    causes: dict[str, str] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)
    feelings: tuple[str, ...] = ()

    def questions(self) -> list[Question]:
        """Return what is asked: trajectory, cause and reply, or conflict."""
        said, last = self.texts[self.about], len(self.texts) - 1

        def at(turn: int, texts: dict[str, str]) -> tuple[Option, ...]:
            blank = [None] * len(self.texts)
            return tuple(Option(text, (*blank[:turn], name, *blank[turn + 1 :])) for name, text in texts.items())

        if self.words is not None:
            feelings = {name: f"The speaker is {emotion(name).adjective}." for name in self.feelings}
            return [Question("conflict", f'What does the speaker really feel when saying "{said}"?', at(self.about, feelings))]
        return [
            Question(
                "trajectory",
                "How do the feelings of the speaker develop from turn to turn?",
                tuple(Option(_course(voicing), voicing) for voicing in self.voicings),
            ),
            Question("cause", f'What has happened, so that the speaker says "{said}" like this?', at(self.about, self.causes)),
            Question("reply", f'Which reply fits "{self.texts[last]}", given how it is said?', at(last, self.replies)),
        ]


def _course(voicing: tuple[str, ...]) -> str:
    """A trajectory in words: "calm, then angry, still angry, at last happy"."""
    steps = [emotion(voicing[0]).adjective]
    for turn in range(1, len(voicing)):
        how = "still" if voicing[turn] == voicing[turn - 1] else "at last" if turn == len(voicing) - 1 else "then"
        steps.append(f"{how} {emotion(voicing[turn]).adjective}")
    return ", ".join(steps).capitalize() + "."


def parse(row: dict, where: str) -> Scenario:
    """Check one decoded line and return it as a `Scenario`; raises `ScenarioError` naming `where` and the broken rule."""

    def need(ok: object, rule: str) -> None:
        if not ok:
            raise ScenarioError(f"{where}: {rule}")

    for key in ("id", "domain", "topic", "turns", "voicings", "about"):
        need(key in row, f"missing {key!r}")
    texts = tuple(turn["text"] for turn in row["turns"])
    need(TURNS[0] <= len(texts) <= TURNS[1], f"a dialogue has {TURNS[0]} to {TURNS[1]} turns of the speaker, not {len(texts)}")
    need(all(t.get("assistant") for t in row["turns"][:-1]), "the assistant must say something after every turn but the last")
    need(0 <= row["about"] < len(texts), f"about must be a turn from 0 to {len(texts) - 1}")
    need(row["domain"] in DOMAINS, f"domain must be one of {DOMAINS}, not {row['domain']!r}")
    scenario = Scenario(
        **{key: row[key] for key in ("id", "domain", "topic", "about")},
        texts=texts,
        assistant=tuple(turn["assistant"] for turn in row["turns"][:-1]),
        voicings=tuple(map(tuple, row["voicings"])),
        words=row.get("words"),
        causes=row.get("causes", {}),
        replies=row.get("replies", {}),
        feelings=tuple(row.get("feelings", ())),
    )
    conflict = scenario.words is not None
    need(not conflict or scenario.words in EMOTIONS[1:], "words must be an emotion other than neutral")
    need(not conflict or scenario.words in scenario.feelings, "what the words carry must be among the feelings offered")
    for turn, text in enumerate(texts):
        need(3 <= len(text.split()) <= 16, f"a sentence must have 3 to 16 words: {text!r}")
        need(re.fullmatch(r"[A-Za-z ,.?!'-]+[.?!]", text), f"letters and , . ? ! ' - only, with . ? or ! at the end: {text!r}")
        need((conflict and turn == scenario.about) or not NAMING.search(text), f"the text names an emotion: {text!r}")
    for text in (*scenario.assistant, *scenario.causes.values(), *scenario.replies.values()):
        need((found := NAMING.search(text)) is None, f"names an emotion ({found and found.group()!r}): {text!r}")
    need(len(scenario.voicings) == len(LETTERS), f"needs {len(LETTERS)} voicings")
    for voicing in scenario.voicings:
        need(len(voicing) == len(texts) and set(voicing) <= set(EMOTIONS), f"a voicing has one of {EMOTIONS} a turn: {voicing}")
    for question in scenario.questions():
        need(len(question.options) == len(LETTERS), f"{question.task} needs {len(LETTERS)} options")
        need(len({o.text for o in question.options}) == len(LETTERS), f"two options of {question.task} have the same text")
        for option in question.options:
            fits = sum(map(option.fits, scenario.voicings))
            need(fits == 1, f"each option of {question.task} must be right in one voicing, this is right in {fits}: {option.text!r}")
    return scenario


@lru_cache(maxsize=1)
def scenarios() -> tuple[Scenario, ...]:
    """Return every packaged scenario, checked, in file order."""
    root = Path(str(resources.files("cogviz.lime") / "scenarios" / "dialogues"))
    found = [
        parse(json.loads(line), f"{path.name}:{number}")
        for path in sorted(root.glob("*.jsonl"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]
    if len({s.id for s in found}) != len(found):
        raise ScenarioError("two dialogues have the same id; rename one")
    return tuple(found)
