"""Labelled phantoms as ``cases.json``, for the networks of the bundle."""

from __future__ import annotations

import json
from pathlib import Path

from ....phantoms import ORGANS, phantom, write_nifti

NAMES = dict(
    zip(
        ORGANS,
        ("liver", "spleen", "right_kidney", "left_kidney", "aorta", "vertebral_column", "urinary_bladder"),
        strict=True,
    )
)
TOTALS = {"spine": "sacrum", "bladder": "colon", "kidney_left": "iliopsoas_left"}


def write_cases(folder: Path) -> Path:
    """Two scans of an abdomen; the second is labelled with TotalSegmentator's classes, too.

    Returns:
        ``cases.json``.
    """
    entries = []
    for number in range(2):
        body = phantom(spacing=(4.0, 4.5, 5.0), noise=5.0 + 5 * number)
        write_nifti(folder / f"ct{number}.nii.gz", body.hu, body.affine)
        write_nifti(folder / f"labels{number}.nii.gz", body.labels, body.affine)
        entry = {"id": f"phantom_{number}", "ct": f"ct{number}.nii.gz", "labels": f"labels{number}.nii.gz"}
        entry |= {"split": "train", "region": "abdomen", "complete": list(NAMES.values())}
        entries.append(entry | {"label_names": {str(ORGANS[organ]): name for organ, name in NAMES.items()}})
    entries[1]["labels_total"] = "labels1.nii.gz"
    (folder / "labels").mkdir()
    totals = {str(ORGANS[organ]): name for organ, name in TOTALS.items()}
    (folder / "labels" / "total_classes.json").write_text(json.dumps(totals))
    (folder / "cases.json").write_text(json.dumps(entries))
    return folder / "cases.json"
