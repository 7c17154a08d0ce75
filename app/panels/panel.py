"""The panels beside the viewer: scan facts, masks, export. Own HTML, so that a list can look and act like one.

Templates are static; what comes from a person (names, titles) travels in ``value`` and reaches the page only as
``textContent`` or the value of an input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume, SeriesChoice
from medvl.writers.nifti import overlaps
from medvl.writers.tables import percent

from ..case_session import CaseSession
from ..viewer.board import DEFAULT_OPACITY

TIMES = " \N{MULTIPLICATION SIGN} "
FOLDER = Path(__file__).parent
EXPORTS = (
    ("labels", "Label map", "NIfTI, all masks in one file"),
    ("masks", "Single masks", "NIfTI, one file each"),
    ("seg_nrrd", "3D Slicer", ".seg.nrrd with names and colours"),
    ("dicom_seg", "DICOM-SEG", "refers to the source slices"),
    ("rtstruct", "RTSTRUCT", "outlines on the source slices"),
    ("stl", "Surfaces", "STL in mm"),
    ("csv", "Measurements", "CSV of masks and lengths"),
)

DICOM_SHOWN = (
    "Modality", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "ImageOrientationPatient",
)  # fmt: skip
NIFTI_SHOWN = ("pixdim", "xyzt_units", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z")
OF_DICOM = ("dicom_seg", "rtstruct")  # refer to the slices of a series


def masks_html() -> gr.HTML:
    """The list of masks and the tools for the selected one; event ``edit`` with ``{"op", "id", ...}``."""
    return panel_html("masks", empty_masks())


def facts_html() -> gr.HTML:
    """What is known of the open scan; events ``choose`` with ``{"id"}`` where its files hold several, and ``prior``."""
    return panel_html("facts", empty_facts())


def export_html() -> gr.HTML:
    """Choice of files and the download; event ``export`` with ``{"include": [...], "hidden": ..., "lengths": ...}``."""
    return panel_html("export", {"kinds": [], "file": None, "note": "", "hidden": [], "overlaps": [], "case": None})


def panel_html(name: str, value: dict[str, Any]) -> gr.HTML:
    """A panel of its own files ``NAME.html`` and ``NAME.js``, with its first value."""
    return gr.HTML(
        value=value,
        html_template=(FOLDER / f"{name}.html").read_text(encoding="utf-8"),
        js_on_load=(FOLDER / f"{name}.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=f"{name}-panel",
        elem_classes=["medvl-panel"],
    )


def empty_masks() -> dict[str, Any]:
    """The masks panel before there is a scan."""
    return {"masks": [], "active": None, "undo": False, "redo": False, "scan": "", "told": ""}


def empty_facts() -> dict[str, Any]:
    """The facts panel before there is a scan."""
    return {
        "title": "No scan is open",
        "about": "",
        "warning": "",
        "series": [],
        "rows": [],
        "header": [],
        "notes": [],
        "prior": None,
    }


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
    rows = [_row(session, mask, running is not None and mask.id == running.id) for mask in masks.values()]
    return {
        "masks": rows,
        "active": session.target.mask_id,
        "undo": case.masks.can_undo_last,
        "redo": case.masks.can_redo_last,
        "scan": session.token[:8],
        "told": "",
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
        "limits": mask.limits,
        "stopped": mask.where_stopped,
        "doubt": mask.doubt,
        "mean_hu": measured.mean_hu,
        "sd_hu": measured.sd_hu,
        "percentiles_hu": list(measured.percentiles_hu or ()),
        "longest_diameter_mm": measured.longest_diameter_mm,
        "slices": list(measured.slice_range) if measured.slice_range else None,
    }


def facts_value(session: CaseSession, about: str = "") -> dict[str, Any]:
    """Shape, spacing, orientation and grey values of the open scan, and what the reader noted."""
    ct = session.ct
    low, high = int(ct.hu.min()), int(ct.hu.max())
    shape, spacing = ct.shape, ct.spacing_mm
    rows = [
        *([("File", ct.info.file_name)] if ct.info.file_name not in ("", session.title) else []),
        *([("Series", ct.info.series_description)] if ct.info.series_description else []),
        *([("Contrast, by the header", ct.info.contrast)] if ct.info.contrast else []),
        ("Format", ct.file_format),
        ("Voxels", TIMES.join(str(n) for n in shape)),
        ("Spacing", TIMES.join(f"{s:.2f}" for s in spacing) + " mm"),
        ("Extent", TIMES.join(f"{n * s:.0f}" for n, s in zip(shape, spacing, strict=True)) + " mm"),
        ("File's axes", ct.source.orientation),
        ("HU range" if ct.hu_trusted else "Values (no HU)", f"{low} to {high}"),
    ]
    return {
        "title": session.title,
        "about": about,
        "warning": ct.hu_note,
        "series": [_series_row(choice) for choice in ct.series] if session.files else [],
        "rows": [list(r) for r in rows],
        "header": [list(r) for r in header_rows(ct)],
        "notes": [note for note in ct.notes if note != ct.hu_note],
        "prior": _prior(session),
    }


def header_rows(ct: CTVolume) -> list[tuple[str, str]]:
    """What the file's header says of the grid, name and value; no field of the patient, no date and no UID."""

    def words(values: Any) -> str:
        listed = [values] if isinstance(values, str | int | float) else list(np.atleast_1d(values))
        return " ".join(v if isinstance(v, str) else f"{float(v):.6g}" for v in listed)

    rows = []
    if ct.dicom is not None and len(ct.dicom.headers):
        first, last = ct.dicom.headers[0], ct.dicom.headers[-1]
        rows = [(name, words(first[name].value)) for name in DICOM_SHOWN if first.get(name) not in (None, "")]
        for which, header in (("first", first), ("last", last)):
            rows.append((f"Position of the {which} slice", words(header.get("ImagePositionPatient", "unknown"))))
    elif ct.source.nifti is not None:
        rows = [(name, words(ct.source.nifti[name])) for name in NIFTI_SHOWN]
    axes = zip("ijk", ct.source.affine[:3, :].T, strict=False)
    return [*rows, *((f"Step along {a} (RAS mm)", words(step)) for a, step in axes)]


