"""SAPO: the gate, the advantages and the loss against the paper's formulas, an independent computation, and TRL's own."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training.align import headroom, route_weights
from cogviz.training.rollout import log_probabilities, output_mask
from cogviz.training.sapo import TAU_NEGATIVE, TAU_POSITIVE, gate, group_advantages, sapo_loss

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]

# Weight of the gradient, sech^2(tau (r - 1) / 2), by ratio (papers.md, section 2; checked there numerically).
WEIGHTS = {
    1.0: {0.5: 0.940, 1.2: 0.990, 1.5: 0.940, 2.0: 0.786, 3.0: 0.420},
    1.05: {0.5: 0.934, 1.2: 0.989, 1.5: 0.934, 2.0: 0.768, 3.0: 0.389},
}


def numbers(seed: int = 0, n: int = 5, t: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(log p, old log p, advantages of both signs, mask with different lengths)."""
    draw = torch.Generator().manual_seed(seed)
    old = -torch.rand(n, t, generator=draw, dtype=torch.float64) * 3
    log_p = old + torch.randn(n, t, generator=draw, dtype=torch.float64) * 0.5
    advantages = torch.linspace(-1.5, 1.5, n, dtype=torch.float64)
    mask = torch.arange(t)[None] < torch.tensor([t - i for i in range(n)])[:, None]
    return log_p, old, advantages, mask


@pytest.mark.parametrize(("tau", "ratio"), [(tau, r) for tau, row in WEIGHTS.items() for r in row])
def test_the_gates_slope_is_the_papers_weight(tau: float, ratio: float) -> None:
    r = torch.tensor(ratio, dtype=torch.float64, requires_grad=True)
    gate(r, tau).backward()
    assert r.grad.item() == pytest.approx(WEIGHTS[tau][ratio], abs=5e-4)


@pytest.mark.parametrize("tau", [TAU_POSITIVE, TAU_NEGATIVE, 2.0])
def test_at_one_the_gate_is_two_over_tau_with_slope_one(tau: float) -> None:
    r = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    value = gate(r, tau)
    value.backward()
    assert value.item() == pytest.approx(2 / tau)
    assert r.grad.item() == pytest.approx(1.0)


@pytest.mark.parametrize(("advantage", "tau"), [(0.7, 1.0), (-0.7, 1.05)])
def test_on_policy_the_loss_is_minus_two_a_over_tau_and_its_slope_minus_a(advantage: float, tau: float) -> None:
    log_p = torch.full((1, 4), -1.3, dtype=torch.float64, requires_grad=True)
    loss = sapo_loss(log_p, log_p.detach(), torch.tensor([advantage], dtype=torch.float64), torch.ones(1, 4))
    loss.backward()
    assert loss.item() == pytest.approx(-2 * advantage / tau)
    assert log_p.grad.sum().item() == pytest.approx(-advantage)  # d r / d log p = r = 1, mean over four tokens


def test_loss_and_gradient_equal_an_independent_computation() -> None:
    log_p, old, advantages, mask = numbers()
    log_p.requires_grad_()
    loss = sapo_loss(log_p, old, advantages, mask)
    loss.backward()
    total, gradient = 0.0, np.zeros(log_p.shape)
    for i, a in enumerate(advantages.tolist()):
        tau = 1.0 if a > 0 else 1.05
        length = int(mask[i].sum())
        for t in range(length):
            r = math.exp(float(log_p[i, t].detach()) - float(old[i, t]))
            p = 1 / (1 + math.exp(-tau * (r - 1)))
            total += -4 / tau * p * a / length / len(advantages)
            gradient[i, t] = -4 * p * (1 - p) * r * a / length / len(advantages)
    assert loss.item() == pytest.approx(total)
    np.testing.assert_allclose(log_p.grad.numpy(), gradient, atol=1e-12)


