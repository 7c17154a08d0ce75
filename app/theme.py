"""Looks of the page: system fonts, one quiet accent, no gradients. The viewer brings its own dark sheet."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
FOLDER = Path(__file__).parent
# Toasts stand over a plane, not over the tabs. They lie outside of what Gradio lets ``css`` reach.
HEAD = "<style>@media (min-width: 900px) { .toast-wrap { inset: auto auto 64px 28px !important; } }</style>"


def theme() -> gr.themes.Base:
    """Gradio's base theme in greys and one blue, without a font from elsewhere."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.sky,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_sm,
        spacing_size=gr.themes.sizes.spacing_sm,
        text_size=gr.themes.sizes.text_sm,
        font=FONT,
        font_mono=MONO,
    ).set(
        body_background_fill="#f3f5f7",
        body_background_fill_dark="#0f1216",
        block_background_fill="#ffffff",
        block_background_fill_dark="#171b21",
        block_border_color="#dde2e8",
        block_border_color_dark="#272d36",
        block_shadow="none",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#20262e",
        button_secondary_border_color="#cfd6de",
        button_secondary_border_color_dark="#343c47",
        button_primary_background_fill="#1f6feb",
        button_primary_background_fill_hover="#1a5fcc",
        button_primary_text_color="#ffffff",
        input_border_color="#cfd6de",
        input_border_color_dark="#343c47",
    )


def page_css() -> str:
    """The page's sheet and the panels' sheets."""
    sheets = ("page.css", *(f"panels/{name}.css" for name in ("panel", "chat", "report", "about")))
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in sheets)