def _prior(session: CaseSession) -> dict[str, str] | None:
    """The earlier scan: how it was laid over the open one, or that it has to be opened again."""
    if session.prior is not None:
        return {"title": session.prior.title, "about": session.prior.about}
    if session.awaited is not None:
        missing = "It stood beside this scan when the case was saved, and is not in its file: open it here once more."
        return {"title": session.awaited[1], "about": missing}
    return None


def _series_row(choice: SeriesChoice) -> dict[str, Any]:
    """One scan of the files: what it is called, and what tells it from the others."""
    known = [f"{choice.slices} slice{'s' * (choice.slices != 1)}"]
    known += [TIMES.join(f"{s:.2f}" for s in choice.spacing_mm) + " mm"]
    known += [f"kernel {choice.kernel}"] * bool(choice.kernel and "kernel" not in choice.phase)
    known += [choice.modality] * (choice.modality != "CT")
    return {
        "id": choice.id,
        "name": f"Series {choice.id}",
        "description": choice.description,
        "phase": choice.phase[:1].upper() + choice.phase[1:],
        "facts": ", ".join(known),
        "opened": choice.opened,
        "problem": "Its slices cannot be told apart" if choice.problem else "",
        "why": choice.problem,
    }


def export_kinds(session: CaseSession) -> list[str]:
    """Kinds of files that this scan can be exported to."""
    return [kind for kind, _, _ in EXPORTS if kind not in OF_DICOM or session.ct.dicom is not None]


def hidden_masks(session: CaseSession) -> list[Mask]:
    """Masks whose eye is closed; an export leaves them out unless they are asked for."""
    return [m for m in session.case.masks.values() if not session.styles.get(m.id, {}).get("visible", True)]


def overlaps_of(session: CaseSession) -> list[dict[str, Any]]:
    """Sentences about masks that share more than 1%, each with whether one of the two is hidden."""
    masks = [m for m in session.case.masks.values() if not m.empty]
    hidden = {m.id for m in hidden_masks(session)}
    rows = []
    for pair in overlaps(masks):
        under, over = masks[pair.under], masks[pair.over]
        whole = "" if pair.of_over < 0.995 else ", which lies in it"
        text = f"{percent(pair.of_under)} of {under.name} goes to {over.name}{whole}"
        rows.append({"text": text, "hidden": bool({under.id, over.id} & hidden)})
    return rows


def export_value(
    session: CaseSession, path: Path | None = None, note: str = "", case: Path | None = None
) -> dict[str, Any]:
    """The choices, the export or the saved case that is ready, and what there is to say of it."""
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
    file = _file(session, path, "export")
    hidden = [mask.name for mask in hidden_masks(session) if not mask.empty]
    value = {"kinds": kinds, "file": file, "note": note, "hidden": hidden, "overlaps": overlaps_of(session)}
    return value | {"case": _file(session, case, "case")}


def _file(session: CaseSession, path: Path | None, route: str) -> dict[str, Any] | None:
    if path is None:
        return None
    stat = path.stat()
    href = f"/medvl/{session.token}/{route}?v={stat.st_mtime_ns}"
    return {"href": href, "name": path.name, "size_mb": round(stat.st_size / 1e6, 2)}


def left_out(there: list[Mask], chosen: list[Mask]) -> str:
    """What to say of masks that are not in an export."""
    if not chosen:
        return "No masks: only the lengths were written."
    count = len(there) - len(chosen)
    return f"{count} hidden mask{'s' * (count > 1)} left out." if count else ""
