"""A listener of a few lines is a whole listener: its answers, its reading, and a fingerprint that changes with its rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cogviz import tour
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.remembered import Remembered
from cogviz.exercises.toys import ByRule
from cogviz.lime import dataset


def test_it_names_what_its_rules_name() -> None:
    heard = dataset.read(tour.samples())[:5]
    listener = ByRule("rule", lambda u: str(u.emotion), lambda text: "sad", sure=0.7)
    scores = listener.scores(heard)
    assert [EMOTIONS[i] for i in scores.argmax(axis=1)] == [u.emotion for u in heard]
    assert np.allclose(np.exp(scores).sum(axis=1), 1)
    assert np.allclose(np.exp(scores).max(axis=1), 0.7)
    assert [h.claimed for h in listener.listen(heard)] == [u.emotion for u in heard]
    assert [h.claimed for h in listener.read(["so"])] == ["sad"]
    assert ByRule("rule", lambda u: "sad").read(["so"])[0].claimed == "neutral"


def test_another_rule_is_not_given_the_answers_of_the_old_one(tmp_path: Path) -> None:
    heard = dataset.read(tour.samples())[:1]
    one, other = ByRule("rule", lambda u: "sad"), ByRule("rule", lambda u: "happy")
    assert one.fingerprint == ByRule("rule", lambda u: "sad").fingerprint != other.fingerprint
    answers = [Remembered(x, tmp_path).listen(heard, progress=False)[0].claimed for x in (one, other, one)]
    assert answers == ["sad", "happy", "sad"]
