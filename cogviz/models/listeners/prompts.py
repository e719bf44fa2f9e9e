"""What other people's models are asked, in words that they understand; CogAudio has its own (`models.processing.PROMPTS`)."""

from __future__ import annotations

LABELS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
"""The seven emotions, in the order of `EMOTIONS`, as "The voice sounds" goes on."""

_CHOICE = f"{', '.join(LABELS[:-1])} or {LABELS[-1]}"

NAMED = "The voice sounds"
"""How the answer to `name` begins; what follows is one of `LABELS`."""

PROMPTS = {
    "name": f'How does the voice of the speaker sound: {_CHOICE}? Answer with one sentence: "{NAMED} ...".',
    "reason": (
        "Someone speaks to you. Think step by step about how the voice sounds and about the words, then respond to the speaker. Write exactly "
        f"in this form, with one or two short sentences in each step:\n<thought>[Perception] {NAMED} ({_CHOICE}), and what in it says so. "
        'The words are "...". [Intent] What the speaker wants. [Psychology] What moves the speaker. [Strategy] How to respond.</thought>'
        "<response>What you say to the speaker.</response>"
    ),
    "direct": "Someone speaks to you. Respond to the speaker at once, in one or two sentences.",
    "transcribe": "Repeat the words of the speaker exactly, and nothing else.",
}
"""The tasks; `reason` and `direct` are the paper's prompts A and B (arXiv 2606.06940)."""


def asked(task: str, words: str | None = None) -> str:
    """Return a prompt: a key of `PROMPTS` or a question; with the words where they are read and nothing is heard."""
    question = PROMPTS.get(task, task)
    return question if words is None else f'The voice cannot be heard, but these are the words: "{words}"\n{question}'


def read_along(words: str) -> str:
    """Return the question for the emotion where the words are read while the voice is heard."""
    return f'The words of the speaker are: "{words}"\n{PROMPTS["name"]}'
