"""The sound of one utterance with what spoke in it: relevance over the log-mel and by word, beside F0 and level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.attribution.paths import HOP, warped
from cogviz.attribution.words import TRACK, by_word, hertz, tracks
from cogviz.audio import RATE, speech_span
from cogviz.plotting import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogviz.attribution.gradients import Attribution
    from cogviz.attribution.words import SpokenWord

METHOD = {
    "integrated_gradients": "integrated gradients", "gradient_x_input": "gradient × difference", "gradient_shap": "GradientSHAP",
    "occlusion": "occlusion",
}  # fmt: skip


@theme.styled
def sound(attribution: Attribution, index: int = 0, *, answer: str = "") -> Figure:
    """Draw one utterance: its log-mel with the relevance over it, the relevance of each word, F0 and level beside the neutral rendering's.

    Args:
        attribution: over the log-mel. answer: what the model named, for the title.

    Raises:
        ValueError: it is not over the log-mel.
    """
    if attribution.over != "mel":
        raise ValueError("only an attribution over the log-mel is drawn over it; for tokens see `tokens`")
    u, words, page = attribution.utterances[index], by_word(attribution)[index], theme.look()
    title = f"Which sound of which word spoke? “{u.text}”"
    about = f"said {u.emotion}" + (f", words {u.lexical_emotion}" if u.lexical_emotion else "") + (f", heard as {answer}" if answer else "")
    change = attribution.whole[index] - attribution.baseline[index]
    subtitle = f"{about}; speaker {u.speaker}. Relevance for {attribution.target} ({METHOD.get(attribution.method, attribution.method)}): "
    subtitle += (
        f"the sound adds {signed(change)} against {against(attribution)}; the relevance adds up to {signed(attribution.sums[index])}."
    )
    width, left, right = 12.6, 1.0, 1.5
    top = theme.heading_height(width, title, subtitle) + 0.15
    heights, gap = (2.7, 1.35, 1.15, 1.0), 0.16
    figure = theme.figure(width, top + sum(heights) + 3 * gap + 0.62)
    theme.heading(figure, title, subtitle)
    start = speech_span(u.samples)[0] / RATE
    end = start + attribution.values[index].shape[1] * HOP
    panels = []
    for i, height in enumerate(heights):
        axes = theme.place(figure, left, top + sum(heights[:i]) + i * gap, width - left - right, height)
        axes.set_xlim(start, end)
        for word in words:
            axes.axvline(word.start, color=page.line, linewidth=0.7, zorder=1)
        if i < len(heights) - 1:
            axes.set_xticklabels([])
        panels.append(axes)
    image = _heat(panels[0], attribution, index, start, end)
    bar = figure.colorbar(image, cax=theme.place(figure, width - right + 0.15, top + 0.3, 0.14, heights[0] - 0.6))
    bar.set_ticks([-1, 0, 1], labels=["against", "0", "for"], size=theme.SMALL)
    bar.outline.set_visible(False)
    _word_bars(panels[1], words, left=width - left - right)
    pitch, level = tracks(u)
    at = np.arange(max(len(pitch), len(level))) * TRACK
    panels[2].plot(at[: len(pitch)], pitch, color=page.voice, linewidth=2.2, zorder=3)
    panels[3].plot(at[: len(level)], np.maximum(level, -60), color=page.voice, linewidth=1.6, zorder=3)
    if attribution.references is not None:
        frames = attribution.values[index].shape[1]
        reference = attribution.references[index]
        source = warped(u, reference, frames) * HOP + speech_span(reference.samples)[0] / RATE
        other = tracks(reference)
        when = start + (np.arange(frames) + 0.5) * HOP
        style: dict[str, Any] = {"color": page.words, "linewidth": 1.5, "linestyle": (0, (3, 1.5)), "zorder": 2}
        for axes, track, floor in ((panels[2], other[0], -np.inf), (panels[3], other[1], -60.0)):
            axes.plot(when, np.maximum(track[np.minimum((source / TRACK).astype(int), len(track) - 1)], floor), **style)
        for label, colour, y in (
            (str(u.emotion), page.voice, 0.72),
            ("neutral rendering", page.words, 0.42),
            ("word by word", page.words, 0.2),
        ):
            shown = theme.mix(colour, page.ink, 0.25)
            panels[2].text(1.015, y, label, transform=panels[2].transAxes, size=theme.SMALL, weight="bold", color=shown, va="center")
    if np.isfinite(pitch).any():  # the tracker's spikes at the edges of voiced sound would flatten the rest
        low, high = np.nanpercentile(pitch, [2, 98])
        panels[2].set_ylim(low - 3, high + 3)
    panels[2].set_ylabel("F0 (st\nover 100 Hz)")
    panels[3].set(ylabel="level (dBFS)", xlabel="time (s)", ylim=(-60, max(-10.0, float(level.max()) + 3)))
    for axes in panels[2:]:
        axes.grid(True, axis="y", color=page.line)
    return figure


def _heat(axes: Axes, attribution: Attribution, index: int, start: float, end: float) -> Any:
    """The log-mel in grey, relevance in colour where there is some."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from scipy.ndimage import gaussian_filter

    mel, page = attribution.sound[index], theme.look()
    extent = (start, end, 0.0, float(len(mel)))
    grey = LinearSegmentedColormap.from_list("grey", [page.paper, theme.mix(page.paper, page.muted, 0.75)])
    axes.imshow(mel, origin="lower", aspect="auto", extent=extent, cmap=grey, zorder=0)
    smooth = gaussian_filter(attribution.values[index], (1.5, 3.0))
    scaled = np.clip(smooth / max(float(np.percentile(np.abs(smooth), 99.5)), 1e-12), -1, 1)
    colours = ScalarMappable(Normalize(-1, 1), theme.diverging())
    rgba = colours.to_rgba(np.sign(scaled) * (0.35 + 0.65 * np.abs(scaled)))
    rgba[..., 3] = np.clip(np.abs(scaled) * 1.6, 0, 0.92)
    axes.imshow(rgba, origin="lower", aspect="auto", extent=extent, zorder=2, interpolation="bilinear")
    centres = hertz(len(mel))
    wanted = [250, 500, 1000, 2000, 4000]
    axes.set_yticks([float(np.interp(f, centres, np.arange(len(mel)) + 0.5)) for f in wanted], ["250", "500", "1k", "2k", "4k"])
    axes.set_ylabel("frequency (Hz)")
    return colours


