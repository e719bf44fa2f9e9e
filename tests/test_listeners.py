"""Other people's audio language models, each the real class from a tiny random config with a tiny processor: what is heard, said and where."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from cogviz.emotions import EMOTIONS
from cogviz.models.listeners.audio_flamingo3 import AudioFlamingo3
from cogviz.models.listeners.base import AudioLanguageModel
from cogviz.models.listeners.granite_speech import GraniteSpeech
from cogviz.models.listeners.prompts import LABELS, PROMPTS
from cogviz.models.listeners.qwen2_5_omni import Qwen25Omni
from cogviz.models.listeners.qwen2_audio import Qwen2Audio
from cogviz.models.listeners.voxtral import Voxtral
from cogviz.models.protocol import PARTS
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}<|audio_bos|>AUDIO<|audio_eos|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<pad>", "<s>", "<|im_start|>", "<|im_end|>", "<|audio_bos|>", "<|audio_eos|>"]
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 4096, "initializer_range": 0.3,
}  # fmt: skip
WHISPER = {"num_mel_bins": 16, "initializer_range": 0.2}


def tokenizer(*special: str, **named: str) -> transformers.PreTrainedTokenizerFast:
    """Bytes and a few merges, trained on the prompts."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=[*SPECIAL, *special], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator([*PROMPTS.values(), " ".join(LABELS)], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="<|im_end|>", extra_special_tokens=named or None
    )


def whisper(seconds: int = 4) -> transformers.WhisperFeatureExtractor:
    return transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=seconds)


