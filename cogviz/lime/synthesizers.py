"""The two embedded synthesizers: text -> samples and the time span of every word.

- `espeak`: espeak-ng, a formant synthesizer (in-process, through ctypes on the library that `espeakng-loader` carries). Many accents
  and voice variants, crisp and plainly artificial.
- `neural`: hibari-tts, a small neural voice on onnxruntime (Apache-2.0, one American female voice inside the wheel). Natural.

Both import their package on first use, so that `import cogviz` needs neither. `cogviz.lime.voices` holds the speakers made from them.
"""

from __future__ import annotations

import _ctypes
import ctypes
import difflib
import re
import threading
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

SEED = 20  # of the noise in breath and fricatives; one number for all, because it must not tell speakers apart
MAX_PHONEMES = 400  # what hibari-tts gives its model at once; longer sentences were not in its training


class VoiceError(ValueError):
    """A sentence cannot be spoken; the message says what to do."""


Span = tuple[float, float] | None  # seconds; None: a word without sound, such as a lone dash


class Take(NamedTuple):
    """What a synthesizer hands back: float32 `samples` (n,), `rate` in Hz, one span for every whitespace word of the text."""

    samples: np.ndarray
    rate: int
    spans: list[Span]


def _shared(start: float, end: float, words: list[str]) -> list[Span]:
    """Share the time that several words have together, in proportion to their letters."""
    share = np.cumsum([0] + [max(sum(map(str.isalnum, word)), 1) for word in words], dtype=float)
    edges = start + (end - start) * share / share[-1]
    return [(float(a), float(b)) for a, b in pairwise(edges)]


# --- espeak-ng -------------------------------------------------------------------------------------------------------------------

# Names and values from espeak-ng's speak_lib.h.
_SYNCHRONOUS, _DO_NOT_EXIT, _CHARACTERS, _UTF8 = 2, 0x8000, 1, 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_END_OF_LIST, _WORD = 0, 1


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # 1-based, in characters
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_lock = threading.Lock()  # the library keeps its state in globals


def espeak(text: str, *, voice: str, pitch: int, pitch_range: int, speed: int, emphasis: float) -> Take:
    """Speak with espeak-ng.

    The library is loaded anew for every sentence (0.3 ms): its flutter, glottal phase and noise run on from one sentence into the next,
    survive `espeak_Terminate`, and would make the samples depend on what was spoken before.

    Args:
        text: the sentence.
        voice: language file and variant, as `gmw/en-US+f1`.
        pitch: 0 .. 99, 50 is the variant's own.
        pitch_range: 0 (monotone) .. 99, 50 is the variant's own.
        speed: words a minute.
        emphasis: pre-emphasis y[n] = x[n] - emphasis * x[n - 1]; lifts fricatives, which espeak-ng makes weak.

    Raises:
        VoiceError: the package is missing, its data cannot be read, or the voice does not exist.
    """
    try:
        import espeakng_loader
    except ImportError as error:
        raise VoiceError("this voice needs espeak-ng: pip install espeakng-loader") from error
    pieces: list[np.ndarray] = []
    starts: list[tuple[int, float]] = []  # (0-based character, seconds)

    @_Callback
    def collect(wav: Any, count: int, events: Any) -> int:
        if wav and count > 0:
            pieces.append(np.ctypeslib.as_array(wav, (count,)).copy())
        i = 0
        while events[i].type != _END_OF_LIST:
            if events[i].type == _WORD:
                starts.append((events[i].text_position - 1, events[i].audio_position / 1000))
            i += 1
        return 0

    encoded = text.encode(errors="replace") + b"\0"
    with _lock:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), _DO_NOT_EXIT)
            if rate <= 0:
                raise VoiceError("espeak-ng cannot read its data; pip install --force-reinstall espeakng-loader")
            if hasattr(library, "espeak_ng_SetRandSeed"):
                library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
            library.espeak_SetSynthCallback(collect)
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise VoiceError(f"this espeak-ng has no voice {voice!r}; take another speaker, or pip install -U espeakng-loader")
            for parameter, value in ((_RATE, speed), (_PITCH, pitch), (_RANGE, pitch_range)):
                library.espeak_SetParameter(parameter, value, 0)
            failed = library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded)), 0, _CHARACTERS, 0, _UTF8, None, None)
            library.espeak_Synchronize()
            library.espeak_Terminate()
        finally:
            _unload(library)
    if failed or not pieces:
        raise VoiceError(f"espeak-ng finds nothing to say in {text[:60]!r}; give it an English sentence")
    samples = np.concatenate(pieces).astype(np.float32) / 32768
    samples[1:] -= emphasis * samples[:-1]  # without it "folder" is heard as "holder" and "seven" as "heaven"
    return Take(samples, rate, _spans_of_events(text, starts, len(samples) / rate))


def _unload(library: ctypes.CDLL) -> None:
    """Close the library, so that the next load starts from fresh globals."""
    close = getattr(_ctypes, "dlclose", None) or getattr(_ctypes, "FreeLibrary")  # noqa: B009 (POSIX, Windows; each has only one)
    close(library._handle)


def _spans_of_events(text: str, starts: list[tuple[int, float]], end: float) -> list[Span]:
    """One span a whitespace word, from the word events.

    espeak-ng reports "of the" or "that it" as one word, and "1998" as several. So each whitespace word starts with the first event
    inside it, and one without an event shares the time of the word before it. A word lasts until the next one starts.
    """
    matches = list(re.finditer(r"\S+", text))
    groups: list[tuple[float, list[int]]] = []
    for i, match in enumerate(matches):
        inside = [seconds for position, seconds in starts if match.start() <= position < match.end()]
        if inside:
            groups.append((inside[0] if groups else 0.0, [i]))
        elif any(map(str.isalnum, match.group())):
            if not groups:
                groups.append((0.0, []))
            groups[-1][1].append(i)
    spans: list[Span] = [None] * len(matches)
    for k, (start, members) in enumerate(groups):
        stop = groups[k + 1][0] if k + 1 < len(groups) else end
        for i, span in zip(members, _shared(start, stop, [matches[i].group() for i in members]), strict=True):
            spans[i] = span
    return spans


