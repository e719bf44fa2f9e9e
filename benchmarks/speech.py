"""How good is the synthetic speech? Word errors, separability of the tone, and transfer to real actors.

    python benchmarks/speech.py --data data/nano [--ravdess FOLDER] [--emodb FOLDER] [--json benchmarks/results/speech.json]

- word errors of Whisper tiny.en (greedy) on held-out speakers, neutral and expressive renderings apart, and by synthesizer;
- probe: logistic regression on the mean and deviation over time of the encoder's layers 1-3 and the level (what the connector gets), trained on
  the training parts, tested on speakers and sentences that are in none of them; also trained on one synthesizer and tested on the other;
- transfer: the same on one layer without the level, trained on synthetic speech only, tested on RAVDESS actors 13-24 (7 emotions) and EmoDB (6);
  layer and regularisation are chosen on RAVDESS actors 1-12. Speaker-normalised (every speaker's features are centred and scaled over all of
  their recordings, which assumes that one has recordings of a speaker in many emotions) and without. Chance: .143 and .167.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from cogviz import corpora
from cogviz.emotions import EMOTIONS
from cogviz.lime import dataset
from cogviz.models import backbones, processing
from cogviz.models.encoder import encode_layers
from cogviz.scoring import word_error_rate
from cogviz.statistics import Estimate, balanced_accuracy, mean
from cogviz.training.features import Features
from cogviz.utterance import Utterance

PENALTIES = (0.0003, 0.003, 0.03)


class _Encoder:
    """What `training.features.encode` needs of a model: the frozen encoder."""

    def __init__(self) -> None:
        self.audio_encoder = backbones.whisper_encoder()

    def encode(self, mel, mask):
        import torch

        with torch.no_grad():
            return encode_layers(self.audio_encoder, mel, mask)


def encode(utterances: Sequence[Utterance], folder: Path) -> Features:
    """Features of utterances, kept in `folder`."""
    from transformers import WhisperFeatureExtractor

    from cogviz.training import features

    processor = processing.CogAudioProcessor.__new__(processing.CogAudioProcessor)
    processor.feature_extractor = WhisperFeatureExtractor(feature_size=80)
    return features.encode(utterances, _Encoder(), processor, folder)


def pooled(features: Features, chosen: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """((N, L + 1, 2 D) mean and deviation over time, (N, 2) mean and deviation of the level)."""
    states, levels = [], []
    for i in chosen:
        s, level = features.get(i)
        s = s.astype(np.float32)
        states.append(np.concatenate([s.mean(axis=1), s.std(axis=1)], axis=-1))
        levels.append([level.mean(), level.std()])
    return np.stack(states), np.array(levels)


def normalised(values: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Centre and scale every speaker's features over all of their recordings."""
    result = values.copy()
    for speaker in np.unique(speakers):
        own = speakers == speaker
        result[own] = (values[own] - values[own].mean(axis=0)) / (values[own].std(axis=0) + 1e-3)
    return result


def fit(values: np.ndarray, labels: np.ndarray, penalty: float) -> LogisticRegression:
    """One probe."""
    return LogisticRegression(C=penalty, max_iter=300).fit(values, labels)


def score(utterances: Sequence[Utterance], predicted: np.ndarray) -> Estimate:
    """Balanced accuracy with a clustered interval."""
    return balanced_accuracy(
        [str(u.emotion) for u in utterances],
        list(predicted),
        sentences=[u.sentence for u in utterances],
        speakers=[u.speaker for u in utterances],
    )


