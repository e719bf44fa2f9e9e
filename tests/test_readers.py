"""The pure readers: they follow the words, see nothing of the test sentences, and hear no tone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cogviz.emotions import EMOTIONS
from cogviz.lime.sentences import sentences
from cogviz.models import backbones
from cogviz.models.listeners.cascade import Cascade, Transcriber
from cogviz.models.listeners.readers import LanguageModelReader, SentenceReader, drawn
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance


def needs(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if backbones.find(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"missing; cogviz weights fetch {' '.join(missing)}")


class Echo:
    """A reader that finds an emotion where its name stands."""

    name = "echo"

    def __call__(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        found = np.array([[0.0 if name in text else -5.0 for name in EMOTIONS] for text in texts]).reshape(-1, 7)
        return found - np.logaddexp.reduce(found, axis=1, keepdims=True)


def said(text: str, emotion: str = "sad") -> Utterance:
    return Utterance(text, text, emotion, "s", "x", "test", waveform=np.zeros(16000, np.float32))


def test_what_is_drawn_is_balanced_and_of_the_training_split() -> None:
    found = drawn(5, seed=3)
    assert [sum(s.emotion == e for s in found) for e in EMOTIONS] == [5] * 7
    assert {s.split for s in found} == {"train"}
    assert len({s.template for s in found}) == 35
    assert found == drawn(5, seed=3) != drawn(5, seed=4)


def test_the_true_words_decide_and_the_voice_does_not() -> None:
    listener = Cascade(Echo(), name="words")
    heard = listener.listen([said("so happy", voice) for voice in EMOTIONS] + [said("what a fear")], progress=False)
    assert [h.claimed for h in heard] == ["happy"] * 7 + ["fear"]
    assert [claimed_emotion(h.text) for h in heard] == [h.claimed for h in heard]
    assert listener.read(["so angry"], progress=False)[0].claimed == "angry"
    assert listener.answer([said("disgust")], "Who speaks?", progress=False) == ["The voice sounds disgusted."]
    assert listener.scores([], progress=False).shape == (0, 7)
    np.testing.assert_allclose(np.exp(listener.scores([said("sad")], progress=False)).sum(), 1)


def test_unknown_words_are_named() -> None:
    with pytest.raises(ValueError, match=r"1 utterance\(s\) have no transcript \(u7 is one\); take the cascade"):
        Cascade(Echo()).scores([said("a"), replace(said(" "), id="u7")], progress=False)


def test_the_cascade_reads_what_is_heard_and_not_what_is_true() -> None:
    class Deaf:
        name = "deaf"

        def __call__(self, utterances: Sequence[Utterance], *, progress: bool = True) -> list[str]:
            return ["a surprise"] * len(utterances)

    listener = Cascade(Echo(), Deaf())  # type: ignore[arg-type]
    assert listener.name == "deaf > echo"
    assert listener.listen([said("so happy")], progress=False)[0].claimed == "surprise"


@needs(backbones.WHISPER_TINY_EN)
def test_whisper_hears_words_in_a_batch_as_alone(tiny_dataset) -> None:
    from cogviz.lime import dataset
    from cogviz.scoring import word_error_rate

    some = sorted(dataset.read(tiny_dataset), key=lambda u: len(u.samples))
    some = [some[0], some[len(some) // 2], some[-1]]
    transcriber = Transcriber()
    together = transcriber(some, progress=False)
    assert together == [transcriber([u], progress=False)[0] for u in some]
    assert np.mean([word_error_rate(u.text, t) for u, t in zip(some, together, strict=True)]) < 0.5


@needs(backbones.SMOLLM2)
def test_the_language_model_reads_alike_in_a_batch_and_better_than_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    from cogviz.models.listeners import readers

    monkeypatch.setattr(readers, "EXAMPLES", 1)
    monkeypatch.setattr(readers, "CALIBRATING", 1)
    pool = sentences(kind="emotional", split="test")[::67]
    texts = [s.text for s in pool]
    reader = LanguageModelReader()
    scores = reader(texts, progress=False)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-4)
    right = np.mean([EMOTIONS[i] == s.emotion for i, s in zip(scores.argmax(axis=1), pool, strict=True)])
    assert right > 0.4, "chance is 1/7"
    alone = LanguageModelReader(batch=1)
    alone.__dict__.update(_lean=reader._lean, _shown=reader._shown)
    np.testing.assert_allclose(alone(texts[:2], progress=False), scores[:2], atol=1e-3)


@needs(backbones.MINILM)
def test_the_sentence_reader_reads_test_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    from cogviz.models.listeners import readers

    monkeypatch.setattr(readers, "sentences", lambda **kind: sentences(**kind)[::4])  # a quarter is enough here
    pool = sentences(kind="emotional", split="test")[::5]
    reader = SentenceReader()
    scores = reader([s.text for s in pool], progress=False)
    assert np.mean([EMOTIONS[i] == s.emotion for i, s in zip(scores.argmax(axis=1), pool, strict=True)]) > 0.8
    assert reader([]).shape == (0, 7)
