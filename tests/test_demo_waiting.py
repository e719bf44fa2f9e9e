"""That nobody waits for the same work twice: what the demo keeps and forgets, and recordings that are taken apart before they are asked for."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cogviz import audio, tour
from cogviz.demo.kept import Kept
from cogviz.demo.serve import _uncollected
from cogviz.demo.sounds import Sounds
from cogviz.evaluation import intensities
from cogviz.lime import dataset, world
from cogviz.utterance import Utterance


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    return Sounds(dataset.read(tour.samples()))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the recordings that are taken apart."""
    names: list[str] = []
    real = intensities.analysed

    def analysed(neutral: Utterance) -> world.Analysis:
        names.append(neutral.id)
        return real(neutral)

    monkeypatch.setattr(intensities, "analysed", analysed)
    return names


def test_a_thing_is_made_once_for_all_who_ask_at_the_same_time() -> None:
    kept, made = Kept[int](), []

    def make() -> int:
        time.sleep(0.05)
        made.append(1)
        return 7

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: kept.get("a", make), range(4))) == [7] * 4
    assert len(made) == 1


def test_what_fails_is_told_and_not_kept() -> None:
    kept = Kept[int]()
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 // 0)
    assert "a" not in kept
    assert kept.get("a", lambda: 2) == 2


def test_the_oldest_goes_and_what_was_asked_for_again_stays() -> None:
    kept = Kept[str](most=2)
    for name in ("a", "b", "a", "c"):
        kept.get(name, lambda name=name: name)
    assert "b" not in kept
    assert "a" in kept
    assert "c" in kept


def test_a_recording_is_forgotten_although_nobody_comes() -> None:
    kept = Kept[int](seconds=0.05, look=0.02)
    kept.get("a", lambda: 1)
    assert len(kept) == 1
    for _ in range(100):
        time.sleep(0.02)
        if not len(kept):
            break
    assert not len(kept)


def test_asking_again_does_not_lengthen_its_time() -> None:
    kept = Kept[int](seconds=0.2, look=10)
    end = time.monotonic() + 0.3
    seen = set()
    while time.monotonic() < end:
        seen.add(kept.get("a", lambda: len(seen)))
        time.sleep(0.02)
    assert len(seen) == 2


def test_a_recording_is_taken_apart_once_before_a_voice_is_asked_for(sounds: Sounds, taken: list[str], tmp_path: Path) -> None:
    path = tmp_path / "me.wav"
    soundfile.write(path, 0.9 * next(iter(sounds.sentences.values())).samples, audio.RATE)
    sounds.prepare_own(str(path))
    mine, _ = sounds.own(str(path))
    for voice in ("angry", "sad"):
        sounds.variant(mine, voice, 1.0)
    assert taken == [mine.id]


def test_nothing_is_prepared_where_a_recording_was_taken_away(sounds: Sounds, taken: list[str]) -> None:
    sounds.prepare_own(None)
    assert taken == []


def test_a_recording_without_a_voice_is_refused_when_a_voice_is_asked_for(sounds: Sounds, tmp_path: Path) -> None:
    path = tmp_path / "whistle.wav"
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 6000 * np.arange(16_000) / audio.RATE), audio.RATE)
    sounds.prepare_own(str(path))
    mine, _ = sounds.own(str(path))
    with pytest.raises(world.VocoderError):
        sounds.variant(mine, "angry", 1.0)


def test_the_sentences_are_ready_before_they_are_asked_for(taken: list[str]) -> None:
    few = Sounds([u for u in dataset.read(tour.samples()) if u.lexical_emotion == "sad"])
    few.prepare()
    assert len(taken) == len(few.sentences) > 0
    few.variant(next(iter(few.sentences.values())), "angry", 1.0)
    assert len(taken) == len(few.sentences)


def test_garbage_is_looked_for_again_when_all_is_loaded() -> None:
    with suppress(KeyError), _uncollected():
        during = gc.isenabled()
        raise KeyError
    assert not during
    assert gc.isenabled()
