"""A frozen language model with adapters: what learns, what is saved, what is found again, and frames that spell."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cogviz.device import Device
from cogviz.emotions import EMOTIONS, emotion
from cogviz.lime import annotate
from cogviz.lime.sentences import sentences
from cogviz.models import backbones, tone, zoo
from cogviz.models.backbones import WeightsError
from cogviz.models.configuration import CogAudioConfig
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.scoring import claimed_emotion
from cogviz.training import optimizer, reading, run
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


@pytest.fixture
def adapted(make_tiny: Callable[..., Pair], tmp_path: Path) -> Pair:
    """A tiny model whose language model is the pretrained one in tmp_path/base."""
    base, _ = make_tiny(seed=1)
    base.language_model.save_pretrained(tmp_path / "base")
    words = list(range(40, 40 + len(tone.WORDS)))
    model, processor = make_tiny(text_backbone=str(tmp_path / "base"), lora_rank=2, tone_words=words, encoder_folder=f"../{zoo.ENCODER}")
    model.load_language_model(str(tmp_path / "base"))
    model.train_language_model(True)
    return model, processor


def hum(seconds: float = 0.8) -> np.ndarray:
    return (0.1 * np.sin(np.arange(int(seconds * 16000)) / 20)).astype(np.float32)


def test_adapters_and_connector_learn_and_what_was_pretrained_does_not(adapted: Pair) -> None:
    model, processor = adapted
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learns == {n for n, _ in model.named_parameters() if ".lora_" in n or n.startswith(("connector.", "tone_head."))}
    groups = optimizer.make(model, lr=1e-3, weight_decay=0.0, decay=set()).param_groups
    assert len(groups) == 1, "adapters are AdamW's: their two halves are no matrix inside the model"
    inputs = processor([hum(), hum(1.1)], "direct", prefix="<response>So.</response>")
    model.train()(**inputs, labels=inputs["input_ids"].clone()).loss.backward()
    for name, weight in model.named_parameters():
        assert (weight.grad is not None) == (name in learns and not name.startswith("tone_head.")), name
    model.train_language_model(False)
    assert not [n for n, p in model.named_parameters() if p.requires_grad and n.startswith("language_model.")]


def test_fresh_adapters_change_nothing_that_the_language_model_says(adapted: Pair, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, _ = adapted
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()
    tokens = torch.tensor([[3, 8, 40, 41]])
    torch.testing.assert_close(model.language_model(tokens).logits, plain(tokens).logits)


def test_folded_adapters_answer_alike_and_the_weights_come_back_to_the_last_bit(adapted: Pair) -> None:
    model, _ = adapted
    for name, weight in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=0.05)
    ids = torch.arange(12)[None] + 20
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.no_grad():
        apart = model(input_ids=ids).logits
        with model.folded():
            torch.testing.assert_close(model(input_ids=ids).logits, apart, atol=1e-4, rtol=1e-4)
            changed = [n for n, w in model.state_dict().items() if not torch.equal(w, before[n])]
            assert changed
            assert all("base_layer" in name for name in changed)
        assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
        assert torch.equal(model(input_ids=ids).logits, apart)


def test_a_checkpoint_holds_what_was_learned_and_finds_the_rest(adapted: Pair, tmp_path: Path) -> None:
    model, processor = adapted
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_" in name:
                weight.add_(0.05 * torch.randn_like(weight))
    folder = tmp_path / "runs" / "smol-tiny"
    run.save(model.eval(), processor, folder)
    saved = load_file(folder / "model.safetensors")
    assert saved
    assert all(".lora_" in name or name.startswith(("connector.", "tone_head.")) for name in saved)
    again, its = zoo.load(folder)
    inputs = processor([hum()], "reason")
    with torch.no_grad():
        for name, weight in [*model.named_parameters(), *model.named_buffers()]:
            if weight.is_floating_point() and (".lora_" in name or not name.startswith("language_model.")):
                weight.copy_(weight.half())  # the precision of a checkpoint
        torch.testing.assert_close(again(**its([hum()], "reason")).logits, model(**inputs).logits, atol=1e-4, rtol=1e-4)
    assert not [n for n, p in again.named_parameters() if p.requires_grad and again.is_frozen(n)]


def test_a_missing_base_says_which_command_brings_it(adapted: Pair, tmp_path: Path) -> None:
    model, processor = adapted
    folder = tmp_path / "runs" / "smol-tiny"
    run.save(model, processor, folder)
    (tmp_path / "base").rename(tmp_path / "elsewhere")
    with pytest.raises(WeightsError, match="not on this machine; run: cogviz weights fetch"):
        zoo.load(folder)


def test_adapters_for_another_base_are_refused(adapted: Pair, make_tiny: Callable[..., Pair], tmp_path: Path) -> None:
    model, processor = adapted
    folder = tmp_path / "runs" / "smol-tiny"
    run.save(model, processor, folder)
    shutil.rmtree(tmp_path / "base")
    from transformers import AutoModelForCausalLM, LlamaConfig

    other = LlamaConfig(vocab_size=500, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    AutoModelForCausalLM.from_config(other).save_pretrained(tmp_path / "base")
    with pytest.raises(WeightsError, match="is not the language model that this checkpoint was made for"):
        zoo.load(folder)


# --- frames that spell -----------------------------------------------------------------------------------------------------------


def test_a_frame_can_say_only_the_first_tokens_and_they_spell_every_word(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny(spoken=300)
    processor.spoken = 300
    for text in ("The dog barked at 7, didn't it?", "Ærøskøbing", "a  b\n"):
        spelled = processor.spoken_tokens(text)
        assert max(spelled) < 300
        assert processor.tokenizer.decode(spelled) == text
        assert len(spelled) >= len(processor.tokens(text))
    inputs = processor([hum(), hum(1.2)], "direct")
    states, mask = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
    words, _ = model.connector(states, inputs["audio_levels"], mask)
    assert words.shape[-1] == 300
    labels = torch.tensor([processor.spoken_tokens("So it is")[:4]] * 2)
    loss = model.train()(audio_states=states, audio_mask=mask, audio_levels=inputs["audio_levels"], ctc_labels=labels).loss
    assert torch.isfinite(loss)
    assert model.eval().generate(**inputs, max_new_tokens=3).shape[0] == 2


def test_all_tokens_can_be_said_where_nothing_else_is_set(tiny_model: Pair) -> None:
    _, processor = tiny_model
    assert processor.spoken_tokens("The dog barked.") == processor.tokens("The dog barked.")


def test_the_audio_token_must_be_one_that_a_frame_can_say(tiny_model: Pair) -> None:
    config = tiny_model[0].config
    with pytest.raises(ValueError, match="spoken must be above the audio token's id"):
        CogAudioConfig(audio_config=config.audio_config, text_config=config.text_config, audio_token_id=4, spoken=4)


@pytest.mark.skipif(backbones.find(backbones.SMOLLM2) is None, reason=f"no SmolLM2 here; cogviz weights fetch {backbones.SMOLLM2}")
def test_a_new_smol_has_the_pretrained_language_model_in_it_and_few_weights_that_learn() -> None:
    model, processor = zoo.new_smol()
    _, tokenizer = backbones.language_model()
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) < 4e6
    assert processor.tokenizer.decode(processor.spoken_tokens("The sunflower wilted.")) == "The sunflower wilted."
    tokens = tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        said = tokenizer.decode(model.language_model(tokens).logits[0, -1].argmax())
    assert said == " Paris"


def test_a_frozen_base_in_bf16_learns_and_answers_under_autocast(adapted: Pair) -> None:
    model, processor = adapted
    inputs = processor([hum(), hum(1.1)], "direct", prefix="<response>So.</response>")
    tokens = torch.tensor([[3, 8, 40, 41, 60, 7]])
    with torch.no_grad():
        before = model.language_model(tokens).logits
    assert not model.needs_autocast
    model.store_frozen(torch.bfloat16)
    assert model.needs_autocast
    assert {p.dtype for n, p in model.named_parameters() if model.is_frozen(n) and n.startswith("language_model.")} == {torch.bfloat16}
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model.language_model(tokens).logits.float(), before, atol=0.1, rtol=0.1)
        assert torch.isfinite(model(**inputs).logits).all()
    heard = CogAudioListener.of(model, processor).listen(
        [Utterance("a", "", None, "s", "a", "t", waveform=hum())], explain=True, progress=False
    )
    assert heard[0].record is not None
    assert np.isfinite(heard[0].record.log_probs[heard[0].record.positions("answer")]).all()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.train()(**inputs, labels=inputs["input_ids"].clone()).loss
    loss.backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for n, p in model.named_parameters() if ".lora_" in n)


RECIPE = """
name: smol-small
about: every kind of stage, then DR-SAPO
size: smol
stages:
  - {name: chains, parts: [], tasks: {reason: 0.6, transcribe: 0.4}, unfamiliar: 0.3, steps: 2, batch: 4}
  - {name: hearing, parts: [ambiguous], tasks: {}, steps: 2, batch: 4}
  - {name: tone, parts: [ambiguous], tasks: {}, steps: 2, batch: 4}
  - {name: explicit, parts: [ambiguous], tasks: {reason: 0.5, direct: 0.5}, steps: 2, batch: 4}
