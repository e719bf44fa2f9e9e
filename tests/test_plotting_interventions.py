"""The figures of lesson 08: what is planted is written on them, in both looks, and what cannot be drawn is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from test_patch import planted

from cogviz.plotting import interventions, theme
from cogviz.probing.effects import Effects, effects
from cogviz.probing.knockout import Knockout
from cogviz.statistics import Estimate


@pytest.fixture(scope="module")
def found() -> Effects:
    return effects(planted())


def e(value: float, chance: float = 0.0) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, 40, chance)


def cut(voice: float, words: float) -> Knockout:
    bands = {"all layers": (1, 3), "lm.1": (1,), "lm.3": (3,)}
    links = {band: {"last > tone": e(-0.5), "last > words": e(0.02)} for band in bands}
    drawn = {band: {name: e(0.0) for name in links[band]} for band in bands}
    return Knockout("m", bands, {"voice": e(voice), "words": e(words)}, links, links, links, drawn, drawn, drawn, hybrid=True)


def texts(figure: Figure) -> str:
    return " | ".join(t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_the_idea_shades_what_the_copy_can_reach() -> None:
    def shaded(layer: int, place: str) -> int:
        axes = interventions.idea("sad", "happy", "sad", at=(layer, place)).axes[1]
        reached = theme.mix(theme.LIGHT.panel, theme.LIGHT.series[1], 0.28)
        return sum(theme.to_hex(p.get_facecolor()).upper() == reached for p in axes.patches)

    assert shaded(2, "tone") == 3 * 5
    assert shaded(5, "tone") == 0, "after the last layer no place is read by another"
    assert shaded(4, "last") == 1
    assert "“happy”, patched “sad”" in texts(interventions.idea("sad", "happy", "sad", at=(0, "last")))
    with pytest.raises(ValueError, match="layers 0 to 5"):
        interventions.idea("sad", "happy", "sad", at=(6, "tone"))


def test_known_stands_beside_used() -> None:
    known, used = {"tone": e(0.8, 1 / 7), "perception": e(0.64, 1 / 7)}, {"tone": e(0.99), "perception": e(0.0)}
    figure = interventions.known_and_used(known, used, model="m", site="lm.4")
    said = texts(figure)
    for part in ("0.80", "0.64", "0.99", "perception", "m, after layer 4", "chance, 0.14", "n = 40"):
        assert part in said
    with pytest.raises(ValueError, match="no place"):
        interventions.known_and_used(known, {}, model="m", site="lm.4")


def test_exchanges_stand_below_each_other(found: Effects) -> None:
    other = replace(found, model="other", differs="words", total=e(-0.3))
    figure = interventions.exchanges([found, other])
    assert "other words 40" in texts(figure)
    assert figure.axes[0].get_xlim()[0] < -0.4, "a negative change is inside"
    with pytest.raises(ValueError, match="no patching"):
        interventions.exchanges([])


def test_wires_judge_a_model_by_what_it_answers_by() -> None:
    said = texts(interventions.wires([cut(0.7, 0.1), cut(0.1, 0.8)]))
    assert "the voice’s emotion, 0.70 intact, n = 40" in said
    assert "the words’ emotion, 0.80 intact" in said
    assert "layer 3" in said
    with pytest.raises(ValueError, match="'words'"):
        interventions.wires([cut(0.7, 0.1)], looks="words")


def test_they_are_drawn_dark_too(found: Effects) -> None:
    with theme.use(dark=True):
        for figure in (
            interventions.exchanges([found]),
            interventions.wires([cut(0.7, 0.1)]),
            interventions.idea("a", "b", "a", at=(1, "words")),
        ):
            assert theme.to_hex(figure.get_facecolor()).upper() == theme.DARK.paper
