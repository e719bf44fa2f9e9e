"""A blind listening test: one self-contained page on which people say how recordings sound.

The page holds the clips and, for each, its truth under seal: scrambled with a key made from the ids, so that neither a glance at the
source nor the length of anything tells the answer. It is no secret: the page itself opens the seals when a listener has finished, to show how
well they heard. The results file repeats the seals, so that `cogviz.evaluation.humans` needs neither the page nor the dataset.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cogviz.audio import RATE
from cogviz.emotions import EMOTIONS, emotion
from cogviz.utterance import Utterance

FORMAT = "cogviz-listening-test/1"
"""First line of defence of every results file: what it is, and in which version."""

LARGEST = 8_000_000
"""Bytes of a page: it should go through any mail."""

LABELS = {name: emotion(name).adjective for name in EMOTIONS} | {"neutral": "neutral"}
"""What a listener reads on the buttons."""

_BLOCK = 192  # every sealed text is padded to a multiple of this: its length must not tell the emotion


class ListeningTestError(ValueError):
    """Raised where no page can be made; one sentence that says why and what to do."""


@dataclass(frozen=True)
class Truth:
    """What is under a clip's seal: the utterance, its acoustic and lexical emotion, and the clusters of intervals."""

    utterance: str
    voice: str
    words: str | None
    sentence: str
    speaker: str


def choose(utterances: Sequence[Utterance], items: int, *, seed: int = 0) -> list[Utterance]:
    """Choose clips, balanced over the emotions first (counts differ by at most one), then over speakers, parts and sentences.

    Raises:
        ListeningTestError: fewer than two emotions, or too few clips of one.
    """
    draw = random.Random(f"listening-test/{seed}")
    pools: dict[str, list[Utterance]] = {name: [u for u in utterances if u.emotion == name] for name in EMOTIONS}
    pools = {name: draw.sample(pool, len(pool)) for name, pool in pools.items() if pool}
    if len(pools) < 2:
        raise ListeningTestError("a listening test needs recordings of at least two emotions; give a dataset that has them")
    if items < len(pools):
        raise ListeningTestError(f"{items} clips are too few for {len(pools)} emotions; give --items {len(pools)} or more")
    chosen: list[Utterance] = []
    while len(chosen) < items:
        for name in draw.sample(list(pools), len(pools))[: items - len(chosen)]:
            if not pools[name]:
                most = sum(u.emotion == name for u in chosen) * len(EMOTIONS)
                raise ListeningTestError(f"the data has too few {name} recordings for {items} balanced clips; give --items {most} or fewer")
            pick = min(pools[name], key=lambda u: _crowd(u, chosen))
            pools[name].remove(pick)
            chosen.append(pick)
    return draw.sample(chosen, len(chosen))


def _crowd(u: Utterance, chosen: Sequence[Utterance]) -> tuple[int, ...]:
    """How much of its kind has been chosen already; the least crowded comes next."""
    part = u.extra.get("part")
    return (
        sum(c.speaker == u.speaker and c.emotion == u.emotion for c in chosen),
        sum(c.speaker == u.speaker for c in chosen),
        sum(c.extra.get("part") == part for c in chosen),
        sum(c.lexical_emotion == u.lexical_emotion for c in chosen),
        sum(c.sentence == u.sentence for c in chosen),
    )


def make(utterances: Sequence[Utterance], output: str | Path, *, items: int = 28, seed: int = 0, name: str = "") -> Path:
    """Write the page; the same utterances and seed give the same page.

    Args:
        utterances: with an acoustic emotion; others are left out.
        items: number of clips.
        name: of the data; it stands in the results and in the figures made of them.

    Raises:
        ListeningTestError: see `choose`; or the page would be larger than `LARGEST`.
    """
    chosen = choose(utterances, items, seed=seed)
    test = hashlib.sha256(f"{FORMAT}/{name}/{seed}/{[u.id for u in chosen]}".encode()).hexdigest()[:12]
    rows = []
    for u in chosen:
        item = hashlib.sha256(f"{test}/{u.id}".encode()).hexdigest()[:12]
        truth = Truth(u.id, str(u.emotion), u.lexical_emotion, u.sentence, u.speaker)
        rows.append({"id": item, "sealed": seal(truth, test, item), "audio": _data_uri(u)})
    content = {
        "format": FORMAT,
        "test": test,
        "data": name,
        "emotions": [{"name": e, "label": LABELS[e], "color": emotion(e).color} for e in EMOTIONS],
        "items": rows,
        "practice": _practice(utterances, chosen),
    }
    template = (resources.files("cogviz.lime") / "listening_test.html").read_text(encoding="utf-8")
    # "<" could end the script element that carries the data
    page = template.replace("/*TEST*/null", json.dumps(content, ensure_ascii=False).replace("<", "\\u003c"))
    if (size := len(page.encode())) > LARGEST:
        raise ListeningTestError(f"the page would have {size / 1e6:.1f} MB, more than {LARGEST / 1e6:g}; give fewer --items")
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(page, encoding="utf-8")
    return output


def _practice(utterances: Sequence[Utterance], chosen: Sequence[Utterance]) -> str | None:
    """A clip to set the volume by: neutral, not in the test, best of a sentence that is not in it either, the shortest."""
    used, said = {u.id for u in chosen}, {u.sentence for u in chosen}
    free = [u for u in utterances if u.emotion == "neutral" and u.id not in used]
    return _data_uri(min(free, key=lambda u: (u.sentence in said, len(u.samples), u.id))) if free else None


def _data_uri(u: Utterance) -> str:
    """The clip as FLAC inside the page: written anew, so that no tag or file name of the original comes along."""
    import soundfile

    content = io.BytesIO()
    soundfile.write(content, u.samples, RATE, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(content.getvalue()).decode()


# --- the seal: the page's script does the same -------------------------------------------------------------------------------------


def seal(truth: Truth, test: str, item: str) -> str:
    """Scramble a truth; base64."""
    plain = "\n".join((truth.utterance, truth.voice, truth.words or "", truth.sentence, truth.speaker))
    data = f"{_fnv(plain.encode()):08x}\n{plain}".encode()
    data += b"\n" * (-len(data) % _BLOCK)
    return base64.b64encode(bytes(a ^ b for a, b in zip(data, _stream(f"{test}/{item}"), strict=False))).decode()


def unseal(sealed: str, test: str, item: str) -> Truth:
    """Open a seal; raises `ValueError` where it is damaged or belongs to another clip."""
    data = bytes(a ^ b for a, b in zip(base64.b64decode(sealed, validate=True), _stream(f"{test}/{item}"), strict=False))
    check, _, plain = data.decode(errors="replace").rstrip("\n").partition("\n")
    fields = plain.split("\n")
    if len(fields) != 5 or check != f"{_fnv(plain.encode()):08x}":
        raise ValueError("the seal is damaged")
    return Truth(fields[0], fields[1], fields[2] or None, fields[3], fields[4])


def _fnv(data: bytes) -> int:
    """FNV-1a, 32 bit."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def _stream(key: str) -> Iterator[int]:
    """Endless bytes of the mulberry32 generator, seeded with the key."""
    mask = 0xFFFFFFFF
    state = _fnv(key.encode())
    while True:
        state = (state + 0x6D2B79F5) & mask
        value = (state ^ state >> 15) * (state | 1) & mask
        value ^= (value + ((value ^ value >> 7) * (value | 61) & mask)) & mask
        yield (value ^ value >> 14) & 0xFF
