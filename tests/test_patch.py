"""Interchange patching: everything gives the donor, nothing the base, as a plain loop says; and the best site is chosen on other sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from spoken import cell

from cogviz.emotions import EMOTIONS
from cogviz.models.listener import CogAudioListener
from cogviz.probing import suffix
from cogviz.probing.effects import effects, flips, log_odds, probability, trivial
from cogviz.probing.pairs import Pair, halves, tone_pairs, word_pairs
from cogviz.probing.patch import EVERYTHING, Patching, UnequalPairs, heads, patch, sublayers
from cogviz.probing.sites import UnknownSite, hooked, stream, watched
from cogviz.probing.spans import lined_up, spans

CELLS = [cell(k, speaker="ab"[k % 2], seconds=1.0 + 0.2 * (k % 2)) for k in range(6)]
PAIRS = tone_pairs([u for c in CELLS for u in c], per_cell=2)


@pytest.fixture(scope="module")
def listener(tiny_model: Any) -> CogAudioListener:
    return CogAudioListener.of(*tiny_model)


@pytest.fixture(scope="module")
def equal(listener: CogAudioListener) -> list[Pair]:
    """Pairs that are equally long: an utterance and itself, louder or noisier, until the places are as many."""
    found = []
    for k, pair in enumerate(PAIRS):
        for noise in (0.05, 0.02, 0.01, 0.005, 0.002):
            draw = np.random.default_rng(k)
            wave = (pair.base.samples + noise * draw.normal(size=len(pair.base.samples))).astype(np.float32)
            other = Pair(pair.base, replace(pair.donor, waveform=wave), "tone")
            if bool(lined_up(listener, listener.naming([other.base]), listener.naming([other.donor]))[1][0]):
                found.append(other)
                break
    assert len(found) >= 4
    return found[:6]


def plain_loop(listener: CogAudioListener, pair: Pair, site: str, span: str, part: slice = slice(None)) -> np.ndarray:
    """As one would write it: hear the donor, keep the state, hear the base with it."""
    donor = listener.naming([pair.donor])
    with torch.no_grad(), watched(listener, [site]) as seen:
        listener.logits(donor)
    given = dict(seen)[site]
    base = listener.naming([pair.base])
    mask = spans(listener, base)[span] if span != EVERYTHING else torch.ones_like(base.ids, dtype=torch.bool)

    def put(state: torch.Tensor) -> torch.Tensor:
        changed = state.clone()
        changed[..., part] = torch.where(mask[..., None], given[..., part], state[..., part])
        return changed

    with torch.no_grad(), hooked(listener, {site: put}):
        return listener.logits(base)[0, -1, listener.label_tokens].numpy()


def test_patching_everything_is_the_donor_and_nothing_is_the_base(listener: CogAudioListener, equal: list[Pair]) -> None:
    found = patch(listener, equal, progress=False)
    assert np.abs(found.donor - found.base).max() > 1e-2
    everything = found.columns.index(EVERYTHING)
    np.testing.assert_allclose(found.patched[:, :, everything], np.repeat(found.donor[:, None], len(found.sites), axis=1), atol=1e-5)
    nothing = found.columns.index("before")  # the same in both, as the sound comes later
    np.testing.assert_allclose(found.patched[:, :, nothing], np.repeat(found.base[:, None], len(found.sites), axis=1), atol=1e-5)
    same = patch(listener, [Pair(p.base, p.base, "tone") for p in equal], progress=False)
    np.testing.assert_allclose(same.patched, np.broadcast_to(same.base[:, None, None], same.patched.shape), atol=1e-5)
    assert found.aligned == found.left_out == 0
    assert found.sites == tuple(stream(listener))


@pytest.mark.parametrize("site", ["connector", "lm.0", "lm.1", "lm.0.conv", "lm.1.attn", "lm.1.mlp", "lm.1.heads.1"])
def test_a_sweep_is_a_plain_loop_of_whole_passes(listener: CogAudioListener, equal: list[Pair], site: str) -> None:
    found = patch(listener, equal[:3], at=[site], control=False, progress=False)
    part = slice(16, 32) if "heads" in site else slice(None)
    for i, pair in enumerate(equal[:3]):
        for j, column in enumerate(found.columns):
            expected = plain_loop(listener, pair, site.removesuffix(".1") if "heads" in site else site, column, part)
            np.testing.assert_allclose(found.patched[i, 0, j], expected, atol=1e-5, err_msg=f"{site} {column}")


def test_one_pair_at_a_time_is_a_batch(listener: CogAudioListener) -> None:
    together = patch(listener, PAIRS[:5], rows=7, progress=False)
    assert together.random is not None
    for i, pair in enumerate(PAIRS[:5]):
        alone = patch(listener, [pair], progress=False)
        where = [together.columns.index(c) for c in alone.columns]
        np.testing.assert_allclose(together.patched[i][:, where], alone.patched[0], atol=1e-5)
    assert set(together.columns) >= {"before", "tone", "instruction", "last", EVERYTHING}


def test_out_of_memory_is_said_once_for_all_batches(listener: CogAudioListener, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = patch(listener, PAIRS[:4], control=False, progress=False)
    again = suffix._Call.again

    def hungry(call: Any, decoder: Any, rows: torch.Tensor, size: int) -> torch.Tensor:
        if len(rows) > 3:
            raise torch.OutOfMemoryError("too much")
        return again(call, decoder, rows, size)

    monkeypatch.setattr(suffix._Call, "again", hungry)
    monkeypatch.setattr("cogviz.probing.patch.PAIRS", 2)
    with pytest.warns(UserWarning, match="do not fit in memory") as said:
        found = patch(listener, PAIRS[:4], control=False, progress=False)
    assert len(said) == 1
    np.testing.assert_allclose(found.patched, expected.patched, atol=1e-5)


def test_places_are_every_place_from_the_end(listener: CogAudioListener, equal: list[Pair]) -> None:
    found = patch(listener, equal[:2], by="place", control=False, progress=False)
    longest = listener.naming([p.base for p in equal[:2]]).ids.shape[1]
    assert found.columns[-2:] == ("-1", EVERYTHING)
    assert len(found.columns) == longest + 1
    np.testing.assert_allclose(found.patched[:, -1, -2], found.donor, atol=1e-5)  # after the last layer only the last place counts
    token = patch(listener, equal[:2], by="token", control=False, progress=False)
    assert {"tone 1", "tone 2", "last"} <= set(token.columns)
    assert any(c.endswith("voice") for c in token.columns)


def test_unequal_pairs_are_matched_left_out_or_refused(listener: CogAudioListener) -> None:
    long, short = cell(0, seconds=2.0)[0], cell(0, seconds=0.5)[1]
    pair = Pair(long, short, "tone")
    bases, donors = listener.naming([long]), listener.naming([short])
    match, equal = lined_up(listener, bases, donors)
    if bool(equal[0]):
        pytest.skip("both are heard as equally long")
    assert (match >= 0).all(), "each place of the base has one of the donor"
    assert match.max() < donors.ids.shape[1]
    assert (match.diff() >= 0).all(), "in order"
    found = patch(listener, [pair], progress=False)
    assert found.aligned == 1
    np.testing.assert_allclose(found.patched[0, -1, found.columns.index("last")], found.donor[0], atol=1e-5)
    with pytest.raises(UnequalPairs, match=r"not equally long .*keep_timing"):
        patch(listener, [pair], unequal="refuse", progress=False)
    with pytest.raises(UnequalPairs, match="none of 1 pairs"):
        patch(listener, [pair], unequal="leave out", progress=False)


def test_what_cannot_be_patched_is_said(listener: CogAudioListener) -> None:
    for site, said in (("lm.7", "did you mean"), ("encoder.0", "no places"), ("lm.1.heads.9", "heads 0 to 1"), ("lm.0.heads.0", "has no")):
        with pytest.raises(UnknownSite, match=said):
            patch(listener, PAIRS[:1], at=[site], progress=False)
    with pytest.raises(ValueError, match="no pairs"):
        patch(listener, [], progress=False)
    with pytest.raises(ValueError, match="all differ in the tone"):
        patch(listener, [PAIRS[0], Pair(CELLS[0][0], CELLS[1][0], "words")], progress=False)
    assert heads(listener) == ["lm.1.heads.0", "lm.1.heads.1"]
    assert sublayers(listener) == ["lm.0.conv", "lm.0.mlp", "lm.1.attn", "lm.1.mlp"]


def test_spans_hold_every_place_once(listener: CogAudioListener) -> None:
    passage = listener.naming([PAIRS[0].base, CELLS[1][0]])
    for by in ("segment", "token", "place"):
        total = torch.stack([mask.long() for mask in spans(listener, passage, by).values()]).sum(dim=0)
        assert torch.equal(total, (~passage.places("padding")).long()), by
    with pytest.raises(ValueError, match="not by 'word'"):
        spans(listener, passage, "word")  # type: ignore[arg-type]


def test_pairs_differ_in_one_thing() -> None:
    utterances = [u for c in CELLS for u in c]
    for pair in tone_pairs(utterances, per_cell=3):
        assert (pair.base.sentence, pair.base.speaker) == (pair.donor.sentence, pair.donor.speaker)
        assert pair.base.emotion != pair.donor.emotion
        assert pair.moves == (EMOTIONS.index(pair.base.emotion), EMOTIONS.index(pair.donor.emotion))
    words = word_pairs(utterances, per_cell=2)
    assert words
    for pair in words:
        assert (pair.base.emotion, pair.base.speaker) == (pair.donor.emotion, pair.donor.speaker)
        assert pair.base.lexical_emotion != pair.donor.lexical_emotion
    bases, donors = {p.base.sentence for p in words}, {p.donor.sentence for p in words}
    assert not bases & donors, "or the two halves would share sentences"
    assert len(tone_pairs(utterances, per_cell=3, count=4)) == 4
    with pytest.raises(ValueError, match="no pair to patch"):
        tone_pairs([c[0] for c in CELLS])
    first = halves([p.base.sentence for p in PAIRS])
    of = np.array([p.base.sentence for p in PAIRS])
    assert not set(of[first]) & set(of[~first])
    with pytest.raises(ValueError, match="cannot be halved"):
        halves(["one", "one"])


def planted(*, sentences: int = 40, seed: int = 0) -> Patching:
    """Every pair moves by 4 logits. lm.1 at the tone carries 9 tenths and flips all, lm.0 at the words half and flips none; the rest nothing."""
    draw = np.random.default_rng(seed)
    n, sites, columns = sentences, ("connector", "lm.0", "lm.1", "lm.2"), ("tone", "words", "last", EVERYTHING)
    base, donor = np.zeros((n, 7)), np.zeros((n, 7))
    moves = np.stack([draw.permutation(7)[:2] for _ in range(n)])
    base[np.arange(n), moves[:, 0]] = 2
    donor[np.arange(n), moves[:, 1]] = 2
    patched = np.repeat(np.repeat(base[:, None, None], 4, axis=1), 4, axis=2)
    patched[:, 2, 0] = 0.1 * base + 0.9 * donor
    patched[:, 1, 1] = 0.5 * base + 0.5 * donor - 0.01 * np.eye(7)[moves[:, 1]]
    patched[:, :, 3] = donor[:, None]
    patched[:, 3, 2] = donor
    patched[0, 1, 1] = np.nan
    names = tuple(f"s{k}" for k in range(n))
    return Patching(
        "m", "tone", sites, columns, base, donor, patched, np.repeat(base[:, None, None], 4, axis=1).repeat(4, axis=2), moves, names, ("a",) * n,
        aligned=0, left_out=0, hybrid=True,
    )  # fmt: skip


def test_effects_find_what_is_planted() -> None:
    told = effects(planted())
    assert told.effect["lm.1"]["tone"].value == pytest.approx(0.9)
    assert told.effect["lm.0"]["words"].value == pytest.approx(0.4975)
    assert told.effect["lm.0"]["words"].n == 39
    assert told.effect["connector"]["tone"].value == 0
    assert told.effect["connector"][EVERYTHING].value == pytest.approx(1)
    assert told.flips["lm.1"]["tone"].value == 1
    assert told.flips["lm.1"]["tone"].low < 1
    assert told.flips["lm.0"]["words"].value == 0
    assert told.total.value == pytest.approx(4)
    assert told.differ.value == 1
    assert told.best is not None
    assert (told.best.site, told.best.column) == ("lm.1", "tone")
    assert told.best.chosen_on == told.best.flips.n == 20
    assert told.best.control is not None
    assert told.best.control.value == 0
    rows = told.rows(data="planted")
    assert {"effect_lm.1_tone", "flips_lm.1_tone", "random_flips_lm.1_tone", "total", "best_flips"} <= {row["measure"] for row in rows}


def test_a_site_that_only_looks_good_where_it_was_chosen_is_found_out() -> None:
    """Each site flips at random in a tenth of the pairs: the best of the chosen half is no better than the others in the other half."""
    found = planted(sentences=400)
    draw = np.random.default_rng(1)
    for i in range(4):
        for j in range(3):
            hit = draw.random(400) < 0.1
            found.patched[:, i, j] = np.where(hit[:, None], found.donor, found.base)
    best = effects(found).best
    assert best is not None
    assert best.flips.low < 0.1 < best.flips.high


def test_few_pairs_that_can_flip_have_no_best_site() -> None:
    found = planted()
    found.donor[8:] = found.base[8:]
    told = effects(found)
    assert told.best is None
    assert told.flips["lm.1"]["tone"].n == 8
    assert effects(planted(sentences=9)).best is None


def test_sites_that_must_flip_are_never_the_best() -> None:
    found = planted()
    assert trivial(found, "connector", "tone")
    assert trivial(found, "lm.2", "last")
    assert trivial(found, "lm.0", EVERYTHING)
    assert not trivial(found, "lm.1", "last")
    nothing = replace(found, donor=found.base.copy())
    told = effects(nothing)
    assert told.best is None
    assert not told.determined
    assert told.differ.value == 0
    assert np.isnan(told.flips["lm.1"]["tone"].value)


def test_scores_are_those_of_their_formulas() -> None:
    logits = np.array([[0.0, 1, 2, 0, 0, 0, 0]])
    moves = np.array([[1, 2]])
    assert log_odds(logits, moves)[0] == 1
    assert probability(logits, moves)[0] == pytest.approx(np.exp(2) / (5 + np.e + np.exp(2)))
    several = np.repeat(logits[:, None, None], 3, axis=2)
    assert log_odds(several, moves).shape == (1, 1, 3)
    assert effects(planted(), score=probability).score == "probability"
    same, able = flips(planted(), planted().patched)
    assert able.all()
    assert np.isnan(same[0, 1, 1])
