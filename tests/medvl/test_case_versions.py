"""Files of cases as earlier versions wrote them open in this one; written word by word, by no code of the package."""

from __future__ import annotations

import json
import struct
import zipfile

import numpy as np
import pytest

import medvl
from medvl.ct.geometry import SourceGeometry
from medvl.ct.prompts import Point
from medvl.ct.volume import CTVolume

SHAPE = (16, 14, 10)
DIGEST = "7f1f8baa97da6ed3c55e90e87e44e4bf3fba304b1b29cfdd2e09e82575250a8b"  # of ``scan``, by the first version
BOX = [[2, 3, 1], [6, 8, 4]]  # 4 x 5 x 3 voxels


def scan() -> CTVolume:
    i, j, k = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    hu = np.asfortranarray((100 * i + 10 * j + k - 1000).astype(np.int16))
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    return CTVolume(hu, affine, SourceGeometry(SHAPE, affine))


def part(report=None) -> dict:
    """What format 1 had from its first day on."""
    first = {
        "runs": "masks/1.runs",
        "box": BOX,
        "ends": [],
        "prompts": [{"point": [3, 4, 2], "positive": True, "axis": 2}],
    }
    now = {"runs": "masks/2.runs", "box": BOX, "ends": [], "prompts": None}
    return {
        "scan": {
            "shape": list(SHAPE),
            "affine": np.diag([1.0, 1.0, 2.0, 1.0]).tolist(),
            "digest": DIGEST,
            "file_name": "old.nii.gz",
            "file_format": "NIfTI",
        },
        "masks": [{"id": "m4", "name": "Liver", "color": "#4dabf7", "now": now, "past": [first, now], "future": []}],
        "clicked": "m4",
        "found": [{"structure": "liver", "mask": "m4", "status": "found", "note": ""}],
        "turns": [[{"tool": "segment", "of": ["liver"]}]],
        "report": report,
        "page": {"view": {"ijk": [3, 4, 2]}},
    }


def file(path, number: int, more: dict | None = None):
    head = {"kind": "medvl-case", "format": number, "made_with": "0.4.0", "notice": "Research use only."}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("case.json", json.dumps(head | part() | (more or {})))
        archive.writestr("masks/1.runs", struct.pack("<3I", 0, 30, 30))  # the first half of the box, i slowest
        archive.writestr("masks/2.runs", struct.pack("<2I", 0, 60))
    return path


def check(case) -> None:
    mask = case.masks["m4"]
    whole = np.zeros(SHAPE, bool)
    whole[2:6, 3:8, 1:4] = True
    assert np.array_equal(mask.array, whole)
    assert (mask.name, mask.color) == ("Liver", "#4dabf7")
    case.undo("m4")
    whole[4:] = False
    assert np.array_equal(case.masks["m4"].array, whole)
    assert case.prompts("m4") == [Point((3, 4, 2), True, 2)]


def test_format_1(model, tmp_path):
    case = medvl.open_case(file(tmp_path / "a.medvl.zip", 1), scan(), model=model)
    check(case)
    case.close()


def test_format_1_with_what_came_later_in_it(model, tmp_path):
    more = {
        "order": [["m4"], ["m4"]],
        "told": [{"message": "liver", "facts": [], "masks": ["m4"], "spots": [], "question": None}],
    }
    case = medvl.open_case(file(tmp_path / "a.medvl.zip", 1, more), scan(), model=model)
    assert case.masks.undo_last() == ("m4",)
    case.masks.redo_last()
    check(case)
    case.close()


@pytest.mark.parametrize("with_prior", [False, True])
def test_format_2(model, tmp_path, with_prior):
    matrix = np.eye(4)
    matrix[2, 3] = 4.0
    prior = {"matrix": matrix.tolist(), "similarity": 0.9, "shared_mm": 12.0, "same_frame": False, "case": part()}
    path = file(tmp_path / "a.medvl.zip", 2, {"prior": prior})
    case = medvl.open_case(path, scan(), prior=scan() if with_prior else None, model=model)
    check(case)
    if with_prior:
        assert case.prior is not None
    case.close()