def qwen2_audio() -> tuple[Any, Any]:
    words = tokenizer("<|AUDIO|>")
    config = transformers.Qwen2AudioConfig(
        audio_config={"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "max_source_positions": 200}
        | WHISPER,
        text_config={"model_type": "qwen2", "vocab_size": len(words)} | TEXT,
        audio_token_index=words.convert_tokens_to_ids("<|AUDIO|>"),
    )
    processor = transformers.Qwen2AudioProcessor(whisper(), words, chat_template=CHAT.replace("AUDIO", "<|AUDIO|>"))
    return transformers.Qwen2AudioForConditionalGeneration(config), processor


def omni() -> tuple[Any, Any]:
    named = {"image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>", "vision_bos_token": "<|vision_bos|>",
             "vision_eos_token": "<|vision_eos|>", "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"}  # fmt: skip
    words = tokenizer(*named.values(), **named)
    ids = {f"{kind}_token_index": words.convert_tokens_to_ids(named[f"{kind}_token"]) for kind in ("audio", "image", "video")}
    config = transformers.Qwen2_5OmniThinkerConfig(
        audio_config={"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "n_window": 50,
                      "output_dim": 32} | WHISPER,
        vision_config={"depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 16, "out_hidden_size": 32,
                       "fullatt_block_indexes": [0]},
        text_config={"vocab_size": len(words), "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}} | TEXT,
        audio_start_token_id=words.convert_tokens_to_ids("<|audio_bos|>"),
        vision_start_token_id=words.convert_tokens_to_ids("<|vision_bos|>"),
        **ids,
    )  # fmt: skip
    no_pictures = SimpleNamespace(model_input_names=[])
    processor = transformers.Qwen2_5OmniProcessor(
        no_pictures, no_pictures, whisper(), words, chat_template=CHAT.replace("AUDIO", "<|AUDIO|>")
    )
    return transformers.Qwen2_5OmniThinkerForConditionalGeneration(config), processor


def audio_flamingo() -> tuple[Any, Any]:
    words = tokenizer("<sound>")
    config = transformers.AudioFlamingo3Config(
        audio_config={"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
                      "max_source_positions": 200} | WHISPER,
        text_config={"model_type": "qwen2", "vocab_size": len(words)} | TEXT,
        audio_token_id=words.convert_tokens_to_ids("<sound>"),
    )  # fmt: skip
    processor = transformers.AudioFlamingo3Processor(whisper(), words, chat_template=CHAT.replace("AUDIO", "<sound>"))
    return transformers.AudioFlamingo3ForConditionalGeneration(config), processor


def voxtral() -> tuple[Any, Any]:
    words = tokenizer("[INST]", "[/INST]", "[BEGIN_AUDIO]", *[f"<{i}>" for i in range(15)], "[AUDIO]")
    assert words.convert_tokens_to_ids("[AUDIO]") == 24  # VoxtralProcessor knows it by its number
    config = transformers.VoxtralConfig(
        audio_config={"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64} | WHISPER,
        text_config={"model_type": "llama", "vocab_size": len(words), "head_dim": 8} | TEXT,
        audio_token_id=24,
    )
    return transformers.VoxtralForConditionalGeneration(config), transformers.VoxtralProcessor(whisper(30), words)


def granite() -> tuple[Any, Any]:
    words = tokenizer("<|audio|>")
    words.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    )
    config = transformers.GraniteSpeechConfig(
        encoder_config={"input_dim": 160, "num_layers": 2, "hidden_dim": 16, "num_heads": 2, "context_size": 20, "feedforward_mult": 2,
                        "output_dim": 8, "conv_kernel_size": 3},
        projector_config={"model_type": "blip_2_qformer", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                          "intermediate_size": 32, "encoder_hidden_size": 16},
        text_config={"model_type": "granite", "vocab_size": len(words)} | TEXT,
        audio_token_index=words.convert_tokens_to_ids("<|audio|>"),
        has_lora_adapter=False,
        initializer_range=0.2,
    )  # fmt: skip
    return transformers.GraniteSpeechForConditionalGeneration(config), transformers.GraniteSpeechProcessor(
        transformers.GraniteSpeechFeatureExtractor(), words
    )


class LogMel(torch.nn.Module):
    """torchaudio's power mel spectrogram, for machines without it."""

    def __init__(self, sample_rate: int, n_fft: int, win_length: int, hop_length: int, n_mels: int) -> None:
        import librosa

        super().__init__()
        self.n_fft, self.hop, self.win = n_fft, hop_length, win_length
        self.bank = torch.tensor(librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, htk=True, norm=None))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        window = torch.hann_window(self.win)
        spectrum = torch.stft(samples, self.n_fft, self.hop, self.win, window, return_complex=True)
        return self.bank @ spectrum.abs() ** 2


MODELS: dict[str, tuple[type[AudioLanguageModel], Callable[[], tuple[Any, Any]]]] = {
    "qwen2_audio": (Qwen2Audio, qwen2_audio),
    "qwen2_5_omni": (Qwen25Omni, omni),
    "audioflamingo3": (AudioFlamingo3, audio_flamingo),
    "voxtral": (Voxtral, voxtral),
    "granite_speech": (GraniteSpeech, granite),
}


def make(kind: str, patch: pytest.MonkeyPatch) -> AudioLanguageModel:
    adapter, build = MODELS[kind]
    if kind == "qwen2_5_omni":  # its processor insists on those for pictures, which need torchvision
        patch.setattr(transformers.Qwen2_5OmniProcessor, "check_argument_for_proper_class", lambda *_: None)
    if kind == "granite_speech":
        from transformers.models.granite_speech import feature_extraction_granite_speech as module

        patch.setattr(module, "requires_backends", lambda *_: None)
        patch.setattr(module, "torchaudio", SimpleNamespace(transforms=SimpleNamespace(MelSpectrogram=LogMel)), raising=False)
    torch.manual_seed(0)
    return adapter(*build(), name=kind)


@pytest.fixture(scope="module", params=list(MODELS))
def listener(request: pytest.FixtureRequest) -> AudioLanguageModel:
    """Each adapter around its tiny model; answers are short."""
    with pytest.MonkeyPatch.context() as patch:
        made = make(request.param, patch)
        made.max_new_tokens = 8
        yield made


def spoken(seconds: float, pitch: float) -> Utterance:
    time = np.arange(int(seconds * 16000)) / 16000
    wave = 0.2 * np.sin(2 * np.pi * pitch * time * (1 + 0.2 * np.sin(7 * time))) + 0.01 * np.random.default_rng(int(pitch)).normal(
        size=len(time)
    )
    return Utterance(f"{seconds}-{pitch}", "So it is.", None, "s", "x", "test", waveform=wave.astype(np.float32))


CLIPS = [spoken(1.0, 120), spoken(2.2, 250), spoken(0.6, 180)]


def test_a_batch_is_heard_as_one_at_a_time(listener: AudioLanguageModel) -> None:
    together, scores = listener.listen(CLIPS, progress=False), listener.scores(CLIPS, progress=False)
    alone = [listener.listen([clip], progress=False)[0] for clip in CLIPS]
    assert [h.text for h in together] == [h.text for h in alone]
    assert all(h.text for h in together)
    np.testing.assert_allclose(scores, np.concatenate([listener.scores([clip], progress=False) for clip in CLIPS]), atol=2e-4)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-5)
    assert np.abs(scores[0] - scores[1]).max() > 1e-3, "another sound, another answer"


