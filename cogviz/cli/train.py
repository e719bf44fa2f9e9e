"""`cogviz train`: variants, experiments, adaptation to real speech."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cogviz.cli.common import command, print_rows


def add(commands: Any) -> None:
    """Add these commands to the parser."""
    training = command(commands, "train", _train, "train a variant by its recipe; an interrupted run goes on where it stopped")
    training.add_argument(
        "recipe",
        nargs="+",
        help="nano- or smol-baseline, -explicit, -implicit, -aligned, -reasoner, -ieat; two-by-two (what causes the effect); "
        "ablations (what each part is good for); reasoner-ablations (that of the second encoder and of grounded explanations); or a YAML file",
    )
    source = training.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="dataset folder of `cogviz lime build`")
    source.add_argument(
        "--adapt",
        metavar="CORPUS=FOLDER",
        help="adapt trained models to real speech (ravdess=FOLDER or emodb=FOLDER) in five folds by speaker, and measure each on its own",
    )
    training.add_argument(
        "--own-labels",
        action="store_true",
        help="with --adapt: keep the corpus's emotions beyond the seven (RAVDESS's calm, EmoDB's boredom) as labels of their own",
    )
    training.add_argument(
        "--encoder", action="store_true", help="with --adapt: adapt Whisper's encoder too, which each checkpoint then holds (for a GPU)"
    )
    training.add_argument("--output", type=Path, default=Path("runs"), help="folder for the checkpoints (default: runs)")
    training.add_argument("--scale", type=float, default=1.0, help="size dial: multiplies every number of steps")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--seeds", type=int, default=3, help="for two-by-two and ablations: number of seeds (default: 3)")
    training.add_argument("--device", default="auto", help="auto, cuda or cpu")
    training.add_argument("--rows", type=int, help="rows of a batch at once, for less memory (default: 128 on a GPU, 32 on a CPU)")
    training.add_argument("--limit", type=int, help="held-out utterances measured a part (default: all)")


def _train(options: argparse.Namespace) -> int:
    from cogviz import device
    from cogviz.plotting import ablations as plotted
    from cogviz.plotting import theme
    from cogviz.training import ablations, causes, reasoning, run

    chosen = device.choose(options.device)
    print(f"training on {chosen.name}: {chosen.reason}")
    if options.adapt:
        return _adapt(options, chosen)
    if options.own_labels or options.encoder:
        raise ValueError("--own-labels and --encoder belong to --adapt")
    how = {name: getattr(options, name) for name in ("data", "output", "scale", "limit", "rows")} | {"device": chosen}
    for name in options.recipe:
        if name == "two-by-two":
            causes.measure(**how, seeds=options.seeds)
            print(f"{name}: {options.output / 'two_by_two.csv'}")
            continue
        if name == "ablations":
            table = ablations.measure(**how, seeds=options.seeds)
            with theme.use():
                picture = theme.save(plotted.ablations(table), options.output / "ablations.png")
            print(f"{ablations.page(table)}\n\n{options.output / 'ablations.csv'}, {picture}")
            continue
        if name == "reasoner-ablations":
            print(f"{reasoning.page(reasoning.measure(**how, seeds=options.seeds))}\n\n{options.output / 'reasoner.csv'}")
            continue
        folder = run.train(name, **how, seed=options.seed)
        print(f"{name}: {folder} (figures in {folder / 'README.md'})")
    return 0


def _adapt(options: argparse.Namespace, chosen: Any) -> int:
    from cogviz.training import adapt

    corpus, _, root = options.adapt.partition("=")
    if not root:
        raise ValueError(f"--adapt needs a corpus and its folder, as ravdess=FOLDER, not {options.adapt!r}")
    for name in options.recipe:
        rows = adapt.adapt(
            name,
            corpus,
            root,
            output=options.output,
            device=chosen,
            own_labels=options.own_labels,
            encoder=options.encoder,
            scale=options.scale,
            seed=options.seed,
        )
        print_rows(rows, print)
    return 0
