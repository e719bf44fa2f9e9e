"""Scenario files -> sentences: the authored templates, their checks, and the sentences that their slots multiply into.

A template is one line of JSON in `scenarios/<kind>/<name>.jsonl`. Three kinds:

- `ambiguous`: plausible in all seven emotions, names none, and carries a *reading* for each: what happened, why it matters, what
  a listener who understood would say.
- `emotional`: its words carry one of the seven emotions. For tests of semantic dominance, and for speech whose tone agrees.
- `everyday`: plausible in all emotions, without readings. Many different sentences, so that a model learns to hear words it has not met.

Beside them lie *sampled* sentences, {"text", "topic"} a line, which a language model wrote (see `cogviz.models.writer`): for training only.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import string
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

from cogviz.emotions import EMOTIONS

AUTHORED = ("ambiguous", "emotional", "everyday")
KINDS = (*AUTHORED, "sampled")
SPLITS = ("train", "validation", "test")
DOMAINS = ("family", "workplace", "health", "social", "study", "money_home", "travel", "errands")
READING_FIELDS = ("what", "why", "reply")

# Words that would give the emotion away in a text that must not name it.
NAMING = re.compile(
    r"\b(neutral\w*|happ(y|ier|iest|ily|iness)|joy\w*|sad(ly|ness|der)?|sorrow\w*|ang(er|ry|rily)|furious\w*|fear\w*|afraid|scar(ed|y|ing)|"
    r"fright\w*|terrif\w*|disgust\w*|revolt\w*|surpris\w*|astonish\w*|amaz\w*|emotion\w*)\b",
    re.IGNORECASE,
)


class ScenarioError(ValueError):
    """Raised for a scenario file that breaks a rule; the message says which line and which rule."""


@dataclass(frozen=True)
class Reading:
    """What a sentence means when it is said in one emotion.

    Attributes:
        what: clause that completes "it seems that ..."; about the speaker ("they").
        why: clause that completes "this matters because ...".
        reply: what a good listener answers, to the speaker ("you").
    """

    what: str
    why: str
    reply: str

    def fill(self, values: dict[str, str]) -> Reading:
        """Return the reading with its slots filled."""
        return Reading(*(_fill(getattr(self, name), values) for name in READING_FIELDS))


@dataclass(frozen=True)
class Template:
    """One authored line: a text with slots, its topic (a noun phrase that occurs in the text) and its readings."""

    id: str
    kind: str
    domain: str
    split: str
    text: str
    topic: str
    slots: dict[str, tuple[str, ...]]
    emotion: str | None = None
    readings: dict[str, Reading] = field(default_factory=dict)

    def sentences(self) -> Iterator[Sentence]:
        """Yield every sentence of the template, slot values varying fastest at the end."""
        names = list(self.slots)
        for values in itertools.product(*self.slots.values()):
            filled = dict(zip(names, values, strict=True))
            # The last value of every slot is kept out of training: "held-out slots".
            heldout = any(value == self.slots[name][-1] for name, value in filled.items())
            part = {"train": "test_slots" if heldout else "train", "validation": "validation", "test": "test"}[self.split]
            text = _fill(self.text, filled)
            yield Sentence(
                id=f"{self.id}-{hashlib.sha256(text.encode()).hexdigest()[:6]}",
                text=text[0].upper() + text[1:],
                kind=self.kind,
                domain=self.domain,
                split=part,
                template=self.id,
                topic=_fill(self.topic, filled),
                emotion=self.emotion,
                readings={name: reading.fill(filled) for name, reading in self.readings.items()},
            )


@dataclass(frozen=True)
class Sentence:
    """A sentence that can be spoken.

    Attributes:
        split: "train", "validation", "test" (template never trained on) or "test_slots" (template trained on, slot value never).
        emotion: the lexical emotion, what the words alone say; None where they say nothing.
        readings: emotion -> `Reading`; empty for kinds without readings.
    """

    id: str
    text: str
    kind: str
    domain: str
    split: str
    template: str
    topic: str
    emotion: str | None = None
    readings: dict[str, Reading] = field(default_factory=dict)


def _fill(text: str, values: dict[str, str]) -> str:
    return text.format(**values)


def _slots_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def parse_template(row: dict, where: str) -> Template:
    """Check one decoded line and return it as a `Template`; raises `ScenarioError` naming `where` and the broken rule."""

    def need(ok: bool, rule: str) -> None:
        if not ok:
            raise ScenarioError(f"{where}: {rule}")

    for key in ("id", "kind", "domain", "split", "text", "topic", "slots"):
        need(key in row, f"missing {key!r}")
    need(row["kind"] in AUTHORED, f"kind must be one of {AUTHORED}")
    need(row["domain"] in DOMAINS, f"domain must be one of {DOMAINS}, not {row['domain']!r}")
    need(row["split"] in SPLITS, f"split must be one of {SPLITS}")
    slots = {name: tuple(values) for name, values in row["slots"].items()}
    need(bool(slots) and all(len(v) >= 2 for v in slots.values()), "needs at least one slot, each with two values or more")
    need(all(len(set(v)) == len(v) for v in slots.values()), "a slot repeats a value")
    need(_slots_in(row["text"]) == set(slots), "text must use every slot, and only those that are listed")
    need(_slots_in(row["topic"]) <= set(slots), "topic uses a slot that is not listed")
    for name, reading in row.get("readings", {}).items():
        need(set(reading) == set(READING_FIELDS), f"reading {name} must have exactly {', '.join(READING_FIELDS)}")
        for part, text in reading.items():
            need(_slots_in(text) <= set(slots), f"reading {name}.{part} uses a slot that is not listed")
    template = Template(
        **{key: row[key] for key in ("id", "kind", "domain", "split", "text", "topic")},
        slots=slots,
        emotion=row.get("emotion"),
        readings={name: Reading(**reading) for name, reading in row.get("readings", {}).items()},
    )
    for sentence in template.sentences():
        words = sentence.text.split()
        need(3 <= len(words) <= 16, f"a sentence must have 3 to 16 words: {sentence.text!r}")
        need(sentence.text[-1] in ".?!", f"a sentence must end in . ? or !: {sentence.text!r}")
        need(sentence.topic.lower() in sentence.text.lower(), f"topic {sentence.topic!r} must occur in {sentence.text!r}")
        need(re.fullmatch(r"[A-Za-z ,.?!'-]+", sentence.text) is not None, f"letters and , . ? ! ' - only: {sentence.text!r}")
    if template.kind == "emotional":
        need(template.emotion in EMOTIONS, f"emotion must be one of {EMOTIONS}")
    else:
        need(template.emotion is None, "only emotional templates have an emotion")
        need(NAMING.search(template.text + " " + " ".join(sum(slots.values(), ()))) is None, "the text names an emotion")
    if template.kind == "ambiguous":
        need(tuple(template.readings) == EMOTIONS, f"needs a reading for each emotion, in the order {EMOTIONS}")
        for name, reading in template.readings.items():
            for part in READING_FIELDS:
                text = getattr(reading, part)
                need((found := NAMING.search(text)) is None, f"reading {name}.{part} names an emotion: {found and found.group()!r}")
                need(2 <= len(text.split()) <= 20, f"reading {name}.{part} must have 2 to 20 words")
            need(reading.what[-1] not in ".?!" and reading.why[-1] not in ".?!", f"reading {name}: what and why end without a full stop")
            need(reading.reply[-1] in ".?!" and reading.reply[0].isupper(), f"reading {name}: reply is a full sentence")
        for part in READING_FIELDS:
            texts = [getattr(r, part) for r in template.readings.values()]
            need(len(set(texts)) == len(texts), f"two readings share the same {part!r}")
    else:
        need(not template.readings, "only ambiguous templates have readings")
    return template


def read_templates(path: Path) -> list[Template]:
    """Read and check one JSONL file of templates; raises `ScenarioError` at the first line that breaks a rule."""
    templates = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            where = f"{path.name}:{number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ScenarioError(f"{where}: not JSON ({error})") from None
            templates.append(parse_template(row, where))
    return templates


@lru_cache(maxsize=1)
def templates() -> tuple[Template, ...]:
    """Return every packaged template, checked, in file order."""
    root = Path(str(resources.files("cogviz.lime") / "scenarios"))
    found = [t for kind in AUTHORED for path in sorted((root / kind).glob("*.jsonl")) for t in read_templates(path)]
    ids = [t.id for t in found]
    if len(set(ids)) != len(ids):
        raise ScenarioError(f"template ids repeat: {sorted({i for i in ids if ids.count(i) > 1})}")
    return tuple(found)


@lru_cache(maxsize=1)
def sampled() -> tuple[Sentence, ...]:
    """Return the packaged sentences that a language model wrote, each its own template."""
    root = Path(str(resources.files("cogviz.lime") / "scenarios" / "sampled"))
    found = []
    for path in sorted(root.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            name = f"sampled-{hashlib.sha256(row['text'].encode()).hexdigest()[:10]}"
            found.append(Sentence(name, row["text"], "sampled", "social", "train", name, row["topic"]))
    return tuple(found)


def sentences(*, kind: str | None = None, split: str | None = None) -> list[Sentence]:
    """Return all packaged sentences of a kind (None: every authored kind) and split (None: all of them), in a fixed order."""
    if kind == "sampled":
        return [sentence for sentence in sampled() if split in (None, sentence.split)]
    return [
        sentence
        for template in templates()
        if kind is None or template.kind == kind
        for sentence in template.sentences()
        if split is None or sentence.split == split
    ]


def main(paths: Iterable[str]) -> None:
    """`python -m cogviz.lime.sentences FILE...`: check scenario files and say how much is in them."""
    for path in paths:
        found = read_templates(Path(path))
        total = {s.text for t in found for s in t.sentences()}
        print(f"{path}: {len(found)} templates, {len(total)} distinct sentences, no rule broken")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ScenarioError as broken:
        sys.exit(str(broken))