def test_words_are_read_without_a_sound(listener: AudioLanguageModel) -> None:
    texts = ["So it is.", "I finally got the job, hooray!"]
    heard = listener.read(texts, progress=False)
    assert [h.utterance.text for h in heard] == texts
    assert all(list(h.scores) == list(EMOTIONS) for h in heard)
    assert heard[0].scores != heard[1].scores
    again = listener.read(texts[1:], progress=False)[0]
    assert again.text == heard[1].text
    np.testing.assert_allclose(list(again.scores.values()), list(heard[1].scores.values()), atol=2e-4)


def test_questions_may_differ_from_recording_to_recording(listener: AudioLanguageModel) -> None:
    questions = ["Who speaks?", "Is it loud? Answer yes or no.", "Where?"]
    assert listener.answer(CLIPS, questions, progress=False) == [
        listener.answer([clip], question, progress=False)[0] for clip, question in zip(CLIPS, questions, strict=True)
    ]


def test_segments_layers_and_heads_line_up(listener: AudioLanguageModel) -> None:
    clips, answers = (CLIPS[:1], ["It is so."]) if listener.batch == 1 else (CLIPS, ["It is so.", "No.", ""])
    passage = listener.passage(clips, answers)
    rows, places = passage.ids.shape
    assert passage.parts.shape == passage.ids.shape
    for row, answer in enumerate(answers):
        part = {name: passage.ids[row][passage.places(name)[row]] for name in PARTS}
        assert listener.tokenizer.decode(part["answer"], skip_special_tokens=True) == answer
        assert set(part["audio"].tolist()) == {listener.model.config.audio_token_id}
        assert "Think step by step" in listener.tokenizer.decode(part["instruction"])
        order = passage.parts[row].tolist()
        assert order == sorted(order, key=lambda p: p != 0), "padding stands on the left"
        assert order.index(PARTS.index("audio")) < order.index(PARTS.index("answer"))
    seen: dict[str, list[torch.Tensor]] = {"decoder": [], "encoder": []}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _given, out: seen[name].append(out[0] if isinstance(out, tuple) else out)

    hooks = [m.register_forward_hook(keep("decoder")) for m in listener.layers()]
    hooks += [m.register_forward_hook(keep("encoder")) for m in listener.encoder_layers()]
    try:
        logits = listener.logits(passage)
    finally:
        for hook in hooks:
            hook.remove()
    assert logits.shape == (rows, places, listener.model.get_output_embeddings().out_features)
    assert logits.requires_grad
    assert [s.shape for s in seen["decoder"]] == [(rows, places, 32)] * 3
    assert len(seen["encoder"]) == 2
    assert listener.heads == 4


def test_the_own_answer_is_what_the_passage_predicts(listener: AudioLanguageModel) -> None:
    passage = listener.passage(CLIPS[:1])
    assert (
        listener.tokenizer.decode(passage.ids[0][passage.places("answer")[0]], skip_special_tokens=True)
        == listener.listen(CLIPS[:1], progress=False)[0].text
    )
    said = passage.places("answer")[0].nonzero()[:, 0]
    with torch.no_grad():
        logits = listener.logits(passage)[0]
    assert logits[said - 1].argmax(dim=-1).tolist() == passage.ids[0, said].tolist()


