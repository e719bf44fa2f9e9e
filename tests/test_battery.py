"""The battery on listeners whose truth is known: one that hears the tone and nothing else, one that reads the words and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cogviz import benchmark
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import battery
from cogviz.evaluation.remembered import Remembered
from cogviz.lime import dataset
from cogviz.models.listeners.naming import Naming
from cogviz.models.protocol import Heard, heard
from cogviz.plotting import leaderboard
from cogviz.training import rewards
from cogviz.utterance import Utterance

SAMPLES = Path(__file__).parents[1] / "data_samples"


class Known(Naming):
    """Names the label of what it is given: of the tone, unless there is silence, or of the words."""

    def __init__(self, hears: bool) -> None:
        self.name, self.hears, self.asked = "hearer" if hears else "reader", hears, 0

    @property
    def fingerprint(self) -> str:
        return self.name

    def _rows(self, labels: Sequence[str | None]) -> np.ndarray:
        self.asked += len(labels)
        rows = np.full((len(labels), 7), -8.0)
        rows[np.arange(len(labels)), [EMOTIONS.index(label or "neutral") for label in labels]] = 0.0
        return rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)

    def scores(self, utterances: Sequence[Utterance], *, progress: bool = True) -> np.ndarray:
        if not self.hears:
            return self._rows([u.lexical_emotion for u in utterances])
        return self._rows([u.emotion if np.abs(u.samples).max() > 0 else "neutral" for u in utterances])

    def read_scores(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        said = {u.text: u.lexical_emotion for u in dataset.read(SAMPLES)}
        return self._rows([None if self.hears else said[text] for text in texts])


@pytest.fixture(scope="module")
def parts() -> dict[str, list[Utterance]]:
    return benchmark.named(str(SAMPLES))


def run(listener: Any, utterances: Sequence[Utterance], kept: Path, *wanted: str, **how: Any) -> battery.Measured:
    material = battery.Material(utterances, progress=False, **how)
    return battery.measure(Remembered(listener, kept), material, data="test", judge=rewards.evaluation_judge(), parts=wanted or None)


def values(found: battery.Measured) -> dict[str, float]:
    return {row["measure"]: row["value"] for row in found.rows}


def test_words_against_voice_tell_the_hearer_from_the_reader(parts: dict[str, list[Utterance]], tmp_path: Path) -> None:
    wanted = ("naming the voice", "following", "cue weighting", "two readings", "following, scored", "LISTEN grid")
    hearer, reader = (values(run(Known(hears), parts["conflict"], tmp_path, *wanted)) for hears in (True, False))
    assert (hearer["voice_balanced_accuracy"], hearer["follows_voice"], hearer["follows_words"]) == (1, 1, 0)
    assert (reader["follows_voice"], reader["follows_words"]) == (0, 1)
    assert hearer["readings_scored"] == hearer["readings_parsed"] == 1
    assert hearer["scored_semantic_dominance_index"] == 0
    assert reader["scored_semantic_dominance_index"] == 1
    assert hearer["weight_of_voice"] > 3 > hearer["weight_of_words"]
    assert reader["weight_of_words"] > 3 > reader["weight_of_voice"]
    assert (hearer["listen_mismatched_audio_accuracy"], reader["listen_mismatched_text_accuracy"]) == (1, 1)


def test_words_are_given_beside_the_sound_to_those_that_understand_it(parts: dict[str, list[Utterance]], tmp_path: Path) -> None:
    class Reads(Known):
        reads_along = True

        def answer(self, utterances: Sequence[Utterance], question: str | Sequence[str], *, progress: bool = True) -> list[str]:
            assert all(f'"{u.text}"' in q for u, q in zip(utterances, question, strict=True))
            return ["The voice sounds sad." for _ in utterances]

    sad = np.mean([u.emotion == "sad" for u in parts["conflict"] if u.lexical_emotion not in ("neutral", u.emotion)])
    found = values(run(Reads(True), parts["conflict"], tmp_path, "LISTEN grid"))
    assert found["listen_mismatched_both_accuracy"] == pytest.approx(sad)
    assert found["listen_mismatched_audio_accuracy"] == 1
    assert not [name for name in values(run(Known(True), parts["conflict"], tmp_path / "b", "LISTEN grid")) if "both" in name]


def test_taking_the_sound_away_costs_the_hearer_what_it_must(parts: dict[str, list[Utterance]], tmp_path: Path) -> None:
    found = run(Known(True), parts["ambiguous"], tmp_path, "audio dependence", "removing the tone", budget=battery.Budget(28, 28, 0))
    assert not found.left_out
    got = values(found)
    assert got["accuracy_full"] == 1
    assert got["accuracy_drop_silence"] == pytest.approx(6 / 7)
    assert got["accuracy_drop_other_tone"] == got["answer_changed_other_tone"] == 1
    assert got["accuracy_drop_no_audio"] == pytest.approx(6 / 7)
    assert got["without_flat_pitch_drop"] == 0, "it knows the label of a sound that is still there"


def test_factors_and_thresholds_are_rendered_from_the_neutral_reading(tmp_path: Path) -> None:
    spoken = [replace(u, lexical_emotion="happy") for u in dataset.read(SAMPLES) if u.extra["part"] == "ambiguous"]
    cell = [u for u in spoken if (u.speaker, u.sentence) == (spoken[0].speaker, spoken[0].sentence)]
    plain = [replace(u, lexical_emotion=None) for u in spoken if u.sentence != cell[0].sentence]
    found = run(
        Known(True),
        [*cell, *plain],
        tmp_path,
        "override threshold",
        "factor Shapley",
        budget=battery.Budget(1000, 7, 1),
        folder=tmp_path / "sounds",
    )
    assert not found.left_out
    assert found.results["override threshold"].points["0"].value == 1, "this listener goes by the label, not by the sound"
    assert len(list((tmp_path / "sounds").iterdir())) == 64
    shapley = found.results["factor Shapley"]
    assert sum(e.value for e in shapley.factors.values()) == pytest.approx(shapley.total.value, abs=1e-6)


def test_what_cannot_be_measured_is_said_and_the_rest_goes_on(parts: dict[str, list[Utterance]], tmp_path: Path) -> None:
    found = run(Known(True), parts["ambiguous"], tmp_path, "following", "chain faithfulness", "naming the voice")
    assert "no conflict items" in found.left_out["following"]
    assert "cannot be given thoughts" in found.left_out["chain faithfulness"]
    assert values(found)["voice_accuracy"] == 1
    with pytest.raises(ValueError, match="unknown part 'tea' of the battery; choose from naming the voice"):
        run(Known(True), parts["ambiguous"], tmp_path, "tea")


def test_whole_cells_are_chosen_over_all_that_the_words_say() -> None:
    spoken = [
        Utterance(f"{w}{s}{e}", "", e, "a", f"{w}{s}", "c", lexical_emotion=w)
        for w in EMOTIONS
        for s in range(6)
        for e in (*EMOTIONS, None)
    ]
    chosen = battery.choose(spoken, 98)
    assert len(chosen) == 98
    by_sentence = pd.Series([u.sentence for u in chosen]).value_counts()
    assert set(by_sentence) == {7}
    assert {u.lexical_emotion for u in chosen} == set(EMOTIONS)
    assert len(battery.choose(spoken, 10**6)) == 7 * 6 * 7
    with pytest.raises(ValueError, match="nothing to measure"):
        battery.choose([u for u in spoken if u.emotion is None], 5)


def test_one_command_makes_one_table_and_asks_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listeners = {"hearer": Known(True), "reader": Known(False)}
    monkeypatch.setattr(benchmark, "load_listener", lambda name, **_: listeners[name])
    data, how = [f"{SAMPLES}/conflict"], {"parts": ["naming the voice", "following"], "progress": False}
    table = benchmark.run(["hearer", "reader"], data, tmp_path, **how)
    assert set(table.model) >= {"hearer", "reader"}
    asked = [listener.asked for listener in listeners.values()]
    again = benchmark.run(["hearer", "reader"], data, tmp_path, **how)
    assert [listener.asked for listener in listeners.values()] == asked
    pd.testing.assert_frame_equal(table, again)
    assert json.loads((tmp_path / "rows.json").read_text())[-1]["model"] == "reader"
    page = (tmp_path / "table.md").read_text()
    settings = '--items 500 --edited 140 --targets 20 --part "naming the voice" "following"'
    assert f"`cogviz evaluate all --model hearer reader --data FOLDER/conflict {settings}`" in page, "it can be made again"
    assert "| conflict: follows the voice | 1.00 [.9" in page
    assert (tmp_path / "conflict.png").stat().st_size > 10_000
    assert "reader on conflict: 84 items" in capsys.readouterr().out


def test_a_language_model_judges_responses_where_one_is_given(endpoint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Responds(Known):
        def listen(self, utterances: Sequence[Utterance], **_: Any) -> list[Heard]:
            return [heard(u, "reason", "<response>So it is.</response>") for u in utterances]

    monkeypatch.setattr(benchmark, "load_listener", lambda name, **_: Responds(True))
    endpoint.will_say('{"level": 3, "why": "it fits"}')
    budget, how = battery.Budget(84, 14, 0), {"parts": ["naming the voice"], "progress": False}
    table = benchmark.run(["hearer"], [f"{SAMPLES}/conflict"], tmp_path, budget=budget, llm_judge=(endpoint.url, "judge"), **how)
    found = table[table.measure.str.startswith("judged_")].set_index("measure")
    assert found.value["judged_level"] == 3
    assert found.value["judged_specific"] == 1
    assert found.n["judged_level"] == 14


def test_a_part_of_a_dataset_is_named_and_an_unknown_one_is_refused(parts: dict[str, list[Utterance]]) -> None:
    assert set(parts) == {"ambiguous", "conflict"}
    assert {u.id for u in benchmark.named(f"{SAMPLES}/conflict")["conflict"]} == {u.id for u in parts["conflict"]}
    with pytest.raises(ValueError, match="has no part 'tea'; it has ambiguous, conflict"):
        benchmark.named(f"{SAMPLES}/tea")


def test_silent_and_broken_recordings_are_left_out_with_a_warning(tmp_path: Path) -> None:
    good = Utterance("good", "", "sad", "a", "b", "c", waveform=np.ones(1600, np.float32))
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    bad = [replace(good, id="still", waveform=np.zeros(1600, np.float32)), replace(good, waveform=None, path=tmp_path / "bad.wav")]
    with pytest.warns(UserWarning, match=r"2 recording\(s\) are left out"):
        assert [u.id for u in benchmark.audible([good, *bad])] == ["good"]


def test_the_leaderboard_refuses_a_dataset_that_it_does_not_know() -> None:
    rows = [{"model": "m", "data": "d", "measure": "follows_voice", "value": 0.5, "low": None, "high": None, "n": 9, "chance": None}]
    assert leaderboard.leaderboard(pd.DataFrame(rows), data="d").axes
    with pytest.raises(ValueError, match="no measure of 'e' that is shown; it holds d"):
        leaderboard.leaderboard(pd.DataFrame(rows), data="e")
