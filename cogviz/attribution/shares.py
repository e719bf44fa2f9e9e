"""Who earns the answer: Shapley shares of the sound and the text, and of the tone, the words and the instruction.

A player that is absent is replaced by the baseline of `paths`. Shares sum to the total, the target of the whole input minus
that of the baseline. Sound against text says nothing about tone against words, both of which are in the sound: where a model has places of its
own for the tone, `tone_words` tells them apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cogviz import statistics
from cogviz.attribution.clusters import clusters
from cogviz.attribution.memory import Rows
from cogviz.attribution.paths import Path
from cogviz.attribution.prepare import prepared
from cogviz.attribution.targets import Emotion, Question
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.probing.segments import SEGMENTS, segments, tones
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance

PERMUTATIONS = 10
"""Orders of the players that are drawn, each also run backwards."""

GROUPS = ("tone", "words", "instruction")


@dataclass(frozen=True, eq=False)
class AudioText:
    """Shapley shares of the sound and of the instruction.

    Attributes:
        a_shap: sum of |value| of the sound's players over that of all (A-SHAP, arXiv 2509.20641); its `chance` is the sound's share of the players.
        audio, text: sum of the values, signed, in the unit of the target; they sum to `total`.
        error: root mean square over utterances of the standard error that the draw of orders leaves in `audio`.
        values: N arrays (players,), the sound's first. counts: (N, 2) how many players of the sound and of the text.
    """

    a_shap: Estimate
    audio: Estimate
    text: Estimate
    total: Estimate
    error: float
    values: tuple[np.ndarray, ...]
    errors: tuple[np.ndarray, ...]
    counts: np.ndarray


@dataclass(frozen=True)
class ToneWords:
    """Exact Shapley values of the tone, the words and the instruction.

    Attributes:
        values: group -> its value in the unit of the target, the mean over utterances; they sum to `total`.
        magnitude: group -> |value| over the sum of the three, utterance by utterance: who moves the answer, in whichever direction.
        interaction: what tone and words do together beyond what each does alone (the Shapley interaction index): 0 where they add up.
    """

    values: dict[str, Estimate]
    magnitude: dict[str, Estimate]
    interaction: Estimate
    total: Estimate


def audio_text(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    question: Question | None = None,
    references: Sequence[Utterance] | None = None,
    permutations: int = PERMUTATIONS,
    windows: int | None = None,
    at_once: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> AudioText:
    """Divide the target among windows of the sound and tokens of the instruction.

    Values by permutation sampling (Castro et al. 2009), orders in pairs, one the other's reverse (Mitchell et al. 2022, arXiv 2104.12199); each
    order's values sum to the total exactly. A window is a run of neighbouring places of the sound; what the answer begins with stays, for it asks
    the question.

    Args:
        permutations: pairs of orders.
        windows: players of the sound; None: as many as tokens of the instruction (as in arXiv 2509.20641), or as
            places where there are fewer.
    """
    asked = question or Emotion()
    memory = Rows(listener, "tokens", at_once)

    def work(rows: list[int]) -> list[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
        some = [utterances[i] for i in rows]
        replay, way = prepared(listener, some, asked, "tokens", None if references is None else [references[i] for i in rows])
        passage = replay.passage
        found = []
        for row in range(len(some)):
            text = passage.places("instruction")[row].nonzero()[:, 0]
            audio = passage.places("audio")[row].nonzero()[:, 0]
            many = min(len(audio), windows or max(1, len(text)))
            players = [*torch.tensor_split(audio, many), *text[:, None]]
            values, errors = memory.run(
                lambda most, players=players, row=row, many=many: _sampled(way, row, players, many, permutations, at_once=most, seed=seed)  # type: ignore[misc]
            )
            found.append((values, errors, (many, len(text))))
        return found

    found = in_batches(
        work,
        [spoken_seconds(u) for u in utterances],
        device=listener.model.device,
        batch=16,
        name=f"{getattr(listener, 'name', 'model')}: Shapley shares",
        progress=progress,
    )
    groups = clusters(utterances)
    counts = np.array([c for _, _, c in found])
    sound = np.array([v[: c[0]].sum() for v, _, c in found])
    rest = np.array([v[c[0] :].sum() for v, _, c in found])
    size = np.array([np.abs(v[: c[0]]).sum() / max(np.abs(v).sum(), 1e-12) for v, _, c in found])
    spread = [float(e[-1]) for _, e, _ in found]
    return AudioText(
        a_shap=statistics.mean(size, chance=float((counts[:, 0] / counts.sum(axis=1)).mean()), **groups),
        audio=statistics.mean(sound, chance=0.0, **groups),
        text=statistics.mean(rest, chance=0.0, **groups),
        total=statistics.mean(sound + rest, chance=0.0, **groups),
        error=float(np.sqrt(np.mean(np.square(spread)))),
        values=tuple(v for v, _, _ in found),
        errors=tuple(e[:-1] for _, e, _ in found),
        counts=counts,
    )


def tone_words(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    question: Question | None = None,
    references: Sequence[Utterance] | None = None,
    at_once: int | None = None,
    progress: bool = True,
) -> ToneWords:
    """Divide the target among the tone, the words and the instruction, exactly: eight coalitions.

    Raises:
        ValueError: the listener has no places for the tone, so that tone and words cannot be taken away one without the other.
    """
    if not tones(listener):
        raise ValueError(
            f"{listener.name} has no places of its own for the tone; compare its renderings (`evaluation.factors`) or take `audio_text`"
        )
    asked = question or Emotion()
    memory = Rows(listener, "tokens", at_once)
    coalitions = list(itertools.product((False, True), repeat=len(GROUPS)))

    def work(rows: list[int]) -> list[np.ndarray]:
        some = [utterances[i] for i in rows]
        replay, way = prepared(listener, some, asked, "tokens", None if references is None else [references[i] for i in rows])
        where = segments(listener, replay.passage)
        masks = []
        for present in coalitions:
            shown = torch.ones_like(where, dtype=torch.bool)
            for name, there in zip(GROUPS, present, strict=True):
                shown &= there | (where != SEGMENTS.index(name))
            masks.append(shown)
        values = memory.run(lambda most: way.kept((torch.cat(masks),), way.rows.repeat(len(coalitions)), at_once=most))
        return list(values.unflatten(0, (len(coalitions), -1)).T.float().cpu().numpy())

    found = in_batches(
        work,
        [spoken_seconds(u) for u in utterances],
        device=listener.model.device,
        batch=memory.at_once,
        name=f"{getattr(listener, 'name', 'model')}: tone and words",
        progress=progress,
    )
    worth = np.stack(found).astype(float)  # (N, 8)
    parts = exact(worth)
    groups = clusters(utterances)
    size = np.abs(parts) / np.maximum(np.abs(parts).sum(axis=1, keepdims=True), 1e-12)
    at = {c: i for i, c in enumerate(coalitions)}

    def together(text: bool) -> np.ndarray:
        return (
            worth[:, at[True, True, text]]
            - worth[:, at[True, False, text]]
            - worth[:, at[False, True, text]]
            + worth[:, at[False, False, text]]
        )

    return ToneWords(
        values={g: statistics.mean(parts[:, i], chance=0.0, **groups) for i, g in enumerate(GROUPS)},
        magnitude={g: statistics.mean(size[:, i], chance=1 / len(GROUPS), **groups) for i, g in enumerate(GROUPS)},
        interaction=statistics.mean((together(False) + together(True)) / 2, chance=0.0, **groups),
        total=statistics.mean(worth[:, -1] - worth[:, 0], chance=0.0, **groups),
    )


def exact(worth: np.ndarray) -> np.ndarray:
    """Return exact Shapley values (Shapley 1953).

    Args:
        worth: (N, 2^k) of each coalition, in the order of `itertools.product((False, True), repeat=k)`.

    Returns:
        (N, k).
    """
    k = int(math.log2(worth.shape[1]))
    coalitions = np.array(list(itertools.product((0, 1), repeat=k)))
    size = coalitions.sum(axis=1)
    weight = np.array([math.factorial(max(s - 1, 0)) * math.factorial(k - max(s, 1)) / math.factorial(k) for s in size])
    out = np.zeros((len(worth), k))
    for i in range(k):
        joined = np.flatnonzero(coalitions[:, i])
        left = joined - 2 ** (k - 1 - i)
        out[:, i] = (worth[:, joined] - worth[:, left]) @ weight[joined]
    return out


def _sampled(
    way: Path, row: int, players: Sequence[Tensor], sounds: int, permutations: int, *, at_once: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(players,) values; (players + 1,) their standard errors, and that of the sum of the first `sounds`."""
    draw = np.random.default_rng(seed)
    count = len(players)
    orders = []
    for _ in range(permutations):
        order = draw.permutation(count)
        orders += [order, order[::-1]]
    masks = torch.zeros(len(orders), count + 1, way.cells[0].shape[1], dtype=torch.bool, device=way.cells[0].device)
    fixed = torch.ones(way.cells[0].shape[1], dtype=torch.bool, device=masks.device)
    fixed[torch.cat(list(players))] = False
    masks[:] = fixed
    for o, order in enumerate(orders):
        for step, player in enumerate(order):
            masks[o, step + 1 :, players[player]] = True
    flat = masks.flatten(0, 1)
    values = way.kept((flat,), torch.full((len(flat),), row, device=flat.device), at_once=at_once)
    gained = values.unflatten(0, (len(orders), count + 1)).double().diff(dim=1).cpu().numpy()
    each = np.zeros((len(orders), count))
    for o, order in enumerate(orders):
        each[o, order] = gained[o]
    pairs = each.reshape(permutations, 2, count).mean(axis=1)
    both = np.column_stack([pairs, pairs[:, :sounds].sum(axis=1)])
    errors = both.std(axis=0, ddof=1) / math.sqrt(permutations) if permutations > 1 else np.full(count + 1, np.nan)
    return pairs.mean(axis=0), errors
