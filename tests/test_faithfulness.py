"""Chain faithfulness on models that ignore their chain, that follow nothing else, and on mixtures of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import pytest

from cogviz import statistics
from cogviz.eips import STEPS, Answer, Chain, parse, render
from cogviz.emotions import EMOTIONS, emotion
from cogviz.evaluation.chains import EARLY, OWN, corrupted, cut, deleted, edits, injected
from cogviz.evaluation.faithfulness import ask, faithfulness
from cogviz.models.listener import Heard
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance

CHAIN = Chain('The voice sounds sad, clearly: it is soft. The words are "I sat".', "They want i.", "They feel p.", "Do s.")
OTHER = Chain("The voice sounds angry.", "They want j.", "They feel q.", "Do t.")


class Judge:
    """Reads the emotion that a response consists of."""

    def tell(self, responses: Sequence[str]) -> list[str]:
        return [r if r in EMOTIONS else "neutral" for r in responses]


class Model:
    """Responds with what `rule` makes of the sound's emotion and the thought."""

    def __init__(self, rule: Callable[[str, str], str]) -> None:
        self.rule = rule

    def respond(self, utterances: Sequence[Utterance], thoughts: Sequence[str], *, progress: bool = True) -> list[str]:
        return [self.rule(str(u.emotion), t) for u, t in zip(utterances, thoughts, strict=True)]


def claim(thought: str) -> str:
    perception = thought.split("[Intent]")[0].replace("[Perception]", "")
    return next((e for e in EMOTIONS if emotion(e).adjective in perception), "neutral")


def last_step(thought: str) -> str:
    return next((e for e in EMOTIONS if f"as {e}" in thought.split("[Strategy]")[-1] and "[Strategy]" in thought), "neutral")


def answers(sentences: int = 10, *, heard_as: Callable[[int, str], str] = lambda s, e: e) -> list[Heard]:
    """Answers to whole cells; every step names its emotion."""
    found = []
    for s in range(sentences):
        for name in EMOTIONS:
            u = Utterance(f"{s}-{name}", "I sat", name, f"p{s % 3}", f"s{s}", "test")
            said = heard_as(s, name)
            chain = Chain(
                f"The voice sounds {emotion(said).adjective}.", f"They want as {said}.", f"They feel as {said}.", f"Do as {said}."
            )
            text = render(Answer(said, chain))
            found.append(Heard(u, "reason", text, parse(text), claimed_emotion(text)))
    return found


def measured(rule: Callable[[str, str], str], **kwargs: int) -> pd.DataFrame:
    return ask(Model(rule), answers(**kwargs), Judge(), progress=False)


def test_edits_by_hand() -> None:
    assert cut(CHAIN, 0) == ""
    assert cut(CHAIN, 1) == '[Perception] The voice sounds sad, clearly: it is soft. The words are "I sat".'
    assert deleted(CHAIN, "psychology").endswith("[Intent] They want i. [Strategy] Do s.")
    assert corrupted(CHAIN, "intent", OTHER).endswith("[Intent] They want j. [Psychology] They feel p. [Strategy] Do s.")
    assert injected(CHAIN, "fear").startswith('[Perception] The voice sounds frightened. The words are "I sat" [Intent] They want i.')
    assert injected(OTHER, "fear").startswith("[Perception] The voice sounds frightened. [Intent]")


def test_every_item_gets_every_edit_and_the_other_chain_says_a_third_emotion() -> None:
    made = edits(answers(2))
    names = {OWN, *EARLY, *(f"{what}_{s}" for what in ("deleted", "corrupted") for s in STEPS), "swapped", "injected"}
    assert {e.name for e in made} == names
    assert len(made) == 14 * len(names)
    for e in made:
        if e.name in ("swapped", "injected") or e.name.startswith("corrupted"):
            assert e.chain in EMOTIONS
            assert e.chain != e.utterance.emotion
            assert (e.chain or "") in (claim(e.thought), *(s for s in EMOTIONS if f"as {s}" in e.thought))
        elif e.name != OWN:
            assert e.chain is None


def test_answers_without_a_usable_chain_are_left_out() -> None:
    good = answers(1)
    u = good[0].utterance
    bad = [Heard(u, "direct", "<response>x</response>", Answer("x"), None), Heard(u, "reason", "rubbish", None, None)]
    assert len(edits(good + bad)) == len(edits(good))
    assert not {e.name for e in edits(good[:1])} & {"swapped", "corrupted_intent"}  # nobody to swap with
    with pytest.raises(ValueError, match="none of 2 answers has a chain"):
        ask(Model(lambda sound, thought: sound), bad, Judge())


