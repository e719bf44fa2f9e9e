"""Every figure: what it says, in whose colours, with room for its words, and without a trace in matplotlib or on the network."""

import itertools
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from cogviz.audio import RATE
from cogviz.eips import Answer, Chain
from cogviz.emotions import EMOTIONS, UnknownEmotion, emotion
from cogviz.lime import prosody
from cogviz.plotting import answers, dominance, hearing, speech, theme, training
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance, Word

LONG = "I never imagined that the whole project, on which all of us had worked for so many months, would end quite like this. " * 3


def utterance(
    name: str, *, f0: float = 120.0, seconds: float = 0.6, gain: float = 0.1, text: str = "It ends.", speaker: str = "s1"
) -> Utterance:
    """A buzzing voice with a gliding pitch."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(f0 * (1 + 0.1 * np.sin(2 * np.pi * 2 * t))) / RATE
    wave = sum(np.sin(k * phase) / k for k in range(1, 12)) * gain
    words = tuple(Word(w, i * seconds / len(text.split()), (i + 1) * seconds / len(text.split())) for i, w in enumerate(text.split()))
    return Utterance(name, text, name, speaker, "x", "test", waveform=wave.astype(np.float32), words=words)


@pytest.fixture(scope="module")
def cell() -> dict[str, Utterance]:
    return {name: utterance(name, f0=110 + 20 * i, gain=0.02 * (i + 1)) for i, name in enumerate(EMOTIONS)}


def answer(name: str) -> Answer:
    return Answer(f"I hear that, {name}.", Chain(f"The voice sounds {name}.", "They tell it.", "They feel it.", "Stay close."))


def answer_rows(models: tuple[str, ...] = ("baseline", "aligned"), names: tuple[str, ...] = EMOTIONS) -> list[dict]:
    return [
        {"emotion": e, "model": m, "claimed": "happy" if m == "baseline" else e, "answer": answer(e), "text": "raw"}
        for e in names
        for m in models
    ]


def following_table(**shares: tuple[float, float]) -> pd.DataFrame:
    rows = []
    for model, (voice, words) in shares.items():
        for measure, value in (("follows_voice", voice), ("follows_words", words), ("follows_neither", 1 - voice - words)):
            interval = {"low": max(value - 0.05, 0.0), "high": min(value + 0.05, 1.0)}
            rows.append({"model": model, "measure": measure, "value": value, **interval, "n": 336, "chance": 1 / 7})
    return pd.DataFrame(rows)


def cause_table() -> pd.DataFrame:
    rows = []
    for measure, (i, encoder), (j, heard) in itertools.product(
        ("follows_voice", "follows_words"), enumerate(("last layer", "layer mix")), enumerate(("agrees", "LIME"))
    ):
        value = 0.2 + 0.2 * i + 0.3 * j
        base = {"encoder": encoder, "training_speech": heard, "measure": measure, "chance": 1 / 7}
        rows.append({**base, "value": value, "low": value - 0.05, "high": value + 0.05, "seed": None, "n": 336})
        rows += [{**base, "value": value + 0.01 * seed, "seed": seed} for seed in range(3)]
    return pd.DataFrame(rows)


def curve_table() -> pd.DataFrame:
    rows = [("I", step, name, 2 / (step + 1)) for step in range(60) for name in ("loss", "eval_loss")]
    rows += [("III", step, name, step / 60) for step in range(60) for name in ("reward", "reward_empathy", "reward_format", "gate")]
    return pd.DataFrame(rows, columns=["stage", "step", "name", "value"])


def counts(names: tuple[str, ...] = EMOTIONS) -> pd.DataFrame:
    return pd.DataFrame(np.eye(len(names), dtype=int) * 8 + 2, index=names, columns=names)


FIGURES = {
    "cell": lambda cell: speech.cell(cell),
    "contours": lambda cell: speech.contours(cell),
    "rules": lambda cell: speech.rules(prosody.rules()),
    "cell_table": lambda cell: answers.cell_table(answer_rows()),
    "following": lambda cell: dominance.following(following_table(baseline=(0.1, 0.7), aligned=(0.8, 0.1))),
    "confusion": lambda cell: dominance.confusion(counts(), balanced_accuracy=Estimate(0.7, 0.6, 0.8, 154, 1 / 7, "for these speakers")),
    "two_by_two": lambda cell: dominance.two_by_two(cause_table()),
    "curves": lambda cell: training.curves(curve_table()),
}


@pytest.fixture(scope="module")
def figures(cell: dict[str, Utterance]) -> dict[str, Figure]:
    return {name: draw(cell) for name, draw in FIGURES.items()}


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn."""
    figure.draw_without_rendering()
    beside = set()  # ticks outside the view have texts that are not drawn
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9 or not axes.axison:
                    beside |= {id(tick.label1), id(tick.label2)}
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in beside]


