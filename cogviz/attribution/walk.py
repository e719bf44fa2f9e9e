"""The way from the baseline to the input, step by step: what integrated gradients add up, and what the gradient at its end cannot see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cogviz.attribution.memory import Rows
from cogviz.attribution.paths import Over
from cogviz.attribution.prepare import prepared
from cogviz.attribution.targets import Emotion, Question
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.protocol import Transparent
from cogviz.utterance import Utterance


@dataclass(frozen=True, eq=False)
class Walk:
    """The target along the straight line from the baseline to the input.

    Attributes:
        over, target: of what, and for what.
        shares: (K,) share of the way, 0 the baseline, 1 the input. values: (N, K) the target there.
    """

    over: str
    target: str
    shares: np.ndarray
    values: np.ndarray


def walk(
    listener: Transparent,
    utterances: Sequence[Utterance],
    *,
    over: Over = "tokens",
    question: Question | None = None,
    references: Sequence[Utterance] | None = None,
    points: int = 21,
    at_once: int | None = None,
    progress: bool = True,
) -> Walk:
    """Follow the target from the baseline to the input. For the arguments see `gradients.attribute`; `points`: stops on the way, both ends included.

    Raises:
        ValueError: no utterances, or fewer than two points.
    """
    if not utterances or points < 2:
        raise ValueError("a walk needs an utterance and at least its two ends")
    asked, memory, names = question or Emotion(), Rows(listener, over, at_once), []
    shares = np.linspace(0, 1, points)

    def work(rows: list[int]) -> list[np.ndarray]:
        replay, way = prepared(
            listener, [utterances[i] for i in rows], asked, over, None if references is None else [references[i] for i in rows]
        )
        names.append(replay.target.name)
        with torch.no_grad():
            stops = [way.run(tuple(d * float(share) for d in way.differences), way.rows) for share in shares]
        return list(torch.stack(stops, dim=1).float().cpu().numpy())

    found = in_batches(
        work,
        [spoken_seconds(u) for u in utterances],
        device=listener.model.device,
        batch=min(memory.at_once, len(utterances)),
        name=f"{getattr(listener, 'name', 'model')}: from the baseline to the input",
        progress=progress,
    )
    return Walk(over, names[0], shares, np.stack(found))
