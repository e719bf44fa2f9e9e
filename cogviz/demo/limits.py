"""The demo's limits and defaults, in one place; nothing is imported here, so that they can be read before anything is loaded."""

from __future__ import annotations

MODELS = ("nano-baseline", "nano-aligned")
"""The two that stand side by side unless others are asked for: trained as usual, and to let the reply fit the voice."""

SECONDS = 60.0
"""Time limit of a question."""

BYTES = 10 * 2**20
"""The largest file that is taken."""

KEPT, FORGET = 6, 570.0
"""Visitors' recordings that were taken apart and stay in memory, and the seconds after which one is forgotten (looked at every half minute)."""

DIALS = 64
"""Dials of shipped sentences that are kept; they are the same for everybody."""

SENTENCES = 7
"""Sentences of each kind that are offered."""

QUEUE = 32
"""Questions that may wait; further ones are told to come back."""

FILES = (120, 600)
"""Seconds between two looks at the temporary files, and the age at which one is deleted."""
