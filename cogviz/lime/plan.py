"""Plan -> cells: which sentence is said by whom, in which tones. Everything follows from the plan and one seed.

A plan is a YAML file (`plans/*.yaml`, or one of your own): a list of parts, see `Part`; with `include`, after those of another plan.
A *cell* is one sentence by one speaker; its *variants* are the tones in which it is rendered. Every draw has a generator of its own,
seeded by what it decides, so that neither the order of the work nor the number of workers changes anything.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from cogviz.emotions import EMOTIONS, INTENSITIES, UnknownEmotion, intensity
from cogviz.lime.prosody import FACTORS
from cogviz.lime.sentences import DOMAINS, KINDS, Sentence, sentences
from cogviz.lime.voices import Voice, VoiceError, voices

SPLITS = ("train", "validation", "test", "test_slots")
MODES = ("all", "each", "some", "congruent", "crossed")
CROSSED = {"repeats": 2, "tones_per_sentence": 2, "congruent": 1, "neutral_words": 1}


class BuildError(RuntimeError):
    """Raised where a plan cannot be used, or a dataset not be built or read; one sentence that says why and what to do."""


@dataclass(frozen=True)
class Part:
    """One part of a plan.

    Attributes:
        name: unique within the plan; the column `part`.
        kind, split: which sentences (see `cogviz.lime.sentences`).
        voices: a split of the speakers, or the ids of speakers.
        longest: only sentences of at most so many words; None: all.
        per_template: how many different sentences of each template, drawn with the seed; None: all.
        sentences: how many sentences in all, each from another template and from the domains in turn; None: all.
        speakers_per_sentence: how many speakers say each sentence; drawn so that all speakers get the same share.
        variants: `all` (7 emotions x the intensities), `each` (7 emotions, each at one of the intensities), `{some: n}` (n of the 7,
            likewise), `congruent` (only the emotion of the words), or `{crossed: {...}}` (words x voice, see `_crossed`).
        intensities: names, or k in 0 .. 1.5. For neutral, which has none, they are so many takes.
        factor_dropout: share of the renderings in which some but not all of the five factors stay neutral.
        keep_timing: all variants of a cell are equally long.
    """

    name: str
    kind: str
    split: str
    voices: str | tuple[str, ...]
    longest: int | None = None
    per_template: int | None = None
    sentences: int | None = None
    speakers_per_sentence: int = 1
    variants: str | dict[str, Any] = "each"
    intensities: tuple[str | float, ...] = tuple(INTENSITIES)
    factor_dropout: float = 0.0
    keep_timing: bool = False

    @property
    def mode(self) -> str:
        """The name of the variants' mode."""
        return self.variants if isinstance(self.variants, str) else next(iter(self.variants))


@dataclass(frozen=True)
class Plan:
    """What a dataset holds."""

    name: str
    parts: tuple[Part, ...]
    about: str = ""


@dataclass(frozen=True)
class Variant:
    """One tone of a cell.

    Attributes:
        k: intensity, 0 for neutral.
        take: the seed of the rendering's chance; `prosody.delta` with speaker, take and factors gives its parameters again.
        factors: those that are switched on.
    """

    emotion: str
    k: float
    take: str
    factors: tuple[str, ...] = FACTORS


