"""Multi-turn emotional intelligence: multiple choice about spoken dialogues (`lime.dialogues`), in the shape of HumDial-EIBench (arXiv 2604.11594).

Two ways to ask:

- **hear** (any `Listener`): it hears each turn by itself and says how likely each of the seven emotions is. An option supposes an emotion in each
  turn that it is about; the option with the largest sum of log probabilities is chosen. This measures whether the tone of each turn is heard well
  enough to tell the four options apart. It does not measure whether the model understands the question, the cause or the reply: it reads neither the
  options nor the other turns. Trajectory is the easiest so, because its options differ in several turns; those of the other tasks differ in one.
- **ask** (a listener that answers questions in free text): the turns are joined into one recording, the words, the question and the options are
  written, and the letter that it answers is read. An answer that names no single letter counts as wrong; the share of those is reported. For models
  that follow any instruction; our own do not, and answer the speaker instead of the question.

Controls: the words alone (`no_audio`, hear only; 1/4 by construction), silence in place of every turn (`silence`), and each turn said by the same
speaker in another emotion (`other_tone`). Right is always what is right with the true sound, so that whoever hears falls *below* 1/4 with another
tone. Chance is 1/4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from cogviz.audio import RATE, NoVoice
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import stimuli
from cogviz.lime.dialogue_scenarios import LETTERS, TASKS
from cogviz.lime.dialogues import Item
from cogviz.models.protocol import Listener
from cogviz.statistics import Estimate, mean
from cogviz.utterance import Utterance

FULL = "full"
CONTROLS = ("no_audio", "silence", "other_tone")
WAYS = ("hear", "ask")
ALL = "all"
"""What the figure over all tasks is called."""

PAUSE = 0.6
"""Seconds of silence between the turns of a joined recording."""

_LETTER = (
    # "the answer is B", "option D fits", but no article: "the answer is A calm one"
    rf"\b(?i:answer|option|choice)(?i:\s+is)?[\s:*(\"'\[]*((?!A\s+[a-z])[{LETTERS}])(?![\w'])",
    rf"(?m)^[\W_]*([{LETTERS}])(?=[\W_]*$|[).:*\]]|\s+[-–—])",  # a line that begins with it: "B", "B) ...", "**B**"
    rf"[(\[*]([{LETTERS}])[)\]*]",  # "(B)" inside
    rf"(?<![\w'])(?<!\bor )(?<!\band )([{LETTERS}])[.,!]?$",  # at the end: "I choose B."
)
"""How an answer names a letter, the plainest way first."""


@dataclass(frozen=True)
class Dialogues:
    """How well a listener answers. Dictionaries are by task, and `ALL`; those of controls that were not asked are empty.

    Intervals are clustered by scenario, and by speaker from ten speakers on (`statistics.resample`).

    Attributes:
        accuracy: share of right answers; chance is 1/4.
        no_audio, silence, other_tone: the same of the controls.
        follows_words: how often the option of the words is chosen where the voice disagrees with them (conflict); chance is 1/4. None where no item
            is so.
        turn_accuracy: share of the recordings whose likeliest emotion is right; chance is 1/7. None where the listener was asked.
        unparsed: share of the answers that name no letter. None where none was asked for.
    """

    accuracy: dict[str, Estimate]
    no_audio: dict[str, Estimate] = field(default_factory=dict)
    silence: dict[str, Estimate] = field(default_factory=dict)
    other_tone: dict[str, Estimate] = field(default_factory=dict)
    follows_words: Estimate | None = None
    turn_accuracy: Estimate | None = None
    unparsed: Estimate | None = None


def evaluate(
    listener: Listener, items: Sequence[Item], *, way: str = "hear", controls: Sequence[str] | None = None, progress: bool = True
) -> Dialogues:
    """Let a listener answer every item, with and without its sound.

    Args:
        items: from `lime.dialogues.read`.
        way: hear or ask. controls: of `CONTROLS`; None: all that the way has. Silence is left out where the listener needs a voice to hear.

    Raises:
        ValueError: no items, an unknown way or control, or `no_audio` where the listener is asked.
    """
    if way not in WAYS:
        raise ValueError(f"unknown way {way!r}; choose from {', '.join(WAYS)}")
    if not items:
        raise ValueError("there is no dialogue to answer; build some with `cogviz lime dialogues FOLDER`")
    possible = CONTROLS if way == "hear" else CONTROLS[1:]
    wanted = possible if controls is None else tuple(controls)
    if unknown := [name for name in wanted if name not in possible]:
        raise ValueError(f"unknown control {unknown[0]!r} for the way {way}; choose from {', '.join(possible)}")
    of_turns = None
    if way == "hear":
        scores = {}
        for name in (FULL, *wanted):
            with suppress(*([NoVoice] if name == "silence" else [])):
                scores[name] = heard(listener, items, condition=name, progress=progress)
        chosen = {name: likeliest(items, of_turn) for name, of_turn in scores.items()}
        of_turns = _turns_named(items, scores[FULL])
    else:
        chosen = {name: asked(listener, items, condition=name, progress=progress) for name in (FULL, *wanted)}
    return Dialogues(
        accuracy=by_task(items, chosen[FULL]),
        **{name: by_task(items, chosen[name]) for name in wanted if name in chosen},
        follows_words=following(items, chosen[FULL]),
        turn_accuracy=of_turns,
        unparsed=_share(items, chosen[FULL] < 0) if way == "ask" else None,
    )


# --- figures ---------------------------------------------------------------------------------------------------------------------


def by_task(items: Sequence[Item], chosen: np.ndarray) -> dict[str, Estimate]:
    """Return the share of right answers for each task that is there, and for all; `chosen` is (n,) places of options, -1 for none."""
    right = chosen == np.array([item.right for item in items])
    tasks = np.array([item.task for item in items])
    found = {task: _share(items, right, tasks == task, chance=1 / len(LETTERS)) for task in TASKS if (tasks == task).any()}
    return {**found, ALL: _share(items, right, chance=1 / len(LETTERS))}


def following(items: Sequence[Item], chosen: np.ndarray) -> Estimate | None:
    """Return how often the option of the words is chosen where the voice disagrees with them; None where no item is so."""
    words = np.array([_of_the_words(item) for item in items])
    return _share(items, chosen == words, words >= 0, chance=1 / len(LETTERS)) if (words >= 0).any() else None


def _of_the_words(item: Item) -> int:
    """The place of the option that the words suggest, where the voice disagrees with them; -1 elsewhere."""
    if item.task == "conflict":
        for place, option in enumerate(item.options):
            for u, name in zip(item.turns, option.supposes, strict=True):
                if u.lexical_emotion is not None and u.lexical_emotion == name != u.emotion:
                    return place
    return -1


def _share(items: Sequence[Item], hits: np.ndarray, keep: np.ndarray | None = None, *, chance: float | None = None) -> Estimate:
    kept = list(range(len(items))) if keep is None else np.flatnonzero(keep).tolist()
    clusters = {"sentences": [items[i].scenario for i in kept], "speakers": [items[i].speaker for i in kept]}
    return mean(hits[kept].astype(float), chance=chance, **clusters)


def _turns_named(items: Sequence[Item], scores: Mapping[str, np.ndarray]) -> Estimate:
    scenario = {u.id: item.scenario for item in items for u in item.turns}
    turns = _turns(items)
    hits = np.array([EMOTIONS[scores[u.id].argmax()] == u.emotion for u in turns], dtype=float)
    return mean(hits, sentences=[scenario[u.id] for u in turns], speakers=[u.speaker for u in turns], chance=1 / len(EMOTIONS))


# --- one utterance at a time -----------------------------------------------------------------------------------------------------


def heard(listener: Listener, items: Sequence[Item], *, condition: str = FULL, progress: bool = True) -> dict[str, np.ndarray]:
    """Return what a listener believes of every recording: its id -> (7,) log probabilities of the emotions.

    Raises:
        ValueError: the condition is no_audio, and the listener gives no scores where it reads.
    """
    turns = _turns(items)
    if condition != "no_audio":
        return dict(zip((u.id for u in turns), listener.scores(_sounding(turns, condition), progress=progress), strict=True))
    texts = list(dict.fromkeys(u.text for u in turns))
    of_text: dict[str, np.ndarray] = {}
    for text, read in zip(texts, listener.read(texts, progress=progress), strict=True):
        if read.scores is None:
            raise ValueError(f"{listener.name} gives no scores where it only reads; leave the control no_audio out")
        of_text[text] = np.array([read.scores[name] for name in EMOTIONS])
    return {u.id: of_text[u.text] for u in turns}


def likeliest(items: Sequence[Item], scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return (n,) the place of the option whose supposed emotions are likeliest together; the first one where two are equal."""

    def together(item: Item, supposes: Sequence[str | None]) -> float:
        return sum(float(scores[u.id][EMOTIONS.index(name)]) for u, name in zip(item.turns, supposes, strict=True) if name is not None)

    return np.array([int(np.argmax([together(item, option.supposes) for option in item.options])) for item in items])


