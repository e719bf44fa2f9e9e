"""`cogviz demo`: the page on which one hears and sees semantic dominance."""

from __future__ import annotations

import argparse
from typing import Any

from cogviz.cli.common import command


def add(commands: Any) -> None:
    """Add this command to the parser."""
    demo = command(
        commands, "demo", _demo, "start the demo in the browser: say it once, hear it in seven emotions, see what the models hear"
    )
    demo.add_argument(
        "--model", nargs=2, metavar=("BASELINE", "ALIGNED"), help="the two that answer side by side (default: nano-baseline nano-aligned)"
    )
    demo.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in (default: this machine only)")
    demo.add_argument("--port", type=int, default=7860, help="0: any that is free (default: 7860)")
    demo.add_argument("--root-path", default="", metavar="PREFIX", help="path under which a proxy shows the page, such as /demo")
    demo.add_argument("--share", action="store_true", help="also give the page a public address, through Gradio's servers")
    demo.add_argument("--seconds", type=float, default=60.0, help="time limit of one question (default: 60)")
    demo.add_argument("--device", default="cpu", help="auto, cuda or cpu (default: cpu)")


def _demo(options: argparse.Namespace) -> int:
    from cogviz.demo import limits, serve

    serve.serve(
        models=tuple(options.model or limits.MODELS),
        device=options.device,
        host=options.host,
        port=options.port,
        root_path=options.root_path,
        share=options.share,
        seconds=options.seconds,
    )
    return 0
