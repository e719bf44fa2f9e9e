"""The figures of what is inside a model say what they show: n, chance, the baselines, and what is not claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from planted import codes, recording, states, utterances
from test_plotting import assert_room

from cogviz.emotions import EMOTIONS
from cogviz.plotting import probing, projection, theme
from cogviz.probing.lens import Lens, Seen
from cogviz.probing.linear import probe
from cogviz.probing.similarity import similarity
from cogviz.projection.embeddings import stages
from cogviz.projection.neighbours import neighbourhoods
from cogviz.statistics import Estimate

SAID = utterances(sentences=14, speakers=2)
SITES = {"connector": states(SAID, voice=1.0), "lm.0": states(SAID, voice=0.5, words=0.5, seed=1), "lm.1": states(SAID, words=1.0, seed=2)}
WHOLE = recording(SAID, SITES, answers=codes(SAID)["words"], name="planted")
PLAIN = recording(SAID, {name: states(SAID, seed=9) for name in SITES}, name="random")


def seen(share: float) -> Lens:
    one = Estimate(share, share - 0.1, share + 0.1, 80, 1 / 7)
    columns = ("<|user|>", "tone 1", "words 1/4", "sounds")
    voice = np.linspace(0, share, 12).reshape(3, 4)
    return Lens("planted", True, (Seen("lm.0", "tone", one, one, 0.3, 0.5),), ("connector", "lm.0", "lm.1"), columns, voice, 0 * voice)


DRAWN: dict[str, Callable[[], Figure]] = {
    "probes": lambda: probing.probes(probe(WHOLE, baseline=PLAIN, targets=("voice_emotion", "word_emotion"), ways=2, progress=False)),
    "lens": lambda: probing.lens(seen(0.8)),
    "similarity": lambda: probing.similarity(similarity(WHOLE, draws=20)),
    "maps": lambda: projection.maps(stages([WHOLE], list(SITES), method="pca"), paths=True),
    "neighbourhoods": lambda: projection.neighbourhoods(neighbourhoods(WHOLE, draws=20)),
}


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return {name: draw() for name, draw in DRAWN.items()}


def said(figure: Figure) -> str:
    texts = [t.get_text() for t in figure.findobj(Text)]
    texts += [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    return " ".join(" ".join(texts).split())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "probes",
            (
                "voice’s emotion encoded",
                "used 100%",
                "n = 196",
                "95% interval",
                "random weights",
                "words alone",
                "chance",
                "for these speakers",
            ),
        ),
        ("lens", ("lm.1 says the voice’s emotion in 80%", "n = 80", "chance 14%", "Tuned lens", "lm.0 (0.50)")),
        ("similarity", ("least alike", "debiased", "n = 196", "shuffled")),
        ("maps", ("n = 196", "axes and distances between groups mean nothing", "trust", "by the words’ emotion")),
        ("neighbourhoods", ("at lm.1 the words’ emotion organises the space", "n = 196", "labels shuffled", "do not count")),
    ],
)
def test_a_figure_says_what_it_shows(figures: dict[str, Figure], name: str, words: tuple[str, ...]) -> None:
    for part in words:
        assert part in said(figures[name])


@pytest.mark.parametrize("name", DRAWN)
def test_text_has_room(figures: dict[str, Figure], name: str) -> None:
    assert_room(figures[name])


@pytest.mark.parametrize("name", ["lens", "maps"])
def test_a_dark_page_is_dark(name: str) -> None:
    with theme.use(dark=True):
        assert DRAWN[name]().get_facecolor()[0] < 0.2


def test_the_answers_line_lies_where_the_answers_are(figures: dict[str, Figure]) -> None:
    panel = next(a for a in figures["probes"].axes if "words’ emotion" in a.get_title(loc="left"))
    heights = [line.get_ydata()[0] for line in panel.lines if len(set(line.get_ydata())) == 1 and line.get_linewidth() == 2.2]
    assert heights == [1.0]


def test_maps_show_every_utterance_in_its_emotions_colour(figures: dict[str, Figure]) -> None:
    panel = figures["maps"].axes[0]
    drawn = {tuple(c.get_facecolor()[0][:3]): len(c.get_offsets()) for c in panel.collections if len(c.get_offsets()) > 1}
    assert sum(drawn.values()) == len(SAID)
    assert len(drawn) == len(EMOTIONS)


def test_more_dimensions_than_items_is_said_on_the_figure() -> None:
    few = utterances(sentences=7, speakers=2)
    wide = recording(few, {"lm.0": states(few, width=200)})
    text = said(probing.probes(probe(wide, targets=("voice_emotion",), ways=2, progress=False)))
    assert "Not claimed: more dimensions (200) than items" in text


def test_nothing_to_draw_says_so() -> None:
    with pytest.raises(ValueError, match="nothing to draw: no probe of voice_emotion"):
        probing.probes(targets=("voice_emotion",))
    with pytest.raises(ValueError, match="nothing to draw: no maps"):
        projection.maps(())
    with pytest.raises(ValueError, match="nothing to draw: no neighbourhoods"):
        projection.neighbourhoods()
    with pytest.raises(ValueError, match="coloured by voice_emotion or word_emotion"):
        projection.maps([replace(m) for m in stages([WHOLE], ["lm.0"], method="pca")], by=("speaker",))
