"""EIPS: the four-step chain of thought (Emotion perception, Intent, Psychology, Strategy), the answer around it, and its text form.

Text form (arXiv 2606.06940): `<thought>[Perception] ... [Intent] ... [Psychology] ... [Strategy] ...</thought><response>...</response>`;
on the direct route only `<response>...</response>`. Variants that think in another form write `<thought>` in free words, and one that says how
its response is to be spoken ends with `<voice>...</voice>`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = ("perception", "intent", "psychology", "strategy")
ROUTES = ("reason", "direct")

_TAGS = {step: f"[{step.capitalize()}]" for step in STEPS}
_CHAIN = re.compile(r"\s*".join(re.escape(_TAGS[s]) + rf"(?P<{s}>[^\[\]<>]*?)" for s in STEPS) + r"\s*$", re.DOTALL)
_SAID = r"<response>(?P<response>[^<>]*)</response>\s*(?:<voice>(?P<voice>[^<>]*)</voice>\s*)?$"
_FULL = re.compile(r"\s*<thought>(?P<thought>.*?)</thought>\s*" + _SAID, re.DOTALL)
_FREE = re.compile(r"[^<>\[\]]*[^<>\[\]\s][^<>\[\]]*$")
_MARK = re.compile(
    "|".join(
        [
            r"\[(?P<step>" + "|".join(s.capitalize() for s in STEPS) + r")\]",
            r"<(?P<part>response|voice)>",
            r"(?P<free><thought>)(?!\s*(?:\[|$))",
        ]
    )
)
_UNFINISHED = re.compile(r"(?:</[^<>]*>|<[^<>]*|\[[^\[\]]*|<thought>|\s)*$")
_DIRECT = re.compile(r"\s*" + _SAID, re.DOTALL)


class UnknownRoute(ValueError):
    """Raised for a route other than reason or direct."""


@dataclass(frozen=True)
class Chain:
    """The four steps, each a sentence or two without its tag."""

    perception: str
    intent: str
    psychology: str
    strategy: str


@dataclass(frozen=True)
class Answer:
    """What a model says.

    Attributes:
        response: what it says to the speaker.
        chain: before it on the reasoning route.
        explanation: in place of the chain, of variants that think in free words: what they hear, and why.
        voice: how the response is to be spoken, of variants that speak.
    """

    response: str
    chain: Chain | None = None
    explanation: str = ""
    voice: str = ""

    @property
    def thinks(self) -> bool:
        """Whether there is a thought before the response."""
        return self.chain is not None or bool(self.explanation)

    @property
    def perceived(self) -> str:
        """Where something may be claimed of the voice: the chain's first step, or the explanation; "" without a thought."""
        return self.chain.perception if self.chain is not None else self.explanation


def check_route(route: str) -> str:
    """Return `route`; raises `UnknownRoute` for anything but "reason" and "direct"."""
    if route not in ROUTES:
        raise UnknownRoute(f"unknown route {route!r}; choose reason (chain, then response) or direct (response at once)")
    return route


def render(answer: Answer) -> str:
    """Return the text form of an answer."""
    said = f"<response>{answer.response}</response>" + (f"<voice>{answer.voice}</voice>" if answer.voice else "")
    if not answer.thinks:
        return said
    return f"<thought>{thought(answer.chain) if answer.chain is not None else answer.explanation}</thought>{said}"


def thought(chain: Chain, steps: Sequence[str] = STEPS) -> str:
    """Return the text between the thought tags, with these steps only, in their order."""
    return " ".join(f"{_TAGS[step]} {getattr(chain, step)}" for step in STEPS if step in steps)


def begun(text: str) -> dict[str, str]:
    """Return what is there of an answer that is still being written: {step, "explanation", "response" or "voice": its text so far}, in the
    order of their marks."""
    found: dict[str, str] = {}
    marks = list(_MARK.finditer(text))
    for mark, after in zip(marks, (*marks[1:], None), strict=False):
        name = mark["step"].lower() if mark["step"] else mark["part"] or "explanation"
        part = text[mark.end() : after.start() if after else None]
        found[name] = _UNFINISHED.sub("", part).strip()
    return found


def parse(text: str) -> Answer | None:
    """Read the text form; None where it is not exactly that: a step missing, empty, twice or out of order, an unclosed tag, text outside."""
    if (full := _FULL.match(text)) is not None:
        response, voice = full["response"].strip(), (full["voice"] or "").strip()
        chain = _CHAIN.match(full["thought"].strip())
        if chain is None:
            free = _FREE.match(full["thought"])
            return Answer(response, explanation=full["thought"].strip(), voice=voice) if free and response else None
        steps = {step: chain[step].strip() for step in STEPS}
        return Answer(response, Chain(**steps), voice=voice) if all(steps.values()) and response else None
    if (direct := _DIRECT.match(text)) is not None and direct["response"].strip():
        return Answer(direct["response"].strip(), voice=(direct["voice"] or "").strip())
    return None
