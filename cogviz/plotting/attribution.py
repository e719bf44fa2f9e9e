"""Figures of attribution: the sound with what spoke in it, tokens, attention against its null, shares, deletion and insertion."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cogviz.plotting import theme
from cogviz.plotting.attribution_sound import METHOD, against, signed, sound
from cogviz.statistics import Estimate

__all__ = ["curves", "looks", "shares", "sound", "tokens"]

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogviz.attribution.attention import Looks
    from cogviz.attribution.faithfulness import Curves
    from cogviz.attribution.gradients import Attribution
    from cogviz.attribution.shares import AudioText, ToneWords

KIND = {
    "raw": "attention", "value_weighted": "attention × size of the values", "rollout": "rollout through the layers",
    "gradient_weighted": "attention × gradient, through the layers",
}  # fmt: skip


PART = {"tone": "tone", "words": "words heard", "instruction": "instruction", "perception": "answer begun"}


@theme.styled
def tokens(attribution: Attribution | Mapping[str, Attribution], index: int = 0, *, answer: str | Mapping[str, str] = "") -> Figure:
    """Draw the relevance of each token of one utterance: the tone, the words that were heard, the instruction.

    Args:
        attribution: of one model, or of several by their names, a panel each, all of the same utterances and for the same target.
        answer: what the model named, or what each did.

    Raises:
        ValueError: the attribution is over the log-mel.
    """
    found = dict(attribution) if isinstance(attribution, Mapping) else {"": attribution}
    if any(a.over == "mel" for a in found.values()):
        raise ValueError("an attribution over the log-mel has no tokens; see `sound`")
    named = dict(answer) if isinstance(answer, Mapping) else {name: answer for name in found}
    first = next(iter(found.values()))
    u, several = first.utterances[index], len(found) > 1
    title = f"Which token spoke? “{u.text}”"
    about = f"said {u.emotion}" + (f", words {u.lexical_emotion}" if u.lexical_emotion else "")
    about += f", heard as {named['']}" if named.get("") else ""
    subtitle = f"{about}. Relevance for {first.target} ({METHOD.get(first.method, first.method)}), against {against(first)}"
    subtitle += "." if several else f"; in all {signed(first.whole[index] - first.baseline[index])}."
    width, left, high, gap = 13.0, 0.95, 2.0 if several else 2.9, 1.55
    top = theme.heading_height(width, title, subtitle) + (0.8 if several else 0.5)
    figure = theme.figure(width, top + len(found) * high + (len(found) - 1) * gap + 1.25)
    theme.heading(figure, title, subtitle)
    low, most = (f(float(f(a.values[index])) for a in found.values()) for f in (min, max))
    span = max(most, 0.0) - min(low, 0.0)
    for i, (name, one) in enumerate(found.items()):
        axes = theme.place(figure, left, top + i * (high + gap), width - left - 0.3, high)
        _token_bars(axes, one, index, inches=width - left - 0.3)
        axes.set_ylim(min(low, 0.0) - 0.06 * span, max(most, 0.0) + 0.06 * span)
        if several:
            change = signed(one.whole[index] - one.baseline[index])
            axes.set_title(f"{name}{', hears ' + named[name] if named.get(name) else ''}: in all {change}", pad=24)
    return figure


def _token_bars(axes: Axes, attribution: Attribution, index: int, *, inches: float) -> None:
    """One bar a token, and over each segment its sum."""
    (pieces, names, values), page = attributed(attribution, index), theme.look()
    colours = {"tone": page.voice, "words": page.words, "instruction": page.series[5]}
    axes.bar(range(len(values)), values, width=0.8, color=[colours.get(s, page.series[2]) for s in names])
    axes.set_xticks(range(len(values)), [theme.plain(p).strip() or "·" for p in pieces], rotation=90, fontsize=theme.SMALL)
    axes.set(xlim=(-0.7, len(values) - 0.3), ylabel="relevance")
    axes.axhline(0, color=page.muted, linewidth=0.8)
    axes.tick_params(axis="x", length=0)
    edges = [0, *(i for i in range(1, len(values)) if names[i] != names[i - 1]), len(values)]
    runs = list(itertools.pairwise(edges))
    largest = {names[a]: (a, b) for a, b in sorted(runs, key=lambda run: run[1] - run[0])}
    for start, stop in runs:
        segment = names[start]
        label = f"{PART.get(segment, segment)} {signed(float(values[np.array(names) == segment].sum()))}"
        if start:
            axes.axvline(start - 0.5, color=page.line, linewidth=1)
        wide, slot = theme.text_width(label, theme.TEXT, "bold"), (stop - start) * inches / len(values)
        if wide < slot + 0.5 and largest[segment] == (start, stop):
            last = stop == len(values) and wide > slot
            axes.text(
                stop - 0.3 if last else (start + stop - 1) / 2, 1.03, label, transform=axes.get_xaxis_transform(), va="bottom",
                ha="right" if last else "center", size=theme.TEXT, weight="bold",
                color=theme.mix(colours.get(segment, page.series[2]), page.ink, 0.3),
            )  # fmt: skip


def attributed(attribution: Attribution, index: int) -> tuple[list[str], list[str], np.ndarray]:
    """Return (pieces, segments, values) of the places of an utterance that the attribution is over: of the sound, the text, or both."""
    where = attribution.places[index]
    sound = where.of("tone", "words")
    there = {"audio": sound, "text": ~sound}.get(attribution.over, np.ones_like(sound))
    kept = [(p, s) for p, s, k in zip(where.pieces, where.segments, there, strict=True) if k]
    return [p for p, _ in kept], [s for _, s in kept], attribution.values[index][there]


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


def _whisker(axes: Axes, x: float, e: Estimate) -> None:
    """The interval, with a rim of the page's colour so that it shows on a bar as dark as itself."""
    page = theme.look()
    if np.isfinite(e.low) and np.isfinite(e.high):
        for colour, width in ((page.paper, 3.6), (page.ink, 1.4)):
            axes.plot([x, x], [e.low, e.high], color=colour, linewidth=width, zorder=4, solid_capstyle="butt")
