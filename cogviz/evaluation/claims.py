"""What a chain claims about the sound of a voice: "it is loud and high", "a slow, trembling delivery" -> (loudness, +1), (pitch, +1), ...

The lexicon holds the words of `cogviz.lime.annotate` and those that other models use for the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

_MORE = "(?:high(?:er)?|raised|elevated|increased|great(?:er)?|strong(?:er)?)"
_LESS = "(?:low(?:er|ered)?|reduced|decreased|little|weak(?:er)?)"
_VOLUME = "(?:volume|loudness|intensity|energy)"
_PACE = "(?:pace|tempo|rate|speed)"
_SPAN = "(?:pitch |melodic )?(?:range|variation|variability|movement|melody)"
_END = "(?:at|towards?|in) the (?:very )?end|(?:intonation|inflection|ending)"
_MOOD = "(?! (?:spirits?|mood|hopes?|stakes?))"

# (kind, what claims more of it, what claims less). In this order, and what one line has read the next do not see: "low volume" is no low pitch.
_LEXICON: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "ending",
        (rf"ris(?:es?|ing) (?:{_END})", "(?:final|terminal) rise"),
        (rf"fall(?:s|ing) (?:{_END})", rf"drop(?:s|ping) (?:{_END})", "(?:final|terminal) fall"),
    ),
    (
        "loudness",
        (f"{_MORE} {_VOLUME}", "raised voice", "rais(?:es?|ing) (?:the|their|his|her) voice", "loud(?:er|ly)?", "shout(?:s|ed|ing)?",
         "yell(?:s|ed|ing)?", "booming", "forceful(?:ly)?"),
        (f"{_LESS} {_VOLUME}", "lowered voice", "soft(?:er|ly)?(?:[- ]spoken)?", "quiet(?:er|ly)?", "hushed", "faint(?:ly)?", "subdued",
         "murmur(?:s|ed|ing)?"),
    ),
    (
        "tempo",
        (f"{_MORE} {_PACE}", "fast(?:er)?", "quick(?:er|ly)?", "rapid(?:ly)?", "hurried(?:ly)?", "rushed", "brisk(?:ly)?"),
        (f"{_LESS} {_PACE}", "slow(?:er|ly|ed)?", "drawn[- ]out", "dragging", "unhurried", "lingering"),
    ),
    (
        "melody",
        (f"(?:wider?|large|{_MORE}) {_SPAN}", "lively", "animated", "sing-?song", "melodic", "varied"),
        (f"(?:narrow(?:er)?|small|{_LESS}) {_SPAN}", "flat(?:ly|ter)?", "monoton(?:e|ous|ously)", "level (?:pitch|intonation)"),
    ),
    (
        "pitch",
        (f"{_MORE}[- ]pitch(?:ed)?", f"{_MORE} (?:tone|register|f0)", "shrill(?:y)?", "squeaky", "pitch (?:is |goes )?(?:raised|up)",
         f"high(?:er)?{_MOOD}"),
        (f"(?:{_LESS}|deep(?:er)?)[- ]pitch(?:ed)?", f"{_LESS} (?:tone|register|f0)", "deep(?:er)? voice",
         "pitch (?:is |goes )?(?:lowered|down)", f"low(?:er)?{_MOOD}"),
    ),
    ("breathiness", ("breath(?:y|ier|iness)", "airy", "aspirated", "whisper(?:y|s|ed|ing)?"), ()),
    (
        "brightness",
        ("tens(?:e|er|ion)", "harsh(?:er|ly)?", "bright(?:er)?", "sharp(?:er|ly)?", "piercing", "pressed", "strained", "metallic"),
        ("dark(?:er)?", "dull(?:er)?", "muffled", "mellow(?:er)?", "lax", "relaxed", "warm(?:er)?"),
    ),
    (
        "roughness",
        ("shak(?:y|es?|ing)", "trembl(?:es?|ing|y)", "quaver(?:s|ing)?", "quiver(?:s|ing)?", "rough(?:er)?", "hoarse", "creaky", "unsteady",
         "jittery"),
        ("steady", "steadily", "smooth(?:er|ly)?"),
    ),
)  # fmt: skip
_PATTERNS = tuple(
    (kind, direction, re.compile(rf"\b(?:{'|'.join(words)})(?!\w)"))
    for kind, more, less in _LEXICON
    for direction, words in ((+1, more), (-1, less))
    if words
)

KINDS = tuple(kind for kind, *_ in _LEXICON)
"""What can be claimed. More of it is: rising at the end, louder, faster, livelier, higher, breathier, brighter or tenser, rougher."""

_QUOTED = re.compile(r'["“«][^"“”«»]*(?:["”»]|$)')
_STATEMENT = re.compile(r"[.!?;\n]+|\b(?:but|while|whereas|although|though|however|yet|despite)\b")
_VOICE = re.compile(
    r"\b(?:voice|tone|pitch|f0|sound(?:s|ed|ing)?|speak(?:s|er|ing)?|spoken|speech|deliver\w*|intonation|prosody|volume|pace|tempo)\b"
)
_WORDS = re.compile(r"\b(?:words?|text|content|sentence|transcript|they alone)\b")
_DENIED = re.compile(r"\b(?:not|no|never|without|neither|nor|hardly|less|isn['’]t|rather than|instead of)\s+(?:\w+\s+){0,2}$")


@dataclass(frozen=True)
class Claim:
    """Something that is said of a voice: its kind, one of `KINDS`, and more (+1) or less (-1) of it."""

    kind: str
    direction: int


def claims(text: str) -> list[Claim]:
    """Return what a perception step, or any text, claims about the sound of the voice; each kind once, none that is claimed both ways.

    Statements about the words, quoted speech and what is denied ("not loud") do not count. A statement that names neither voice nor words goes on
    about what the one before it was about.
    """
    found: dict[str, set[int]] = defaultdict(set)
    about_voice = False
    for statement in _STATEMENT.split(_QUOTED.sub(" ", text.lower())):
        voice, words = _VOICE.search(statement), _WORDS.search(statement)
        about_voice = voice is not None or (about_voice and words is None)
        if not about_voice:
            continue
        if voice and words and words.start() > voice.start():
            statement = statement[: words.start()]
        for kind, direction, pattern in _PATTERNS:
            for match in pattern.finditer(statement):
                if not _DENIED.search(statement[: match.start()]):
                    found[kind].add(direction)
            statement = pattern.sub(lambda match: "_" * len(match[0]), statement)
    return [Claim(kind, *directions) for kind, directions in found.items() if len(directions) == 1]
