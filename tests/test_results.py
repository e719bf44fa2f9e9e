"""Any dataclass of estimates becomes rows of one table."""

import json
import math
from dataclasses import dataclass, field

from simulated import mixture

from cogviz.evaluation.dominance import accuracy, following
from cogviz.evaluation.information import information_split
from cogviz.evaluation.results import named, row, rows
from cogviz.statistics import Estimate
from cogviz.training.causes import _figures as figures_of_a_cell

ONE = Estimate(0.5, 0.4, 0.6, 10, 0.1)


@dataclass(frozen=True)
class Inner:
    first: Estimate
    second: Estimate | None
    verdict: str = "undecided"


@dataclass(frozen=True)
class Outer:
    plain: Estimate
    called: Estimate = field(metadata=named("another_name"))
    by: dict[str, Estimate] = field(metadata=named("recall"))
    parts: dict[str, Inner] = field(metadata=named(""))
    table: list[float]


def test_rows_are_called_by_field_name_key_and_path():
    result = Outer(ONE, ONE, {"sad": ONE, "happy": ONE}, {"cell": Inner(ONE, None)}, [1.0])
    found = rows(result, model="m", data="d")
    assert [r["measure"] for r in found] == ["plain", "another_name", "recall_sad", "recall_happy", "cell_first"]
    assert found[0] == {"model": "m", "measure": "plain", "value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "chance": 0.1, "data": "d"}


def test_what_is_no_number_is_none_so_that_json_holds_it():
    found = row(Estimate(math.inf, 1.0, math.nan, 3), model="m", measure="threshold", data="d")
    assert (found["value"], found["low"], found["high"], found["chance"]) == (None, 1.0, None, None)


def test_rows_of_the_measures_keep_their_names_and_are_strict_json():
    table = mixture(unparsed=1)
    results = (following(table), accuracy(table), information_split(mixture(words=0.3), permutations=9))
    written = [r for result in results for r in rows(result, model="nano-aligned", data="lime")]
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert [r["measure"] for r in written[:11]] == [
        "follows_voice", "follows_words", "follows_neither", "unparsed", "semantic_dominance_index", "voice_minus_words", "voice_plus_words",
        "voice_balanced_accuracy", "voice_accuracy", "unparsed", "voice_recall_neutral",
    ]  # fmt: skip
    assert next(r for r in written if r["measure"] == "semantic_dominance_index")["value"] is None
    assert [r["measure"] for r in written[-6:]] == [
        "information_from_words", "information_from_voice", "information_from_both", "answer_entropy_bits", "cramers_v_words",
        "cramers_v_voice",
    ]  # fmt: skip


def test_experiments_still_find_the_rows_that_they_keep():
    kept = figures_of_a_cell(mixture(words=0.3, voice=0.3).assign(route="reason"))
    assert sorted(r["measure"] for r in kept) == ["follows_voice", "follows_words", "voice_balanced_accuracy"]
