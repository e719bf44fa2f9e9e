"""The override threshold: how strong must the tone be before the answer follows the voice and not the words?

Input is the table that `dominance` describes, with a column `intensity` (k, 0 .. 1.5). Only conflict items count whose voice is not neutral: a
neutral voice has no strength. (At k = 0 stands what is no more than a neutral rendering of the voice's emotion.) The share of answers that follow
the voice is fitted, over k, by a psychometric curve

    P(k) = guess + (1 - guess) (1 - lapse) / (1 + exp(-(k - middle) / width))

(after Wichmann & Hill 2001; the lapse rate is of the answers that are no guess), and the threshold is where it reaches one half: there the tone wins
as often as not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, log_expit, logit, xlog1py, xlogy

from cogviz.emotions import EMOTIONS, INTENSITIES
from cogviz.evaluation.items import Items, extra_columns, read_items
from cogviz.evaluation.results import named
from cogviz.statistics import MIN_SENTENCES, Estimate, Resampled, marginal_chance

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.items import Table

STRONGEST = max(INTENSITIES.values())
"""The curve is not read beyond this intensity: what is not reached there counts as never reached."""

MIN_LEVELS = 3
"""A curve needs at least so many intensities."""

RATE, ANSWERS = 1 / 8, 8.0
"""Prior of guess and lapse rate: most likely this rate, as strong as so many answers, Beta(1 + ANSWERS RATE, 1 + ANSWERS (1 - RATE))."""

MIDDLE, WIDTH = (0.75, 0.75), (math.log(0.15), 2.5)
"""Normal priors (mean, standard deviation) of the middle and of the logarithm of the width.

