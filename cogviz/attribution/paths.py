"""From a baseline to the input: what an attribution divides among bands, frames and tokens.

Every method sees the *difference* between input and baseline and not the input itself. Taking a part of the sound or the text away is setting its
difference to 0, for gradients, deletion curves and Shapley values alike.

- `mel`: bands x frames of 10 ms, and the level of each 80 ms. Its baseline: the same words in the speaker's neutral rendering, warped word by word
  to the same timing, where references are given; else silence, which is the log-mel's own floor and the lowest level.
- `audio`: what the connector gives the language model, a place each. Its baseline: the tone of the reference, else of the mean neutral speech of
  the training speakers; for the words the mean of the embeddings.
- `text`: the tokens of the instruction and the answer; the mean of the embeddings.
- `tokens`: `audio` and `text` together.

Silence asks what makes an utterance what it is, and finds its words too; the neutral rendering asks what about the *voice* does, at the same
tempo. It is the better baseline here: towards silence the deviation over time that the tone is read from has no slope where nothing moves, and
every frame's words change at once, so that integrated gradients do not add up in the default steps. Zero is no baseline for embeddings: a
language model that normalises each place by its size sees the same token at any share of it but 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from cogviz.attribution.places import FRAME
from cogviz.attribution.replay import Replay
from cogviz.audio import speech_span
from cogviz.probing.segments import tones
from cogviz.utterance import Utterance

Over: TypeAlias = Literal["mel", "audio", "text", "tokens"]

MEL_FLOOR = 2.0
"""Whisper's log-mel reaches 8 decades down from its maximum, and 4 decades are 1."""

LOWEST_LEVEL = -2.0
"""Of `processing.frame_levels`: -80 dBFS."""

HOP = 0.01
"""Seconds of a log-mel frame."""


