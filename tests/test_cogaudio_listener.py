"""CogAudio as a listener that can be looked into: what it reads where nothing is heard, and which place of the decoder holds what."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cogviz.emotions import EMOTIONS
from cogviz.models import tone
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.packing import packed
from cogviz.models.processing import CogAudioProcessor
from cogviz.models.protocol import PARTS
from cogviz.training import reading
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]

TEXTS = ["So it is.", "They saw the dog by the station clock this morning.", ""]


def clip(seconds: float, seed: int) -> Utterance:
    draw = np.random.default_rng(seed)
    wave = 0.2 * np.sin(np.arange(int(seconds * 16000)) / draw.uniform(5, 20)) + 0.02 * draw.normal(size=int(seconds * 16000))
    return Utterance(f"{seconds}-{seed}", "So it is.", None, "s", "x", "test", waveform=wave.astype(np.float32))


CLIPS = [clip(1.0, 1), clip(1.9, 2), clip(0.6, 3)]


@pytest.fixture
def listener(tiny_model: Pair) -> CogAudioListener:
    made = CogAudioListener.of(*tiny_model)
    made.max_new_tokens = 12
    return made


def test_words_are_read_as_pretraining_gives_them(tiny_model: Pair, listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_model
    monkeypatch.setattr(reading, "DROPPED", -1.0)
    for name in ("WRONG", "ADDED"):
        monkeypatch.setattr(reading, name, -1.0)
    monkeypatch.setattr(reading, "SALAD", 0.0)
    row = reading.ReadingExamples(TEXTS[:1], processor, count=1, seed=0, tasks={"transcribe": 1.0})[0]
    given = [t for t, label in zip(row["input_ids"], row["labels"], strict=True) if label == -100]
    inputs = listener._inputs(TEXTS[:1], "transcribe")
    expected = model.simulate(torch.tensor([given]), torch.tensor([row["frame_tokens"]]))
    torch.testing.assert_close(inputs["inputs_embeds"], expected)
    place = torch.tensor([given]) == model.config.audio_token_id
    assert (expected[place][: processor.tone_tokens] == 0).all(), "nothing of a voice"
    assert torch.equal(expected, model.simulate(torch.tensor([given]), torch.tensor([row["frame_tokens"]]))), "no doubt outside of training"
    model.train()
    try:
        assert not torch.equal(expected, model.simulate(torch.tensor([given]), torch.tensor([row["frame_tokens"]])))
    finally:
        model.eval()


def test_reading_in_a_batch_is_reading_one_by_one(listener: CogAudioListener) -> None:
    together = listener.read(TEXTS, progress=False)
    assert [h.utterance.text for h in together] == TEXTS
    for text, found in zip(TEXTS, together, strict=True):
        alone = listener.read([text], progress=False)[0]
        assert alone.text == found.text
        np.testing.assert_allclose(list(alone.scores.values()), list(found.scores.values()), atol=1e-4)
        assert list(found.scores) == list(EMOTIONS)
    assert together[0].scores != together[1].scores


def test_reading_with_words_for_the_tone_is_silent_too(make_tiny: Callable[..., Pair]) -> None:
    listener = CogAudioListener.of(*make_tiny(tone_words=list(range(40, 40 + len(tone.WORDS)))))
    listener.max_new_tokens = 4
    first = listener._inputs(["So it is."], "direct")["inputs_embeds"]
    assert int((first[0] == 0).all(dim=-1).sum()) == listener.processor.tone_tokens
    assert len(listener.read(["So it is."], route="direct", progress=False)) == 1


def test_questions_may_differ_from_recording_to_recording(listener: CogAudioListener) -> None:
    questions = ["Who speaks?", "Repeat the words.", "Is it loud?"]
    assert listener.answer(CLIPS, questions, progress=False) == [
        listener.answer([u], q, progress=False)[0] for u, q in zip(CLIPS, questions, strict=True)
    ]


def test_places_layers_and_heads_line_up(tiny_model: Pair, listener: CogAudioListener) -> None:
    model, processor = tiny_model
    answers = ["So it is.", "I see.", ""]
    passage = listener.passage(CLIPS, answers, route="direct")
    seen: dict[str, list[torch.Tensor]] = {"decoder": [], "encoder": []}
    hooks = [m.register_forward_hook(lambda _m, _i, out: seen["decoder"].append(out)) for m in listener.layers()]
    hooks += [m.register_forward_hook(lambda _m, _i, out: seen["encoder"].append(out)) for m in listener.encoder_layers()]
    try:
        logits = listener.logits(passage)
    finally:
        for hook in hooks:
            hook.remove()
    rows, places = passage.ids.shape
    assert logits.shape == (rows, places, len(processor.tokenizer))
    assert logits.requires_grad
    assert [s.shape for s in seen["decoder"]] == [(rows, places, 32)] * 2
    assert len(seen["encoder"]) == 2
    assert listener.heads == 2
    for row, answer in enumerate(answers):
        part = {name: passage.ids[row][passage.places(name)[row]].tolist() for name in PARTS}
        assert processor.tokenizer.decode(part["answer"], skip_special_tokens=True) == answer
        assert set(part["audio"]) == {model.config.audio_token_id}
        assert processor.tokenizer.decode(part["instruction"]) == processor.prompt("direct", 0)


def test_logits_are_those_of_the_model_at_every_place_that_it_reads(tiny_model: Pair, listener: CogAudioListener) -> None:
    model, _ = tiny_model
    passage = listener.passage(CLIPS, ["So it is.", "I see.", "So."])
    with torch.no_grad():
        _, kept, _, _ = model.hear(**passage.inputs)
        order = packed(kept, left=True)
        whole = model(**passage.inputs).logits
        expected = whole.gather(1, order[..., None].expand(-1, -1, whole.shape[-1]))
        found = listener.logits(passage)
    read = ~passage.places("padding")
    torch.testing.assert_close(found[read], expected[read], atol=1e-4, rtol=1e-4)


def test_the_own_answer_is_what_the_passage_predicts(listener: CogAudioListener) -> None:
    passage = listener.passage(CLIPS)
    with torch.no_grad():
        logits = listener.logits(passage)
    texts = [h.text for h in listener.listen(CLIPS, progress=False)]
    for row, text in enumerate(texts):
        said = passage.places("answer")[row].nonzero()[:, 0]
        assert listener.tokenizer.decode(passage.ids[row, said], skip_special_tokens=True) == text
        assert logits[row, said - 1].argmax(dim=-1).tolist() == passage.ids[row, said].tolist()
