"""Two recognisers that share nothing with the model: one hears only the sound, the other reads only the words.

They say what the stimuli carry (see `gate`). Each names an emotion for every item after training on the others: never on an item with the same
speaker or the same sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from cogviz.audio import RATE
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FOLDS = 4
F0_FLOOR, F0_CEILING = 65.0, 700.0
"""Hz, of a deep man's voice and of a frightened child's."""

_FRAME, _HOP = 1024, 256  # samples: 64 ms, 16 ms
_BELOW_LOUD = 30.0  # dB under the loud frames: what is quieter is silence


def functionals(samples: np.ndarray) -> dict[str, float]:
    """Return what a waveform (16 kHz, mono) sounds like in numbers: functionals of F0, level, timing and spectrum, as openSMILE makes them.

    F0 is YIN's (de Cheveigne & Kawahara 2002), in semitones above 100 Hz, over the frames that are no silence.
    """
    import librosa

    samples = np.asarray(samples, dtype=np.float32)
    if len(samples) < 2 * _FRAME:
        samples = np.pad(samples, (0, 2 * _FRAME - len(samples)))
    level = librosa.amplitude_to_db(librosa.feature.rms(y=samples, frame_length=_FRAME, hop_length=_HOP)[0], amin=1e-6)
    speech = np.flatnonzero(level > np.percentile(level, 95) - _BELOW_LOUD)
    first, last = speech[0], speech[-1]
    time = (speech - first) / max(last - first, 1)
    hz = librosa.yin(samples, fmin=F0_FLOOR, fmax=F0_CEILING, sr=RATE, frame_length=_FRAME, hop_length=_HOP)
    tone = 12 * np.log2(hz[np.minimum(speech, len(hz) - 1)] / 100)
    power = np.abs(librosa.stft(samples, n_fft=_FRAME, hop_length=_HOP)) ** 2
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=40))
    timbre = librosa.feature.mfcc(S=mel, n_mfcc=13)[1:, speech]
    voiced = power[:, speech]
    centre = np.log2(librosa.feature.spectral_centroid(S=np.sqrt(voiced), sr=RATE)[0] + 1.0)
    bins = librosa.fft_frequencies(sr=RATE, n_fft=_FRAME)
    low, high = (voiced[(bins >= a) & (bins < b)].sum() + 1e-10 for a, b in ((50, 1000), (1000, 5000)))
    end = time > 0.8
    return {
        "f0_median": float(np.median(tone)),
        "f0_range": float(np.percentile(tone, 90) - np.percentile(tone, 10)),
        "f0_spread": float(tone.std()),
        "f0_slope": _slope(time, tone),
        "f0_end": float(np.median(tone[end]) - np.median(tone)) if end.any() else 0.0,
        "f0_roughness": float(np.median(np.abs(np.diff(tone)))) if len(tone) > 1 else 0.0,
        "level_median": float(np.median(level[speech])),
        "level_dynamics": float(np.percentile(level[speech], 95) - np.median(level[speech])),
        "level_spread": float(level[speech].std()),
        "level_slope": _slope(time, level[speech]),
        "seconds": float(np.log2((last - first + 1) * _HOP / RATE)),
        "silence": float(1 - len(speech) / (last - first + 1)),
        "alpha_ratio": float(10 * np.log10(high / low)),
        "centroid_mean": float(centre.mean()),
        "centroid_spread": float(centre.std()),
        "flatness": float(np.log(librosa.feature.spectral_flatness(S=np.sqrt(voiced))[0] + 1e-10).mean()),
        **{f"mfcc{i}_mean": float(x.mean()) for i, x in enumerate(timbre, 1)},
        **{f"mfcc{i}_spread": float(x.std()) for i, x in enumerate(timbre, 1)},
    }


def _slope(time: np.ndarray, values: np.ndarray) -> float:
    return float(np.polyfit(time, values, 1)[0]) if len(values) > 1 else 0.0


def acoustic_features(utterances: Sequence[Utterance], *, jobs: int = 1, progress: bool = True) -> np.ndarray:
    """(N, features) `functionals` of each recording."""
    from tqdm import tqdm

    work = (delayed(lambda u: list(functionals(u.samples).values()))(u) for u in utterances)
    found = Parallel(n_jobs=jobs, return_as="generator")(work)
    return np.array(list(tqdm(found, total=len(utterances), desc="acoustic features", disable=not progress)))


def hear_voices(features: np.ndarray, emotions: Sequence[str], *, speakers: Sequence[str], sentences: Sequence[str]) -> np.ndarray:
    """Name the emotion of each voice from its sound, by logistic regression over features that are standardised within each speaker.

    Args:
        features: (N, D), such as `acoustic_features`. emotions: what the voices carry, (N,).

    Raises:
        ValueError: there is one emotion, one speaker or one sentence only.
    """
    from sklearn.linear_model import LogisticRegression

    features, truth = np.asarray(features, dtype=float), np.asarray(emotions, dtype=str)
    _need_two("emotion", truth)
    speaker_of, sentence_of = _parts("speaker", speakers), _parts("sentence", sentences)
    own = np.empty_like(features)
    for speaker in np.unique(np.asarray(speakers, dtype=str)):
        of = np.asarray(speakers, dtype=str) == speaker
        spread = features[of].std(axis=0)
        own[of] = (features[of] - features[of].mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    named = np.empty(len(truth), dtype=object)
    for speaker in np.unique(speaker_of):
        for sentence in np.unique(sentence_of):
            test = (speaker_of == speaker) & (sentence_of == sentence)
            train = (speaker_of != speaker) & (sentence_of != sentence)
            if test.any():
                named[test] = fitted(LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced"), own[train], truth[train]).predict(
                    own[test]
                )
    return named


def read_words(
    texts: Sequence[str], emotions: Sequence[str], *, sentences: Sequence[str], further: tuple[Sequence[str], Sequence[str]] = ((), ())
) -> np.ndarray:
    """Name the emotion of each text from its words, by logistic regression over TF-IDF of words and of characters within them.

    Args:
        emotions: what the words carry, (N,).
        sentences: what must not be in training and test both: the sentence, or better the template that it is made from.
        further: texts and emotions that every fold trains on too, of other sentences.

    Raises:
        ValueError: there is one emotion or one sentence only.
    """
    said, truth = np.asarray(texts, dtype=str), np.asarray(emotions, dtype=str)
    _need_two("emotion", truth)
    sentence_of = _parts("sentence", sentences)
    _, first = np.unique(said, return_index=True)  # a text that many speakers say trains once
    once = np.isin(np.arange(len(truth)), first)
    named = np.empty(len(truth), dtype=object)
    for fold in np.unique(sentence_of):
        train, test = np.flatnonzero((sentence_of != fold) & once), np.flatnonzero(sentence_of == fold)
        reader = fitted(text_classifier(), [*said[train], *further[0]], [*truth[train], *further[1]])
        named[test] = reader.predict(said[test])
    return named


def text_classifier() -> Pipeline:
    """An untrained classifier of short texts: logistic regression over TF-IDF of words and of characters within them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), LogisticRegression(C=10.0, max_iter=2000, class_weight="balanced"))


def fitted(classifier: Any, inputs: Any, labels: Any) -> Any:
    """Return a classifier trained on inputs and their labels; raises ValueError where all have one label."""
    _need_two("emotion", np.asarray(labels, dtype=str), where="one fold's training items")
    return classifier.fit(inputs, labels)


def _need_two(what: str, values: np.ndarray, *, where: str = "all items") -> None:
    if len(kinds := np.unique(values)) < 2:
        raise ValueError(
            f"{where} have the {what} {', '.join(kinds) or '(none)'} only: a recogniser is trained on some and tested on others, so it needs two"
        )


def _parts(what: str, names: Sequence[str]) -> np.ndarray:
    """(N,) fold of each item: names are dealt to at most `FOLDS` folds, the commonest first."""
    values, counts = np.unique(np.asarray(names, dtype=str), return_counts=True)
    _need_two(what, values)
    order = np.argsort(-counts, kind="stable")
    fold = np.empty(len(values), dtype=int)
    fold[order] = np.arange(len(values)) % FOLDS
    return fold[np.searchsorted(values, np.asarray(names, dtype=str))]
