"""The patch board: one pair of recordings, a field for each layer and stretch of places. Press one: the donor's states go in there."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from matplotlib.colors import to_hex
from torch import Tensor

from cogviz.emotions import EMOTIONS
from cogviz.models.protocol import Transparent
from cogviz.plotting import live, page, theme
from cogviz.plotting.causes import named
from cogviz.probing.effects import log_odds
from cogviz.probing.pairs import Pair
from cogviz.probing.sites import stream
from cogviz.probing.spans import lined_up, spans
from cogviz.probing.suffix import Suffix, begin
from cogviz.widgets.panel import Panel, Rendered

NOWHERE = "nowhere"
"""The place at which nothing is put in: the base's own run."""

WIDE = "6.6em"

FRAME = "3px solid var(--jp-ui-font-color1, currentColor)"
"""Of the field that is pressed: in the page's own ink, light or dark."""


class PatchBoard(Panel):
    """Put the donor's states into the base's run, one layer and one stretch of places at a time, and see what becomes of the answer.

    Attributes:
        pair: number of the pair. site: after which layer (`probing.sites.stream`). place: at which places (`probing.spans.spans`), or "nowhere".
        base, donor, patched: (7,) probabilities of the emotions, in their order: of the two runs, and of the base's run with the patch.
        answer: the emotion that the patched run names. flipped: whether that is the donor's answer and was not the base's.
        effect: share of the whole exchange's effect on the score, the difference of two logits (`probing.effects`); NaN where the two runs have
            one score.
        tried: {(site, place): effect} of the pair that is shown.

    Args:
        listener: who is looked into.
        pairs: of one listener's utterances (`probing.pairs`).

    Raises:
        ValueError: no pairs.
    """

    pair = traitlets.Int(0)
    site = traitlets.Unicode()
    place = traitlets.Unicode(NOWHERE)
    base = Rendered(None, allow_none=True)
    donor = Rendered(None, allow_none=True)
    patched = Rendered(None, allow_none=True)
    answer = Rendered(None, allow_none=True)
    flipped = Rendered(False)
    effect = Rendered(0.0)
    tried = Rendered({})

    def __init__(self, listener: Transparent, pairs: Sequence[Pair]) -> None:
        if not pairs:
            raise ValueError("there is nothing to patch: give pairs, such as probing.pairs.tone_pairs makes")
        self.listener, self.pairs = listener, list(pairs)
        self.sites = stream(listener)
        self._prepared: dict[int, _Prepared] = {}
        self._found: dict[tuple[int, str, str], np.ndarray] = {}
        first = self._of(0)
        self.places = [NOWHERE, *first.spans]
        self.set_trait("site", self.sites[0])
        choose = widgets.Dropdown(options=[(_label(p), i) for i, p in enumerate(self.pairs)], layout=widgets.Layout(width="min(46em, 98%)"))
        layer = widgets.SelectionSlider(options=[(named(s), s) for s in self.sites], description="after layer", continuous_update=False)
        where = widgets.SelectionSlider(options=self.places, description="places", continuous_update=False)
        for control, name in ((choose, "pair"), (layer, "site"), (where, "place")):
            traitlets.link((self, name), (control, "value"))
        everything, nothing = widgets.Button(description="press all"), widgets.Button(description="take it out")
        everything.on_click(lambda _: self.press_all())
        nothing.on_click(lambda _: self.set_trait("place", NOWHERE))
        self.fields = {(s, p): self._field(s, p) for s in self.sites for p in self.places[1:]}
        super().__init__([choose, self._grid(), widgets.HBox([layer, where, nothing, everything])])
        self.observe(self.refresh, ["pair", "site", "place"])

    @traitlets.validate("pair")
    def _known_pair(self, proposal: dict[str, int]) -> int:
        if not 0 <= proposal["value"] < len(self.pairs):
            raise traitlets.TraitError(f"there is no pair {proposal['value']}; there are 0 to {len(self.pairs) - 1}")
        return proposal["value"]

    @traitlets.validate("site", "place")
    def _known(self, proposal: dict[str, Any]) -> str:
        known = self.sites if proposal["trait"].name == "site" else self.places
        if proposal["value"] not in known:
            raise traitlets.TraitError(f"the board has no {proposal['value']!r}; choose {', '.join(known)}")
        return proposal["value"]

    def press(self, site: str, place: str) -> None:
        """Put the donor's states in at a field."""
        with self.hold_trait_notifications():
            self.site, self.place = site, place

    def press_all(self) -> None:
        """Fill the whole board for the pair that is shown."""
        self._run(list(self.fields))
        self.refresh()

    def render(self) -> str:
        """Run the base with the patch, colour the fields, and draw the three answers."""
        shown, one = self.pairs[self.pair], self._of(self.pair)
        here = (self.site, self.place)
        if self.place == NOWHERE:
            logits = one.base
        else:
            self._run([here])
            logits = self._found[self.pair, *here]
        self.base, self.donor, self.patched = (_softmax(x) for x in (one.base, one.donor, logits))
        self.effect = self._share(logits)
        answers = [EMOTIONS[int(x.argmax())] for x in (one.base, one.donor, logits)]
        self.answer, self.flipped = answers[2], answers[2] == answers[1] != answers[0]
        self.tried = {(s, p): self._share(x) for (k, s, p), x in self._found.items() if k == self.pair}
        self._colour(here)
        columns = (("the base’s run", shown.base), ("the patched run", None), ("the donor’s run", shown.donor))
        runs = [
            live.bars({name: p.tolist()}, voice=u.emotion if u else None, words=u.lexical_emotion if u else None)
            for (name, u), p in zip(columns, (self.base, self.patched, self.donor), strict=True)
        ]
        bars = f'<div style="display:flex;flex-wrap:wrap">{"".join(runs)}</div>'
        return page.players({"base": shown.base, "donor": shown.donor}) + self._said(answers) + bars

    def _said(self, answers: Sequence[str]) -> str:
        base, donor, now = answers
        if self.place == NOWHERE:
            text = f"Nothing is exchanged. The base is heard as <b>{base}</b>, the donor as <b>{donor}</b>. Press a field."
        else:
            where = "at the input" if self.site == "connector" else f"after layer {named(self.site)}"
            text = f"The donor’s states at <b>{escape(self.place)}</b>, put in {where}: the answer is <b>{now}</b>"
            text += ", <b>flipped</b> to the donor’s" if self.flipped else ", as before" if now == base else ", neither’s" * (now != donor)
            text += f"; {_written(self.effect)} of what the whole exchange does."
        return f'<p role="status">{text}</p>'

    def _run(self, fields: Sequence[tuple[str, str]]) -> None:
        """Fill the memory with what was not pressed before, a layer's fields in one batch."""
        one = self._of(self.pair)
        for site in self.sites:
            places = [p for s, p in fields if s == site and (self.pair, s, p) not in self._found]
            known = [p for p in places if p in one.spans]
            for place, logits in zip(known, one.run(site, known), strict=True) if known else ():
                self._found[self.pair, site, place] = logits
            self._found |= {(self.pair, site, p): one.base for p in places if p not in one.spans}  # the pair has no such place

    def _of(self, pair: int) -> _Prepared:
        if pair not in self._prepared:
            self._prepared[pair] = _prepare(self.listener, self.pairs[pair], self.sites)
        return self._prepared[pair]

    def _share(self, logits: np.ndarray) -> float:
        """Share of the whole exchange's effect."""
        one, moves = self._of(self.pair), np.array([self.pairs[self.pair].moves])
        base, donor, now = (float(log_odds(x[None], moves)[0]) for x in (one.base, one.donor, logits))
        return (now - base) / (donor - base) if abs(donor - base) > 1e-6 else float("nan")

    def _field(self, site: str, place: str) -> widgets.Button:
        button = widgets.Button(
            tooltip=f"{place}, after layer {named(site)}", layout=widgets.Layout(width=WIDE, height="2em", margin="1px")
        )
        button.on_click(lambda _: self.press(site, place))
        return button

    def _grid(self) -> widgets.GridBox:
        def label(text: str) -> widgets.Label:
            return widgets.Label(text, layout=widgets.Layout(width=WIDE, height="2em", margin="1px"))

        cells = [label("after layer"), *map(label, self.places[1:])]
        for site in self.sites:
            cells += [label(named(site)), *(self.fields[site, p] for p in self.places[1:])]
        return widgets.GridBox(cells, layout=widgets.Layout(grid_template_columns=f"repeat({len(self.places)}, 7em)", overflow="auto"))

    def _colour(self, here: tuple[str, str]) -> None:
        """Write each field's effect on it, in the colours of the map; the one that is pressed has a frame, a flip a dot."""
        one = self._of(self.pair)
        for (site, place), button in self.fields.items():
            share = self.tried.get((site, place))
            flips = share is not None and _flips(one, self._found[self.pair, site, place])
            button.description = "" if share is None else f"{_written(share)}{' ●' if flips else ''}"
            known = share is not None and np.isfinite(share)
            colour = to_hex(theme.diverging()((np.clip(share, -1, 1) + 1) / 2)) if known else None
            button.style.button_color = colour
            button.style.text_color = theme.text_on(colour) if colour else None
            button.layout.border = FRAME if (site, place) == here else "1px solid transparent"


