"""Edits of a chain of thought, to be put into the model's mouth: pure functions from chains to thoughts.

own                     the model's own chain
early_0 .. early_3      cut after so many steps
deleted_STEP            without one step
corrupted_STEP          one step from the chain of another variant of the cell
swapped                 all of that chain
injected                its own chain, with another emotion named in the perception step
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cogviz.eips import STEPS, Chain, thought
from cogviz.emotions import EMOTIONS, emotion
from cogviz.evaluation.stimuli import draw
from cogviz.scoring import heard_words
from cogviz.utterance import Utterance

if TYPE_CHECKING:
    from cogviz.models.listener import Heard

OWN = "own"
EARLY = tuple(f"early_{n}" for n in range(len(STEPS)))


def cut(chain: Chain, steps: int) -> str:
    """Return the thought that stops after so many steps."""
    return thought(chain, STEPS[:steps])


def deleted(chain: Chain, step: str) -> str:
    """Return the thought without one step."""
    return thought(chain, [s for s in STEPS if s != step])


def corrupted(chain: Chain, step: str, other: Chain) -> str:
    """Return the thought whose one step says what another chain says there."""
    return thought(replace(chain, **{step: getattr(other, step)}))


def injected(chain: Chain, name: str) -> str:
    """Return the thought whose perception claims another emotion, and keeps the words that it quotes; what it said of the sound is gone."""
    words = heard_words(chain.perception)
    said = f"The voice sounds {emotion(name).adjective}." + (f' The words are "{words}"' if words else "")
    return thought(replace(chain, perception=said))


@dataclass(frozen=True)
class Edit:
    """A thought to be put into the model's mouth.

    Attributes:
        utterance: what is heard with it.
        name: of the edit, as listed above.
        thought: the text between the thought tags.
        chain: the emotion that the edited part speaks for; None where the edit only takes away.
    """

    utterance: Utterance
    name: str
    thought: str
    chain: str | None


def edits(heard: Sequence[Heard]) -> list[Edit]:
    """Return every edit of every answer that has a chain which claims an emotion; other answers have nothing to be edited and are left out.

    The other chain comes from another variant of the same cell among `heard`, and claims neither the sound's emotion nor the own chain's; where
    there is none, the edits that need it are left out.
    """
    usable = [h for h in heard if h.answer is not None and h.answer.chain is not None and h.claimed is not None]
    cells: dict[tuple[str, str, str], list[Heard]] = {}
    for h in usable:
        cells.setdefault((h.utterance.corpus, h.utterance.speaker, h.utterance.sentence), []).append(h)
    made = []
    for h in usable:
        u, chain = h.utterance, _chain(h)
        taken = {u.emotion, h.claimed}

        def add(name: str, text: str, says: str | None = None, u: Utterance = u) -> None:
            made.append(Edit(u, name, text, says))

        add(OWN, thought(chain), h.claimed)
        for n, name in enumerate(EARLY):
            add(name, cut(chain, n))
        for step in STEPS:
            add(f"deleted_{step}", deleted(chain, step))
        free = [name for name in EMOTIONS if name not in taken]
        name = free[draw(u.id, "injected") % len(free)]
        add("injected", injected(chain, name), name)
        others = [o for o in cells[u.corpus, u.speaker, u.sentence] if o.claimed not in taken]
        if others:
            other = others[draw(u.id, "swapped") % len(others)]
            add("swapped", thought(_chain(other)), other.claimed)
            for step in STEPS:
                add(f"corrupted_{step}", corrupted(chain, step, _chain(other)), other.claimed)
    return made


def _chain(heard: Heard) -> Chain:
    assert heard.answer is not None
    assert heard.answer.chain is not None
    return heard.answer.chain
