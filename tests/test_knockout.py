"""Attention knock-out: what is cut is not seen, nothing else changes, and cutting nothing does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from spoken import cell

from cogviz.models.listener import CogAudioListener
from cogviz.probing.knockout import _between, _others, knockout, masked
from cogviz.probing.sites import hooked, sites, watched
from cogviz.probing.spans import spans

CLIPS = [*cell(1), *cell(2, seconds=1.5), *cell(3, seconds=0.7)]


@pytest.fixture(scope="module")
def listener(tiny_model: Any) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


@pytest.fixture(params=["sdpa", "eager"])
def attending(request: pytest.FixtureRequest, make_tiny: Callable[..., Any]) -> CogAudioListener:
    listener = CogAudioListener.of(*make_tiny())
    listener.model.language_model.set_attn_implementation(request.param)
    return listener


def run(listener: CogAudioListener, blocked: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, S, V) logits and (B, S, H) what the attention adds."""
    passage = listener.naming(CLIPS)
    with torch.no_grad(), watched(listener, ["lm.1.attn"]) as seen:
        if blocked is None:
            return listener.logits(passage), seen["lm.1.attn"]
        with masked([sites(listener)["lm.1.attn"].module], blocked, ~passage.places("padding")):
            return listener.logits(passage), seen["lm.1.attn"]


def test_cutting_nothing_does_nothing_and_only_what_looks_changes(attending: CogAudioListener) -> None:
    passage = attending.naming(CLIPS)
    named = spans(attending, passage)
    real = ~passage.places("padding")
    nothing = torch.zeros(*real.shape, real.shape[1], dtype=torch.bool)
    logits, added = run(attending, None)
    same, _ = run(attending, nothing)
    torch.testing.assert_close(same[real], logits[real], atol=1e-5, rtol=1e-5)
    cut, changed = run(attending, _between(named["last"], named["words"]))
    assert (cut[:, -1] - logits[:, -1]).abs().max() > 1e-3
    others = real & ~named["last"]
    torch.testing.assert_close(changed[others], added[others], atol=1e-5, rtol=1e-5)


def test_what_is_cut_may_change_without_being_noticed(attending: CogAudioListener) -> None:
    """The last place's attention does not depend on what stands at the words once it is cut off from them; before, it does."""
    passage = attending.naming(CLIPS)
    named = spans(attending, passage)
    blocked = _between(named["last"], named["words"])
    attention = sites(attending)["lm.1.attn"].module
    found = {}
    for cut in (False, True):
        for noise in (0.0, 1.0):
            extra = noise * torch.randn(*passage.ids.shape, 32, generator=torch.Generator().manual_seed(0)) * named["words"][..., None]
            with (
                torch.no_grad(),
                hooked(attending, {"lm.0": lambda state, extra=extra: state + extra}),  # type: ignore[misc]
                watched(attending, ["lm.1.attn"]) as seen,
                masked([attention] if cut else [], blocked, ~passage.places("padding")),
            ):
                attending.logits(passage)
            found[cut, noise] = seen["lm.1.attn"][:, -1]
    torch.testing.assert_close(found[True, 0.0], found[True, 1.0], atol=1e-6, rtol=1e-5)
    assert (found[False, 0.0] - found[False, 1.0]).abs().max() > 1e-2


def test_a_place_always_sees_itself_and_the_control_cuts_as_many_others() -> None:
    looks = torch.tensor([[0, 0, 1, 1, 1]], dtype=torch.bool)
    at = torch.tensor([[0, 0, 1, 1, 0]], dtype=torch.bool)
    real = torch.tensor([0, 1, 1, 1, 1], dtype=torch.bool)
    cut = _between(looks, at)[0]
    assert cut.nonzero().tolist() == [[3, 2], [4, 2], [4, 3]]
    drawn = _others(cut, real, seed=1)
    assert drawn.sum(dim=1).tolist() == [0, 0, 0, 1, 1]  # the last place has one other: as many as there are
    assert not (drawn & cut).any()
    assert not drawn[:, 0].any(), "padding is no place"
    assert not drawn.triu().any()
    longer = _others(torch.nn.functional.pad(cut, (2, 0, 2, 0)), torch.nn.functional.pad(real, (2, 0)), seed=1)
    assert torch.equal(longer[2:, 2:], drawn), "padding must not change what is drawn"


def test_the_result_is_what_a_loop_of_whole_passes_gives(listener: CogAudioListener) -> None:
    told = knockout(listener, CLIPS, links=[("last", "tone"), ("last", "words")], progress=False)
    passage = listener.naming(CLIPS)
    named = spans(listener, passage)
    with torch.no_grad():
        whole = listener.logits(passage)[:, -1, listener.label_tokens].softmax(-1)
        cut = run(listener, _between(named["last"], named["tone"]))[0][:, -1, listener.label_tokens].softmax(-1)
    voice = torch.tensor([1 + ["happy", "sad", "angry"].index(str(u.emotion)) for u in CLIPS])[:, None]
    assert told.voice["all layers"]["last > tone"].value == pytest.approx(float((cut - whole).gather(1, voice).mean()), abs=1e-5)
    assert told.whole["voice"].value == pytest.approx(float(whole.gather(1, voice).mean()), abs=1e-5)
    assert told.answers["all layers"]["last > tone"].value == pytest.approx(float((cut.argmax(1) != whole.argmax(1)).float().mean()))
    assert told.hybrid
    assert told.bands == {"all layers": (1,), "lm.1": (1,)}
    assert told.voice["lm.1"] == told.voice["all layers"]
    assert {"voice_lm.1_last > tone", "random_words_lm.1_last > tone", "whole_voice"} <= {r["measure"] for r in told.rows(data="d")}
    one = [knockout(listener, [u], links=[("last", "tone")], progress=False).voice["lm.1"]["last > tone"].value for u in CLIPS]
    assert np.mean(one) == pytest.approx(told.voice["lm.1"]["last > tone"].value, abs=1e-5)


def test_what_cannot_be_cut_is_said_and_hooks_are_off_after_an_error(listener: CogAudioListener) -> None:
    with pytest.raises(ValueError, match="no attention to cut in convolutions"):
        knockout(listener, CLIPS, bands={"convolutions": [0]}, progress=False)
    attention = sites(listener)["lm.1.attn"].module

    def fails() -> None:
        with masked([attention], torch.zeros(1, 3, 3, dtype=torch.bool), torch.ones(1, 3, dtype=torch.bool)):
            assert attention._forward_pre_hooks
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fails()
    assert not attention._forward_pre_hooks
    unlabelled = [u.__class__(u.id, u.text, None, u.speaker, u.sentence, u.corpus, waveform=u.waveform) for u in CLIPS[:2]]
    told = knockout(listener, unlabelled, links=[("last", "tone")], progress=False)
    assert told.voice == {}
    assert told.answers["lm.1"]["last > tone"].n == 2
