"""Attention against its null, Shapley shares, faithfulness, relevance by word: each on a planted truth."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from cogviz.attribution import faithfulness, prepare
from cogviz.attribution.attention import KINDS, attention, gradient_weighted, looks, rollout
from cogviz.attribution.examine import conflicts, examine, share
from cogviz.attribution.faithfulness import agreement, completeness, curves, randomisation, shuffled, spearman
from cogviz.attribution.gradients import Attribution, attribute
from cogviz.attribution.paths import Path
from cogviz.attribution.places import Places
from cogviz.attribution.shares import audio_text, exact, tone_words
from cogviz.attribution.targets import Emotion
from cogviz.attribution.words import SpokenWord, by_band, by_word, cues, hertz, over_time, said
from cogviz.lime import dataset
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.probing.sites import NoAttention
from cogviz.utterance import Utterance, Word

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]


def clip(seconds: float, seed: int, emotion: str = "angry") -> Utterance:
    draw = np.random.default_rng(seed)
    wave = 0.2 * np.sin(np.arange(int(seconds * 16000)) / draw.uniform(5, 20)) + 0.02 * draw.normal(size=int(seconds * 16000))
    words = (Word("So", 0.05, seconds / 3), Word("it", seconds / 3, seconds / 2), Word("is.", seconds / 2, seconds - 0.05))
    return Utterance(
        f"{seconds}-{seed}", "So it is.", emotion, f"s{seed}", f"x{seed}", "test", waveform=wave.astype(np.float32), lexical_emotion="sad",
        words=words,
    )  # fmt: skip


CLIPS = [clip(0.8, 1), clip(1.1, 2, "happy"), clip(0.5, 3, "fear")]
QUESTION = Emotion("voice", against="words")


@pytest.fixture(scope="module")
def listener(tiny_model: Pair) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


# --- attention -----------------------------------------------------------------------------------------------------------------------------------


def test_rows_of_attention_sum_to_one_and_the_fused_kernel_is_back_afterwards(listener: CogAudioListener) -> None:
    before = listener.model.language_model.config._attn_implementation
    passage = listener.naming(CLIPS)
    found, logits = attention(listener, passage)
    assert found.layers == (1,), "the first layer of the tiny model is a convolution"
    rows = found.weights[0].sum(dim=-1)
    real = ~passage.places("padding")
    torch.testing.assert_close(rows.transpose(1, 2)[real], torch.ones_like(rows.transpose(1, 2)[real]), atol=1e-5, rtol=0)
    assert (found.weights[0] * passage.places("padding")[:, None, None, :])[real[:, None].expand(-1, 2, -1)].abs().max() < 1e-6
    torch.testing.assert_close(logits[real], listener.logits(passage)[real].detach(), atol=1e-4, rtol=1e-4)
    assert listener.model.language_model.config._attn_implementation == before
    assert before != "eager"


def test_norms_of_values_are_those_of_what_a_head_passes_on(listener: CogAudioListener) -> None:
    module = listener.layers()[1].self_attn
    passage = listener.naming(CLIPS[:1])
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        module.v_proj.register_forward_hook(lambda _m, _i, out: seen.update(v=out.detach())),
        module.register_forward_hook(lambda _m, _i, out: seen.update(out=out[0].detach())),
    ]
    try:
        found, _ = attention(listener, passage)
    finally:
        for hook in hooks:
            hook.remove()
    size = module.out_proj.weight.shape[1] // 2
    parts = [
        seen["v"][0, :, :size] @ module.out_proj.weight[:, h * size : (h + 1) * size].T.detach() for h in range(2)
    ]  # one key/value head
    torch.testing.assert_close(found.norms[0][0], torch.stack([p.norm(dim=-1) for p in parts]), atol=1e-5, rtol=1e-4)
    whole = sum(found.weights[0][0, h] @ parts[h] for h in range(2))
    torch.testing.assert_close(whole, seen["out"][0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_shares_of_attention_sum_to_one_and_so_does_the_null(listener: CogAudioListener, kind: Any) -> None:
    found = looks(listener, CLIPS, kind=kind, question=QUESTION, progress=False)
    assert sum(e.value for e in found.share.values()) == pytest.approx(1, abs=1e-5)
    assert sum(float(e.chance or 0) for e in found.share.values()) == pytest.approx(1, abs=1e-5)
    assert {"tone", "words", "instruction"} <= set(found.share)


def test_even_attention_is_its_null(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny(seed=5)
    listener = CogAudioListener.of(model, processor)
    own = looks(listener, CLIPS, question=QUESTION, progress=False)
    assert max(abs(e.value - 1) for e in own.ratio.values()) > 0.01
    with torch.no_grad():
        listener.layers()[1].self_attn.q_proj.weight.zero_()
    even = looks(listener, CLIPS, question=QUESTION, progress=False)
    for name, ratio in even.ratio.items():
        assert ratio.value == pytest.approx(1, abs=1e-4), name
        assert even.share[name].value == pytest.approx(even.share[name].chance, abs=1e-5)


def test_rollout_and_gradient_weighting_of_a_case_by_hand() -> None:
    first = torch.tensor([[[[1.0, 0.0], [0.4, 0.6]]]])
    second = torch.tensor([[[[1.0, 0.0], [0.8, 0.2]]]])
    torch.testing.assert_close(rollout([first, second]), torch.tensor([[[1.0, 0.0], [0.4 + 0.6 * 0.2, 0.6 * 0.8]]]))
    gradient = torch.tensor([[[[0.0, 0.0], [1.0, -1.0]]]])
    # R1 = I + [[0, 0], [.4, 0]]; R2 = R1 + [[0, 0], [.8, 0]] R1
    torch.testing.assert_close(gradient_weighted([first, second], [gradient, gradient]), torch.tensor([[[1.0, 0.0], [1.2, 1.0]]]))


def test_attention_that_gives_no_weights_is_an_error(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny(seed=6)
    listener = CogAudioListener.of(model, processor)
    hook = listener.layers()[1].self_attn.register_forward_hook(lambda _m, _i, out: (out[0], None))
    try:
        with pytest.raises(NoAttention, match="layer 1 returned no attention weights"):
            attention(listener, listener.naming(CLIPS[:1]))
    finally:
        hook.remove()
    assert attention(listener, listener.naming(CLIPS[:1]))[0].weights
    with pytest.raises(ValueError, match="no kind 'sum'"):
        looks(listener, CLIPS, kind="sum", progress=False)  # type: ignore[arg-type]


# --- shares --------------------------------------------------------------------------------------------------------------------------------------


def test_exact_shapley_values_are_the_mean_over_all_orders() -> None:
    worth = np.random.default_rng(0).normal(size=(4, 8))
    at = {c: i for i, c in enumerate(itertools.product((0, 1), repeat=3))}
    expected = np.zeros((4, 3))
    for order in itertools.permutations(range(3)):
        now = [0, 0, 0]
        for player in order:
            before = worth[:, at[tuple(now)]]  # type: ignore[index]
            now[player] = 1
            expected[:, player] += (worth[:, at[tuple(now)]] - before) / 6  # type: ignore[index]
    np.testing.assert_allclose(exact(worth), expected)


def test_shares_sum_to_the_total(listener: CogAudioListener) -> None:
    found = audio_text(listener, CLIPS, question=QUESTION, permutations=3, progress=False)
    assert found.audio.value + found.text.value == pytest.approx(found.total.value, abs=1e-5)
    assert 0 < found.a_shap.value < 1
    assert found.error > 0
    groups = tone_words(listener, CLIPS, question=QUESTION, progress=False)
    assert sum(e.value for e in groups.values.values()) == pytest.approx(groups.total.value, abs=1e-5)
    assert sum(e.value for e in groups.magnitude.values()) == pytest.approx(1, abs=1e-5)


def additive(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """The target is the number of places of one part that are kept."""

    def planted(replay: Any, over: str, utterances: Sequence[Utterance], references: Any) -> Path:
        passage = replay.passage
        cells = passage.places("audio") | passage.places("instruction") | passage.places("answer")
        heard = passage.places(part).float()
        return Path("tokens", (torch.ones(*cells.shape, 1),), (cells,), lambda d, rows: (d[0][..., 0] * heard[rows]).sum(dim=1))

    monkeypatch.setattr(prepare, "path", planted)


@pytest.mark.parametrize(("part", "share"), [("audio", 1.0), ("instruction", 0.0)])
def test_a_model_that_only_hears_or_only_reads_is_found_out(
    listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch, part: str, share: float
) -> None:
    additive(monkeypatch, part)
    found = audio_text(listener, CLIPS, permutations=2, progress=False)
    assert found.a_shap.value == pytest.approx(share)
    assert found.error == pytest.approx(0, abs=1e-12), "where all adds up, orders do not matter"
    groups = tone_words(listener, CLIPS, progress=False)
    assert groups.magnitude["instruction"].value == pytest.approx(1 - share)
    assert groups.interaction.value == pytest.approx(0)
    if part == "audio":
        assert groups.values["tone"].value == pytest.approx(2)


def test_tone_and_words_need_a_tone_path(make_tiny: Callable[..., Pair]) -> None:
    with pytest.raises(ValueError, match="no places of its own for the tone"):
        tone_words(CogAudioListener.of(*make_tiny(tone_tokens=0)), CLIPS)


# --- faithfulness --------------------------------------------------------------------------------------------------------------------------------


def planted(values: list[np.ndarray], *, method: str = "integrated_gradients", over: Any = "audio", **more: Any) -> Attribution:
    count = len(values)
    places = tuple(Places(tuple("x" * v.shape[-1]), ("words",) * v.shape[-1], np.arange(v.shape[-1])) for v in values)
    fields = {
        "levels": (), "places": places, "whole": np.array([v.sum() for v in values]), "baseline": np.zeros(count), "references": None,
    }  # fmt: skip
    return Attribution(method, over, "planted", tuple(CLIPS[:count]), question=QUESTION, values=tuple(values), **{**fields, **more})


def test_curves_tell_a_method_that_knows_from_one_that_does_not(listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(3, 20)) ** 3
    weight = torch.tensor(truth, dtype=torch.float32)
    way = Path(
        "audio", (torch.ones(3, 20, 1),), (torch.ones(3, 20, dtype=torch.bool),), lambda d, rows: (d[0][..., 0] * weight[rows]).sum(dim=1)
    )
    monkeypatch.setattr(faithfulness, "_again", lambda _l, _a, rows: (None, Path(
        "audio", tuple(d[rows] for d in way.differences), tuple(c[rows] for c in way.cells),
        lambda given, at: way.run(given, torch.tensor(rows)[at]),
    )))  # fmt: skip
    good = curves(listener, planted(list(truth)), draws=20, progress=False)
    assert good.deletion_gain.low > 0
    assert good.insertion_gain.low > 0
    np.testing.assert_allclose(good.deletion[:, 0], truth.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(good.deletion[:, -1], 0, atol=1e-6)
    half = [np.sort(-t)[:10].sum() for t in -truth]
    np.testing.assert_allclose(good.deletion[:, 5], half, atol=1e-5)
    wrong = curves(listener, planted(list(-truth)), draws=20, progress=False)
    assert wrong.deletion_gain.high < 0
    chance = [curves(listener, planted(list(draw.normal(size=(3, 20)))), draws=20, progress=False).deletion_gain.value for _ in range(20)]
    assert abs(np.mean(chance)) < 0.2 * good.deletion_gain.value


def test_real_attributions_are_deleted_over_every_input(listener: CogAudioListener) -> None:
    for over in ("tokens", "mel"):
        found = attribute(listener, CLIPS, over=over, method="gradient_x_input", question=QUESTION, progress=False)  # type: ignore[arg-type]
        result = curves(listener, found, draws=1, fractions=4, progress=False)
        np.testing.assert_allclose(result.deletion[:, 0], found.whole, atol=1e-4)
        np.testing.assert_allclose(result.deletion[:, -1], found.baseline, atol=1e-4)
        np.testing.assert_allclose(result.insertion[:, 0], found.baseline, atol=1e-4)
        np.testing.assert_allclose(result.insertion[:, -1], found.whole, atol=1e-4)


def test_a_gap_is_seen() -> None:
    values = [np.array([1.0, 2.0]), np.array([3.0, -1.0])]
    assert completeness(planted(values)).gap.value == pytest.approx(0)
    short = completeness(planted(values, whole=np.array([4.0, 2.0]), method="occlusion"))
    assert short.gap.value == pytest.approx(1 / 6)
    assert short.worst == pytest.approx(1 / 4)
    assert not short.promised


def test_a_randomised_model_gives_another_attribution_and_is_itself_afterwards(
    listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: p.clone() for name, p in listener.model.named_parameters()}
    found = attribute(listener, CLIPS, over="audio", method="gradient_x_input", question=QUESTION, progress=False)
    other = randomisation(listener, found, progress=False)
    assert abs(other.signed.value) < 0.6
    assert all(torch.equal(p, before[name]) for name, p in listener.model.named_parameters())
    with shuffled(listener):
        assert not torch.equal(
            listener.layers()[1].self_attn.q_proj.weight, before["language_model.model.layers.1.self_attn.q_proj.weight"]
        )
        assert torch.equal(listener.model.get_input_embeddings().weight, before["language_model.model.embed_tokens.weight"])
    heard = attribute(listener, CLIPS, over="mel", method="gradient_x_input", question=QUESTION, progress=False)
    assert abs(randomisation(listener, heard, progress=False).signed.value) < 0.6
    monkeypatch.setattr(faithfulness, "shuffled", lambda *_, **__: nullcontext())
    for one in (found, heard):
        same = randomisation(listener, one, progress=False)
        assert same.signed.value == pytest.approx(1, abs=1e-3), "the same model: the positive control"


def test_agreement_is_a_rank_correlation() -> None:
    from scipy.stats import spearmanr

    draw = np.random.default_rng(1)
    one, two = draw.normal(size=30), np.round(draw.normal(size=30), 0)
    assert spearman(one, two) == pytest.approx(spearmanr(one, two).statistic)
    assert spearman(one, np.ones(30)) == 0
    pair = agreement([planted([one]), planted([one**3], method="occlusion"), planted([-one], method="gradient_shap")])
    assert pair["integrated_gradients and occlusion"].value == pytest.approx(1)
    assert pair["integrated_gradients and gradient_shap"].value == pytest.approx(-1)
    with pytest.raises(ValueError, match="only on the same utterances"):
        agreement([planted([one]), planted([one, two])])


# --- words ---------------------------------------------------------------------------------------------------------------------------------------


def test_relevance_goes_to_the_word_that_is_spoken() -> None:
    mel = np.zeros((80, 80))
    mel[3, 30:35] = 1.0  # 0.3 to 0.35 s: "it" is said from 0.27 to 0.4 s
    heard = planted([mel], over="mel", levels=(np.zeros(10),))
    spoken = by_word(heard)[0]
    assert [w.text for w in spoken] == ["So", "it", "is."]
    np.testing.assert_allclose([w.relevance for w in spoken], [0, 5, 0], atol=1e-9)
    loud = np.zeros(10)
    loud[7] = 2.0  # 0.56 to 0.64 s
    spoken = by_word(planted([np.zeros((80, 80))], over="mel", levels=(loud,)))[0]
    np.testing.assert_allclose([w.relevance for w in spoken], [0, 0, 2], atol=1e-9)
    assert over_time(heard, 0).sum() == pytest.approx(5)
    assert by_band(heard)[0].argmax() == 3
    assert hertz(80).shape == (80,)
    assert spoken[0].tempo * (spoken[0].end - spoken[0].start) == pytest.approx(2), "two letters"
    assert spoken[0].level == pytest.approx(-17, abs=1.5), "a sine of amplitude 0.2 has -17 dBFS"


def test_words_are_spelled_from_frames_where_nobody_knows_them() -> None:
    where = Places(("<|user|>", "tone 1", "So", " i", "t", " is"), ("instruction", "tone", *["words"] * 4), np.array([-1, -1, 0, 3, 5, 8]))
    found = said(where, 0.1)
    assert [w.text for w in found] == ["So", "it", "is"]
    np.testing.assert_allclose([w.start for w in found], [0.1, 0.34, 0.74])
    np.testing.assert_allclose([w.end for w in found], [0.34, 0.74, 0.82])


def test_cues_find_the_sound_that_speaks() -> None:
    draw = np.random.default_rng(2)
    spoken = []
    for _ in CLIPS:
        change = draw.normal(size=(8, 3))
        spoken.append(
            [SpokenWord("w", 0, 1, abs(f), 0, 0, 0, {"f0": f, "level": level, "tempo": tempo}) for f, level, tempo in change.tolist()]
        )
    found = cues(spoken, CLIPS)
    assert found.f0.value == pytest.approx(1)
    assert abs(found.level.value) < 0.7
    assert found.top.chance == pytest.approx(1 / 8)
    with pytest.raises(ValueError, match="give references"):
        cues([[SpokenWord("w", 0, 1, 1.0, 0, 0, 0, {})] * 4], CLIPS[:1])


# --- all of it -----------------------------------------------------------------------------------------------------------------------------------


def test_one_call_gives_the_rows_of_a_table(listener: CogAudioListener) -> None:
    neutral = [clip(0.7, 11, "neutral"), clip(1.2, 12, "neutral"), clip(0.5, 13, "neutral")]
    found = examine(listener, CLIPS, methods=("integrated_gradients", "gradient_x_input"), references=neutral, steps=4, progress=False)
    rows = {row["measure"]: row for row in found.rows(model="tiny", data="clips")}
    for name in (
        "curves_gradient_x_input_deletion_gain", "completeness_integrated_gradients_gap", "randomised_gradient_x_input_signed",
        "agreement_integrated_gradients and gradient_x_input", "cues_gradient_x_input_f0",
    ):  # fmt: skip
        assert rows[name]["n"] == 3, name
        assert rows[name]["value"] is not None
    whose = share(listener, CLIPS, kinds=("raw",), permutations=2, progress=False).rows(model="tiny", data="clips")
    assert {"tone_words_values_tone", "audio_text_a_shap", "attention_raw_share_tone", "attention_raw_layers_lm.1_words"} <= {
        row["measure"] for row in whose
    }


def test_conflicts_are_drawn_with_their_neutral_rendering() -> None:
    pool = dataset.read("data_samples")
    chosen, calm = conflicts(pool, 6)
    assert len(chosen) == len(calm) > 2
    assert all(u.congruence == "conflict" and n.emotion == "neutral" and n.text == u.text for u, n in zip(chosen, calm, strict=True))
    assert [u.id for u in conflicts(pool, 6)[0]] == [u.id for u in chosen]
    with pytest.raises(ValueError, match="no conflict item has a neutral rendering"):
        conflicts([u for u in pool if u.emotion != "neutral"], 6)
