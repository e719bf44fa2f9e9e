"""The figures of attribution say what they show: how many, against what, with which interval."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from cogviz.attribution.attention import KINDS, Looks
from cogviz.attribution.faithfulness import Curves
from cogviz.attribution.gradients import Attribution
from cogviz.attribution.places import Places
from cogviz.attribution.shares import AudioText, ToneWords
from cogviz.attribution.targets import Emotion
from cogviz.plotting import attribution as figures
from cogviz.plotting import theme
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance, Word


def estimate(value: float, chance: float = 0.0) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, 12, chance)


def texts(figure: Figure) -> str:
    figure.canvas.draw()
    found = [t.get_text() for t in figure.texts] + [legend.get_text() for box in figure.legends for legend in box.get_texts()]
    for axes in figure.axes:
        found += [t.get_text() for t in (*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, *axes.get_xticklabels())]
        found += [axes.get_title("left")]
        if axes.get_legend() is not None:
            found += [t.get_text() for t in axes.get_legend().get_texts()]
    return " ".join(found)


def utterance(name: str) -> Utterance:
    wave = 0.1 * np.sin(np.cumsum(2 * np.pi * (140 + 20 * np.sin(np.arange(12800) / 2000)) / 16000))
    words = (Word("So", 0.05, 0.3), Word("it", 0.3, 0.45), Word("is.", 0.45, 0.75))
    return Utterance(name, "So it is.", name, "s1", "x", "test", waveform=wave.astype(np.float32), words=words, lexical_emotion="sad")


def over_mel() -> Attribution:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(80, 80)) * 0.01
    values[20:30, 32:42] = 0.05
    return Attribution(
        "integrated_gradients", "mel", "log odds of voice over words", (utterance("angry"),), (utterance("neutral"),), Emotion(), (values,),
        (np.zeros(10),), (Places((), (), np.zeros(0)),), np.array([values.sum()]), np.zeros(1), (draw.normal(size=(80, 80)),),
    )  # fmt: skip


def over_tokens() -> Attribution:
    segments = ("instruction", "tone", "tone", "words", "words", "instruction", "instruction", "perception")
    places = Places(("<|user|>", "tone 1", "tone 2", "So", " it", "Th", "ink", "sounds"), segments, np.full(8, -1))
    return Attribution(
        "occlusion", "tokens", "log p(angry)", (utterance("angry"),), None, Emotion(), (np.arange(8.0),), (), (places,), np.ones(1), np.zeros(1)
    )  # fmt: skip


@pytest.mark.parametrize("dark", [False, True])
def test_the_sound_shows_its_words_its_baseline_and_the_sum(dark: bool) -> None:
    with theme.use(dark=dark):
        figure = figures.sound(over_mel(), answer="angry")
    said = texts(figure)
    for part in (
        "So",
        "it",
        "is.",
        "said angry, words sad, heard as angry",
        "against the neutral rendering",
        "F0 (st",
        "level (dBFS)",
        "integrated gradients",
    ):
        assert part in said, part
    assert len(figure.axes) == 5
    bars = {round(float(b.get_x()), 2): float(b.get_height()) for b in figure.axes[1].patches}
    assert max(bars, key=lambda x: bars[x]) == 0.3, "the word that the planted relevance is in"
    with pytest.raises(ValueError, match="only an attribution over the log-mel"):
        figures.sound(over_tokens())


def test_tokens_are_named_and_segments_summed() -> None:
    said = texts(figures.tokens(over_tokens()))
    assert "tone +3.0" in said
    assert "words heard +7.0" in said
    assert "instruction +11.0" in said, "both of its parts"
    with pytest.raises(ValueError, match="has no tokens"):
        figures.tokens(over_mel())


def test_attention_is_drawn_with_its_null() -> None:
    share = {"tone": estimate(0.6, 0.1), "words": estimate(0.4, 0.9)}
    results = [Looks(kind, share, share, {}) for kind in KINDS]
    figure = figures.looks({"aligned": results, "baseline": results})
    said = texts(figure)
    assert "n = 12" in said
    assert "the null" in said
    dashed = {float(np.asarray(line.get_ydata())[0]) for line in figure.axes[0].lines if line.get_linestyle() == "--"}
    assert {0.1, 0.9} <= dashed


def test_shares_are_drawn_with_their_interval_and_their_size() -> None:
    groups = ("tone", "words", "instruction")
    result = ToneWords(
        {g: estimate(1.0 + i) for i, g in enumerate(groups)}, {g: estimate(1 / 3) for g in groups}, estimate(0.0), estimate(6.0)
    )
    both = AudioText(estimate(0.8, 0.5), estimate(3.0), estimate(1.0), estimate(4.0), 0.1, (), (), np.zeros((0, 2)))
    said = texts(figures.shares({"aligned": result, "baseline": result}, {"aligned": both, "baseline": both}, target="the log odds"))
    for part in ("33%", "A-SHAP", "n = 12", "Exact Shapley values for the log odds"):
        assert part in said, part


def test_curves_stand_beside_their_control() -> None:
    down = np.linspace(3, 0, 11)[None].repeat(4, axis=0)
    gain = estimate(1.25)
    one = Curves("occlusion", "tokens", "log odds", np.linspace(0, 1, 11), down - 1, down[:, ::-1] + 1, down, gain, gain, gain, gain)
    figure = figures.curves([one])
    said = texts(figure)
    for part in ("random order (control)", "occlusion: gain +1.25 [+1.20, +1.30]", "n = 12", "deletion", "insertion"):
        assert part in said, part
    control, method = (np.asarray(line.get_ydata()) for line in figure.axes[1].lines[:2])
    np.testing.assert_allclose(control, down[0, ::-1])
    np.testing.assert_allclose(method, down[0, ::-1] + 1)
