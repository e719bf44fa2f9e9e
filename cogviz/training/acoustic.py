"""Training of the acoustic encoder by itself: emotion, intensity and prosodic factors at once, from what it hears of many voices.

On synthetic speech all three are known, on real speech the emotion alone. Small and quick, so that it is a plain loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cogviz.audio import without_silence
from cogviz.emotions import EMOTIONS
from cogviz.models import acoustic
from cogviz.models.acoustic import CHANNELS, FACTORS, MELS, AcousticEncoder, acoustic_frames
from cogviz.models.configuration import POOL, SAMPLES_PER_FRAME
from cogviz.models.processing import padded
from cogviz.training.data import GAIN_DB, TrainingError
from cogviz.training.features import Features
from cogviz.utterance import Utterance

Curve = list[dict[str, float]]

SMOOTHING = 0.1
WEIGHTS = {"emotion": 1.0, "intensity": 0.3, "factors": 0.5}
"""Of the three losses."""

F0_SPREAD = 0.1  # octaves that F0 is moved at random: speakers differ
BAND_SHIFT = 1  # mel bands that the spectrum is moved at random: so do their tracts
HIDDEN_TIME, HIDDEN_BANDS = 0.15, 6  # at most so much of the time, and so many mel bands, is hidden (SpecAugment: Park et al. 2019)


@dataclass(frozen=True, eq=False)
class Voices:
    """What the encoder learns from.

    Attributes:
        frames: (T, 4 x 44) `acoustic_frames` of each utterance.
        emotions: (N,) index into `EMOTIONS`. intensities: (N,) k. factors: (N, 27) prosody; NaN where nobody annotated it.
    """

    frames: Sequence[np.ndarray]
    emotions: np.ndarray
    intensities: np.ndarray
    factors: np.ndarray


def of_dataset(utterances: Sequence[Utterance], chosen: Sequence[int], stored: Features) -> Voices:
    """Return the chosen utterances (indices) of a dataset whose acoustic frames are kept.

    Raises:
        TrainingError: they are not.
    """
    if stored.acoustic is None:
        raise TrainingError(
            "the acoustic frames of the dataset are missing; encode it with the processor of a model that has an acoustic encoder"
        )
    some = [utterances[i] for i in chosen]
    return Voices([stored.get(i)[2] for i in chosen], *_labels(some))


def of_recordings(utterances: Sequence[Utterance], *, progress: bool = True) -> Voices:
    """Return the utterances of any corpus that carry one of the seven emotions; their frames are computed, 6 ms each.

    Raises:
        TrainingError: none does. NoVoice: a recording has no voiced frame.
    """
    some = [u for u in utterances if u.emotion in EMOTIONS]
    if not some:
        raise TrainingError("no recording carries one of the seven emotions, so there is nothing to learn")
    frames = []
    for u in tqdm(some, desc="voices", disable=not progress, mininterval=5):
        samples = without_silence(u.samples)
        frames.append(acoustic_frames(samples, -(-len(samples) // SAMPLES_PER_FRAME), name=u.id))
    return Voices(frames, *_labels(some))


def _labels(utterances: Sequence[Utterance]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    unknown = np.full(len(FACTORS), np.nan)
    factors = [np.array(u.extra["prosody"], dtype=float) if u.extra.get("prosody") is not None else unknown for u in utterances]
    known = np.array(["prosody" in u.extra for u in utterances], dtype=bool)
    intensities = np.where(known, [u.intensity for u in utterances], np.nan)
    return np.array([EMOTIONS.index(str(u.emotion)) for u in utterances]), intensities, np.array(factors).reshape(-1, len(FACTORS))


def fit(
    encoder: AcousticEncoder,
    voices: Voices,
    *,
    steps: int,
    batch: int = 64,
    learning_rate: float = 2e-3,
    seed: int = 0,
    bf16: bool = False,
    aside: Callable[[Tensor, Tensor], Tensor] | None = None,
    progress: bool = True,
) -> Curve:
    """Train the encoder in place and return its curve: [{step, loss, learning_rate, seconds}]. It is standardised by `voices` where it is fresh.

    Args:
        bf16: multiply in bf16. aside: a further loss, of the tokens (B, K, W) and the emotions (B,).

    Raises:
        TrainingError: the loss is not finite.
    """
    device = encoder.queries.device
    draw = np.random.default_rng(seed)
    torch.manual_seed(seed)
    if not encoder.is_standardised:
        known = voices.factors[np.isfinite(voices.factors).all(axis=1)]
        some = range(0, len(voices.frames), max(1, len(voices.frames) // 3000))
        encoder.standardise(np.concatenate([np.asarray(voices.frames[i], dtype=np.float32) for i in some]), known)
    encoder.train()
    learning = [weight for weight in encoder.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=learning_rate, weight_decay=0.05, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=max(steps, 2), pct_start=0.1)
    lengths = np.array([len(f) for f in voices.frames])
    curve: Curve = []
    losses: list[float] = []
    batches: list[np.ndarray] = []
    started, every = time.time(), max(1, min(20, steps // 5 or 1))
    for step in tqdm(range(1, steps + 1), desc="acoustic encoder", disable=not progress, mininterval=5):
        if not batches:
            batches = _batches(lengths, batch, draw)
        chosen = batches.pop()
        heard = [augmented(np.asarray(voices.frames[i], dtype=np.float32), draw) for i in chosen]
        longest = max(map(len, heard))
        frames = torch.from_numpy(padded(heard, longest)).to(device)
        mask = torch.arange(longest)[None] < torch.as_tensor([len(h) for h in heard])[:, None]
        labels = [torch.as_tensor(x[chosen], device=device) for x in (voices.emotions, voices.intensities, voices.factors)]
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            tokens = encoder(frames, mask.to(device))
            found = loss(encoder, tokens, *labels)
            found = found if aside is None else found + aside(tokens, labels[0])
        if not torch.isfinite(found):
            raise TrainingError(f"the loss of the acoustic encoder became {float(found)} at step {step}; lower learning_rate")
        optimizer.zero_grad()
        found.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(found.detach()))
        if step % every == 0 or step == steps:
            rate = float(schedule.get_last_lr()[0])
            curve.append({"step": step, "loss": float(np.mean(losses)), "learning_rate": rate, "seconds": time.time() - started})
            losses = []
    encoder.eval()
    return curve


def loss(encoder: AcousticEncoder, tokens: Tensor, emotions: Tensor, intensities: Tensor, factors: Tensor) -> Tensor:
    """Return the weighted sum of the three losses of tokens (B, K, W); what nobody annotated (NaN) counts for none."""
    named, strong, moved = encoder.told(tokens)
    standard = (factors.float() - encoder.factor_mean) / encoder.factor_spread
    total = WEIGHTS["emotion"] * nn.functional.cross_entropy(named, emotions, label_smoothing=SMOOTHING)
    for weight, told, wanted in ((WEIGHTS["intensity"], strong, intensities.float()), (WEIGHTS["factors"], moved, standard)):
        known = torch.isfinite(wanted)
        if known.any():
            total = total + weight * (told - wanted)[known].square().mean()
    return total


def augmented(frames: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return frames (T, 4 x 44) as another speaker at another microphone might have given them, with a part of them hidden."""
    each = acoustic.moved(frames, float(draw.normal(0, GAIN_DB / 20))).reshape(-1, len(CHANNELS)).copy()
    voiced = each[:, CHANNELS.index("f0")] != 0
    each[voiced, CHANNELS.index("f0")] += draw.normal(0, F0_SPREAD)
    if shift := int(draw.integers(-BAND_SHIFT, BAND_SHIFT + 1)):
        each[:, :MELS] = each[:, np.clip(np.arange(MELS) + shift, 0, MELS - 1)]
    middle = each[:, :MELS].mean(axis=0)
    first, wide = int(draw.integers(0, MELS)), int(draw.integers(0, HIDDEN_BANDS + 1))
    each[:, first : first + wide][:, : MELS - first] = middle[first : min(first + wide, MELS)]
    long = int(draw.integers(0, int(len(each) * HIDDEN_TIME) + 1))
    since = int(draw.integers(0, len(each) - long + 1))
    each[since : since + long, :MELS] = middle
    return each.reshape(len(each) // POOL, -1)


def _batches(lengths: np.ndarray, batch: int, draw: np.random.Generator) -> list[np.ndarray]:
    """All indices once, in batches of similar length, in random order; a last one that is not full is left out unless it is the only one."""
    order = draw.permutation(len(lengths))
    pools = [order[i : i + 20 * batch] for i in range(0, len(order), 20 * batch)]
    found = [chunk for pool in pools for chunk in np.split(pool[np.argsort(lengths[pool])], range(batch, len(pool), batch))]
    full = [chunk for chunk in found if len(chunk) == batch] or found
    return [full[i] for i in draw.permutation(len(full))]


def logits(encoder: AcousticEncoder, voices: Voices, *, batch: int = 64) -> np.ndarray:
    """(N, 7) logits of the emotion that the encoder hears."""
    out = np.zeros((len(voices.frames), len(EMOTIONS)))
    device = encoder.queries.device
    encoder.eval()
    with torch.inference_mode():
        for rows in np.array_split(np.argsort([len(f) for f in voices.frames]), max(1, len(voices.frames) // batch)):
            longest = max(len(voices.frames[i]) for i in rows)
            mask = torch.arange(longest)[None] < torch.as_tensor([len(voices.frames[i]) for i in rows])[:, None]
            frames = torch.from_numpy(padded([voices.frames[i] for i in rows], longest)).to(device)
            out[rows] = encoder.told(encoder(frames, mask.to(device)))[0].cpu().numpy()
    return out
