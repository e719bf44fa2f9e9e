"""What stands out in a sound: planted differences come out as words, words hold for the other ruler, and an interrupted measurement goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cogviz.audio import RATE
from cogviz.evaluation.claims import claims
from cogviz.evaluation.groundedness import NOTICED, relative
from cogviz.lime import dataset, evidence
from cogviz.lime.explanations import _listed
from cogviz.lime.plan import BuildError
from cogviz.utterance import Utterance

KINDS = list(evidence.SAID)
TEXT = "They are all here now."


def voice(*, hz: float = 150.0, seconds: float = 1.5, level: float = 0.05, fall: float = 0.0, tilt: float = 1.0) -> np.ndarray:
    """A tone with harmonics 1/n^tilt; `fall`: semitones at the end."""
    time = np.arange(round(seconds * RATE)) / RATE
    f0 = hz * 2 ** (fall / 12 * np.clip((time - seconds + 0.3) / 0.05, 0, 1))
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    made = sum(np.sin(n * phase) / n**tilt for n in range(1, 20))
    return (level * made / np.sqrt(np.mean(np.square(made)))).astype(np.float32)


def difference(**changed: float) -> dict[str, float]:
    neutral, other = (evidence.measured(voice(**how), TEXT) for how in ({}, changed))
    return dict(zip(KINDS, other - neutral, strict=True))


@pytest.mark.parametrize(
    ("changed", "kind", "expected"),
    [
        ({"level": 0.1}, "loudness", 6.02),
        ({"hz": 200.0}, "pitch", 12 * np.log2(200 / 150)),
        ({"seconds": 1.0}, "tempo", np.log2(1.5)),
        ({"fall": -4.0}, "ending", -4.0),
    ],
)
def test_a_planted_difference_is_measured_in_its_unit(changed: dict[str, float], kind: str, expected: float) -> None:
    found = difference(**changed)
    assert found[kind] == pytest.approx(expected, abs=0.25)
    least = {k: v[0] for k, v in evidence.SAID.items()}
    others = {k: v for k, v in found.items() if k not in (kind, "melody", "brightness")}
    assert all(abs(v) < least[k] for k, v in others.items())


def test_a_flatter_spectrum_is_brighter() -> None:
    assert difference(tilt=0.5)["brightness"] > 3.0


def test_words_are_the_most_salient_and_nothing_is_said_of_what_does_not_stand_out() -> None:
    values = dict.fromkeys(KINDS, 0.0)
    assert evidence.words(list(values.values())) == ()
    told = evidence.words(list({**values, "loudness": 9.0, "pitch": -2.0, "tempo": -0.4, "brightness": 3.1}.values()))
    assert told == ("loud", "slow", "low")
    assert evidence.words([np.nan] * len(KINDS)) == ()


def test_every_word_is_a_claim_of_its_kind_and_well_above_what_is_noticed() -> None:
    for kind, (least, more, less) in evidence.SAID.items():
        assert least >= 1.5 * NOTICED[kind]
        for word, direction in ((more, 1), (less, -1)):
            found = claims(f"The voice sounds sad, a little: it is {_listed(['loud', word] if kind != 'loudness' else [word])}.")
            assert (kind, direction) in [(c.kind, c.direction) for c in found]


def test_a_reference_is_the_same_sentence_or_else_the_mean_of_the_speakers_neutral_ones() -> None:
    def u(sentence: str, emotion: str, speaker: str = "a") -> Utterance:
        return Utterance(f"{speaker}{sentence}{emotion}", TEXT, emotion, speaker, sentence, "test")

    some = [u("1", "neutral"), u("2", "neutral"), u("1", "sad"), u("3", "sad"), u("1", "sad", "b")]
    values = np.array([[1.0] * 6, [3.0] * 6, [5.0] * 6, [6.0] * 6, [7.0] * 6])
    found = evidence.against_neutral(some, values)
    assert found[:4, 0].tolist() == [0.0, 0.0, 4.0, 4.0]
    assert np.isnan(found[4]).all()


def test_too_little_voice_is_not_measured() -> None:
    assert np.isnan(evidence.measured(np.random.default_rng(0).normal(0, 0.1, RATE), TEXT)).all()


def test_evidence_lies_beside_the_data_and_an_interrupted_run_goes_on(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_dataset, tmp_path / "tiny")
    assert "evidence" not in dataset.read(folder)[0].extra
    real, seen = evidence.measured, []

    def stop(samples: np.ndarray, text: str) -> np.ndarray:
        seen.append(text)
        if len(seen) == 8:
            raise KeyboardInterrupt
        return real(samples, text)

    monkeypatch.setattr(evidence, "measured", stop)
    monkeypatch.setattr(evidence, "_CHUNK", 5)
    with pytest.raises(KeyboardInterrupt):
        evidence.add(folder, progress=False)
    assert evidence.read(folder) is None
    assert "evidence" not in dataset.read(folder)[0].extra
    evidence.add(folder, progress=False)
    utterances = dataset.read(folder)
    assert len(seen) == 8 + len(utterances) - 5, "the five that were finished are not measured again"
    assert all("evidence" in u.extra for u in utterances)
    assert any(u.extra["evidence"] for u in utterances)
    before = (folder / evidence.FILE).read_bytes()
    evidence.add(folder, progress=False)
    assert (folder / evidence.FILE).read_bytes() == before
    monkeypatch.setattr(evidence, "MOST", 1)
    assert evidence.read(folder) is None, "other words are asked for"
    evidence.add(folder, progress=False)
    assert max(len(u.extra["evidence"]) for u in dataset.read(folder)) == 1
    assert len(seen) == 8 + len(utterances) - 5


def test_evidence_of_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="holds no finished dataset"):
        evidence.add(tmp_path)


def test_the_other_ruler_agrees_with_what_is_said() -> None:
    """WORLD, as groundedness measures, on shipped recordings. The melody apart, whose range depends on each ruler's worst frames."""
    utterances = dataset.read("data_samples")
    speaker = [u for u in utterances if (u.speaker, u.sentence) == (utterances[0].speaker, utterances[0].sentence)]
    values = np.array([evidence.measured(u.samples, u.text) for u in speaker])
    said = [evidence.words(row) for row in evidence.against_neutral(speaker, values)]
    table = relative(speaker, jobs=1, progress=False)
    right = []
    for words, (_, row) in zip(said, table.iterrows(), strict=True):
        for claim in claims(f"The voice sounds sad: it is {_listed(words)}.") if words else ():
            if claim.kind != "melody":
                right.append(claim.direction * row[claim.kind] >= NOTICED[claim.kind])
    assert len(right) >= 6
    assert np.mean(right) >= 0.9
