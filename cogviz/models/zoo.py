"""The variants by name, where their checkpoints lie, and how a new `nano` is made."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoProcessor,
    AutoTokenizer,
    Lfm2Config,
    PreTrainedConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
)

from cogviz.models import backbones, tone
from cogviz.models.acoustic import SIZES, TOKENS
from cogviz.models.configuration import CogAudioConfig
from cogviz.models.convert import WeightsError
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import AUDIO_TOKEN, CogAudioProcessor
from cogviz.models.quiet import without_bars

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VARIANTS = {
    "nano-baseline": "an ordinary audio language model: last encoder layer, speech whose tone agrees with its words, generic replies",
    "nano-explicit": "stage I: explicit EIPS chains on LIME",
    "nano-implicit": "stage II: reasoning and direct route mixed, the chain internalised",
    "nano-aligned": "stage III: DR-SAPO on both routes: CogAudio-LLM",
    "nano-reasoner": "speech emotion reasoning: an acoustic encoder beside Whisper's, explanations grounded in the sound",
    "nano-ieat": "injected emotional-attribution thinking: it teaches itself what to answer, and says how that is to be spoken",
    "smol-baseline": "an ordinary audio language model on SmolLM2-135M-Instruct, as nano-baseline",
    "smol-explicit": "stage I on SmolLM2-135M-Instruct with adapters: explicit EIPS chains on LIME",
    "smol-implicit": "stage II of smol: reasoning and direct route mixed, the chain internalised",
    "smol-aligned": "stage III of smol: DR-SAPO on both routes",
    "smol-reasoner": "speech emotion reasoning on SmolLM2-135M-Instruct, as nano-reasoner",
    "smol-ieat": "injected emotional-attribution thinking on SmolLM2-135M-Instruct, as nano-ieat",
}

ENCODER = "whisper-tiny.en-encoder"
"""Folder beside the checkpoints: the frozen encoder that all nano models share."""


class UnknownModel(ValueError):
    """Raised for a model that is neither a variant nor a folder, and for a checkpoint that cannot be read."""


def register() -> None:
    """Make `AutoConfig`, `AutoModel` and `AutoProcessor` know CogAudio."""
    # Whoever has no CUDA kernel for short convolutions can do nothing about it, and needs none.
    logging.getLogger("transformers.integrations.hub_kernels").addFilter(lambda record: "causal_conv1d" not in record.getMessage())
    # A checkpoint of adapters holds neither of the tied embeddings: they come with the pretrained language model.
    logging.getLogger("transformers.modeling_utils").addFilter(
        lambda record: "both are absent from the checkpoint" not in record.getMessage()
    )
    AutoConfig.register("cogaudio", CogAudioConfig, exist_ok=True)
    AutoModel.register(CogAudioConfig, CogAudioForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(CogAudioConfig, CogAudioProcessor, exist_ok=True)


register()


def checkpoints() -> Path:
    """Return the folder of the shipped checkpoints: `checkpoints/` of the working folder, or of the repository."""
    here = Path("checkpoints")
    return here if here.is_dir() else Path(__file__).parents[2] / "checkpoints"


def folder(name: str | Path) -> Path:
    """Return the folder of a variant or of a checkpoint given by path; raises `UnknownModel` with what there is."""
    path = Path(name)
    for candidate in (path, checkpoints() / str(name)):
        if (candidate / "config.json").is_file():
            return candidate
    if str(name) in VARIANTS:
        raise UnknownModel(f"the checkpoint of {name} is not in {checkpoints()}; train it with: cogviz train {name}")
    raise UnknownModel(f"unknown model {str(name)!r}; choose {', '.join(VARIANTS)}, or the folder of a CogAudio checkpoint")


def load(name: str | Path) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor]:
    """Load a model (float32, eval mode) and its processor; raises `UnknownModel` where the files are missing or broken."""
    import torch
    from safetensors import SafetensorError

    path = folder(name)
    try:
        with without_bars():
            model = CogAudioForConditionalGeneration.from_pretrained(path, dtype=torch.float32)
            processor = CogAudioProcessor.from_pretrained(path)
    except WeightsError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise UnknownModel(
            f"the checkpoint in {path} cannot be read ({type(error).__name__}: {str(error)[:120]}); copy or train it again"
        ) from None
    return model.eval(), processor


def new_nano(
    tokenizer: PreTrainedTokenizerFast, *, layers: str = "mix", seed: int = 0
) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor]:
    """Make an untrained nano: the pretrained encoder, a fresh connector and a fresh language model of 3.7 million parameters."""
    import torch

    # Gated short convolutions and attention in turn (LFM2: Amini et al. 2025, arXiv 2511.23404): a convolution sees the token before, which is
    # what an attention layer needs to repeat what it hears, so that copying is learned in a fraction of a plain transformer's steps.
    text = Lfm2Config(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=384,
        block_auto_adjust_ff_dim=False,
        num_hidden_layers=6,
        layer_types=["conv", "full_attention"] * 3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model, processor = _assemble(text, tokenizer, seed=seed, layers=layers)
    with torch.no_grad():  # rows of length 1: what is heard, a mixture of them, is then as large as what the layers add to it
        torch.as_tensor(model.get_input_embeddings().weight).mul_(1 / (text.initializer_range * text.hidden_size**0.5))
    return model, processor


SMOL_AUDIO = "<empty_output>"
"""SmolLM2's tokenizer keeps this token for notebooks, which nobody speaks; so its vocabulary need not grow."""


