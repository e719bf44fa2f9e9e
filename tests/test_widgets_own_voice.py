"""One's own voice: whatever is uploaded gets an answer or one sentence that says why not, and a shipped clip stands in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from listening_widgets import LoudIsAngry

from cogviz import audio, tour
from cogviz.lime import dataset
from cogviz.utterance import Utterance
from cogviz.widgets.own_voice import OwnVoice, facts, syllables


@pytest.fixture(scope="module")
def clip() -> Utterance:
    return next(u for u in dataset.read(tour.samples()) if u.emotion == "neutral" and u.speaker == "neural-f2")


@pytest.fixture
def panel(clip: Utterance) -> OwnVoice:
    return OwnVoice(clip, [LoudIsAngry()])


def wav(samples: np.ndarray, rate: int = audio.RATE) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="WAV")
    return content.getvalue()


def test_without_a_recording_a_shipped_clip_stands_in_and_the_panel_says_so(panel: OwnVoice) -> None:
    assert not panel.own
    assert panel.voice.emotion is None
    assert panel.answers == {"loud": "happy"}
    assert "shipped, synthetic clip" in panel.still()


def test_an_upload_is_measured_and_answered(panel: OwnVoice, clip: Utterance) -> None:
    loud = clip.samples * 8
    panel.take("me.wav", wav(np.repeat(loud, 3)[: 3 * len(loud)], 3 * audio.RATE))
    assert panel.own
    assert not panel.refused
    assert panel.answers == {"loud": "angry"}
    assert panel.facts["loudness"] - facts(clip.samples)["loudness"] == pytest.approx(20 * np.log10(8), abs=0.5)
    assert "me.wav" in panel.still()
    panel.forget()
    assert not panel.own


def test_the_upload_button_does_the_same(panel: OwnVoice, clip: Utterance) -> None:
    change = {"new": ({"name": "me.flac", "content": memoryview(wav(clip.samples))},)}
    panel._uploaded(change)
    assert panel.own
    assert panel.voice.id == "me.flac"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("notes.txt", b"these are words and no sound", "notes.txt cannot be read as audio"),
        ("holiday.mp4", b"\0\0\0\x18ftypmp42", "ffmpeg -i holiday.mp4"),
        ("memo.m4a", b"\0\0\0\x18ftypM4A ", "ffmpeg -i memo.m4a"),
        ("silence.wav", wav(np.zeros(16000)), "silence.wav is silent"),
        ("speech.wav", wav(np.full(31 * 16000, 0.1)), "the limit is 30 s"),
        ("click.wav", wav(np.full(400, 0.1)), "25 ms long"),
        ("empty.wav", b"", "empty.wav cannot be read as audio"),
        ("whisper.wav", wav(0.1 * np.random.default_rng(0).standard_normal(16000)), "whisper.wav"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence_and_nothing_is_lost(
    panel: OwnVoice, clip: Utterance, name: str, content: bytes, why: str
) -> None:
    panel.take("mine.wav", wav(clip.samples))
    panel.take(name, content)
    if name == "whisper.wav" and not panel.refused:
        pytest.skip("the tracker finds a pitch in noise")
    assert why in panel.refused
    assert "/" not in panel.refused.replace("NaN/", "")
    assert panel.voice.id == "mine.wav"
    assert panel.answers
    assert "\n" not in panel.refused


def test_a_path_on_this_machine_does_too(panel: OwnVoice, clip: Utterance, tmp_path: Path) -> None:
    audio.write(tmp_path / "me.wav", clip.samples)
    panel.path = str(tmp_path / "me.wav")
    assert panel.own
    panel.path = str(tmp_path / "nobody.wav")
    assert "does not exist" in panel.refused
    assert panel.voice.id == "me.wav"
    panel.path = ""
    assert not panel.own


def test_a_loud_or_clipped_recording_is_told(panel: OwnVoice, clip: Utterance) -> None:
    panel.take("loud.wav", wav(np.clip(clip.samples * 500, -1, 1)))
    assert any("clipped" in notice for notice in panel.notices)
    assert "clipped" in panel.still()


def test_facts_of_a_tone_that_is_known() -> None:
    time = np.arange(2 * audio.RATE) / audio.RATE
    beats = 0.02 + 0.3 * np.maximum(np.sin(2 * np.pi * 4 * time), 0)  # four syllables a second
    phase = 2 * np.pi * 200 * time
    tone = (beats * sum(np.sin(k * phase) / k for k in range(1, 8))).astype(np.float32) / 2
    found = facts(tone)
    assert found["pitch"] == pytest.approx(200, rel=0.02)
    assert found["range"] < 0.5
    assert found["tempo"] == pytest.approx(4, abs=0.6)
    assert syllables(np.zeros(16000, np.float32)) == 0