def _turns(items: Sequence[Item]) -> list[Utterance]:
    """Every recording once, however many questions it is in."""
    return list({u.id: u for item in items for u in item.turns}.values())


def _sounding(turns: list[Utterance], condition: str) -> list[Utterance]:
    """The recordings as a condition has them, in their order."""
    if condition == FULL:
        return turns
    if condition == "silence":
        return stimuli.remove(turns, ["silence"], jobs=1, progress=False)["silence"]
    return stimuli.other_tone(turns, turns)


# --- in free text ----------------------------------------------------------------------------------------------------------------


def asked(listener: Listener, items: Sequence[Item], *, condition: str = FULL, progress: bool = True) -> np.ndarray:
    """Return (n,) the place of the option whose letter a listener answers; -1 where its answer names none, or more than one."""
    turns = _turns(items)
    sounds = dict(zip((u.id for u in turns), _sounding(turns, condition), strict=True))
    spoken = [joined(item, [sounds[u.id] for u in item.turns]) for item in items]
    answers = listener.answer(spoken, [question(item) for item in items], progress=progress)
    return np.array([_place(letter(text, item)) for text, item in zip(answers, items, strict=True)])


def joined(item: Item, turns: Sequence[Utterance]) -> Utterance:
    """Return the turns of a dialogue as one recording, with `PAUSE` between them."""
    gap = np.zeros(round(PAUSE * RATE), np.float32)
    pieces = [piece for u in turns for piece in (u.samples, gap)][:-1]
    text = " ".join(u.text for u in turns)
    return replace(turns[-1], id=item.id, text=text, words=(), path=None, waveform=np.concatenate(pieces))


