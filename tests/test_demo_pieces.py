"""What the demo is made of, without a server: answers that are being written, the needle, the dial, streams that stop, files that are cut."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from cogviz import audio, eips
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import asking, intensities
from cogviz.models.listener import CogAudioListener
from cogviz.plotting import meters
from cogviz.utterance import Utterance

WHOLE = eips.Answer("You are right [really].", eips.Chain("It sounds angry.", "They want help.", "They feel hurt.", "Be kind."))


def tone(seconds: float = 1.0) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * 150 * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


def utterance(name: str = "u") -> Utterance:
    return Utterance(name, "hello", "angry", "s", name, "test", waveform=tone())


def certain(name: str) -> list[float]:
    return [float(e == name) for e in EMOTIONS]


def test_an_answer_grows_step_by_step_and_ends_whole() -> None:
    text = eips.render(eips.Answer("You are right.", WHOLE.chain))
    seen = [eips.begun(text[:i]) for i in range(len(text) + 1)]
    assert [len(s) for s in seen] == sorted(len(s) for s in seen)
    assert list(seen[-1]) == [*eips.STEPS, "response"]
    assert seen[-1]["response"] == "You are right."
    assert seen[-1]["psychology"] == "They feel hurt."
    for parts in seen:
        assert not any(c in part for part in parts.values() for c in "<>[]")


def test_an_answer_is_escaped() -> None:
    card = meters.answer("<b>", "<thought>[Perception] a & b <script>")
    assert "<script>" not in card
    assert "<b>" not in card.split("<dd>")[0].replace("<b></b>", "")
    assert "a &amp; b" in card


@pytest.mark.parametrize(
    ("claimed", "voice", "words", "expected"),
    [
        ("angry", "angry", "sad", "voice"),
        ("sad", "angry", "sad", "words"),
        ("happy", "angry", "sad", "neither"),
        (None, "angry", "sad", "neither"),
        ("sad", "sad", "sad", "both"),
        ("angry", "angry", None, "right"),
        ("sad", "angry", None, "wrong"),
        ("sad", "angry", "neutral", "wrong"),
        ("angry", None, "sad", ""),
    ],
)
def test_whom_an_answer_follows(claimed: str | None, voice: str | None, words: str | None, expected: str) -> None:
    assert meters.followed(claimed, voice=voice, words=words) == expected


def test_the_needle_stands_where_the_probabilities_are() -> None:
    p = [0.0] * 7
    p[EMOTIONS.index("angry")], p[EMOTIONS.index("sad")] = 0.6, 0.2
    drawn = meters.gauge({"m": p}, voice="angry", words="sad")
    assert 'class="hand" style="left:75.0%"' in drawn
    assert "hand" not in meters.gauge({"m": p}, voice="angry", words=None)


def test_the_dial_says_where_the_voice_wins() -> None:
    levels = list(intensities.LEVELS)

    def drawn(threshold: float) -> str:
        rows = {"model": "m", "intensity": levels, "voice": np.linspace(0, 1, 7), "words": np.linspace(1, 0, 7), "threshold": threshold}
        return meters.dial(pd.DataFrame(rows), words="sad", voice="angry", intensity=0.5)

    assert "from intensity 0.75 on" in drawn(0.75)
    assert "no intensity makes it answer" in drawn(np.inf)
    assert drawn(0.75).count("<polyline") == drawn(np.inf).count("<polyline") == 4
    assert drawn(0.75).count('stroke-dasharray="2 3"') == 1 > drawn(np.inf).count('stroke-dasharray="2 3"')


def test_a_long_file_is_cut_only_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, tone(31), 16_000)
    with pytest.raises(audio.AudioError, match="limit is 30 s"):
        audio.read(path)
    found = audio.read(path, cut=True, name="it")
    assert found.seconds == 30
    assert found.notices == ("it is 31 s long: only its first 30 s are heard",)


def test_channels_are_mixed_in_blocks_as_at_once(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    left, right = tone(5), 0.5 * tone(5)
    soundfile.write(path, np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    assert len(left) > audio.BLOCK
    np.testing.assert_allclose(audio.read(path).samples, (left + right) / 2, atol=1e-6)


def test_an_unreadable_file_is_called_by_its_name_and_not_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(b"RIFF" + bytes(40))
    with pytest.raises(audio.AudioError, match="my file cannot be read") as error:
        audio.read(path, name="my file")
    assert "secret" not in str(error.value)


def test_a_stream_stops_when_nobody_listens(tiny_model: Any) -> None:
    listener = CogAudioListener.of(*tiny_model, name="tiny")
    steps: list[int] = []
    forward = listener.model.language_model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        steps.append(1)
        return forward(*args, **kwargs)

    listener.model.language_model.forward = counted
    try:
        started = threading.active_count()
        stream = listener.stream(utterance(), max_new_tokens=150)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        heard = len(steps)
        assert heard < 100
        assert threading.active_count() == started
    finally:
        del listener.model.language_model.forward


def test_listeners_side_by_side_say_what_each_says_alone(make_tiny: Callable[..., Any]) -> None:
    listeners = [CogAudioListener.of(*make_tiny(seed=seed), name=str(seed)) for seed in (0, 1)]
    alone = {x.name: "".join(x.stream(utterance())) for x in listeners}
    *_, together = asking.stream(listeners, utterance())
    assert together == alone


def test_one_intensity_is_what_all_of_them_hold() -> None:
    draw = np.random.default_rng(0)
    neutral = Utterance(
        "n", "hello", "neutral", "s", "n", "test", waveform=tone() + 0.001 * draw.standard_normal(16_000).astype(np.float32)
    )
    target = intensities.spoken_as(neutral, "angry")
    made = intensities.render([target], [neutral], levels=(0.5, 1.0), jobs=1, progress=False)
    alone = intensities.at(intensities.analysed(neutral), target, 1.0)
    assert alone.id == made[1].id
    np.testing.assert_array_equal(alone.samples, made[1].samples)


def test_a_marked_recording_gets_a_ring() -> None:
    from cogviz.plotting import projection
    from cogviz.projection.embeddings import Map

    some = tuple(utterance(str(i)) for i in range(5))
    one = Map("m", "pca", some, np.arange(10.0).reshape(5, 2), 1.0, 0.5)
    plain, marked = projection.maps([one], by=["voice_emotion"]), projection.maps([one], by=["voice_emotion"], mark=["3"])
    assert len(marked.axes[0].collections) == len(plain.axes[0].collections) + 2
    np.testing.assert_array_equal(marked.axes[0].collections[-1].get_offsets()[0], [6, 7])


def test_a_variant_keeps_its_words_and_their_times() -> None:
    from cogviz import tour
    from cogviz.lime import dataset
    from cogviz.utterance import Word

    neutral = next(u for u in dataset.read(tour.samples()) if u.emotion == "neutral" and u.words)
    target = intensities.spoken_as(neutral, "sad")  # slower, and with pauses where words are known
    made = intensities.at(intensities.analysed(neutral), target, 1.5)
    untimed = intensities.at(intensities.analysed(replace(neutral, words=())), target, 1.5)
    np.testing.assert_array_equal(made.samples, untimed.samples)
    assert untimed.words == ()
    assert [w.text for w in made.words] == [w.text for w in neutral.words]
    assert all(isinstance(w, Word) and 0 <= w.start < w.end <= len(made.samples) / audio.RATE + 0.01 for w in made.words)
    assert made.words[-1].end / neutral.words[-1].end == pytest.approx(
        len(made.samples) / audio.RATE / (len(neutral.samples) / audio.RATE), rel=0.05
    )
