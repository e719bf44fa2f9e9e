"""The toy learns what is paid, nothing where all are paid the same, and to flatter where flattery pays best; the figures are drawn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cogviz.plotting import reinforcement
from cogviz.training import toy


def test_what_is_paid_is_learned() -> None:
    reward, truth = toy.fitting()
    played = toy.play(reward, truth)
    assert played.curve.reward.iloc[0] < 0.35
    assert played.curve.reward.iloc[-5:].mean() > 0.85
    assert (played.chances.argmax(axis=1) == np.arange(7)).all()


def test_a_group_without_variance_teaches_nothing() -> None:
    played = toy.play(np.full((7, 7), 0.6))
    np.testing.assert_allclose(played.chances, 1 / 7, atol=1e-4)


def test_a_judge_that_can_be_pleased_is_pleased() -> None:
    played = toy.play(*toy.fitting(flattery=1.0), steps=100)
    assert played.curve.reward.iloc[-5:].mean() > 0.8
    assert played.curve.truth.iloc[-5:].mean() < 0.5
    honest = toy.play(*toy.fitting(flattery=0.0), steps=100)
    assert honest.curve.truth.iloc[-5:].mean() > 0.8


def test_another_loss_can_be_tried() -> None:
    def wrong_way(log_probs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        return (torch.exp(log_probs - old) * advantages[:, None]).mean()

    reward, truth = toy.fitting()
    played = toy.play(reward, truth, loss=wrong_way)
    assert played.curve.reward.iloc[-5:].mean() < 0.1, "it unlearns what is paid"
    drawn = reinforcement.toy({"a": played.curve, "b": played.curve}, title="tried")
    assert [a.get_title(loc="left") for a in drawn.axes] == ["a", "b"]
    assert len(reinforcement.gate(taus=(1.0, 2.0)).axes) == 2
