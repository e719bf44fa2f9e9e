"""What a chain claims of the sound, and whether it is so: texts by hand, and sounds whose pitch, tempo and level are known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from cogviz import statistics
from cogviz.audio import RATE
from cogviz.eips import Answer, Chain
from cogviz.evaluation.claims import KINDS, claims
from cogviz.evaluation.groundedness import NOTICED, groundedness, perception, relative
from cogviz.lime import annotate, prosody, world
from cogviz.lime.voices import speak
from cogviz.models.listener import Heard
from cogviz.utterance import Utterance

LONG = "They moved our meeting to the garden."
"""Long enough for a melody."""


def said(text: str) -> dict[str, int]:
    return {c.kind: c.direction for c in claims(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The voice sounds sad, clearly: it is soft and low. The words are \"it was a high, loud bang\".", {"loudness": -1, "pitch": -1}),
        ("The voice sounds surprised: it is rising at the end.", {"ending": 1}),
        ("A low-pitched, monotone voice at a slow pace.", {"pitch": -1, "melody": -1, "tempo": -1}),
        ("She speaks quickly and loudly, with a wide pitch range.", {"tempo": 1, "loudness": 1, "melody": 1}),
        ("The tone is not loud but trembling and breathy.", {"roughness": 1, "breathiness": 1}),
        ("The speaker talks in a low volume; the delivery is hushed and slow.", {"loudness": -1, "tempo": -1}),
        ("The words are sharp and heavy. They alone would be angry.", {}),
        ("The words are sharp, but the voice is warm.", {"brightness": -1}),
        ("The voice is in high spirits.", {}),
        ("The voice is loud, then soft.", {}),  # both ways: nothing is claimed
        ("The voice sounds calm.", {}),
        ("The pitch is raised. It is tense and fast.", {"pitch": 1, "brightness": 1, "tempo": 1}),
        ("The sentence is spoken slowly with falling intonation.", {"tempo": -1, "ending": -1}),
        ("", {}),
    ],
)  # fmt: skip
def test_claims_by_hand(text: str, expected: dict[str, int]) -> None:
    assert said(text) == expected


def test_every_cue_that_an_annotation_names_is_read_with_its_sign() -> None:
    kinds = {"level": "loudness", "f0_level": "pitch", "duration": "tempo", "f0_final": "ending", "f0_range": "melody"}
    for parameter, limit, word in annotate.CUES:
        sign = int(np.sign(limit)) * (-1 if parameter == "duration" else 1)
        assert said(f"The voice sounds sad, a little: it is {word}.") == {kinds[parameter]: sign}, word


def test_the_text_about_the_sound_is_the_perception_or_all_of_a_free_text() -> None:
    u = Utterance("u", "x", "sad", "p", "s", "test")
    chain = Chain("The voice is low.", "i", "p", "s")
    assert perception(Heard(u, "reason", "...", Answer("r", chain), "sad")) == "The voice is low."
    assert perception(Heard(u, "direct", "...", Answer("The voice is low."), None)) == ""
    assert perception(Heard(u, "reason", "It sounds low.", None, None)) == "It sounds low."


def rendered(name: str, text: str = "They saw our house.", sentence: str = "s", **changes: float) -> Utterance:
    speech = speak(text, "espeak-us-m3")
    analysis = world.move(world.analyse(speech.samples, speech.rate, speech.words), rate=RATE)
    values = dict.fromkeys(prosody.PARAMETERS, 0.0) | changes
    wave = prosody.render(analysis, np.array(list(values.values()))).samples
    return Utterance(name, text, "neutral" if name.startswith("neutral") else "sad", "p", sentence, "test", waveform=wave)


def test_known_changes_are_measured_in_their_units() -> None:
    noise = {f"noise_{low}": 2.0 for low in prosody.NOISE_EDGES[:-1]}
    tilt = {f"band_{low}": 6.0 for low in prosody.BAND_EDGES[:-1] if low >= 920}
    neutral = rendered("neutral", LONG)
    made = [
        rendered("high", LONG, f0_level=4.0, level=8.0, **tilt),
        rendered("slow", LONG, duration=0.3, f0_range=0.6),
        rendered("rising", LONG, f0_final=4.0),
        rendered("breathy", LONG, **noise),
    ]
    found = relative(made, [neutral], jobs=1, progress=False)
    assert list(found.columns) == list(KINDS)
    high, slow, rising, breathy = found.to_dict("records")
    assert high["pitch"] == pytest.approx(4, abs=0.5)
    assert high["loudness"] == pytest.approx(8, abs=0.5)
    assert high["brightness"] == pytest.approx(6, abs=1)
    assert slow["tempo"] == pytest.approx(-0.3, abs=0.05)
    assert rising["ending"] > 2
    assert slow["melody"] > 0.3
    assert breathy["breathiness"] > NOTICED["breathiness"]
    for kind, of in (("tempo", high), ("melody", high), ("loudness", slow)):
        assert abs(of[kind]) < NOTICED[kind], kind


def test_a_speaker_without_this_sentence_in_neutral_is_compared_with_their_other_ones_and_silence_is_not_measured() -> None:
    neutral = rendered("neutral", "We saw a yellow door.", "other")
    fast = rendered("fast", duration=-0.5)
    stranger = replace(fast, id="stranger", speaker="q")
    silent = replace(fast, id="silent", waveform=np.zeros(RATE, np.float32))
    found = relative([fast, stranger, silent], [neutral], jobs=1, progress=False)
    assert found["tempo"][0] == pytest.approx(0.5, abs=0.25)
    assert found.iloc[1].isna().all()
    assert found.iloc[2].isna().all()


def table(truthful: float, *, items: int = 60, seed: int = 0) -> pd.DataFrame:
    """Sounds of which half are high and half low, each claimed truly with this chance, else the opposite."""
    draw = np.random.default_rng(seed)
    high = np.arange(items) % 2 == 0
    true = draw.random(items) < truthful
    frame = pd.DataFrame(0.0, index=range(items), columns=list(KINDS))
    frame["pitch"] = np.where(high, 3.0, -3.0)
    frame["perception"] = [
        f'The voice is {"high" if h == t else "low"}. The words are "word{i // 3}"' for i, (h, t) in enumerate(zip(high, true, strict=True))
    ]
    frame["text"] = [f"word{i // 3}" for i in range(items)]
    frame["sentence"] = [f"s{i // 3}" for i in range(items)]
    frame["speaker"] = "p"
    return frame  # fmt: skip


def test_true_claims_are_grounded_false_ones_contradict_and_guesses_are_neither() -> None:
    for truthful, verdict in ((1.0, "grounded"), (0.0, "contradicts the sound")):
        found = groundedness(table(truthful))
        assert (found.agree.value, found.verdict) == (truthful, verdict)
        assert found.agree.chance == pytest.approx(0.5, abs=0.02)
        assert found.kinds["pitch"] == found.agree
        assert (found.claims.value, found.transcript.value, found.transcript.chance) == (1, 1, 0)
    assert groundedness(table(0.5, seed=1)).verdict == "undecided"


def test_intervals_cover_the_truth_in_at_least_88_of_100_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "bootstrap", partial(statistics.bootstrap, draws=200))
    covered, errors, widths = 0, [], []
    for seed in range(100):
        found = groundedness(table(0.7, seed=seed)).agree
        covered += found.low <= 0.7 <= found.high
        errors.append(found.value - 0.7)
        widths.append(found.high - found.low)
    assert covered >= 88
    assert abs(np.mean(errors)) < np.mean(widths) / 5


def test_claims_that_always_hold_are_no_evidence() -> None:
    frame = table(1.0).assign(loudness=9.0)
    frame["perception"] = "The voice is loud."
    found = groundedness(frame)
    assert (found.agree.value, found.agree.chance, found.lift.value) == (1, 1, 0)
    assert found.verdict == "undecided"
    assert found.transcript.value == 0  # nothing is quoted


def test_differences_too_small_to_notice_are_no_agreement_and_unmeasured_claims_are_counted() -> None:
    frame = table(1.0)
    frame["pitch"] *= 0.9 * NOTICED["pitch"] / 3
    assert groundedness(frame).agree.value == 0
    frame = table(1.0)
    frame.loc[:9, "pitch"] = np.nan
    found = groundedness(frame)
    assert (found.unmeasured, found.agree.n) == (10, 50)


def test_few_sentences_give_no_verdict_and_empty_tables_are_refused() -> None:
    assert groundedness(table(1.0, items=12)).verdict == "undecided"
    with pytest.raises(ValueError, match="lacks the column"):
        groundedness(table(1.0).drop(columns="tempo"))
    with pytest.raises(ValueError, match="none of 60 perceptions"):
        groundedness(table(1.0).assign(perception="The voice sounds sad."))