def test_the_labels_are_scored_as_their_words(listener: AudioLanguageModel) -> None:
    """Against a plain forward pass over the whole text of each label."""
    clip = CLIPS[0]
    expected = []
    for label in LABELS:
        words = listener.tokenizer(f" {label}", add_special_tokens=False)["input_ids"]
        inputs = listener._inputs([clip], "name", f"The voice sounds {label}")
        assert inputs["input_ids"][0, -len(words) :].tolist() == words
        with torch.no_grad():
            likely = listener.model(**inputs).logits[0].float().log_softmax(-1)
        expected.append(np.mean([float(likely[-len(words) - 1 + i, w]) for i, w in enumerate(words)]))
    found = listener.scores([clip], progress=False)[0]
    np.testing.assert_allclose(found - found[0], np.array(expected) - expected[0], atol=2e-4)


def test_what_a_direct_answer_says_is_its_response() -> None:
    with pytest.MonkeyPatch.context() as patch:
        listener = make("qwen2_audio", patch)
    plain = listener._heard(CLIPS[0], "direct", " That is sad. ")
    assert plain.answer is not None
    assert (plain.answer.response, plain.claimed) == ("That is sad.", None)
    assert listener._heard(CLIPS[0], "reason", "The voice sounds fearful.").claimed == "fear"


def test_every_label_is_read_as_its_emotion() -> None:
    assert [claimed_emotion(f"The voice sounds {label}.") for label in LABELS] == list(EMOTIONS)


def test_a_model_without_an_audio_token_is_refused() -> None:
    model, processor = qwen2_audio()
    model.config.audio_token_index = len(processor.tokenizer) + 7
    with pytest.raises(ValueError, match=r"no audio token .* so it cannot hear"):
        Qwen2Audio(model, processor, name="deaf")


def test_voxtral_is_asked_as_mistral_common_asks_it(tmp_path: Any) -> None:
    """Against the chat of Mistral's own package, with a tekken.json of single bytes."""
    pytest.importorskip("mistral_common")
    import base64
    import io
    import json

    import soundfile
    from transformers.tokenization_mistral_common import MistralCommonBackend

    names = [
        "<unk>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "[AVAILABLE_TOOLS]",
        "[/AVAILABLE_TOOLS]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
        "[TOOL_CALLS]",
        "[IMG]",
        "<pad>",
        "[IMG_BREAK]",
        "[IMG_END]",
        "[PREFIX]",
        "[MIDDLE]",
        "[SUFFIX]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
        "[TOOL_CONTENT]",
        "[ARGS]",
        "[CALL_ID]",
        "[TRANSCRIBE]",
        "<23>",
        "[AUDIO]",
        "[BEGIN_AUDIO]",
    ]
    names += [f"<{i}>" for i in range(len(names), 40)]
    special = [{"rank": i, "token_str": name, "is_control": True} for i, name in enumerate(names)]
    sizes = {"num_vocab_tokens": 256, "default_vocab_size": 296, "default_num_special_tokens": 40}
    audio = {"num_mel_bins": 16, "hop_length": 160, "window_size": 400}
    (tmp_path / "tekken.json").write_text(
        json.dumps(
            {
                "type": "tekken",
                "config": {"pattern": r"\p{L}+|\s+|[^\p{L}\s]+", "version": "v7", **sizes},
                "vocab": [{"rank": i, "token_bytes": base64.b64encode(bytes([i])).decode(), "token_str": None} for i in range(256)],
                "special_tokens": special,
                "audio": {"sampling_rate": 16000, "frame_rate": 12.5, "audio_encoding_config": audio, "chunk_length_s": 30.0},
            }
        )
    )
    model, _ = voxtral()
    processor = transformers.VoxtralProcessor(whisper(30), MistralCommonBackend.from_pretrained(tmp_path))
    listener, file = Voxtral(model, processor), io.BytesIO()
    soundfile.write(file, CLIPS[0].samples, 16000, format="WAV", subtype="FLOAT")
    sound = {"type": "audio", "base64": base64.b64encode(file.getvalue()).decode()}
    for clips, content in ((CLIPS[:1], [sound]), (None, [])):
        ours = listener._prompt(["Who speaks?"], clips and [clip.samples for clip in clips])
        theirs = processor.apply_chat_template([{"role": "user", "content": [*content, {"type": "text", "text": "Who speaks?"}]}])
        assert ours.keys() == theirs.keys()
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name])
