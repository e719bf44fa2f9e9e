"""Encoder layers of a whole dataset, computed once and memory-mapped: the encoder is frozen, so every epoch would compute the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from cogviz.audio import without_silence
from cogviz.models import acoustic
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor, frame_levels, pooled_frames
from cogviz.utterance import Utterance

AT_ONCE = 16
"""Recordings that the encoder hears at once."""


def workers(device: torch.device) -> int:
    """Return how many processes should read and prepare for `device`: a GPU would wait for one, a CPU has its hands full."""
    return min(10, max(1, (os.cpu_count() or 2) - 2)) if device.type == "cuda" else 0


@dataclass(frozen=True, eq=False)
class Features:
    """Pooled encoder layers of many utterances.

    Attributes:
        states: (frames, L + 1, D) float16, memory-mapped, utterance after utterance.
        levels: (frames,) float32, (dBFS + 40) / 20.
        starts: (utterances + 1,) first frame of each.
        ids: utterance ids, in order.
        acoustic: (frames, 4 x 44) float16, memory-mapped, what an acoustic encoder hears; None where the model has none.
    """

    states: np.ndarray
    levels: np.ndarray
    starts: np.ndarray
    ids: list[str]
    acoustic: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def get(self, index: int) -> tuple[np.ndarray, ...]:
        """Return ((L + 1, T, D) float16, (T,) float32) of one utterance, and (T, 4 x 44) float16 where an acoustic encoder hears, too."""
        span = slice(self.starts[index], self.starts[index + 1])
        found = self.states[span].transpose(1, 0, 2), self.levels[span]
        return found if self.acoustic is None else (*found, self.acoustic[span])

    def by_id(self) -> Mapping[str, tuple[np.ndarray, ...]]:
        """View by utterance id; nothing is copied before it is asked for."""
        return _ById(self)

    def lengths(self) -> np.ndarray:
        """Frames of each utterance."""
        return np.diff(self.starts)


class _ById(Mapping[str, tuple[np.ndarray, ...]]):
    def __init__(self, features: Features) -> None:
        self.features, self.index = features, {name: i for i, name in enumerate(features.ids)}

    def __getitem__(self, name: str) -> tuple[np.ndarray, ...]:
        return self.features.get(self.index[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)


def _fingerprint(utterances: Sequence[Utterance], model: CogAudioForConditionalGeneration) -> str:
    digest = hashlib.sha256()
    for u in utterances:
        size = u.path.stat().st_size if u.path is not None else len(u.samples)
        digest.update(f"{u.id}:{size};".encode())
    # In the checkpoints' precision, so that the next variant, loaded from one, finds the features again.
    digest.update(model.audio_encoder.conv1.weight.detach().cpu().half().float().numpy().tobytes())
    return digest.hexdigest()


def encode(
    utterances: Sequence[Utterance],
    model: CogAudioForConditionalGeneration,
    processor: CogAudioProcessor,
    folder: str | Path,
    *,
    bf16: bool = False,
    progress: bool = True,
) -> Features:
    """Return the features of `utterances`, from `folder` if they lie there, else computed and kept there.

    The folder carries a fingerprint of utterances and encoder, written last: a half-written or foreign one is computed again.

    Args:
        bf16: multiply in bf16 (half the time where the processor can).
    """
    folder = Path(folder)
    mark = _fingerprint(utterances, model)
    index = folder / "index.json"
    if not (index.exists() and json.loads(index.read_text())["fingerprint"] == mark):
        folder.mkdir(parents=True, exist_ok=True)
        index.unlink(missing_ok=True)
        device = model.audio_encoder.conv1.weight.device
        loader = DataLoader(_Heard(utterances, processor), batch_size=AT_ONCE, collate_fn=_together, num_workers=workers(device))
        levels: list[np.ndarray] = []
        shape = None
        with (
            open(folder / "states.f16", "wb") as file,
            tqdm(total=len(utterances), desc="encoding speech", disable=not progress, mininterval=5) as bar,
        ):
            for mels, mask, loud in loader:
                with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                    states, _ = model.encode(mels.to(device), mask.to(device))
                blocks = states.transpose(1, 2).to(torch.float16).cpu().numpy()
                for block, level in zip(blocks, loud, strict=True):
                    file.write(np.ascontiguousarray(block[: len(level)]).tobytes())
                levels += loud
                shape = blocks.shape[2:]
                bar.update(len(loud))
        np.save(folder / "levels.npy", np.concatenate(levels))
        np.save(folder / "starts.npy", np.cumsum([0, *map(len, levels)]))
        index.write_text(json.dumps({"fingerprint": mark, "shape": shape, "ids": [u.id for u in utterances]}))
    about = json.loads(index.read_text())
    starts = np.load(folder / "starts.npy")
    stored = np.memmap(folder / "states.f16", dtype=np.float16, mode="r", shape=(int(starts[-1]), *about["shape"]))
    acoustic = _acoustic(utterances, starts, folder, mark, progress=progress) if processor.acoustic else None
    return Features(states=stored, levels=np.load(folder / "levels.npy"), starts=starts, ids=about["ids"], acoustic=acoustic)


def _acoustic(utterances: Sequence[Utterance], starts: np.ndarray, folder: Path, mark: str, *, progress: bool) -> np.ndarray:
    """(frames, 4 x 44) float16 what an acoustic encoder hears of all utterances, from `folder` or computed and kept there, beside the layers.

    `mark` is the fingerprint of the layers; what cannot be heard is said with the utterance's id.
    """
    index = folder / "acoustic.json"
    about = {"fingerprint": mark, "layout": acoustic.LAYOUT}
    shape = (int(starts[-1]), acoustic.WIDTH)
    if not (index.exists() and json.loads(index.read_text()) == about):
        index.unlink(missing_ok=True)
        with open(folder / "acoustic.f16", "wb") as file:
            for u, frames in zip(tqdm(utterances, desc="voices", disable=not progress, mininterval=5), np.diff(starts), strict=True):
                heard = acoustic.acoustic_frames(without_silence(u.samples), int(frames), name=u.id)
                file.write(heard.astype(np.float16).tobytes())
        index.write_text(json.dumps(about))
    return np.memmap(folder / "acoustic.f16", dtype=np.float16, mode="r", shape=shape)


class _Heard(Dataset):
    """(log-mel (mels, F), level of each pooled frame (T,)) of each utterance, without the silence at its ends."""

    def __init__(self, utterances: Sequence[Utterance], processor: CogAudioProcessor) -> None:
        self.utterances, self.processor = utterances, processor

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        samples = without_silence(self.utterances[index].samples)
        mel = self.processor.mel(samples)
        return mel, frame_levels(samples, pooled_frames(mel.shape[1]))


def _together(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor, list[np.ndarray]]:
    longest = max(mel.shape[1] for mel, _ in rows)
    mels = np.stack([np.pad(mel, ((0, 0), (0, longest - mel.shape[1]))) for mel, _ in rows])
    mask = np.stack([np.arange(longest) < mel.shape[1] for mel, _ in rows]).astype(np.int64)
    return torch.from_numpy(mels), torch.from_numpy(mask), [level for _, level in rows]
