"""Responses after thoughts that are put into a model's mouth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cogviz.eips import STEPS, Chain, thought
from cogviz.lime.dataset import read
from cogviz.models.listener import CogAudioListener
from cogviz.utterance import Utterance

SAMPLES = Path(__file__).resolve().parents[1] / "data_samples"


@pytest.fixture(scope="module")
def heard() -> list[Utterance]:
    return [u for u in read(SAMPLES) if u.emotion != "neutral"][:5]


@pytest.fixture(scope="module")
def aligned() -> CogAudioListener:
    return CogAudioListener("nano-aligned", batch=4)


def test_thought_is_what_stands_between_the_tags() -> None:
    chain = Chain("a", "b", "c", "d")
    assert thought(chain) == "[Perception] a [Intent] b [Psychology] c [Strategy] d"
    assert thought(chain, STEPS[:2]) == "[Perception] a [Intent] b"
    assert thought(chain, ()) == ""


def test_after_its_own_thought_a_model_responds_as_it_did(aligned: CogAudioListener, heard: list[Utterance]) -> None:
    own = [h for h in aligned.listen(heard, progress=False) if h.answer is not None and h.answer.chain is not None]
    assert len(own) >= 3
    said = aligned.respond(
        [h.utterance for h in own], [thought(h.answer.chain) for h in own if h.answer and h.answer.chain], progress=False
    )
    assert said == [h.answer.response for h in own if h.answer]


def test_thoughts_of_any_length_share_a_batch_and_a_sound_is_encoded_once(
    aligned: CogAudioListener, heard: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    angry = (
        "[Perception] The voice sounds angry, strongly. [Intent] They complain. [Psychology] They feel wronged. [Strategy] Side with them."
    )
    thoughts = [angry, "[Perception] The voice sounds sad.", ""]
    alone = [aligned.respond([heard[0]], [t], progress=False)[0] for t in thoughts]
    encoded = []
    encode = aligned.model.encode
    monkeypatch.setattr(aligned.model, "encode", lambda *args: encoded.append(len(args[0])) or encode(*args))
    together = aligned.respond([heard[0]] * 3, thoughts, progress=False)
    assert together == alone
    assert len(set(together)) == 3
    assert encoded == [1]
    assert not any("<" in response for response in together)


def test_states_that_were_computed_before_are_used(make_tiny, heard: list[Utterance]) -> None:
    model, processor = make_tiny()
    fresh = CogAudioListener.of(model, processor)
    states = dict(fresh._encoded(heard))
    known = CogAudioListener.of(model, processor, states=states)
    assert known._encoded(heard) is known.states
    thoughts = ["[Perception] x", "", "y", "[Intent] z", "w"]
    assert known.respond(heard, thoughts, progress=False) == fresh.respond(heard, thoughts, progress=False)


def test_prefixes_are_one_for_all_or_one_each(make_tiny, heard: list[Utterance]) -> None:
    _, processor = make_tiny()
    clips = [u.samples for u in heard[:2]]
    same = processor(clips, "reason", prefix="The")
    each = processor(clips, "reason", prefix=["The", "The"])
    np.testing.assert_array_equal(same["input_ids"], each["input_ids"])
    longer = processor(clips, "reason", prefix=["The", "The voice sounds sad"])
    for row, text in zip(longer["input_ids"].tolist(), ("The", "The voice sounds sad"), strict=True):
        assert processor.tokenizer.decode(row).endswith(f"{text}")
    with pytest.raises(ValueError, match="2 recordings but 2 tasks and 1 prefixes"):
        processor(clips, "reason", prefix=["The"])


def test_each_utterance_needs_its_thought(aligned: CogAudioListener, heard: list[Utterance]) -> None:
    with pytest.raises(ValueError, match="5 utterances but 1 thoughts"):
        aligned.respond(heard, ["x"])