@dataclass(frozen=True)
class Cell:
    """One sentence by one speaker in its tones; the unit of work."""

    part: str
    sentence: Sentence
    voice: Voice
    variants: tuple[Variant, ...]
    keep_timing: bool = False

    @property
    def id(self) -> str:
        """Unique within a plan."""
        return f"{self.part}/{self.sentence.id}/{self.voice.id}"

    @property
    def key(self) -> str:
        """The id as a file name."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:24]


def packaged() -> list[str]:
    """Names of the plans that come with cogviz."""
    return sorted(p.name.removesuffix(".yaml") for p in (resources.files("cogviz.lime") / "plans").iterdir() if p.name.endswith(".yaml"))


def load(plan: Plan | str | Path) -> Plan:
    """Return a packaged plan by name, or read a YAML file; raises `BuildError` naming the part and what is wrong in it."""
    if isinstance(plan, Plan):
        return plan
    if str(plan) in packaged():
        name, text = str(plan), (resources.files("cogviz.lime") / "plans" / f"{plan}.yaml").read_text(encoding="utf-8")
    else:
        path = Path(plan)
        if not path.is_file():
            raise BuildError(f"there is no plan {str(plan)!r}; give a YAML file or one of {', '.join(packaged())}")
        name, text = path.stem, path.read_text(encoding="utf-8")
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildError(f"plan {name} is not YAML ({' '.join(str(error).split())}); see cogviz/lime/plans for examples") from None
    if not isinstance(data, dict) or not isinstance(data.get("parts"), list) or not data["parts"]:
        raise BuildError(f"plan {name} has no list `parts`; see cogviz/lime/plans for examples")
    if (included := data.get("include")) is not None and (included == name or included not in packaged()):
        raise BuildError(f"plan {name} includes {included!r}; it can include one of {', '.join(packaged())}")
    parts = load(included).parts if included is not None else ()
    parts += tuple(_part(row, f"plan {name}, part {i}") for i, row in enumerate(data["parts"], 1))
    if len({p.name for p in parts}) != len(parts):
        raise BuildError(f"plan {name} has two parts of the same name; rename one")
    return Plan(name=str(data.get("name", name)), parts=parts, about=str(data.get("about", "")))


def _part(row: Any, where: str) -> Part:
    """Check one decoded part."""

    def need(ok: object, rule: str) -> None:
        if not ok:
            raise BuildError(f"{where}: {rule}")

    need(isinstance(row, dict), "must be a mapping of settings")
    known = [f.name for f in fields(Part)]
    for key in row:
        need(key in known, f"unknown setting {key!r}; the settings are {', '.join(known)}")
    for key in ("name", "kind", "split", "voices"):
        need(key in row, f"`{key}` is missing")
    need(row["kind"] in KINDS, f"kind must be one of {', '.join(KINDS)}, not {row['kind']!r}")
    need(row["split"] in SPLITS, f"split must be one of {', '.join(SPLITS)}, not {row['split']!r}")
    for key in ("voices", "intensities"):
        if isinstance(row.get(key), list):
            row = {**row, key: tuple(row[key])}
    part = Part(**row)
    for key in ("longest", "per_template", "sentences", "speakers_per_sentence"):
        value = getattr(part, key)
        need(
            (value is None and key != "speakers_per_sentence") or (isinstance(value, int) and value >= 1),
            f"{key} must be a whole number from 1, not {value!r}",
        )
    need(isinstance(part.variants, str) or (isinstance(part.variants, dict) and len(part.variants) == 1), "variants must be one mode")
    need(part.mode in MODES, f"variants must be one of {', '.join(MODES)}, not {part.mode!r}")
    need(
        (part.mode in ("some", "crossed")) == isinstance(part.variants, dict), "write `some: n`, `crossed: {...}`, or the other modes alone"
    )
    need(
        part.mode not in ("congruent", "crossed") or part.kind == "emotional",
        f"{part.mode} needs the kind emotional: words with an emotion",
    )
    if isinstance(part.variants, dict):
        value = part.variants[part.mode]
        if part.mode == "some":
            need(isinstance(value, int) and 1 <= value <= len(EMOTIONS), f"some: must be 1 .. {len(EMOTIONS)}, not {value!r}")
        else:
            need(isinstance(value, dict) and set(value) <= set(CROSSED), f"crossed takes {', '.join(CROSSED)}")
            need(all(isinstance(n, int) and n >= 0 for n in value.values()), "the numbers of crossed must be whole")
    need(isinstance(part.intensities, tuple) and part.intensities, "intensities must be a list")
    for level in part.intensities:
        try:
            intensity(level)
        except UnknownEmotion as error:
            need(False, str(error))
    need(isinstance(part.factor_dropout, (int, float)) and 0 <= part.factor_dropout <= 1, "factor_dropout must be 0 .. 1")
    need(part.speakers_per_sentence <= len(_speakers(part, where)), "speakers_per_sentence is larger than the number of speakers")
    return part


def cells(plan: Plan, seed: int = 0) -> list[Cell]:
    """Return every cell of a plan, part after part."""
    found = [cell for part in plan.parts for cell in _cells_of(part, seed)]
    if not found:
        raise BuildError(f"plan {plan.name} selects no sentence; look at kind and split of its parts")
    return found


def as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, for JSON."""
    return asdict(plan)


