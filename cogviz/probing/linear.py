"""Linear probes: what can be read out of each layer, beside what must be beaten and what the model itself makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from cogviz import statistics
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import results
from cogviz.probing.baselines import bag_of_words
from cogviz.probing.discriminant import log_probabilities
from cogviz.probing.record import Recording
from cogviz.probing.targets import TARGETS, Target, inner, online, target
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd

WHOLE = ""
"""The segment of what was recorded pooled or at the end."""


@dataclass(frozen=True)
class Probe:
    """What a probe tells of a site.

    Attributes:
        target: what is told. site, segment: of what. held_out: what is new in every test fold.
        accuracy: balanced, on what is new.
        control: balanced accuracy of the control task, a random label for each sentence, where the sentences are known (Hewitt & Liang 2019,
            arXiv 1909.03368), and selectivity: accuracy less that. Where it is not above 0, a probe could as well learn the sentences by heart, and
            only what is new to it (`accuracy`) says anything. None for the sentence itself, which is its own control.
        compression: bits of an even code over those of the online code (Voita & Titov 2020, arXiv 2003.12298); 1: nothing is told.
        random: accuracy of a probe of the same architecture with random weights, and above_random: accuracy less that; None where not recorded.
        gap: accuracy less that of the model's own answers on the same items, encoded less used; None where the model is not asked for the target.
        dimensions, learnt_from: of the states, and the items in the smallest training fold. caution: what is not claimed; "" where nothing.
    """

    target: str
    site: str
    segment: str
    held_out: tuple[str, ...]
    accuracy: Estimate
    control: Estimate | None
    selectivity: Estimate | None
    compression: Estimate
    random: Estimate | None
    above_random: Estimate | None
    gap: Estimate | None
    dimensions: int
    learnt_from: int
    caution: str

    def row(self) -> dict[str, Any]:
        """Return what tables and JSON hold: each estimate as its value, with the accuracy's interval, n and chance."""
        found: dict[str, Any] = {}
        for name, value in asdict(self).items():
            found[name] = value["value"] if isinstance(value, dict) else " ".join(value) if isinstance(value, tuple) else value
        return found | {name: getattr(self.accuracy, name) for name in ("low", "high", "n", "chance", "scope")}


@dataclass(frozen=True)
class Probes:
    """Probes of all sites of one listener.

    Attributes:
        listener: its name. sites, segments: in the order of the recording.
        probes: every target, site and segment.
        used: target -> balanced accuracy of the model's own answers; for the targets that it is asked for.
        words_alone: target -> balanced accuracy of the same probe on a bag of words: all that can be told without a voice.
    """

    listener: str
    sites: tuple[str, ...]
    segments: tuple[str, ...]
    probes: tuple[Probe, ...]
    used: dict[str, Estimate]
    words_alone: dict[str, Estimate]

    @property
    def targets(self) -> tuple[str, ...]:
        """What was told."""
        return tuple(dict.fromkeys(p.target for p in self.probes))

    def get(self, target: str, site: str, segment: str = WHOLE) -> Probe:
        """Return one probe; raises KeyError."""
        for probe in self.probes:
            if (probe.target, probe.site, probe.segment) == (target, site, segment):
                return probe
        raise KeyError(f"no probe of {target} at {site} {segment}".strip())

    def best(self, target: str, *, sites: Sequence[str] | None = None) -> Probe:
        """Return the probe with the highest accuracy; as the best of many it flatters a little."""
        return max((p for p in self.probes if p.target == target and (sites is None or p.site in sites)), key=lambda p: p.accuracy.value)

    def table(self) -> pd.DataFrame:
        """Return one row a probe."""
        import pandas as pd

        return pd.DataFrame([p.row() for p in self.probes])

    def rows(self, *, data: str) -> list[dict[str, Any]]:
        """Return every estimate as a row of `evaluation.results`."""
        found = []
        for probe in self.probes:
            place = "_".join(filter(None, (probe.target, probe.site, probe.segment)))
            for name in ("accuracy", "selectivity", "compression", "above_random", "gap"):
                if (estimate := getattr(probe, name)) is not None:
                    found.append(results.row(estimate, model=self.listener, measure=f"probe_{place}_{name}", data=data))
        for name, group in (("used", self.used), ("words_alone", self.words_alone)):
            found += [results.row(e, model=self.listener, measure=f"probe_{t}_{name}", data=data) for t, e in group.items()]
        return found