def transcripts(utterances: Sequence[Utterance]) -> list[str]:
    """Whisper's greedy transcripts."""
    import torch
    from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

    folder = backbones.resolve(backbones.WHISPER_TINY_EN)
    model, extractor = backbones.whisper(), WhisperFeatureExtractor(feature_size=80)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    texts = []
    for start in range(0, len(utterances), 16):
        clips = [u.samples for u in utterances[start : start + 16]]
        inputs = extractor(clips, sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            out = model.generate(inputs.input_features, do_sample=False, max_new_tokens=60)
        texts += [tokenizer.decode([t for t in row.tolist() if t < 50256]) for row in out]
    return texts


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ravdess", type=Path)
    parser.add_argument("--emodb", type=Path)
    parser.add_argument("--train", type=int, default=4000, help="training utterances of the probes")
    parser.add_argument("--words", type=int, default=160, help="utterances transcribed, neutral and expressive each")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict] = []

    def report(measure: str, estimate: Estimate, data: str) -> None:
        print(f"{measure:<44} {data:<24} {estimate}", flush=True)
        rows.append({"model": "probe", "measure": measure, "data": data, **{k: v for k, v in estimate.row().items() if k != "scope"}})

    everything = dataset.read(options.data)
    features = encode(everything, options.data / "features")
    draw = np.random.default_rng(0)
    part = np.array([str(u.extra["part"]) for u in everything])
    train = np.flatnonzero(np.isin(part, ["ambiguous_train", "everyday_train", "emotional_train"]))
    train = draw.permutation(train)[: options.train]
    # The neutral takes count once at any intensity; the others at mid and high.
    test = np.array([i for i in np.flatnonzero(np.isin(part, ["ambiguous_test", "emotional_test"])) if everything[i].intensity != 0.5])

    for name, neutral in (("neutral", True), ("expressive", False)):
        chosen = draw.permutation([i for i in test if (everything[i].emotion == "neutral") == neutral])[: options.words]
        spoken = [everything[i] for i in chosen]
        heard = transcripts(spoken)
        errors = np.array([word_error_rate(u.text, t) * len(u.text.split()) for u, t in zip(spoken, heard, strict=True)])
        lengths = np.array([len(u.text.split()) for u in spoken])
        for which in ("all", "espeak", "neural"):
            keep = np.array([which in ("all", u.extra["synthesizer"]) for u in spoken])
            rate = float(errors[keep].sum() / lengths[keep].sum())
            spread = mean(
                errors[keep] / lengths[keep],
                sentences=[u.sentence for u, k in zip(spoken, keep, strict=True) if k],
                speakers=[u.speaker for u, k in zip(spoken, keep, strict=True) if k],
            )
            report(f"whisper word error rate, {name}", Estimate(rate, spread.low, spread.high, int(keep.sum())), f"test, {which} voices")

    x_train, level_train = pooled(features, train)
    x_test, level_test = pooled(features, test)
    y_train = np.array([everything[i].emotion for i in train])
    by_speaker = np.array([everything[i].speaker for i in train])
    synthesizer = np.array([everything[i].extra["synthesizer"] for i in train])
    spoken = [everything[i] for i in test]
    wide_train = np.concatenate([x_train[:, 1:4].reshape(len(train), -1), level_train], axis=1)
    wide_test = np.concatenate([x_test[:, 1:4].reshape(len(test), -1), level_test], axis=1)
    middle, scale = wide_train.mean(axis=0), wide_train.std(axis=0) + 1e-3
    wide_train, wide_test = (wide_train - middle) / scale, (wide_test - middle) / scale
    probe = fit(wide_train, y_train, 0.01)
    report("probe, layers 1-3 and level", score(spoken, probe.predict(wide_test)), "test, held-out speakers")
    for source, target in (("espeak", "neural"), ("neural", "espeak")):
        keep = np.array([u.extra["synthesizer"] == target for u in spoken])
        other = fit(wide_train[synthesizer == source], y_train[synthesizer == source], 0.01)
        report(
            "probe, held-out synthesizer",
            score([u for u, k in zip(spoken, keep, strict=True) if k], other.predict(wide_test[keep])),
            f"{source} -> {target}",
        )
    for layer in range(x_train.shape[1]):
        m, s = x_train[:, layer].mean(axis=0), x_train[:, layer].std(axis=0) + 1e-3
        one = fit((x_train[:, layer] - m) / s, y_train, 0.003)
        report(f"probe, layer {layer}", score(spoken, one.predict((x_test[:, layer] - m) / s)), "test, held-out speakers")

    real = {name: root for name, root in (("ravdess", options.ravdess), ("emodb", options.emodb)) if root}
    if "ravdess" in real:
        held: dict[str, tuple[list[Utterance], np.ndarray, np.ndarray]] = {}
        for name, root in real.items():
            spoken_real = corpora.read(name, root)
            x, _ = pooled(encode(spoken_real, options.data / f"features-{name}"), range(len(spoken_real)))
            held[name] = (spoken_real, x, np.array([u.speaker for u in spoken_real]))
        for assumes in ("speaker-normalised", "not normalised"):
            best: tuple[float, dict[str, Estimate], str] | None = None
            for layer in (1, 2, 3):
                base = x_train[:, layer]
                if assumes == "speaker-normalised":
                    fitted, views = normalised(base, by_speaker), {n: normalised(x[:, layer], s) for n, (_, x, s) in held.items()}
                else:
                    m, s = base.mean(axis=0), base.std(axis=0) + 1e-3
                    fitted, views = (base - m) / s, {n: (x[:, layer] - m) / s for n, (_, x, _) in held.items()}
                for penalty in PENALTIES:
                    one = fit(fitted, y_train, penalty)
                    found: dict[str, Estimate] = {}
                    chosen_score = 0.0
                    for name, (spoken_real, _, _) in held.items():
                        present = [e for e in EMOTIONS if any(u.emotion == e for u in spoken_real)]
                        columns = [list(one.classes_).index(e) for e in present]
                        predicted = np.array(present)[one.predict_proba(views[name])[:, columns].argmax(axis=1)]
                        early = np.array([name == "ravdess" and int(u.speaker[-2:]) <= 12 for u in spoken_real])
                        if early.any():
                            chosen_score = score([u for u, e in zip(spoken_real, early, strict=True) if e], predicted[early]).value
                        found[name] = score([u for u, e in zip(spoken_real, early, strict=True) if not e], predicted[~early])
                    if best is None or chosen_score > best[0]:
                        best = (chosen_score, found, f"layer {layer}, C {penalty}")
            assert best is not None
            for name, estimate in best[1].items():
                report(f"transfer, {assumes} ({best[2]})", estimate, {"ravdess": "RAVDESS-7, actors 13-24", "emodb": "EmoDB-6"}[name])
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
