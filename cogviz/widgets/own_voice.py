"""Your own voice: upload a recording, see its pitch, loudness and tempo, hear it again, and ask models what they hear.

A page cannot reach a microphone without a script, so recording is left to the system (`HOW_TO_RECORD`) and the file is uploaded. Without one, a
clip that is shipped takes its place, and the panel says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cogviz import audio
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.asking import ask
from cogviz.lime import world
from cogviz.models.protocol import Listener
from cogviz.plotting import hearing, live, page, speech
from cogviz.utterance import Utterance
from cogviz.widgets.panel import Panel, Rendered

HOW_TO_RECORD = """\
- **Windows**: *Sound Recorder*; in its settings choose WAV as the format.
- **macOS**: *Voice Memos*, then in a terminal `afconvert -f WAVE -d LEI16@16000 memo.m4a my.wav`.
- **Linux**: `arecord -f S16_LE -r 16000 -d 4 my.wav` records four seconds.
- **Phone**: any recorder; where it makes `.m4a`, `ffmpeg -i memo.m4a my.wav` turns it into a file that can be read."""
"""For a reader, as Markdown."""

FOREIGN = {".m4a", ".aac", ".mp4", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".wma", ".amr"}
"""Endings of videos and of sound that libsndfile does not read."""

LARGEST = 50_000_000
"""Bytes; half a minute of any recording is less."""

SYLLABLE_GAP, SYLLABLE_RISE = 0.1, 2.0
"""Seconds between two syllables at least, and dB by which one stands out, when syllables are counted in the loudness."""


class OwnVoice(Panel):
    """Take a recording of one's own.

    Attributes:
        path: a file on this machine, instead of an upload; "": none.
        own: whether it is the reader's, and not the clip that stands in.
        voice: the recording as an `Utterance` without emotion (nobody has written it down).
        facts: {what: value}, of `facts`. notices: of the recording (clipped, very quiet).
        answers: {listener: emotion}. probabilities: {listener: (7,)}.
        refused: why the last file could not be used, one sentence; "" where it could. The recording before it stays.

    Args:
        stand_in: what is heard until something is uploaded. listeners: who is asked. title: of the upload button.
    """

    path = traitlets.Unicode("")
    refused = traitlets.Unicode("")
    own = Rendered(False)
    voice = Rendered(None, allow_none=True)
    facts = Rendered({})
    notices = Rendered(())
    answers = Rendered({})
    probabilities = Rendered({})

    def __init__(self, stand_in: Utterance, listeners: Sequence[Listener] = (), *, title: str = "your recording") -> None:
        self.stand_in, self.listeners, self.title = stand_in, list(listeners), title
        self._taken: tuple[str, audio.Recording] | None = None
        upload = widgets.FileUpload(accept="audio/*,.wav,.flac,.mp3,.ogg,.aiff", multiple=False, description=title)
        upload.layout.width = "auto"
        again = widgets.Button(description="the shipped clip", tooltip="forget the recording and take the shipped clip again")
        upload.observe(self._uploaded, "value")
        again.on_click(lambda _: self.forget())
        super().__init__([widgets.HBox([upload, again])])
        self.observe(self._named, "path")

    def _uploaded(self, change: dict[str, Any]) -> None:
        for file in change["new"]:
            self.take(str(file["name"]), bytes(file["content"]))

    def _named(self, change: dict[str, str]) -> None:
        if not change["new"]:
            self.forget()
            return
        path = Path(change["new"]).expanduser()
        self._take(path.name, lambda: _read(path, path.name))

    def take(self, name: str, content: bytes) -> None:
        """Use a file by its content; what cannot be used is said in `refused`, and the recording before it stays."""

        def read() -> audio.Recording:
            if len(content) > LARGEST:
                raise audio.AudioError(f"{name} has {len(content) / 1e6:.0f} MB, too much for half a minute: cut out the sentence you want")
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"upload{Path(name).suffix}"
                path.write_bytes(content)
                return _read(path, name)

        self._take(name, read)

    def _take(self, name: str, read: Callable[[], audio.Recording]) -> None:
        try:
            recording = read()
            world.analyse(audio.without_silence(recording.samples), audio.RATE)  # a sound without a voice has no tone to look at
        except (audio.AudioError, world.VocoderError) as error:
            reason = " ".join(str(error).split())
            if isinstance(error, world.VocoderError):
                reason = f"{name} holds no voice to look at ({reason}): a whisper or a noise has no pitch; record a spoken sentence"
            elif Path(name).suffix.lower() in FOREIGN:
                reason = f"{name} is a video or a kind of sound that cannot be read here; make a WAV of it: ffmpeg -i {name} my.wav"
            self.refused = reason
        else:
            self.refused = ""
            self._taken = name, recording
        self.refresh()

    def forget(self) -> None:
        """Take the shipped clip again."""
        self._taken, self.refused = None, ""
        self.refresh()

    def render(self) -> str:
        """Measure the recording, draw and play it, and ask the listeners."""
        self.own = self._taken is not None
        if self._taken is None:
            clip = audio.from_array(self.stand_in.samples, audio.RATE, name="the shipped clip")
            self.notices = clip.notices
            self.voice = replace(self.stand_in, id=f"{self.stand_in.id}#stand-in", emotion=None, lexical_emotion=None, words=(), extra={})
            said = "Nothing of yours yet: this is a shipped, synthetic clip."
        else:
            name, recording = self._taken
            self.notices = recording.notices
            self.voice = Utterance(name, "", None, "you", name, "files", waveform=recording.samples)
            said = f"Your recording: {name}. It stays on this machine."
        self.facts = facts(self.voice.samples)
        self.probabilities = {name: p[0] for name, p in ask(self.listeners, [self.voice]).items()} if self.listeners else {}
        self.answers = {name: EMOTIONS[int(p.argmax())] for name, p in self.probabilities.items()}
        lines = "".join(f'<p role="alert"><b>{escape(line)}</b></p>' for line in (self.refused, *self.notices) if line)
        bars = live.bars({name: p.tolist() for name, p in self.probabilities.items()}) if self.probabilities else ""
        shown = replace(self.voice, id="sound and pitch")
        drawn = page.figure(speech.recordings, [shown], title=f"{'Your recording' if self.own else 'The shipped clip'}: how it is said")
        heard = page.players({self.title if self.own else "the shipped clip": self.voice})
        return f"{lines}<p>{escape(said)}</p>{heard}<p>{told(self.facts)}</p>{bars}{drawn}"


def _read(path: Path, name: str) -> audio.Recording:
    """Read a file; what is said about it calls it `name`."""
    try:
        found = audio.read(path)
    except audio.AudioError as error:
        raise audio.AudioError(str(error).replace(str(path), name)) from None
    return replace(found, name=name, notices=tuple(notice.replace(str(path), name) for notice in found.notices))


def facts(samples: np.ndarray) -> dict[str, float]:
    """Return what a voice does in numbers: seconds of speech, median pitch (Hz) and its range (10th to 90th percentile, semitones), loudness (dBFS)
    and syllables a second.

    Args:
        samples: (n,) float32 at `audio.RATE`. Pitch is NaN where there is no voice.
    """
    start, stop = audio.speech_span(samples)
    heard = np.asarray(samples[start:stop], dtype=np.float32)
    f0 = hearing.quick_f0(heard)
    level = hearing.levels(heard, window=400)
    at = np.interp(np.arange(len(f0)) * world.FRAME * audio.RATE / hearing.HOP, np.arange(len(level)), level)
    pitch = f0[(f0 > 0) & (at > hearing.typical(level) - hearing.SILENCE)]
    low, middle, high = np.percentile(pitch, [10, 50, 90]) if len(pitch) else [np.nan] * 3
    seconds = len(heard) / audio.RATE
    return {
        "seconds": seconds,
        "pitch": float(middle),
        "range": float(12 * np.log2(high / low)),
        "loudness": float(audio.level_db(heard)),
        "tempo": syllables(heard) / max(seconds, 1e-3),
    }


def syllables(samples: np.ndarray) -> int:
    """Count syllables as peaks of the loudness that stand out and carry a voice (after de Jong & Wempe 2009); off by one in five, easily."""
    from scipy.signal import find_peaks

    level = hearing.levels(samples, window=800)
    peaks, _ = find_peaks(
        level,
        height=hearing.typical(level) - hearing.SILENCE,
        prominence=SYLLABLE_RISE,
        distance=max(round(SYLLABLE_GAP * audio.RATE / hearing.HOP), 1),
    )
    f0 = hearing.quick_f0(samples)
    at = np.minimum((peaks * hearing.HOP / audio.RATE / world.FRAME).astype(int), max(len(f0) - 1, 0))
    return int((f0[at] > 0).sum()) if len(f0) and len(peaks) else 0


def told(found: dict[str, float]) -> str:
    """Write `facts` as a line of a page."""
    pitch = "no pitch" if np.isnan(found["pitch"]) else f"pitch {found['pitch']:.0f} Hz, range {found['range']:.1f} semitones"
    return f"{pitch} · loudness {found['loudness']:.0f} dBFS · {found['tempo']:.1f} syllables a second · {found['seconds']:.1f} s".replace(
        "-", "−"
    )
