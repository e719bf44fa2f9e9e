"""What a variant learns to think in free words, made from the same annotation as the EIPS chain: four explanations, each with more in it than the
one before, and one that gives the cause.

After speech emotion reasoning (arXiv 2506.06820), whose rationales summarise or quote the words; that the voice itself gives evidence is added here.
And after injected emotional-attribution thinking (arXiv 2601.04960): the emotion and its cause.
"""

from __future__ import annotations

from collections.abc import Sequence

from cogviz.eips import Answer

EXPLANATIONS = {
    "label": "the emotion of the voice alone",
    "summary": "the emotion, and what moves the speaker",
    "quoted": "the emotion, the words as evidence, and what moves the speaker",
    "sound": "the emotion, what is measured in the sound as evidence, the words, and what moves the speaker",
    "cause": "the emotion, and what it comes from",
}
"""What an explanation holds."""


def explain(given: Answer, text: str, kind: str, *, evidence: Sequence[str] = ()) -> Answer:
    """Return the annotation of an utterance with an explanation in place of its chain.

    Args:
        given: chain and response, of `annotate` or a dataset. text: the words. kind: one of `EXPLANATIONS`.
        evidence: what the sound is like, as "loud" or "slow"; for "sound", where () means that nothing stands out.

    Raises:
        ValueError: an unknown kind, or an annotation without a chain.
    """
    if kind not in EXPLANATIONS:
        raise ValueError(f"unknown explanation {kind!r}; choose {', '.join(EXPLANATIONS)}")
    if given.chain is None:
        raise ValueError(f"the annotation of {text!r} has no chain, which an explanation is made from")
    voice = given.chain.perception.split(":")[0].split(".")[0]  # "The voice sounds sad, clearly"
    if kind == "cause":
        return Answer(given.response, explanation=f"{voice}. {given.chain.intent} {given.chain.psychology}")
    parts = [f"{voice}: it is {_listed(evidence)}." if evidence and kind == "sound" else f"{voice}."]
    if kind in ("quoted", "sound"):
        parts.append(f'The words are "{text}"')
    if kind != "label":
        parts.append(given.chain.psychology)
    return Answer(given.response, explanation=" ".join(parts))


def _listed(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), words[-1]])
