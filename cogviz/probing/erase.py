"""What the answer loses when a concept can no longer be read linearly: LEACE (Belrose et al. 2023, arXiv 2306.03819), two concepts x two followings.

The voice's emotion, or the words', is erased from the states at a site while the rest of the model runs on; then it is counted whether the answer
still follows the voice, and the words. Controls: a random subspace of the same rank; and a probe that finds the concept before, and not after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cogviz.emotions import EMOTIONS
from cogviz.evaluation import results
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.probing.erasers import Erasers, erasing, fitter, one_hot, random_like, rank, varies
from cogviz.probing.spans import By, spans
from cogviz.probing.suffix import ROWS, at_once, begin
from cogviz.statistics import Estimate, balanced_accuracy, difference, mean
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    from concept_erasure import LeaceFitter

CONCEPTS: Mapping[str, str] = {"voice": "emotion", "words": "lexical_emotion"}
"""Concept -> the attribute of an utterance that tells it."""

UTTERANCES = 32
"""Utterances that are heard at once."""


@dataclass(frozen=True)
class Following:
    """Share of the conflict items whose answer follows the voice and the words, and the change against the untouched model."""

    voice: Estimate
    words: Estimate
    voice_change: Estimate
    words_change: Estimate


@dataclass(frozen=True)
class Recovered:
    """Balanced accuracy of a linear probe for a concept on held-out items, fitted before and again after it was erased."""

    before: Estimate
    after: Estimate


@dataclass(frozen=True)
class Erased:
    """The 2 x 2 at one site.

    Attributes:
        spans: where is erased, each with its own eraser. ranks: concept -> the largest rank that is taken from a span.
        whole: following of the untouched model (its changes are 0). erased, random: by concept; `random`: mean of `draws` random subspaces.
        probe: the positive control, by concept.
    """

    model: str
    site: str
    spans: tuple[str, ...]
    ranks: dict[str, int]
    draws: int
    whole: Following
    erased: dict[str, Following]
    random: dict[str, Following]
    probe: dict[str, Recovered]

    def rows(self, *, data: str) -> list[dict[str, Any]]:
        """Return every estimate as a row (`evaluation.results`)."""
        return [{**row, "measure": f"{self.site}_{row['measure']}"} for row in results.rows(self, model=self.model, data=data)]


def erase(
    listener: Transparent,
    fitted_on: Sequence[Utterance],
    utterances: Sequence[Utterance],
    at: Sequence[str],
    *,
    spans_of: Sequence[str] | None = None,
    by: By = "token",
    draws: int = 3,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> list[Erased]:
    """Erase the voice's and the words' emotion at each site of the residual stream, one site and one concept at a time.

    Args:
        fitted_on: utterances on which erasers and probes are fitted, with both emotions.
        utterances: held-out ones; following is counted where voice and words are in conflict, the probe's accuracy on all.
        at: sites (`sites.stream`).
        spans_of: only spans whose names begin so (`tone`, `words`, `last`, ...); None: every place.
        by: how places are named (`spans.spans`); each span gets its own eraser, because a place's mean is no concept.
        draws: random subspaces.

    Raises:
        ValueError: a sentence is in both sets; no conflict; fewer than two classes; no such span.
    """
    if shared := {u.sentence for u in fitted_on} & {u.sentence for u in utterances}:
        raise ValueError(f"{len(shared)} sentence(s), {min(shared)} among them, are both fitted on and held out; split by sentence")
    fit = [u for u in fitted_on if _known(u)]
    held = [u for u in utterances if _known(u)]
    for concept, name in CONCEPTS.items():
        if len({getattr(u, name) for u in fit}) < 2:
            raise ValueError(f"the {concept} of the items that are fitted on have fewer than two emotions: there is nothing to erase")
    conflict = [i for i, u in enumerate(held) if u.congruence == "conflict"]
    if not conflict:
        raise ValueError("no held-out item has words and a voice in conflict: nothing tells which of them is followed")
    gathered = _gather(listener, fit, at, spans_of, by, progress)
    kinds = {site: _kinds(gathered.fitters[site], draws, seed) for site in at}

    def work(batch: list[int]) -> list[tuple[dict[tuple[str, str], np.ndarray], np.ndarray, dict[str, dict[str, tuple[np.ndarray, int]]]]]:
        nonlocal rows
        passage = listener.naming([held[i] for i in batch])
        suffix = begin(listener, passage, list(at), rows=rows)
        masks = _chosen(spans(listener, passage, by), spans_of)
        out = {
            (site, kind): suffix.run(site, range(len(batch)), erasing(erasers, masks))
            for site in at
            for kind, erasers in kinds[site].items()
        }
        rows = suffix.rows  # fewer, where memory ran out
        means = {site: _means(suffix.states[site], masks) for site in at}
        return [
            (
                {key: logits[row] for key, logits in out.items()},
                suffix.labels[row].float().cpu().numpy(),
                {s: {n: (v[row], int(c[row])) for n, (v, c) in m.items()} for s, m in means.items()},
            )
            for row in range(len(batch))
        ]

    done = in_batches(
        work,
        [spoken_seconds(u) for u in held],
        device=listener.model.device,
        batch=at_once(listener, UTTERANCES, len(held)),
        name=f"{listener.name}: erasing",
        progress=progress,
    )
    held_means = {site: [one[2][site] for one in done] for site in at}
    found = []
    for site in at:
        logits = {kind: np.stack([one[0][site, kind] for one in done])[conflict] for kind in kinds[site]}
        logits["whole"] = np.stack([one[1] for one in done])[conflict]
        items = [held[i] for i in conflict]
        found.append(
            Erased(
                model=listener.name,
                site=site,
                spans=tuple(gathered.fitters[site]),
                ranks={c: max((e.proj_left.shape[1] and rank(e) for e in kinds[site][c].values()), default=0) for c in CONCEPTS},
                draws=draws,
                whole=_following(items, [logits["whole"]], logits["whole"]),
                erased={c: _following(items, [logits[c]], logits["whole"]) for c in CONCEPTS},
                random={c: _following(items, [logits[f"{c} {k}"] for k in range(draws)], logits["whole"]) for c in CONCEPTS},
                probe={c: _probe(c, fit, gathered.means[site], held, held_means[site], kinds[site][c]) for c in CONCEPTS},
            )
        )
    return found


@dataclass(frozen=True, eq=False)
class _Gathered:
    """What the training items' states are: fitters by site, span and concept, and the spans' means of each item."""

    fitters: dict[str, dict[str, dict[str, LeaceFitter]]]
    means: dict[str, list[dict[str, tuple[np.ndarray, int]]]]


def _known(utterance: Utterance) -> bool:
    return all(getattr(utterance, name) in EMOTIONS for name in CONCEPTS.values())


def _code(utterance: Utterance, concept: str) -> int:
    return EMOTIONS.index(getattr(utterance, CONCEPTS[concept]))


def _chosen(named: dict[str, Tensor], wanted: Sequence[str] | None) -> dict[str, Tensor]:
    found = {name: mask for name, mask in named.items() if wanted is None or name.startswith(tuple(wanted))}
    if not found:
        raise ValueError(f"no span begins with {' or '.join(wanted or ())}; there are {', '.join(named)}")
    return found


def _gather(
    listener: Transparent, items: Sequence[Utterance], at: Sequence[str], wanted: Sequence[str] | None, by: By, progress: bool
) -> _Gathered:
    fitters: dict[str, dict[str, dict[str, LeaceFitter]]] = {site: defaultdict(dict) for site in at}
    classes = {c: torch.tensor([_code(u, c) for u in items], device=listener.model.device) for c in CONCEPTS}

    def work(batch: list[int]) -> list[dict[str, dict[str, tuple[np.ndarray, int]]]]:
        passage = listener.naming([items[i] for i in batch])
        states = begin(listener, passage, list(at)).states
        masks = _chosen(spans(listener, passage, by), wanted)
        for site in at:
            for name, mask in masks.items():
                places = states[site][mask].double()
                row = mask.nonzero()[:, 0]
                for concept, code in classes.items():
                    if concept not in fitters[site][name]:
                        fitters[site][name][concept] = fitter(places.shape[1], len(EMOTIONS), device=places.device)
                    fitters[site][name][concept].update(places, one_hot(code[torch.tensor(batch, device=row.device)[row]], len(EMOTIONS)))
        means = {site: _means(states[site], masks) for site in at}
        return [{s: {n: (v[i], int(c[i])) for n, (v, c) in m.items()} for s, m in means.items()} for i in range(len(batch))]

    done = in_batches(
        work,
        [spoken_seconds(u) for u in items],
        device=listener.model.device,
        batch=at_once(listener, UTTERANCES, len(items)),
        name=f"{listener.name}: fitting erasers",
        progress=progress,
    )
    varied = {site: {name: of for name, of in fitters[site].items() if varies(of["voice"])} for site in at}
    return _Gathered(varied, {site: [one[site] for one in done] for site in at})


def _means(states: Tensor, masks: dict[str, Tensor]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """span -> ((B, D) mean, (B,) places); a row without the span has a mean of 0."""
    found = {}
    for name, mask in masks.items():
        number = mask.sum(dim=1)
        mean_ = torch.einsum("bs,bsd->bd", mask.to(states.dtype), states) / number.clamp(min=1)[:, None]
        found[name] = (mean_.double().cpu().numpy(), number.cpu().numpy())
    return found


def _kinds(fitters: dict[str, dict[str, LeaceFitter]], draws: int, seed: int) -> dict[str, Erasers]:
    """The erasers of each concept by span, and `draws` random ones of the same ranks."""
    found: dict[str, Erasers] = {}
    for concept in CONCEPTS:
        found[concept] = {name: of[concept].eraser for name, of in fitters.items()}
        for k in range(draws):
            found[f"{concept} {k}"] = {
                name: random_like(eraser, [seed, k, index]) for index, (name, eraser) in enumerate(found[concept].items())
            }
    return found


def _following(items: Sequence[Utterance], runs: Sequence[np.ndarray], whole: np.ndarray) -> Following:
    by: dict[str, Any] = {"sentences": [u.sentence for u in items], "speakers": [u.speaker for u in items]}

    def share(logits: Sequence[np.ndarray], concept: str) -> np.ndarray:
        code = np.array([_code(u, concept) for u in items])
        return np.asarray(np.mean([x.argmax(-1) == code for x in logits], axis=0), dtype=float)

    voice, words = share(runs, "voice"), share(runs, "words")
    return Following(
        voice=mean(voice, **by, chance=1 / len(EMOTIONS)),
        words=mean(words, **by, chance=1 / len(EMOTIONS)),
        voice_change=difference(voice, share([whole], "voice"), **by),
        words_change=difference(words, share([whole], "words"), **by),
    )


def _probe(
    concept: str,
    fit: Sequence[Utterance],
    means: Sequence[dict[str, tuple[np.ndarray, int]]],
    held: Sequence[Utterance],
    held_means: Sequence[dict[str, tuple[np.ndarray, int]]],
    erasers: Erasers,
) -> Recovered:
    """Ridge regression on the mean of the places that are erased, standardised; fitted anew after erasing."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth = [EMOTIONS[_code(u, concept)] for u in fit]
    wanted = [EMOTIONS[_code(u, concept)] for u in held]
    found = []
    for active in ({}, erasers):  # where nothing can be erased, a probe finds as little before as after
        x, y = (np.stack([_pooled(one, erasers, active) for one in m]) for m in (means, held_means))
        probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=10.0)).fit(x, truth)
        found.append(balanced_accuracy(wanted, probe.predict(y), sentences=[u.sentence for u in held], speakers=[u.speaker for u in held]))
    return Recovered(*found)


def _pooled(one: dict[str, tuple[np.ndarray, int]], names: Erasers, active: Erasers) -> np.ndarray:
    """(D,) mean over the places of the spans that can be erased; erased where `active`. Erasers are affine, so the mean of a span will do."""
    parts = [(name, *one[name]) for name in names or one if name in one and one[name][1]]
    values = [
        active[name](torch.as_tensor(value).to(active[name].proj_left)).cpu().numpy() if active else value for name, value, _ in parts
    ]
    return np.asarray(np.average(values, axis=0, weights=[number for *_, number in parts]))
