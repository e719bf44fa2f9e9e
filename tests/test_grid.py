"""The LISTEN grid: what is right in each cell, and figures against an independent implementation."""

import numpy as np
import pandas as pd
import pytest
from simulated import mixture
from sklearn.metrics import f1_score, recall_score

from cogviz.evaluation.dominance import UNPARSED
from cogviz.evaluation.grid import condition, listen_grid
from cogviz.statistics import marginal_chance


def placed(table: pd.DataFrame, modality: str) -> pd.DataFrame:
    return table.assign(condition=[condition(t, a) for t, a in zip(table.words, table.voice, strict=True)], modality=modality)


def test_conditions_of_words_and_voice():
    assert condition("neutral", "sad") == condition("neutral", "neutral") == "neutral_text"
    assert condition("sad", "sad") == "matched"
    assert condition("happy", "sad") == "mismatched"
    assert condition(None, "sad") == "paralinguistic"
    assert condition("sad", None) is None


def test_text_alone_is_right_about_the_words_and_audio_about_the_voice():
    table = pd.concat([placed(mixture(words=1), "text"), placed(mixture(words=1, seed=1), "audio"), placed(mixture(voice=1), "both")])
    found = listen_grid(table).cells
    assert set(found) == {f"{c}_{m}" for c in ("neutral_text", "matched", "mismatched") for m in ("text", "audio", "both")}
    assert found["mismatched_text"].accuracy.value == 1
    assert found["mismatched_audio"].accuracy.value == 0
    assert found["matched_audio"].accuracy.value == 1
    assert found["mismatched_both"].accuracy.value == 1
    assert found["neutral_text_text"].accuracy.chance == found["neutral_text_text"].majority == 1  # as in LISTEN's 1T


def test_figures_agree_with_scikit_learn():
    table = placed(mixture(words=0.3, voice=0.4, unparsed=0.1, favourite="happy"), "audio")
    cell = listen_grid(table).cells["mismatched_audio"]
    here = table[table.condition == "mismatched"]
    truth, answer = here.voice.tolist(), here.answer.fillna(UNPARSED).tolist()
    kinds = sorted(set(truth))
    assert cell.accuracy.value == pytest.approx(np.mean(here.voice == here.answer))
    assert cell.accuracy.chance == pytest.approx(marginal_chance(truth, answer))
    assert cell.uar.value == pytest.approx(recall_score(truth, answer, labels=kinds, average="macro", zero_division=0))
    assert cell.macro_f1.value == pytest.approx(f1_score(truth, answer, labels=kinds, average="macro", zero_division=0))
    assert cell.unparsed.value == pytest.approx(np.mean(here.answer.isna()))
    assert cell.confusion.to_numpy().sum() == len(here)
    assert cell.confusion.loc["sad", "happy"] == np.sum((here.voice == "sad") & (here.answer == "happy"))
    assert cell.accuracy.low < cell.accuracy.value < cell.accuracy.high
    assert cell.macro_f1.low < cell.macro_f1.value < cell.macro_f1.high


def test_coin_is_at_chance_in_every_figure():
    cell = listen_grid(placed(mixture(seed=3), "audio")).cells["mismatched_audio"]
    for estimate in (cell.accuracy, cell.uar, cell.macro_f1):
        assert estimate.low < estimate.chance < estimate.high


def test_sounds_without_words_are_paralinguistic():
    table = mixture(voice=0.8).assign(words=None)
    found = listen_grid(placed(table, "audio")).cells
    assert list(found) == ["paralinguistic_audio"]
    assert found["paralinguistic_audio"].uar.chance == 1 / 7


def test_unknown_or_impossible_cells_are_refused():
    table = placed(mixture(words=1, sentences=7), "audio")
    with pytest.raises(ValueError, match=r"lacks the column\(s\) modality"):
        listen_grid(table.drop(columns="modality"))
    with pytest.raises(ValueError, match="modality holds video"):
        listen_grid(table.assign(modality="video"))
    with pytest.raises(ValueError, match="condition holds sarcastic"):
        listen_grid(table.assign(condition="sarcastic"))
    with pytest.raises(ValueError, match="lack the emotion that would be right"):
        listen_grid(table.assign(words=None, modality="text"))
    with pytest.raises(ValueError, match="no items"):
        listen_grid(table[:0])
