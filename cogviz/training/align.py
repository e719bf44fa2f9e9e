"""Stage III, DR-SAPO: reinforcement on the reasoning route and on the direct route, which share one policy (arXiv 2606.06940, 2511.20347).

For every prompt a group of outputs is sampled on one route, rewarded, normalised within the group, and the policy takes more than one
update on it, so that the SAPO gate has something to hold back. The weight of a route follows which of the two lags.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor
from tqdm import tqdm

from cogviz.device import Device
from cogviz.lime import dataset
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training.data import TrainingError, draw_pool
from cogviz.training.features import Features
from cogviz.training.recipe import Alignment, Recipe
from cogviz.training.rewards import ResponseJudge, by_words, evaluation_judge, reward_judge, score
from cogviz.training.rollout import Rollout, roll_out
from cogviz.training.sapo import group_advantages, sapo_loss
from cogviz.training.sft import ROWS, out_of_memory
from cogviz.training.watch import watch
from cogviz.utterance import Utterance

SAVE_EVERY = 5
_EMA = 0.9


def kl_penalty(log_probs: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Divergence from a reference policy on sampled tokens, the estimator that is never negative (Schulman 2020; GRPO, arXiv 2402.03300, eq. 4).

    Args:
        log_probs, reference: (N, T) of the sampled tokens under both. mask: (N, T). Mean over the tokens of each output, then over the outputs.
    """
    ratio = reference - log_probs
    per_token = (torch.exp(ratio) - ratio - 1) * mask
    return (per_token.sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()


def headroom(rewards: np.ndarray) -> dict[str, float]:
    """Say what reinforcement has to work with: mean reward, best of a group over its mean, share of groups without variance. (P, G)."""
    return {
        "mean": float(rewards.mean()),
        "best_of_group_gain": float((rewards.max(axis=1) - rewards.mean(axis=1)).mean()),
        "groups_without_variance": float((rewards.std(axis=1) < 1e-6).mean()),
    }


def route_weights(averages: dict[str, float], routes: Sequence[str]) -> dict[str, float]:
    """Return the probability of drawing each route: the more it lags in empathy (0 .. 1), the higher; never below a quarter of even."""
    values = np.array([averages.get(r, 0.5) for r in routes])
    weight = np.exp(-(values - values.mean()) / 0.1)
    weight = 0.75 * weight / weight.sum() + 0.25 / len(routes)
    return dict(zip(routes, weight.tolist(), strict=True))


def run_alignment(
    plan: Alignment,
    recipe: Recipe,
    model: CogAudioForConditionalGeneration,
    processor: CogAudioProcessor,
    utterances: Sequence[Utterance],
    features: Features,
    *,
    folder: Path,
    device: Device,
    judge: ResponseJudge | None = None,
    rows: int | None = None,
    progress: bool = True,
) -> tuple[list[dict[str, float | str]], dict[str, dict[str, float]]]:
    """Align `model` in place. Returns (curve: one row a step, headroom before: one row a route).

    Saves its state every `SAVE_EVERY` steps under `folder` and goes on from there after an interruption.

    Args:
        rows: outputs that are sampled, and that the policy reads, at once, the others after them; None: all are sampled, `sft.ROWS` of the
            device read.
    """
    pool = draw_pool(utterances, plan.parts)
    accelerator = Accelerator(
        mixed_precision="bf16" if device.mixed else "no",
        cpu=device.name == "cpu",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # the tone's readout has no part in this
    )
    rank, processes = accelerator.process_index, accelerator.num_processes
    if plan.prompts % processes:
        raise TrainingError(f"stage III: {processes} processes cannot share {plan.prompts} prompts; take a number that divides them")
    judge, held_out = judge or reward_judge(), evaluation_judge()
    similarity = by_words
    if plan.similarity == "meaning":
        from cogviz.models import meaning

        similarity = meaning.SentenceEncoder(device=accelerator.device).similarity
    start = copy.deepcopy(model).eval().requires_grad_(False) if plan.kl else None
    steps, at_once = recipe.scaled(plan.steps), rows or ROWS[device.name]
    model.connector.requires_grad_(False)  # the reward is for what is answered, not for what is heard
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=plan.learning_rate, weight_decay=0.0)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    state = _State(folder / "align", model, optimizer)
    first, curve, averages, before = state.load()
    bar = tqdm(range(first, steps), initial=first, total=steps, desc="DR-SAPO", disable=not progress, mininterval=5)
    for step in bar:
        started = time.time()
        draw = np.random.default_rng((recipe.seed, step))
        torch.manual_seed(int(draw.integers(2**31)) + rank)
        chances = route_weights(averages, plan.routes)
        route = str(draw.choice(list(chances), p=list(chances.values())))
        chosen = draw.choice(pool, plan.prompts, replace=False)[rank::processes]
        with accelerator.autocast(), out_of_memory("stage III: sampling", rows or len(chosen) * plan.group):
            rollout = roll_out(
                model,
                processor,
                features,
                chosen,
                route=route,
                group=plan.group,
                temperature=plan.temperature,
                device=accelerator.device,
                rows=rows,
            )
        texts, spoken = rollout.texts(processor), [utterances[i] for i in np.repeat(chosen, plan.group)]
        parts = score(texts, route, [str(u.emotion) for u in spoken], [dataset.answer(u) for u in spoken], judge, similarity)
        rewards = torch.tensor(parts["total"]).view(-1, plan.group)
        everyones = accelerator.gather(rewards.to(accelerator.device)).cpu().numpy()
        if route not in before:
            before[route] = headroom(everyones)
        advantages = group_advantages(rewards).flatten().float().to(accelerator.device)
        sampled = time.time() - started
        with out_of_memory("stage III", at_once):
            ratios = _learn(plan, rollout, advantages, prepared, start, accelerator, optimizer, draw=draw, at_once=at_once, step=step)
        means = {
            "tokens": float(rollout.mask.sum(dim=1).float().mean()),
            "ratio_change": float(np.mean(ratios)),
            "seconds_sampling": sampled,
            "seconds": time.time() - started,
            **{f"reward_{name}": float(np.mean(value)) for name, value in parts.items()},
            **{f"watch_{name}": value for name, value in watch(texts, [str(u.emotion) for u in spoken], held_out).items()},
        }
        if processes > 1:
            shared = accelerator.reduce(torch.tensor(list(means.values()), device=accelerator.device), "mean")
            means = dict(zip(means, shared.tolist(), strict=True))
        averages[route] = _EMA * averages.get(route, means["reward_empathy"]) + (1 - _EMA) * means["reward_empathy"]
        row: dict[str, float | str] = {
            "step": step + 1,
            "route": route,
            "groups_without_variance": headroom(everyones)["groups_without_variance"],
            **means,
        }
        curve.append(row)
        bar.set_postfix(route=route, reward=f"{row['reward_total']:.3f}")
        if accelerator.is_main_process and ((step + 1) % SAVE_EVERY == 0 or step + 1 == steps):
            state.save(step + 1, curve, averages, before)
    model.connector.requires_grad_(True)
    model.eval()
    return curve, before


