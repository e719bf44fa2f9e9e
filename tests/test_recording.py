"""A recording holds what the sites held: the same in batches as one by one, in files as in memory, and nothing of the padding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cogviz.emotions import EMOTIONS
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.models.protocol import Passage
from cogviz.probing.record import At, Recording, record
from cogviz.probing.segments import SEGMENTS, segments
from cogviz.probing.sites import NoAttention, UnknownSite, sites, watched
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


def clip(seconds: float, seed: int) -> Utterance:
    draw = np.random.default_rng(seed)
    wave = 0.2 * np.sin(np.arange(int(seconds * 16000)) / draw.uniform(5, 20)) + 0.02 * draw.normal(size=int(seconds * 16000))
    return Utterance(f"{seconds}-{seed}", "So it is.", None, "s", "x", "test", waveform=wave.astype(np.float32))


CLIPS = [clip(1.0, 1), clip(1.9, 2), clip(0.6, 3), clip(1.3, 4)]


@pytest.fixture
def listener(tiny_model: Pair) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


def made(listener: CogAudioListener, at: At, **more: object) -> Recording:
    return record(listener, CLIPS, list(sites(listener)), at=at, progress=False, **more)


@pytest.mark.parametrize("at", ["segments", "positions", "pooled", "end"])
def test_in_a_batch_is_one_by_one(listener: CogAudioListener, at: At) -> None:
    together, alone = made(listener, at), made(listener, at, batch=1)
    np.testing.assert_allclose(together.scores, alone.scores, atol=1e-5)
    for site in together.sites:
        for row in range(len(CLIPS)):
            if at == "positions":
                first, second = together.row(site, row), alone.row(site, row)
            else:
                first, second = together.states[site][row], alone.states[site][row]
            scale = max(np.nanmax(np.abs(second)), 1)
            np.testing.assert_allclose(first / scale, second / scale, atol=1e-5, err_msg=site)


def test_what_is_kept_is_what_the_hooks_saw(listener: CogAudioListener) -> None:
    with torch.no_grad():
        passage = listener.naming(CLIPS)
        with watched(listener, ["encoder.1", "lm.1"]) as seen:
            logits = listener.logits(passage)
        found = segments(listener, passage)
    by_segment, end, every = made(listener, "segments"), made(listener, "end"), made(listener, "positions")
    frames = passage.inputs["feature_attention_mask"][:, ::2].bool()
    for row in range(len(CLIPS)):
        for name in by_segment.segments:
            here = found[row] == SEGMENTS.index(name)
            np.testing.assert_allclose(by_segment.of("lm.1", name)[row], seen["lm.1"][row, here].mean(0), atol=1e-4)
        np.testing.assert_allclose(end.of("lm.1")[row], seen["lm.1"][row, -1], atol=1e-4)
        real = found[row] != 0
        np.testing.assert_allclose(every.row("lm.1", row), seen["lm.1"][row, real], atol=1e-4)
        assert every.segments_at(row).tolist() == found[row, real].tolist()
        sound = seen["encoder.1"][row, frames[row]]
        np.testing.assert_allclose(by_segment.of("encoder.1")[row], sound.mean(0), atol=1e-4)
        np.testing.assert_allclose(every.row("encoder.1", row), sound, atol=1e-4)
    expected = logits[:, -1].log_softmax(-1)[:, listener.label_tokens].log_softmax(-1)
    np.testing.assert_allclose(end.scores, expected, atol=1e-4)
    assert end.scores.shape == (len(CLIPS), len(EMOTIONS))


def test_attention_from_segment_to_segment_sums_to_one(listener: CogAudioListener) -> None:
    name = "lm.1.pattern"
    kept = {at: record(listener, CLIPS, [name], at=at, progress=False) for at in ("segments", "positions", "pooled", "end")}
    count = len(kept["segments"].segments)
    assert kept["segments"].states[name].shape == (len(CLIPS), 2, count, count)
    for at in ("segments", "pooled", "end"):
        np.testing.assert_allclose(kept[at].states[name].sum(-1), 1, atol=1e-5)
    for row in range(len(CLIPS)):
        whole, where = kept["positions"].row(name, row), kept["positions"].segments_at(row)
        np.testing.assert_allclose(whole.sum(-1), 1, atol=1e-5)
        assert (np.triu(whole[0], 1) == 0).all(), "nobody reads what comes later"
        tone = where == SEGMENTS.index("tone")
        expected = whole[:, -1, tone].sum(-1)
        np.testing.assert_allclose(kept["end"].states[name][row][:, kept["end"].segments.index("tone")], expected, atol=1e-5)


def test_an_attention_without_weights_is_an_error(listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch) -> None:
    attention = listener.layers()[1].self_attn
    whole, before = attention.forward, [len(m._forward_hooks) for m in listener.model.modules()]
    monkeypatch.setitem(attention.__dict__, "forward", lambda *args, **kwargs: (whole(*args, **kwargs)[0], None))
    with pytest.raises(NoAttention, match=r"lm\.1\.pattern: this attention gives no weights"):
        record(listener, CLIPS, ["lm.1.pattern"], progress=False)
    assert [len(m._forward_hooks) for m in listener.model.modules()] == before


@pytest.mark.parametrize("at", ["segments", "positions"])
def test_files_hold_what_memory_holds(listener: CogAudioListener, tmp_path: Path, at: At) -> None:
    names = ["encoder.0", "connector", "lm.1.heads"]
    memory = record(listener, CLIPS, names, at=at, progress=False)
    for _ in range(2):  # the second time over the first
        files = record(listener, CLIPS, names, at=at, folder=tmp_path, gigabytes=1e-6, batch=2, progress=False)
    for name in names:
        assert isinstance(files.states[name], np.memmap)
        for row in range(len(CLIPS)):
            first, second = (r.row(name, row) if at == "positions" else r.states[name][row] for r in (memory, files))
            np.testing.assert_allclose(first, second, atol=1e-4)


def test_memory_is_bounded_by_a_setting(listener: CogAudioListener) -> None:
    for at in ("segments", "positions"):
        with pytest.raises(MemoryError, match="give a folder"):
            record(listener, CLIPS, ["lm.0"], at=at, gigabytes=1e-6, progress=False)


def test_half_precision_halves_it(listener: CogAudioListener) -> None:
    whole, half = (record(listener, CLIPS, ["lm.0"], dtype=d, progress=False) for d in ("float32", "float16"))
    assert half.states["lm.0"].nbytes * 2 == whole.states["lm.0"].nbytes
    np.testing.assert_allclose(half.states["lm.0"], whole.states["lm.0"], rtol=2e-3, atol=2e-2)


def test_an_answer_has_its_segments_and_no_scores(listener: CogAudioListener) -> None:
    answers = ["<thought>[Perception] So it is.</thought><response>I see.</response>", "So.", "I see.", "<response>So.</response>"]
    found = record(listener, CLIPS, ["lm.1"], passage="answer", answers=answers, progress=False)
    assert found.scores is None
    assert found.segments[0] == "instruction"
    assert np.isfinite(found.of("lm.1", "response")).all()
    assert np.isfinite(found.of("lm.1", "perception")).all(axis=1).tolist() == [True, False, False, False]
    own = record(
        CogAudioListener.of(listener.model, listener.processor), CLIPS[:2], ["lm.1", "encoder.0"], passage="answer", progress=False
    )
    assert own.states["encoder.0"].shape == (2, 32)


def test_kept_features_are_heard_but_the_encoder_is_recorded_from_the_sound(listener: CogAudioListener) -> None:
    plain = record(listener, CLIPS, ["encoder.1", "lm.1"], progress=False)
    known = {u.id: tuple(np.asarray(x).astype(np.float16) for x in listener._encoded([u])[u.id]) for u in CLIPS}
    listener.states = known
    again = record(listener, CLIPS, ["encoder.1", "lm.1"], progress=False)
    assert listener.states is known
    np.testing.assert_allclose(again.states["encoder.1"], plain.states["encoder.1"], atol=1e-5)
    calls = []
    listener.model.audio_encoder.layers[0].register_forward_hook(lambda *_: calls.append(1))
    try:
        heard = record(listener, CLIPS, ["lm.1"], progress=False)
    finally:
        listener.model.audio_encoder.layers[0]._forward_hooks.clear()
    assert not calls, "what is known is not encoded again"
    np.testing.assert_allclose(heard.scores, plain.scores, atol=0.05)


def test_a_batch_that_does_not_fit_is_halved(listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made(listener, "positions")
    sizes, whole = [], listener.logits

    def small(passage: Passage, *, keep: int = 0) -> torch.Tensor:
        sizes.append(len(passage.ids))
        if len(passage.ids) > 2:
            raise torch.OutOfMemoryError("too large")
        return whole(passage, keep=keep)

    monkeypatch.setattr(listener, "logits", small)
    found = made(listener, "positions")
    assert sizes == [4, 2, 2]
    for row in range(len(CLIPS)):
        np.testing.assert_allclose(found.row("lm.1", row), plain.row("lm.1", row), atol=1e-4)


def test_bad_requests_say_what_to_do(listener: CogAudioListener) -> None:
    with pytest.raises(UnknownSite, match="did you mean"):
        record(listener, CLIPS, ["lm.12"], progress=False)
    for wrong, message in (
        ({"utterances": []}, "no utterances"),
        ({"at": "middle"}, "at is one of segments, positions, pooled, end"),
        ({"passage": "chain"}, "passage is one of naming, answer"),
        ({"answers": ["So."]}, "answers go with passage='answer'"),
        ({"sites": "lm.0"}, "list of names"),
    ):
        with pytest.raises(ValueError, match=message):
            record(listener, **{"utterances": CLIPS, "sites": ["lm.0"], "progress": False, **wrong})
    found = record(listener, CLIPS, ["lm.0"], progress=False)
    with pytest.raises(ValueError, match="no segment 'voice' was recorded; choose from instruction"):
        found.of("lm.0", "voice")
    with pytest.raises(ValueError, match="was not recorded"):
        found.of("lm.1", "tone")
    with pytest.raises(ValueError, match="record at='positions'"):
        found.row("lm.0", 0)


def test_the_rows_are_the_utterances(listener: CogAudioListener) -> None:
    order = [CLIPS[2], CLIPS[0], replace(CLIPS[1], id="other")]
    found = record(listener, order, ["lm.1"], at="end", progress=False)
    plain = record(listener, CLIPS, ["lm.1"], at="end", progress=False)
    np.testing.assert_allclose(found.states["lm.1"], plain.states["lm.1"][[2, 0, 1]], atol=1e-4)
    assert found.utterances == tuple(order)


@pytest.mark.requires_cuda
def test_cuda_is_cpu(tiny_model: Pair, make_tiny) -> None:
    plain = made(CogAudioListener.of(*tiny_model), "segments")
    model, processor = make_tiny()
    found = made(CogAudioListener.of(model.to("cuda"), processor), "segments")
    for site in plain.sites:
        np.testing.assert_allclose(found.states[site], plain.states[site], atol=2e-3, rtol=2e-3, err_msg=site)