def probe(
    recording: Recording,
    *,
    targets: Sequence[str] = TARGETS,
    baseline: Recording | None = None,
    ways: int = 4,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> Probes:
    """Fit linear discriminants, in closed form, to every site and segment of a recording.

    Args:
        targets: what to tell (see `targets.TARGETS`).
        baseline: the same utterances recorded in a listener with random weights (`baselines.reinitialised`), at the same sites.
        ways: parts of the sentences, and of the speakers; each pair of parts is a test fold, and training has nothing of either.
        device: where the folds are solved, "cpu" or "cuda".

    Raises:
        ValueError: recorded at positions; a target has one class only or nothing can be held out; the baseline is of other utterances.
    """
    if recording.at == "positions":
        raise ValueError("a probe needs one row an utterance: record at='segments', 'pooled' or 'end'")
    if baseline is not None and [u.id for u in baseline.utterances] != [u.id for u in recording.utterances]:
        raise ValueError("the baseline was recorded of other utterances")
    whole = [target(name, recording.utterances, ways=ways, seed=seed) for name in targets]
    groups = _groups(recording)
    probes: list[Probe] = []
    used: dict[str, Estimate] = {}
    alone: dict[str, Estimate] = {}
    with tqdm(total=len(whole) * len(groups), desc=f"{recording.listener}: probing", disable=not progress, delay=2) as bar:
        for one in whole:
            said = _answers(recording, one)
            for places, rows in groups:
                probes += _probe(recording, one, places, rows, baseline, said, seed=seed, device=device)
                bar.update()
            if said is not None:
                used[one.name] = _Judged(one).accuracies([said])[0]
            alone[one.name] = _Judged(one).accuracies(_told(bag_of_words(recording.utterances)[None, one.rows], one, device))[0]
    order = {(t, s): i for i, (t, s) in enumerate((t, s) for t in targets for s in recording.sites)}
    probes.sort(key=lambda p: order[p.target, p.site])
    return Probes(recording.listener, recording.sites, recording.segments, tuple(probes), used, alone)


def _groups(recording: Recording) -> list[tuple[list[tuple[str, str]], np.ndarray]]:
    """Sites and segments that can be solved together: of the same width, known of the same utterances."""
    found: dict[tuple[int, bytes], list[tuple[str, str]]] = defaultdict(list)
    for site in recording.sites:
        by_segment = recording.at == "segments"
        for segment in recording.segments_of(site) if by_segment else (WHOLE,):
            states = recording.of(site, segment)
            known = np.isfinite(states.reshape(len(states), -1)).all(axis=1)
            if known.any():
                found[int(np.prod(states.shape[1:])), known.tobytes()].append((site, segment))
    return [(places, np.frombuffer(known, dtype=bool)) for (_, known), places in found.items()]


def _answers(recording: Recording, one: Target) -> np.ndarray | None:
    """(n,) what the model itself says, as index into the target's classes; -1 for what is none of them."""
    if recording.scores is None or one.name not in ("voice_emotion", "word_emotion"):
        return None
    code = np.array([one.classes.index(e) if e in one.classes else -1 for e in EMOTIONS])
    return code[recording.scores[one.rows].argmax(axis=1)]


def _told(states: np.ndarray, one: Target, device: str, *, control: np.ndarray | None = None) -> np.ndarray:
    """(L, n) what a probe of each of the states (L, n, D) says where sentence and speaker are new; of the control task where they are known."""
    labels = one.labels if control is None else control
    folds, parts = (one.folds, inner(one.groups)) if control is None else (one.known, _dealt(len(labels)))
    return log_probabilities(states, labels, folds, parts, classes=len(one.classes), device=device).argmax(axis=-1)


def _dealt(count: int) -> np.ndarray:
    return np.random.default_rng(1).permutation(count) % 3


def _probe(
    recording: Recording,
    one: Target,
    places: list[tuple[str, str]],
    known: np.ndarray,
    baseline: Recording | None,
    said: np.ndarray | None,
    *,
    seed: int,
    device: str,
) -> list[Probe]:
    kept = known[one.rows]
    if not kept.all():  # a segment that some utterances lack
        some = [u for u, k in zip(recording.utterances, known, strict=True) if k]
        smaller = target(one.name, some, seed=seed)
        rows, said = np.flatnonzero(known)[smaller.rows], None if said is None else said[kept]
        if smaller.classes != one.classes:
            return []
        one = smaller
    else:
        rows = one.rows

    def states(of: Recording) -> np.ndarray:
        return np.stack([of.of(site, segment).reshape(len(of), -1)[rows] for site, segment in places])

    x = states(recording)
    told = _told(x, one, device)
    control = one.control(seed)
    if with_control := one.name != "sentence":
        by_heart = _told(x, one, device, control=control)
    code = online(one, seed=seed)
    sure = log_probabilities(x, one.labels, code, inner(one.groups), classes=len(one.classes), device=device)
    right = np.take_along_axis(sure, one.labels[None, :, None], axis=-1)[..., 0]
    even = np.log(len(one.classes))
    bits = np.where(np.isnan(right), even, -right) / even
    random = None if baseline is None else _told(np.nan_to_num(states(baseline)), one, device)
    judged = _Judged(one, control)
    learnt = int(one.folds.train.sum(axis=1).min())
    found = []
    for i, (site, segment) in enumerate(places):
        found.append(
            Probe(
                one.name, site, segment, one.held_out, judged.accuracies([told[i]])[0],
                control=judged.accuracies([by_heart[i]], control=True)[0] if with_control else None,
                selectivity=judged.difference(told[i], by_heart[i], control=True) if with_control else None,
                compression=judged.compression(bits[i]),
                random=None if random is None else judged.accuracies([random[i]])[0],
                above_random=None if random is None else judged.difference(told[i], random[i]),
                gap=None if said is None else judged.difference(told[i], said),
                dimensions=x.shape[2], learnt_from=learnt, caution=_caution(x.shape[2], learnt),
            )
        )  # fmt: skip
    return found


def _caution(dimensions: int, items: int) -> str:
    if dimensions < items:
        return ""
    return (
        f"more dimensions ({dimensions}) than items to learn from ({items}): any labels of these items can be told apart, so only the "
        "accuracy on what is new, above control and random weights, counts; no direction or single unit is claimed, and a low accuracy does "
        "not show absence"
    )


class _Judged:
    """Figures of one target with intervals, from the same draws of its clusters."""

    def __init__(self, one: Target, control: np.ndarray | None = None) -> None:
        self.one, self.classes = one, np.arange(len(one.classes))
        self.labels = {False: one.labels, True: one.labels if control is None else control}

    def _sums(self, *columns: np.ndarray) -> statistics.Resampled:
        return statistics.resample_sums(
            np.concatenate(columns, axis=1), sentences=self.one.sentences.tolist(), speakers=self.one.speakers.tolist()
        )

    def _member(self, control: bool) -> np.ndarray:
        return (self.labels[control][:, None] == self.classes).astype(float)

    def _hit(self, told: np.ndarray, control: bool) -> np.ndarray:
        return self._member(control) * (told == self.labels[control])[:, None]

    def accuracies(self, told: Sequence[np.ndarray] | np.ndarray, *, control: bool = False) -> list[Estimate]:
        """Balanced accuracy of each of (n,) answers."""
        count = len(self.classes)
        sums = self._sums(self._member(control), *(self._hit(t, control) for t in told))

        def balanced(values: np.ndarray) -> np.ndarray:
            return np.stack([_recall(values[:, (i + 1) * count : (i + 2) * count], values[:, :count]) for i in range(len(told))], axis=1)

        drawn = sums.map(balanced)
        return [drawn.estimate(i, chance=1 / len(np.unique(self.labels[control]))) for i in range(len(told))]

    def difference(self, first: np.ndarray, second: np.ndarray, *, control: bool = False) -> Estimate:
        """Balanced accuracy of the first less that of the second; with `control`, the second's is by the control's labels."""
        count = len(self.classes)
        sums = self._sums(self._member(False), self._hit(first, False), self._member(control), self._hit(second, control))

        def apart(values: np.ndarray) -> np.ndarray:
            a, b, c, d = (values[:, i * count : (i + 1) * count] for i in range(4))
            return (_recall(b, a) - _recall(d, c))[:, None]

        return sums.map(apart).estimate(chance=0.0)

    def compression(self, bits: np.ndarray) -> Estimate:
        """An even code's bits over those of the items, in units of the even code's."""
        return self._sums(np.ones((len(bits), 1)), bits[:, None]).map(statistics.ratio).estimate(chance=1.0)


def _recall(hits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(D,) mean recall over the classes that a draw has."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nanmean(np.where(sizes > 0, hits / sizes, np.nan), axis=1)
