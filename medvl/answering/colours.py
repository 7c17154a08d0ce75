"""Colours that a mask can be given by their names, as ``#rrggbb``."""

from __future__ import annotations

COLOURS = {
    "red": "#ff6b6b", "blue": "#4dabf7", "green": "#51cf66", "yellow": "#fcc419", "purple": "#cc5de8",
    "violet": "#9c36b5", "orange": "#ff922b", "cyan": "#22b8cf", "turquoise": "#22b8cf", "teal": "#20c997",
    "pink": "#f06595", "magenta": "#f06595", "brown": "#a07855", "white": "#f8f9fa", "gray": "#adb5bd",
    "grey": "#adb5bd",
}  # fmt: skip
