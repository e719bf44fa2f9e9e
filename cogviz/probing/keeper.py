"""Where a recording goes: arrays in memory, or memory-mapped files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor


class Keeper:
    """Takes what is kept of each batch.

    Args:
        sites: names. at: "positions" keeps rows of different lengths, one after the other; else every row is of one shape.
        count: rows of the whole recording.
        folder: keep files there; None: keep arrays, of at most `gigabytes` together.
        dtype: of what is kept.
    """

    def __init__(self, sites: list[str], at: str, count: int, folder: str | Path | None, gigabytes: float, dtype: np.dtype) -> None:
        self.sites, self.at, self.count, self.dtype = sites, at, count, dtype
        self.folder = None if folder is None else Path(folder)
        self.left = gigabytes * 1e9
        self.arrays: dict[str, np.ndarray] = {}
        self.flat: dict[str, list[np.ndarray]] = {name: [] for name in (*sites, "places", "ids")}
        self.length = dict.fromkeys((*sites, "places"), 0)
        self.width: dict[str, tuple[int, ...]] = {}
        self.spans = {name: np.zeros((count, 2), dtype=np.int64) for name in (*sites, "places")} if at == "positions" else None
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in sites:
                self._path(name).unlink(missing_ok=True)

    def keep(self, rows: list[int], held: Mapping[str, Any], real: Tensor, ids: Tensor, found: Tensor) -> None:
        """Take a batch: site -> (B, ...), or a list of what each row holds; which places are `real`, their token `ids`, and the segments `found`.

        Raises:
            MemoryError: it is more than may be kept in memory.
        """
        if self.spans is None:
            for name in self.sites:
                values = held[name].float().cpu().numpy().astype(self.dtype)
                self._array(name, values.shape[1:])[rows] = values
            return
        for name in self.sites:
            self._append(name, rows, [part.float().numpy().astype(self.dtype) for part in held[name]])
        self._append("places", rows, [f[r].cpu().numpy() for f, r in zip(found, real, strict=True)])
        self.flat["ids"] += [i[r].cpu().numpy() for i, r in zip(ids, real, strict=True)]

    def done(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None, np.ndarray | None, np.ndarray | None]:
        """Return the arrays by site; at positions also their spans, and each place's segment and token."""
        if self.spans is None:
            return {name: self.arrays[name] for name in self.sites}, None, None, None
        states = {}
        for name in self.sites:
            if self.folder is None:
                states[name] = np.concatenate(self.flat.pop(name))
            else:
                shape = (self.length[name], *self.width[name])
                states[name] = np.memmap(self._path(name), dtype=self.dtype, mode="r", shape=shape)
        return states, self.spans, np.concatenate(self.flat["places"]), np.concatenate(self.flat["ids"])

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / (f"{name}.{self.dtype.name}" if self.at == "positions" else f"{name}.npy")

    def _array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name not in self.arrays:
            whole = (self.count, *shape)
            if self.folder is not None:
                self.arrays[name] = np.lib.format.open_memmap(self._path(name), mode="w+", dtype=self.dtype, shape=whole)
            else:
                self._take(int(np.prod(whole)) * self.dtype.itemsize)
                self.arrays[name] = np.zeros(whole, dtype=self.dtype)
        return self.arrays[name]

    def _append(self, name: str, rows: list[int], parts: list[np.ndarray]) -> None:
        assert self.spans is not None
        for row, part in zip(rows, parts, strict=True):
            self.spans[name][row] = self.length[name], self.length[name] + len(part)
            self.length[name] += len(part)
            self.width[name] = part.shape[1:]
        if self.folder is None or name == "places":
            self._take(sum(part.nbytes for part in parts) if self.folder is None else 0)
            self.flat[name] += parts
        else:
            with open(self._path(name), "ab") as file:
                for part in parts:
                    part.tofile(file)

    def _take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise MemoryError("the recording takes more memory than `gigabytes` allows; give a folder, fewer sites, or at='segments'")
