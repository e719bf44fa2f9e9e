"""What looks for causes works on other people's models too: each the real class from a tiny random config (see `test_listeners`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from test_listeners import listener, spoken

from cogviz.models.listeners.base import AudioLanguageModel
from cogviz.probing.knockout import knockout
from cogviz.probing.pairs import Pair
from cogviz.probing.patch import EVERYTHING, heads, patch
from cogviz.probing.selective import activity
from cogviz.probing.sites import hooked, stream
from cogviz.probing.suffix import begin

__all__ = ["listener"]

CLIPS = [
    replace(spoken(1.0 + 0.5 * (k % 2), 150.0 + 60 * k), emotion=("happy", "sad")[k % 2], lexical_emotion="fear", sentence=f"s{k}")
    for k in range(4)
]


def test_a_suffix_is_the_whole_pass(listener: AudioLanguageModel) -> None:
    clips = CLIPS[: listener.batch or 4]
    made = begin(listener, listener.naming(clips), stream(listener))
    for site in stream(listener):
        of = [k % len(clips) for k in (0, 1, 2, 3, 1)]
        np.testing.assert_allclose(made.run(site, of), made.labels[of].numpy(), atol=1e-5, err_msg=site)
        with torch.no_grad(), hooked(listener, {site: lambda state: state * 0.8 + 0.1}):
            whole = listener.logits(made.passage)[:, -1, listener.label_tokens].numpy()
        np.testing.assert_allclose(made.run(site, range(len(clips)), lambda _, state: state * 0.8 + 0.1), whole, atol=1e-5, err_msg=site)


def test_patching_everything_is_the_donor(listener: AudioLanguageModel) -> None:
    pairs = [Pair(CLIPS[0], replace(CLIPS[2], emotion="sad"), "tone"), Pair(CLIPS[1], replace(CLIPS[3], emotion="happy"), "tone")]
    found = patch(listener, pairs, unequal="refuse", control=False, progress=False)
    assert np.abs(found.donor - found.base).max() > 1e-3, "the sounds must differ, or nothing is shown"
    whole = np.repeat(found.donor[:, None], len(found.sites), axis=1)
    np.testing.assert_allclose(found.patched[:, :, found.columns.index(EVERYTHING)], whole, atol=1e-5)
    np.testing.assert_allclose(found.patched[:, -1, found.columns.index("last")], found.donor, atol=1e-5)
    by_head = patch(listener, pairs, at=heads(listener), control=False, progress=False)
    assert by_head.patched.shape[1] == 12
    assert not found.hybrid


def test_attention_can_be_cut_and_neurons_read(listener: AudioLanguageModel) -> None:
    told = knockout(listener, CLIPS, links=[("last", "words")], progress=False)
    assert set(told.bands) == {"all layers", "lm.0", "lm.1", "lm.2"}
    assert abs(told.voice["all layers"]["last > words"].value) > 0
    values, sizes = activity(listener, CLIPS, progress=False)
    assert sizes == {0: 48, 1: 48, 2: 48}
    assert values.shape == (4, 144)
