"""Solutions of the exercises of `02_semantic_dominance`."""

from math import nan


def my_index(words, voice, answers):
    """Of the answers to conflicts that follow the words or the voice, the share that follows the words."""
    conflicts = [(w, v, a) for w, v, a in zip(words, voice, answers, strict=True) if w != v]
    by_words = sum(a == w for w, v, a in conflicts)
    by_voice = sum(a == v for w, v, a in conflicts)
    return by_words / (by_words + by_voice) if by_words + by_voice else nan


def my_chance(voice, answers):
    """Share of pairs that are equal when voice and answer are drawn apart."""
    return sum(voice.count(e) / len(voice) * answers.count(e) / len(answers) for e in set(voice))


ANSWERS = {
    "02.1": my_index,
    "02.2": my_chance,
    # B names voice or words in 30% [25, 35], and chance would in 28%: its answers need not depend on the recording at all.
    "02.3": {"A": "undecided", "B": "undecided", "C": "undecided", "D": "follows the voice"},
}
