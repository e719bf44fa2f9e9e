"""Do the measures recover what is known of simulated listeners? The cases, for `test_recovery.py` (few seeds) and `benchmarks/measures.py` (100).

The truth is computed from the listener's shares of answers, by formulas of its own and not by the measures.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import simulated
from scipy.optimize import minimize
from simulated import SIZE

from cogviz.evaluation.dependence import audio_dependence
from cogviz.evaluation.dominance import accuracy, following
from cogviz.evaluation.gate import validity_gate
from cogviz.evaluation.grid import condition, listen_grid
from cogviz.evaluation.information import information_split
from cogviz.evaluation.responses import emotion_specificity, response_divergence
from cogviz.evaluation.threshold import override_threshold
from cogviz.evaluation.weighing import cue_weighting
from cogviz.statistics import Estimate

SLACK = 1e-3
"""Figures are read to three decimals; where a listener never varies, an interval is a point."""

T, A, Y = np.indices((SIZE, SIZE, SIZE + 1))


@dataclass(frozen=True)
class Case:
    """A listener and what is measured of it: seed -> {measure: estimate}, and the truth by the same names."""

    measure: str
    listener: str
    answers: Callable[[int], dict[str, Estimate]]
    truth: Callable[[], dict[str, float]] = field(repr=False)


def recover(case: Case, seeds: range) -> list[dict[str, Any]]:
    """Return a row a measure: truth, mean and width over the seeds, bias in widths of the interval, share of intervals that cover the truth."""
    truth = case.truth()
    start = zlib.crc32(f"{case.measure}/{case.listener}".encode()) % 10**6  # other random numbers in every case
    found = [case.answers(start + seed) for seed in seeds]
    rows = []
    for name, true in truth.items():
        estimates = [f[name] for f in found]
        values = np.array([e.value for e in estimates])
        widths = np.array([e.high - e.low if np.isfinite(e.low) else 0.0 for e in estimates])
        infinite = np.isinf(true)
        bias = 0.0 if infinite else float(values.mean() - true)
        width = float(np.median(widths))
        rows.append(
            {
                "measure": f"{case.measure}: {name}",
                "listener": case.listener,
                "truth": None if infinite else float(true),
                "mean": None if infinite else float(values.mean()),
                "width": None if np.isinf(width) or np.isnan(width) else width,
                "bias_in_widths": bias / max(width, SLACK) if np.isfinite(width) else 0.0,
                "covered": float(np.mean([e.low - SLACK <= true <= e.high + SLACK for e in estimates])),
                "seeds": len(found),
            }
        )
    return rows


# --- truth from shares (words, voice, answer), unparsed last -----------------------------------------------------------------------


def following_truth(p: np.ndarray) -> dict[str, float]:
    conflict = (T != A) & (T > 0)
    voice, words = (float(p[conflict & (cue == Y)].sum() / conflict[..., 0].sum()) for cue in (A, T))
    return {"voice": voice, "words": words, "difference": voice - words, "index": words / (words + voice)}


def accuracy_truth(p: np.ndarray) -> dict[str, float]:
    recall = p[Y == A].reshape(SIZE, SIZE).mean()
    return {"balanced": float(recall), "plain": float(recall)}


def _entropy(p: np.ndarray) -> float:
    p = p[p > 1e-15]
    return float(-(p * np.log2(p)).sum())


def information_truth(p: np.ndarray) -> dict[str, float]:
    answers = p.mean(axis=(0, 1))
    h = _entropy(answers)
    by_words, by_voice = (h - np.mean([_entropy(row) for row in p.mean(axis=axis)]) for axis in (1, 0))
    by_both = h - np.mean([_entropy(row) for row in p.reshape(-1, SIZE + 1)])
    v_words, v_voice = (
        np.sqrt(np.mean([((row - answers)[answers > 0] ** 2 / answers[answers > 0]).sum() for row in p.mean(axis=axis)]) / (SIZE - 1))
        for axis in (1, 0)
    )
    return {
        "words": by_words / h, "voice": by_voice / h, "synergy": (by_both - by_words - by_voice) / h, "entropy": h,
        "v_words": v_words, "v_voice": v_voice,
    }  # fmt: skip


def weighing_truth(p: np.ndarray) -> dict[str, float]:
    """The conditional logit that comes nearest to the shares (Kullback-Leibler), by a general optimiser."""
    parsed = p[..., :SIZE] / p[..., :SIZE].sum(axis=-1, keepdims=True)
    is_words, is_voice = (Y == T)[..., :SIZE], (Y == A)[..., :SIZE]

    def distance(at: np.ndarray) -> float:
        score = at[0] * is_words + at[1] * is_voice + np.concatenate([[0.0], at[2:]])
        return -float((parsed * (score - np.log(np.exp(score).sum(axis=-1, keepdims=True)))).sum())

    words, voice = minimize(distance, np.zeros(SIZE + 1), tol=1e-10).x[:2]
    return {"words": words, "voice": voice, "difference": words - voice, "share": words / (words + voice)}


def grid_truth(p: np.ndarray) -> dict[str, float]:
    """Of the cell mismatched, audio: words that carry an emotion and a voice that carries another."""
    here = np.where(((T != A) & (T != 0)), p, 0.0)
    here = here / here.sum()
    right, given = here.sum(axis=(0, 2)), here.sum(axis=(0, 1))[:SIZE]
    hits = here.sum(axis=0)[np.arange(SIZE), np.arange(SIZE)]
    return {"accuracy": hits.sum(), "uar": (hits / right).mean(), "macro_f1": (2 * hits / (right + given)).mean()}


def dependence_truth(full: np.ndarray, without: np.ndarray) -> dict[str, float]:
    """Every condition but full answers as `without`, independently of what was answered in full."""
    right, reached = (p[Y == A].sum() / SIZE**2 for p in (full, without))
    changed = 1 - (full * without).sum() / SIZE**2
    return {
        "s_audio": right - reached, "text_ratio": reached / right, "drop_other_tone": right - reached, "changed_silence": changed,
        "ars_silence": 2 * right * changed / (right + changed),
    }  # fmt: skip


# --- the cases -----------------------------------------------------------------------------------------------------------------------


def _fields(measure: Callable[[pd.DataFrame], Any], table: pd.DataFrame, *names: str) -> dict[str, Estimate]:
    result = measure(table)
    return {name: getattr(result, name) for name in names}


def _grid(table: pd.DataFrame) -> Any:
    table = table.assign(condition=[condition(t, a) for t, a in zip(table.words, table.voice, strict=True)], modality="audio")
    return listen_grid(table[table.condition == "mismatched"]).cells["mismatched_audio"]


def _dependence(full: dict[str, Any], without: dict[str, Any], seed: int) -> dict[str, Estimate]:
    conditions = ("full", "silence", "other_words", "other_tone", "no_audio")
    tables = {
        name: simulated.mixture(**(without if i else full), seed=10**6 * (i + 1) + seed).assign(id=lambda t: np.arange(len(t)))
        for i, name in enumerate(conditions)
    }
    found = audio_dependence(tables)
    assert found.s_audio is not None
    assert found.text_ratio is not None
    return {
        "s_audio": found.s_audio, "text_ratio": found.text_ratio, "drop_other_tone": found.drop["other_tone"],
        "changed_silence": found.changed["silence"], "ars_silence": found.ars["silence"],
    }  # fmt: skip


def _divergence(telling: float, seed: int, **how: Any) -> dict[str, Estimate]:
    found = response_divergence(simulated.responses(telling, seed=seed, **how)).words
    return {name: getattr(found, name) for name in ("between", "within", "ratio", "difference")}


def _divergence_truth(telling: float, *, pairs: int = 400_000) -> dict[str, float]:
    """1 - F1 of pairs of responses, drawn as counts of words: ten of the one tone, ten of the other, ten of the sentence."""
    draw = np.random.default_rng(1)

    def said(tone: int) -> np.ndarray:
        own = draw.random((pairs, 6)) < telling
        word = draw.integers(10, size=(pairs, 6)) + np.where(own, 10 * tone, 20)
        return (word[..., None] == np.arange(30)).sum(axis=1, dtype=np.int8)

    within = 1 - np.minimum(said(0), said(0)).sum(axis=1).mean() / 6
    between = 1 - np.minimum(said(0), said(1)).sum(axis=1).mean() / 6
    return {"between": between, "within": within, "ratio": between / within, "difference": between - within}


def _specificity(telling: float, seed: int, **how: Any) -> dict[str, Estimate]:
    found = emotion_specificity(*simulated.judged(telling, seed=seed, **how))
    return {"told": found.told, "picked": found.picked, "rubric": found.rubric}


def _specificity_truth(telling: float, **how: Any) -> dict[str, float]:
    """Counted by hand over many cells of seven."""
    _, p = simulated.judged(telling, sentences=9000, seed=1, **how)
    cells = p.reshape(-1, SIZE, SIZE)  # cell, tone, what the judge believes
    kind = np.array([0, 1, -1, -1, -1, -1, 1])  # neutral, pleasant, unpleasant
    found, tone = cells.argmax(axis=2), np.arange(SIZE)
    own, picked = cells[:, tone, tone], cells.argmax(axis=1) == tone
    level = np.where(found == tone, np.where(picked & (own >= 0.9), 4, 3), np.where(kind[found] == kind[tone], 2, 1))
    return {"told": (found == tone).mean(), "picked": picked.mean(), "rubric": level.mean()}


def _gate(recall: float, seed: int) -> dict[str, Estimate]:
    """A recogniser of voices that hears `recall` of them, and one of words that reads all."""
    table = simulated.mixture(voice=recall, sentences=84, speakers=1, habit=0.3, seed=seed).rename(columns={"answer": "heard"})
    found = validity_gate(table.assign(read=table.words).drop(columns="intensity"))
    one = found.conditions.query("voice == 'sad' and words == 'happy'").iloc[0]
    assert found.heard is not None
    return {"heard": found.heard, "recall of a condition": Estimate(one.heard_value, one.heard_low, one.heard_high, int(one.n))}


MIXTURES = {
    "reader": {"words": 1.0},
    "hearer": {"voice": 1.0},
    "mixture": {"words": 0.6, "voice": 0.3},
    "mixture, sentences differ": {"words": 0.3, "voice": 0.3, "habit": 0.5},
    "coin": {},
}
LOGITS = {
    "logit": {"words": 2.0, "voice": 1.0},
    "logit, sentences differ": {"words": 2.0, "voice": 1.0, "sentence": 0.7, "bias": (1.0, 0.0, 0.0, 0.5, 0.0, -1.0, 0.0)},
    "logit, sentences and speakers differ": {"words": 1.5, "voice": 2.0, "sentence": 0.7, "speaker": 0.5},
}


def _cases() -> list[Case]:
    listeners: dict[str, tuple[Callable[..., pd.DataFrame], Callable[[], np.ndarray]]] = {}
    for name, how in MIXTURES.items():
        listeners[name] = partial(simulated.mixture, **how), partial(simulated.mixture_shares, **how)
    for name, how in LOGITS.items():
        speakers = {"speakers": 12, "sentences": 42} if "speaker" in how else {}
        listeners[name] = partial(simulated.logit, **how, **speakers), partial(simulated.logit_shares, **how)
    ambiguous = {"reader", "hearer", "coin"}
    wanted: list[tuple[str, Callable, Callable, tuple[str, ...], set[str], dict[str, int]]] = [
        ("following", following, following_truth, ("voice", "words", "difference", "index"), set(), {}),
        ("accuracy", accuracy, accuracy_truth, ("balanced", "plain"), {"logit"}, {}),
        ("information", partial(information_split, permutations=0), information_truth,
         ("words", "voice", "synergy", "entropy", "v_words", "v_voice"), {"logit"}, {"speakers": 6}),
        ("weighing", cue_weighting, weighing_truth, ("words", "voice", "difference", "share"), ambiguous, {}),
        ("grid", _grid, grid_truth, ("accuracy", "uar", "macro_f1"), {"logit"}, {}),
    ]  # fmt: skip
    cases = []
    for measure, function, truth, names, without, size in wanted:
        for name, (answers, shares) in listeners.items():
            if name not in without:
                size_here = {} if "speakers" in name else size
                run = partial(_run, function, answers, names, size_here)
                cases.append(Case(measure, name, run, partial(_true, truth, shares)))
    share = partial(_run, cue_weighting, listeners["reader"][0], ("share",), {})
    cases.append(Case("weighing", "reader", share, lambda: {"share": 1.0}))
    share = partial(_run, cue_weighting, listeners["hearer"][0], ("share",), {})
    cases.append(Case("weighing", "hearer", share, lambda: {"share": 0.0}))
    weights = partial(_run, cue_weighting, listeners["coin"][0], ("words", "voice", "difference"), {})
    cases.append(Case("weighing", "coin", weights, lambda: {"words": 0.0, "voice": 0.0, "difference": 0.0}))
    for name, how in {
        "overridden at 0.7": {"middle": 0.7},
        "overridden at 0.7, sentences differ": {"middle": 0.7, "sentence": 0.2},
        "overridden at 0.7, three intensities": {"middle": 0.7, "intensities": (0.5, 1.0, 1.5)},
        "overridden at once at 0.8, three intensities": {
            "middle": 0.8,
            "width": 0.02,
            "guess": 0.0,
            "lapse": 0.0,
            "intensities": (0.5, 1.0, 1.5),
        },
        "overridden at 1.3, sentences differ": {"middle": 1.3, "sentence": 0.2},
        "never overridden": {"middle": 0.7, "lapse": 0.7},
    }.items():
        answers = partial(simulated.overridden, **how)
        cases.append(
            Case(
                "threshold",
                name,
                partial(_run, override_threshold, answers, ("threshold",), {}),
                lambda how=how: {"threshold": simulated.overridden_at(**how)},
            )
        )
    for name, full, without in (
        ("hears, else reads", {"words": 0.3, "voice": 0.5}, {"words": 0.7}),
        ("reads alone, sentences differ", {"words": 0.6, "habit": 0.3}, {"words": 0.6, "habit": 0.3}),
    ):
        truth = partial(dependence_truth, simulated.mixture_shares(**full), simulated.mixture_shares(**without))
        cases.append(Case("dependence", name, partial(_dependence, full, without), truth))
    for telling in (0.0, 0.5):
        cases.append(Case("divergence", f"tells {telling:g}", partial(_divergence, telling), partial(_divergence_truth, telling)))
    for name, how in {"tells 0": {"telling": 0.0}, "tells 1.5, sentences differ": {"telling": 1.5, "sentence": 1.0}}.items():
        cases.append(
            Case(
                "specificity", name, partial(lambda seed, how: _specificity(seed=seed, **how), how=how), partial(_specificity_truth, **how)
            )
        )
    for recall in (0.0, 0.6):
        true = recall + (1 - recall) / SIZE
        cases.append(
            Case("gate", f"hears {recall:g}", partial(_gate, recall), lambda true=true: {"heard": true, "recall of a condition": true})
        )
    return cases


def _run(function: Callable, answers: Callable, names: tuple[str, ...], size: dict[str, int], seed: int) -> dict[str, Estimate]:
    return _fields(function, answers(seed=seed, **size), *names)


def _true(truth: Callable, shares: Callable) -> dict[str, float]:
    return truth(shares())


CASES = _cases()
