"""Reward hacking watch: what a policy could do to please the reward without answering better, measured on every rollout.

None of it is rewarded. Where the reward rises and the held-out judge does not, or outputs shrink, repeat themselves, say the label aloud or
all tell one emotion, the reward is being gamed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cogviz.eips import parse
from cogviz.scoring import mask_emotion_words, normalised_words
from cogviz.training.rewards import ResponseJudge

GRAM = 4
"""Words in a row that count as said again."""


def repetition(text: str) -> float:
    """Share of the runs of four words that came before in the same text, 0 .. 1."""
    words = normalised_words(text)
    grams = list(zip(*(words[i:] for i in range(GRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def spread(labels: Sequence[str]) -> float:
    """Entropy of a list of emotions in nats: 0 where all are the same."""
    shares = np.array(list(Counter(labels).values())) / max(len(labels), 1)
    return float(-(shares * np.log(shares)).sum())


def watch(texts: Sequence[str], emotions: Sequence[str], judge: ResponseJudge) -> dict[str, float]:
    """Look at a rollout.

    Args:
        texts: raw outputs. emotions: of the voices. judge: another than the reward's (`rewards.evaluation_judge`).

    Returns:
        words (mean), repetition (mean), label_in_response (share of responses that name an emotion), emotion_spread (entropy of the emotions
        that the responses tell over that of the voices: 1 is as varied, 0 is collapse), held_out_empathy (mean, 0 .. 1, by `judge`).
    """
    responses = [a.response if (a := parse(t)) else "" for t in texts]
    told, true = spread(judge.tell(responses)), spread(emotions)
    return {
        "words": float(np.mean([len(normalised_words(t)) for t in texts])),
        "repetition": float(np.mean([repetition(t) for t in texts])),
        "label_in_response": float(np.mean([mask_emotion_words(r) != r for r in responses])),
        "emotion_spread": told / true if true else float(told == 0),
        "held_out_empathy": float(judge.empathy(responses, emotions).mean()),
    }
