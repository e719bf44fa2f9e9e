"""Warnings that Gradio and its client make, by message and module; whoever tests the demo lets these through and no others."""

from __future__ import annotations

import pytest

WARNINGS = [
    pytest.mark.filterwarnings(f"ignore:{warning}")
    for warning in (
        r"'future.no_silent_downcasting' is deprecated:DeprecationWarning:gradio\.queueing",
        r"The copy keyword is deprecated:DeprecationWarning:gradio\.queueing",
        r"unclosed event loop:ResourceWarning:asyncio\.base_events",
    )
]
