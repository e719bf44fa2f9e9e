"""Figures of attribution: the sound with what spoke in it, tokens, attention against its null, shares, deletion and insertion."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.attribution.paths import HOP, warped
from cogviz.attribution.words import TRACK, by_word, hertz, tracks
from cogviz.audio import RATE, speech_span
from cogviz.plotting import theme
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogviz.attribution.attention import Looks
    from cogviz.attribution.faithfulness import Curves
    from cogviz.attribution.gradients import Attribution
    from cogviz.attribution.shares import AudioText, ToneWords
    from cogviz.attribution.words import SpokenWord

METHOD = {
    "integrated_gradients": "integrated gradients", "gradient_x_input": "gradient × difference", "gradient_shap": "GradientSHAP",
    "occlusion": "occlusion",
}  # fmt: skip

KIND = {
    "raw": "attention", "value_weighted": "attention × size of the values", "rollout": "rollout through the layers",
    "gradient_weighted": "attention × gradient, through the layers",
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
    base = "the neutral rendering" if attribution.references else "silence"
    subtitle = f"{about}; speaker {u.speaker}. Relevance for {attribution.target} ({METHOD.get(attribution.method, attribution.method)}): "
    subtitle += f"the sound changes it by {_signed(change)} against {base}; the relevance adds up to {_signed(attribution.sums[index])}."
    width, left, right = 12.5, 1.0, 1.35
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


PART = {"tone": "tone", "words": "words heard", "instruction": "instruction", "perception": "answer begun"}


@theme.styled
def tokens(attribution: Attribution, index: int = 0, *, answer: str = "") -> Figure:
    """Draw the relevance of each token of one utterance: the tone, the words that were heard, the instruction.

    Raises:
        ValueError: the attribution is over the log-mel.
    """
    if attribution.over == "mel":
        raise ValueError("an attribution over the log-mel has no tokens; see `sound`")
    u, where, values, page = attribution.utterances[index], attribution.places[index], attribution.values[index], theme.look()
    title = f"Which token spoke? “{u.text}”"
    about = f"said {u.emotion}" + (f", words {u.lexical_emotion}" if u.lexical_emotion else "") + (f", heard as {answer}" if answer else "")
    change = attribution.whole[index] - attribution.baseline[index]
    subtitle = (
        f"{about}. Relevance for {attribution.target} ({METHOD.get(attribution.method, attribution.method)}); in all {_signed(change)}."
    )
    width, left = 13.0, 0.95
    top = theme.heading_height(width, title, subtitle) + 0.5
    figure = theme.figure(width, top + 2.9 + 1.25)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, width - left - 0.3, 2.9)
    colours = {"tone": page.voice, "words": page.words, "instruction": page.series[5]}
    axes.bar(range(len(values)), values, width=0.8, color=[colours.get(s, page.series[2]) for s in where.segments])
    pieces = [theme.plain(p).strip() or "·" for p in where.pieces]
    axes.set_xticks(range(len(values)), pieces, rotation=90, fontsize=theme.SMALL)
    axes.set(xlim=(-0.7, len(values) - 0.3), ylabel="relevance")
    axes.axhline(0, color=page.muted, linewidth=0.8)
    axes.tick_params(axis="x", length=0)
    edges = [0, *(i for i in range(1, len(values)) if where.segments[i] != where.segments[i - 1]), len(values)]
    runs = list(itertools.pairwise(edges))
    largest = {where.segments[a]: (a, b) for a, b in sorted(runs, key=lambda run: run[1] - run[0])}
    for start, stop in runs:
        name = PART.get(where.segments[start], where.segments[start])
        total = float(values[where.of(where.segments[start])].sum())
        slot = (stop - start) * (width - left - 0.3) / len(values)
        label = f"{name} {_signed(total)}"
        if start:
            axes.axvline(start - 0.5, color=page.line, linewidth=1)
        if theme.text_width(label, theme.TEXT, "bold") < slot + 0.5 and largest[where.segments[start]] == (start, stop):
            axes.text(
                (start + stop - 1) / 2, 1.03, label, transform=axes.get_xaxis_transform(), ha="center", va="bottom", size=theme.TEXT,
                weight="bold", color=theme.mix(colours.get(where.segments[start], page.series[2]), page.ink, 0.3),
            )  # fmt: skip
    return figure


@theme.styled
def looks(found: Mapping[str, Sequence[Looks]]) -> Figure:
    """Draw where the deciding place looks: a panel a model, a group of bars a segment, a bar a kind of attention, the null as a line.

    Args:
        found: model -> its results, one a kind.
    """
    page = theme.look()
    first = next(iter(found.values()))
    segments = list(first[0].share)
    n = max(e.n for e in first[0].share.values())
    title = "Where does the deciding place look, and is it more than its share of the places?"
    subtitle = f"Share of the attention to each segment, with 95% intervals; n = {n} utterances. Dashes: the null, attention spread evenly over all "
    subtitle += "places that can be seen. Attention is where a model looks and not what it uses."
    each, gap, left = 5.6, 0.75, 0.85
    width = left + len(found) * each + (len(found) - 1) * gap + 0.3
    top = theme.heading_height(width, title, subtitle) + 0.75
    figure = theme.figure(width, top + 3.0 + 0.5)
    theme.heading(figure, title, subtitle)
    for m, (model, results) in enumerate(found.items()):
        axes = theme.place(figure, left + m * (each + gap), top, each, 3.0)
        bar = 0.8 / len(results)
        for k, result in enumerate(results):
            colour = page.series[k]
            for s, segment in enumerate(segments):
                e = result.share.get(segment)
                if e is None:
                    continue
                x = s + (k - (len(results) - 1) / 2) * bar
                axes.bar(x, e.value, width=bar * 0.88, color=colour, zorder=2, label=KIND.get(result.kind, result.kind) if s == 0 else None)
                _whisker(axes, x, e)
        for s, segment in enumerate(segments):
            null = float(results[0].share[segment].chance or 0)
            axes.plot([s - 0.46, s + 0.46], [null, null], color=page.ink, linewidth=1.4, linestyle=(0, (3, 1.5)), zorder=4)
        axes.set_xticks(range(len(segments)), [PART.get(s, s) for s in segments], fontsize=theme.TEXT)
        axes.set(ylim=(0, 1), xlim=(-0.6, len(segments) - 0.4), ylabel="share of the attention (%)" if m == 0 else "")
        axes.set_yticks(np.linspace(0, 1, 6), ["0", "20", "40", "60", "80", "100"])
        axes.grid(True, axis="y", color=page.line)
        axes.set_title(model, pad=8)
        if m == 0:
            figure.legend(
                loc="upper left", bbox_to_anchor=(0.3 / width, 1 - (top - 0.7) / figure.get_figheight()), ncols=len(results),
                borderaxespad=0, fontsize=theme.TEXT, handles=axes.get_legend_handles_labels()[0], borderpad=0, handlelength=1.2,
            )  # fmt: skip
    return figure


@theme.styled
def shares(found: Mapping[str, ToneWords], audio_text: Mapping[str, AudioText] | None = None, *, target: str = "") -> Figure:
    """Draw Shapley values of the tone, the words and the instruction: a group of bars a model; and A-SHAP, sound against text, where given."""
    page = theme.look()
    models = list(found)
    n = max(e.n for e in next(iter(found.values())).values.values())
    title = "Who earns the answer: the tone, the words, the instruction?"
    subtitle = f"Exact Shapley values{' for ' + target if target else ''}, with 95% intervals; n = {n} utterances."
    if audio_text:
        subtitle += " Right: A-SHAP, the sound’s share of all Shapley values; triangles: its share of the players."
    left, wide, side = 1.0, 2.6 * len(models) + 0.6, 2.4 if audio_text else 0.0
    width = max(left + wide + 0.4 + (side + 1.0 if side else 0), 9.0)
    wide = width - left - 0.4 - (side + 1.0 if side else 0)
    top = theme.heading_height(width, title, subtitle) + 0.65
    figure = theme.figure(width, top + 3.1 + 0.75)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, wide, 3.1)
    groups = list(next(iter(found.values())).values)
    colours = {"tone": page.voice, "words": page.words, "instruction": page.series[5]}
    for m, result in enumerate(found.values()):
        for g, group in enumerate(groups):
            e = result.values[group]
            x = m + (g - 1) * 0.26
            axes.bar(x, e.value, width=0.23, color=colours[group], zorder=2, label=PART[group] if m == 0 else None)
            _whisker(axes, x, e)
            size = f"{100 * result.magnitude[group].value:.0f}%"
            tip = max(e.high if np.isfinite(e.high) else e.value, 0)
            axes.annotate(size, (x, tip), (0, 3), textcoords="offset points", ha="center", va="bottom", size=theme.SMALL, color=page.muted)
    axes.axhline(0, color=page.muted, linewidth=0.9)
    axes.set_xticks(range(len(models)), models, fontsize=11, fontweight="bold")
    axes.set(xlim=(-0.55, len(models) - 0.45), ylabel="Shapley value (log odds)")
    axes.tick_params(axis="x", length=0, pad=8)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.08 * (high - low))
    axes.grid(True, axis="y", color=page.line)
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(
        handles=handles, loc="upper left", ncols=3, bbox_to_anchor=(0.3 / width, 1 - (top - 0.6) / figure.get_figheight()), borderaxespad=0,
        fontsize=theme.TEXT, borderpad=0, handlelength=1.2,
    )  # fmt: skip
    theme.note(figure, "Percentages: the group’s share of the absolute values, utterance by utterance.")
    if audio_text:
        other = theme.place(figure, width - side - 0.35, top, side, 3.1)
        for m, model in enumerate(models):
            if (part := audio_text.get(model)) is not None:
                other.bar(m, part.a_shap.value, width=0.5, color=page.series[2], zorder=2)
                _whisker(other, m, part.a_shap)
                other.plot([m], [float(part.a_shap.chance or 0)], marker="v", color=page.ink, markersize=7, zorder=5, linestyle="")
        other.set_xticks(range(len(models)), [m.replace("-", "-\n") for m in models], fontsize=theme.SMALL)
        other.set(ylim=(0, 1), xlim=(-0.6, len(models) - 0.4), ylabel="A-SHAP")
        other.grid(True, axis="y", color=page.line)
    return figure


@theme.styled
def curves(found: Sequence[Curves], *, title: str = "Do the methods find what counts?") -> Figure:
    """Draw deletion and insertion: the mean target as the most relevant parts go or come, and as parts go or come at random.

    Args:
        found: the methods' curves of the same utterances.
    """
    page = theme.look()
    first = found[0]
    n = first.deletion_gain.n
    what = {"mel": "blocks of the log-mel", "audio": "audio tokens", "text": "text tokens", "tokens": "tokens"}.get(first.over, first.over)
    subtitle = (
        f"Mean {first.target}; {what} become the baseline’s (left) or the input’s (right), the most relevant first; n = {n} utterances. "
    )
    subtitle += "Gain: area between a method and random order, with its 95% interval; above 0 is better than chance."
    width, left, each, gap = 12.5, 0.95, 5.2, 0.85
    top = theme.heading_height(width, title, subtitle) + 0.42
    legend = 0.2 * (len(found) + 1) + 0.15
    figure = theme.figure(width, top + 3.2 + 0.62 + legend)
    theme.heading(figure, title, subtitle)
    random = first.random.mean(axis=0)
    for p, (name, control) in enumerate((("deletion", random), ("insertion", random[::-1]))):
        axes = theme.place(figure, left + p * (each + gap), top, each, 3.2)
        axes.plot(first.fractions, control, color=page.muted, linewidth=2, linestyle=(0, (3, 2)), label="random order (control)", zorder=2)
        for k, result in enumerate(found):
            gain: Estimate = getattr(result, f"{name}_gain")
            label = f"{METHOD.get(result.method, result.method)}: gain {gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]".replace(
                "-", "−"
            )
            axes.plot(
                result.fractions, getattr(result, name).mean(axis=0), color=page.series[k], linewidth=2, marker="oDs^"[k % 4], markersize=5,
                label=label, zorder=3, markeredgecolor=page.paper, markeredgewidth=0.6,
            )  # fmt: skip
        axes.axhline(0, color=page.muted, linewidth=0.7)
        axes.set_title(name, pad=6)
        axes.set(
            xlim=(0, 1), xlabel=f"share of the {what} {'deleted' if p == 0 else 'inserted'} (%)", ylabel=first.target if p == 0 else ""
        )
        axes.set_xticks(np.linspace(0, 1, 6), ["0", "20", "40", "60", "80", "100"])
        axes.grid(True, axis="y", color=page.line)
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17), fontsize=theme.TEXT, borderaxespad=0, borderpad=0, handlelength=1.8)
    return figure


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _whisker(axes: Axes, x: float, e: Estimate) -> None:
    if np.isfinite(e.low) and np.isfinite(e.high):
        axes.plot([x, x], [e.low, e.high], color=theme.look().ink, linewidth=1.3, zorder=4, solid_capstyle="butt")
