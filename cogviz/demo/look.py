"""How the page looks: the palette of the figures, the reader's own fonts, one column on a phone and two on a laptop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogviz.emotions import EMOTIONS, emotion
from cogviz.plotting.theme import DARK, LIFT, LIGHT, Look, mix

if TYPE_CHECKING:
    from gradio.themes import Base

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
MONO = ("ui-monospace", "DejaVu Sans Mono", "monospace")


def theme() -> Base:
    """Return Gradio's plainest theme in our colours; nothing in it is loaded from a network."""
    from gradio.themes import Base
    from gradio.themes.utils import colors, fonts, sizes

    def ramp(name: str, base: str) -> colors.Color:
        names = ("c50", "c100", "c200", "c300", "c400", "c500", "c600", "c700", "c800", "c900", "c950")
        light = [mix(base, "#FFFFFF", share) for share in (0.95, 0.88, 0.76, 0.6, 0.42, 0.2)]
        dark = [mix(base, "#000000", share) for share in (0.0, 0.2, 0.4, 0.55, 0.7)]
        steps: dict[str, Any] = dict(zip(names, (*light, *dark), strict=True))
        return colors.Color(name=name, **steps)

    made = Base(
        primary_hue=ramp("voice", LIGHT.voice),
        secondary_hue=ramp("words", LIGHT.words),
        neutral_hue=ramp("ink", LIGHT.muted),
        text_size=sizes.text_md,
        radius_size=sizes.radius_md,
        font=[fonts.Font(name) for name in FONTS],
        font_mono=[fonts.Font(name) for name in MONO],
    )
    values: dict[str, str] = {}
    for suffix, page in (("", LIGHT), ("_dark", DARK)):
        values |= {
            f"body_background_fill{suffix}": page.paper,
            f"body_text_color{suffix}": page.ink,
            f"body_text_color_subdued{suffix}": page.muted,
            f"background_fill_primary{suffix}": page.paper,
            f"background_fill_secondary{suffix}": page.panel,
            f"block_background_fill{suffix}": page.panel,
            f"block_border_color{suffix}": page.line,
            f"block_label_background_fill{suffix}": page.panel,
            f"block_label_text_color{suffix}": page.ink,
            f"block_title_text_color{suffix}": page.ink,
            f"border_color_primary{suffix}": page.line,
            f"input_background_fill{suffix}": page.paper,
            f"input_border_color{suffix}": page.line,
            f"input_placeholder_color{suffix}": page.muted,
            f"panel_background_fill{suffix}": page.panel,
            f"checkbox_label_background_fill{suffix}": page.paper,
            f"checkbox_label_background_fill_selected{suffix}": page.voice,
            f"checkbox_label_text_color{suffix}": page.ink,
            f"checkbox_label_text_color_selected{suffix}": page.paper,
            f"checkbox_label_border_color{suffix}": page.line,
            f"checkbox_background_color_selected{suffix}": page.words,
            f"checkbox_border_color_selected{suffix}": page.words,
            f"button_primary_background_fill{suffix}": page.voice,
            f"button_primary_background_fill_hover{suffix}": mix(page.voice, page.words, 0.15),
            f"button_primary_text_color{suffix}": page.paper,
            f"button_primary_border_color{suffix}": page.voice,
            f"button_secondary_background_fill{suffix}": page.paper,
            f"button_secondary_background_fill_hover{suffix}": page.panel,
            f"button_secondary_text_color{suffix}": page.ink,
            f"button_secondary_border_color{suffix}": page.line,
            f"slider_color{suffix}": page.words,
            f"link_text_color{suffix}": mix(page.words, page.ink, 0.45),
            f"link_text_color_hover{suffix}": page.ink,
        }
    return made.set(block_border_width="1px", block_shadow="none", button_border_width="1px", **values)


def _variables(page: Look) -> str:
    colours = "".join(f"--{name}:{mix(emotion(name).color, '#FFFFFF', LIFT) if page.dark else emotion(name).color};" for name in EMOTIONS)
    return (
        f"--ink:{page.ink};--faint:{page.muted};--line:{page.line};--panel:{page.panel};--paper:{page.paper};--words:{page.words};{colours}"
    )


def css() -> str:
    """Return the style of the page."""
    style = _read("page.css")
    return f":root{{{_variables(LIGHT)}}}.dark{{{_variables(DARK)}}}{style}"


def head() -> str:
    """Return what goes into the page's head: rules for a phone, which Gradio would rewrite if they were part of `css`."""
    return f"<style>{_read('phone.css')}</style>"


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