def test_loss_and_gradient_equal_those_of_trl() -> None:
    from trl.trainer.grpo_trainer import GRPOTrainer

    log_p, old, advantages, mask = numbers()
    ours, theirs = log_p.clone().requires_grad_(), log_p.clone().requires_grad_()
    trainer = SimpleNamespace(  # what TRL's loss reads of a trainer
        loss_type="sapo",
        args=SimpleNamespace(sapo_temperature_pos=1.0, sapo_temperature_neg=1.05),
        importance_sampling_level="token",
        beta=0.0,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        aux_loss_enabled=False,
        _entropy_bonus_enabled=False,
        model=SimpleNamespace(training=False),
        accelerator=SimpleNamespace(reduce=lambda x, reduction: x),
        _metrics=defaultdict(lambda: defaultdict(list)),
        _get_per_token_logps_and_entropies=lambda *_, **__: (theirs, torch.zeros_like(theirs), None),
    )
    inputs = {
        "prompt_ids": torch.zeros(5, 1, dtype=torch.long),
        "prompt_mask": torch.ones(5, 1, dtype=torch.long),
        "completion_ids": torch.zeros(5, 7, dtype=torch.long),
        "completion_mask": mask.double(),
        "advantages": advantages,
        "old_per_token_logps": old,
    }
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    mine = sapo_loss(ours, old, advantages, mask)
    mine.backward()
    assert mine.item() == pytest.approx(loss.item())
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_group_without_variance_teaches_nothing() -> None:
    advantages = group_advantages(torch.tensor([[0.4, 0.4, 0.4], [0.0, 0.5, 1.0]], dtype=torch.float64))
    assert advantages[0].abs().max() < 1e-9
    torch.testing.assert_close(advantages[1], torch.tensor([-0.5, 0, 0.5], dtype=torch.float64) / (0.5 + 1e-4))
    log_p, old, _, mask = numbers(n=3)
    log_p.requires_grad_()
    sapo_loss(log_p, old, advantages[0], mask).backward()
    assert log_p.grad.abs().max() < 1e-9


def test_what_lies_behind_the_mask_does_not_count() -> None:
    log_p, old, advantages, mask = numbers()
    other = torch.where(mask, log_p, log_p + 3)
    assert sapo_loss(other, old, advantages, mask) == sapo_loss(log_p, old, advantages, mask)
    nothing = torch.zeros_like(mask)
    assert sapo_loss(log_p, old, advantages, nothing) == 0


def test_the_lagging_route_is_drawn_more_often_and_none_is_forgotten() -> None:
    even = route_weights({}, ("reason", "direct"))
    assert even == pytest.approx({"reason": 0.5, "direct": 0.5})
    lag = route_weights({"reason": 0.9, "direct": 0.6}, ("reason", "direct"))
    assert lag["direct"] > 0.8
    far = route_weights({"reason": 1.0, "direct": 0.0}, ("reason", "direct"))
    assert far["reason"] == pytest.approx(0.125, abs=1e-3)
    assert sum(far.values()) == pytest.approx(1)
    assert route_weights({"reason": 0.3}, ("reason",)) == {"reason": 1.0}


def test_an_output_ends_with_its_first_end_token() -> None:
    new = torch.tensor([[5, 6, 1, 1], [1, 5, 6, 1], [5, 6, 7, 8]])
    assert output_mask(new, 1).tolist() == [[True, True, True, False], [True, False, False, False], [True] * 4]


def test_headroom_by_hand() -> None:
    found = headroom(np.array([[0.0, 1.0], [0.5, 0.5]]))
    assert found == {"mean": 0.5, "best_of_group_gain": 0.25, "groups_without_variance": 0.5}


def test_log_probabilities_are_those_of_the_full_logits_whatever_the_lengths(tiny_model: Pair) -> None:
    model, processor = tiny_model
    sounds = [(0.1 * np.sin(np.arange(n) / 20)).astype(np.float32) for n in (9000, 16000, 12000)]
    batch = dict(processor(sounds, "direct"))
    torch.manual_seed(0)
    new = torch.randint(5, 400, (3, 9))
    mask = torch.arange(9)[None] < torch.tensor([9, 4, 6])[:, None]
    sequences = torch.cat([batch["input_ids"], new], dim=1)
    with torch.no_grad():
        found = log_probabilities(model, batch, sequences, mask, 0.7)
        rest = {k: v for k, v in batch.items() if k not in ("input_ids", "attention_mask")}
        attention = torch.cat([batch["attention_mask"], mask.long()], dim=1)
        logits = model(input_ids=sequences, attention_mask=attention, **rest).logits[:, batch["input_ids"].shape[1] - 1 : -1]
    expected = (logits / 0.7).log_softmax(-1).gather(-1, new[..., None])[..., 0]
    torch.testing.assert_close(found, expected * mask, atol=1e-5, rtol=1e-5)