@dataclass(frozen=True, eq=False)
class Path:
    """A batch between its baseline (0) and itself (1).

    Attributes:
        over: what is attributed.
        differences: input minus baseline: of `mel` (B, bands, F) and (B, T), else (B, S, H).
        cells: (B, bands, F) and (B, T), or (B, S): True where there is something to attribute.
        run: differences, each of row `rows` (N,) of the batch -> (N,) the target.
    """

    over: Over
    differences: tuple[Tensor, ...]
    cells: tuple[Tensor, ...]
    run: Callable[[tuple[Tensor, ...], Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.differences[0])

    @property
    def rows(self) -> Tensor:
        """(B,) the rows of the batch."""
        return torch.arange(len(self), device=self.differences[0].device)

    def forward(self, *given: Tensor) -> Tensor:
        """Do the same as `run`, with the rows as the last argument: the form that captum calls."""
        return self.run(given[:-1], given[-1])

    def kept(self, masks: tuple[Tensor, ...], rows: Tensor, *, at_once: int) -> Tensor:
        """(N,) the target where only the cells in `masks` (N, ...) are the input's and the others the baseline's; in pieces of `at_once`."""
        found = []
        with torch.no_grad():
            for start in range(0, len(rows), at_once):
                part = rows[start : start + at_once]
                shown = [d[part] * _like(m[start : start + at_once].to(d.dtype), d) for d, m in zip(self.differences, masks, strict=True)]
                found.append(self.run(tuple(shown), part))
        return torch.cat(found)

    def ends(self, *, at_once: int) -> tuple[Tensor, Tensor]:
        """((B,) the target of the input, (B,) of the baseline)."""
        ones = tuple(torch.ones_like(c) for c in self.cells)
        none = tuple(torch.zeros_like(c) for c in self.cells)
        return self.kept(ones, self.rows, at_once=at_once), self.kept(none, self.rows, at_once=at_once)


def path(replay: Replay, over: Over, utterances: Sequence[Utterance], references: Sequence[Utterance] | None = None) -> Path:
    """Return the way from the baseline to the input.

    Args:
        utterances: those of the passage. references: the neutral rendering of each by the same speaker, or None (see the module).

    Raises:
        ValueError: an unknown `over`, a model that it is not possible for, or as many references as utterances are not given.
    """
    if references is not None and len(references) != len(utterances):
        raise ValueError(f"{len(utterances)} utterances but {len(references)} references; give the neutral rendering of each")
    if over == "mel":
        return _mel_path(replay, utterances, references)
    if over not in ("audio", "text", "tokens"):
        raise ValueError(f"there is nothing to attribute over {over!r}; choose mel, audio, text or tokens")
    passage = replay.passage
    audio = passage.places("audio")
    if over != "text" and not bool(audio.any()):
        raise ValueError(f"{replay.listener.name}: the passage holds no audio tokens; attribute over its text")
    text = passage.places("instruction") | passage.places("answer")
    cells = {"audio": audio, "text": text, "tokens": audio | text}[over]
    baseline = blank(replay, utterances, references)
    base = torch.where(cells[..., None], baseline, replay.embeds)
    mask = cells[..., None].to(base.dtype)

    def run(differences: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        return replay.from_embeds(base[rows] + differences[0] * mask[rows], rows)

    return Path(over, ((replay.embeds - base).detach(),), (cells,), run)


def blank(replay: Replay, utterances: Sequence[Utterance], references: Sequence[Utterance] | None = None) -> Tensor:
    """Return (B, S, H) the embeddings of nothing said in no special tone, at each place."""
    listener, passage = replay.listener, replay.passage
    table = torch.as_tensor(listener.model.get_input_embeddings().weight)
    found = table.mean(dim=0).to(replay.embeds.dtype).expand_as(replay.embeds).clone().detach()
    count = tones(listener)
    if not count:
        return found
    model = listener.model
    with torch.no_grad():
        if references is None:
            tone = model.told(model.connector.plain()).expand(len(found), -1, -1)
        else:
            other = listener.naming(references)
            embeds, _, _, _ = model.hear(**other.inputs)
            where = other.inputs["input_ids"] == model.config.audio_token_id
            first = where & (where.cumsum(dim=1) <= count)
            tone = embeds[first].unflatten(0, (len(found), count))
    audio = passage.places("audio")
    at = audio & (audio.cumsum(dim=1) <= count)
    found[at] = tone.reshape(-1, tone.shape[-1]).to(found.dtype)
    return found


def _mel_path(replay: Replay, utterances: Sequence[Utterance], references: Sequence[Utterance] | None) -> Path:
    mel, levels = replay.mel
    replay.order  # noqa: B018 - which frames are read is settled now, with the model as it is
    real = replay.passage.inputs["feature_attention_mask"].bool()
    steps = round(FRAME / HOP)
    sounding = torch.nn.functional.pad(real, (0, levels.shape[1] * steps - real.shape[1])).unflatten(1, (-1, steps)).any(dim=2)
    floor = mel.amax(dim=(1, 2), keepdim=True) - MEL_FLOOR
    base, quiet = floor.expand_as(mel).clone(), torch.full_like(levels, LOWEST_LEVEL)
    if references is not None:
        processor: Any = replay.listener.processor  # type: ignore[attr-defined]
        heard = processor([r.samples for r in references])
        for row, (utterance, reference) in enumerate(zip(utterances, references, strict=True)):
            own = int(heard["feature_attention_mask"][row].sum())
            frames = int(real[row].sum())
            source = warped(utterance, reference, frames).clip(0, own - 1)
            base[row, :, :frames] = heard["input_features"][row][:, source].to(base)
            coarse = source[: -steps // 2 or None : steps] if frames > steps else source[:1]
            last = min(int(sounding[row].sum()), len(coarse))
            quiet[row, :last] = heard["audio_levels"][row][coarse[:last] // steps].to(quiet)
    bands = real[:, None].expand_as(mel)
    masks = bands.to(mel.dtype), sounding.to(levels.dtype)
    base, quiet = torch.where(bands, base, mel), torch.where(sounding, quiet, levels)

    def run(differences: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        return replay.from_mel(base[rows] + differences[0] * masks[0][rows], quiet[rows] + differences[1] * masks[1][rows], rows)

    return Path("mel", (mel - base, levels - quiet), (bands, sounding), run)


def warped(utterance: Utterance, reference: Utterance, frames: int) -> np.ndarray:
    """Return (frames,) the log-mel frame of the reference that belongs to each of the utterance: word by word where both know when their words are
    spoken, else from end to end in equal steps."""
    at = (np.arange(frames) + 0.5) * HOP
    mine, theirs = (speech_span(u.samples) for u in (utterance, reference))
    lengths = frames * HOP, (theirs[1] - theirs[0]) / 16_000
    marks = [np.array([0.0]), np.array([0.0])]
    if len(utterance.words) == len(reference.words) > 0:
        for i, (u, span) in enumerate(((utterance, mine), (reference, theirs))):
            edges = np.array([t for w in u.words for t in (w.start, w.end)]) - span[0] / 16_000
            marks[i] = np.concatenate([marks[i], np.clip(edges, 0, lengths[i])])
    ends = [np.maximum.accumulate(np.append(m, length)) for m, length in zip(marks, lengths, strict=True)]
    return (np.interp(at, ends[0], ends[1]) / HOP).astype(int)


def _like(mask: Tensor, values: Tensor) -> Tensor:
    return mask[(...,) + (None,) * (values.ndim - mask.ndim)]
