"""The panels beside the viewer: scan facts, masks, export. Own HTML, so that a list can look and act like one.

Templates are static; what comes from a person (names, titles) travels in ``value`` and reaches the page only as
``textContent`` or the value of an input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from medvl.masks import Mask

from .case_session import CaseSession
from .viewer.board import DEFAULT_OPACITY

TIMES = " \N{MULTIPLICATION SIGN} "
STATIC = Path(__file__).parent / "static"
EXPORTS = (
    ("labels", "Label map", "NIfTI, all masks in one file"),
    ("masks", "Single masks", "NIfTI, one file each"),
    ("dicom_seg", "DICOM-SEG", "refers to the source slices"),
    ("stl", "Surfaces", "STL in mm"),
    ("csv", "Measurements", "CSV of masks and lengths"),
)


def masks_html() -> gr.HTML:
    """The list of masks and the tools for the selected one; event ``edit`` with ``{"op", "id", ...}``."""
    return panel_html("masks", empty_masks())


def facts_html() -> gr.HTML:
    """What is known of the open scan."""
    return panel_html("facts", empty_facts())


def export_html() -> gr.HTML:
    """Choice of files and the download; event ``export`` with ``{"include": [...], "lengths": ...}``."""
    return panel_html("export", {"kinds": [], "masks": 0, "file": None})


def panel_html(name: str, value: dict[str, Any]) -> gr.HTML:
    """A panel of its own files ``static/NAME.html`` and ``static/NAME.js``, with its first value."""
    return gr.HTML(
        value=value,
        html_template=(STATIC / f"{name}.html").read_text(encoding="utf-8"),
        js_on_load=(STATIC / f"{name}.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=f"{name}-panel",
        elem_classes=["medvl-panel"],
    )


def empty_masks() -> dict[str, Any]:
    """The masks panel before there is a scan."""
    return {"masks": [], "active": None, "undo": False, "redo": False, "scan": ""}


def empty_facts() -> dict[str, Any]:
    """The facts panel before there is a scan."""
    return {"title": "No scan is open", "about": "", "rows": [], "notes": []}


def masks_value(session: CaseSession, running: Mask | None = None) -> dict[str, Any]:
    """The list as it is now.

    Args:
        session: the visitor's.
        running: the mask that is being made; measured when it is done.
    """
    case = session.case
    masks = dict(case.masks)
    if running is not None:
        masks[running.id] = running
    handle = session.target.mask_id or session.last_id
    rows = [_row(session, mask, running is not None and mask.id == running.id) for mask in masks.values()]
    return {
        "masks": rows,
        "active": session.target.mask_id,
        "undo": bool(handle and case.can_undo(handle)),
        "redo": bool(handle and case.can_redo(handle)),
        "scan": session.token[:8],
    }


def _row(session: CaseSession, mask: Mask, running: bool) -> dict[str, Any]:
    style = session.styles.get(mask.id, {})
    row = {
        "id": mask.id,
        "name": mask.name,
        "color": mask.color,
        "visible": style.get("visible", True),
        "opacity": style.get("opacity", DEFAULT_OPACITY),
        "running": running,
        "volume_ml": mask.voxels * session.ct.voxel_volume_ml,
    }
    if running or mask.empty:
        return row
    measured = session.measure(mask)
    return row | {
        "mean_hu": measured.mean_hu,
        "sd_hu": measured.sd_hu,
        "longest_diameter_mm": measured.longest_diameter_mm,
        "slices": list(measured.slice_range) if measured.slice_range else None,
    }


def facts_value(session: CaseSession, about: str = "") -> dict[str, Any]:
    """Shape, spacing, orientation and grey values of the open scan, and what the reader noted."""
    ct = session.ct
    low, high = int(ct.hu.min()), int(ct.hu.max())
    shape, spacing = ct.shape, ct.spacing_mm
    rows = [
        ("Format", ct.file_format),
        ("Voxels", TIMES.join(str(n) for n in shape)),
        ("Spacing", TIMES.join(f"{s:.2f}" for s in spacing) + " mm"),
        ("Extent", TIMES.join(f"{n * s:.0f}" for n, s in zip(shape, spacing, strict=True)) + " mm"),
        ("File's axes", ct.source.orientation),
        ("HU range", f"{low} to {high}"),
    ]
    return {"title": session.title, "about": about, "rows": [list(r) for r in rows], "notes": list(ct.notes)}


def export_kinds(session: CaseSession) -> list[str]:
    """Kinds of files that this scan can be exported to."""
    return [kind for kind, _, _ in EXPORTS if kind != "dicom_seg" or session.ct.dicom is not None]


def export_value(session: CaseSession, path: Path | None = None, note: str = "") -> dict[str, Any]:
    """The choices, the file that is ready, and what there is to say of it."""
    possible = export_kinds(session)
    kinds = [
        {
            "id": kind,
            "label": label,
            "hint": hint if kind in possible else "only for scans that came as DICOM",
            "possible": kind in possible,
        }
        for kind, label, hint in EXPORTS
    ]
    file = None
    if path is not None:
        stat = path.stat()
        file = {
            "href": f"/medvl/{session.token}/export?v={stat.st_mtime_ns}",
            "name": path.name,
            "size_mb": round(stat.st_size / 1e6, 2),
        }
    return {"kinds": kinds, "file": file, "note": note}
