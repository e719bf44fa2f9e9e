"""`cogviz ...`: thin commands over the library. Errors that a user can mend are one sentence and exit code 2; `--debug` shows the traceback.

A module of this folder is a group of commands: `add` gives them to the parser, a function each runs one.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cogviz
from cogviz.cli import answer, demo, evaluate, inside, machine, speech, train


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
    for group in (speech, train, answer, evaluate, inside, demo, machine):
        group.add(commands)
    return parser
