"""Listeners by name: what is found, and one clear sentence about what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from test_listeners import CHAT, MODELS, omni, qwen2_audio, spoken

from cogviz.models import backbones, zoo
from cogviz.models.backbones import WeightsError
from cogviz.models.listener import CogAudioListener
from cogviz.models.listeners import ADAPTERS, READERS, load_listener, transparent
from cogviz.models.listeners.base import AudioLanguageModel
from cogviz.models.listeners.cascade import Cascade
from cogviz.models.listeners.qwen2_5_omni import Qwen25Omni
from cogviz.models.listeners.qwen2_audio import Qwen2Audio
from cogviz.models.zoo import UnknownModel
from cogviz.training import run

CLIP = [spoken(1.0, 150)]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A tiny Qwen2-Audio as its authors publish it: weights, processor, chat template."""
    torch.manual_seed(0)
    model, processor = qwen2_audio()
    model.save_pretrained(tmp_path / "Qwen2-Tiny")
    processor.save_pretrained(tmp_path / "Qwen2-Tiny")
    return tmp_path / "Qwen2-Tiny"


def answers(listener: AudioLanguageModel) -> list[str]:
    listener.max_new_tokens = 6
    return [h.text for h in listener.listen(CLIP, progress=False)]


def test_a_folder_becomes_the_adapter_of_its_kind(saved: Path) -> None:
    listener = load_listener(saved, device="cpu")
    assert isinstance(listener, Qwen2Audio)
    assert listener.name == "Qwen2-Tiny"
    torch.manual_seed(0)
    original, processor = qwen2_audio()
    assert processor.chat_template == CHAT.replace("AUDIO", "<|AUDIO|>")
    assert answers(Qwen2Audio(listener.model.float(), listener.processor)) == answers(Qwen2Audio(original, processor))


def test_a_hub_name_is_looked_for_on_this_machine_only(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="are not on this machine; run: cogviz weights fetch Qwen/Qwen2-Audio-7B-Instruct"):
        load_listener("Qwen/Qwen2-Audio-7B-Instruct")
    monkeypatch.setattr(backbones, "find", lambda name: saved if name == "Qwen/Qwen2-Audio-7B-Instruct" else None)
    assert isinstance(load_listener("Qwen/Qwen2-Audio-7B-Instruct", device="cpu"), Qwen2Audio)


def test_the_thinker_is_taken_out_of_the_whole_omni(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers.Qwen2_5OmniProcessor, "check_argument_for_proper_class", lambda *_: None)
    torch.manual_seed(0)
    thinker, processor = omni()
    state = {f"thinker.{name}": value for name, value in published(thinker, tmp_path / "thinker").items()}
    folder = tmp_path / "Omni"
    folder.mkdir()
    from safetensors.torch import save_file

    save_file(state | {"talker.codec_head.weight": torch.zeros(2, 2)}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_5_omni", "thinker_config": thinker.config.to_dict()}))
    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", lambda _: processor)
    monkeypatch.setattr(Qwen25Omni, "needs", {})
    loaded = load_listener(folder, device="cpu")
    assert isinstance(loaded, Qwen25Omni)
    for name, value in thinker.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name].float(), value, atol=1e-2, rtol=1e-2)


def published(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def test_our_own_are_found_by_name_and_folder(make_tiny: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.save(*make_tiny(), tmp_path / "nano-mine")
    assert isinstance(load_listener(tmp_path / "nano-mine", device="cpu"), CogAudioListener)
    monkeypatch.setattr(zoo, "checkpoints", lambda: tmp_path)
    monkeypatch.setattr(zoo, "VARIANTS", {"nano-mine": "", "nano-gone": ""})
    assert load_listener("nano-mine", device="cpu", batch=3).batch == 3
    with pytest.raises(UnknownModel, match="train it with: cogviz train nano-gone"):
        load_listener("nano-gone")


def test_an_unknown_name_gets_the_list_of_names() -> None:
    with pytest.raises(UnknownModel, match=r"unknown model 'gpt-9'; choose nano-baseline, .*cascade, .*probe:FOLDER, .*voxtral"):
        load_listener("gpt-9")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"model_type": "ultravox"}', "is a model of type ultravox, which is not supported; supported: cogaudio, qwen2_audio"),
        ("{}", r"holds no model \(its config.json: KeyError\)"),
        ("[", r"holds no model \(its config.json: JSONDecodeError\)"),
        (None, r"holds no model \(its config.json: FileNotFoundError\)"),
    ],
)
def test_a_folder_of_another_kind_is_named(tmp_path: Path, config: str | None, message: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(UnknownModel, match=message):
        load_listener(tmp_path)


@pytest.mark.parametrize("gone", ["model.safetensors", "processor_config.json", "tokenizer.json"])
def test_a_folder_with_a_part_missing_says_so(saved: Path, gone: str) -> None:
    (saved / gone).unlink()
    with pytest.raises(WeightsError, match=r"Qwen2-Tiny in .* cannot be loaded .*; fetch it again"):
        load_listener(saved, device="cpu")


def test_a_package_that_is_needed_is_named(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Qwen2Audio, "needs", {"no_such_package": "no-such-package"})
    with pytest.raises(WeightsError, match="needs the package no_such_package; run: pip install no-such-package"):
        load_listener(saved)


def test_no_weights_for_the_readers_and_the_probe_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "find", lambda _: None)
    for name in READERS:
        with pytest.raises(WeightsError, match="run: cogviz weights fetch"):
            load_listener(name, device="cpu")
    with pytest.raises(WeightsError, match="holds no linear probe"):
        load_listener(f"probe:{tmp_path}")


def test_only_a_model_can_be_looked_into(make_tiny: Callable[..., Any]) -> None:
    own = CogAudioListener.of(*make_tiny())
    assert transparent(own) is own
    with pytest.raises(ValueError, match="words only names emotions and has no layers to look into"):
        transparent(Cascade(lambda texts, **_: None, name="words"))  # type: ignore[arg-type]


def test_every_adapter_is_tested_and_there() -> None:
    assert set(ADAPTERS) - {"qwen2_5_omni_thinker"} == set(MODELS)
    for kind in ADAPTERS:
        assert kind in transformers.CONFIG_MAPPING, "the installed transformers has it"
    assert "ultravox" not in transformers.CONFIG_MAPPING, "transformers has it now: write its adapter"
