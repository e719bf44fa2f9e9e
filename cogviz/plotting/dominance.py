"""Does the answer follow the voice or the words: bars a model, the confusion matrix, and the 2 x 2 of causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cogviz.emotions import EMOTIONS
from cogviz.plotting import theme
from cogviz.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

VERDICTS = ("follows the voice", "follows the words", "undecided")


def _need(table: DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it needs {', '.join(columns)}")
    if not len(table):
        raise ValueError("nothing to draw: the table has no rows")


def _number(row: Any, column: str) -> float:
    """A number of a row, NaN where it is missing."""
    value = row.get(column)
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError):
        return float("nan")


def _percent(value: float) -> str:
    return f"{100 * value:.0f}" if np.isfinite(value) else "?"


def _verdict(rows: dict[str, Any]) -> str:
    """The given verdict; without one, that of intervals which do not touch: stricter than the interval of the difference."""
    for row in rows.values():
        if isinstance(row.get("verdict"), str) and row["verdict"]:
            return str(row["verdict"])
    voice, words = rows.get("follows_voice", {}), rows.get("follows_words", {})
    if _number(voice, "low") > _number(words, "high"):
        return VERDICTS[0]
    if _number(words, "low") > _number(voice, "high"):
        return VERDICTS[1]
    return VERDICTS[2]


@theme.styled
def following(table: DataFrame) -> Figure:
    """Draw a bar a model: the share of conflict items on which the answer follows the voice, neither, the words.

    The voice is counted from the left edge, the words from the right, so that both can be read off an axis.

    Args:
        table: model, measure (follows_voice, follows_words, follows_neither), value, low, high, n, chance; shares 0 .. 1; the optional
            columns verdict ("follows the voice", "follows the words", "undecided") and scope ("for these speakers").
    """
    _need(table, ("model", "measure", "value", "low", "high", "n", "chance"))
    models = list(dict.fromkeys(table["model"]))
    page = theme.look()
    title = "Does the answer follow the voice or the words?"
    subtitle = "Items on which voice and words carry different emotions. Whiskers and brackets: 95% intervals; triangles: chance."
    scopes = ", ".join(dict.fromkeys(str(s) for s in table.get("scope", []) if isinstance(s, str) and s))
    subtitle += f" Holds {scopes}." if scopes else ""
    left, bar, right, row = 2.2, 7.2, 2.6, 0.98
    width = left + bar + right
    top = theme.heading_height(width, title, subtitle) + 0.66
    figure = theme.figure(width, top + row * len(models) + 0.75)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, bar, row * len(models))
    axes.set(xlim=(0, 1), ylim=(len(models) - 0.5, -0.5), xlabel="answers that follow the voice (%)")
    for i, model in enumerate(models):
        rows = {str(r["measure"]): r for _, r in table[table["model"] == model].iterrows()}
        _bar(axes, i, rows)
        n = [_number(r, "n") for r in rows.values()]
        verdict = _verdict(rows)
        axes.text(
            1.03,
            i - 0.13,
            theme.wrap(verdict, right - 0.45, 12, weight="bold", lines=1)[0],
            size=12,
            weight="bold",
            va="center",
            color=_verdict_ink(verdict),
            clip_on=False,
        )
        axes.text(
            1.03,
            i + 0.14,
            f"n = {np.nanmax(n):,.0f}" if np.isfinite(n).any() else "n unknown",
            size=theme.SMALL,
            va="center",
            color=page.muted,
        )
    labels = [theme.wrap(model, left - 0.45, 11, weight="bold", lines=2) for model in models]
    axes.set_yticks(range(len(models)), ["\n".join(lines) for lines in labels], fontsize=11, fontweight="bold")
    axes.tick_params(axis="y", length=0)
    axes.set_xticks(np.linspace(0, 1, 6), ["0", "20", "40", "60", "80", "100"])
    axes.spines["left"].set_visible(False)
    mirror: Any = lambda x: 1 - x  # noqa: E731
    other = axes.secondary_xaxis("top", functions=(mirror, mirror))
    other.set_xticks(np.linspace(0, 1, 6), ["0", "20", "40", "60", "80", "100"])
    other.set_xlabel("answers that follow the words (%), from the right")
    other.tick_params(color=page.muted)
    return figure


def _verdict_ink(verdict: str) -> str:
    page = theme.look()
    return {VERDICTS[0]: page.voice, VERDICTS[1]: theme.mix(page.words, page.ink, 0.3)}.get(verdict, page.muted)


def _bar(axes: Axes, y: float, rows: dict[str, Any]) -> None:
    page = theme.look()
    voice, words = (float(np.nan_to_num(_number(rows.get(m, {}), "value"))) for m in ("follows_voice", "follows_words"))
    neither = max(1 - voice - words, 0.0)
    high = 0.5
    for start, share, colour, name in (
        (0.0, voice, page.voice, "voice"),
        (voice, neither, page.neither, "neither"),
        (1 - words, words, page.words, "words"),
    ):
        axes.barh(y, share, left=start, height=high, color=colour, edgecolor=page.paper, linewidth=1.2, zorder=2)
        label = f"{name} {_percent(share)}%"
        size = 10.5
        if theme.text_width(label, size, "bold") + 0.5 < share * 7.2:
            at = {"voice": start + 0.014, "words": start + share - 0.014}.get(name, start + share / 2)
            align = {"voice": "left", "words": "right"}.get(name, "center")
            axes.text(at, y, label, size=size, weight="bold", ha=align, va="center", color=theme.text_on(colour), zorder=5)
    for measure, mirrored in (("follows_voice", False), ("follows_words", True)):
        row = rows.get(measure, {})
        value, low, up, chance = (_number(row, c) for c in ("value", "low", "high", "chance"))
        place = (lambda x: 1 - x) if mirrored else (lambda x: x)
        if np.isfinite([value, low, up]).all():
            at = y + (0.14 if mirrored else -0.14)  # the two never cover each other, even where neither is rare
            for line, colour, order in ((4.0, page.paper, 3.0), (1.5, page.ink, 3.1)):
                axes.plot([place(low), place(up)], [at, at], color=colour, linewidth=line, solid_capstyle="butt", zorder=order)
                for end in (low, up):
                    reach = 0.06 + (0.012 if order == 3.0 else 0.0)
                    axes.plot([place(end)] * 2, [at - reach, at + reach], color=colour, linewidth=line, zorder=order, solid_capstyle="butt")
        if np.isfinite(chance):
            axes.plot(
                [place(chance)],
                [y - high / 2 - 0.05],
                marker="v",
                markersize=6,
                color=page.words if mirrored else page.voice,
                zorder=4,
                linestyle="",
            )
    text = []
    for measure in ("follows_voice", "follows_neither", "follows_words"):
        row = rows.get(measure, {})
        if np.isfinite(_number(row, "value")):
            figures = [_percent(_number(row, c)) for c in ("value", "low", "high")]
            text.append("{} {} [{}, {}]".format(measure.removeprefix("follows_"), *figures))
    axes.text(0.0, y + 0.385, "  ·  ".join(text), size=theme.TINY, color=page.muted, va="center", ha="left")


@theme.styled
def confusion(matrix: DataFrame, *, title: str | None = None, balanced_accuracy: Estimate | None = None) -> Figure:
    """Draw a confusion matrix: each row in percent of its voice emotion, counts below, recall and n at the right.

    Args:
        matrix: counts; index the emotion of the voice, columns the answer. Columns that are no emotion ("unparsed") come last.
        title: of the figure.
        balanced_accuracy: written into the title, with its interval.
    """
    from matplotlib.patches import Rectangle

    truth = [e for e in EMOTIONS if e in matrix.index]
    unknown = [str(e) for e in matrix.index if e not in EMOTIONS]
    if unknown:
        raise ValueError(f"the matrix's index holds {unknown[0]!r}, which is no emotion")
    if not truth:
        raise ValueError(f"the matrix's index holds none of {', '.join(EMOTIONS)}")
    answers = [e for e in EMOTIONS if e in matrix.columns or e in truth]
    answers += [str(c) for c in matrix.columns if c not in EMOTIONS]
    counts = matrix.reindex(index=truth, columns=answers).fillna(0).to_numpy(dtype=float)
    total = counts.sum(axis=1)
    share = counts / np.maximum(total, 1)[:, None]
    page = theme.look()
    title = title or "Which emotion the model hears in which voice"
    if balanced_accuracy is not None:
        b = balanced_accuracy
        title += f": balanced accuracy {_percent(b.value)}% [{_percent(b.low)}, {_percent(b.high)}]"
    chance = balanced_accuracy.chance if balanced_accuracy is not None and balanced_accuracy.chance else 1 / len(truth)
    subtitle = f"Rows sum to 100%; small: number of items. n = {total.sum():,.0f}, chance {100 * chance:.0f}%."
    if balanced_accuracy is not None:
        subtitle += f" Bracket: 95% interval{' ' + balanced_accuracy.scope if balanced_accuracy.scope else ''}."
    cell_w, cell_h, left, recall = 0.98, 0.66, 1.55, 2.2
    width = max(left + cell_w * len(answers) + recall + 0.45, 7.5)
    top = theme.heading_height(width, title, subtitle) + 0.72
    high = cell_h * len(truth)
    figure = theme.figure(width, top + high + 0.3)
    theme.heading(figure, title, subtitle)
    axes = theme.place(figure, left, top, cell_w * len(answers), high)
    image = axes.imshow(share, cmap=theme.sequential(), vmin=0, vmax=1, aspect="auto")
    for (r, c), value in np.ndenumerate(share):
        ink = theme.text_on(theme.shade(image, value))
        bold = "bold" if answers[c] == truth[r] else "normal"
        text = f"{100 * value:.0f}%" if total[r] else "–"
        axes.text(c, r - 0.1, text, ha="center", va="center", size=11, weight=bold, color=ink, alpha=1 if counts[r, c] else 0.45)
        if counts[r, c]:
            axes.text(c, r + 0.24, f"{counts[r, c]:,.0f}", ha="center", va="center", size=theme.TINY - 0.5, color=ink, alpha=0.8)
        if answers[c] == truth[r]:
            axes.add_patch(Rectangle((c - 0.48, r - 0.46), 0.96, 0.92, fill=False, edgecolor=theme.color(truth[r]), linewidth=2))
    axes.set_xticks(range(len(answers)), answers)
    axes.set_yticks(range(len(truth)), truth)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=theme.TEXT + 0.5)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("the model answers", labelpad=8)
    axes.set_ylabel("the voice sounds", labelpad=8)
    axes.spines[:].set_visible(False)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        known = label.get_text() in EMOTIONS
        label.set(color=theme.ink(label.get_text()) if known else page.muted, weight="bold" if known else "normal")
    _recall(theme.place(figure, left + cell_w * len(answers) + 0.3, top, recall - 0.3, high), truth, answers, share, total, chance)
    return figure


def _recall(axes: Axes, truth: list[str], answers: list[str], share: np.ndarray, total: np.ndarray, chance: float) -> None:
    page = theme.look()
    values = [float(share[r, answers.index(e)]) for r, e in enumerate(truth)]
    axes.barh(range(len(truth)), values, height=0.3, color=[theme.color(e) for e in truth])
    for r, (value, n) in enumerate(zip(values, total, strict=True)):
        axes.text(0, r - 0.31, f"{100 * value:.0f}% of {n:,.0f}" if n else "no items", size=theme.SMALL, va="center", color=page.ink)
        axes.plot([chance, chance], [r - 0.19, r + 0.19], color=page.ink, linewidth=1.1, linestyle=(0, (2, 1.5)))
    axes.set(xlim=(0, 1), ylim=(len(truth) - 0.5, -0.5), yticks=[], xlabel="recall (%), dashed: chance")
    axes.xaxis.set_label_position("top")
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100"])
    axes.spines[:].set_visible(False)


ENCODERS = ("last layer", "layer mix")
SPEECH = ("agrees", "LIME")


@theme.styled
def two_by_two(table: DataFrame) -> Figure:
    """Draw the causes: a panel a measure, encoder on the axis, training speech as lines, small points for single seeds.

    Args:
        table: encoder ("last layer", "layer mix"), training_speech ("agrees", "LIME"), measure, value, low, high (shares 0 .. 1), seed:
            missing on the pooled rows, a number on the rows of single seeds; the optional columns n and chance. Where a condition has
            no pooled row, the mean of its seeds is drawn, without an interval.
    """
    _need(table, ("encoder", "training_speech", "measure", "value", "low", "high"))
    if "seed" not in table.columns:
        table = table.assign(seed=np.nan)
    measures = list(dict.fromkeys(table["measure"]))
    encoders = _order(table["encoder"], ENCODERS)
    speech = _order(table["training_speech"], SPEECH)
    page = theme.look()
    seeds = table.dropna(subset=["seed"])["seed"].nunique()
    title = "What makes the model listen: the encoder’s layers or the training speech?"
    subtitle = f"Large: all seeds with the 95% interval. Small: single seeds ({seeds})." if seeds else "Points with the 95% interval."
    if "n" in table.columns and table["n"].notna().any():
        subtitle += f" n = {table['n'].max():,.0f} items."
    columns = min(len(measures), 4)
    rows = -(-len(measures) // columns)
    left, gap, right = 0.9, 0.75, 0.4
    slot = max(2.75, (8.2 - left - right - gap * (columns - 1)) / columns)
    width = left + columns * slot + gap * (columns - 1) + right
    top = theme.heading_height(width, title, subtitle) + 0.75
    figure = theme.figure(width, top + rows * 3.0 + (rows - 1) * 1.05 + 0.7)
    theme.heading(figure, title, subtitle)
    looks = {s: (colour, marker) for s, colour, marker in zip(speech, (page.words, page.voice, *page.series[2:]), "soD^vP", strict=False)}
    for i, measure in enumerate(measures):
        row, column = divmod(i, columns)
        axes = theme.place(figure, left + column * (slot + gap), top + row * 4.05, slot, 3.0)
        _interaction(axes, table[table["measure"] == measure], encoders, looks)
        axes.set_title("\n".join(theme.wrap(str(measure).replace("_", " "), slot, theme.TEXT + 1.5, weight="bold", lines=2)), pad=8)
        axes.set(ylabel="share (%)" if column == 0 else "", xlabel="encoder output that the model reads")
    handles = [
        _handle(colour, marker, f"trained on speech that {s}" if s == "agrees" else f"trained on {s}")
        for s, (colour, marker) in looks.items()
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.3 / width, 1 - (top - 0.75) / figure.get_figheight()),
        ncols=len(handles), borderaxespad=0, fontsize=theme.TEXT, handletextpad=0.5, borderpad=0, columnspacing=2,
    )  # fmt: skip
    return figure


def _order(values: Any, known: tuple[str, ...]) -> list[str]:
    """The values that occur: known ones in their order, then the others."""
    found = list(dict.fromkeys(str(v) for v in values))
    return [v for v in known if v in found] + [v for v in found if v not in known]


def _handle(colour: str, marker: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker=marker, markersize=8, linewidth=1.6, label=label)


def _interaction(axes: Axes, table: DataFrame, encoders: list[str], looks: dict[str, tuple[str, str]]) -> None:
    page = theme.look()
    if "chance" in table.columns and table["chance"].notna().any():
        axes.axhline(float(table["chance"].dropna().iloc[0]), color=page.muted, linewidth=1, linestyle=(0, (2, 2)))
        axes.text(
            len(encoders) - 0.52,
            float(table["chance"].dropna().iloc[0]) + 0.012,
            "chance",
            size=theme.TINY,
            ha="right",
            va="bottom",
            color=page.muted,
        )
    for j, (speech, (colour, marker)) in enumerate(looks.items()):
        shift = 0.12 * (j - (len(looks) - 1) / 2)
        at, values = [], []
        for i, encoder in enumerate(encoders):
            rows = table[(table["encoder"] == encoder) & (table["training_speech"] == speech)]
            single = rows.dropna(subset=["seed"])["value"].to_numpy(dtype=float)
            pooled = rows[rows["seed"].isna()]
            if not len(rows):
                continue
            x = i + shift
            value = float(pooled["value"].iloc[0]) if len(pooled) else float(single.mean())
            if len(pooled) and pooled[["low", "high"]].iloc[0].notna().all():
                axes.plot(
                    [x, x],
                    [float(pooled["low"].iloc[0]), float(pooled["high"].iloc[0])],
                    color=colour,
                    linewidth=2.2,
                    zorder=3,
                    solid_capstyle="butt",
                )
            side = x + (-0.1 if shift < 0 else 0.1)
            axes.plot(
                [side] * len(single),
                single,
                marker=marker,
                markersize=4,
                color=colour,
                alpha=0.75,
                linestyle="",
                zorder=2,
                markeredgewidth=0,
            )
            at.append(x)
            values.append(value)
        axes.plot(
            at, values, color=colour, marker=marker, markersize=9, linewidth=1.4, zorder=4, markeredgecolor=page.paper, markeredgewidth=1
        )
    axes.set(xlim=(-0.5, len(encoders) - 0.5), ylim=(-0.02, 1.02))
    axes.set_xticks(range(len(encoders)), encoders, fontsize=theme.TEXT)
    axes.set_yticks(np.linspace(0, 1, 6), ["0", "20", "40", "60", "80", "100"])
    axes.grid(True, axis="y", color=page.line)