def _draw(*parts: object) -> random.Random:
    return random.Random("/".join(map(str, parts)))


def _speakers(part: Part, where: str) -> list[Voice]:
    if isinstance(part.voices, str):
        try:
            return voices(part.voices)
        except VoiceError as error:
            raise BuildError(f"{where}: {error}") from None
    known = {v.id: v for v in voices()}
    for name in part.voices:
        if name not in known:
            raise BuildError(f"{where}: there is no speaker {name!r}; the speakers are {', '.join(known)}")
    return [known[name] for name in part.voices]


def _cells_of(part: Part, seed: int) -> list[Cell]:
    speakers = _speakers(part, f"part {part.name}")
    by_template: dict[str, dict[str, Sentence]] = defaultdict(dict)
    for sentence in sentences(kind=part.kind, split=part.split):
        if part.longest is None or len(sentence.text.split()) <= part.longest:
            by_template[sentence.template].setdefault(sentence.text, sentence)
    pools = {name: list(pool.values()) for name, pool in by_template.items()}
    if part.mode == "crossed":
        return _crossed(part, pools, speakers, seed)
    if part.per_template is not None:
        pools = {name: _some_of(pool, part.per_template, seed, part.name, name) for name, pool in pools.items()}
    chosen = [s for pool in pools.values() for s in pool] if part.sentences is None else _spread(part, pools, seed)
    return [
        Cell(part.name, sentence, voice, tuple(_variants(part, sentence, voice, seed)), part.keep_timing)
        for sentence, group in zip(chosen, _assigned(part, len(chosen), speakers, seed), strict=True)
        for voice in group
    ]


def _some_of(pool: Sequence[Any], n: int, *what: object) -> list[Any]:
    """`n` of the pool in the pool's order, fewer if it has fewer."""
    return [pool[i] for i in sorted(_draw(*what).sample(range(len(pool)), min(n, len(pool))))]


def _spread(part: Part, pools: dict[str, list[Sentence]], seed: int) -> list[Sentence]:
    """`part.sentences` sentences, each from another template as far as they go, from the domains (or word emotions) in turn."""
    assert part.sentences is not None
    groups: dict[str, list[list[Sentence]]] = defaultdict(list)
    for pool in pools.values():
        groups[pool[0].emotion or pool[0].domain].append(_draw(seed, part.name, "order", pool[0].template).sample(pool, len(pool)))
    order = [name for name in (*EMOTIONS, *DOMAINS) if name in groups]
    _draw(seed, part.name, "domains").shuffle(order)
    for name in order:
        _draw(seed, part.name, "templates", name).shuffle(groups[name])
    rounds = max(len(pool) for pool in pools.values())
    ranked = [
        groups[name][turn][number]
        for number in range(rounds)
        for turn in range(max(map(len, groups.values())))
        for name in order
        if turn < len(groups[name]) and number < len(groups[name][turn])
    ]
    return ranked[: part.sentences]


def _assigned(part: Part, count: int, speakers: list[Voice], seed: int) -> Iterable[list[Voice]]:
    """For each of `count` sentences its speakers, no speaker a second time before all others have had their turn."""
    draw = _draw(seed, part.name, "speakers")
    queue: list[Voice] = []
    for _ in range(count):
        group: list[Voice] = []
        while len(group) < part.speakers_per_sentence:
            if not any(v not in group for v in queue):
                queue += draw.sample(speakers, len(speakers))
            group.append(queue.pop(next(i for i, v in enumerate(queue) if v not in group)))
        yield group