def _word_bars(axes: Axes, words: Sequence[SpokenWord], *, left: float) -> None:
    page = theme.look()
    less, more = theme.diverging()(0.05), theme.diverging()(0.95)
    values = np.array([w.relevance for w in words])
    span = max(float(np.abs(values).max()), 1e-6)
    for word in words:
        axes.bar(
            word.start, word.relevance, width=word.end - word.start, align="edge", color=more if word.relevance > 0 else less,
            edgecolor=page.paper, linewidth=1.2, zorder=2,
        )  # fmt: skip
        inches = (word.end - word.start) / (axes.get_xlim()[1] - axes.get_xlim()[0]) * left
        size = theme.TEXT if theme.text_width(word.text, theme.TEXT) < inches + 0.1 else theme.TINY
        up = word.relevance >= 0
        axes.text(
            (word.start + word.end) / 2, word.relevance + (0.05 if up else -0.05) * span, word.text, ha="center", va="bottom" if up else "top",
            size=size, color=page.ink, weight="bold" if abs(word.relevance) == span else "normal",
        )  # fmt: skip
    axes.axhline(0, color=page.muted, linewidth=0.8)
    axes.set_ylim(min(0.0, float(values.min())) - 0.32 * span, max(0.0, float(values.max())) + 0.32 * span)
    axes.set_ylabel("relevance\nof the word")


def signed(value: float) -> str:
    """Write a number with its sign and one decimal."""
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}".replace("-", "−")


def against(attribution: Attribution) -> str:
    """Say in words what the baseline is (see `attribution.paths`)."""
    if attribution.over == "mel":
        return "the neutral rendering" if attribution.references else "silence"
    tone = "the neutral rendering’s tone" if attribution.references else "a neutral tone"
    return {"audio": f"{tone} and average words", "text": "average tokens"}.get(attribution.over, f"{tone} and average tokens")
