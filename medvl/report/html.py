"""A report as one HTML file: no script, no link, pictures inside, printable on A4."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from .parts import COLUMNS, EDITED, IMPRESSION, LISTED, NOTICE, Picture, Row, Section, cells, under_table

_STYLE = """
@page { size: A4; margin: 16mm 15mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; color: #1b1f24;
  max-width: 180mm; margin: 10mm auto; padding: 0 5mm; background: #fff; }
h1 { font-size: 18pt; margin: 0 0 2mm; }
h2 { font-size: 13pt; margin: 6mm 0 2mm; border-bottom: 0.3mm solid #c9d1d9; padding-bottom: 1mm; break-after: avoid; }
h3 { font-size: 11pt; margin: 3.5mm 0 0.5mm; break-after: avoid; }
p { margin: 0 0 2mm; }
.notice { background: #fff4d6; border-left: 1mm solid #b7791f; padding: 1.5mm 3mm; }
table { border-collapse: collapse; width: 100%; font-size: 9.5pt; }
th, td { text-align: right; padding: 1mm 2mm; border-bottom: 0.2mm solid #d8dee4; }
td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tr { break-inside: avoid; }
.dot { display: inline-block; width: 2.6mm; height: 2.6mm; border-radius: 50%; margin-right: 1.6mm;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 4mm; }
figure { margin: 0; break-inside: avoid; }
figure img { width: 100%; display: block; background: #000; max-height: 95mm; object-fit: contain; }
figcaption, .small { font-size: 8.5pt; color: #57606a; }
ol, ul { margin: 0 0 2mm; padding-left: 5mm; }
@media print { body { margin: 0; padding: 0; max-width: none; } }
"""
_COUNTED = (
    "R and L are the patient's sides. Slices are counted from 1, axial ones from the feet, coronal ones from the back."
)


def page(sections: Sequence[Section], table: Sequence[Row], pictures: Sequence[Picture], edited: bool) -> str:
    """The whole page of a report. Every text is escaped."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>CT report</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body>",
        f'<h1>CT report</h1><p class="notice"><strong>{escape(NOTICE)}</strong></p>',
    ]
    small = LISTED - {IMPRESSION}
    parts += [_section(section) for section in sections if section.title not in small]
    parts += [_table(table), _pictures(pictures)]
    parts += [_section(section) for section in sections if section.title in small]
    if edited:
        parts.append(f'<p class="small">{escape(EDITED)}</p>')
    return "\n".join([*filter(None, parts), "</body></html>"]) + "\n"


def _section(section: Section) -> str:
    if not section.sentences and section.level > 1:
        return ""
    tag = f"h{section.level + 1}"
    head = f"<{tag}>{escape(section.title)}</{tag}>"
    spans = [
        f'<span data-masks="{escape(" ".join(told.mask_ids))}" data-source="{told.source}">{escape(told.text)}</span>'
        for told in section.sentences
    ]
    if section.title in LISTED:
        small = ' class="small"' if section.title != IMPRESSION else ""
        return f"{head}<ul{small}>{''.join(f'<li>{span}</li>' for span in spans)}</ul>"
    return f"{head}<p>{' '.join(spans)}</p>" if spans else head


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(title)}</th>" for title in ("Structure", *COLUMNS))
    body = "".join(
        f'<tr><td><span class="dot" style="background:{escape(row.color)}"></span>{escape(row.name)}</td>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells(row))
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h2>Measurements</h2>{table}<p class="small">{escape(under_table(rows))}</p>'


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    figures = "".join(
        f'<figure><img alt="{escape(picture.title)}" '
        f'src="data:image/png;base64,{base64.b64encode(picture.png).decode()}">'
        f"<figcaption>{escape(picture.title)}</figcaption></figure>"
        for picture in pictures
    )
    return f'<h2>Key slices</h2><div class="pictures">{figures}</div><p class="small">{_COUNTED}</p>'
