"""Attribution: on paths whose truth is known, and on a small model of the real shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from cogviz.attribution.gradients import METHODS, attribute, relevance
from cogviz.attribution.memory import Rows
from cogviz.attribution.paths import Path, warped
from cogviz.attribution.prepare import prepared
from cogviz.attribution.replay import Replay
from cogviz.attribution.targets import Answer, Emotion, likely
from cogviz.emotions import EMOTIONS
from cogviz.lime import dataset
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.probing.segments import SEGMENTS, segments
from cogviz.utterance import Utterance, Word, cells

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


def clip(seconds: float, seed: int, emotion: str = "angry") -> Utterance:
    draw = np.random.default_rng(seed)
    wave = 0.2 * np.sin(np.arange(int(seconds * 16000)) / draw.uniform(5, 20)) + 0.02 * draw.normal(size=int(seconds * 16000))
    words = (Word("So", 0.05, seconds / 3), Word("it", seconds / 3, seconds / 2), Word("is.", seconds / 2, seconds - 0.05))
    return Utterance(
        f"{seconds}-{seed}", "So it is.", emotion, f"s{seed}", f"x{seed}", "test", waveform=wave.astype(np.float32), lexical_emotion="sad",
        words=words,
    )  # fmt: skip


CLIPS = [clip(0.8, 1), clip(1.1, 2, "happy"), clip(0.5, 3, "fear")]
NEUTRAL = [clip(0.7, 11, "neutral"), clip(1.2, 12, "neutral"), clip(0.5, 13, "neutral")]
QUESTION = Emotion("voice", against="words")


@pytest.fixture(scope="module")
def listener(tiny_model: Pair) -> CogAudioListener:
    made = CogAudioListener.of(*tiny_model)
    made.max_new_tokens = 8
    return made


def linear(weight: torch.Tensor, *, rows: int = 3) -> tuple[Path, torch.Tensor]:
    """A path over places whose target is a weighted sum, and the relevance that is true of it."""
    torch.manual_seed(0)
    inputs = torch.randn(rows, *weight.shape)
    cells = torch.ones(rows, weight.shape[0], dtype=torch.bool)
    cells[0, :2] = False  # padding
    inputs[0, :2] = 0
    way = Path("tokens", (inputs,), (cells,), lambda d, r: (d[0] * weight).sum(dim=(1, 2)) + r)
    return way, (inputs * weight).sum(dim=-1)


@pytest.mark.parametrize("method", METHODS)
def test_of_a_linear_model_every_method_finds_the_weights(method: str) -> None:
    way, truth = linear(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)))
    found = relevance(way, method, steps=400 if method == "gradient_shap" else None, at_once=7)[0]  # type: ignore[arg-type]
    # GradientSHAP adds noise to what a gradient is multiplied with.
    torch.testing.assert_close(found, truth, atol=0.1 if method == "gradient_shap" else 1e-5, rtol=0)
    assert truth.abs().max() > 1


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_band_is_found(method: str) -> None:
    torch.manual_seed(2)
    mel, levels = torch.randn(2, 20, 48), torch.randn(2, 6)
    cells = torch.ones_like(mel, dtype=torch.bool), torch.ones_like(levels, dtype=torch.bool)

    def run(given: tuple[torch.Tensor, ...], rows: torch.Tensor) -> torch.Tensor:
        return (given[0][:, 10:20, 24:48].square()).sum(dim=(1, 2)) + 0 * given[1].sum(dim=1)

    found = relevance(Path("mel", (mel, levels), cells, run), method, window=(10, 24))  # type: ignore[arg-type]
    inside = found[0][:, 10:20, 24:48].abs().sum()
    assert float(inside / found[0].abs().sum()) > 0.999
    assert float(found[1].abs().max()) == 0
    assert float(inside) > 10


def test_a_replay_gives_the_scores_of_the_listener(listener: CogAudioListener) -> None:
    passage, target = Emotion("angry").on(listener, CLIPS)
    replay = Replay(listener, passage, target)
    logits = listener.logits(passage)[:, -1, listener.label_tokens].log_softmax(dim=-1)
    torch.testing.assert_close(replay.own, logits[:, EMOTIONS.index("angry")].detach(), atol=1e-5, rtol=0)
    rows = torch.arange(3)
    torch.testing.assert_close(replay.from_embeds(replay.embeds, rows), replay.own, atol=1e-5, rtol=0)
    heard, _ = prepared(listener, CLIPS, Emotion("angry"), "mel", None)
    torch.testing.assert_close(heard.from_mel(*heard.mel, rows).detach(), replay.own, atol=1e-4, rtol=0)
    assert not listener.states, "what was encoded once is forgotten"
    torch.testing.assert_close(replay.from_embeds(replay.embeds.flip(0), rows.flip(0)), replay.own.flip(0), atol=1e-5, rtol=0)


def test_a_contrast_is_the_difference_of_two_logits_and_an_answer_its_mean_log_probability(listener: CogAudioListener) -> None:
    passage, target = QUESTION.on(listener, CLIPS)
    seven = listener.logits(passage)[:, -1, listener.label_tokens]
    expected = seven[range(3), [EMOTIONS.index(str(u.emotion)) for u in CLIPS]] - seven[:, EMOTIONS.index("sad")]
    torch.testing.assert_close(Replay(listener, passage, target).own, expected.detach(), atol=1e-5, rtol=0)
    answers = ("So it is.", "I see, so it is.", "I see.")
    passage, target = Answer("response", answers=answers, route="direct").on(listener, CLIPS)
    said = (segments(listener, passage) == SEGMENTS.index("response")) & passage.places("answer")
    log_p = listener.logits(passage).log_softmax(dim=-1)
    for row, value in enumerate(Replay(listener, passage, target).own):
        at = said[row].nonzero()[:, 0]
        expected = log_p[row, at - 1, passage.ids[row, at]].mean()
        torch.testing.assert_close(value, expected.detach(), atol=1e-5, rtol=0)
    one = Answer("response", token=1, answers=answers, route="direct").on(listener, CLIPS)[1]
    assert one.places.shape == (3, 1)
    with pytest.raises(ValueError, match="there is no token 99"):
        Answer("response", token=99, answers=answers, route="direct").on(listener, CLIPS)
    with pytest.raises(ValueError, match="holds none of the tokens"):
        likely(passage, torch.zeros_like(said), name="none")


@pytest.fixture(scope="module")
def cell() -> tuple[list[Utterance], list[Utterance]]:
    """Two conflicts of the shipped speech, and their speakers' neutral renderings."""
    found = [c for c in cells(dataset.read("data_samples")) if len(c) > 6]
    return [found[0]["angry"], found[1]["sad"]], [c["neutral"] for c in found[:2]]