# --- hibari-tts ------------------------------------------------------------------------------------------------------------------

LEAD = 0.045  # seconds by which the sound precedes the predicted edges: measured, the hiss of s, z, sh, ch, j against their durations
_DURATIONS = b"/Clip_output_0"  # the tensor in hibari's graph that holds the length of each phoneme


@lru_cache(maxsize=1)
def _hibari() -> tuple[Any, Any]:
    """The model's front end, and a session that also returns the phoneme durations."""
    try:
        import hibari
        import onnxruntime
    except ImportError as error:
        raise VoiceError("this voice needs hibari-tts: pip install hibari-tts onnxruntime") from error

    def field(number: int, payload: bytes) -> bytes:  # one length-delimited protobuf field; payload shorter than 128 bytes
        return bytes([number << 3 | 2, len(payload)]) + payload

    engine = hibari.Hibari()
    with open(engine.model_path, "rb") as file:
        model = file.read()
    # Protobuf messages merge when their bytes are concatenated: this adds ModelProto.graph.output.name = _DURATIONS.
    model += field(7, field(12, field(1, _DURATIONS)))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the work is split over sentences, not within one
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no public base class
        raise VoiceError("this hibari-tts does not show its phoneme durations: pip install hibari-tts==0.2.1") from error
    return engine, session


def neural(text: str, *, speed: float) -> Take:
    """Speak with hibari-tts; word times come from the phoneme durations that its model predicts (25 ms steps).

    Args:
        text: one or more sentences, each of at most about 70 words.
        speed: 1 is the model's own pace, 1.1 is a tenth faster.

    Raises:
        VoiceError: the package is missing, a sentence is too long, or no word of it can be read as English.
    """
    engine, session = _hibari()
    from hibari import dsp

    rng = np.random.default_rng(SEED)
    pieces: list[np.ndarray] = []
    spans: list[Span] = []
    offset = 0
    for sentence in engine.split_sentences(text):
        words = sentence.split()
        phonemes, owners = _phonemes(engine, sentence, words)
        if len(phonemes) > MAX_PHONEMES:
            raise VoiceError(f"a sentence of {len(words)} words is too long for the neural voice; split it with full stops")
        if not phonemes:
            spans += [None] * len(words)
            continue
        ids = np.asarray([engine.ids(phonemes)], np.int64)
        *parts, durations = session.run(None, {"ids": ids, "speed": np.asarray([speed], np.float32)})
        piece = dsp.synth(*(part[0] for part in parts), rng)
        # The first and the last duration are the model's padding, so edges[i] .. edges[i + 1] is phoneme i.
        edges = np.cumsum(durations) / np.sum(durations) * len(piece) / dsp.SR
        edges = np.maximum(edges - LEAD, 0) + offset / dsp.SR
        spans += _spans_of_phonemes(edges, owners, words)
        pieces.append(piece)
        offset += len(piece)
    if not pieces:
        raise VoiceError(f"the neural voice finds nothing to say in {text[:60]!r}; give it an English sentence")
    return Take(np.concatenate(pieces).astype(np.float32), dsp.SR, spans)


def _phonemes(engine: Any, sentence: str, words: list[str]) -> tuple[str, list[tuple[int, ...]]]:
    """The phonemes of a sentence and, for each, the whitespace words that it belongs to: () for spaces and punctuation."""
    from hibari.g2p import NON_QUOTE_PUNCTS, normalize

    try:
        tokens = engine.g2p.phonemize_tokens(engine.g2p.tokenize(normalize(sentence)))
    except (ValueError, IndexError, KeyError, TypeError) as error:  # hibari-tts stumbles over rare characters, such as superscript digits
        raise VoiceError(f"the neural voice cannot read {sentence[:60]!r}; spell out unusual characters as words") from error
    read: list[str] = [""]  # the normalised words: "7:30" has become "seven thirty"
    homes: list[int] = []
    phonemes = ""
    for token in tokens:
        piece = "".join(c for c in (token.phonemes or "") if c in engine.vocab) + (" " if token.whitespace else "")
        phonemes += piece
        homes += [len(read) - 1] * len(piece)
        read[-1] += token.text
        if token.whitespace:
            read.append("")
    matcher = difflib.SequenceMatcher(a=read, b=words, autojunk=False)
    owner = {a: tuple(range(b1, b2)) for _, a1, a2, b1, b2 in matcher.get_opcodes() for a in range(a1, a2)}
    owner |= {a1 + i: (b1 + i,) for _, a1, a2, b1, b2 in matcher.get_opcodes() if a2 - a1 == b2 - b1 for i in range(a2 - a1)}
    silent = NON_QUOTE_PUNCTS | set(' "“”()')
    return phonemes, [() if c in silent else owner[home] for c, home in zip(phonemes, homes, strict=True)]


def _spans_of_phonemes(edges: np.ndarray, owners: list[tuple[int, ...]], words: list[str]) -> list[Span]:
    """One span a word; words that only together match what was read share their time by letters."""
    spans: list[Span] = [None] * len(words)
    for group in dict.fromkeys(owner for owner in owners if owner):
        at = [i for i, owner in enumerate(owners) if owner == group]
        for i, span in zip(group, _shared(edges[at[0]], edges[at[-1] + 1], [words[i] for i in group]), strict=True):
            spans[i] = span
    return spans
