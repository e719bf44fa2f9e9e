"""Every listener by its name: our variants, other people's models, and the yardsticks of pure reading and pure hearing."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path

from cogviz.device import Device, choose
from cogviz.models import backbones, zoo
from cogviz.models.answering import Answering
from cogviz.models.listener import CogAudioListener
from cogviz.models.protocol import Listener, Transparent
from cogviz.models.zoo import UnknownModel

ADAPTERS = {
    "qwen2_audio": "qwen2_audio.Qwen2Audio",
    "qwen2_5_omni": "qwen2_5_omni.Qwen25Omni",
    "qwen2_5_omni_thinker": "qwen2_5_omni.Qwen25Omni",
    "voxtral": "voxtral.Voxtral",
    "audioflamingo3": "audio_flamingo3.AudioFlamingo3",
    "granite_speech": "granite_speech.GraniteSpeech",
}
"""model_type in a config -> the adapter, a module of this folder and its class. transformers has no Ultravox, and foreign code is never run."""

PROBE = "probe:"
"""What stands before the folder of a linear probe."""

LINEAR_PROBE = "linear-probe"
"""The pure hearer that is shipped."""


def _cascade(device: Device, batch: int | None) -> Listener:
    from cogviz.models.listeners.cascade import Cascade, Transcriber
    from cogviz.models.listeners.readers import LanguageModelReader

    reader = LanguageModelReader(device=device.name, dtype=device.dtype, batch=batch)
    return Cascade(reader, Transcriber(device=device.name, dtype=device.dtype, batch=batch), name="cascade")


def _cascade_minilm(device: Device, batch: int | None) -> Listener:
    from cogviz.models.listeners.cascade import Cascade, Transcriber
    from cogviz.models.listeners.readers import SentenceReader

    return Cascade(
        SentenceReader(device=device.name), Transcriber(device=device.name, dtype=device.dtype, batch=batch), name="cascade-minilm"
    )


def _words(device: Device, batch: int | None) -> Listener:
    from cogviz.models.listeners.cascade import Cascade
    from cogviz.models.listeners.readers import LanguageModelReader

    return Cascade(LanguageModelReader(device=device.name, dtype=device.dtype, batch=batch), name="words")


def _words_minilm(device: Device, batch: int | None) -> Listener:
    from cogviz.models.listeners.cascade import Cascade
    from cogviz.models.listeners.readers import SentenceReader

    return Cascade(SentenceReader(device=device.name), name="words-minilm")


READERS: dict[str, Callable[[Device, int | None], Listener]] = {
    "cascade": _cascade,  # Whisper's words -> SmolLM2
    "cascade-minilm": _cascade_minilm,  # Whisper's words -> MiniLM and a logistic regression
    "words": _words,  # the true words -> SmolLM2
    "words-minilm": _words_minilm,  # the true words -> MiniLM and a logistic regression
}
"""The pure readers by name."""


def load_listener(name: str | Path, *, device: str = "auto", batch: int | None = None) -> Listener:
    """Return a listener by its name. Nothing is fetched: weights come from this machine (`cogviz weights fetch NAME` brings them).

    Args:
        name: one of our variants; a folder, or a hub name, of a CogAudio checkpoint or of a model that `ADAPTERS` knows; one of `READERS`;
            "linear-probe", or "probe:FOLDER".
        device: auto, cuda or cpu. batch: utterances at once; None: found automatically.

    Raises:
        UnknownModel: nothing is called so, or its kind is not supported.
        WeightsError: the weights, or a package that they need, are not on this machine.
    """
    text, chosen = str(name), choose(device)
    if text in READERS:
        return READERS[text](chosen, batch)
    if text == LINEAR_PROBE:
        text = f"{PROBE}{zoo.checkpoints() / LINEAR_PROBE}"
    if text.startswith(PROBE):
        from cogviz.models.listeners.probe import LinearProbe

        return LinearProbe.load(text.removeprefix(PROBE), device=chosen.name, batch=batch)
    if text in zoo.VARIANTS:
        return CogAudioListener(text, batch=batch, device=chosen.name)
    folder = Path(text) if Path(text).is_dir() else None
    if folder is None:
        if text.count("/") != 1:  # no hub name
            raise UnknownModel(
                f"unknown model {text!r}; choose {', '.join([*zoo.VARIANTS, *READERS, LINEAR_PROBE])}, {PROBE}FOLDER, or a folder or hub name "
                f"of a model of type {', '.join(['cogaudio', *ADAPTERS])}"
            )
        folder = backbones.resolve(text)
    kind = _kind(folder)
    if kind == "cogaudio":
        return CogAudioListener(folder, batch=batch, device=chosen.name)
    if kind not in ADAPTERS:
        raise UnknownModel(f"{text} is a model of type {kind}, which is not supported; supported: {', '.join(['cogaudio', *ADAPTERS])}")
    module, adapter = ADAPTERS[kind].split(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), adapter).load(folder, device=chosen, name=Path(text).name, batch=batch)


def transparent(listener: Listener) -> Transparent:
    """Return a listener that can be looked into; raises ValueError for one that cannot, such as a reader."""
    if not isinstance(listener, Answering):
        raise ValueError(f"{listener.name} only names emotions and has no layers to look into; take an audio language model")
    return listener


def _kind(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text())["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnknownModel(f"{folder} holds no model (its config.json: {type(error).__name__}); give the folder of a checkpoint") from None
