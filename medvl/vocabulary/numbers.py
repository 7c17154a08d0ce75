"""How values are written: units and rounding, in one place, so that what is shown can be checked against the facts."""

from __future__ import annotations


def show(value: float | int | str | bool, unit: str = "") -> str:
    """A value with its unit, as every answer and table writes it.

    mL, cm² and percentages below 10 and mm below 100 have one decimal; everything else is whole, with a comma between
    thousands. Other numbers keep up to three decimals.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if unit == "mL" and 0 < value < 0.05:
        return "less than 0.1 mL"
    places = decimals(value, unit)
    text = f"{value:,.{places}f}"
    if not unit and places:
        text = text.rstrip("0").rstrip(".")
    if text.lstrip("-0.,") == "":
        text = text.lstrip("-")  # no minus before nothing
    if unit == "%":
        return f"{text}%"
    return f"{text} {unit}" if unit else text


def decimals(value: float | int, unit: str) -> int:
    """Places after the point that ``show`` gives a number."""
    if isinstance(value, int):
        return 0
    limit = {"mL": 10, "mm": 100, "%": 10, "HU": 0, "cm\u00b2": 10, "mm\u00b3": 100}.get(unit)
    if limit is None:
        return 3
    return 1 if abs(value) < limit - 0.05 else 0
