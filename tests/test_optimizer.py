"""Muon and AdamW as one optimizer: who gets which weight, and that a scheduler and a saved state treat it as any other."""

from __future__ import annotations

from collections.abc import Callable

import torch

from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import optimizer

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


def toy(seed: int = 0) -> torch.nn.ModuleDict:
    torch.manual_seed(seed)
    inside = torch.nn.ModuleDict({"layer": torch.nn.Linear(6, 4), "embed": torch.nn.Embedding(5, 6)})
    return torch.nn.ModuleDict({"language_model": inside, "connector": torch.nn.Linear(4, 3)})


def train(model: torch.nn.ModuleDict, update: torch.optim.Optimizer, steps: int, first: int = 0) -> None:
    for step in range(first, first + steps):
        torch.manual_seed(step)
        hidden = model["language_model"]["embed"](torch.randint(5, (8,)))
        model["connector"](model["language_model"]["layer"](hidden)).square().mean().backward()
        update.step()
        update.zero_grad()


def test_muon_gets_the_matrices_inside_the_language_model_and_adamw_every_other_weight(make_tiny: Callable[..., Pair]) -> None:
    model, _ = make_tiny()
    made = optimizer.make(model, lr=1e-3, weight_decay=0.1, decay={"connector.words.0.weight"})
    names = {id(p): name for name, p in model.named_parameters()}
    muon, decayed, others = ({names[id(p)] for p in group["params"]} for group in made.param_groups)
    assert muon
    assert all(name.startswith("language_model.") and "embed" not in name for name in muon)
    assert decayed == {"connector.words.0.weight"}
    assert {name for name in others if "embed_tokens" in name}
    assert muon | decayed | others == {name for name, p in model.named_parameters() if p.requires_grad}
    assert [g["weight_decay"] for g in made.param_groups] == [0.1, 0.1, 0.0]


def test_a_frozen_language_model_leaves_adamw_alone(make_tiny: Callable[..., Pair]) -> None:
    model, _ = make_tiny()
    model.language_model.requires_grad_(False)
    made = optimizer.make(model, lr=1e-3, weight_decay=0.1, decay=set())
    assert [len(group["params"]) for group in made.param_groups] == [sum(1 for p in model.parameters() if p.requires_grad)]


def test_the_update_of_a_matrix_is_orthogonal_and_that_of_the_rest_is_adamws() -> None:
    model, other = toy(), toy()
    before = model["language_model"]["layer"].weight.detach().clone()
    train(model, optimizer.make(model, lr=0.1, weight_decay=0.0, decay=set()), 1)
    spread = torch.linalg.svdvals((before - model["language_model"]["layer"].weight).detach())[
        :3
    ]  # the gradient's rank is that of the output
    assert spread.max() / spread.min() < 2, "Newton-Schulz makes all singular values about one"
    train(other, torch.optim.AdamW(other.parameters(), lr=0.1, betas=optimizer.BETAS, weight_decay=0.0), 1)
    torch.testing.assert_close(model["connector"].weight, other["connector"].weight)


def test_a_scheduler_moves_both_rates() -> None:
    model = toy()
    made = optimizer.make(model, lr=0.1, weight_decay=0.0, decay=set())
    schedule = torch.optim.lr_scheduler.LambdaLR(made, lambda step: 0.0 if step else 1.0)
    train(model, made, 1)
    schedule.step()
    still = [p.detach().clone() for p in model.parameters()]
    train(model, made, 1)
    for now, then in zip(model.parameters(), still, strict=True):
        torch.testing.assert_close(now, then, atol=0, rtol=0)


def test_a_saved_state_goes_on_as_if_nothing_had_happened() -> None:
    whole, cut, again = toy(), toy(), toy(1)
    train(whole, optimizer.make(whole, lr=0.1, weight_decay=0.0, decay=set()), 6)
    first = optimizer.make(cut, lr=0.1, weight_decay=0.0, decay=set())
    train(cut, first, 3)
    again.load_state_dict(cut.state_dict())
    second = optimizer.make(again, lr=0.5, weight_decay=0.0, decay=set())
    second.load_state_dict(first.state_dict())
    train(again, second, 3, first=3)
    for a, b in zip(again.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=0, rtol=0)


def test_a_closure_is_called_with_gradients() -> None:
    model = toy()
    made = optimizer.make(model, lr=0.1, weight_decay=0.0, decay=set())

    def loss() -> float:
        made.zero_grad()
        value = model["connector"](model["language_model"]["layer"].weight.T).square().mean()
        value.backward()
        return float(value.detach())

    values = [made.step(loss) for _ in range(5)]
    assert values[-1] < values[0]
