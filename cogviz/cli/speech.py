"""`cogviz lime` and `cogviz corpora`: speech that is built, and speech that others recorded."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cogviz.cli.common import command, read_data


def add(commands: Any) -> None:
    """Add these commands to the parser."""
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

    dialogues = command(
        lime, "dialogues", _lime_dialogues, "build questions about spoken dialogues that words alone cannot answer (resumable, as build)"
    )
    dialogues.add_argument("folder", type=Path)
    dialogues.add_argument("--speakers", type=int, default=1, help="how many of the test speakers say each dialogue (default: 1)")
    dialogues.add_argument("--jobs", type=int, help="workers (default: one a core)")
    dialogues.add_argument("--backend", default="loky", help="joblib backend: loky, dask, ray, sequential")
    dialogues.add_argument("--seed", type=int, default=0)

    compact = command(lime, "compact", _compact, "copy a dataset folder in a quarter of the space (Vorbis), to carry it to another machine")
    compact.add_argument("folder", type=Path)
    compact.add_argument("target", type=Path)
    compact.add_argument("--parts", nargs="+", help="only these parts of the dataset (default: all)")

    evidence = command(
        lime,
        "evidence",
        _evidence,
        "measure what stands out in each voice against the speaker's neutral one (for sound-grounded explanations)",
    )
    evidence.add_argument("folder", type=Path, help="dataset folder of `cogviz lime build`")

    listening = command(lime, "listening-test", _listening_test, "make a page on which people hear recordings blind and say how they sound")
    listening.add_argument(
        "--data", default="data_samples", help="dataset folder, or ravdess=FOLDER / emodb=FOLDER (default: data_samples)"
    )
    listening.add_argument(
        "--output", type=Path, default=Path("docs/listening_test.html"), help="the page (default: docs/listening_test.html)"
    )
    listening.add_argument("--items", type=int, default=28, help="recordings that one person hears (default: 28)")
    listening.add_argument("--seed", type=int, default=0, help="which recordings are chosen")

    corpora = command(
        commands, "corpora", _corpora, "list the corpora of real and published speech that can be read, and where to get them"
    )
    corpora.add_argument("name", nargs="*", help="only these, with what each allows (default: all, a line each)")


def _lime_build(options: argparse.Namespace) -> int:
    from cogviz.lime.build import build

    report = build(options.plan, options.folder, jobs=options.jobs, backend=options.backend, seed=options.seed, limit=options.limit)
    print(report)
    return 1 if report.missing else 0


def _lime_dialogues(options: argparse.Namespace) -> int:
    from collections import Counter

    from cogviz.lime import dialogues

    report = dialogues.build(options.folder, speakers=options.speakers, jobs=options.jobs, backend=options.backend, seed=options.seed)
    print(report)
    if report.missing:
        return 1
    tasks = Counter(item.task for item in dialogues.read(options.folder))
    print(f"{options.folder / dialogues.FILE}: {tasks.total()} questions ({', '.join(f'{n} {task}' for task, n in tasks.items())})")
    print(f"measure models on it: cogviz evaluate dialogues --model NAME --data {options.folder}")
    return 0


def _compact(options: argparse.Namespace) -> int:
    from cogviz.lime.compact import compact

    count = compact(options.folder, options.target, parts=options.parts)
    size = sum(path.stat().st_size for path in options.target.rglob("*") if path.is_file())
    print(f"{options.target}: {count:,} utterances, {size / 1e6:.0f} MB")
    return 0


def _evidence(options: argparse.Namespace) -> int:
    from cogviz.lime import evidence

    print(evidence.add(options.folder))
    return 0


def _listening_test(options: argparse.Namespace) -> int:
    from cogviz.lime import listening_test

    name, utterances = read_data(options.data, None)
    page = listening_test.make(utterances, options.output, items=options.items, seed=options.seed, name=name)
    print(f"{page}: {options.items} recordings, {page.stat().st_size / 1e6:.1f} MB; open it in a browser, or send it to people")
    print("their files are read with: cogviz evaluate humans --data FILE_OR_FOLDER")
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
