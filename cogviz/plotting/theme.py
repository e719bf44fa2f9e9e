"""The one look: colours, fonts, sizes, light and dark, and the small tools that every figure is drawn with.

Figures are made without pyplot, so that nothing stays open. matplotlib's settings are changed only while a figure is drawn, one thread at a
time, and everything that is drawn later (ticks, legends) has its colours written down, so that a figure keeps its look outside `use`.
"""

from __future__ import annotations

import functools
import io
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure

from cogviz.emotions import EMOTIONS, emotion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties
    from matplotlib.image import AxesImage

P = ParamSpec("P")
Style = Literal["normal", "italic"]


@dataclass(frozen=True)
class Look:
    """Colours of a page. `voice`, `words`, `neither` are roles and no emotion's colour; `series` are further lines, darkest first."""

    dark: bool
    paper: str
    ink: str
    muted: str
    line: str
    panel: str
    voice: str
    words: str
    neither: str
    series: tuple[str, ...]


LIGHT = Look(
    dark=False, paper="#FFFFFF", ink="#1D2126", muted="#5C646E", line="#D5D9DE", panel="#F4F5F7",
    voice="#2B3A4E", words="#B08A52", neither="#E3E6EA",
    series=("#2B3A4E", "#B0763A", "#6E8CAB", "#8B4A5E", "#7C8B57", "#8E939B"),
)  # fmt: skip
DARK = Look(
    dark=True, paper="#15181E", ink="#ECEEF1", muted="#A3ABB6", line="#363C46", panel="#1D2129",
    voice="#DCE3EC", words="#B8935C", neither="#333A45",
    series=("#DCE3EC", "#E0A669", "#7FA3C8", "#C98097", "#A6B87A", "#8A929D"),
)  # fmt: skip

LIFT = 0.3
"""Share of white mixed into an emotion's colour on the dark page; every emotion gets the same, so that their order of lightness stays."""

MARKERS: dict[str, str] = dict(zip(EMOTIONS, "oD^svPX", strict=True))
"""A marker an emotion, so that colour is never the only sign."""

TITLE, SUBTITLE, TEXT, SMALL, TINY = 15.0, 10.5, 9.5, 8.5, 7.5
"""Font sizes in points."""

FONT = "DejaVu Sans"  # ships with matplotlib

HINTING = 1.06
"""A line is up to 6% wider on the screen than its outlines, because letters are moved to whole pixels."""

_look: ContextVar[Look] = ContextVar("look", default=LIGHT)
_lock = threading.RLock()  # matplotlib's settings belong to the whole process


def look() -> Look:
    """Return the look that is in use: `LIGHT` unless inside `use(dark=True)`."""
    return _look.get()


@contextmanager
def use(*, dark: bool = False) -> Iterator[Look]:
    """Draw on a light or dark page inside the `with` block; matplotlib's settings are as before behind it."""
    chosen = DARK if dark else LIGHT
    with _lock, mpl.rc_context(_settings(chosen)):
        token = _look.set(chosen)
        try:
            yield chosen
        finally:
            _look.reset(token)


def _settings(page: Look) -> dict[Any, Any]:
    return {
        "figure.facecolor": page.paper, "savefig.facecolor": "auto",
        "axes.facecolor": page.paper, "figure.dpi": 100, "savefig.dpi": "figure",
        "font.family": FONT, "font.size": TEXT, "text.color": page.ink, "text.parse_math": False, "text.usetex": False,
        "axes.edgecolor": page.muted, "axes.labelcolor": page.ink, "axes.labelsize": TEXT, "axes.titlesize": TEXT + 1.5,
        "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.titlecolor": page.ink, "axes.linewidth": 0.8,
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": False, "axes.unicode_minus": True,
        "grid.color": page.line, "grid.linewidth": 0.7, "xtick.color": page.muted, "ytick.color": page.muted,
        "xtick.labelcolor": page.ink, "ytick.labelcolor": page.ink, "xtick.labelsize": SMALL, "ytick.labelsize": SMALL,
        "xtick.direction": "out", "ytick.direction": "out", "legend.frameon": False, "legend.fontsize": SMALL,
        "legend.labelcolor": page.ink,
        "lines.linewidth": 1.8, "lines.solid_capstyle": "round", "hatch.linewidth": 0.8, "svg.fonttype": "path", "svg.hashsalt": "cogviz",
        "axes.prop_cycle": cycler(color=page.series),
    }  # fmt: skip


