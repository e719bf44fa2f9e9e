"""Sites have names that can be guessed, hooks are always off afterwards, and segments say what stands where."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.probing.segments import SEGMENTS, segments, tones
from cogviz.probing.sites import NoAttention, UnknownSite, eager_attention, find, hooked, sites, stream, watched
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


def clip(seconds: float, seed: int) -> Utterance:
    draw = np.random.default_rng(seed)
    wave = 0.2 * np.sin(np.arange(int(seconds * 16000)) / draw.uniform(5, 20)) + 0.02 * draw.normal(size=int(seconds * 16000))
    return Utterance(f"{seconds}-{seed}", "So it is.", None, "s", "x", "test", waveform=wave.astype(np.float32))


CLIPS = [clip(1.0, 1), clip(1.9, 2), clip(0.6, 3)]


@pytest.fixture
def listener(tiny_model: Pair) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


def hooks(listener: CogAudioListener) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in listener.model.modules())


def test_every_site_is_reached_in_a_pass_and_has_the_passages_places(listener: CogAudioListener) -> None:
    names = [name for name in sites(listener) if not name.endswith(".pattern")]
    assert {"encoder.0", "encoder.1", "connector", "lm.0", "lm.0.conv", "lm.0.mlp", "lm.1.attn", "lm.1.heads"} <= set(names)
    assert "lm.0.heads" not in names, "a convolution has no heads"
    passage = listener.naming(CLIPS)
    with torch.no_grad(), watched(listener, names) as seen:
        listener.logits(passage)
    assert set(seen) == set(names)
    rows, places = passage.ids.shape
    for name, state in seen.items():
        assert state.shape[:1] == (rows,)
        assert name.startswith("encoder") or state.shape == (rows, places, 64 if name.endswith("neurons") else 32)


def test_the_residual_stream_adds_up(listener: CogAudioListener) -> None:
    with torch.no_grad(), watched(listener, ["connector", "lm.0.conv", "lm.0.mlp", "lm.0"]) as seen:
        listener.logits(listener.naming(CLIPS))
    torch.testing.assert_close(seen["connector"] + seen["lm.0.conv"] + seen["lm.0.mlp"], seen["lm.0"])
    assert stream(listener) == ["connector", "lm.0", "lm.1"]


@pytest.mark.parametrize(("wrong", "near"), [("lm.1.head", "lm.1.heads"), ("encoder.9", "encoder."), ("conector", "connector")])
def test_an_unknown_name_lists_those_that_are_near(listener: CogAudioListener, wrong: str, near: str) -> None:
    with pytest.raises(UnknownSite, match=rf"no '{wrong}'.*did you mean .*{near}"):
        find(listener, ["lm.0", wrong])


def test_hooks_are_off_after_an_error(listener: CogAudioListener) -> None:
    before = hooks(listener)

    def broken(_: torch.Tensor) -> None:
        raise RuntimeError("broken")

    passage = listener.naming(CLIPS[:1])
    with hooked(listener, {"lm.0": broken, "connector": broken}):
        assert hooks(listener) == before + 2
    with pytest.raises(RuntimeError, match="broken"), hooked(listener, {"lm.0": broken, "connector": broken}):
        listener.logits(passage)
    with pytest.raises(UnknownSite), hooked(listener, {"lm.0": broken, "lm.7": broken}):
        pass
    assert hooks(listener) == before


@pytest.mark.parametrize("site", ["encoder.1", "connector", "lm.0", "lm.0.mlp", "lm.1.attn", "lm.1.heads"])
def test_an_edit_changes_the_output_and_none_does_not(listener: CogAudioListener, site: str) -> None:
    with torch.no_grad():
        passage = listener.naming(CLIPS[:1])
        plain = listener.logits(passage)
        with hooked(listener, {site: lambda state: None}):
            torch.testing.assert_close(listener.logits(passage), plain, atol=0, rtol=0)
        with hooked(listener, {site: lambda state: state * 0}):
            changed = listener.logits(passage)  # of another length where the encoder is changed: other frames say a token
            assert (changed[:, -1] - plain[:, -1]).abs().max() > 1e-3
        torch.testing.assert_close(listener.logits(passage), plain, atol=0, rtol=0)


def test_attention_rows_sum_to_one_and_the_way_of_attention_is_as_before(listener: CogAudioListener) -> None:
    config = listener.model.language_model.config
    before = config._attn_implementation
    passage = listener.naming(CLIPS)
    with torch.no_grad():
        plain = listener.logits(passage)
        with eager_attention(listener), watched(listener, ["lm.1.pattern"]) as seen:
            eager = listener.logits(passage)
    real = ~passage.places("padding")
    rows = seen["lm.1.pattern"].transpose(1, 2)[real]
    torch.testing.assert_close(rows.sum(-1), torch.ones_like(rows[..., 0]))
    torch.testing.assert_close(eager[real], plain[real], atol=1e-4, rtol=1e-4)
    unread = seen["lm.1.pattern"].masked_select(passage.places("padding")[:, None, None] & real[:, None, :, None])
    assert (unread == 0).all(), "padding is not read"
    with pytest.raises(RuntimeError, match="broken"), eager_attention(listener):
        raise RuntimeError("broken")
    assert config._attn_implementation == before


def test_attention_without_weights_is_an_error(listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener.model.language_model.config, "_attn_implementation", "sdpa")
    with (
        torch.no_grad(),
        pytest.raises(NoAttention, match=r"lm.1.pattern: this attention gives no weights"),
        watched(listener, ["lm.1.pattern"]),
    ):
        listener.logits(listener.naming(CLIPS[:1]))


def test_segments_of_an_answer(listener: CogAudioListener) -> None:
    chain = "<thought>[Perception] So it is. [Intent] I see. [Psychology] So. [Strategy] So it is.</thought><response>I see.</response>"
    passage = listener.passage(CLIPS, [chain, "So it is.", "<response>I see.</response>"])
    found = segments(listener, passage)
    texts = []
    for row in range(3):
        parts = {name: passage.ids[row][found[row] == i].tolist() for i, name in enumerate(SEGMENTS)}
        texts.append({name: listener.tokenizer.decode(ids) for name, ids in parts.items() if name not in ("padding", "tone", "words")})
        assert len(parts["tone"]) == tones(listener) == 2
        assert len(parts["words"]) == int(passage.places("audio")[row].sum()) - 2
        assert len(parts["padding"]) == int(passage.places("padding")[row].sum())
    assert "So it is." in texts[0]["perception"]
    assert "I see." in texts[0]["intent"]
    assert "I see." in texts[0]["response"]
    assert "I see." not in texts[0]["perception"]
    assert "Strategy" in texts[0]["strategy"]
    assert "So it is." in texts[1]["response"]
    assert texts[1]["perception"] == texts[2]["perception"] == ""


def test_the_naming_passage_ends_in_the_perception(listener: CogAudioListener) -> None:
    passage = listener.naming(CLIPS)
    found = segments(listener, passage)
    assert (found[:, -1] == SEGMENTS.index("perception")).all()
    assert {SEGMENTS[i] for i in found.unique().tolist()} >= {"instruction", "tone", "perception"}


def test_logits_of_the_last_place_alone_are_the_same(listener: CogAudioListener) -> None:
    with torch.no_grad():
        passage = listener.naming(CLIPS)
        torch.testing.assert_close(listener.logits(passage, keep=1), listener.logits(passage)[:, -1:])


def test_a_sound_is_heard_once_inside_the_block(listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    with torch.no_grad(), hooked(listener, {"encoder.0": lambda state: encoded.append(len(state))}):
        plain = listener.logits(listener.naming(CLIPS))
        assert len(encoded) == 2
        with listener.hearing_once():
            torch.testing.assert_close(listener.logits(listener.naming(CLIPS)), plain)
            listener.naming(CLIPS[:1])
        assert encoded[2:] == [3, 1]
        listener.logits(listener.naming(CLIPS))
        assert len(encoded) == 6
