"""Emotion-selective neurons: planted ones are found, what is changed is changed alone, the control has the same layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from spoken import cell

from cogviz.models.listener import CogAudioListener
from cogviz.probing.neurons import neurons
from cogviz.probing.pairs import halves
from cogviz.probing.selective import Selected, activity, select
from cogviz.probing.sites import hooked, watched

CLIPS = [u for k in range(1, 7) for u in cell(k, seconds=0.8)]
EMOTIONS = ("happy", "sad", "angry")


@pytest.fixture(scope="module")
def listener(tiny_model: Any) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


def planted(seed: int = 0) -> tuple[np.ndarray, list[str], dict[int, int]]:
    """60 items, two layers of 10 and 20 neurons; neuron 3 of layer 0 is for happy, 7 of layer 1 for sad, 12 of layer 1 never changes."""
    draw = np.random.default_rng(seed)
    labels = [EMOTIONS[k % 3] for k in range(60)]
    values = draw.normal(size=(60, 30))
    values[:, 3] += 6 * (np.array(labels) == "happy")
    values[:, 17] -= 6 * (np.array(labels) == "sad")
    values[:, 22] = 5 + 1e-6 * (np.array(labels) == "angry")
    return values, labels, {0: 10, 1: 20}


@pytest.mark.parametrize("selector", ["contrast", "entropy"])
def test_planted_neurons_are_found_and_still_ones_are_not(selector: Any) -> None:
    values, labels, sizes = planted()
    found = select(values, labels, sizes, selector=selector, count=2)
    assert found.chosen["happy"][0].tolist() == [0, 3]
    assert found.chosen["sad"][0].tolist() == [1, 7]
    assert [1, 12] not in found.chosen["angry"].tolist(), "what never changes only differs by rounding"
    shuffled = select(values, np.random.default_rng(1).permutation(labels).tolist(), sizes, selector=selector, count=2)
    assert shuffled.chosen["happy"][0].tolist() != [0, 3], "without its labels it is not found"


def test_random_neurons_are_others_of_the_same_layers() -> None:
    chosen = Selected("contrast", {"happy": np.array([[0, 1], [0, 2], [1, 5]])}, {0: 8, 1: 8})
    for seed in range(5):
        drawn = chosen.random("happy", seed)
        assert sorted(drawn[:, 0].tolist()) == [0, 0, 1]
        assert not {tuple(d) for d in drawn} & {(0, 1), (0, 2), (1, 5)}
    assert chosen.random("happy", 0).tolist() != chosen.random("happy", 1).tolist()


def test_activity_is_what_the_down_projection_is_given(listener: CogAudioListener) -> None:
    values, sizes = activity(listener, CLIPS[:3], progress=False)
    assert sizes == {0: 64, 1: 64}
    with torch.no_grad(), watched(listener, ["lm.0.neurons", "lm.1.neurons", "lm.1.mlp"]) as seen:
        listener.logits(listener.naming(CLIPS[:3]))
    np.testing.assert_allclose(values[:, 64:], seen["lm.1.neurons"][:, -1], atol=1e-5)
    down = listener.layers()[1].feed_forward.w2
    torch.testing.assert_close(down(seen["lm.1.neurons"]), seen["lm.1.mlp"])
    with pytest.raises(ValueError, match="no span 'nowhere'"):
        activity(listener, CLIPS[:3], at="nowhere", progress=False)


def test_the_effect_is_that_of_a_loop_of_whole_passes(listener: CogAudioListener) -> None:
    told = neurons(listener, CLIPS, count=5, draws=2, progress=False)
    finding = halves([u.sentence for u in CLIPS])
    first = [u for u, f in zip(CLIPS, finding, strict=True) if f]
    rest = [u for u, f in zip(CLIPS, finding, strict=True) if not f]
    values, sizes = activity(listener, first, progress=False)
    chosen = select(values, [u.emotion for u in first], sizes, selector="contrast", count=5).chosen
    gone, up = [], []
    for u in rest:
        passage = listener.naming([u])
        with torch.no_grad():
            whole = listener.logits(passage)[0, -1, listener.label_tokens].softmax(-1)
        for k, name in enumerate(EMOTIONS):

            def change(layer: int, by: float, name: str = name) -> Any:
                mine = [int(n) for place, n in chosen[name] if place == layer]
                factor = torch.ones(64)
                factor[mine] = by
                return lambda state: state * factor

            own = name == u.emotion
            with torch.no_grad(), hooked(listener, {f"lm.{i}.neurons": change(i, 0.0 if own else 2.0) for i in (0, 1)}):
                found = listener.logits(passage)[0, -1, listener.label_tokens].softmax(-1)
            (gone if own else up).append(float(found[1 + k] - whole[1 + k]))
    assert told.ablated.value == pytest.approx(np.mean(gone), abs=1e-5)
    assert told.amplified.value == pytest.approx(np.mean(up), abs=1e-5)
    assert told.ablated.n == len(rest)
    assert told.less_ablated.value == pytest.approx(told.ablated.value - told.random_ablated.value)
    assert told.random_ablated.value != told.ablated.value
    assert set(told.by_emotion) == set(EMOTIONS)
    assert {"ablated", "random_amplified", "by_emotion_sad"} <= {row["measure"] for row in told.rows(data="d")}


def test_what_cannot_be_selected_is_said(listener: CogAudioListener) -> None:
    values, labels, sizes = planted()
    with pytest.raises(ValueError, match="fewer than two emotions"):
        select(values, ["sad"] * 60, sizes, selector="contrast", count=2)
    with pytest.raises(ValueError, match="31 neurons an emotion are wanted of 30"):
        select(values, labels, sizes, selector="contrast", count=31)
    with pytest.raises(ValueError, match="by contrast or entropy"):
        select(values, labels, sizes, selector="luck", count=3)  # type: ignore[arg-type]
