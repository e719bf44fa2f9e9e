"""What the voice does: the variants of a cell as waveform, spectrogram and F0, and as contours over each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.audio import RATE
from cogviz.emotions import EMOTIONS
from cogviz.lime import world
from cogviz.plotting import hearing, theme
from cogviz.plotting.contours import contours
from cogviz.plotting.rules import rules
from cogviz.utterance import Utterance, Word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cell", "contours", "recordings", "rules"]

BANDS = 80
DEPTH = 70.0  # dB that the spectrogram shows under the loudest point of the cell
_KHZ = (0.25, 0.5, 1, 2, 4, 8)
_F0_TICKS = (50, 75, 100, 150, 200, 300, 400, 600, 800)


@theme.styled
def cell(variants: dict[str, Utterance]) -> Figure:
    """Draw one sentence in its emotions side by side: waveform, words, log-mel spectrogram with F0 over it.

    Args:
        variants: {emotion: variant}, as `cogviz.utterance.cells` gives them; any number of the seven.
    """
    heard = hearing.listen(variants)
    change = ": the words stay, the voice changes" if len(heard) > 1 else ""
    return _panels(heard, hearing.title(heard), f"One sentence in {hearing.count(heard)}{change}.")


@theme.styled
def recordings(utterances: Sequence[Utterance], *, title: str = "") -> Figure:
    """Draw recordings whose emotion nobody knows as `cell` draws variants, each under its id; `title`: "" for one of our own.

    Raises `ValueError` where there is none.
    """
    if not utterances:
        raise ValueError("nothing to draw: no recordings")
    heard = {u.id: hearing.take_apart(u) for u in utterances}
    title = title or (f"Your recording: {utterances[0].id}" if len(heard) == 1 else f"Your {len(heard)} recordings")
    return _panels(heard, title, "Waveform, mel spectrogram and pitch (F0).")


def _panels(heard: dict[str, hearing.Heard], title: str, subtitle: str) -> Figure:
    """Draw a panel each, and the key behind the last; the keys of `heard` are emotions, or names that get no emotion's colour."""
    columns = min(len(heard) + 1, 4)
    rows = -(-(len(heard) + 1) // columns)
    left, right, gap, slot = 0.78, 0.62, 0.22, 2.82
    width = left + right + columns * slot + (columns - 1) * gap
    end = max(h.seconds for h in heard.values())
    lanes = {name: _lanes(h.words, end, slot) for name, h in heard.items()}
    strip = 0.15 * max((lane for placed in lanes.values() for _, lane, _ in placed), default=-1) + (0.2 if any(lanes.values()) else 0.17)
    subtitle += " One scale for time, amplitude, level and F0; silence at the edges cut off."
    tall = 0.5 + 0.5 + strip + 1.5
    top = theme.heading_height(width, title, subtitle) + 0.08
    figure = theme.figure(width, top + rows * tall + (rows - 1) * 0.42 + 0.62)
    theme.heading(figure, title, subtitle)

    mels = {name: _log_mel(h.samples) for name, h in heard.items()}
    loudest = max(float(m.max()) for m in mels.values())
    peak = max(float(np.abs(h.samples).max()) for h in heard.values())
    voiced = np.concatenate([h.f0[np.isfinite(h.f0)] for h in heard.values()])
    f0_limits = np.log2(np.percentile(voiced, [0.5, 99.5]) * [0.88, 1.14]) if len(voiced) else None
    image = None
    for i, (name, h) in enumerate(heard.items()):
        row, column = divmod(i, columns)
        x, y = left + column * (slot + gap), top + row * (tall + 0.42)
        _header(figure, x, y, name, h)
        wave = theme.place(figure, x, y + 0.5, slot, 0.5)
        _waveform(wave, h, _color(name), peak, end)
        mel = theme.place(figure, x, y + 1.0 + strip, slot, 1.5)
        image = mel.imshow(
            mels[name] - loudest,
            origin="lower",
            aspect="auto",
            extent=(0, h.seconds, 0, BANDS),
            vmin=-DEPTH,
            vmax=0,
            cmap=theme.sequential(),
        )
        mel.set(xlim=(0, end), ylim=(0, BANDS), xticks=_seconds(end))
        mel.set_yticks(_mel_places(_KHZ), [f"{k:g}" for k in _KHZ] if column == 0 else [])
        if column == 0:
            mel.set_ylabel("frequency (kHz, mel)")
            wave.set_ylabel("amplitude", rotation=0, ha="right", va="center", fontsize=theme.TINY)
        _words(figure, wave, mel, lanes[name], strip)
        if i + columns >= len(heard):
            mel.set_xlabel("time (s)")
        last = column == columns - 1 or i == len(heard) - 1
        _f0(mel, h, name, f0_limits, heard["neutral"].median_f0 if "neutral" in heard else float("nan"), labels=last)
    row, column = divmod(len(heard), columns)
    _key(figure, left + column * (slot + gap) + (0.5 if column else 0), top + row * (tall + 0.42), image, neutral="neutral" in heard)
    return figure


def _color(name: str) -> str:
    return theme.color(name) if name in EMOTIONS else theme.look().series[2]


def _log_mel(samples: np.ndarray) -> np.ndarray:
    """(80, T) dB, bands up to 8 kHz, 32 ms windows every 10 ms."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=1024, win_length=512, hop_length=hearing.HOP, n_mels=BANDS, fmax=RATE / 2
    )
    return 10 * np.log10(np.maximum(power, 1e-12))


def _seconds(end: float) -> list[float]:
    """At most five round times, none so near the end that its label touches the next panel."""
    step = next((s for s in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if end / s <= 5), 20.0)
    return [float(t) for t in np.arange(0, 0.94 * end, step)]


def _mel_places(khz: Iterable[float]) -> list[float]:
    import librosa

    mel = librosa.hz_to_mel(np.array([*khz]) * 1000)
    return list(mel / librosa.hz_to_mel(RATE / 2) * BANDS)


def _header(figure: Figure, x: float, y: float, name: str, h: hearing.Heard) -> None:
    width, height = figure.get_size_inches()
    facts = [f"{h.seconds:.2f} s", f"{h.level:.1f} dBFS".replace("-", "−")]
    facts.append(f"median F0 {h.median_f0:.0f} Hz" if np.isfinite(h.median_f0) else "no voiced sound")
    if h.utterance.emotion is not None and h.utterance.intensity > 0 and name != "neutral":
        facts.append(f"k = {h.utterance.intensity:g}")
    label, ink = (name, theme.ink(name)) if name in EMOTIONS else (theme.wrap(name, 2.8, 13, weight="bold", lines=1)[0], theme.look().ink)
    figure.text(x / width, 1 - (y + 0.1) / height, label, size=13, weight="bold", color=ink, va="center")
    figure.text(x / width, 1 - (y + 0.34) / height, "  ·  ".join(facts), size=theme.TINY, color=theme.look().muted, va="center")


def _waveform(axes: Axes, h: hearing.Heard, colour: str, peak: float, end: float) -> None:
    """The range of the samples in each of 500 steps; pale behind it the same, scaled to its own peak."""
    edges = np.unique(np.linspace(0, len(h.samples), min(500, len(h.samples)) + 1).astype(int))[:-1]
    low, high = np.minimum.reduceat(h.samples, edges) / peak, np.maximum.reduceat(h.samples, edges) / peak
    own = peak / max(float(np.abs(h.samples).max()), 1e-9)
    axes.fill_between(edges / RATE, low * own, high * own, color=theme.mix(colour, theme.look().paper, 0.78), linewidth=0)
    axes.fill_between(edges / RATE, low, high, color=colour, linewidth=0.4)
    axes.set(xlim=(0, end), ylim=(-1.05, 1.05), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _lanes(words: tuple[Word, ...], end: float, width: float) -> list[tuple[Word, int, str]]:
    """Give each word a lane in which it does not touch the one before; a word without room keeps its time mark, with no label."""
    ends = [-1.0] * 3
    placed = []
    for word in words:
        label = theme.plain(word.text)
        half = theme.text_width(label, theme.TINY - 0.5) / 2 + 0.025
        middle = min(max((word.start + word.end) / 2 / end * width, half), width - half)
        lane = next((i for i, taken in enumerate(ends) if taken <= middle - half), None)
        if lane is not None and 2 * half < width:
            ends[lane] = middle + half
            placed.append((word, lane, label))
        else:
            placed.append((word, 0, ""))
    return placed


def _words(figure: Figure, wave: Axes, mel: Axes, placed: list[tuple[Word, int, str]], strip: float) -> None:
    page, (_, end), box = theme.look(), mel.get_xlim(), mel.get_position()
    across, height = figure.get_size_inches()
    width = box.width * across
    for word, lane, label in placed:
        wave.axvline(word.start, color=page.line, linewidth=0.6, zorder=0)
        mel.axvline(word.start, ymin=0.955, color=page.muted, linewidth=0.7)
        if label:
            half = theme.text_width(label, theme.TINY - 0.5) / 2 + 0.02
            middle = min(max((word.start + word.end) / 2 / end * width, half), width - half)
            y = box.y1 + (strip - 0.11 - 0.15 * lane) / height
            figure.text(box.x0 + middle / across, y, label, size=theme.TINY - 0.5, color=page.ink, ha="center", va="center")


def _f0(mel: Axes, h: hearing.Heard, name: str, limits: Any, neutral: float, *, labels: bool) -> None:
    """Draw F0 in Hz over the spectrogram, on a logarithmic axis of its own at the right, as phoneticians do."""
    from matplotlib import patheffects

    axes, page = mel.twinx(), theme.look()
    axes.spines[:].set_visible(False)
    if limits is None:
        axes.set_yticks([])
        return
    halo = [patheffects.Stroke(linewidth=4.2, foreground=page.paper), patheffects.Normal()]
    if np.isfinite(neutral):
        axes.axhline(np.log2(neutral), color=page.ink, linewidth=1, linestyle=(0, (1, 2)))
    if np.isfinite(h.f0).any():
        axes.plot(np.arange(len(h.f0)) * world.FRAME, np.log2(h.f0), color=_color(name), linewidth=2.2, path_effects=halo, label=name)
    ticks = [t for t in _F0_TICKS if limits[0] <= np.log2(t) <= limits[1]]
    axes.set_ylim(*limits)
    axes.set_yticks(np.log2(ticks) if labels else [], [str(t) for t in ticks] if labels else [])
    if labels:
        axes.set_ylabel("F0 (Hz)")


def _key(figure: Figure, x: float, y: float, image: Any, *, neutral: bool) -> None:
    """Say how to read the panels, in the slot behind the last one."""
    page = theme.look()
    axes = theme.place(figure, x, y + 0.5, 2.3, 1.15)
    axes.set(xlim=(0, 2.3), ylim=(1.15, 0))
    axes.axis("off")
    labels = ["F0, on the right axis", "waveform, one scale for all", "the same, scaled to its own peak"]
    labels += ["median F0 of the neutral voice"] if neutral else []
    swell = np.array([0, 0.06, 0.03, 0.09, 0])
    for i, text in enumerate(labels):
        at = 0.1 + 0.27 * i
        if i in (1, 2):
            axes.fill_between(np.linspace(0, 0.32, 5), at - swell, at + swell, color=page.muted if i == 1 else page.line)
        else:
            line: dict[str, Any] = (
                {"color": page.muted, "linewidth": 2.4} if i == 0 else {"color": page.ink, "linewidth": 1, "linestyle": (0, (1, 2))}
            )
            axes.plot([0, 0.32], [at, at], **line)
        axes.text(0.42, at, text, size=theme.TINY, va="center", color=page.ink)
    scale = theme.place(figure, x, y + 2.0, 2.2, 0.12)
    bar = figure.colorbar(image, cax=scale, orientation="horizontal")
    bar.set_label("mel level (dB under the loudest)", size=theme.TINY)
    bar.set_ticks([-60, -40, -20, 0], labels=["−60", "−40", "−20", "0"], size=theme.TINY)
    bar.outline.set_visible(False)
