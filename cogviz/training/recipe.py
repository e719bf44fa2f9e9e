"""Recipes: one short YAML file a variant, read into dataclasses. Everything that a run depends on is in here."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from cogviz.lime.explanations import EXPLANATIONS

SIZES = ("nano", "smol")
SIMILARITIES = ("words", "meaning")
TARGETS = ("steps", *EXPLANATIONS)


class RecipeError(ValueError):
    """Raised for a recipe that is unknown or wrong; the message says which key."""


@dataclass(frozen=True)
class Stage:
    """One stage of supervised training.

    Attributes:
        name: "hearing" and "tone" (connector only, no tasks), "acoustic" (its encoder alone), or a name of your own, as "alignment" (stage 0),
            "explicit" (stage I), "implicit" (stage II).
        parts: parts of the dataset that it trains on; none: text only, with simulated frames (see `cogviz.training.reading`).
        tasks: task -> weight.
        steps, batch: optimizer steps, and examples in each.
        learning_rate: peak of a cosine with warm-up.
        utterances: train on so many utterances only, whole cells, drawn with the seed; None: on all of the parts.
        agreeing: text only: answer each sentence in the emotion of its words, and none that has none.
        unfamiliar: share of the sentences that are put together anew, so that they cannot be finished from memory: of speech by splicing (see
            `cogviz.training.spliced`), of text by exchanging words (not with `agreeing`). They have no reading.
        attributes: the emotion of the voice and how strong it is are learned beside the tasks, from a readout of the tone.
        distil: what to answer is learned from the model that the stage begins with, which is told what it cannot hear (see `training.distil`).
        speaks: the answer says how it is to be spoken (see `lime.style`).
        alternate: each batch asks about the words (`alternating.SPEECH`) or about the voice, and only that branch and the language model learn from
            it; all learn in the last fifth of the steps.
        seed: of this stage (and, of the first one, of the fresh weights); None: the recipe's.
    """

    name: str
    parts: tuple[str, ...]
    tasks: dict[str, float]
    steps: int
    batch: int = 32
    learning_rate: float = 1e-3
    utterances: int | None = None
    agreeing: bool = False
    unfamiliar: float = 0.0
    attributes: bool = False
    distil: bool = False
    speaks: bool = False
    alternate: bool = False
    seed: int | None = None


@dataclass(frozen=True)
class Alignment:
    """Stage III, DR-SAPO (see `cogviz.training.align`).

    Attributes:
        steps, prompts, group, updates: rollouts, prompts in each, outputs of a prompt, and passes over a rollout.
        routes: one or both.
        similarity: how a step is compared with its annotation: by "words", or by "meaning" (a pretrained sentence encoder).
        kl: weight of the divergence from the policy that the stage starts from (0: none).
    """

    parts: tuple[str, ...]
    steps: int
    prompts: int = 8
    group: int = 8
    updates: int = 2
    learning_rate: float = 1e-4
    temperature: float = 1.0
    tau_positive: float = 1.0
    tau_negative: float = 1.05
    routes: tuple[str, ...] = ("reason", "direct")
    similarity: str = "words"
    kl: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """A variant.

    Attributes:
        start: the variant that this one goes on from; None: from the pretrained encoder and a fresh language model.
        size: of a fresh model: "nano" (language model and tokenizer from scratch) or "smol" (adapters in a frozen SmolLM2-135M-Instruct).
        layers: "mix" or "last".
        targets: how it thinks on the reasoning route: in EIPS "steps", or in an explanation of `lime.explanations` (speech only: reading has steps).
        acoustic: the voice is heard by an acoustic encoder of its own (see `models.acoustic`) and not through Whisper's layers; a fresh one where
            `start` has none.
        vocabulary: size of the tokenizer of a fresh nano.
        scale: multiplies every number of steps; the one size dial.
    """

    name: str
    about: str
    start: str | None = None
    size: str = "nano"
    layers: str = "mix"
    targets: str = "steps"
    acoustic: bool = False
    vocabulary: int = 2048
    seed: int = 0
    scale: float = 1.0
    stages: tuple[Stage, ...] = ()
    alignment: Alignment | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def seed_of(self, stage: Stage) -> int:
        """Return the seed of a stage."""
        return self.seed if stage.seed is None else stage.seed

    def scaled(self, steps: int) -> int:
        """Return a number of steps under the size dial, at least 1."""
        return max(1, round(steps * self.scale))


def _build(kind: type, row: dict[str, Any], where: str) -> Any:
    if not isinstance(row, dict):
        raise RecipeError(f"{where}: must be a mapping of settings")
    known = {f.name for f in fields(kind)}
    if missing := [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING and f.name not in row]:
        raise RecipeError(f"{where}: the key {missing[0]!r} is missing")
    if unknown := set(row) - known:
        raise RecipeError(f"{where}: unknown key {sorted(unknown)[0]!r}; known: {', '.join(sorted(known))}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})


def names(under: str = "") -> list[str]:
    """Return the packaged recipes: those of the variants, or those in a folder ("ablations")."""
    folder = resources.files("cogviz.training") / "recipes" / under
    return sorted(f"{under}/" * bool(under) + p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


def read(name: str | Path, **changes: Any) -> Recipe:
    """Read a packaged recipe by name, or a YAML file by path; `changes` replace top-level fields (seed, scale, ...)."""
    path = Path(name)
    if path.suffix == ".yaml" and path.is_file():
        text = path.read_text(encoding="utf-8")
    elif str(name) in (*names(), *names("ablations"), *names("reasoner")):
        text = (resources.files("cogviz.training") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise RecipeError(f"unknown recipe {str(name)!r}; choose {', '.join(names())}, or the path of a YAML file")
    try:
        row = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{name} is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(row, dict):
        raise RecipeError(f"{name} is no recipe: it must be a mapping with a name and stages")
    row["stages"] = [_build(Stage, stage, f"{name}, stage {i}") for i, stage in enumerate(row.get("stages") or [], 1)]
    if row.get("alignment") is not None:
        row["alignment"] = _build(Alignment, row["alignment"], f"{name}, alignment")
    plan: Recipe = replace(_build(Recipe, row, str(name)), **changes)
    if plan.alignment is not None and plan.alignment.similarity not in SIMILARITIES:
        raise RecipeError(f"{name}: unknown similarity {plan.alignment.similarity!r}; choose {', '.join(SIMILARITIES)}")
    if any(stage.name == "acoustic" for stage in plan.stages) and not plan.acoustic:
        raise RecipeError(f"{name}: a stage trains an acoustic encoder, but the model has none; set acoustic: true")
    if plan.targets not in TARGETS:
        raise RecipeError(f"{name}: unknown targets {plan.targets!r}; choose {', '.join(TARGETS)}")
    if plan.size not in SIZES:
        raise RecipeError(f"{name}: unknown size {plan.size!r}; choose {', '.join(SIZES)}")
    return plan
