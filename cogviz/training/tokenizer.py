"""The tokenizer of the `nano` models: byte-level BPE, trained on the texts of the training split."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from cogviz.eips import STEPS
from cogviz.emotions import EMOTIONS, emotion
from cogviz.models.processing import AUDIO_TOKEN, PROMPTS

SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", AUDIO_TOKEN)
MARKS = ("<thought>", "</thought>", "<response>", "</response>", *(f"[{step.capitalize()}]" for step in STEPS))


def train(texts: Iterable[str], *, vocabulary: int) -> PreTrainedTokenizerFast:
    """Train on `texts`; the tags of the answer's form and the seven adjectives (with their space) are one token each."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    adjectives = [f" {emotion(name).adjective}" for name in EMOTIONS]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(MARKS) - len(adjectives),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *PROMPTS.values()], trainer)
    tokenizer.add_tokens([*MARKS, *adjectives])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|user|>", "<|assistant|>", AUDIO_TOKEN],
    )
    fast.clean_up_tokenization_spaces = False
    return fast
