"""Scores of an answer: its form, the emotion that it claims to hear, the words that it heard, how near a step is to another.

Pure functions of text, used by rewards and by evaluation alike, so that both mean the same by the same name.
"""

from __future__ import annotations

import re
from collections import Counter

from cogviz import eips
from cogviz.emotions import EMOTIONS, LABELS, emotion

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
"""What lies between two sentences of a thought."""

MASK = "____"
"""What `mask_emotion_words` puts in place of an emotion word: the same for all seven, and one word for any tokenizer."""

# Words that claim an emotion, beside the names, adjectives and labels of `emotions`. Adverbs such as "surprisingly" claim nothing
# ("surprisingly calm") and "fearless" claims the opposite, so the forms are listed and not stemmed.
_CLAIMS: dict[str, str] = {
    **{name: found for name, found in LABELS.items() if found is not None},
    **{emotion(name).adjective: name for name in EMOTIONS},
    **dict.fromkeys(("neutrally", "calmly", "calmness", "emotionless", "unemotional"), "neutral"),
    **dict.fromkeys(("happily", "happier", "joyous", "joyfully", "cheerful", "cheerfully", "delighted"), "happy"),
    **dict.fromkeys(("sadly", "sadder", "saddened", "sorrow", "sorrowful", "unhappy", "unhappiness"), "sad"),
    **dict.fromkeys(("angrily", "angrier", "angered", "furious", "furiously", "fury"), "angry"),
    **dict.fromkeys(("fearfully", "terrified", "terror", "fright"), "fear"),
    **dict.fromkeys(("revolted", "revulsion"), "disgust"),
    **dict.fromkeys(("astonished", "astonishment", "amazed", "amazement"), "surprise"),
}
_CLAIM = re.compile(rf"\b({'|'.join(sorted(map(re.escape, _CLAIMS), key=len, reverse=True))})\b")

# What masking removes: every claim, and further forms that would tell a classifier the label ("frightening", "surprisingly").
_STEMS = (
    r"neutral\w*|calm\w*|(?:un)?happ(?:y|ier|iest|ily|iness)|(?:en)?joy(?:s|ed|ing|ful\w*|ous\w*|less\w*)?|cheer(?:ful\w*|y|ily)|delight\w*|"
    r"sad(?:ly|ness|der|dest|den\w*)?|sorrow\w*|ang(?:er\w*|ry|rier|riest|rily)|furi\w+|fury|infuriat\w*|fear\w*|afraid|scar(?:e[ds]?|y|ier|ing|ily)|"
    r"fright\w*|terrif\w*|terror\w*|disgust\w*|revolt\w*|revuls\w*|(?:un)?surpris\w*|astonish\w*|amaz(?:e\w*|ing\w*)|(?:un)?emotion\w*"
)
_MASKED = re.compile(rf"\b(?:(an?)(\s+))?(?:{_STEMS}|{'|'.join(map(re.escape, _CLAIMS))})\b", re.IGNORECASE)

_QUOTED = re.compile(r'["“”«»]([^"“”«»]*)(?:["“”«»]|$)')
_TRANSCRIPT = re.compile(r'\b(?:words|transcript\w*|text|sentence|says?|said)\b[^"“”«».]{0,20}["“«]([^"“”«»]*)(?:["”»]|$)', re.IGNORECASE)
_PERCEPTION = re.compile(r"\[perception\](.*?)(?=\[\w+\]|</thought>|$)", re.IGNORECASE | re.DOTALL)
# Politeness that holds an emotion word and claims none.
_POLITE = re.compile(r"\b(?:happy|delighted) to\b|\bafraid (?:i|that|not|so|this|there|the audio)\b|^sadly,|\bfor fear of\b")
_CONTRAST = re.compile(r"[.!?;\n]+|\b(?:but|while|whereas|although|though|however|yet|despite|even if|in contrast to|unlike)\b")
_CONCESSION = re.compile(r"\b((?:while|whereas|although|though|despite|even if|in contrast to|unlike)\b[^,.;!?\n]*),")
_COMMA = re.compile(r"[,:]|\s[-–—]\s|\band (?=(?:the|their|its|his|her)\b)")
_VOICE = re.compile(r"\b(?:voice|tone|prosody|intonation|vocal\w*|delivery|acoustic\w*)\b")
_SPEAKS = re.compile(r"\b(?:sound(?:s|ed|ing)?|speak(?:s|ing)?|spoken|emotion|mood)\b")
_WORDS = re.compile(r"\b(?:words?|wording|text|contents?|sentence|transcript\w*|literal\w*|lexical\w*|semantic\w*|meaning|they alone)\b")
_NOT = re.compile(r"\b(?:not|no|never|without|neither|nor|hardly|cannot|rather than|instead of|far from|\w+n['’]t)\s+(?:\w+\s+){0,3}$")

