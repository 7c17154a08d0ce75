"""3D Slicer's and ITK-SNAP's files: read back by ITK and by our own reader, in the file's own grid."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from medvl.ct.masks import Mask
from medvl.errors import ExportError
from medvl.readers import read_ct
from medvl.readers.masks import holds_masks, read_masks
from medvl.writers.export import export_zip
from medvl.writers.slicer import save_seg_nrrd, save_snap_labels

from ...phantoms import phantom, write_nifti


@pytest.fixture(params=["RAS", "LPS", "PIR"])
def ct(request, tmp_path):
    made = phantom((30, 26, 20), degrees=(0, 0, 8), noise=0)
    image = nib.Nifti1Image(made.hu, made.affine)
    wanted = nib.orientations.axcodes2ornt(request.param)
    image = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(made.affine), wanted))
    write_nifti(tmp_path / "scan.nii.gz", np.asarray(image.dataobj), image.affine)
    return read_ct(tmp_path / "scan.nii.gz")


def ball(ct, centre, radius, **labels):
    grid = np.indices(ct.shape)
    return Mask.from_array(sum((grid[a] - centre[a]) ** 2 for a in range(3)) <= radius**2, id="", **labels)


@pytest.mark.parametrize("overlap", [False, True])
def test_every_mask_comes_back_whole_with_name_and_colour(ct, tmp_path, overlap):
    second = (14, 12, 10) if overlap else (24, 20, 15)
    masks = [
        ball(ct, (10, 10, 8), 5, name="Leber, groß", color="#ff6b6b"),
        ball(ct, second, 4, name='a "b" \\ c', color="#4dabf7"),
        ball(ct, (5, 20, 15), 2, name="Third", color="#51cf66"),
    ]
    path = tmp_path / "all.seg.nrrd"
    save_seg_nrrd(masks, ct, path)
    assert holds_masks(path)
    back = read_masks(path, ct)
    assert {m.name: m.color for m in back} == {m.name: m.color for m in masks}
    for was in masks:
        assert np.array_equal(was.array, next(m for m in back if m.name == was.name).array)


def test_itk_puts_it_where_the_scan_is(ct, tmp_path):
    save_seg_nrrd([ball(ct, (10, 10, 8), 5)], ct, tmp_path / "a.seg.nrrd")
    seg, scan = sitk.ReadImage(str(tmp_path / "a.seg.nrrd")), sitk.ReadImage(str(tmp_path / "scan.nii.gz"))
    assert seg.GetSize() == scan.GetSize()
    for get in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert np.allclose(getattr(seg, get)(), getattr(scan, get)(), atol=1e-4)


def test_the_header_is_what_slicer_asks_for(ct, tmp_path):
    masks = [ball(ct, (10, 10, 8), 5, name="A"), ball(ct, (11, 10, 8), 5, name="B")]
    save_seg_nrrd(masks, ct, tmp_path / "a.seg.nrrd")
    head = (tmp_path / "a.seg.nrrd").read_bytes().partition(b"\n\n")[0].decode()
    assert "kinds: list domain domain domain" in head
    assert "space: left-posterior-superior" in head
    sizes = re.search(r"^sizes: (.*)$", head, re.M)[1].split()
    assert sizes == ["2", *map(str, ct.source.shape)]
    for number in (0, 1):
        for key in ("ID", "Name", "Color", "Extent", "LabelValue", "Layer", "Tags"):
            assert re.search(rf"^Segment{number}_{key}:=\S", head, re.M)
    assert re.findall(r"_Layer:=(\d)", head) == ["0", "1"]


def test_what_cannot_be_written(ct, tmp_path):
    with pytest.raises(ExportError, match="no masks"):
        save_seg_nrrd([], ct, tmp_path / "a.seg.nrrd")
    with pytest.raises(ExportError, match=r"\.seg\.nrrd"):
        save_seg_nrrd([ball(ct, (10, 10, 8), 5)], ct, tmp_path / "a.nrrd")
    with pytest.raises(ExportError, match="grid"):
        save_seg_nrrd([Mask.from_array(np.ones((3, 3, 3), bool))], ct, tmp_path / "a.seg.nrrd")


def test_names_for_itk_snap_are_read_beside_the_label_map(ct, tmp_path):
    masks = [ball(ct, (10, 10, 8), 5, name="Liver", color="#102030"), ball(ct, (24, 20, 15), 3, name='Say "hi"')]
    names = export_zip(tmp_path / "x.zip", ct, masks, formats=["labels", "seg_nrrd"])
    assert {"labels.txt", "segmentation.seg.nrrd", "labels.nii.gz"} <= set(names)
    save_snap_labels(masks, tmp_path / "labels.txt")
    from medvl.writers.nifti import save_label_map

    save_label_map(masks, ct, tmp_path / "labels.nii.gz")
    (tmp_path / "labels.json").unlink()
    back = read_masks(tmp_path / "labels.nii.gz", ct)
    assert [m.name for m in back] == ["Liver", "Say 'hi'"]
    assert back[0].color == "#102030"