def _learn(
    plan: Alignment,
    rollout: Rollout,
    advantages: Tensor,
    policy: torch.nn.Module,
    start: torch.nn.Module | None,
    accelerator: Accelerator,
    optimizer: torch.optim.Optimizer,
    *,
    draw: np.random.Generator,
    at_once: int,
    step: int,
) -> list[float]:
    """Update the policy on a rollout, two halves a pass; returns how far the ratios are from 1, on average, in each part of a half."""
    with accelerator.autocast():  # still without dropout: the ratio is to the policy that sampled
        old = rollout.everything(policy, at_once)
        reference = rollout.everything(start, at_once) if start is not None else None
    ratios = []
    for _ in range(plan.updates):
        order = torch.as_tensor(draw.permutation(len(old)), device=old.device)
        for half in order.chunk(2):
            for part in half.split(at_once):
                mask = rollout.mask[part]
                with accelerator.autocast():
                    now = rollout.log_probabilities(policy, part)
                    loss = sapo_loss(now, old[part], advantages[part], mask, tau_positive=plan.tau_positive, tau_negative=plan.tau_negative)
                    if reference is not None:
                        loss = loss + plan.kl * kl_penalty(now, reference[part], mask)
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"stage III: the loss is not finite at step {step}; lower learning_rate (the last saved step is kept)"
                    )
                accelerator.backward(loss * (len(part) / len(half)))
                ratios.append(float((torch.exp(now - old[part]) - 1).abs()[mask].mean().detach()))
            accelerator.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    return ratios


class _State:
    """The run on disk: weights, AdamW's moments and the curve, as safetensors and JSON; nothing is pickled."""

    def __init__(self, folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.folder, self.model, self.optimizer = folder, model, optimizer

    def _names(self) -> list[str]:
        return [name for name, p in self.model.named_parameters() if p.requires_grad]

    def save(self, step: int, curve: list, averages: dict, before: dict) -> None:
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"weight.{n}": p.detach().contiguous().clone() for n, p in self.model.named_parameters() if p.requires_grad}
        moments = self.optimizer.state_dict()["state"]
        for i, name in enumerate(self._names()):
            for key, value in moments.get(i, {}).items():
                tensors[f"{key}.{name}"] = torch.as_tensor(value).clone()
        temporary = self.folder / "state.part"
        save_file(
            tensors, temporary, metadata={"state": json.dumps({"step": step, "curve": curve, "averages": averages, "before": before})}
        )
        temporary.replace(self.folder / "state.safetensors")

    def load(self) -> tuple[int, list, dict, dict]:
        from safetensors import safe_open

        path = self.folder / "state.safetensors"
        if not path.exists():
            return 0, [], {}, {}
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["state"])
            with torch.no_grad():
                for name, parameter in self.model.named_parameters():
                    if parameter.requires_grad:
                        parameter.copy_(file.get_tensor(f"weight.{name}"))
            keys = set(file.keys())
            moments = {
                i: {key: file.get_tensor(f"{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in keys}
                for i, name in enumerate(self._names())
            }
        state = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
        return about["step"], about["curve"], about["averages"], about["before"]
