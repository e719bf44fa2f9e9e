"""A suffix of the language model gives what the whole pass gives, many copies at once, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from spoken import cell

from cogviz.models.listener import CogAudioListener
from cogviz.probing.sites import hooked, stream
from cogviz.probing.suffix import Suffix, begin, replaced

CLIPS = [*cell(0), *cell(1, seconds=1.4)]


@pytest.fixture(scope="module")
def listener(tiny_model: Any) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


@pytest.fixture(scope="module")
def suffix(listener: CogAudioListener, as_before: Callable[[], bool]) -> Suffix:
    return begin(listener, listener.naming(CLIPS), stream(listener))


def test_going_on_from_any_layer_is_the_whole_pass(listener: CogAudioListener, suffix: Suffix) -> None:
    with torch.no_grad():
        whole = listener.logits(suffix.passage)[:, -1, listener.label_tokens].numpy()
    assert np.ptp(whole, axis=0).max() > 0.1, "the sounds must differ, or nothing is shown"
    for site in stream(listener):
        np.testing.assert_allclose(suffix.run(site, range(len(CLIPS))), whole, atol=1e-5)


@pytest.mark.parametrize("site", ["connector", "lm.0", "lm.1"])
def test_many_copies_at_once_are_copies_one_at_a_time(listener: CogAudioListener, suffix: Suffix, site: str) -> None:
    of = [2, 0, 0, 5, 1, 2, 4]
    size, push = torch.linspace(-1, 1, len(of)), torch.linspace(-1, 1, 32)

    def change(which: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        return states + size[which][:, None, None] * push

    together = suffix.run(site, of, change)
    alone = [suffix.run(site, [row], lambda _, states, k=k: states + size[k] * push) for k, row in enumerate(of)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)
    assert np.abs(together[1] - together[2]).max() > 1e-3, "two copies of a row, changed differently"


def test_a_changed_state_gives_what_a_hook_in_a_whole_pass_gives(listener: CogAudioListener, suffix: Suffix) -> None:
    for site in stream(listener):
        with torch.no_grad(), hooked(listener, {site: lambda state: state * 0.8 + 0.1}):
            whole = listener.logits(suffix.passage)[:, -1, listener.label_tokens].numpy()
        found = suffix.run(site, range(len(CLIPS)), lambda _, state: state * 0.8 + 0.1)
        np.testing.assert_allclose(found, whole, atol=1e-5)


def test_layers_are_as_before_after_an_error(listener: CogAudioListener, suffix: Suffix, as_before: Callable[[], bool]) -> None:
    def fails(which: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        suffix.run("lm.0", [0], fails)
    assert as_before()

    def breaks(state: torch.Tensor) -> torch.Tensor:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        suffix.run("lm.0", [0], inside=lambda _: hooked(listener, {"lm.1": breaks}))
    assert as_before()
    kept = lambda *_, **__: None  # noqa: E731 - someone else's forward, on the instance
    layer = listener.layers()[0]
    layer.forward = kept
    try:
        suffix.run("lm.0", [0])
        assert layer.forward is kept
    finally:
        del layer.forward


def test_out_of_memory_halves_the_rows_and_says_so_once(listener: CogAudioListener) -> None:
    made = begin(listener, listener.naming(CLIPS[:2]), stream(listener), rows=8)
    expected = made.run("lm.0", [0, 1] * 4)

    def hungry(which: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        if len(which) > 2:
            raise torch.OutOfMemoryError("too much")
        return states

    with pytest.warns(UserWarning, match="8 rows do not fit in memory; going on with 2"):
        found = made.run("lm.0", [0, 1] * 4, hungry)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(made.run("lm.0", [0, 1] * 4, hungry), expected, atol=1e-5)  # a second warning would be an error


def test_replaced_layers_give_tuples_where_the_layers_do(listener: CogAudioListener, as_before: Callable[[], bool]) -> None:
    states = torch.ones(1, 2, 32)
    with replaced(listener, 1, states, as_tuple=True):
        assert listener.layers()[0](torch.zeros(1, 2, 32)) == (states,)
    with replaced(listener, 1, states):
        assert listener.layers()[0](torch.zeros(1, 2, 32)) is states
    assert as_before()


def test_a_listener_with_divided_logits(make_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    listener = CogAudioListener.of(*make_tiny(seed=3))
    plain = type(listener).logits
    monkeypatch.setattr(listener, "logits", lambda passage: plain(listener, passage) / 8, raising=False)
    made = begin(listener, listener.naming(CLIPS[:2]), stream(listener))
    np.testing.assert_allclose(made.run("lm.0", [0, 1]), made.labels.numpy(), atol=1e-5)
    monkeypatch.setattr(listener, "logits", lambda passage: plain(listener, passage).tanh(), raising=False)
    with pytest.raises(ValueError, match="cannot be run alone"):
        begin(listener, listener.naming(CLIPS[:2]), stream(listener))


@pytest.mark.requires_cuda
def test_a_gpu_gives_what_a_cpu_gives(make_tiny: Callable[..., Any]) -> None:
    model, processor = make_tiny(seed=3)
    found = []
    for device in ("cpu", "cuda"):
        listener = CogAudioListener.of(model.to(device), processor)
        made = begin(listener, listener.naming(CLIPS), stream(listener))
        found.append(made.run("lm.0", range(len(CLIPS)), lambda _, states: states * 0.9))
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