def question(item: Item) -> str:
    """Return what a listener is asked: the dialogue in words, the question, the options with their letters."""
    lines = [f"You hear {len(item.turns)} turns of one speaker, with pauses between them. This is the whole dialogue in words:"]
    for turn, u in enumerate(item.turns):
        lines.append(f'Speaker: "{u.text}"')
        if turn < len(item.assistant) and item.assistant[turn]:
            lines.append(f'Assistant: "{item.assistant[turn]}"')
    lines += ["Listen to how each turn is said.", item.question]
    lines += [f"{name}. {option.text}" for name, option in zip(LETTERS, item.options, strict=True)]
    return "\n".join([*lines, f"Answer with one letter: {', '.join(LETTERS[:-1])} or {LETTERS[-1]}."])


def letter(answer: str, item: Item | None = None) -> str | None:
    """Return the letter of the option that an answer names; None where it names none, or several.

    "B", "B) ...", "(B)", "**B**", "The answer is B", "Option B" name B; so does the text of option B where an item is given. A sentence that begins
    with the word "A" names nothing.
    """
    for pattern in _LETTER:
        if told := set(re.findall(pattern, answer.strip())):
            return next(iter(told)) if len(told) == 1 else None
    repeated = [] if item is None else [n for n, o in zip(LETTERS, item.options, strict=True) if _bare(o.text) in answer.casefold()]
    return repeated[0] if len(repeated) == 1 else None


def _bare(text: str) -> str:
    return text.rstrip(".!?").casefold()


def _place(name: str | None) -> int:
    return -1 if name is None else LETTERS.index(name)