def words_of(figure: Figure) -> str:
    return " ".join(t.get_text() for t in texts(figure))


def colour_of(figure: Figure, text: str) -> str:
    """The colour of the bold text that begins with `text`."""
    (found, *_) = [t for t in texts(figure) if t.get_text().startswith(text) and t.get_weight() == "bold"]
    return to_hex(found.get_color()).upper()


def assert_room(figure: Figure) -> None:
    """No text leaves the figure or touches another one."""
    shown = texts(figure)
    boxes = [t.get_window_extent() for t in shown]
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in zip(shown, boxes, strict=True):
        outside = max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)
        assert outside <= 1, f"{text.get_text()!r} leaves the figure"
    for (a, one), (b, other) in itertools.combinations(zip(shown, boxes, strict=True), 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across < 1.5 or down < 3, f"{a.get_text()!r} touches {b.get_text()!r}"


@pytest.mark.parametrize("name", FIGURES)
def test_figure_has_a_title_and_room_for_its_text(figures, name):
    figure = figures[name]
    assert isinstance(figure, Figure)
    title = max(texts(figure), key=lambda t: t.get_size())
    assert len(title.get_text()) > 10
    assert_room(figure)


@pytest.mark.parametrize(
    ("name", "labels"),
    {
        "cell": ("time (s)", "frequency (kHz, mel)", "F0 (Hz)", "amplitude", "mel level (dB under the loudest)", "dBFS"),
        "contours": ("time (s)", "F0 (semitones from the neutral median)", "level (dBFS)"),
        "rules": ("(st)", "(dB)", "(ms)", "(oct)", "k = 1.5", "RAVDESS actors"),
        "following": ("answers that follow the voice (%)", "answers that follow the words (%)", "n = 336", "95% intervals", "chance"),
        "confusion": ("the model answers", "the voice sounds", "recall (%)", "n = 154", "70% [60, 80]", "for these speakers"),
        "two_by_two": ("share (%)", "last layer", "layer mix", "95% interval", "n = 336", "chance"),
        "curves": ("step", "loss (nats)", "reward (0–1)"),
    }.items(),
)
def test_axes_say_what_they_show_and_in_which_unit(figures, name, labels):
    shown = words_of(figures[name])
    assert not [label for label in labels if label not in shown]


@pytest.mark.parametrize("dark", [False, True])
def test_legends_have_the_colours_of_the_emotions(cell, dark):
    with theme.use(dark=dark):
        for figure in (speech.cell(cell), speech.contours(cell)):
            lines = {line.get_label(): to_hex(line.get_color()).upper() for axes in figure.axes for line in axes.get_lines()}
            assert {name: lines[name] for name in EMOTIONS} == {name: theme.color(name) for name in EMOTIONS}
            assert {name: colour_of(figure, name) for name in EMOTIONS} == {name: theme.ink(name) for name in EMOTIONS}
        matrix = dominance.confusion(counts())
        assert {name: colour_of(matrix, name) for name in EMOTIONS} == {name: theme.ink(name) for name in EMOTIONS}
    assert [theme.color(name) for name in EMOTIONS] == [emotion(name).color for name in EMOTIONS]


# Severe colour blindness, linear RGB (Machado, Oliveira & Fernandes 2009, table 1, severity 1.0).
BLINDNESS = {
    "none": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}


def oklab(colour: str, seen: np.ndarray) -> np.ndarray:
    """Ottosson 2020."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)])
    cones = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]) @ np.clip(seen @ linear, 0, 1)
    return np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]) @ np.cbrt(cones)


@pytest.mark.parametrize("dark", [False, True])
def test_emotion_colours_stand_out_from_the_page_in_grey_and_for_the_colour_blind(dark):
    with theme.use(dark=dark) as page:
        colours = [theme.color(name) for name in EMOTIONS]
        assert min(theme.contrast(c, page.paper) for c in colours) >= 3
        assert min(theme.contrast(theme.ink(name), page.paper) for name in EMOTIONS) >= 4.5
        grey = sorted(116 * theme.luminance(c) ** (1 / 3) - 16 for c in colours)
        assert min(np.diff(grey)) > 2.9, "two emotions are the same grey"  # L*; about 1 can just be told apart
        for kind, seen in BLINDNESS.items():
            places = [oklab(c, seen) for c in colours]
            nearest = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(places, 2))
            assert nearest > 0.05, f"two emotions look the same ({kind})"


def test_contrast_follows_wcag():
    assert theme.contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert theme.contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert theme.mix("#000000", "#FFFFFF", 0.2) == "#333333"


def test_drawing_leaves_matplotlib_as_it_was(cell):
    import matplotlib.pyplot as plt

    before, opened = dict(mpl.rcParams), plt.get_fignums()
    with theme.use(dark=True):
        for draw in FIGURES.values():
            draw(cell)
    with pytest.raises(UnknownEmotion), theme.use(dark=True):
        theme.color("melancholy")
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == opened
    assert theme.look() is theme.LIGHT


@pytest.mark.parametrize("name", FIGURES)
def test_dark_figure_stays_dark_when_it_is_drawn_later(cell, name):
    with theme.use(dark=True) as page:
        figure = FIGURES[name](cell)
    assert to_hex(figure.get_facecolor()).upper() == page.paper
    for text in texts(figure):
        readable = max(theme.contrast(to_hex(text.get_color()), back) for back in (page.paper, "#DCE3EC", emotion("happy").color))
        assert readable > 2.9, f"{text.get_text()!r} cannot be read"
    ticks = [t for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in axis.get_major_ticks()]
    assert {to_hex(t.tick1line.get_color()).upper() for t in ticks} <= {page.muted, page.ink}


def test_look_of_one_thread_does_not_leak_into_another():
    from concurrent.futures import ThreadPoolExecutor

    before = dict(mpl.rcParams)

    def draw(i: int) -> tuple[bool, str]:
        with theme.use(dark=bool(i % 2)):
            return bool(i % 2), to_hex(dominance.following(following_table(m=(0.5, 0.2))).get_facecolor()).upper()

    with ThreadPoolExecutor(4) as pool:
        assert all(paper == (theme.DARK if dark else theme.LIGHT).paper for dark, paper in pool.map(draw, range(8)))
    assert dict(mpl.rcParams) == before


# --- speech ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("sad",), ("neutral",), ("happy", "fear"), ("neutral", "angry", "surprise")])
def test_cells_with_missing_emotions_are_drawn_in_house_order(cell, names):
    figure = speech.cell({name: cell[name] for name in reversed(names)})
    shown = [t.get_text() for t in texts(figure) if t.get_text() in EMOTIONS]
    assert shown == [name for name in EMOTIONS if name in names]
    assert_room(figure)
    other = speech.contours({name: cell[name] for name in names})
    assert ("the neutral median" in words_of(other)) == ("neutral" in names)
    assert_room(other)


def test_cell_notes_duration_level_and_pitch():
    """Eight harmonics of amplitude a have a level of 20 log10(a sqrt(8 / 2))."""
    t = np.arange(RATE) / RATE
    wave = 0.02 * sum(np.sin(2 * np.pi * 200 * k * t) for k in range(1, 9))
    figure = speech.cell({"sad": Utterance("1", "Ah.", "sad", "s1", "x", "test", waveform=wave.astype(np.float32))})
    (facts,) = [t.get_text() for t in texts(figure) if "dBFS" in t.get_text()]
    assert f"{20 * math.log10(0.02 * 2):.1f} dBFS".replace("-", "−") in facts
    assert "1.00 s" in facts
    assert "200 Hz" in facts


def test_silence_at_the_edges_is_cut_off_and_words_move_with_it():
    base = utterance("sad", seconds=1.0, text="Two words")
    silence = np.zeros(RATE // 2, np.float32)
    padded = Utterance(
        "p", base.text, "sad", "s1", "x", "test", waveform=np.concatenate([silence, base.samples, silence]),
        words=tuple(Word(w.text, w.start + 0.5, w.end + 0.5) for w in base.words),
    )  # fmt: skip
    heard = hearing.take_apart(padded)
    assert heard.seconds == pytest.approx(1.0, abs=0.25)
    assert heard.words[1].start == pytest.approx(0.5, abs=0.13)


def test_a_click_does_not_make_quiet_speech_count_as_silence():
    base = utterance("fear", seconds=1.0, gain=0.005)
    wave = base.samples.copy()
    wave[-2000:-1900] = 0.9
    heard = hearing.take_apart(Utterance("p", "Ah.", "fear", "s1", "x", "test", waveform=wave))
    assert heard.seconds == pytest.approx(1.0, abs=0.02)
    assert np.isfinite(heard.f0).mean() > 0.7


def test_contours_measure_semitones_from_the_neutral_median():
    figure = speech.contours({"neutral": utterance("neutral", f0=100), "happy": utterance("happy", f0=200)})
    assert "happy  +12" in words_of(figure)


def test_voice_without_pitch_and_unknown_words_are_drawn():
    noise = np.random.default_rng(0).standard_normal(RATE // 2).astype(np.float32) * 0.01
    whispered = {"fear": Utterance("1", "", "fear", "", "x", "test", waveform=noise)}
    figure = speech.cell(whispered)
    assert "Words unknown" in words_of(figure)
    assert_room(figure)
    assert_room(speech.contours(whispered))


def test_long_sentences_and_many_words_have_room():
    variants = {name: utterance(name, text=LONG, speaker="a speaker with a long name", seconds=1.5) for name in ("neutral", "angry")}
    assert_room(speech.cell(variants))
    assert_room(speech.contours(variants))


def test_signs_of_mathematics_and_of_other_scripts_are_only_text():
    figure = speech.cell({"sad": utterance("sad", text="It cost $5 and $6 \U0001f600 走了")})
    figure.draw_without_rendering()
    assert "$5 and $6" in words_of(figure)


@pytest.mark.parametrize("draw", [speech.cell, speech.contours])
def test_cells_that_cannot_be_drawn_say_so(draw, cell):
    with pytest.raises(ValueError, match="no variants"):
        draw({})
    with pytest.raises(UnknownEmotion, match="melancholy"):
        draw({"melancholy": cell["sad"]})


def test_rules_show_the_numbers_of_the_table(figures):
    table = prosody.rules()
    level = table.mean[EMOTIONS.index("angry"), prosody.ANCHORS.index(1.5), list(prosody.PARAMETERS).index("level")]
    assert f"{level:+.1f}".replace("-", "−") in words_of(figures["rules"])


# --- answers ---------------------------------------------------------------------------------------------------------------------


def test_table_marks_right_and_wrong_claims_and_counts_them(figures):
    shown = [t.get_text() for t in texts(figures["cell_table"])]
    assert shown.count("✗ hears happy") == 6
    assert shown.count("✓ hears happy") == 2
    assert "Voice emotion named rightly: baseline 1 of 7, aligned 7 of 7." in shown


def test_unreadable_answers_count_as_wrong_and_show_the_raw_text():
    rows = [{"emotion": "sad", "model": "m", "claimed": "sad", "answer": None, "text": "<thought>[Perception] broken"}]
    shown = words_of(answers.cell_table(rows))
    assert "counts as wrong" in shown
    assert "[Perception] broken" in shown
    assert "m 0 of 1" in shown
    page = answers.cell_html(rows)
    assert "counts as wrong" in page
    assert "&lt;thought&gt;" in page


def test_recordings_without_a_known_tone_are_neither_right_nor_wrong():
    rows = [{"emotion": None, "model": "m", "claimed": "sad", "answer": answer("sad"), "text": ""}]
    for shown in (words_of(answers.cell_table(rows)), re.sub(r"<[^>]*>", "", answers.cell_html(rows))):
        assert "– hears sad" in shown
        assert "not known" in shown


@pytest.mark.parametrize("names", [("sad",), ("neutral", "surprise")])
def test_long_answers_of_a_direct_and_a_reasoning_model_have_room(names):
    rows = []
    for name in names:
        chain = Chain(*(LONG for _ in range(4)))
        rows.append({"emotion": name, "model": "a-model-with-a-very-long-name/checkpoint-000100-of-stage-three", "claimed": None,
                     "answer": Answer(LONG), "text": ""})  # fmt: skip
        rows.append({"emotion": name, "model": "reasoner", "claimed": "disgust", "answer": Answer(LONG * 3, chain), "text": ""})
        rows.append(
            {"emotion": name, "model": "broken", "claimed": None, "answer": None, "text": "x" * 4000, "sentence": LONG, "speaker": "s"}
        )
    assert_room(answers.cell_table(rows))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_escapes_what_people_and_models_wrote():
    bad = '<script>alert(1)</script><img src=x onerror="y">&'
    chain = Chain(bad, bad, bad, bad)
    rows = [
        {"emotion": "sad", "model": bad, "claimed": "sad", "answer": Answer(bad, chain), "text": bad, "sentence": bad, "speaker": bad},
        {"emotion": "sad", "model": "m", "claimed": None, "answer": None, "text": bad},
    ]
    page = _Page()
    page.feed(answers.cell_html(rows))
    assert not page.open
    assert not {"script", "img", "link", "iframe"} & page.seen
    assert page.text.count(bad) == 10  # title, speaker, model twice, four steps, response, raw text


def test_page_shows_every_step_in_the_colour_of_the_voice():
    page = answers.cell_html(answer_rows())
    for name in EMOTIONS:
        assert page.count(f"--c:{emotion(name).color}") == 1
    assert page.count("<dt>Psychology</dt>") == 14
    assert page.count("(wrong)") == 6
    assert not re.search(r"https?:|@import|url\(", page)


def test_no_answers_say_so():
    for draw in (answers.cell_table, answers.cell_html):
        with pytest.raises(ValueError, match="no answers"):
            draw([])


# --- dominance -------------------------------------------------------------------------------------------------------------------


def test_verdict_needs_intervals_that_do_not_touch_unless_one_is_given():
    table = following_table(deaf=(0.1, 0.7), listener=(0.8, 0.1), torn=(0.42, 0.38))
    shown = [t.get_text() for t in texts(dominance.following(table)) if t.get_text() in dominance.VERDICTS]
    assert shown == ["follows the words", "follows the voice", "undecided"]
    table["verdict"] = "undecided"
    assert words_of(dominance.following(table)).count("undecided") == 3


def test_bars_are_as_long_as_the_shares():
    figure = dominance.following(following_table(m=(0.5, 0.2)))
    voice, neither, words = figure.axes[0].patches[:3]
    assert [p.get_width() for p in (voice, neither, words)] == pytest.approx([0.5, 0.3, 0.2])
    assert words.get_x() == pytest.approx(0.8)


def test_following_draws_rows_without_intervals_and_long_model_names():
    table = following_table(**{"a model with a name that does not fit on a line of the figure": (1.0, 0.0), "silent": (0.0, 0.0)})
    table.loc[table["model"] == "silent", ["low", "high", "chance", "n"]] = np.nan
    table = table[~((table["model"] == "silent") & (table["measure"] == "follows_neither"))]
    assert_room(dominance.following(table))
    with pytest.raises(ValueError, match="'chance'"):
        dominance.following(table.drop(columns="chance"))


def test_confusion_keeps_the_house_order_and_puts_unparsed_last():
    matrix = pd.DataFrame([[1, 0, 3], [2, 6, 0]], index=["sad", "happy"], columns=["unparsed", "happy", "sad"])
    figure = dominance.confusion(matrix, title="Two emotions")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["happy", "sad"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["happy", "sad", "unparsed"]
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(np.array([[0.75, 0, 0.25], [0, 0.75, 0.25]]))
    assert_room(figure)
    with pytest.raises(ValueError, match="melancholy"):
        dominance.confusion(pd.DataFrame([[1]], index=["melancholy"], columns=["sad"]))


def test_confusion_draws_an_emotion_without_items():
    matrix = counts(("happy", "sad"))
    matrix.loc["sad"] = 0
    assert "no items" in words_of(dominance.confusion(matrix))


def test_causes_without_pooled_rows_show_the_mean_of_the_seeds():
    table = cause_table().dropna(subset=["seed"])
    figure = dominance.two_by_two(table.assign(low=np.nan, high=np.nan))
    large = [line for line in figure.axes[0].get_lines() if line.get_markersize() == 9]
    assert [list(line.get_ydata()) for line in large] == [pytest.approx([0.21, 0.41]), pytest.approx([0.51, 0.71])]
    assert_room(figure)


# --- training --------------------------------------------------------------------------------------------------------------------


def test_curves_keep_every_stage_and_name_and_skip_nan():
    table = curve_table()
    table.loc[table["step"] == 3, "value"] = np.nan
    figure = training.curves(table)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["I", "III", "III"]
    assert {t.get_text() for axes in figure.axes for t in axes.get_legend().get_texts()} == {
        "loss", "eval loss", "reward", "reward empathy", "reward format", "gate"
    }  # fmt: skip
    with pytest.raises(ValueError, match="no finite values"):
        training.curves(table.assign(value=np.nan))


def test_curves_of_one_point_and_with_long_names_have_room():
    rows = [(LONG, 0, name, 1.0) for name in ("loss", "a_measure_" * 12, "reward_" + "very_" * 20 + "long")]
    assert_room(training.curves(pd.DataFrame(rows, columns=["stage", "step", "name", "value"])))


# --- files -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_svg_points_to_nothing_on_a_network(figures, name):
    drawing = theme.svg(figures[name])
    assert drawing.startswith("<svg")
    assert not re.search(r"https?:", re.sub(r'\bxmlns(:\w+)?="[^"]*"', "", drawing))
    assert "<text" not in drawing


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_figures_are_saved_whole(figures, tmp_path: Path, ending):
    path = theme.save(figures["following"], tmp_path / "new" / f"f.{ending}")
    assert path.stat().st_size > 3000
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_notebooks_show_figures_that_pyplot_does_not_know(figures):
    assert figures["two_by_two"]._repr_png_().startswith(b"\x89PNG")


# --- reward hacking watch --------------------------------------------------------------------------------------------------------


def test_the_watch_shows_the_reward_beside_what_is_not_rewarded() -> None:
    from cogviz.plotting.training import WATCHED, watch

    rows = [("dr-sapo", step, f"{name} ({route})", 0.1 * step) for name in WATCHED for route in ("reason", "direct") for step in (1, 2, 3)]
    rows += [("explicit", 1, "loss", 2.0), ("dr-sapo", 1, "reward_total (reason)", 0.5)]
    table = pd.DataFrame(rows, columns=["stage", "step", "name", "value"])
    figure = watch(table)
    assert len(figure.axes) == len(WATCHED)
    assert all(len(axes.lines) == 4 for axes in figure.axes), "points and a line for each of two routes"
    assert "held out" in figure.axes[1].get_title(loc="left") + figure.axes[1].get_title()
    with pytest.raises(ValueError, match="no reward hacking watch"):
        watch(table[table["stage"] == "explicit"])