class Picture(Figure):
    """A Figure that a notebook shows although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw a figure in the look that is in use, the light one by default."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with use(dark=look().dark) as page:
            figure = function(*args, **kwargs)
            for axes in figure.axes:
                # matplotlib makes some ticks only when it draws, with the settings of that moment.
                axes.tick_params(axis="both", which="both", color=page.muted)
            return figure

    return inside


def figure(width: float, height: float) -> Picture:
    """Return an empty figure of `width` x `height` inches."""
    return Picture(figsize=(width, height))


# --- colour ----------------------------------------------------------------------------------------------------------------------


def color(name: str) -> str:
    """Return the colour of an emotion for lines and areas on the page in use; raises `UnknownEmotion`."""
    base = emotion(name).color
    return mix(base, "#FFFFFF", LIFT) if look().dark else base


def ink(name: str, *, on: str | None = None) -> str:
    """Return an emotion's colour for text: moved towards the page's ink until it has a contrast of 4.5:1."""
    page = look()
    start = color(name)
    steps = (mix(start, page.ink, share / 20) for share in range(21))
    return next((c for c in steps if contrast(c, on or page.paper) >= 4.5), page.ink)


def mix(first: str, second: str, share: float) -> str:
    """Return `first` with `share` (0 .. 1) of `second` mixed in, in sRGB."""
    (r, g, b), (x, y, z) = to_rgb(first), to_rgb(second)
    return to_hex((r + (x - r) * share, g + (y - g) * share, b + (z - b) * share)).upper()


def luminance(value: str) -> float:
    """Relative luminance 0 .. 1 of a colour (WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(value)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio 1 .. 21 of two colours (WCAG 2.1)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def text_on(background: str) -> str:
    """Return near-black or white, whichever reads better on a colour."""
    return max(("#FFFFFF", "#15181E"), key=lambda c: contrast(c, background))


def shade(image: AxesImage, value: float) -> str:
    """The colour that an image gives to a value, to choose the text on it."""
    red, green, blue, _ = image.to_rgba(np.array([value]))[0]
    return to_hex((float(red), float(green), float(blue)))


def sequential() -> LinearSegmentedColormap:
    """Page -> ink, for shares and levels."""
    page = look()
    return LinearSegmentedColormap.from_list("page", [page.panel, mix(page.panel, page.voice, 0.55), page.voice])


def diverging() -> LinearSegmentedColormap:
    """Teal (less) -> page -> rust (more), both ends equally far from the page."""
    ends = ("#5FB4C4", "#E08A5B") if look().dark else ("#1D7386", "#B5532A")
    return LinearSegmentedColormap.from_list(
        "change", [ends[0], mix(ends[0], look().paper, 0.45), look().panel, mix(ends[1], look().paper, 0.45), ends[1]]
    )


# --- text ------------------------------------------------------------------------------------------------------------------------


@functools.cache
def _glyphs() -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())


def plain(text: object) -> str:
    """One line of text that the font can write: white space joined, unknown characters as a box."""
    return "".join(c if ord(c) in _glyphs() else "\u25a1" for c in " ".join(str(text).split()))


@functools.cache
def _font(size: float, weight: str, style: Style) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=FONT, size=size, weight=weight, style=style)


@functools.lru_cache(maxsize=20_000)
def text_width(text: str, size: float, weight: str = "normal", style: Style = "normal") -> float:
    """Width of one line in inches."""
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(text, _font(size, weight, style), ismath=False)
    return float(width) / 72 * HINTING


def wrap(
    text: object, width: float, size: float, *, weight: str = "normal", style: Style = "normal", lines: int | None = None
) -> list[str]:
    """Break text into lines at most `width` inches wide; with `lines`, what does not fit ends in an ellipsis."""
    done: list[str] = []
    now = ""
    for word in plain(text).split(" "):
        if lines is not None and len(done) > lines:
            break
        trial = f"{now} {word}".strip()
        if text_width(trial, size, weight, style) <= width:
            now = trial
            continue
        if now:
            done.append(now)
        # A word wider than the line is broken.
        while (most := text_width(word, size, weight, style)) > width and len(word) > 1 and (lines is None or len(done) <= lines):
            fits = max(int(len(word) * width / most), 1)
            while fits > 1 and text_width(word[:fits], size, weight, style) > width:
                fits -= 1
            done.append(word[:fits])
            word = word[fits:]
        now = word
    done.append(now)
    if lines is not None and len(done) > lines:
        last = done[lines - 1]
        while last and text_width(f"{last}…", size, weight, style) > width:
            last = last[:-1]
        done = [*done[: lines - 1], f"{last.rstrip()}…"]
    return done