def _variant(part: Part, sentence: Sentence, voice: Voice, emotion: str, level: str | float, seed: int) -> Variant:
    factors: tuple[str, ...] = FACTORS
    draw = _draw(seed, part.name, sentence.id, voice.id, emotion, level, "factors")
    if draw.random() < part.factor_dropout:
        off = draw.randrange(1, 2 ** len(FACTORS) - 1)  # neither none nor all
        factors = tuple(name for i, name in enumerate(FACTORS) if not off >> i & 1)
    take = f"{seed}/{part.name}/{sentence.id}/{level}"
    return Variant(emotion, 0.0 if emotion == "neutral" else intensity(level), take, factors)


def _variants(part: Part, sentence: Sentence, voice: Voice, seed: int) -> Iterable[Variant]:
    chosen: Sequence[str] = EMOTIONS
    if part.mode == "congruent":
        assert sentence.emotion is not None
        chosen = (sentence.emotion,)
    elif isinstance(part.variants, dict):
        chosen = _some_of(EMOTIONS, part.variants["some"], seed, part.name, sentence.id, voice.id, "emotions")
    for emotion in chosen:
        levels = part.intensities
        if part.mode != "all":
            levels = (_draw(seed, part.name, sentence.id, voice.id, emotion, "intensity").choice(levels),)
        for level in levels:
            yield _variant(part, sentence, voice, emotion, level, seed)


def _crossed(part: Part, pools: dict[str, list[Sentence]], speakers: list[Voice], seed: int) -> list[Cell]:
    """Words x voice, balanced: every word emotion meets every voice emotion equally often.

    Settings:
        repeats: how often words with an emotion meet each of the six other tones: the conflicts. Each time by another speaker.
        tones_per_sentence: how many tones one sentence is said in: 1 gives the most sentences, 6 the fullest cells.
        congruent: how many sentences of each word emotion are also said in their own tone, a control.
        neutral_words: how often neutral words meet each of the six tones, a control.

    A sentence is said by one speaker; sentences come from different templates as long as there are some, speakers take turns.
    """
    assert isinstance(part.variants, dict)
    setting = CROSSED | part.variants["crossed"]
    turn = 0
    found = []
    for words in EMOTIONS:
        available = [pool for pool in pools.values() if pool[0].emotion == words]
        if not available:
            continue
        _draw(seed, part.name, words, "templates").shuffle(available)
        available = [_draw(seed, part.name, words, i, "order").sample(pool, len(pool)) for i, pool in enumerate(available)]
        tones = [e for e in EMOTIONS if e != words]
        _draw(seed, part.name, words, "tones").shuffle(tones)
        step = max(setting["tones_per_sentence"], 1)
        groups = [tones[i : i + step] for i in range(0, len(tones), step)] * setting["neutral_words" if words == "neutral" else "repeats"]
        per_repeat = -(-len(tones) // step)
        for number, group in enumerate(groups):
            pool = available[number % len(available)]
            if number // len(available) >= len(pool):
                raise BuildError(
                    f"part {part.name}: too few {words} sentences for so many repeats; lower repeats or raise tones_per_sentence"
                )
            sentence = pool[number // len(available)]
            # Where a repeat's sentences fill the round of speakers exactly, the next repeat starts one speaker on.
            extra = number // per_repeat if per_repeat % len(speakers) == 0 else 0
            voice = speakers[(turn + number + extra) % len(speakers)]
            own = [words] if words != "neutral" and number < setting["congruent"] else []
            levels = _draw(seed, part.name, sentence.id, voice.id, "intensity")
            variants = tuple(_variant(part, sentence, voice, tone, levels.choice(part.intensities), seed) for tone in own + group)
            found.append(Cell(part.name, sentence, voice, variants, part.keep_timing))
        turn += len(groups)
    return found
