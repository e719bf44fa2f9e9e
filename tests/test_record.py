"""The record of an answer: every position named, and the likelihoods those of the model."""

from __future__ import annotations

import numpy as np
import torch

from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.models.record import SEGMENTS
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


def hum(seconds: float, name: str) -> Utterance:
    sound = (0.1 * np.sin(np.arange(int(seconds * 16000)) / 20)).astype(np.float32)
    return Utterance(name, "", None, "s", name, "t", waveform=sound)


def test_a_record_names_every_position_and_is_as_likely_as_the_model_says(tiny_model: Pair) -> None:
    model, processor = tiny_model
    utterances = [hum(0.8, "a"), hum(1.3, "b")]
    heard = CogAudioListener.of(model, processor).listen(utterances, route="direct", explain=True, progress=False)
    for h, utterance in zip(heard, utterances, strict=True):
        found = h.record
        assert found is not None
        size = len(found.ids)
        assert {len(x) for x in (found.pieces, found.segments, found.frames, found.read, found.log_probs)} == {size}
        counts = {name: int((found.segments == i).sum()) for i, name in enumerate(SEGMENTS)}
        inputs = processor(utterance.samples, "direct")
        states, mask = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
        assert counts["tone"] == processor.tone_tokens
        assert counts["words"] == int(mask.sum())
        assert found.frames.max() == counts["words"] - 1
        words, _ = model.connector(states, inputs["audio_levels"], mask)
        assert len(found.positions("words")) == int(model.spoken(words, mask).sum())
        assert found.pieces[int(np.flatnonzero(found.segments == SEGMENTS.index("tone"))[0])] == "tone 1"
        answer = found.positions("answer")
        assert processor.tokenizer.decode(found.ids[answer], skip_special_tokens=True) == h.text
        assert h.text
        assert np.isnan(found.log_probs[: answer[0]]).all()
        whole = {**inputs, "input_ids": torch.tensor(found.ids)[None], "attention_mask": torch.ones(1, size, dtype=torch.long)}
        with torch.no_grad():
            logits = model(**whole).logits[0].log_softmax(-1).numpy()
        expected = [logits[i - 1, found.ids[i]] for i in answer]
        np.testing.assert_allclose(found.log_probs[answer], expected, atol=1e-4)


def test_without_explain_there_is_no_record(tiny_model: Pair) -> None:
    assert CogAudioListener.of(*tiny_model).listen([hum(0.8, "a")], progress=False)[0].record is None
