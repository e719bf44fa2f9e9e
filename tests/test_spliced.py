"""Sentences put together anew: what is heard, what is said, and what may be answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cogviz.eips import parse
from cogviz.emotions import EMOTIONS
from cogviz.lime import dataset
from cogviz.lime.build import build
from cogviz.lime.sentences import sentences
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.scoring import claimed_emotion, heard_words, normalised_words
from cogviz.training import features, reading
from cogviz.training.data import Example, Examples, target
from cogviz.training.spliced import Splicer
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]

PLAN = """
name: pairs
about: Six sentences by one speaker, so that every utterance has partners.
parts:
  - {name: spoken, kind: everyday, split: train, voices: [neural-f1], sentences: 6, variants: {some: 3}, intensities: [high]}
  - {name: loaded, kind: emotional, split: train, voices: [neural-f1], sentences: 4, variants: {some: 2}, intensities: [high]}
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "plan.yaml").write_text(PLAN)
    build(str(folder / "plan.yaml"), folder / "data", backend="sequential", progress=False)
    return folder / "data"


def every_splice(utterances: list[Utterance]) -> list:
    splicer = Splicer(utterances, range(len(utterances)))
    found = [splicer.splice(i, np.random.default_rng((i, take))) for i in range(len(utterances)) for take in range(20)]
    return [s for s in found if s is not None]


def test_a_splice_is_two_utterances_of_one_speaker_in_one_tone_cut_between_words(speech: Path) -> None:
    utterances = dataset.read(speech)
    found = every_splice(utterances)
    assert len(found) > 20
    for splice in found:
        one, two = utterances[splice.first], utterances[splice.second]
        assert one.sentence != two.sentence
        assert (one.speaker, one.emotion, one.intensity) == (two.speaker, two.emotion, two.intensity)
        words = splice.sentence.text.split()
        begin, end = one.text.split(), two.text.split()
        cut, resume = map(int, splice.sentence.id.split("-")[-2:])
        assert words[cut:] == end[resume:]
        assert [w.strip(",.;:!?") for w in words[:cut]] == [w.strip(",.;:!?") for w in begin[:cut]]
        assert 0 < cut < len(words)
        assert splice.sentence.topic.lower() in splice.sentence.text.lower()
        assert splice.sentence.readings == {}
        assert splice.until * 0.08 == pytest.approx(one.words[cut - 1].end, abs=0.05)
        assert splice.since * 0.08 == pytest.approx(two.words[resume].start, abs=0.09)


def test_frames_are_joined_where_the_words_are_cut(speech: Path) -> None:
    splice = every_splice(dataset.read(speech))[0]
    first, second = np.arange(400).reshape(2, 200), 1000 + np.arange(400).reshape(2, 200)
    joined = splice.join(first, second, axis=1)
    assert joined.shape == (2, splice.until + 200 - splice.since)
    np.testing.assert_array_equal(joined[:, : splice.until], first[:, : splice.until])
    np.testing.assert_array_equal(joined[:, splice.until :], second[:, splice.since :])


def test_nobody_is_spliced_with_themselves_or_another_speaker() -> None:
    alone = [Utterance(str(i), "a b c d", "sad", f"speaker-{i}", "s", "test") for i in range(3)]
    assert Splicer(alone, range(3)).splice(0, np.random.default_rng(0)) is None


def test_examples_learn_what_a_splice_says_and_no_reading(make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path) -> None:
    model, processor = make_tiny()
    utterances = dataset.read(speech)
    stored = features.encode(utterances, model, processor, tmp_path / "features", progress=False)
    drawn = [Example(i, task) for i in range(len(utterances)) for task in ("transcribe", "reason", "name")]
    kinds = {u.extra["part"]: 0 for u in utterances}
    rows = Examples(drawn, utterances, stored, processor, augment=False, unfamiliar=1.0)
    plain = Examples(drawn, utterances, stored, processor, augment=False)
    for i, example in enumerate(drawn):
        row, utterance = rows[i], utterances[example.utterance]
        said = processor.tokenizer.decode(row["spoken"])
        learned = processor.tokenizer.decode([t for t in row["labels"] if t != -100][:-1])
        assert (
            row["input_ids"].count(model.config.audio_token_id) == row["states"].shape[1] + processor.tone_tokens == len(row["levels"]) + 2
        )
        if example.task == "name" or said == utterance.text:
            assert row["input_ids"] == plain[i]["input_ids"]
        elif example.task == "transcribe":
            assert learned == said
            kinds[utterance.extra["part"]] += 1
        else:
            answer = parse(learned)
            assert answer is not None
            assert claimed_emotion(answer) == utterance.emotion
            assert normalised_words(heard_words(answer)) == normalised_words(said)
            assert utterance.lexical_emotion is None, "words with an emotion would have to be named"
            assert learned != target(utterance, "reason")
            kinds["reason"] = kinds.get("reason", 0) + 1
    assert min(kinds.values()) > 0, kinds
    assert rows[4]["input_ids"] == rows[4]["input_ids"]


def test_exchanged_words_leave_the_topic_and_take_the_reading(make_tiny: Callable[..., Pair]) -> None:
    _, processor = make_tiny()
    known = sentences(kind="ambiguous", split="train")[:40]
    texts = [s.text for s in known]
    how = {"count": 80, "seed": 3, "tasks": {"reason": 1.0}, "answered": [(s, EMOTIONS) for s in known]}
    rows = reading.ReadingExamples(texts, processor, unfamiliar=1.0, **how)
    draw = np.random.default_rng(0)
    changed = 0
    for _ in range(80):
        said, answer, _ = rows._said("reason", draw)
        chain = parse(answer).chain
        assert f'"{said}"' in chain.perception
        changed += said not in texts
        assert any(s.topic.lower() in said.lower() for s in known)
        assert not any(r.what in chain.intent for s in known for r in s.readings.values())
    assert changed > 60
    plain = reading.ReadingExamples(texts, processor, **how)
    assert all(plain._said("reason", draw)[0] in texts for _ in range(20))
