"""Questions about spoken dialogues: a row a model, a panel a task, each the accuracy with the voice, and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cogviz.plotting import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS: Mapping[str, str] = {
    "trajectory": "How do the\nfeelings develop?",
    "cause": "What has\nhappened?",
    "reply": "Which reply\nfits?",
    "conflict": "What is felt,\nagainst the words?",
}
"""Each task and its heading."""

CONTROLS: Mapping[str, tuple[str, str]] = {"no_audio": ("o", "words alone"), "other_tone": ("D", "each turn in another tone")}
"""What is shown as a hollow marker: its shape and its name."""

ABOVE, BELOW = 0.12, 0.2
"""How far from a model's line its figures with the voice and its controls stand, in rows: equal values do not hide each other."""


@theme.styled
def dialogues(rows: Sequence[Mapping[str, Any]], *, data: str = "") -> Figure:
    """Draw the accuracy of models on each task.

    Args:
        rows: of `evaluation.dialogues` (`results.rows`): model, measure, value, low, high, n, chance. data: named in the title.

    Raises:
        ValueError: the rows hold no accuracy of a task.
    """
    by_name = {(r["model"], r["measure"]): r for r in rows}
    models = list(dict.fromkeys(r["model"] for r in rows))
    shown = [task for task in PANELS if any((model, f"accuracy_{task}") in by_name for model in models)]
    if not shown:
        raise ValueError("the rows hold no accuracy of a task; measure with `cogviz evaluate dialogues`")
    page = theme.look()
    most = max(r["n"] for r in rows if r["measure"].startswith("accuracy_") and r["measure"] != "accuracy_all")
    title = "Dialogues that only the voice can answer" + (f": {data}" if data else "")
    subtitle = (
        f"Share of right answers among four options, with 95% intervals over scenarios; at most {most} questions a point. The same words come in "
        "four voicings, and each option is right in one of them: reading alone gives 1 in 4."
    )
    left, each, gap, line = 1.8, 1.8, 0.3, 0.6
    width = max(left + len(shown) * (each + gap) + 0.15, 6.4)
    top = theme.heading_height(width, title, subtitle) + 0.78
    figure = theme.figure(width, top + line * len(models) + 0.8)
    theme.heading(figure, title, subtitle)
    for k, task in enumerate(shown):
        axes = theme.place(figure, left + k * (each + gap), top, each, line * len(models))
        _panel(axes, by_name, task, models)
        axes.set_yticks(range(len(models)), models if k == 0 else [""] * len(models), fontsize=theme.TEXT + 1)
        axes.tick_params(axis="y", length=0, pad=10, labelcolor=page.ink)
        axes.set_title(PANELS[task], fontsize=theme.TEXT + 0.5, loc="left", color=page.ink, pad=7)
    handles = [Line2D([], [], marker="o", color=page.voice, markersize=7, linewidth=2.2, label="with the voice")]
    handles += [Line2D([], [], color="none", label=name, marker=marker, **_hollow()) for marker, name in CONTROLS.values()]
    handles.append(Line2D([], [], color=page.muted, linestyle=(0, (4, 3)), linewidth=1.1, label="chance, 1 in 4"))
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(left / width - 0.01, 0.0), ncols=4, handletextpad=0.5, columnspacing=1.6
    )
    return figure


def _hollow() -> dict[str, Any]:
    page = theme.look()
    return {"markerfacecolor": page.paper, "markeredgecolor": page.words, "markeredgewidth": 1.5, "markersize": 6.5}


def _panel(axes: Axes, by_name: Mapping[tuple[str, str], Mapping[str, Any]], task: str, models: Sequence[str]) -> None:
    page = theme.look()
    axes.set(xlim=(0, 1), ylim=(len(models) - 0.5, -0.5))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", ".5", "", "1"])
    axes.spines["left"].set_visible(False)
    for y in range(len(models)):
        axes.axhline(y, color=page.line, linewidth=0.7, zorder=0)
    for y, model in enumerate(models):
        for control, (marker, _) in CONTROLS.items():
            if (row := by_name.get((model, f"{control}_{task}"))) is not None and row["value"] is not None:
                axes.plot([row["value"]], [y + BELOW], marker, zorder=2, clip_on=False, **_hollow())
        if (row := by_name.get((model, f"accuracy_{task}"))) is None or row["value"] is None:
            continue
        axes.axvline(row["chance"], color=page.muted, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
        if row["low"] is not None and row["high"] is not None:
            axes.plot(
                [row["low"], row["high"]], [y - ABOVE, y - ABOVE], color=page.voice, linewidth=2.2, alpha=0.5, zorder=3, clip_on=False
            )
        axes.plot([row["value"]], [y - ABOVE], "o", color=page.voice, markersize=7, zorder=4, clip_on=False)
