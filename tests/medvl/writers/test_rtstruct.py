"""RT Structure Sets: outlines on the right slices, and the same masks when they are filled again."""

import numpy as np
import pydicom
import pytest
from skimage.draw import polygon2mask

import medvl.writers.export as export
from medvl.ct.geometry import restore
from medvl.ct.masks import Mask
from medvl.errors import ExportError
from medvl.readers import read_ct
from medvl.readers.masks import read_masks

from ...phantoms import phantom, reorient, write_dicom_series
from ..export_grids import blob, volume

STUDY_FIELDS = ("StudyInstanceUID", "FrameOfReferenceUID")


def filled(roi, headers):
    """Pixels ``[slice, row, column]`` by the headers of the slices alone, as a planning system has them."""
    out = np.zeros((len(headers), headers[0].Rows, headers[0].Columns), bool)
    number = {header.SOPInstanceUID: n for n, header in enumerate(headers)}
    for contour in roi.ContourSequence:
        n = number[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        header, points = headers[n], np.array(contour.ContourData, float).reshape(-1, 3)
        assert len(points) == contour.NumberOfContourPoints
        steps = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
        apart = points - np.array(header.ImagePositionPatient, float)
        assert np.abs(apart @ np.cross(*steps)).max() < 0.01  # in the plane of the slice that it refers to
        row_mm, column_mm = header.PixelSpacing
        out[n] ^= polygon2mask(out[n].shape, np.stack([apart @ steps[1] / row_mm, apart @ steps[0] / column_mm], 1))
    return out


def stored(mask, ct):
    """The mask along the file's axes, ``[slice, row, column]``."""
    return restore(mask.array, ct.affine, ct.source).transpose(2, 1, 0)


@pytest.mark.parametrize("degrees", [0.0, 14.0])
@pytest.mark.parametrize("axcodes", ["LPS", "LPI", "PSL", "LSA"])
def test_outlines_hold_the_mask_on_its_slices(tmp_path, axcodes, degrees):
    ct = volume(axcodes, degrees=degrees, dicom=True)
    ring = np.zeros(ct.shape, bool)
    ring[2:9, 2:9, 1:7] = True
    ring[4:7, 4:7, 1:7] = False
    ring[5, 5, 2] = True  # an island in the hole
    ring[0, 0, :] = ring[-1, -1, -1] = True  # at the edge of the grid, a voxel wide
    masks = [Mask.from_array(ring, name="Ring", color="#ff0010"), blob(ct, 2, name="Läsion / 左"), blob(ct, 3)]
    assert export.save_rtstruct(masks, ct, tmp_path / "s.dcm") == []
    data = pydicom.dcmread(tmp_path / "s.dcm")
    for roi, mask in zip(data.ROIContourSequence, masks, strict=True):
        np.testing.assert_array_equal(filled(roi, ct.dicom.headers), stored(mask, ct))
    again = read_masks(tmp_path / "s.dcm", ct)
    assert [m.name for m in again][:2] == ["Ring", "Läsion / 左"]
    assert again[0].color == "#ff0010"
    for mask, found in zip(masks, again, strict=True):
        np.testing.assert_array_equal(found.array, mask.array)


def test_refers_to_the_source_and_names_nobody(tmp_path):
    ct = volume("LPS", dicom=True)
    export.save_rtstruct([blob(ct)], ct, tmp_path / "s.dcm")
    data, first = pydicom.dcmread(tmp_path / "s.dcm"), ct.dicom.headers[0]
    assert [data[k].value for k in STUDY_FIELDS] == [first[k].value for k in STUDY_FIELDS]
    assert data.SeriesInstanceUID != first.SeriesInstanceUID
    (frame,) = data.ReferencedFrameOfReferenceSequence
    (series,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    assert [i.ReferencedSOPInstanceUID for i in series.ContourImageSequence] == [
        h.SOPInstanceUID for h in ct.dicom.headers
    ]
    content = (tmp_path / "s.dcm").read_bytes()
    assert b"Secret" not in content
    assert b"ID-4711" not in content
    assert str(data.PatientName) == ""


@pytest.mark.parametrize("degrees", [12.0, -17.0])
def test_a_tilted_series_has_outlines_on_its_own_slices(tmp_path, degrees):
    made = phantom(noise=0)
    write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, "LPS"), tilt_degrees=degrees)
    ct = read_ct(tmp_path / "series")
    export.save_rtstruct([Mask.from_array(ct.hu > 150)], ct, tmp_path / "s.dcm")
    (roi,) = pydicom.dcmread(tmp_path / "s.dcm").ROIContourSequence
    source = [pydicom.dcmread(f) for f in (tmp_path / "series").iterdir()]
    found = filled(roi, source)
    there = np.stack([s.pixel_array.astype(int) + int(s.RescaleIntercept) > 150 for s in source])
    assert (found != there).sum() < 0.12 * there.sum()  # half a pixel of the shift, and what its interpolation blurs


def test_not_without_slices(tmp_path):
    with pytest.raises(ExportError, match=r"RTSTRUCT refers to the slices of a DICOM series.*NIfTI"):
        export.save_rtstruct([blob(volume("LPS"))], volume("LPS"), tmp_path / "s.dcm")
    ct = volume("LPS", dicom=True)
    with pytest.raises(ExportError, match="as RTSTRUCT"):
        export.save_rtstruct([Mask.from_array(np.zeros(ct.shape, bool))], ct, tmp_path / "s.dcm")
    assert not list(tmp_path.iterdir())
