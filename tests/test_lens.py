"""A lens reads the last layer as the model does, finds a planted word where it was planted, and a tuned one undoes a change of basis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import codes, utterances

from cogviz.emotions import EMOTIONS
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.probing.lens import affine, final_norm, lens
from cogviz.probing.record import Recording, record
from cogviz.probing.segments import SEGMENTS
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]

SAID = utterances(sentences=7, speakers=2)
PLACES = np.array([SEGMENTS.index(s) for s in ("instruction", "tone", "tone", "words", "words", "words", "instruction", "perception")])


@pytest.fixture
def listener(tiny_model: Pair) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


def planted(listener: CogAudioListener, *, order: np.ndarray | None = None, seed: int = 0) -> Recording:
    """At every site: the voice's word at the second tone, the words' word at the words, noise elsewhere; rows lie in `order`."""
    embedding = listener.model.get_output_embeddings().weight[listener.label_tokens].detach().numpy()
    draw = np.random.default_rng(seed)
    count, size = len(SAID), len(PLACES)
    states = draw.normal(size=(count, size, embedding.shape[1])).astype(np.float32)
    code = codes(SAID)
    states[:, 2] += 400 * embedding[code["voice"]]
    states[:, 3:6] += 400 * embedding[code["words"]][:, None]
    order = np.arange(count) if order is None else order
    start = np.empty(count, dtype=int)
    start[order] = size * np.arange(count)
    spans = np.stack([start, start + size], axis=1)
    sites = {name: states[order].reshape(-1, embedding.shape[1]) for name in ("lm.0", "lm.1")}
    ids = np.tile(listener.tokenizer("So it is. I see.")["input_ids"][:1] * size, count)
    return Recording(
        "planted", tuple(SAID), "naming", "positions", ("instruction", "tone", "words", "perception"), sites,
        spans={name: spans for name in (*sites, "places")}, places=np.tile(PLACES, count), ids=ids,
    )  # fmt: skip


def test_the_last_layer_is_read_as_the_model_reads_it(listener: CogAudioListener) -> None:
    clips = []
    for i in range(5):
        wave = 0.2 * np.sin(np.arange(9000 + 3000 * i) / (5 + i)) + 0.02 * np.random.default_rng(i).normal(size=9000 + 3000 * i)
        clips.append(
            Utterance(f"{i}", "So.", EMOTIONS[i], "s", f"{i}", "test", waveform=wave.astype(np.float32), lexical_emotion=EMOTIONS[i])
        )
    found = record(listener, clips, ["lm.0", "lm.1"], at="positions", progress=False)
    seen = lens(listener, found)
    hit = found.scores.argmax(-1) == np.arange(5)
    assert seen.columns[-1] == "sounds"
    assert seen.voice[seen.sites.index("lm.1"), -1] == pytest.approx(hit.mean())
    assert seen.get("lm.1", "perception").explained is None


@pytest.mark.parametrize("order", [None, np.random.default_rng(3).permutation(len(SAID))])
def test_a_planted_word_is_seen_where_it_is(listener: CogAudioListener, order: np.ndarray | None) -> None:
    seen = lens(listener, planted(listener, order=order))
    assert len(seen.columns) == 1 + 2 + 3 + 1 + 1
    tone, words = seen.columns.index("tone 2"), [i for i, c in enumerate(seen.columns) if c.startswith("words")]
    assert (seen.voice[:, tone] == 1).all()
    assert (seen.words[:, words] == 1).all()
    elsewhere = [i for i in range(len(seen.columns)) if i not in (tone, *words)]
    assert np.abs(seen.voice[:, elsewhere] - 1 / 7).max() < 0.2
    assert seen.get("lm.0", "words").words.value == 1
    assert seen.get("lm.0", "words").voice.value == pytest.approx(1 / 7)
    assert seen.get("lm.0", "perception").voice.low < 1 / 7 + 0.05
    assert {r["measure"] for r in seen.rows(data="x")} >= {"logit_lens_voice_lm.0_tone", "logit_lens_words_lm.1_words"}


def test_a_tuned_lens_undoes_a_change_of_basis(listener: CogAudioListener) -> None:
    whole = planted(listener)
    draw = np.random.default_rng(1)
    width = whole.states["lm.1"].shape[1]
    turned = whole.states["lm.1"] @ draw.normal(size=(width, width)).astype(np.float32) + 5
    moved = replace(whole, states={"lm.0": turned, "lm.1": whole.states["lm.1"]})
    plain, tuned = lens(listener, moved), lens(listener, moved, tuned=True)
    assert plain.get("lm.0", "words").words.value < 0.5
    assert tuned.get("lm.0", "words").words.value > 0.9
    assert tuned.get("lm.0", "words").explained > 0.9
    noise = replace(whole, states={**moved.states, "lm.0": draw.normal(size=turned.shape).astype(np.float32)})
    nothing = lens(listener, noise, tuned=True).get("lm.0", "words")
    assert nothing.explained < 0.02, "on new sentences noise explains nothing"
    assert nothing.words.value < 0.3
    assert {r["measure"] for r in tuned.rows(data="x")} >= {"tuned_lens_voice_lm.0_tone"}


def test_the_affine_map_is_that_of_least_squares() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(400, 6)), draw.normal(size=(400, 3))
    matrix, bias = affine(torch.tensor(x), torch.tensor(y))
    expected = np.linalg.lstsq(np.hstack([x, np.ones((400, 1))]), y, rcond=None)[0]
    np.testing.assert_allclose(np.vstack([matrix, bias[None]]), expected, atol=1e-3)


def test_what_a_lens_cannot_read_says_why(listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = planted(listener)
    with pytest.raises(ValueError, match="record at='positions'"):
        lens(listener, replace(whole, at="end"))
    with pytest.raises(ValueError, match="nothing of the residual stream was recorded; record connector"):
        lens(listener, replace(whole, states={"lm.1.mlp": whole.states["lm.1"]}))
    with pytest.raises(ValueError, match=r"record lm\.1, too"):
        lens(listener, replace(whole, states={"lm.0": whole.states["lm.0"]}), tuned=True)
    with pytest.raises(ValueError, match="have no emotion"):
        lens(listener, replace(whole, utterances=tuple(replace(u, emotion=None) for u in SAID)))
    with pytest.raises(ValueError, match="record two at least"):
        lens(listener, replace(whole, utterances=tuple(replace(u, sentence="x") for u in SAID)), tuned=True)
    monkeypatch.setattr("cogviz.probing.lens.NORMS", ("another",))
    with pytest.raises(ValueError, match="no norm"):
        final_norm(listener)