def new_smol(*, layers: str = "mix", seed: int = 0) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor]:
    """Make an untrained smol: pretrained encoder and SmolLM2-135M-Instruct, both frozen, a fresh connector and fresh adapters.

    Raises:
        WeightsError: SmolLM2 is not on this machine.
    """
    folder = backbones.resolve(backbones.SMOLLM2)
    text, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    text._name_or_path, text.dtype = "", "float32"
    model, processor = _assemble(
        text,
        tokenizer,
        seed=seed,
        audio_token=SMOL_AUDIO,
        template="<|im_start|>user\n{audio}{prompt}<|im_end|>\n<|im_start|>assistant\n",
        layers=layers,
        spoken=2048,
        tone_words=[tokenizer(f" {word}", add_special_tokens=False)["input_ids"][0] for word in tone.WORDS],
        text_backbone=backbones.SMOLLM2,
        lora_rank=8,
    )
    model.load_language_model(backbones.SMOLLM2)
    model.train_language_model(True)
    return model, processor


def with_acoustic(
    model: CogAudioForConditionalGeneration, processor: CogAudioProcessor, *, seed: int = 0, **sizes: Any
) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor]:
    """Return a model that hears the voice through a fresh acoustic encoder and connector; its words and its language model are those of `model`.

    Args:
        sizes: of the encoder, where they differ from `acoustic.SIZES`.
    """
    import torch

    config = CogAudioConfig.from_dict({**model.config.to_dict(), "acoustic": {**SIZES, **sizes}, "tone_tokens": TOKENS})
    torch.manual_seed(seed)
    with without_bars():
        heard = CogAudioForConditionalGeneration(config)
    old = {n: w for n, w in model.state_dict().items() if not n.startswith(("connector.tone", "connector.neutral", "tone_head."))}
    heard.load_state_dict(old, strict=False)
    heard.audio_encoder.requires_grad_(False)
    heard.train_language_model(True)
    heard.generation_config = model.generation_config
    listens = CogAudioProcessor(
        processor.feature_extractor,
        processor.tokenizer,
        tone_tokens=TOKENS,
        template=processor.template,
        audio_token=processor.audio_token,
        spoken=processor.spoken,
        acoustic=True,
    )
    return heard.eval(), listens


def _assemble(
    text: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    audio_token: str = AUDIO_TOKEN,
    template: str | None = None,
    **settings: Any,
) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor]:
    """Put the pretrained encoder, a fresh connector and a language model (fresh) together."""
    import torch

    torch.manual_seed(seed)
    whisper = backbones.whisper_encoder()
    config = CogAudioConfig(
        audio_config=WhisperConfig.from_dict({**whisper.config.to_dict(), "_name_or_path": ""}),  # it would carry a path of this machine
        text_config=text,
        audio_token_id=int(tokenizer.convert_tokens_to_ids(audio_token)),
        connector_hidden=256,
        connector_dropout=0.3,
        encoder_folder=f"../{ENCODER}",
        **settings,
    )
    model = CogAudioForConditionalGeneration(config)
    model.audio_encoder.load_state_dict(whisper.state_dict())
    model.audio_encoder.requires_grad_(False)
    model.generation_config.update(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, suppress_tokens=[config.audio_token_id]
    )
    more: dict[str, Any] = {"template": template} if template else {}
    processor = CogAudioProcessor(
        WhisperFeatureExtractor(feature_size=80),
        tokenizer,
        tone_tokens=config.tone_tokens,
        audio_token=audio_token,
        spoken=config.spoken,
        **more,
    )
    return model, processor


def describe(name: str) -> dict[str, Any]:
    """Return what is known about a variant without loading it: description, folder, size in MB; folder None where it is not here."""
    try:
        path: Path | None = folder(name)
    except UnknownModel:
        path = None
    size = sum(f.stat().st_size for f in path.iterdir() if f.is_file()) / 1e6 if path else 0.0
    return {"name": name, "description": VARIANTS.get(name, ""), "folder": path, "mb": round(size, 1)}
