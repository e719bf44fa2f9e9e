"""Parts of the input that are deleted together: a place, a block of the log-mel, the level of a frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cogviz.attribution.gradients import Attribution
from cogviz.attribution.paths import Path


def units(way: Path, row: int, block: tuple[int, int]) -> list[Tensor]:
    """The number of the part that each cell of a row belongs to, -1 where there is no cell."""
    found, first = [], 0
    for cells in way.cells:
        one = cells[row]
        if one.ndim == 2:
            bands, frames = (torch.arange(n, device=one.device) // b for n, b in zip(one.shape, block, strict=True))
            index = bands[:, None] * (int(frames.max()) + 1) + frames
        else:
            index = one.cumsum(dim=0) - 1
        numbers = torch.where(one, index, -1)
        real = numbers[numbers >= 0].unique()
        dense = torch.searchsorted(real, numbers.clamp(min=0)) + first
        found.append(torch.where(one, dense, -1))
        first += len(real)
    return found


def shown(way: Path, row: int, units: list[Tensor], keep: np.ndarray) -> tuple[Tensor, ...]:
    """Masks (M, ...) of the cells whose parts are kept; `keep` (M, parts)."""
    given = torch.as_tensor(keep, device=units[0].device)
    return tuple(given[:, u.clamp(min=0)] | (u < 0) for u in units)


def flat(attribution: Attribution, index: int) -> np.ndarray:
    """Relevance of one utterance's cells, those of the levels behind."""
    parts = [attribution.values[index], *([attribution.levels[index]] if attribution.levels else [])]
    return np.concatenate([p.ravel() for p in parts])


def by_unit(values: np.ndarray, units: list[Tensor], *, cells: bool = False) -> np.ndarray:
    """Sum of relevance of each part. `values`: of the real places of one row, or with `cells` of all, padding included."""
    numbers = np.concatenate([u.cpu().numpy().ravel() for u in units])
    if not cells:
        numbers = np.concatenate([_unpadded(u.cpu().numpy(), len(values) if len(units) == 1 else None) for u in units])
    real = numbers >= 0
    return np.bincount(numbers[real], weights=values[real], minlength=int(numbers.max()) + 1)


def _unpadded(units: np.ndarray, places: int | None) -> np.ndarray:
    """Numbers without the padding: of places, which are padded on the left, the last ones; of sound the frames that are there."""
    if units.ndim == 1 and places is not None:
        return units[len(units) - places :]
    there = units >= 0
    return units[:, there.any(axis=0)].ravel() if units.ndim == 2 else units[there]


def pooled(values: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """Sums over blocks of (bands, frames), flat; relevance over places as it is."""
    if values.ndim == 1:
        return values
    bands, frames = (-(-n // b) for n, b in zip(values.shape, block, strict=True))
    padded = np.zeros((bands * block[0], frames * block[1]))
    padded[: values.shape[0], : values.shape[1]] = values
    return padded.reshape(bands, block[0], frames, block[1]).sum(axis=(1, 3)).ravel()