# fmt: off
_STOP = frozenset((
    "a", "about", "after", "all", "am", "an", "and", "any", "are", "as", "at", "be", "been", "before", "but", "by", "can", "could",
    "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "him", "his", "how", "i", "if", "in", "into", "is", "it",
    "its", "just", "let", "may", "me", "my", "no", "not", "now", "of", "on", "or", "our", "out", "she", "so", "some", "than", "that",
    "the", "their", "them", "then", "there", "they", "this", "to", "too", "up", "us", "was", "we", "were", "what", "when", "where",
    "which", "who", "why", "will", "with", "would", "you", "your",
))
# fmt: on


def format_score(text: str, route: str) -> float:
    """Return 1.0 where `text` has exactly its route's form (thought and response on "reason", the response alone on "direct"), else 0.0."""
    eips.check_route(route)
    answer = eips.parse(text)
    return float(answer is not None and answer.thinks == (route == "reason"))


def claimed_emotion(answer: eips.Answer | str) -> str | None:
    """Return the emotion that an answer claims to hear in the voice; None where it claims none, or more than one.

    An `Answer`, or a text in the EIPS form, is judged by its perception step; the direct route has none, so it claims nothing. Free text
    of other models is judged as a whole. A clause about the voice ("the voice sounds sad") wins over one about nothing named ("sad"); a
    clause about the words ("the words are happy", "they alone would be happy"), quoted speech and what is denied never count.
    """
    text = _perception(answer).lower()
    # The transcript may say anything; one quoted word is a label ('it sounds "sad"').
    text = _QUOTED.sub(lambda match: match[1] if len(match[1].split()) == 1 else " ", text)
    text = re.sub(r"\bnot (?:only|just|merely)\b", " ", text).replace("but also", "and")
    text = _CONCESSION.sub(r"\1.", text)
    voice: set[str] = set()
    other: set[str] = set()
    for statement in _CONTRAST.split(text):
        statement = _POLITE.sub(" ", statement.strip())
        about = other
        for clause in _COMMA.split(statement):
            # A clause that names neither goes on about what the clause before it was about.
            if _VOICE.search(clause):
                about = voice
            elif _WORDS.search(clause):
                about = set()  # read and thrown away
            elif _SPEAKS.search(clause):
                about = voice
            about.update(_CLAIMS[m[1]] for m in _CLAIM.finditer(clause) if not _NOT.search(clause[: m.start()]))
    found = voice or other
    return next(iter(found)) if len(found) == 1 else None


def heard_words(answer: eips.Answer | str) -> str:
    """Return the transcript that the perception step quotes ('The words are "..."'), without its quotes; "" where it quotes none."""
    text = _perception(answer)
    match = _TRANSCRIPT.search(text) or _QUOTED.search(text)
    return match[1].strip() if match else ""


def mask_emotion_words(text: str) -> str:
    """Replace every emotion name, adjective and form of them by `MASK`, so that a classifier of responses cannot read the label.

    The article goes with it: "an" before the mask would still tell angry from happy.
    """
    return _MASKED.sub(lambda match: f"{'A' if match[1][0] == 'A' else 'a'}{match[2]}{MASK}" if match[1] else MASK, text)


def normalised_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation; apostrophes inside a word stay ("don't")."""
    return re.findall(r"\w+(?:'\w+)*", text.lower().replace("’", "'"))


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Return (substitutions + deletions + insertions) / words in the reference, over normalised words; may exceed 1.

    An empty reference counts as one word: 0 where the hypothesis is empty too.
    """
    wanted, got = normalised_words(reference), normalised_words(hypothesis)
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1] / max(len(wanted), 1)


def word_recall(reference: str, text: str) -> float:
    """Return the share of the reference's words that occur in `text`, each as often as it is said; 1.0 for an empty reference."""
    wanted = Counter(normalised_words(reference))
    return (wanted & Counter(normalised_words(text))).total() / wanted.total() if wanted else 1.0


def step_similarity(a: str, b: str) -> float:
    """Return how near two steps of a chain are, 0 .. 1: the F1 of their content words.

    It is lexical: a paraphrase in other words scores low, and "she left him" equals "he left her". Texts without content words are compared
    by all their words.
    """
    first, second = (
        Counter(word for word in words if word not in _STOP) or Counter(words) for words in (normalised_words(a), normalised_words(b))
    )
    if not first and not second:
        return 1.0
    return 2 * (first & second).total() / (first.total() + second.total())


def _perception(answer: eips.Answer | str) -> str:
    """Return the text in which an emotion of the voice may be claimed."""
    parsed = eips.parse(answer) if isinstance(answer, str) else answer
    if parsed is not None:
        return parsed.perceived
    assert isinstance(answer, str)
    if step := _PERCEPTION.search(answer):
        return step[1]
    return "" if re.search(r"</?(?:response|thought)>|\[(?:intent|psychology|strategy)\]", answer, re.IGNORECASE) else answer
