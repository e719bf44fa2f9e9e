"""How specific a response is to what the voice says, judged by a language model on the published scale of 1 to 4 (arXiv 2606.06940).

The judge that measures must not be the judge that gave the reward.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cogviz import endpoint
from cogviz.emotions import emotion
from cogviz.endpoint import Unreachable
from cogviz.statistics import Estimate, mean

LEVELS = (1, 2, 3, 4)

RUBRIC = (
    "A person said the words below in the given tone of voice, and an assistant responded. Judge how well the response fits what the voice, and not "
    "the words alone, says the person feels.\n"
    "1: it follows the words only, or is generic: it would be the same in any tone.\n"
    "2: it reacts to a coarse feeling (good or bad), which several tones share.\n"
    "3: it fits this very feeling, and would not fit another one.\n"
    "4: it fits this very feeling, and shows insight into why the person feels so and what they need now.\n"
    'Return one JSON object: {"level": 1, 2, 3 or 4, "why": "one short sentence"}.'
)


@dataclass(frozen=True)
class Response:
    """What is judged: the words, the tone in which they were said, and what was answered; `sentence` and `speaker` as in every table."""

    id: str
    words: str
    voice: str
    response: str
    sentence: str
    speaker: str


@dataclass(frozen=True, eq=False)
class Judged:
    """What a judge says of responses.

    Attributes:
        levels: id -> level; only of those that were judged.
        level: mean of the levels. specific: share of levels 3 and 4.
        nonsense: responses of which the judge said nothing usable; they count in neither.
        judge: the model that judged.
    """

    levels: dict[str, int]
    level: Estimate
    specific: Estimate
    nonsense: int
    judge: str


def judge(
    responses: Sequence[Response], *, url: str, model: str, kept: str | Path, timeout: float = 60.0, tries: int = 3, progress: bool = True
) -> Judged:
    """Let a model behind an OpenAI-compatible URL judge each response; greedy.

    Args:
        kept: a JSONL file that gets each level as it comes. What is in it is not asked again, so that a run that was stopped goes on.

    Raises:
        Unreachable: the endpoint does not answer; the message says how many levels are kept.
        ValueError: it made nothing of any response, or there is none.
    """
    file = Path(kept)
    file.parent.mkdir(parents=True, exist_ok=True)
    known = _known(file)
    nonsense = 0
    with file.open("a", encoding="utf-8") as out:
        for item in tqdm(responses, desc=f"{model}: judging", disable=not progress, delay=2):
            if (key := _key(item, model)) in known:
                continue
            asked = {"words": item.words, "tone of voice": emotion(item.voice).adjective, "response": item.response}
            messages = [{"role": "system", "content": RUBRIC}, {"role": "user", "content": json.dumps(asked, ensure_ascii=False)}]
            try:
                known[key] = endpoint.ask(messages, _level, url=url, model=model, timeout=timeout, tries=tries, temperature=0)
            except endpoint.Nonsense:
                nonsense += 1
                continue
            except Unreachable as error:
                done = sum(_key(r, model) in known for r in responses)
                raise Unreachable(f"{error}; {done} of {len(responses)} levels are kept in {file}: run again to go on") from None
            out.write(json.dumps({"key": key, "id": item.id, "level": known[key]}) + "\n")
            out.flush()
    found = [(item, known[key]) for item in responses if (key := _key(item, model)) in known]
    if not found:
        raise ValueError(f"{model} at {url} made nothing of {len(responses)} response(s); take a judge that can write JSON")
    levels = np.array([level for _, level in found])
    clusters: dict[str, Any] = {"sentences": [i.sentence for i, _ in found], "speakers": [i.speaker for i, _ in found]}
    return Judged({i.id: n for i, n in found}, mean(levels, **clusters), mean(levels >= 3, **clusters), nonsense, model)


def _level(text: str) -> int:
    level = json.loads(text[text.index("{") : text.rindex("}") + 1])["level"]
    if isinstance(level, bool) or level not in LEVELS:
        raise ValueError(f"level {level!r} is none of {LEVELS}")
    return int(level)


def _key(item: Response, model: str) -> str:
    """Of everything that a level depends on."""
    return hashlib.sha256(json.dumps([model, RUBRIC, item.words, item.voice, item.response]).encode()).hexdigest()[:16]


def _known(file: Path) -> dict[str, int]:
    """Levels by key; a last line that a stopped run left half is cut off."""
    if not file.exists():
        return {}
    whole = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    file.write_text("".join(whole), encoding="utf-8")
    return {row["key"]: row["level"] for row in map(json.loads, whole)}