def test_a_model_that_ignores_its_chain_is_not_faithful() -> None:
    found = faithfulness(measured(lambda sound, thought: sound))
    assert {e: f.index.value for e, f in found.follows.items()} == dict.fromkeys(found.follows, 0.0)
    assert set(found.follows) == {"swapped", "injected", *(f"corrupted_{s}" for s in STEPS)}
    assert all(e.value == 0 for e in found.changed.values())
    assert (found.early.value, found.own.value) == (0, 1)
    assert found.follows["swapped"].verdict == "follows the sound"


def test_a_model_that_follows_its_perception_step_is_faithful_to_that_step_alone() -> None:
    found = faithfulness(measured(lambda sound, thought: claim(thought)))
    assert found.own.value == 1
    for edit in ("swapped", "injected", "corrupted_perception"):
        assert (found.follows[edit].index.value, found.follows[edit].verdict) == (1, "follows its chain")
        assert found.changed[edit].value == 1
    for step in STEPS[1:]:
        assert found.follows[f"corrupted_{step}"].index.value == 0
        assert found.changed[f"deleted_{step}"].value == 0
    not_neutral = 6 / 7  # without a perception it answers neutrally, which is no change where the chain was neutral
    assert found.changed["early_0"].value == found.changed["deleted_perception"].value == pytest.approx(not_neutral)
    assert found.changed["early_1"].value == 0
    assert found.early.value == pytest.approx(not_neutral / 4)


def test_a_model_that_follows_its_last_step_changes_whenever_it_is_cut_short() -> None:
    found = faithfulness(measured(lambda sound, thought: last_step(thought)))
    assert found.early.value == pytest.approx(6 / 7)
    assert found.follows["injected"].index.value == 0
    assert found.follows["corrupted_strategy"].index.value == 1


def test_intervals_of_a_mixture_cover_the_truth_in_at_least_88_of_100_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "bootstrap", partial(statistics.bootstrap, draws=200))
    draw = np.random.default_rng(0)
    # 60% of the responses come from the chain, 30% from the sound, the rest answers neutrally to whatever it hears.
    covered = np.zeros(3)
    errors, widths = [], []
    for _ in range(100):
        rows = []
        for s in range(20):
            for item, sound in enumerate(EMOTIONS[1:5]):
                other = EMOTIONS[5 + item % 2]
                for edit in (OWN, *EARLY, "swapped"):
                    says = {OWN: sound, "swapped": other}.get(edit)
                    source = draw.choice(3, p=(0.6, 0.3, 0.1))
                    told = sound if edit == OWN else ("neutral" if says is None else says, sound, "neutral")[source]
                    rows.append((f"{s}-{item}", edit, sound, says, told, f"s{s}", f"p{s % 3}"))
        found = faithfulness(pd.DataFrame(rows, columns=["item", "edit", "sound", "chain", "told", "sentence", "speaker"]))
        pairs = ((found.follows["swapped"].index, 2 / 3), (found.follows["swapped"].chain, 0.6), (found.early, 0.7))
        covered += [e.low <= truth <= e.high for e, truth in pairs]
        errors.append([e.value - truth for e, truth in pairs])
        widths.append([e.high - e.low for e, _ in pairs])
    assert covered.min() >= 88, covered
    assert (np.abs(np.mean(errors, axis=0)) < np.mean(widths, axis=0) / 5).all()


def test_responses_that_are_empty_follow_nothing_and_count_as_changed() -> None:
    found = faithfulness(measured(lambda sound, thought: "" if "Perception" not in thought else sound))
    assert found.changed["early_0"].value == found.changed["deleted_perception"].value == 1
    assert found.changed["early_1"].value == 0
    silent = faithfulness(measured(lambda sound, thought: ""))
    assert silent.follows["swapped"].neither.value == 1
    assert np.isnan(silent.follows["swapped"].index.value)
    assert silent.follows["swapped"].verdict == "undecided"


def test_a_model_that_mishears_follows_a_sound_only_where_it_answers_to_it() -> None:
    told = ask(Model(lambda sound, thought: "fear"), answers(heard_as=lambda s, e: "fear" if s % 2 else e), Judge(), progress=False)
    found = faithfulness(told)
    assert found.follows["swapped"].verdict == "undecided"  # a favourite answer is no following
    assert found.own.value == pytest.approx(found.own.chance or 0, abs=0.25)


def test_few_sentences_give_no_verdict_and_broken_tables_are_refused() -> None:
    assert faithfulness(measured(lambda sound, thought: sound, sentences=4)).follows["swapped"].verdict == "undecided"
    table = measured(lambda sound, thought: sound, sentences=2)
    with pytest.raises(ValueError, match="lacks the column"):
        faithfulness(table.drop(columns="told"))
    with pytest.raises(ValueError, match="nothing to compare"):
        faithfulness(table[table.edit != OWN])
    with pytest.raises(ValueError, match="more than once"):
        faithfulness(pd.concat([table, table]))
