"""Results of measures as rows of one table, whatever the measure: a result is a dataclass of `Estimate`s."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from cogviz.statistics import Estimate


def named(measure: str) -> dict[str, str]:
    """Return the metadata of a field whose rows are called `measure` and not as the field ("": as its keys or its own fields alone)."""
    return {"measure": measure}


def row(estimate: Estimate, *, model: str, measure: str, data: str) -> dict[str, Any]:
    """Return an estimate as a row {model, measure, value, low, high, n, chance, data} that JSON can hold (None for NaN and infinity)."""

    def number(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    return {
        "model": model,
        "measure": measure,
        "value": number(estimate.value),
        "low": number(estimate.low),
        "high": number(estimate.high),
        "n": estimate.n,
        "chance": number(estimate.chance),
        "data": data,
    }


def rows(result: Any, *, model: str, data: str) -> list[dict[str, Any]]:
    """Return every estimate of a result as a row (see `row`), in the order of its fields.

    A row is called as its field, or as `named` says; dictionaries and nested results add their keys and fields after an underscore. Fields that
    hold no estimate (counts, verdicts, tables) are left out.
    """
    return [row(e, model=model, measure=name, data=data) for name, e in _estimates("", result)]


def _estimates(name: str, value: Any) -> Iterator[tuple[str, Estimate]]:
    if isinstance(value, Estimate):
        yield name, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _estimates(_joined(name, str(key)), part)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _estimates(_joined(name, part.metadata.get("measure", part.name)), getattr(value, part.name))


def _joined(*names: str) -> str:
    return "_".join(name for name in names if name)
