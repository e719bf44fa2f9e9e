"""Skips what this machine cannot do: the default run is everything that it can."""

import shutil
from pathlib import Path

import pytest

REAL_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "real_speech"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each marker is looked into only where a test carries it, so that light runs stay light."""
    for marker, (available, reason) in {
        "requires_cuda": (_has_cuda, "no CUDA device"),
        "requires_shared": (REAL_SPEECH.is_dir, "no real recordings in ../shared/real_speech"),
        "browser": (_has_chromium, "no Chromium"),
    }.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _has_chromium() -> bool:
    return bool(shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"))