def heading(target: Figure, title: object, subtitle: object = "", *, left: float = 0.3, top: float = 0.22) -> float:
    """Write the title and what stands under it at the top left; return the inches that they take."""
    page, (width, height) = look(), target.get_size_inches()
    y = top
    for text, size, weight, colour, lines in ((title, TITLE, "bold", page.ink, 3), (subtitle, SUBTITLE, "normal", page.muted, 4)):
        if not str(text).strip():
            continue
        for line in wrap(text, width - 2 * left, size, weight=weight, lines=lines):
            target.text(left / width, 1 - y / height, line, size=size, weight=weight, color=colour, va="top", ha="left")
            y += size * 1.38 / 72
        y += 0.05
    return y


def note(target: Figure, text: object, *, left: float = 0.3, bottom: float = 0.12) -> float:
    """Write small print at the bottom left; return the inches that it takes."""
    page, (width, height) = look(), target.get_size_inches()
    lines = wrap(text, width - 2 * left, TINY, lines=4)
    for i, line in enumerate(reversed(lines)):
        target.text(left / width, (bottom + i * TINY * 1.4 / 72) / height, line, size=TINY, color=page.muted, va="bottom", ha="left")
    return bottom + len(lines) * TINY * 1.4 / 72


def lines_of(text: object, width: float, size: float, *, weight: str = "normal", lines: int) -> int:
    """Number of lines that `wrap` makes, at most `lines`."""
    return len(wrap(text, width, size, weight=weight, lines=lines)) if str(text).strip() else 0


def heading_height(width: float, title: object, subtitle: object = "", *, left: float = 0.3, top: float = 0.22) -> float:
    """Inches that `heading` will take on a figure of this width; to choose the figure's height."""
    titles = lines_of(title, width - 2 * left, TITLE, weight="bold", lines=3)
    subtitles = lines_of(subtitle, width - 2 * left, SUBTITLE, lines=4)
    return top + (titles * TITLE + subtitles * SUBTITLE) * 1.38 / 72 + 0.05 * ((titles > 0) + (subtitles > 0))


def place(target: Figure, left: float, top: float, width: float, height: float, **options: Any) -> Axes:
    """Add axes by their place in inches from the top left corner."""
    across, down = target.get_size_inches()
    return target.add_axes((left / across, 1 - (top + height) / down, width / across, height / down), **options)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart: return places in the same order, at least `gap` from each other where [low, high] has room, as near as may be."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    gap = min(gap, (high - low) / max(len(places) - 1, 1))
    moved = [min(max(places[i], low), high) for i in order]
    for _ in range(200):
        for j in range(len(moved) - 1):
            short = gap - (moved[j + 1] - moved[j])
            if short > 1e-9:
                moved[j], moved[j + 1] = moved[j] - short / 2, moved[j + 1] + short / 2
        moved = [min(max(y, low + gap * j), high - gap * (len(moved) - 1 - j)) for j, y in enumerate(moved)]
    result = [0.0] * len(places)
    for i, y in zip(order, moved, strict=True):
        result[i] = y
    return result


# --- files -----------------------------------------------------------------------------------------------------------------------


def svg(target: Figure) -> str:
    """Return the figure as an `<svg>` element for a page: text as outlines, nothing that points to a network."""
    buffer = io.StringIO()
    with _lock, mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "cogviz"}):
        target.savefig(buffer, format="svg", metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    return re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)


def save(target: Figure, path: str | Path, *, dpi: float = 160) -> Path:
    """Write a figure as PNG, SVG or PDF by the file's ending, to a temporary name first; return the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        if path.suffix.lower() == ".svg":
            temporary.write_text(svg(target), encoding="utf-8")
        else:
            target.savefig(temporary, format=path.suffix.lstrip(".").lower() or "png", dpi=dpi)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
