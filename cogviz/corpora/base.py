"""What every corpus reader shares: the description of a corpus, its utterances, and what is left out and said to be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from cogviz import audio, emotions
from cogviz.scoring import normalised_words
from cogviz.utterance import Utterance

SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".aiff", ".aif"}


class CorpusError(ValueError):
    """Raised where a corpus cannot be read; the message says what to do."""


class Unfit(ValueError):
    """Raised for one file or row that cannot be read; the message is the reason."""


@dataclass(frozen=True)
class Skipped:
    """A file or row that is left out, and why."""

    name: str
    why: str


Item: TypeAlias = Utterance | Skipped


@dataclass(frozen=True)
class Corpus:
    """A corpus of emotional speech.

    Attributes:
        kind: "acted" (sentences that actors read), "dialogue" or "benchmark" (items with words, voice and perhaps a question).
        language: ISO 639-1; several with commas, then `Utterance.extra["language"]` says which.
        licence: what it allows. page: where a user gets it. command: how, where one command does.
        items: folder -> everything in it, in the order of file names or rows; what cannot be read as `Skipped`.
        others: emotions of the corpus that are none of the seven -> adjective for such a voice, one that no other label has.
        transcripts: where the words are looked for, in a corpus that keeps them in files of their own.
    """

    name: str
    title: str
    kind: str
    language: str
    licence: str
    page: str
    items: Callable[[Path], Iterable[Item]]
    command: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    transcripts: str = ""

    @property
    def source(self) -> str:
        """Where a user gets the corpus, as the end of a sentence."""
        return f"download it from {self.page}" + (f" (`{self.command}`)" if self.command else "")


def sounds(root: Path) -> list[Path]:
    """Return every sound file under `root`, in the order of paths; hidden ones are no recordings."""
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def by_name(parse: Callable[[Path], Utterance | None]) -> Callable[[Path], Iterator[Item]]:
    """Return the `items` of a corpus whose file names say everything.

    Args:
        parse: path -> Utterance; None for a file that belongs to the corpus but not to our use (song);
            raises `Unfit`, or ValueError, KeyError or IndexError for a file whose name does not fit.
    """
    return lambda root: parsed(root, parse)


def parsed(root: Path, parse: Callable[[Path], Utterance | None]) -> Iterator[Item]:
    """Yield what `parse` (see `by_name`) makes of every sound file under `root`."""
    for path in sounds(root):
        try:
            found = parse(path)
        except Unfit as reason:
            yield Skipped(path.name, str(reason))
        except (ValueError, KeyError, IndexError):
            yield Skipped(path.name, "the name does not fit the corpus")
        else:
            if found is not None:
                yield found


def emotion_of(label: str, others: Collection[str] = ()) -> str:
    """Return our name for a corpus's label, or the label where it is one of the corpus's own; raises `Unfit` for any other."""
    name = label.strip().lower()
    found = name if name in others else emotions.LABELS.get(name)
    if found is None:
        raise Unfit(f"unknown label {label!r}")
    return found


def spoken(
    corpus: str,
    id: str,
    path: Path,
    emotion: str,
    *,
    speaker: str = "",
    sentence: str = "",
    text: str = "",
    intensity: float = 1.0,
    lexical: str = "",
    split: str = "",
    **extra: object,
) -> Utterance:
    """Return an utterance of a corpus.

    Args:
        speaker, sentence: as the corpus calls them. Without a speaker the item is a speaker of its own; without a sentence the words are
            the sentence, and without words the item is one of its own.
        intensity: k of an emotion; neutral has 0.
        lexical: the corpus's label for what the words say. Where it is none of the seven it stays in extra["lexical_label"].
    """
    said = emotions.LABELS.get(lexical.strip().lower())
    if lexical and said is None:
        extra["lexical_label"] = lexical
    return Utterance(
        id=id,
        text=text,
        emotion=emotion,
        intensity=0.0 if emotion == "neutral" else intensity,
        speaker=f"{corpus}-{speaker or id}",
        sentence=f"{corpus}-{sentence or ' '.join(normalised_words(text)) or id}",
        corpus=corpus,
        path=path,
        lexical_emotion=said,
        split=split,
        extra=extra,
    )


def collect(corpus: Corpus, root: Path, *, own_labels: bool = False) -> tuple[list[Utterance], list[Skipped]]:
    """Return (utterances, what is left out) of a folder; with `own_labels` those of `others` too.

    Left out is what the reader cannot read, a second recording of the same id, and a sound file whose header says that it cannot be used.
    """
    if not root.is_dir():
        raise CorpusError(f"{root} is not a folder; {corpus.source} and give its folder")
    found: dict[str, Utterance] = {}
    skipped = []
    for item in corpus.items(root):
        if isinstance(item, Skipped):
            skipped.append(item)
        elif own_labels or item.emotion not in corpus.others:
            name = item.path.name if item.path else item.id
            if item.id in found:
                skipped.append(Skipped(name, "a second one of this name"))
            elif item.path and (why := unusable(item.path)):
                skipped.append(Skipped(name, why))
            else:
                found[item.id] = item
    return list(found.values()), skipped


def unusable(path: Path) -> str:
    """Return why a sound file cannot be used, "" where its header gives no reason; what it holds is checked when it is heard (`audio.read`)."""
    import soundfile

    try:
        with path.open("rb") as file:
            if file.read(40).startswith(b"version https://git-lfs"):
                return "not there yet, only a pointer to it: run `git lfs pull`"
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError):
        return "not readable as sound"
    seconds = info.frames / info.samplerate
    if seconds > audio.MAX_SECONDS:
        return f"longer than {audio.MAX_SECONDS:g} s"
    return f"shorter than {audio.MIN_SECONDS:g} s" if seconds < audio.MIN_SECONDS else ""


def concerns(corpus: Corpus, found: list[Utterance], skipped: list[Skipped]) -> list[str]:
    """Return what a user should know about a reading, a sentence each: what was left out, what is unknown, one emotion or speaker only."""
    said = [summary(skipped)] if skipped else []
    some = f"of {len(found)} recording(s)"
    if without := sum(not u.text for u in found):
        said.append(f"{without} {some} have no transcript" + (f", looked for in {corpus.transcripts}" if corpus.transcripts else ""))
    for what, unknown in (("speaker", [u.speaker for u in found]), ("sentence", [u.sentence for u in found])):
        if alone := sum(cluster == f"{corpus.name}-{u.id}" for cluster, u in zip(unknown, found, strict=True)):
            said.append(f"the {what} of {alone} {some} is unknown, so each counts as one of its own, and intervals may be too narrow")
    if len(kinds := {str(u.emotion) for u in found}) == 1:
        said.append(f"one emotion only ({kinds.pop()}), so there is nothing to tell it from")
    if len({u.speaker for u in found}) == 1:
        said.append("one speaker only, so nothing can be said about other speakers")
    return [f"{corpus.name}: {sentence}" for sentence in said]


def summary(skipped: list[Skipped]) -> str:
    """Return how many were left out, for which reasons, with the first names of each."""
    reasons: dict[str, list[str]] = {}
    for item in skipped:
        reasons.setdefault(item.why, []).append(item.name)
    parts = [f"{why}: {', '.join(names[:3])}{', ...' * (len(names) > 3)} ({len(names)})" for why, names in reasons.items()]
    return f"{len(skipped)} file(s) left out; {'; '.join(parts)}"
