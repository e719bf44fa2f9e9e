"""Live training: the new ear hears words as before and no tone, a stage changes what it should, and nothing that is measured was learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import pytest
import torch

from cogviz import tour
from cogviz.lime import dataset
from cogviz.models import zoo
from cogviz.plotting import stages
from cogviz.training import live
from cogviz.training.recipe import Alignment, Stage
from cogviz.utterance import Utterance


class Judge:
    """Always the same, so that the direct route is right as often as there are such voices."""

    def tell(self, responses: Sequence[str]) -> list[str]:
        return ["sad"] * len(responses)


@pytest.fixture(scope="module")
def speech() -> tuple[list[Utterance], list[Utterance]]:
    """(seven to learn from, seven to measure on) of two sentences."""
    all_of_it = [u for u in dataset.read(tour.samples()) if u.extra["part"] == "ambiguous"]
    first, second = list(dict.fromkeys(u.sentence for u in all_of_it))[:2]
    return [u for u in all_of_it if u.sentence == first][:7], [u for u in all_of_it if u.sentence == second][:7]


def test_the_new_ear_hears_the_words_of_its_start_and_no_tone() -> None:
    model, _ = live.new_ear()
    base, _ = zoo.load(live.BEGINS)
    states = torch.randn(2, 5, 9, 384)
    levels, mask = torch.zeros(2, 9), torch.ones(2, 9, dtype=torch.bool)
    model.connector.standardise(model.connector.statistics(torch.randn(8, 5, 9, 384), torch.randn(8, 9), torch.ones(8, 9)))
    with torch.no_grad():
        mine, tone = model.connector(states, levels, mask)
        theirs, told = base.connector(states, levels, mask)
    torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(tone, told)
    assert len(model.connector.tone_weight) == 5, "it hears all layers"
    assert torch.equal(model.get_input_embeddings().weight, base.get_input_embeddings().weight)


def test_a_stage_trains_what_it_should_and_is_measured(make_tiny: Callable, speech: tuple[list[Utterance], list[Utterance]]) -> None:
    learned, held = speech
    run = live.LiveRun(learned, held, judge=Judge(), begin=make_tiny())
    before = {name: weight.clone() for name, weight in run.model.state_dict().items()}
    run.train(Stage("tone", ("train",), {}, steps=3, batch=4, learning_rate=1e-2))
    changed = {name for name, weight in run.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert any(name.startswith("connector.tone.") for name in changed)
    assert not any(name.startswith("language_model.") for name in changed), "stage 0 trains the ear alone"
    run.train(Stage("explicit", ("train",), {"reason": 1}, steps=2, batch=2, learning_rate=1e-3))
    changed = {name for name, weight in run.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert any(name.startswith("language_model.") for name in changed)
    assert set(run.curve.stage) == {"tone", "explicit"}
    assert run.curve.value.notna().all()
    rows = run.measure("explicit")
    assert list(zip(rows.measure, rows.speech, strict=True)) == [
        ("ear", "held"), ("chain", "held"), ("direct response", "held"), ("ear", "train"), ("chain", "train"),
    ]  # fmt: skip
    assert (rows.n == 7).all()
    assert run.value("explicit", "direct response") in (0.0, pytest.approx(1 / 7)), "unreadable, or always sad"
    drawn = stages.stages(run.figures, title="tried")
    assert len(drawn.axes) == 2
    with pytest.raises(ValueError, match="after"):
        stages.stages(pd.DataFrame({"measure": []}), title="")


def test_a_few_steps_of_reinforcement_are_watched(speech: tuple[list[Utterance], list[Utterance]]) -> None:
    learned, held = speech
    run = live.LiveRun(learned, held, judge=Judge(), begin=zoo.load("nano-implicit"))
    run.align(Alignment(("train",), steps=1, prompts=2, group=2, updates=1, routes=("direct",), kl=0.0))
    assert {"reward_total (direct)", "watch_held_out_empathy (direct)"} <= set(run.curve.name)


def test_a_sentence_is_learned_from_or_measured_on(make_tiny: Callable, speech: tuple[list[Utterance], list[Utterance]]) -> None:
    learned, held = speech
    with pytest.raises(ValueError, match="held out"):
        live.LiveRun(learned, [*held, learned[0]], judge=Judge(), begin=make_tiny())