@pytest.mark.parametrize(("over", "neutral"), [("tokens", False), ("audio", True), ("text", False), ("mel", True)])
def test_integrated_gradients_of_a_trained_model_add_up_in_the_default_steps(
    cell: tuple[list[Utterance], list[Utterance]], over: str, neutral: bool
) -> None:
    trained = CogAudioListener("nano-aligned")
    question = Emotion("voice", against="neutral")
    some, references = (part[:1] if over == "mel" else part for part in cell)
    found = attribute(trained, some, over=over, question=question, references=references if neutral else None, progress=False)  # type: ignore[arg-type]
    change = found.whole - found.baseline
    assert np.abs(change).min() > 0.3, "or there is nothing to add up"
    np.testing.assert_allclose(found.sums, change, rtol=0.01)
    few = attribute(trained, some, over=over, question=question, method="gradient_x_input", progress=False)  # type: ignore[arg-type]
    assert np.abs(few.sums / (few.whole - few.baseline) - 1).max() > 0.05, "one gradient promises nothing"
    if over == "mel":
        return
    parts = found.by_segment()
    outside = {"audio": ("instruction", "perception"), "text": ("tone", "words"), "tokens": ()}[over]
    assert all(np.abs(parts[name]).max() == 0 for name in outside)
    np.testing.assert_allclose(sum(parts.values()), found.sums, atol=1e-5)


def test_a_voice_does_nothing_that_its_own_rendering_does_not_do(listener: CogAudioListener) -> None:
    found = attribute(listener, CLIPS, over="mel", question=QUESTION, references=NEUTRAL, steps=4, progress=False)
    same = attribute(listener, NEUTRAL[:1], over="mel", references=NEUTRAL[:1], steps=4, progress=False)
    assert np.abs(same.values[0]).max() == 0
    assert np.abs(found.values[0]).max() > 0


@pytest.mark.parametrize(("method", "over"), [("integrated_gradients", "tokens"), ("gradient_x_input", "mel"), ("occlusion", "audio")])
def test_a_batch_gives_the_numbers_of_one_at_a_time(listener: CogAudioListener, method: str, over: str) -> None:
    settings = {"method": method, "over": over, "question": QUESTION, "steps": 8, "references": NEUTRAL, "progress": False}
    together = attribute(listener, CLIPS, **settings)  # type: ignore[arg-type]
    for i, utterance in enumerate(CLIPS):
        alone = attribute(listener, [utterance], **{**settings, "references": [NEUTRAL[i]]})  # type: ignore[arg-type]
        np.testing.assert_allclose(together.values[i], alone.values[0], atol=1e-5)
        assert together.places[i].pieces == alone.places[0].pieces
        assert np.abs(alone.values[0]).max() > 1e-4


