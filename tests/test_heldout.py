"""The figures that every training run measures, by hand on a few answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cogviz.evaluation import heldout
from cogviz.models.listener import Heard
from cogviz.utterance import Utterance


class Told:
    """A judge that reads the emotion off the response's last word."""

    def tell(self, responses: list[str]) -> list[str]:
        return [(r.split() or ["neutral"])[-1].strip(".") for r in responses]


def heard(voice: str, answer: str | None, response: str, *, words: str | None = None, route: str = "reason", sentence: str = "a") -> Heard:
    from cogviz.eips import parse
    from cogviz.emotions import emotion
    from cogviz.scoring import claimed_emotion

    u = Utterance(f"{sentence}-{voice}", "we sat down", voice, "s1", sentence, "test", lexical_emotion=words, extra={"part": "p"})
    text = f"<response>{response}</response>"
    if route == "reason":
        claim = f'The voice sounds {emotion(answer).adjective}. The words are "we sat".' if answer else "I hear nothing."
        text = f"<thought>[Perception] {claim} [Intent] i [Psychology] p [Strategy] s</thought>" + text
    return Heard(u, route, text, parse(text), claimed_emotion(text))


def by_measure(rows: list[dict]) -> dict[str, dict]:
    assert len({r["measure"] for r in rows}) == len(rows), "one row a measure"
    return {r["measure"]: r for r in rows}


def test_figures_of_both_routes_by_hand() -> None:
    told = [
        heard("sad", "sad", "I think sad.", words="happy", sentence="a"),
        heard("angry", "happy", "I think happy.", words="happy", sentence="b"),
        heard("fear", None, "I think fear.", words="fear", sentence="c"),
        heard("sad", "sad", "I think angry.", sentence="d"),
        heard("sad", None, "so sad.", words="happy", sentence="a", route="direct"),
        heard("angry", None, "", words="happy", sentence="b", route="direct"),
    ]
    rows = by_measure(heldout.figures(heldout.answers(told), model="m", data="d", judge=Told()))
    expected = {
        "voice_accuracy": (2 / 4, 4),
        "unparsed": (1 / 4, 4),
        "follows_voice": (1 / 2, 2),  # the congruent item and the one without lexical emotion are no conflicts
        "follows_words": (1 / 2, 2),
        "unparsed_on_conflict": (0, 2),
        "valid_chain": (1, 4),
        "words_heard": ((2 / 3 + 2 / 3 + 0 + 2 / 3) / 4, 4),
        "valid_direct": (1 / 2, 2),  # an empty response is no answer
        "response_tells_voice_reason": (2 / 4, 4),
        "response_tells_voice_direct": (1 / 2, 2),
        "response_tells_claim": (2 / 3, 3),
    }
    for measure, (value, n) in expected.items():
        assert rows[measure]["value"] == pytest.approx(value), measure
        assert rows[measure]["n"] == n, measure
        assert (rows[measure]["model"], rows[measure]["data"]) == ("m", "d")


def test_without_conflicts_the_rest_is_still_measured_and_no_nan_gets_out() -> None:
    told = [heard("sad", "sad", "x", words="sad"), heard("happy", "happy", "x")]  # one sentence: no interval
    rows = by_measure(heldout.figures(heldout.answers(told), model="m", data="d"))
    assert "follows_voice" not in rows
    assert rows["voice_accuracy"] == {
        "model": "m", "measure": "voice_accuracy", "value": 1.0, "low": None, "high": None, "n": 2, "chance": 0.5, "data": "d"
    }  # fmt: skip
    assert rows["valid_chain"]["low"] is None


def test_neutral_words_in_other_voices_alone_give_no_following_and_no_error() -> None:
    rows = by_measure(heldout.figures(heldout.answers([heard("sad", "sad", "I am sad.", words="neutral")]), model="m", data="d"))
    assert "follows_voice" not in rows
    assert rows["voice_accuracy"]["value"] == 1


def test_what_a_thought_has_no_place_for_is_not_measured() -> None:
    texts = ["<thought>The voice sounds sad.</thought><response>Oh.</response>"] * 2
    told = [heard("sad", "sad", "", words=None, sentence=s) for s in "ab"]
    told = [replace(h, text=t, utterance=replace(h.utterance, extra={"template": "x"})) for h, t in zip(told, texts, strict=True)]
    found = by_measure(heldout.figures(heldout.answers(told), model="m", data="d"))
    assert not [name for name in found if name == "words_heard" or name.startswith("reading_")]
    assert found["valid_chain"]["value"] == 1
