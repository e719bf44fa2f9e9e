"""Sentences sampled from a language model, for their many different words: so that a connector hears an open vocabulary.

Authored templates repeat their words. So a language model is asked for a sentence around a word that is drawn from its own tokenizer, where
words stand in the order of how often they are written; what comes is checked, and kept as one line of JSON: {"text", "topic"}.

    python -m cogviz.models.writer --count 1000 --output cogviz/lime/scenarios/sampled/smollm2.jsonl
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from cogviz.lime.sentences import NAMING

WORDS = 4, 14
"""A sentence has at least and at most so many."""

COMMONEST = 20_000
"""Words are drawn from the first so many tokens."""

ASKED = "<|im_start|>user\nSay a short sentence with the word {word}.<|im_end|>\n<|im_start|>assistant\n"

_UNFIT = re.compile(
    r"\b(sex\w*|porn\w*|nud[ei]\w*|naked|rap(e|ed|ist)|kill\w*|murder\w*|suicid\w*|nazi\w*|terroris\w*|genocid\w*|slave\w*|drugs?|cocaine|heroin|drunk|"
    r"sentences?|gun|guns|blood\w*|dead|death|die[ds]?|damn|hell|bitch|fuck\w*|shit\w*|ass|python|javascript|html|css|json|api|sql|copyright|matplotlib)\b",
    re.IGNORECASE,
)


def fit(text: str, word: str) -> bool:
    """Whether a sampled text is one speakable sentence around its word, that names no emotion and nothing ugly."""
    words = text.split()
    return (
        WORDS[0] <= len(words) <= WORDS[1]
        and re.fullmatch(r"[A-Z][A-Za-z ,'-]+[.?!]", text) is not None
        and re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None
        and NAMING.search(text) is None
        and _UNFIT.search(text) is None
        and not any(len(w) > 1 and w.isupper() for w in words)
    )


def sample(count: int, *, seed: int = 0, batch: int = 128, temperature: float = 0.9) -> Iterator[dict[str, str]]:
    """Yield `count` different sentences from SmolLM2-135M-Instruct, each around another word.

    Raises:
        WeightsError: SmolLM2 is not on this machine.
    """
    import torch

    from cogviz import device
    from cogviz.models import backbones

    model, tokenizer = backbones.language_model()
    model.to(device.choose("cpu").dtype)
    torch.manual_seed(seed)
    tokenizer.padding_side = "left"
    ranked = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])[:COMMONEST]
    words = [token[1:] for token, _ in ranked if re.fullmatch(r"Ġ[a-z]{3,12}", token)]
    order = torch.randperm(len(words)).tolist()
    found: set[str] = set()
    while len(found) < count:
        if not order:
            order = torch.randperm(len(words)).tolist()
        drawn = [words[order.pop()] for _ in range(min(batch, len(order)))]
        inputs = tokenizer([ASKED.format(word=word) for word in drawn], return_tensors="pt", padding=True)
        with torch.inference_mode():
            out = model.generate(**inputs, do_sample=True, temperature=temperature, top_k=100, max_new_tokens=22)
        texts = tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        for word, text in zip(drawn, texts, strict=True):
            text = text.strip().strip('"').strip()
            if fit(text, word) and text not in found and len(found) < count:
                found.add(text)
                yield {"text": text, "topic": re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)[0]}  # type: ignore[index]


def main() -> None:
    """Write a file of sampled sentences; one that is there is written anew."""
    parser = argparse.ArgumentParser(description="Sample sentences from SmolLM2-135M-Instruct.")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("w", encoding="utf-8", buffering=1) as file:
        for number, row in enumerate(sample(options.count, seed=options.seed), 1):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            if number % 100 == 0:
                print(f"{number} of {options.count}", flush=True)


if __name__ == "__main__":
    main()
