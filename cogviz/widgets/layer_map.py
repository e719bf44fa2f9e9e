"""The layer map: recordings as points, laid out by what a layer makes of them. Choose one: it is shown and played."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import ipywidgets as widgets
import numpy as np
import traitlets

from cogviz.emotions import EMOTIONS, emotion
from cogviz.plotting import layer_map, page
from cogviz.plotting.layer_map import SIGNS
from cogviz.plotting.projection import COLOURED, METHODS
from cogviz.probing.record import Recording
from cogviz.probing.targets import base
from cogviz.projection.embeddings import Map, flat, onto, standardised, trustworthiness
from cogviz.projection.neighbours import distances
from cogviz.widgets import panel
from cogviz.widgets.panel import Panel, Rendered

NEAR = 5
"""Neighbours that are named."""

WIDE, HIGH = 640, 420
"""Pixels of the map."""

STYLE = (
    "<style>.layer-map{position:relative;background:#fff;border:1px solid #d5d9de;border-radius:6px;overflow:hidden}"
    ".layer-map button{position:absolute;width:22px;height:22px;margin:-11px 0 0 -11px;padding:0;min-width:0;line-height:20px;font-size:14px;"
    "border-radius:50%;box-shadow:none}.layer-map button:focus{outline:2px solid #1d2126}</style>"
)


class LayerMap(Panel):
    """Maps of the same recordings, by model and layer.

    Every map begins with the first one and is turned onto it, so that a point keeps its place as far as it can.

    Attributes:
        model, layer: whose states, and which. method: "pca", "tsne", or "umap" (whose first map takes half a minute).
        by: what the colours are, "voice_emotion" or "word_emotion".
        chosen: number of the recording that is shown; set it, click a point, or take it from the list. playing: whether it is played at once.
        points: (N, 2) of the map. trust, chance: its trustworthiness, and that of points dealt out at random.
        near: numbers of the nearest others of other sentences, in the states and not on the map.

    Args:
        recordings: of the same utterances at the same sites, a model each. segment: of the decoder's sites, where recorded at segments.
    """

    model = traitlets.Unicode()
    layer = traitlets.Unicode()
    method = traitlets.Unicode("pca")
    by = traitlets.Unicode("voice_emotion")
    chosen = traitlets.Int(0)
    playing = traitlets.Bool(True)
    points = Rendered(None, allow_none=True)
    trust = Rendered(None, allow_none=True)
    chance = Rendered(None, allow_none=True)
    near = Rendered(())

    def __init__(self, recordings: Sequence[Recording], *, segment: str | None = "tone") -> None:
        if not recordings:
            raise ValueError("a map needs a recording: see cogviz.probing.record")
        self.recordings = {r.listener: r for r in recordings}
        first = recordings[0]
        self.utterances, self.segment = first.utterances, segment
        if any([u.id for u in r.utterances] != [u.id for u in self.utterances] or r.sites != first.sites for r in recordings):
            raise ValueError("the recordings are of different utterances or sites; record the same of every model")
        self._maps: dict[tuple[str, str, str], tuple[Map, np.ndarray]] = {}
        self._sentences = np.array([base(u) for u in self.utterances])
        self._loudest: float | None = None
        self._just_chosen = False
        self.dots = [self._dot(i) for i in range(len(self.utterances))]
        super().__init__(self._controls(first.sites))
        self.observe(self.refresh, ["model", "layer", "method", "by"])
        self.observe(self._choose, "chosen")

    def _controls(self, sites: Sequence[str]) -> list[widgets.Widget]:
        wide = widgets.Layout(width="34em", max_width="100%")
        names = [(f"{i + 1}. {u.emotion} voice, {u.lexical_emotion or 'no'} words: {u.text}", i) for i, u in enumerate(self.utterances)]
        controls: dict[str, widgets.Widget] = {
            "model": widgets.ToggleButtons(options=list(self.recordings), description="model"),
            "layer": widgets.SelectionSlider(options=list(sites), description="layer", continuous_update=False),
            "method": widgets.Dropdown(options=[(name, key) for key, name in METHODS.items()], value=self.method, description="method"),
            "by": widgets.ToggleButtons(options=[("voice", "voice_emotion"), ("words", "word_emotion")], description="colours"),
            "chosen": widgets.Dropdown(options=names, value=self.chosen, description="recording", layout=wide),
            "playing": widgets.Checkbox(value=self.playing, description="play at once", indent=False),
        }
        self.set_trait("model", controls["model"].value)
        self.set_trait("layer", controls["layer"].value)
        for name, control in controls.items():
            traitlets.link((control, "value"), (self, name))
        drawn = widgets.Box(self.dots, layout=widgets.Layout(width=f"{WIDE}px", max_width="100%", height=f"{HIGH}px"))
        drawn.add_class("layer-map")
        self.legend = widgets.HTML()
        for name in ("model", "by"):
            controls[name].style.button_width = "9em"
        second = widgets.HBox([controls["layer"], controls["method"]])
        return [
            controls["model"],
            second,
            controls["by"],
            widgets.HTML(STYLE),
            drawn,
            self.legend,
            widgets.HBox([controls["chosen"], controls["playing"]]),
        ]

    def _dot(self, number: int) -> widgets.Button:
        u = self.utterances[number]
        tip = f"{u.emotion} voice, {u.lexical_emotion or 'no'} words: {u.text}"
        dot = widgets.Button(description="·", tooltip=tip, layout=widgets.Layout())
        dot.style.button_color = "transparent"
        dot.on_click(lambda _: self.set_trait("chosen", number))
        return dot

    @traitlets.validate("model", "layer", "method", "by", "chosen")
    def _known(self, proposal: dict[str, object]) -> object:
        value, name = proposal["value"], proposal["trait"].name  # type: ignore[attr-defined]
        known: dict[str, Sequence[object]] = {
            "model": list(self.recordings),
            "layer": next(iter(self.recordings.values())).sites,
            "method": list(METHODS),
            "by": list(COLOURED),
            "chosen": range(len(self.utterances)),
        }
        if value not in known[name]:
            there = f"0 to {len(self.utterances) - 1}" if name == "chosen" else ", ".join(map(str, known[name]))
            raise traitlets.TraitError(f"this map has no {name} {value!r}; there is {there}")
        return value

    def _choose(self, _: object) -> None:
        self._just_chosen = True
        self.refresh()

    def render(self) -> str:
        """Lay the points out, and show the chosen recording and its neighbours."""
        found, distance = self._map(self.model, self.layer, self.method)
        order = distance[self.chosen].argsort(kind="stable")
        near = [int(i) for i in order if self._sentences[i] != self._sentences[self.chosen]][:NEAR]
        self.points, self.trust, self.chance, self.near = found.points, found.trust, found.chance, tuple(near)
        self._lay_out(found)
        shown = self._card(autoplay=self.playing and self._just_chosen)
        self._just_chosen = False
        return shown

    def still(self) -> str:
        """Return the map as a picture, with the chosen recording, for a page on which nothing can be moved."""
        self.settle()
        found, _ = self._map(self.model, self.layer, self.method)
        drawn = page.figure(layer_map.layer_map, found, by=self.by, chosen=self.chosen, near=self.near)
        return f'<div class="panel">{panel.STYLE}{drawn}{self._card()}</div>'

    def _map(self, model: str, layer: str, method: str) -> tuple[Map, np.ndarray]:
        if (key := (model, layer, method)) not in self._maps:
            states = self.recordings[model].of(layer, self.segment)
            x = standardised(states)
            first = (next(iter(self.recordings)), next(iter(self.recordings.values())).sites[0], method)
            start = None if key == first else self._map(*first)[0].points
            points = flat(x, method=method, start=start)  # type: ignore[arg-type]
            points = points if start is None else onto(points, start)
            name = f"{model}, {layer}" + (f" at “{self.segment}”" if self.segment and not layer.startswith("encoder.") else "")
            found = Map(name, method, self.utterances, points, *trustworthiness(x, points))  # type: ignore[arg-type]
            self._maps[key] = found, distances(states)
        return self._maps[key]

    def _lay_out(self, found: Map) -> None:
        low, high = found.points.min(axis=0), found.points.max(axis=0)
        box = np.array([WIDE, HIGH])
        scale = (0.92 * box / np.maximum(high - low, 1e-9)).min()  # the same both ways
        shares = 50 + 100 * scale * (found.points - (low + high) / 2) / box
        for i, (dot, (x, y)) in enumerate(zip(self.dots, shares, strict=True)):
            name = getattr(self.utterances[i], COLOURED[self.by])
            dot.layout.left, dot.layout.top = f"{x:.1f}%", f"{100 - y:.1f}%"
            dot.layout.border = "2px solid #1d2126" if i == self.chosen else "1px solid #5c646e" if i in self.near else "0"
            dot.description = SIGNS.get(name, "·")
            dot.style.text_color = emotion(name).color if name in EMOTIONS else "#5c646e"
        names = [e for e in EMOTIONS if any(getattr(u, COLOURED[self.by]) == e for u in self.utterances)]
        ring = f"<p>Thick ring: chosen; thin rings: its {NEAR} nearest of other sentences in the states. "
        self.legend.value = layer_map.legend(names) + ring + f"Trust of the map {found.trust:.2f} (at random {found.chance:.2f}).</p>"

    def _card(self, *, autoplay: bool = False) -> str:
        u = self.utterances[self.chosen]
        near = [self.utterances[i] for i in self.near]
        lines = "".join(
            f"<li>{escape(str(o.emotion))} voice, {escape(o.lexical_emotion or 'no')} words: {escape(o.text)}</li>" for o in near
        )
        if self._loudest is None:  # one gain for all, so that nobody is startled
            self._loudest = max(float(np.abs(o.samples).max()) for o in self.utterances)
        return (
            layer_map.said(u)
            + page.players({str(u.emotion): u}, loudest=self._loudest, autoplay=autoplay)
            + f"<p>Nearest in the states:</p><ul>{lines}</ul>"
        )
