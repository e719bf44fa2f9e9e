"""The pure hearer: multinomial logistic regression on the frozen encoder's layers. It hears the tone, and cannot read."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from cogviz.audio import without_silence
from cogviz.emotions import EMOTIONS
from cogviz.models import backbones
from cogviz.models.batching import in_batches, spoken_seconds
from cogviz.models.convert import WeightsError
from cogviz.models.encoder import encode_layers
from cogviz.models.fingerprint import fingerprint
from cogviz.models.listeners.naming import Naming
from cogviz.models.processing import frame_levels, pooled_frames
from cogviz.utterance import Utterance

PENALTY = 0.01
"""C of the regression, on standardised features."""

NEVER = -30.0
"""Log odds of an emotion that no training recording has."""


class Hearing:
    """Recordings -> features: mean and deviation over time of the inner encoder layers, where tone is heard best, and of the level.

    Args:
        encoder: a Whisper by its hub name, or a folder. batch: recordings at once; None: found automatically.

    Raises:
        WeightsError: it is not on this machine.
    """

    def __init__(self, encoder: str = backbones.WHISPER_TINY_EN, *, device: str = "cpu", batch: int | None = None) -> None:
        from transformers import WhisperFeatureExtractor

        self.name, self.batch = encoder, batch
        self.encoder = backbones.whisper_encoder(encoder).to(device)
        self.extractor = WhisperFeatureExtractor(feature_size=self.encoder.config.num_mel_bins)

    def __call__(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """Return (N, K) float32 features."""
        found = in_batches(
            lambda rows: self._features([utterances[i].samples for i in rows]),
            [spoken_seconds(u) for u in utterances],
            device=self.encoder.device,
            batch=self.batch,
            name="hearing",
            progress=progress,
        )
        return np.array(found, dtype=np.float32)

    def _features(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        clips = [without_silence(clip) for clip in clips]
        mels = [self.extractor(c, sampling_rate=16000, padding="longest", return_tensors="np")["input_features"][0] for c in clips]
        longest = max(m.shape[1] for m in mels)
        padded = torch.tensor(np.stack([np.pad(m, ((0, 0), (0, longest - m.shape[1]))) for m in mels]))
        real = torch.tensor(np.stack([np.arange(longest) < m.shape[1] for m in mels]))
        device = self.encoder.device
        with torch.inference_mode():
            states, mask = encode_layers(self.encoder, padded.to(device), real.to(device))
        return [
            summary(s[:, m].numpy(), frame_levels(c, pooled_frames(mel.shape[1])))
            for s, m, c, mel in zip(states.cpu(), mask.cpu(), clips, mels, strict=True)
        ]


def summary(states: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return (K,) features of one recording: (L + 1, T, D) pooled encoder layers and (T,) levels -> mean and deviation over time."""
    inner = states[1:-1].astype(np.float32)
    return np.concatenate([inner.mean(axis=1).ravel(), inner.std(axis=1).ravel(), [levels.mean(), levels.std()]]).astype(np.float32)


class LinearProbe(Naming):
    """A linear classifier of the tone as a `Listener`. Make one with `LinearProbe.fit` or `LinearProbe.load`.

    Attributes:
        speakers: whom it was trained on; their accuracy says nothing.
    """

    def __init__(self, hearing: Hearing, weights: Mapping[str, np.ndarray], speakers: Sequence[str], *, name: str = "linear probe") -> None:
        self.hearing, self.weights, self.speakers, self.name = hearing, dict(weights), frozenset(speakers), name

    @classmethod
    def fit(
        cls,
        utterances: Sequence[Utterance],
        hearing: Hearing,
        *,
        penalty: float = PENALTY,
        states: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
        progress: bool = True,
    ) -> LinearProbe:
        """Train on utterances: those of the training speakers, and no others.

        Args:
            states: encoder layers and levels by utterance id, where they were computed before (`training.features`).

        Raises:
            ValueError: an utterance has no emotion, or there are fewer than two emotions.
        """
        from sklearn.linear_model import LogisticRegression

        if unknown := [u.id for u in utterances if u.emotion is None]:
            raise ValueError(f"{len(unknown)} utterance(s) have no emotion to learn from ({unknown[0]} is one); leave them out")
        labels = np.array([EMOTIONS.index(str(u.emotion)) for u in utterances])
        if len(set(labels.tolist())) < 2:
            raise ValueError(f"the {len(utterances)} training utterance(s) have fewer than two emotions; there is nothing to tell apart")
        heard = hearing(utterances, progress=progress) if states is None else np.stack([summary(*states[u.id]) for u in utterances])
        mean, scale = heard.mean(axis=0), heard.std(axis=0) + 1e-3
        classifier = LogisticRegression(C=penalty, max_iter=1000).fit((heard - mean) / scale, labels)
        coefficients, intercepts = classifier.coef_, classifier.intercept_
        if len(classifier.classes_) == 2:  # sklearn keeps the second class's alone
            coefficients, intercepts = np.concatenate([-coefficients, coefficients]) / 2, np.concatenate([-intercepts, intercepts]) / 2
        slope = np.zeros((len(EMOTIONS), heard.shape[1]), np.float32)
        bias = np.full(len(EMOTIONS), NEVER, np.float32)
        slope[classifier.classes_], bias[classifier.classes_] = coefficients, intercepts
        return cls(hearing, {"mean": mean, "scale": scale, "slope": slope, "bias": bias}, sorted({u.speaker for u in utterances}))

    def save(self, folder: str | Path) -> None:
        """Write probe.safetensors and probe.json into a folder."""
        from safetensors.numpy import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(value) for name, value in self.weights.items()}, folder / "probe.safetensors")
        about = {"encoder": self.hearing.name, "name": self.name, "speakers": sorted(self.speakers)}
        (folder / "probe.json").write_text(json.dumps(about, indent=1))

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", batch: int | None = None) -> LinearProbe:
        """Read what `save` wrote.

        Raises:
            WeightsError: there is no probe in the folder, or its encoder is not on this machine.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            about = json.loads((Path(folder) / "probe.json").read_text())
            weights = load_file(Path(folder) / "probe.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise WeightsError(
                f"{folder} holds no linear probe ({type(error).__name__}); train one with LinearProbe.fit(...).save(...)"
            ) from None
        return cls(Hearing(about["encoder"], device=device, batch=batch), weights, about["speakers"], name=about["name"])

    @property
    def fingerprint(self) -> str:
        """What tells these weights from others."""
        return fingerprint(self.hearing.encoder, self.weights)

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p of the emotions of the tone; warns where a training speaker is among the utterances."""
        if known := sorted(self.speakers & {u.speaker for u in utterances}):
            warnings.warn(f"{self.name} was trained on {len(known)} of these speakers ({known[0]} is one); take others", stacklevel=2)
        return self._scores(self.hearing(utterances, progress=progress) if utterances else np.zeros((0, len(self.weights["mean"]))))

    def read_scores(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """(N, 7) log p where nothing is heard: those of the mean recording, whatever the words."""
        return self._scores(np.repeat(self.weights["mean"][None], len(texts), axis=0))

    def _scores(self, heard: np.ndarray) -> np.ndarray:
        raw = ((heard - self.weights["mean"]) / self.weights["scale"]) @ self.weights["slope"].T + self.weights["bias"]
        return raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