Each draw of the bootstrap draws its priors too, with their modes from the priors themselves: where the intensities are too coarse to say where the
curve rises, the interval shows it.
"""


@dataclass(frozen=True, eq=False)
class Threshold:
    """How the share of answers that follow the voice grows with the intensity of the tone.

    Attributes:
        threshold: intensity at which the fitted share reaches one half (the point of subjective equality); infinite where it never does up to
            `STRONGEST`, and 0 where it is above one half already there. An upper end that is infinite says that "never" cannot be excluded.
        never: share of the bootstrap's draws in which the curve never reaches one half.
        guess, lapse, middle, width: parameters of the curve.
        points: intensity -> share that follows the voice; chance is prediction-marginal.
        curve: columns intensity, value, low, high: the fitted curve with its pointwise interval.
        sentences: number of distinct sentences.
    """

    threshold: Estimate = field(metadata=named("override_threshold"))
    never: Estimate = field(metadata=named("override_never"))
    guess: Estimate = field(metadata=named("override_guess_rate"))
    lapse: Estimate = field(metadata=named("override_lapse_rate"))
    middle: Estimate = field(metadata=named("override_middle"))
    width: Estimate = field(metadata=named("override_width"))
    points: dict[str, Estimate] = field(metadata=named("follows_voice_at"))
    curve: pd.DataFrame
    sentences: int

    @property
    def verdict(self) -> str:
        """Return "the tone overrides the words", "the tone never overrides the words" or "undecided".

        Decided only where 97.5% of the draws agree, and there are at least `MIN_SENTENCES` sentences.
        """
        if self.sentences < MIN_SENTENCES or 0.025 < self.never.value < 0.975:
            return "undecided"
        return "the tone overrides the words" if self.never.value < 0.5 else "the tone never overrides the words"


def override_threshold(table: Table) -> Threshold:
    """Fit the curve to all conflict items, and anew in every draw of the clustered bootstrap.

    Raises:
        ValueError: there is no column `intensity`, a value in it is no number from 0 to 1.5, there is no such conflict item, or there are fewer
            than `MIN_LEVELS` intensities.
    """
    import pandas as pd

    every = read_items(table)
    intensity = pd.to_numeric(extra_columns(table, "intensity").intensity, errors="coerce").to_numpy(float)
    chosen = every.conflict & (every.voice != EMOTIONS.index("neutral"))
    items, k = every.where(chosen), intensity[chosen]
    if not len(k):
        raise ValueError("no conflict items: the threshold needs words that carry an emotion in voices that carry another, not neutral")
    if not ((k >= 0) & (k <= STRONGEST)).all():
        raise ValueError(f"column intensity must hold numbers from 0 to {STRONGEST} (k of the tone)")
    levels, at = np.unique(k, return_inverse=True)
    if len(levels) < MIN_LEVELS:
        raise ValueError(f"{len(levels)} intensities cannot show a curve: give at least {MIN_LEVELS}, spread over 0 .. {STRONGEST}")
    follows = (items.answer == items.voice).astype(float)
    here = np.eye(len(levels))[at]
    sums = items.sums(*(here * follows[:, None]).T, *here.T)
    fitted = _fit(sums, levels)
    grid = np.linspace(0, STRONGEST, 61)
    shares = fitted.map(lambda p: _curve(p, grid))
    crossing = fitted.map(_crossing)
    band = [shares.estimate(i) for i in range(len(grid))]
    natural = fitted.map(lambda p: np.column_stack([expit(p[:, :2]), p[:, 2], np.exp(p[:, 3])]))
    return Threshold(
        threshold=_censored(crossing),
        never=Estimate(float(np.isinf(crossing.draws).mean()), math.nan, math.nan, len(k), scope=crossing.scope),
        guess=natural.estimate(0),
        lapse=natural.estimate(1),
        middle=natural.estimate(2),
        width=natural.estimate(3),
        points={f"{level:g}": _point(items.where(at == i)) for i, level in enumerate(levels)},
        curve=pd.DataFrame({"intensity": grid, **{name: [getattr(e, name) for e in band] for name in ("value", "low", "high")}}),
        sentences=len(np.unique(items.sentence)),
    )


def _point(items: Items) -> Estimate:
    return items.share(
        items.answer == items.voice, chance=marginal_chance(items.voice.astype(str).tolist(), items.answer.astype(str).tolist())
    )


def _curve(parameters: np.ndarray, k: np.ndarray) -> np.ndarray:
    """(D, 4) logit guess, logit lapse, middle, log width -> (D, levels) shares."""
    guess, lapse = expit(parameters[:, :1]), expit(parameters[:, 1:2])
    return guess + (1 - guess) * (1 - lapse) * expit((k - parameters[:, 2:3]) / np.exp(parameters[:, 3:4]))


def _crossing(parameters: np.ndarray) -> np.ndarray:
    """(D, 4) -> (D, 1) the intensity at which the curve reaches one half; infinite beyond `STRONGEST`, 0 below 0."""
    guess, lapse = expit(parameters[:, 0]), expit(parameters[:, 1])
    height = np.clip((0.5 - guess) / ((1 - guess) * (1 - lapse)), 0, 1)
    at = parameters[:, 2] + np.exp(parameters[:, 3]) * logit(height)  # infinite at 0 and at 1
    return np.where(at > STRONGEST, np.inf, np.maximum(at, 0))[:, None]


def _fit(sums: Resampled, levels: np.ndarray, *, seed: int = 0) -> Resampled:
    """Sums (D, 2 levels) of followed and of all answers -> parameters (D, 4), the likeliest under the priors."""
    draw = np.random.default_rng(seed)
    size = len(sums.draws)
    modes = np.array([RATE, RATE, MIDDLE[0], WIDTH[0]])
    starts = np.array([[logit(RATE), logit(RATE), middle, WIDTH[0]] for middle in (0.25, 0.75, 1.25)])
    values, heights = _likeliest(np.tile(sums.value, (len(starts), 1)), levels, np.tile(modes, (len(starts), 1)), starts)
    value = values[heights.argmax()]
    drawn = [
        draw.beta(1 + ANSWERS * RATE, 1 + ANSWERS * (1 - RATE), size=(size, 2)),
        draw.normal(*MIDDLE, size=(size, 1)),
        draw.normal(*WIDTH, size=(size, 1)),
    ]
    draws, _ = _likeliest(sums.draws, levels, np.concatenate(drawn, axis=1), np.tile(value, (size, 1)))
    return replace(sums, value=value, draws=draws)


def _likeliest(sums: np.ndarray, levels: np.ndarray, modes: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fisher scoring with Levenberg's damping, all draws at once.

    Sums (D, 2 levels), modes of the priors (D, 4), start (D, 4) -> parameters (D, 4), heights of the posterior (D,).
    """
    followed, n = np.split(sums, 2, axis=1)
    likely, centres = np.split(modes, 2, axis=1)
    precision = 1 / np.array([MIDDLE, WIDTH])[:, 1] ** 2

    def objective(at: np.ndarray) -> np.ndarray:
        share = _curve(at, levels)
        rates = ANSWERS * (likely * log_expit(at[:, :2]) + (1 - likely) * log_expit(-at[:, :2]))
        likelihood = (xlogy(followed, share) + xlog1py(n - followed, -share)).sum(axis=1)
        return likelihood + rates.sum(axis=1) - ((at[:, 2:] - centres) ** 2 * precision).sum(axis=1) / 2

    at, damping = start, np.ones(len(start))
    best = objective(at)
    for _ in range(80):
        rate, share = expit(at[:, :2]), _curve(at, levels)
        z = (levels - at[:, 2:3]) / np.exp(at[:, 3:4])
        rise = expit(z)
        high, low = (1 - rate[:, :1]) * (1 - rate[:, 1:2]), rate[:, :1] * (1 - rate[:, :1])
        slope = high * rise * (1 - rise)
        by = np.stack(
            [low * (1 - (1 - rate[:, 1:2]) * rise), -high * rate[:, 1:2] * rise, -slope / np.exp(at[:, 3:4]), -slope * z], axis=-1
        )  # (D, levels, 4): the share by each parameter
        weight = 1 / np.clip(share * (1 - share), 1e-9, None)
        gradient = np.einsum("dl,dlp->dp", (followed - n * share) * weight, by)
        gradient += np.column_stack([ANSWERS * (likely - rate), (centres - at[:, 2:]) * precision])
        curvature = np.einsum("dl,dlp,dlq->dpq", n * weight, by, by)
        prior = np.column_stack([ANSWERS * rate * (1 - rate), np.tile(precision, (len(at), 1))])
        curvature += np.eye(4) * (prior + damping[:, None])[:, None, :]
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        reached = objective(at + step)
        better = reached > best
        at, best = np.where(better[:, None], at + step, at), np.where(better, reached, best)
        damping = np.where(better, damping / 4, damping * 4)
        if np.abs(step).max() < 1e-6:
            break
    return at, best


def _censored(crossing: Resampled) -> Estimate:
    """An estimate whose draws may be infinite: quantiles are draws and no averages of two."""
    value, draws = float(crossing.value[0]), crossing.draws[:, 0]
    kept = draws[~np.isnan(draws)]
    low, high = (math.nan, math.nan)
    if not math.isnan(crossing.tail) and len(kept):
        low, high = np.quantile(kept, [crossing.tail, 1 - crossing.tail], method="inverted_cdf")
    return Estimate(value, float(low), float(high), crossing.n, None, crossing.scope)
