"""What a probe is to tell, and folds that share nothing by which it could cheat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cogviz.emotions import EMOTIONS
from cogviz.utterance import Utterance

TARGETS = ("voice_emotion", "word_emotion", "sentence", "speaker")

HELD_OUT = {
    "voice_emotion": ("sentence", "speaker"),
    "word_emotion": ("sentence", "speaker"),
    "sentence": ("speaker",),
    "speaker": ("sentence",),
}
"""What is new in every test fold. What is to be told cannot be new itself."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Jobs of fitting and testing: `train` (J, n) who is learnt from, `tested` (n,) the job in which each is tested; -1: in none."""

    train: np.ndarray
    tested: np.ndarray


@dataclass(frozen=True, eq=False)
class Target:
    """One thing to tell of n utterances.

    Attributes:
        rows: (n,) the utterances of which it is known. labels: (n,) class of each, as index into `classes`.
        sentences, speakers: (n,) clusters; sentences that differ in their slots only are one.
        held_out: what is new in a test fold. groups: (n,) the first of these, by which inner folds and the online code go.
        exact: (n,) the sentence, to which the control task gives a label at random.
        folds: everything of `held_out` is new. known: nothing is, the items are dealt out at random, so that the control can be learnt by heart.
    """

    name: str
    classes: tuple[str, ...]
    rows: np.ndarray
    labels: np.ndarray
    sentences: np.ndarray
    speakers: np.ndarray
    held_out: tuple[str, ...]
    groups: np.ndarray
    exact: np.ndarray
    folds: Folds
    known: Folds

    def control(self, seed: int = 0) -> np.ndarray:
        """(n,) a random label for each sentence, all labels about equally often: the control task of Hewitt & Liang (2019, arXiv 1909.03368)."""
        names, of = np.unique(self.exact, return_inverse=True)
        return np.random.default_rng(seed).permutation(np.arange(len(names)) % len(self.classes))[of]


def target(name: str, utterances: Sequence[Utterance], *, ways: int = 4, seed: int = 0) -> Target:
    """Return a target of these utterances with its folds.

    Args:
        ways: parts of the sentences, and of the speakers; each pair of a part of both is a test fold.

    Raises:
        ValueError: unknown target; only one class; nothing can be held out.
    """
    if name not in TARGETS:
        raise ValueError(f"a probe can tell {', '.join(TARGETS)}, not {name!r}")
    value = {
        "voice_emotion": [u.emotion for u in utterances],
        "word_emotion": [u.lexical_emotion for u in utterances],
        "sentence": [u.sentence or None for u in utterances],
        "speaker": [u.speaker or None for u in utterances],
    }
    rows = np.array([i for i, v in enumerate(value[name]) if v is not None], dtype=int)
    known = [str(value[name][i]) for i in rows]
    order = {e: i for i, e in enumerate(EMOTIONS)}
    classes = tuple(sorted(set(known), key=lambda c: (order.get(c, len(order)), c)))
    if len(classes) < 2:
        raise ValueError(
            f"{name}: {'all utterances are ' + classes[0] if classes else 'it is known of no utterance'}; a probe needs two classes"
        )
    labels = np.array([classes.index(v) for v in known])
    voices = np.array([str(utterances[i].emotion) for i in rows])
    groups = {"sentence": np.array([base(utterances[i]) for i in rows]), "speaker": np.array([utterances[i].speaker for i in rows])}
    strata = {"sentence": [str(utterances[i].lexical_emotion) for i in rows], "speaker": [""] * len(rows)}
    held = [h for h in HELD_OUT[name] if len(set(groups[h])) > 1]
    exact = np.array([utterances[i].sentence for i in rows])
    if name == "sentence" and all(len(set(groups["speaker"][exact == s])) == 1 for s in set(exact)):
        held, groups["voice"], strata["voice"] = ["voice"], voices, [""] * len(rows)  # each sentence by one speaker: other tones are new
    if not held or len(set(groups[held[0]])) < 2:
        raise ValueError(f"{name}: nothing can be held out; it takes more than one {' and '.join(HELD_OUT[name])}")
    folds = _crossed([_parts(groups[h], strata[h], ways, seed) for h in held])
    dealt = np.random.default_rng(seed).permutation(len(rows)) % min(ways, len(rows))
    return Target(
        name, classes, rows, labels, groups["sentence"], groups["speaker"], tuple(held), groups[held[0]], exact, folds, _crossed([dealt])
    )


def base(utterance: Utterance) -> str:
    """The sentence, or the template that it was made from: sentences that differ in their slots only are no new ones."""
    return str(utterance.extra.get("template") or utterance.sentence)


def online(target: Target, *, portions: Sequence[float] = (1 / 8, 1 / 4, 1 / 2, 1.0), seed: int = 0) -> Folds:
    """Return the jobs of an online code (Voita & Titov 2020): each portion is told by what came before, and the first by nobody (-1).

    A portion ends where a group does, so that what is told is always new; the first goes on until every class has come.
    """
    names = _in_turn(target, seed)
    first = [int(np.flatnonzero(names == g)[0]) for g in target.groups]
    least = max(min(f for f, label in zip(first, target.labels, strict=True) if label == k) for k in range(len(target.classes))) + 1
    reach = np.cumsum([(target.groups == n).mean() for n in names])
    ends = sorted({max(int(np.searchsorted(reach, p - 1e-9)) + 1, least) for p in portions})
    train, tested = [], np.full(len(target.groups), -1)
    for job, (start, stop) in enumerate(pairwise(ends)):
        train.append(np.isin(target.groups, names[:start]))
        tested[np.isin(target.groups, names[start:stop])] = job
    return Folds(np.array(train).reshape(-1, len(target.groups)), tested)


def _in_turn(target: Target, seed: int) -> np.ndarray:
    """The groups at random, but the classes that they are mostly of in turn."""
    names = np.random.default_rng(seed).permutation(np.unique(target.groups))
    mostly = [Counter(target.labels[target.groups == n].tolist()).most_common(1)[0][0] for n in names]
    turn = np.array([mostly[:i].count(m) for i, m in enumerate(mostly)])
    return names[np.lexsort((np.arange(len(names)), turn))]


def inner(groups: np.ndarray, *, ways: int = 3, seed: int = 1) -> np.ndarray:
    """(n,) part of each item, by its group, for choosing a penalty inside a training fold."""
    return _parts(groups, [""] * len(groups), ways, seed)


def _parts(groups: np.ndarray, strata: Sequence[str], ways: int, seed: int) -> np.ndarray:
    """(n,) part of each item: whole groups go round, so that every part has of every stratum."""
    names, of = np.unique(groups, return_inverse=True)
    stratum = {g: s for g, s in zip(groups, strata, strict=True)}
    mixed = np.random.default_rng(seed).permutation(len(names))
    order = sorted(mixed.tolist(), key=lambda i: stratum[names[i]])
    part = np.empty(len(names), dtype=int)
    part[order] = np.arange(len(names)) % min(ways, len(names))
    return part[of]


def _crossed(parts: Sequence[np.ndarray]) -> Folds:
    """Test folds are what agrees in every kind of part; training is what agrees in none. Folds that nobody is in are left out."""
    stacked = np.stack(parts)
    cells, tested = np.unique(stacked, axis=1, return_inverse=True)
    train = np.stack([(stacked != cell[:, None]).all(axis=0) for cell in cells.T])
    return Folds(train, tested.reshape(-1))