class _Prepared:
    """A pair that went through the listener once: the base's run to go on from, and the donor's states, matched place by place."""

    def __init__(self, suffix: Suffix, given: dict[str, Tensor], match: Tensor, named_spans: dict[str, Tensor], donor: np.ndarray) -> None:
        self.suffix, self.given, self.match, self.spans = suffix, given, match, named_spans
        self.base, self.donor = suffix.labels[0].float().cpu().numpy(), donor

    def run(self, site: str, places: Sequence[str]) -> np.ndarray:
        """(places, 7) logits of the base's run with the donor's states at each of the places, after a layer."""
        masks = torch.cat([self.spans[p] & (self.match >= 0) for p in places])[..., None]
        given = self.given[site]
        return self.suffix.run(site, [0] * len(places), lambda which, now: torch.where(masks[which], given.to(now.dtype), now))


def _prepare(listener: Transparent, pair: Pair, sites: Sequence[str]) -> _Prepared:
    bases, donors = listener.naming([pair.base]), listener.naming([pair.donor])
    match, _ = lined_up(listener, bases, donors)
    base, donor = begin(listener, bases, sites), begin(listener, donors, sites)
    with torch.inference_mode():
        given = {s: x.gather(1, match.clamp(min=0)[..., None].expand(-1, -1, x.shape[-1])) for s, x in donor.states.items()}
    return _Prepared(base, given, match, spans(listener, bases), donor.labels[0].float().cpu().numpy())


def _flips(one: _Prepared, logits: np.ndarray) -> bool:
    return bool(logits.argmax() == one.donor.argmax() != one.base.argmax())


def _label(pair: Pair) -> str:
    base, donor = pair.base, pair.donor
    if pair.differs == "tone":
        return f"{base.emotion} voice → {donor.emotion} voice: “{base.text}”"
    return f"{base.lexical_emotion} words → {donor.lexical_emotion} words: “{base.text}” → “{donor.text}”"


def _softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max())
    return np.asarray(exp / exp.sum())


def _written(share: float) -> str:
    """A share with two digits; "?" where there is none."""
    if not np.isfinite(share):
        return "?"
    text = f"{share:.2f}".replace("-", "−")
    return "0" if text in ("0.00", "−0.00") else text
