"""Whether an attribution can be believed, in pictures and in words; and the walk that integrated gradients add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_plotting_attribution import estimate, over_mel, over_tokens, texts

from cogviz.attribution.faithfulness import Completeness, Curves, Randomised
from cogviz.attribution.gradients import attribute
from cogviz.attribution.targets import Emotion
from cogviz.attribution.walk import Walk, walk
from cogviz.models.listener import CogAudioListener
from cogviz.plotting import attribution as figures
from cogviz.plotting import credibility, overlay, theme
from cogviz.plotting.attribution_sound import signed
from cogviz.statistics import Estimate


def some_curves(method: str) -> Curves:
    line = np.zeros((2, 3))
    return Curves(method, "tokens", "log odds", np.linspace(0, 1, 3), line, line, line, *[estimate(2.5)] * 4)


@pytest.mark.parametrize("dark", [False, True])
def test_each_method_is_shown_with_each_test(dark: bool) -> None:
    methods = [some_curves("integrated_gradients"), some_curves(credibility.FAKE)]
    gaps = [Completeness(estimate(0.01), 0.01, 0.02, True)] * 2
    with theme.use(dark=dark):
        figure = credibility.credible(methods, gaps, [Randomised(estimate(0.1), estimate(0.1)), None])
    said = texts(figure) + " ".join(t.get_text() for t in figure.axes[0].get_yticklabels())
    for text in ("integrated gradients", credibility.FAKE, "12 utterances", "does it add up?", "0 = as good as random order", "not made"):
        assert text in said


def test_the_walk_is_drawn_with_what_the_slope_foretells() -> None:
    found = Walk("audio", "log odds", np.linspace(0, 1, 5), np.array([[0.0, 2, 3, 3, 4], [0.0, 2, 3, 5, 6]]))
    figure = credibility.walk(found, np.array([1.0, 3.0]))
    assert "n = 2 utterances" in texts(figure)
    tangent = figure.axes[0].lines[-1]
    assert list(tangent.get_ydata()) == [3.0, 5.0], "the mean at the end, 5, less the mean slope, 2"


def test_two_models_share_one_scale() -> None:
    one = over_tokens()
    figure = figures.tokens({"first": one, "second": one}, answer={"first": "sad", "second": "angry"})
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    said = texts(figure)
    assert "first, hears sad" in said
    assert "second, hears angry" in said
    with pytest.raises(ValueError, match="sound"):
        figures.tokens({"first": one, "second": over_mel()})


def test_the_overlay_says_how_much_each_token_says_and_for_what() -> None:
    html = overlay.overlay(over_tokens())
    assert "tone 1 +1.00" in html
    assert "log p(angry)" in html
    assert html.count("height:22px;background") == 1, "one token is the longest"
    assert "gap" in overlay.accounts(over_tokens())
    with pytest.raises(ValueError, match="no tokens"):
        overlay.overlay(over_mel())


def test_only_what_is_attributed_is_shown() -> None:
    sound = replace(over_tokens(), over="audio")
    assert figures.attributed(sound, 0)[0] == ["tone 1", "tone 2", "So", " it"]
    assert figures.attributed(replace(sound, over="text"), 0)[2].tolist() == [0.0, 5.0, 6.0, 7.0]
    assert len(figures.attributed(over_tokens(), 0)[1]) == 8
    assert "Th" not in overlay.overlay(sound)


def test_numbers_are_written_as_people_write_them() -> None:
    assert signed(-0.01) == "0.0"
    assert signed(-1.26) == "−1.3"
    assert credibility.written(Estimate(-1.0, -2.0, 0.5, 7)) == "−1.00 [−2.00, +0.50] (n = 7)"
    assert credibility.written(Estimate(1.0, float("nan"), float("nan"), 1)) == "+1.00 (n = 1)"


def test_a_walk_ends_where_the_attribution_does(tiny_model: object) -> None:
    from test_attribution import CLIPS, NEUTRAL

    listener = CogAudioListener.of(*tiny_model)  # type: ignore[misc]
    asked = {"question": Emotion("voice", against="words"), "references": NEUTRAL, "over": "audio", "progress": False}
    found = walk(listener, CLIPS, points=5, **asked)  # type: ignore[arg-type]
    whole = attribute(listener, CLIPS, method="gradient_x_input", **asked)  # type: ignore[arg-type]
    assert found.values.shape == (3, 5)
    assert np.allclose(found.values[:, -1], whole.whole, atol=1e-4)
    assert np.allclose(found.values[:, 0], whole.baseline, atol=1e-4)
    with pytest.raises(ValueError, match="two ends"):
        walk(listener, CLIPS, points=1)
