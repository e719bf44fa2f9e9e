"""Erasing a concept: a planted one is gone for a linear probe and the other stays, a random subspace takes nothing, the run is a plain loop's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from spoken import cell

from cogviz.emotions import EMOTIONS
from cogviz.models.listener import CogAudioListener
from cogviz.probing.erase import erase
from cogviz.probing.erasers import fit_eraser, random_like, rank
from cogviz.probing.sites import hooked
from cogviz.probing.spans import spans
from cogviz.utterance import Utterance


@pytest.fixture(scope="module")
def listener(tiny_model: Any) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


def speech(sentences: range) -> list[Utterance]:
    return [u for k in sentences for u in cell(k, seconds=0.8)]


FITTED, HELD = speech(range(1, 13)), speech(range(20, 26))


def accuracy(states: torch.Tensor, classes: np.ndarray, held: torch.Tensor) -> float:
    from sklearn.linear_model import LogisticRegression

    return float(LogisticRegression(max_iter=500).fit(states.numpy(), classes).score(held.numpy(), classes))


def test_a_planted_concept_is_gone_and_another_stays() -> None:
    draw = np.random.default_rng(0)
    mine, other = draw.integers(0, 3, 600), draw.integers(0, 3, 600)
    directions = draw.normal(size=(2, 3, 20))
    states, held = (torch.tensor(directions[0][mine] + directions[1][other] + 0.5 * draw.normal(size=(600, 20))) for _ in range(2))
    eraser = fit_eraser(states, mine.tolist())
    assert accuracy(states, mine, held) > 0.95, "first a probe finds it"
    assert accuracy(eraser(states), mine, eraser(held)) < 0.42, "and then not"
    assert accuracy(eraser(states), other, eraser(held)) > 0.9, "the other concept stays"
    random = random_like(eraser, [0])
    assert rank(random) == rank(eraser) == 2
    assert accuracy(random(states), mine, random(held)) > 0.9, "a random subspace takes nothing"
    class_means = torch.stack([eraser(states)[mine == k].mean(dim=0) for k in range(3)])
    torch.testing.assert_close(class_means, class_means.mean(dim=0).expand(3, -1), atol=1e-6, rtol=0)


def test_a_concept_planted_into_a_listener_is_erased_where_it_was_planted(listener: CogAudioListener) -> None:
    """A direction that tells the words' emotion is added to the tone's places: a probe finds it on held-out sentences, and not after."""
    code = {u.id: EMOTIONS.index(str(u.lexical_emotion)) for u in [*FITTED, *HELD]}
    directions = 3 * torch.randn(7, 32, generator=torch.Generator().manual_seed(0))
    plain = listener.naming

    class Marked(CogAudioListener):
        def naming(self, utterances: Any) -> Any:
            self.now = [code[u.id] for u in utterances]
            return plain(utterances)

    marked = Marked.of(listener.model, listener.processor)
    with hooked(marked, {"lm.0": lambda state: state + directions[marked.now][:, None]}):
        (told,) = erase(marked, FITTED, HELD, ["lm.0"], draws=1, progress=False)
    assert told.probe["words"].before.value > 0.9
    assert told.probe["words"].after.value < 0.45
    assert told.probe["words"].before.chance == pytest.approx(1 / len({u.lexical_emotion for u in HELD}))


def test_the_run_is_that_of_hooks_in_whole_passes(listener: CogAudioListener) -> None:
    found = erase(listener, FITTED, HELD, ["connector", "lm.0", "lm.1"], spans_of=["last"], by="segment", draws=1, progress=False)
    assert [e.site for e in found] == ["connector", "lm.0", "lm.1"]
    assert found[0].spans == (), "the last place is the same for all before the attention: nothing is erased there"
    assert found[0].erased["voice"].voice == found[0].whole.voice
    assert found[2].spans == ("last",)
    passage, states = listener.naming(FITTED), {}

    def keep(state: torch.Tensor) -> None:
        states["last"] = state[:, -1]

    with torch.no_grad(), hooked(listener, {"lm.1": keep}):
        listener.logits(passage)
    classes = [EMOTIONS.index(str(u.emotion)) for u in FITTED]
    eraser = fit_eraser(states["last"].double(), classes)
    conflict = [u for u in HELD if u.congruence == "conflict"]
    held = listener.naming(conflict)
    mask = spans(listener, held)["last"]

    def without(state: torch.Tensor) -> torch.Tensor:
        changed = state.clone()
        changed[mask] = eraser(state[mask].double()).float()
        return changed

    with torch.no_grad(), hooked(listener, {"lm.1": without}):
        answers = listener.logits(held)[:, -1, listener.label_tokens].argmax(-1).tolist()
    right = np.mean([EMOTIONS[a] == u.emotion for a, u in zip(answers, conflict, strict=True)])
    assert found[2].erased["voice"].voice.value == pytest.approx(right)
    assert found[2].whole.voice_change.value == 0
    assert {"lm.1_erased_voice_words_change", "lm.1_random_words_voice", "lm.1_probe_voice_before", "lm.1_whole_voice"} <= {
        row["measure"] for row in found[2].rows(data="d")
    }


def test_what_cannot_be_erased_is_said(listener: CogAudioListener, as_before: Callable[[], bool]) -> None:
    with pytest.raises(ValueError, match="both fitted on and held out"):
        erase(listener, FITTED, FITTED[:3], ["lm.0"], progress=False)
    with pytest.raises(ValueError, match="voice of the items that are fitted on have fewer than two"):
        erase(listener, FITTED[::3], HELD, ["lm.0"], progress=False)
    agreeing = [replace(u, lexical_emotion=u.emotion) for u in HELD]
    with pytest.raises(ValueError, match="in conflict"):
        erase(listener, FITTED, agreeing, ["lm.0"], progress=False)
    with pytest.raises(ValueError, match="no span begins with nowhere"):
        erase(listener, FITTED, HELD, ["lm.0"], spans_of=["nowhere"], progress=False)
    assert as_before()
