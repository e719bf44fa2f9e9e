"""Results of the listening test: how well people hear the emotions, and how natural the voices sound to them.

A file is what the page of `cogviz lime listening-test` saves: one person's answers, each with the clip's truth under seal.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from cogviz.emotions import EMOTIONS
from cogviz.evaluation import dominance, results
from cogviz.lime.listening_test import FORMAT, unseal
from cogviz.statistics import Estimate, mean

RATINGS = ("certainty", "naturalness")
"""Each from 1 to 5."""


class ResultsError(ValueError):
    """Raised for a file that is no result of the listening test, or a damaged one; one sentence."""


def read(path: str | Path) -> pd.DataFrame:
    """Read one results file, or every `*.json` of a folder.

    The same person's same test in two files (saved twice) counts once: the one that was finished last.

    Returns:
        One row an answer: data, test, rater, item, voice, words, answer, certainty, naturalness, plays, sentence, speaker (of the recording).

    Raises:
        ResultsError: missing, no JSON files, not a results file, or an answer in it that cannot be.
    """
    path = Path(path)
    if not path.exists():
        raise ResultsError(f"{path} does not exist; give a results file of the listening test, or a folder of them")
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ResultsError(f"{path} holds no .json file; put the files that listeners saved there")
    latest: dict[tuple[str, str], tuple[str, list[dict[str, Any]]]] = {}
    for file in files:
        result = _result(file)
        who = result["test"], result["rater"]
        finished = str(result.get("finished") or "")
        if who not in latest or finished >= latest[who][0]:
            latest[who] = finished, _answers(result, file)
    return pd.DataFrame([row for _, rows in latest.values() for row in rows])


def _result(file: Path) -> dict[str, Any]:
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        raise ResultsError(
            f"{file} is not a results file of the listening test: it holds no JSON; ask the listener to save it again"
        ) from None
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise ResultsError(f"{file} is not a results file of the listening test (its format is not {FORMAT})")
    if not all(isinstance(result.get(name), str) for name in ("test", "rater", "data")):
        raise ResultsError(f"{file} is damaged: it does not say which test and listener it is from")
    if not isinstance(result.get("items"), list) or not result["items"]:
        raise ResultsError(f"{file} holds no answers")
    return result


def _answers(result: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, item in enumerate(result["items"], 1):
        where = f"{file}, answer {number}"
        if not isinstance(item, dict) or not isinstance(item.get("id"), str) or item["id"] in seen:
            raise ResultsError(f"{where}: has no id of its own; the file is damaged")
        seen.add(item["id"])
        try:
            truth = unseal(str(item.get("sealed", "")), result["test"], item["id"])
        except ValueError:
            raise ResultsError(f"{where}: the seal does not fit its recording; the file was changed or is damaged") from None
        if item.get("emotion") not in EMOTIONS:
            raise ResultsError(f"{where}: emotion is {item.get('emotion')!r}; it must be one of {', '.join(EMOTIONS)}")
        for name in RATINGS:
            if type(item.get(name)) is not int or not 1 <= item[name] <= 5:
                raise ResultsError(f"{where}: {name} is {item.get(name)!r}; it must be a whole number from 1 to 5")
        rows.append(
            {
                "data": result["data"],
                "test": result["test"],
                "rater": result["rater"],
                "item": truth.utterance,
                "voice": truth.voice,
                "words": truth.words,
                "answer": item["emotion"],
                **{name: item[name] for name in RATINGS},
                "plays": item.get("plays"),
                "sentence": truth.sentence,
                "speaker": truth.speaker,
            }
        )
    return rows


def evaluate(path: str | Path) -> list[dict[str, Any]]:
    """Measure how people answered, as rows {model, measure, value, low, high, n, chance, data}; `model` is "humans".

    Measures, for each dataset: `raters` (how many people); `voice_balanced_accuracy`, `voice_accuracy`, `voice_recall_<emotion>`;
    `naturalness_mean`, `certainty_mean` (1 to 5); and where words and voice disagree `follows_voice`, `follows_words`, ... as for models.
    Intervals are clustered by sentence, and from ten people on by person too (below that they hold for these listeners).

    Raises:
        ResultsError: see `read`.
    """
    every = read(path)
    rows: list[dict[str, Any]] = []
    for name in sorted(set(every.data)):
        table = every[every.data == name]
        # The clusters of an interval are sentence and person: to the measures, the person is the "speaker".
        asked = table.assign(speaker=table.rater)
        found: list[Any] = [{"raters": Estimate(table.rater.nunique(), math.nan, math.nan, len(table))}, dominance.accuracy(asked)]
        for rating in ("naturalness", "certainty"):
            e = mean(asked[rating].to_numpy(float), sentences=asked.sentence.tolist(), speakers=asked.speaker.tolist())
            found.append({f"{rating}_mean": e})
        if (asked.words.notna() & (asked.words != asked.voice)).any():
            found.append(dominance.following(asked))
        rows += [r for result in found for r in results.rows(result, model="humans", data=name) if r["measure"] != "unparsed"]
    return rows