alignment: {parts: [ambiguous], steps: 2, prompts: 2, group: 4, updates: 2, kl: 0.1}
"""


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_smol_goes_through_every_stage_and_its_base_stays_as_it_was(
    small: None, adapted: Pair, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    model, processor = adapted
    base = {n: p.detach().clone() for n, p in model.named_parameters() if model.is_frozen(n)}
    monkeypatch.setattr(zoo, "new_smol", lambda **_: (model, processor))
    data = shutil.copytree(tiny_dataset, tmp_path / "data")
    (tmp_path / "small.yaml").write_text(RECIPE)
    device = Device("cpu", dtype, "test")
    folder = run.train(tmp_path / "small.yaml", data=data, output=tmp_path / "runs", device=device, limit=2, progress=False)
    assert (folder / "README.md").is_file()
    saved = load_file(folder / "model.safetensors")
    assert all(".lora_" in name or name.startswith(("connector.", "tone_head.")) for name in saved)
    assert any(saved[n].abs().max() > 0 for n in saved if ".lora_B." in n), "the adapters have learned"
    again, _ = zoo.load(folder)
    state = dict(again.named_parameters())
    for name, weight in base.items():
        torch.testing.assert_close(state[name].float(), weight, atol=1e-3, rtol=1e-3)  # half precision of the encoder beside it
    heard = CogAudioListener(folder).listen([Utterance("a", "", None, "s", "a", "t", waveform=hum())], progress=False)
    assert heard[0].text is not None


# --- a tone in words -------------------------------------------------------------------------------------------------------------


def test_tone_tokens_tell_emotion_degree_and_what_stands_out() -> None:
    def words(*told: object) -> list[str]:
        return [tone.WORDS[i] if i != tone.SILENT else "-" for i in tone.classes(*told)]  # type: ignore[arg-type]

    assert words("sad", 1.5, ("soft", "falling at the end"), 4) == ["sad", "strongly", "soft", "falling"]
    assert words("angry", 0.5, ("loud",), 4) == ["angry", "little", "loud", "-"]
    assert words("neutral", 0.0, (), 4) == ["calm", "-", "-", "-"]
    assert words("fear", 1.0, ("high", "quick"), 2) == ["frightened", "clearly"]
    assert tone.WORDS[:7] == tuple(emotion(name).adjective for name in EMOTIONS), "the readout relies on it"
    found = {word.split()[0] for _, _, word in annotate.CUES}
    assert found == set(tone.CUES)


def test_a_tone_in_words_arrives_as_the_embeddings_of_these_words(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny(tone_words=list(range(40, 40 + len(tone.WORDS))))
    table = model.get_input_embeddings().weight
    sure = torch.full((1, 2, len(tone.WORDS) + 1), -30.0)
    sure[0, 0, 3], sure[0, 1, tone.SILENT] = 30.0, 30.0
    told = model.told(sure)
    torch.testing.assert_close(told[0, 0], table[43])
    torch.testing.assert_close(told[0, 1], torch.zeros_like(told[0, 1]))
    assert model.tone_scores(sure).argmax().item() == 3

    inputs = processor([hum(), hum(1.3)], "direct")
    states, mask = model.encode(inputs["input_features"], inputs["feature_attention_mask"])
    labels = torch.tensor([tone.classes("sad", 1.0, ("soft",), 2), tone.classes("neutral", 0.0, (), 2)])
    loss = model.train()(audio_states=states, audio_mask=mask, audio_levels=inputs["audio_levels"], tone_labels=labels).loss
    loss.backward()
    assert model.connector.tone[-1].weight.grad.abs().sum() > 0
    assert model.eval().generate(**inputs, max_new_tokens=3).shape[0] == 2


def test_simulated_speech_has_the_tone_that_its_answer_follows(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny(tone_words=list(range(40, 40 + len(tone.WORDS))))
    known = sentences(kind="ambiguous", split="train")[:20]
    make = partial(
        reading.ReadingExamples, ["So it is."], processor, count=40, seed=0, tasks={"reason": 1}, answered=[(s, EMOTIONS) for s in known]
    )
    rows = [make(told=processor.tone_tokens)[i] for i in range(40)]
    for row in rows:
        answer = processor.tokenizer.decode([t for t in row["labels"] if t != -100], skip_special_tokens=True)
        assert claimed_emotion(answer) == EMOTIONS[row["tone"][0]]
    batch = reading.collate(rows[:3], pad=0)
    embeds = model.simulate(batch["input_ids"], batch["frame_tokens"], batch["tone_classes"])
    first = int((batch["input_ids"][0] == model.config.audio_token_id).nonzero()[0])
    torch.testing.assert_close(embeds[0, first], model.get_input_embeddings().weight[40 + rows[0]["tone"][0]])
    assert torch.isfinite(model.train()(**batch).loss)
    assert "tone_classes" not in reading.collate([make()[i] for i in range(3)], pad=0), "silent unless asked"
