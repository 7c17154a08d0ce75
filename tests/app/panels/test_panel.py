"""What the page tells of a file's header: the grid, and nothing that leads to a person."""

from __future__ import annotations

import re

import medvl
from app.panels.panel import header_rows

from ... import phantoms


def test_of_dicom(tmp_path):
    made = phantoms.phantom((24, 20, 18), spacing=(2.0, 2.5, 4.0), noise=0)
    phantoms.write_dicom_series(tmp_path / "d", made.hu, made.affine)
    rows = dict(header_rows(medvl.read_ct(tmp_path / "d")))
    assert rows["Modality"] == "CT"
    assert (rows["Rows"], rows["Columns"]) == ("20", "24")
    assert rows["PixelSpacing"] == "2.5 2"
    ends = [[float(v) for v in rows[f"Position of the {n} slice"].split()] for n in ("first", "last")]
    assert abs(ends[1][2] - ends[0][2]) == 17 * 4.0
    told = " ".join(f"{name} {value}" for name, value in rows.items())
    assert not re.search(r"\d+(\.\d+){4,}", told)  # a UID leads to the study
    assert not any(part and part.lower() in told.lower() for part in re.split(r"\W+", phantoms.PATIENT_NAME))
    assert not any("Date" in name or "Patient" in name.replace("ImageOrientationPatient", "") for name in rows)


def test_of_nifti_and_of_others(tmp_path):
    made = phantoms.phantom((24, 20, 18), spacing=(2.0, 2.5, 4.0), noise=0)
    rows = dict(header_rows(medvl.read_ct(phantoms.write_nifti(tmp_path / "a.nii.gz", made.hu, made.affine))))
    assert rows["pixdim"].split()[1:4] == ["2", "2.5", "4"]
    assert int(rows["sform_code"]) + int(rows["qform_code"]) > 0
    ct = medvl.read_ct(tmp_path / "a.nii.gz")
    step = [float(v) for v in rows["Step along k (RAS mm)"].split()]
    assert [round(v, 4) for v in step] == [round(float(v), 4) for v in ct.source.affine[:3, 2]]
