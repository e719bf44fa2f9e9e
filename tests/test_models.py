"""CogAudio as a transformers model: what a batch, a file, a cache and a layer mode must not change, and what they must."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoProcessor

from cogviz.models import modeling, zoo
from cogviz.models.configuration import POOL, SAMPLES_PER_FRAME, CogAudioConfig
from cogviz.models.connector import LayerMix
from cogviz.models.encoder import encode_layers
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import AUDIO_TOKEN, CogAudioProcessor
from cogviz.training import run
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


def clip(seconds: float, seed: int = 0, level: float = 0.05) -> np.ndarray:
    """Noise under a slow swell, so that frames differ; (samples,) float32."""
    n = int(seconds * 16000)
    swell = 1 + 0.8 * np.sin(np.arange(n) / 3000)
    return (np.random.default_rng(seed).normal(0, level, n) * swell).astype(np.float32)


def last_logits(pair: Pair, clips: list[np.ndarray]) -> torch.Tensor:
    model, processor = pair
    with torch.inference_mode():
        return model(**processor(clips, "reason")).logits[:, -1]


# --- shapes and batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [(1.0, 1.3), (0.3, 7.1, 2.22), (1.01, 2.0), (0.1, 30.0)])
def test_a_clip_gives_the_same_logits_alone_and_in_a_batch(tiny_model: Pair, lengths: tuple[float, ...]) -> None:
    clips = [clip(s, i) for i, s in enumerate(lengths)]
    together = last_logits(tiny_model, clips)
    alone = torch.cat([last_logits(tiny_model, [c]) for c in clips])
    assert alone.std(dim=0).max() > 0.02, "the clips must differ, by far more than the tolerance below"
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(1600, 80_000))
def test_placeholders_are_as_many_as_the_encoder_gives(tiny_model: Pair, samples: int) -> None:
    model, processor = tiny_model
    inputs = processor(clip(samples / 16000), "direct")
    _, mask = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
    embedded = int(mask.sum()) + processor.tone_tokens
    assert processor.placeholders(inputs["input_features"].shape[2]) == embedded
    assert int((inputs["input_ids"] == model.config.audio_token_id).sum()) == embedded
    assert inputs["audio_levels"].shape[1] == mask.shape[1] == math.ceil(samples // 160 * 160 / SAMPLES_PER_FRAME)


def test_wrong_placeholders_are_one_clear_error_even_where_the_total_is_right(tiny_model: Pair) -> None:
    model, processor = tiny_model
    inputs = processor([clip(1.0), clip(1.0, 1)], "direct")
    place = model.config.audio_token_id
    ids = inputs["input_ids"].clone()
    ids[0, (ids[0] == place).nonzero()[0]] = processor.tokenizer.eos_token_id
    with pytest.raises(ValueError, match=r"text 0 has 14 audio placeholders for 15"):
        model(**{**inputs, "input_ids": ids})
    ids[1, -1] = place  # one text has one too few, the other one too many
    with pytest.raises(ValueError, match="build it with the processor"):
        model(**{**inputs, "input_ids": ids})


def test_audio_without_its_mask_or_levels_is_refused(tiny_model: Pair) -> None:
    model, processor = tiny_model
    inputs = processor(clip(1.0), "direct")
    for name in ("feature_attention_mask", "audio_levels"):
        with pytest.raises(ValueError, match="build"):
            model(**{k: v for k, v in inputs.items() if k != name})


def test_tasks_must_be_as_many_as_recordings(tiny_model: Pair) -> None:
    with pytest.raises(ValueError, match="2 recordings but 1 tasks"):
        tiny_model[1]([clip(1.0), clip(1.0)], ["reason"])


def test_computed_states_stand_in_for_the_recording(tiny_model: Pair) -> None:
    model, processor = tiny_model
    clips = [clip(0.7), clip(2.0, 1)]
    inputs = processor(clips, "direct", prefix="<response>")
    stored = []
    for c in clips:
        one = processor(c)
        states, _ = model.encode(one["input_features"], one["feature_attention_mask"])
        stored.append((states[0].numpy(), one["audio_levels"][0].numpy()))
    with torch.inference_mode():
        expected = model(**inputs).logits[:, -1]
        got = model(**processor.from_states(stored, "direct", prefix="<response>")).logits[:, -1]
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


# --- hearing ---------------------------------------------------------------------------------------------------------------------


def test_twelve_db_more_raise_the_level_feature_by_six_tenths(tiny_model: Pair) -> None:
    quiet = clip(2.0, level=0.02)
    levels = [tiny_model[1](c)["audio_levels"] for c in (quiet, quiet * 10 ** (12 / 20))]
    torch.testing.assert_close(levels[1] - levels[0], torch.full_like(levels[0], 0.6), atol=1e-4, rtol=0)


def test_minus_forty_dbfs_is_level_zero(tiny_model: Pair) -> None:
    loud = np.full(1280, 10 ** (-40 / 20), dtype=np.float32)
    assert tiny_model[1](np.tile(loud, 2))["audio_levels"].abs().max() < 1e-4


def test_encoder_layers_are_those_of_transformers_whisper(tiny_model: Pair) -> None:
    encoder = tiny_model[0].audio_encoder
    features = torch.randn(2, 80, 3000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        states, mask = encode_layers(encoder, features, torch.ones(2, 3000))
        peer = encoder(features, output_hidden_states=True)
    expected = torch.stack([*peer.hidden_states[:-1], peer.last_hidden_state], dim=1).unflatten(2, (-1, POOL)).mean(3)
    assert mask.all()
    assert states.shape == (2, 3, 375, 32)
    torch.testing.assert_close(states, expected, atol=1e-4, rtol=1e-4)


def test_what_lies_behind_the_end_of_a_clip_is_not_heard(tiny_model: Pair) -> None:
    encoder = tiny_model[0].audio_encoder
    features = torch.randn(1, 80, 100, generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(100) < 61)[None].long()
    with torch.inference_mode():
        a, real = encode_layers(encoder, features, mask)
        b, _ = encode_layers(encoder, torch.where(mask[:, None] > 0, features, 99.0), mask)
        alone, _ = encode_layers(encoder, features[:, :, :61], mask[:, :61])
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(a[:, :, : alone.shape[2]], alone, atol=1e-5, rtol=1e-5)
    assert real.sum() == alone.shape[2] == 8


# --- layers ----------------------------------------------------------------------------------------------------------------------


def test_last_ignores_the_lower_layers_and_has_no_mix_weights(make_tiny: Callable[..., Pair]) -> None:
    last, mix = make_tiny(layers="last")[0], make_tiny(layers="mix")[0]
    assert not any("mix.weight" in name for name, _ in last.named_parameters())
    assert last.connector.tone_weight.shape == (1,)
    assert mix.connector.words_mix.weight.shape == mix.connector.tone_weight.shape == (3,)
    states = torch.randn(1, 3, 5, 32, generator=torch.Generator().manual_seed(0))
    other = torch.cat([torch.randn(1, 2, 5, 32), states[:, 2:]], dim=1)
    arguments = (torch.zeros(1, 5), torch.ones(1, 5, dtype=torch.bool))
    with torch.inference_mode():
        for one, two in zip(last.connector(states, *arguments), last.connector(other, *arguments), strict=True):
            torch.testing.assert_close(one, two)
        for one, two in zip(mix.connector(states, *arguments), mix.connector(other, *arguments), strict=True):
            assert (one - two).abs().max() > 1e-3


def test_mix_is_a_convex_combination_of_layers_on_one_scale() -> None:
    mix = LayerMix(3, 8, "mix")
    layer = torch.randn(1, 1, 4, 8)
    states = torch.cat([layer, layer * 100, layer + 7], dim=1)  # the same layer in other scales and offsets
    with torch.no_grad():
        mix.weight.copy_(torch.tensor([3.0, -1.0, 0.5]))
        alone = nn_norm(layer[:, 0])
        torch.testing.assert_close(mix(states), alone, atol=1e-3, rtol=1e-3)  # so the weights sum to 1
        mix.weight.copy_(torch.tensor([0.0, 50.0, 0.0]))
        other = torch.randn(1, 3, 4, 8)
        torch.testing.assert_close(mix(other), nn_norm(other[:, 1]))  # and pick one where one is all


def nn_norm(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()


def test_unknown_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="'mix' or 'last', not 'first'"):
        CogAudioConfig(layers="first")


def test_without_tone_tokens_there_are_only_frames(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny(tone_tokens=0)
    assert processor.placeholders(8) == 1
    assert last_logits((model, processor), [clip(0.5)]).isfinite().all()


def test_the_gradient_reaches_connector_and_language_model_but_not_the_encoder(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny()
    model.requires_grad_(True)  # even where somebody thaws the parameters
    inputs = processor([clip(0.5), clip(1.0, 1)], "direct")
    labels = inputs["input_ids"].clone()
    model(**inputs, labels=labels).loss.backward()
    assert all(p.grad is None for p in model.audio_encoder.parameters())
    for part in (model.connector, model.language_model):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_the_loss_in_training_is_that_of_the_language_model_and_ctc_comes_on_top(
    make_tiny: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modeling, "MISHEARD", 0.0)
    model, processor = make_tiny(connector_dropout=0.0)
    inputs = processor([clip(0.5), clip(1.0, 1)], "direct", prefix="<response>It is so.</response>")
    labels = inputs["input_ids"].clone()
    labels[:, :-5] = -100
    words = torch.tensor([[40, 41, -100], [42, 43, 44]])
    with torch.no_grad():
        whole = model.eval()(**inputs, labels=labels).loss
        model.train().connector.tone_norm.eval()  # what treats a batch otherwise in training
        model.connector.tone.eval()
        trained = model(**inputs, labels=labels).loss
        both = model(**inputs, labels=labels, ctc_labels=words).loss
        model.eval()
        states, mask = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
        said, _ = model.connector(states, inputs["audio_levels"], mask)
        aside = [
            ctc_by_paths(said[i][mask[i]], target, blank=model.config.audio_token_id) / len(target)
            for i, target in enumerate(([40, 41], [42, 43, 44]))
        ]
    torch.testing.assert_close(trained, whole)
    torch.testing.assert_close(both - trained, torch.stack(aside).mean(), atol=1e-4, rtol=1e-4)


def ctc_by_paths(log_p: torch.Tensor, target: list[int], *, blank: int) -> torch.Tensor:
    """-log p(target) by the forward recursion over blank, t1, blank, t2, ..., blank (Graves et al. 2006, section 4.1)."""
    states = [blank, *(s for t in target for s in (t, blank))]
    alpha = torch.full((len(states),), -torch.inf)
    alpha[0], alpha[1] = log_p[0, blank], log_p[0, states[1]]
    for row in log_p[1:]:
        new = torch.empty_like(alpha)
        for s, token in enumerate(states):
            may_skip = s > 1 and token not in (blank, states[s - 2])
            new[s] = torch.logsumexp(alpha[max(0, s - 2 if may_skip else s - 1) : s + 1], 0) + row[token]
        alpha = new
    return -torch.logsumexp(alpha[-2:], 0)


# --- answers ---------------------------------------------------------------------------------------------------------------------


def test_answers_with_the_cache_are_those_of_a_forward_pass_for_every_token(tiny_model: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_model
    monkeypatch.setattr(
        model, "spoken", lambda words, mask: mask & (torch.arange(mask.shape[1]) % 3 != 1)
    )  # every third frame says nothing
    inputs = dict(processor([clip(0.4), clip(1.7, 1)], "direct"))
    how = {"do_sample": False, "max_new_tokens": 12, "min_new_tokens": 12, "return_dict_in_generate": True, "output_logits": True}
    ids, attention = inputs["input_ids"], inputs["attention_mask"]
    audio = {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
    slow = []
    with torch.inference_mode():
        fast = model.generate(**inputs, **how)
        for _ in range(12):
            slow.append(model(input_ids=ids, attention_mask=attention, **audio).logits[:, -1])
            ids = torch.cat([ids, slow[-1].argmax(-1, keepdim=True)], dim=1)
            attention = torch.cat([attention, attention.new_ones(2, 1)], dim=1)
    assert torch.equal(fast.sequences, ids)
    torch.testing.assert_close(torch.stack(fast.logits), torch.stack(slow), atol=1e-4, rtol=1e-4)


def test_frames_that_say_nothing_new_are_not_read(tiny_model: Pair) -> None:
    model, processor = tiny_model
    frames = torch.tensor([[7, 7, 0, 9, 9, 0, 9]])
    frames[frames == 0] = model.config.audio_token_id
    words = torch.nn.functional.one_hot(frames, len(processor.tokenizer)).float()
    mask = torch.tensor([[True] * 6 + [False]])
    assert model.spoken(words, mask).tolist() == [[True, False, False, True, False, False, False]]


def test_emotion_scores_are_the_log_probabilities_of_the_words(tiny_model: Pair) -> None:
    listener = CogAudioListener.of(*tiny_model, batch=2)
    heard = [Utterance(str(i), "", None, "s", "x", "test", waveform=clip(s, i)) for i, s in enumerate((2.0, 0.5, 1.0))]
    scores = listener.scores(heard, progress=False)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-5)
    inputs = tiny_model[1](heard[1].samples, "reason", prefix="<thought>[Perception] The voice sounds")
    with torch.inference_mode():
        log_p = tiny_model[0](**inputs).logits[0, -1].log_softmax(-1)
    words = [tiny_model[1].tokenizer(w, add_special_tokens=False)["input_ids"] for w in (" calm", " surprised")]
    assert scores[1, 0] - scores[1, 6] == pytest.approx(float(log_p[words[0][0]] - log_p[words[1][0]]), abs=1e-3)
    more = {**inputs, "input_ids": torch.tensor([[*inputs["input_ids"][0], words[0][0]]])}
    more["attention_mask"] = torch.ones_like(more["input_ids"])
    with torch.inference_mode():
        two = listener._continued(dict(inputs), words[0] + words[1])  # the general path agrees with a step by step computation
        second = tiny_model[0](**more).logits[0, -1].log_softmax(-1)[words[1][0]]
    assert float(two) == pytest.approx(float(log_p[words[0][0]] + second) / 2, abs=1e-4)


def test_answers_keep_the_order_of_the_utterances(tiny_model: Pair) -> None:
    model, processor = tiny_model
    tokens = {seconds: processor.placeholders(round(seconds * 100)) for seconds in (2.0, 0.5, 1.0)}

    def count_placeholders(input_ids: torch.Tensor, **_: object) -> torch.Tensor:
        return torch.cat([input_ids, (input_ids == model.config.audio_token_id).sum(dim=1, keepdim=True)], dim=1)

    stand_in = SimpleNamespace(eval=lambda: stand_in, config=model.config, device="cpu", needs_autocast=False, generate=count_placeholders)
    heard = [Utterance(str(s), "", None, "s", "x", "test", waveform=clip(s)) for s in tokens]
    texts = CogAudioListener.of(stand_in, processor, batch=2).texts(heard, "direct", progress=False)
    assert texts == [processor.tokenizer.decode([n]) for n in tokens.values()]


# --- files -----------------------------------------------------------------------------------------------------------------------


def saved(make: Callable[..., Pair], root: Path, **config: object) -> tuple[Pair, Path]:
    """A model saved as training saves it."""
    pair = make(**config)
    run.save(*pair, root / "nano-test")
    return pair, root / "nano-test"


@pytest.mark.parametrize("encoder_folder", [None, f"../{zoo.ENCODER}"])
def test_a_saved_model_comes_back_the_same(make_tiny: Callable[..., Pair], tmp_path: Path, encoder_folder: str | None) -> None:
    model, processor = make_tiny(encoder_folder=encoder_folder, layers="last")
    with torch.no_grad():
        model.connector.tone_norm.running_mean.normal_()
        model.connector.tone_norm.num_batches_tracked.fill_(70_001)
        for tensor in model.state_dict().values():
            tensor.copy_(tensor.half() if tensor.is_floating_point() else tensor)  # only what half precision holds can come back
    run.save(model, processor, tmp_path / "m")
    kept = load_file(tmp_path / "m" / "model.safetensors")
    assert any(name.startswith("audio_encoder.") for name in kept) == (encoder_folder is None)
    assert {v.dtype for v in kept.values() if v.is_floating_point()} == {torch.float16}
    again, reader = zoo.load(tmp_path / "m")
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    torch.testing.assert_close(dict(again.state_dict()), dict(model.state_dict()), atol=0, rtol=0)
    assert not any(p.requires_grad for p in again.audio_encoder.parameters())
    assert again.config.layers == "last"
    assert (reader.tone_tokens, reader.template) == (processor.tone_tokens, processor.template)
    torch.testing.assert_close(last_logits((again, reader), [clip(1.0)]), last_logits((model, processor), [clip(1.0)]))


def test_tied_weights_are_written_once_and_no_path_of_this_machine_is(make_tiny: Callable[..., Pair], tmp_path: Path) -> None:
    _, folder = saved(make_tiny, tmp_path, encoder_folder=f"../{zoo.ENCODER}")
    again = zoo.load(folder)
    run.save(*again, tmp_path / "again" / "nano-test")  # a model that was loaded knows a path
    for where in (tmp_path / "nano-test", tmp_path / "again" / "nano-test"):
        names = load_file(where / "model.safetensors")
        assert sum("embed_tokens" in n or "lm_head" in n for n in names) == 1
    for file in tmp_path.rglob("*.json"):
        assert str(tmp_path) not in file.read_text(), file.name


def test_auto_classes_know_cogaudio(make_tiny: Callable[..., Pair], tmp_path: Path) -> None:
    _, folder = saved(make_tiny, tmp_path)
    assert isinstance(AutoConfig.from_pretrained(folder), CogAudioConfig)
    assert isinstance(AutoModel.from_pretrained(folder), CogAudioForConditionalGeneration)
    processor = AutoProcessor.from_pretrained(folder)
    assert isinstance(processor, CogAudioProcessor)
    assert processor.tokenizer.convert_tokens_to_ids(AUDIO_TOKEN) == AutoConfig.from_pretrained(folder).audio_token_id


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "processor_config.json", zoo.ENCODER])
def test_a_checkpoint_cut_in_half_is_one_sentence(make_tiny: Callable[..., Pair], tmp_path: Path, file: str) -> None:
    _, folder = saved(make_tiny, tmp_path, encoder_folder=f"../{zoo.ENCODER}")
    path = tmp_path / file / "model.safetensors" if file == zoo.ENCODER else folder / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(zoo.UnknownModel, match="cannot be read") as caught:
        zoo.load(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_missing_encoder_is_named(make_tiny: Callable[..., Pair], tmp_path: Path) -> None:
    _, folder = saved(make_tiny, tmp_path, encoder_folder=f"../{zoo.ENCODER}")
    shutil.rmtree(tmp_path / zoo.ENCODER)
    with pytest.raises(zoo.UnknownModel, match="frozen encoder"):
        zoo.load(folder)


def test_unknown_models_are_told_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(zoo.UnknownModel, match=r"unknown model 'nano-x'; choose nano-baseline"):
        zoo.load("nano-x")
    with pytest.raises(zoo.UnknownModel, match="cogviz train nano-aligned"):
        zoo.load("nano-aligned")
    assert zoo.describe("nano-aligned") == {"name": "nano-aligned", "description": zoo.VARIANTS["nano-aligned"], "folder": None, "mb": 0.0}


def test_config_round_trip_keeps_the_parts(make_tiny: Callable[..., Pair]) -> None:
    config = make_tiny(tone_tokens=3)[0].config
    again = CogAudioConfig(**json.loads(json.dumps(config.to_dict())))
    assert again.audio_config.d_model == 32
    assert again.text_config.model_type == "lfm2"
    assert again.tone_tokens == 3


# --- devices ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.requires_cuda
def test_cuda_hears_what_the_cpu_hears(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny()
    inputs = processor([clip(0.4), clip(1.7, 1)], "direct")
    with torch.inference_mode():
        expected = model(**inputs).logits[:, -1]
        words = model.generate(**inputs, do_sample=False, max_new_tokens=8)
        model.cuda()
        there = inputs.to("cuda")
        torch.testing.assert_close(model(**there).logits[:, -1].cpu(), expected, atol=2e-3, rtol=2e-3)
        assert torch.equal(model.generate(**there, do_sample=False, max_new_tokens=8).cpu(), words)


@pytest.mark.parametrize("route", ["reason", "direct"])
def test_streamed_pieces_join_to_the_answer(make_tiny: Callable[..., Pair], route: str) -> None:
    listener = CogAudioListener.of(*make_tiny())
    utterance = Utterance("hum", "", None, "me", "hum", "test", waveform=clip(0.7))
    pieces = list(listener.stream(utterance, route=route, max_new_tokens=30))
    (whole,) = listener.texts([utterance], route, max_new_tokens=30)
    assert "".join(pieces) == whole
    assert len(pieces) > 2


def test_a_stream_that_fails_ends_with_its_error(make_tiny: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    listener = CogAudioListener.of(*make_tiny())
    utterance = Utterance("hum", "", None, "me", "hum", "test", waveform=clip(0.7))
    monkeypatch.setattr(listener.model, "generate", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(listener.stream(utterance))


@pytest.mark.requires_cuda
def test_cuda_learns_what_the_cpu_learns(make_tiny: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeling, "MISHEARD", 0.0)  # drawn at random, and elsewhere than on the CPU
    model, processor = make_tiny(connector_dropout=0.0)
    inputs = dict(processor([clip(0.9), clip(1.7, 1)], "direct", prefix="I see."))
    inputs |= {"labels": inputs["input_ids"].clone(), "ctc_labels": torch.tensor([[5, 6, 7], [8, 9, -100]])}
    gradients = {}
    for device in ("cpu", "cuda"):
        there = model.to(device).train()
        for module in there.connector.tone.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        there.zero_grad()
        loss = there(**{name: value.to(device) for name, value in inputs.items()}).loss
        loss.backward()
        gradients[device] = [loss.detach().cpu(), *(p.grad.cpu().clone() for p in there.parameters() if p.grad is not None)]
    assert len(gradients["cpu"]) > 10
    for cpu, cuda in zip(gradients["cpu"], gradients["cuda"], strict=True):
        torch.testing.assert_close(cuda, cpu, atol=3e-3, rtol=1e-2)
