"""A case as one ``.medvl.zip``; see ``readers.case_zip`` for the layout."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..ct.geometry import SourceGeometry
from ..ct.masks import Mask
from ..ct.prompts import Box, Point
from ..ct.volume import CTVolume
from ..errors import ExportError
from ..readers.case_zip import FORMAT, INDEX, KIND, PRIOR, SCAN, SavedCase, SavedStep
from ..version import __version__
from .nifti import check_grid, save_scan

HISTORY_BYTES = 1_000_000_000  # of the boxes of all steps, one byte a voxel: the oldest beyond it are left out


def write_case(
    path: str | PathLike, case: SavedCase, ct: CTVolume | None = None, prior: CTVolume | None = None
) -> None:
    """Write a case.

    Args:
        path: zip to write; appears only when complete.
        case: what to write.
        ct: its scan, to go into the file; None leaves it out.
        prior: the earlier scan that stands beside, in the same way.

    Raises:
        ExportError: it cannot be written there.
    """
    path = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix="medvl-case-") as scratch:
            packed = Path(scratch) / "case.part"
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                members = _Members()
                index = _index(case, members, FORMAT if prior is not None else 1)
                archive.writestr(INDEX, json.dumps(index, ensure_ascii=False, allow_nan=False))
                for name, mask in members.masks.items():
                    archive.writestr(name, mask.runs.astype("<u4").tobytes())
                for name, volume in ((SCAN, ct), (PRIOR, prior)):
                    if volume is not None:
                        scan = Path(scratch) / name
                        save_scan(_on_a_grid(volume), scan)
                        archive.write(scan, name, compress_type=zipfile.ZIP_STORED)
            part = path.with_name(f".{path.name}.part")
            shutil.move(packed, part)  # perhaps onto another disk
            os.replace(part, path)
    except OSError as error:
        raise ExportError(f"The case could not be saved ({error.strerror}). Choose another folder.") from error


class _Members:
    """Names of the masks' members; masks with the same voxels share one."""

    def __init__(self) -> None:
        self.masks: dict[str, Mask] = {}
        self._names: dict[int, str] = {}

    def name(self, mask: Mask) -> str | None:
        if mask.empty:
            return None
        key = id(mask.block)
        if key not in self._names:
            self._names[key] = f"masks/{len(self._names) + 1}.runs"
            self.masks[self._names[key]] = mask
        return self._names[key]


def _index(case: SavedCase, members: _Members, number: int) -> dict[str, Any]:
    index = {
        "kind": KIND,  # first, so that the file is told by its first bytes
        "format": number,
        "made_with": __version__,
        "notice": "Research use only, not for diagnosis.",
        **_part(case, members),
    }
    if case.prior is not None:
        found = case.prior.found
        index["prior"] = {
            "matrix": np.asarray(found.matrix).tolist(),
            "similarity": float(found.similarity),
            "shared_mm": float(found.shared_mm),
            "same_frame": bool(found.same_frame),
            "case": _part(case.prior.case, members),
        }
    return index


def _part(case: SavedCase, members: _Members) -> dict[str, Any]:
    scan = case.scan
    return {
        "scan": {
            "shape": list(scan.shape),
            "affine": np.asarray(scan.affine).tolist(),
            "digest": scan.digest,
            "file_name": scan.file_name,
            "file_format": scan.file_format,
        },
        "masks": _masks(case, members),
        "order": [list(group) for group in case.order],
        "clicked": case.clicked,
        "found": list(case.found),
        "turns": list(case.turns),
        "told": list(case.told),
        "report": case.report,
        "page": case.page,
    }


def _masks(case: SavedCase, members: _Members) -> list[dict[str, Any]]:
    rows = []
    left = HISTORY_BYTES - sum(one.mask.block.nbytes for one in case.masks)
    for one in case.masks:
        past, future = [], []
        for steps, kept in ((reversed(one.past), past), (one.future, future)):
            for step in steps:  # the newest first
                left -= step.mask.block.nbytes if step.mask.block is not one.mask.block else 0
                if left < 0:
                    break
                kept.append(_step(step, members))
        mask = one.mask
        row = {"id": mask.id, "name": mask.name, "color": mask.color, "now": _step(SavedStep(mask), members)}
        rows.append(row | {"past": past[::-1], "future": future})
    return rows


def _step(step: SavedStep, members: _Members) -> dict[str, Any]:
    mask = step.mask
    prompts = None if step.prompts is None else [_prompt(p) for p in step.prompts]
    ends = [{"axis": e.axis, "index": int(e.index), "reason": e.reason} for e in mask.ends]
    box = None if mask.box is None else [_ints(mask.box.lo), _ints(mask.box.hi)]
    return {"runs": members.name(mask), "box": box, "ends": ends, "prompts": prompts}


def _prompt(prompt: Point | Box) -> dict[str, Any]:
    if isinstance(prompt, Point):
        return {"point": _ints(prompt.ijk), "positive": bool(prompt.positive), "axis": int(prompt.axis)}
    return {"box": [_ints(prompt.lo), _ints(prompt.hi)]}


def _ints(values: tuple[int, ...]) -> list[int]:
    return [int(v) for v in values]


def _on_a_grid(ct: CTVolume) -> CTVolume:
    """The scan, to be written on the grid of its file, or on its own where it was resampled at reading."""
    try:
        check_grid(ct)
    except ExportError:
        return replace(ct, source=SourceGeometry(ct.shape, ct.affine))
    return ct
