"""The figures of causes: what is planted is what is written on them, in both looks, and what cannot be drawn is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from test_patch import planted

from cogviz.emotions import EMOTIONS
from cogviz.plotting import causes, concepts, theme
from cogviz.probing.effects import Effects, effects
from cogviz.probing.erase import Erased, Following, Recovered
from cogviz.probing.knockout import Knockout
from cogviz.probing.neurons import Neurons
from cogviz.statistics import Estimate


@pytest.fixture(scope="module")
def found() -> Effects:
    return effects(planted())


def e(value: float, n: int = 40) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, n, 0.0)


def cut(model: str = "m") -> Knockout:
    links = {"all layers": {"last > tone": e(-0.5), "last > words": e(0.02), "words > tone": e(-0.01)}}
    drawn = {"all layers": {name: e(0.0) for name in links["all layers"]}}
    return Knockout(model, {"all layers": (1,)}, {"voice": e(0.7), "words": e(0.1)}, links, links, links, drawn, drawn, drawn, hybrid=True)


def some_neurons() -> Neurons:
    names = (
        "ablated", "others", "amplified", "random_ablated", "random_others", "random_amplified", "less_ablated", "less_amplified",
        "accuracy", "ablated_accuracy", "random_accuracy",
    )  # fmt: skip
    values = {name: e(0.1 * (k - 5)) for k, name in enumerate(names)}
    return Neurons("m", "contrast", 20, 2.0, 3, **values, by_emotion={n: e(-0.1) for n in EMOTIONS}, layers={"lm.0": 3})


def erased() -> Erased:
    following = Following(e(0.7), e(0.1), e(0.0), e(0.0))
    both = {"voice": following, "words": following}
    return Erased("m", "lm.1", ("tone",), {"voice": 6, "words": 6}, 3, following, both, both, {c: Recovered(e(0.8), e(0.14)) for c in both})


def texts(figure: Figure) -> str:
    return " | ".join(t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_a_map_says_what_was_planted(found: Effects) -> None:
    figure = causes.patching([found, replace(found, model="other", best=None)])
    said = texts(figure)
    assert "0.90" in said
    assert "m: best at layer 1, tone: flips 1.00" in said
    assert "chosen on 20 pairs" in said
    assert "n = 40 pairs" in said
    assert "short convolutions" in said
    assert said.count("other: n = 40") == 1


def test_a_map_of_an_exchange_that_does_nothing_says_so(found: Effects) -> None:
    said = texts(causes.patching([replace(found, total=Estimate(0.1, -0.2, 0.4, 40, 0.0))]))
    assert "does nothing clear" in said
    assert "0.90" not in said
    assert "best" not in said


def test_many_columns_have_no_numbers(found: Effects) -> None:
    wide = {site: {f"-{k} word": cell["tone"] for k in range(12)} for site, cell in found.effect.items()}
    said = texts(causes.patching([replace(found, effect=wide, best=None)]))
    assert "0.90" not in said
    assert "word" in said


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_drawn_on_both_pages(found: Effects, dark: bool) -> None:
    with theme.use(dark=dark):
        for figure in (
            causes.patching([found]),
            causes.flips_by_layer([found, found]),
            causes.parts([found]),
            causes.knockout([cut(), cut("other")]),
            concepts.neurons([some_neurons()]),
            concepts.erasing([erased(), erased()]),
        ):
            assert len(theme.svg(figure)) > 1000


def test_the_other_figures_say_their_numbers(found: Effects) -> None:
    assert "n = 40 pairs with two answers" in texts(causes.flips_by_layer([found]))
    nothing = replace(found, flips={s: {c: replace(x, n=0) for c, x in row.items()} for s, row in found.flips.items()})
    assert "nothing can flip" in texts(causes.flips_by_layer([nothing]))
    said = texts(causes.knockout([cut()]))
    assert "−0.50" in said
    assert "0.70 intact" in said
    assert "random, 3 draws" in texts(concepts.neurons([some_neurons()]))
    assert "voice 0.80 then 0.14" in texts(concepts.erasing([erased()]))


def test_what_cannot_be_drawn_is_said(found: Effects) -> None:
    with pytest.raises(ValueError, match="no patching"):
        causes.patching([])
    with pytest.raises(ValueError, match="differ in the same thing"):
        causes.patching([found, replace(found, differs="words")])
    with pytest.raises(ValueError, match="not patched at 'nowhere'"):
        causes.parts([found], column="nowhere")
    with pytest.raises(ValueError, match=r"no band 'lm\.9'"):
        causes.knockout([cut()], band="lm.9")
    for draw in (causes.flips_by_layer, causes.parts, causes.knockout, concepts.neurons, concepts.erasing):
        with pytest.raises(ValueError, match=r"to draw|erased"):
            draw([])  # type: ignore[operator]