def test_memory_is_bounded_and_the_numbers_are_the_same(listener: CogAudioListener) -> None:
    some = attribute(listener, CLIPS, question=QUESTION, steps=8, at_once=3, progress=False)
    many = attribute(listener, CLIPS, question=QUESTION, steps=8, at_once=64, progress=False)
    for a, b in zip(some.values, many.values, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_relevance_lies_in_the_band_that_the_encoder_hears(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny(seed=3)
    listener = CogAudioListener.of(model, processor)
    every = attribute(listener, CLIPS[:1], over="mel", method="gradient_x_input", references=NEUTRAL[:1], progress=False)
    with torch.no_grad():
        deaf = torch.ones(80, dtype=torch.bool)
        deaf[30] = False
        model.audio_encoder.conv1.weight[:, deaf] = 0
    one = attribute(listener, CLIPS[:1], over="mel", method="gradient_x_input", references=NEUTRAL[:1], progress=False)
    assert set(np.flatnonzero(np.abs(one.values[0]).sum(axis=1))) == {30}
    assert (np.abs(every.values[0]).sum(axis=1) > 0).sum() > 70


def test_the_frames_that_are_read_stay(listener: CogAudioListener) -> None:
    """Silence would be read as other frames, of another number; the passage keeps those of the input."""
    replay, way = prepared(listener, CLIPS, Emotion("angry"), "mel", None)
    silent = tuple(torch.zeros_like(d) for d in way.differences)
    assert way.run(silent, way.rows).shape == (3,)
    quiet = [replace(u, waveform=np.full(len(u.samples), 1e-4, dtype=np.float32)) for u in CLIPS]
    assert listener.naming(quiet).ids.shape != replay.passage.ids.shape


def test_a_neutral_rendering_is_warped_word_by_word() -> None:
    slow = replace(
        CLIPS[0], waveform=np.tile(CLIPS[0].samples, 2), words=tuple(Word(w.text, 2 * w.start, 2 * w.end) for w in CLIPS[0].words)
    )
    source = warped(CLIPS[0], slow, 80)
    np.testing.assert_allclose(source, 2 * np.arange(80) + 1, atol=1)
    late = replace(CLIPS[0], words=(Word("So", 0.05, 0.6), Word("it", 0.6, 0.7), Word("is.", 0.7, 0.75)))
    assert abs(int(warped(CLIPS[0], late, 80)[26]) - 60) <= 3, "the end of the first word"


def test_what_is_not_possible_is_said(listener: CogAudioListener) -> None:
    with pytest.raises(ValueError, match="no method 'lime'"):
        attribute(listener, CLIPS, method="lime")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="choose mel, audio, text or tokens"):
        attribute(listener, CLIPS, over="pixels", progress=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 utterances but 1 references"):
        attribute(listener, CLIPS, references=NEUTRAL[:1])
    with pytest.raises(ValueError, match="are the same emotion"):
        attribute(listener, [replace(CLIPS[0], emotion="sad")], question=QUESTION, progress=False)
    with pytest.raises(ValueError, match="carries no known emotion"):
        attribute(listener, [replace(CLIPS[0], lexical_emotion=None)], question=QUESTION, progress=False)
    with pytest.raises(ValueError, match="no utterances"):
        attribute(listener, [])


@pytest.mark.requires_cuda
def test_the_gpu_gives_the_numbers_of_the_cpu(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny()
    for over in ("tokens", "mel"):
        settings = {"over": over, "question": QUESTION, "steps": 8, "references": NEUTRAL, "progress": False}
        here = attribute(CogAudioListener.of(model.cpu(), processor), CLIPS, **settings)  # type: ignore[arg-type]
        there = attribute(CogAudioListener.of(model.cuda(), processor), CLIPS, **settings)  # type: ignore[arg-type]
        for a, b in zip(here.values, there.values, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-3)


def test_fewer_rows_go_through_where_memory_runs_out(listener: CogAudioListener, caplog: pytest.LogCaptureFixture) -> None:
    memory, tried = Rows(listener, "tokens", 64), []

    def work(rows: int) -> int:
        tried.append(rows)
        if rows > 20:
            raise RuntimeError("not enough memory: you tried to allocate")
        return rows

    assert memory.run(work, least=3) == 16
    assert memory.run(work) == 16
    assert tried == [64, 32, 16, 16], "once it is known, it is not tried again"
    assert "16 rows at once" in caplog.text
    with pytest.raises(RuntimeError, match="not enough memory"):
        memory.run(work, least=30)
    with pytest.raises(RuntimeError, match="another"):
        memory.run(lambda _: (_ for _ in ()).throw(RuntimeError("another")))
