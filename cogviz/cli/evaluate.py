"""`cogviz evaluate`: does the answer follow the voice or the words?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cogviz.cli.common import ENROL, command, print_rows, read_data, say, write_json

MEASURES = ("dominance", "all", "humans", "dialogues")


def add(commands: Any) -> None:
    """Add these commands to the parser."""
    evaluate = command(commands, "evaluate", _evaluate, "measure models: does the answer follow the voice or the words?")
    evaluate.add_argument("measure", choices=MEASURES)
    evaluate.add_argument("--model", nargs="+", default=["nano-baseline", "nano-aligned"])
    evaluate.add_argument(
        "--data",
        required=True,
        nargs="+",
        help="dataset folder, or CORPUS=FOLDER (see `cogviz corpora`), for `all` also several; or (humans) a results file of the listening test; "
        "or (dialogues) what `cogviz lime dialogues` built",
    )
    evaluate.add_argument("--limit", type=int, help="dominance: only the first so many utterances")
    evaluate.add_argument("--enrol", action="store_true", help=f"dominance: {ENROL}")
    evaluate.add_argument(
        "--output", type=Path, default=Path("reports/evaluation"), help="all: folder of rows.json, table.md and the figures"
    )
    evaluate.add_argument("--items", type=int, default=500, help="all: utterances answered, a dataset (default: 500)")
    evaluate.add_argument("--edited", type=int, default=140, help="all: of these, so many with their sound or chain edited (default: 140)")
    evaluate.add_argument("--targets", type=int, default=20, help="all: so many rendered anew for factors and thresholds (default: 20)")
    evaluate.add_argument("--part", nargs="+", help="all: only these parts of the battery")
    evaluate.add_argument("--device", default="auto", help="all, dialogues: auto, cuda or cpu")
    evaluate.add_argument(
        "--ask",
        action="store_true",
        help="dialogues: ask the questions with their options and read the letter that is answered (default: choose by what is heard in each turn)",
    )
    evaluate.add_argument(
        "--judge-url",
        metavar="URL",
        help="all: an OpenAI-compatible endpoint (.../v1) whose model judges how specific responses are, 1 to 4",
    )
    evaluate.add_argument("--judge-model", default="gpt-4o-mini", help="all: which model it is; the key comes from $OPENAI_API_KEY")
    evaluate.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write JSON rows {model, measure, value, low, high, n, chance, data} ('-' for standard output)",
    )


def _evaluate(options: argparse.Namespace) -> int:
    if options.measure == "all":
        return _evaluate_all(options)
    if len(options.data) > 1:
        raise ValueError(f"{options.measure} takes one --data; `cogviz evaluate all` takes several")
    data = options.data[0]
    if options.measure == "humans":
        from cogviz.evaluation import humans

        rows = humans.evaluate(Path(data))
    elif options.measure == "dialogues":
        rows = _dialogues(options, Path(data))
    else:
        from cogviz.evaluation import heldout
        from cogviz.models.listener import CogAudioListener
        from cogviz.models.zoo import folder
        from cogviz.utterance import enrol

        for model in options.model:
            folder(model)
        name, utterances = read_data(data, options.limit)
        if options.enrol:
            name, utterances = f"{name}, enrolled", enrol(utterances)
        rows = [row for model in options.model for row in heldout.evaluate(CogAudioListener(model), utterances, data=name)[0]]
    print_rows(rows, say(options.json))
    write_json(rows, options.json)
    return 0


def _dialogues(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    from cogviz.evaluation import dialogues, results
    from cogviz.lime.dialogues import read
    from cogviz.models.listeners import load_listener

    items = read(folder)
    listeners = [load_listener(model, device=options.device) for model in options.model]  # all of them first: a wrong name wastes no work
    found = [(each.name, dialogues.evaluate(each, items, way="ask" if options.ask else "hear")) for each in listeners]
    return [row for name, result in found for row in results.rows(result, model=name, data=folder.name)]


def _evaluate_all(options: argparse.Namespace) -> int:
    from cogviz import benchmark
    from cogviz.evaluation.battery import Budget

    benchmark.run(
        options.model,
        options.data,
        options.output,
        budget=Budget(options.items, options.edited, options.targets),
        parts=options.part,
        device=options.device,
        llm_judge=(options.judge_url, options.judge_model) if options.judge_url else None,
    )
    print(f"{options.output / 'table.md'}, rows.json and a figure a dataset beside it")
    if options.json is not None:
        write_json(json.loads((options.output / "rows.json").read_text(encoding="utf-8")), options.json)
    return 0
