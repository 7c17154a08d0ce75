"""Exports: read back by other libraries, every voxel at the same place in the world."""

import csv
import zipfile

import nibabel as nib
import numpy as np
import pytest
import trimesh

import medvl.writers.export as export
from medvl.ct.geometry import SourceGeometry
from medvl.ct.lengths import Length
from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume
from medvl.errors import ExportError
from medvl.readers import read_ct
from medvl.writers.tables import CSV_COLUMNS

from ...phantoms import phantom, reorient, write_dicom_series
from ..export_grids import blob, check_segmentation, volume, world


def test_a_scan_that_was_resampled_cannot_take_its_masks_back(tmp_path):
    ct = volume()
    for source in (
        SourceGeometry((14, 11, 12), ct.source.affine),
        SourceGeometry(ct.source.shape, ct.source.affine + np.pad([[5.0]], ((0, 3), (3, 0)))),
    ):
        other = CTVolume(ct.hu, ct.affine, source)
        with pytest.raises(ExportError, match="resampled at reading"):
            export.save_mask(blob(other), other, tmp_path / "m.nii.gz")
        names = export.export_zip(tmp_path / "e.zip", other, [blob(other)])
        assert {"measurements.csv", "stl/Object_1.stl", "README.txt"} == set(names)
        with zipfile.ZipFile(tmp_path / "e.zip") as archive:
            assert "resampled at reading" in archive.read("README.txt").decode()


def test_nothing_to_write(tmp_path):
    ct = volume()
    empty = Mask.from_array(np.zeros(ct.shape, bool))
    with pytest.raises(ExportError, match="empty"):
        export.save_stl(empty, ct, tmp_path / "m.stl")
    for masks in ([], [empty]):
        with pytest.raises(ExportError, match="no mask"):
            export.export_zip(tmp_path / "e.zip", ct, masks)
        with pytest.raises(ExportError, match="no mask"):
            export.export_zip(tmp_path / "e.zip", ct, masks, ("labels",), [Length("axial", 2, (1, 1, 2), (4, 5, 2))])
    with pytest.raises(ExportError, match="Unknown export format obj"):
        export.export_zip(tmp_path / "e.zip", ct, [blob(ct)], formats=("obj",))
    with pytest.raises(ExportError, match="DICOM"):
        export.export_zip(tmp_path / "e.zip", ct, [blob(ct)], formats=("dicom_seg",))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "PIR"])
def test_stl_is_closed_in_lps_mm(tmp_path, axcodes):
    ct = volume(axcodes, shape=(50, 48, 30), spacing=(1.0, 1.1, 2.0), degrees=9)
    middle = ct.ijk_to_ras_mm(np.array(ct.shape) / 2)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in ct.shape], indexing="ij"), axis=-1)
    array = np.linalg.norm((ct.ijk_to_ras_mm(ijk) - middle) / (1, 1.2, 0.7), axis=-1) < 18
    mask = Mask.from_array(array)
    export.save_stl(mask, ct, tmp_path / "m.stl")
    with open(tmp_path / "m.stl", "rb") as file:
        head = file.read(80)
    assert b"SPACE=LPS" in head
    assert b"not for diagnosis" in head
    assert not head.lower().startswith(b"solid")
    mesh = trimesh.load(tmp_path / "m.stl")
    assert mesh.is_watertight
    m = mask.measure(ct)
    assert mesh.volume / 1000 == pytest.approx(m.volume_ml, rel=0.01)  # positive: normals look outward
    np.testing.assert_allclose(mesh.center_mass * (-1, -1, 1), m.centroid_ras_mm, atol=0.3)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Left kidney", "Left_kidney"),
        ("../../etc/passwd", "etc_passwd"),
        ('a\\b:c*?"<>|\n\x00', "a_b_c"),
        ("Leber (groß)", "Leber_(groß)"),
        ("左腎", "左腎"),
        ("...", "mask"),
        ("", "mask"),
        ("CON", "CON_"),
        ("nul.txt", "nul.txt_"),
    ],
)
def test_safe_names(name, stem):
    assert export.safe_name(name) == stem


def test_safe_names_are_unique_and_short():
    taken = set()
    names = [
        export.safe_name(n, taken) for n in ("Liver", "liver", "Liver", "liver/2", "Liver 2", "é" * 300, "é" * 301)
    ]
    assert len({n.casefold() for n in names}) == len(names)
    assert max(len(n.encode()) for n in names) <= 110


def test_zip_holds_everything_under_safe_names(tmp_path):
    ct = volume("LPS", dicom=True)
    masks = [
        blob(ct, 1, id="a", name="Liver/../x"),
        blob(ct, 2, id="b", name="Liver/../x"),
        blob(ct, 3, id="c", name="左腎"),
        Mask.from_array(np.zeros(ct.shape, bool), id="d", name="Nothing"),
    ]
    names = export.export_zip(tmp_path / "e.zip", ct, masks)
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(names)
        archive.extractall(tmp_path / "out")
        readme = archive.read("README.txt").decode("utf-8")
    stems = ["Liver_.._x", "Liver_.._x_2", "左腎"]
    assert {f"masks/{s}.nii.gz" for s in stems} | {f"stl/{s}.stl" for s in stems} <= set(names)
    assert {"labels.nii.gz", "labels.json", "measurements.csv", "segmentation.dcm", "README.txt"} <= set(names)
    assert "RESEARCH USE ONLY, NOT FOR DIAGNOSIS" in readme
    assert "Left out, because empty: Nothing" in readme
    check_segmentation(tmp_path / "out" / "segmentation.dcm", ct, masks[:3])
    image = nib.load(tmp_path / "out" / "masks" / "左腎.nii.gz")
    np.testing.assert_allclose(
        world(np.asanyarray(image.dataobj), image.affine), world(masks[2].array, ct.affine), atol=1e-3
    )


def test_a_repaired_dicom_series_gives_nifti_on_the_repaired_grid(tmp_path):
    made = phantom()
    write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, "LPS"), tilt_degrees=12.0)
    ct = read_ct(tmp_path / "series")
    mask = Mask.from_array(ct.hu > 150)
    export.export_zip(tmp_path / "e.zip", ct, [mask])
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        archive.extractall(tmp_path / "out")
    image = nib.load(tmp_path / "out" / "labels.nii.gz")
    np.testing.assert_allclose(world(image.get_fdata() == 1, image.affine), world(mask.array, ct.affine), atol=1e-3)


def test_zip_of_a_nifti_says_why_there_is_no_dicom_seg(tmp_path):
    ct = volume("RAS")
    names = export.export_zip(tmp_path / "e.zip", ct, [blob(ct)])
    assert "segmentation.dcm" not in names
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert "was read from NIfTI" in archive.read("README.txt").decode()
    assert export.export_zip(tmp_path / "f.zip", ct, [blob(ct)], formats=("csv",)) == ["README.txt", "measurements.csv"]


@pytest.mark.parametrize("formats", [export.FORMATS, ("csv",)])
def test_lengths_go_with_the_measurements_and_without_masks(tmp_path, formats):
    ct = volume("PIR", degrees=9)
    lengths = [Length("axial", 2, (1.0, 1.0, 2.0), (4.5, 5.0, 2.0)), Length("coronal", 0, (0, 0, 0), (3, 0, 3))]
    assert "lengths.csv" in export.export_zip(tmp_path / "e.zip", ct, [blob(ct)], formats, lengths)
    assert "lengths.csv" not in export.export_zip(tmp_path / "f.zip", ct, [blob(ct)], ("labels",), lengths)
    assert "lengths.csv" not in export.export_zip(tmp_path / "g.zip", ct, [blob(ct)], formats)
    names = export.export_zip(tmp_path / "h.zip", ct, [], formats, lengths)
    assert names == ["README.txt", "lengths.csv", "measurements.csv"]
    with zipfile.ZipFile(tmp_path / "h.zip") as archive:
        rows = list(csv.DictReader(archive.read("lengths.csv").decode().splitlines()))
        assert archive.read("measurements.csv").decode().splitlines() == [",".join(CSV_COLUMNS)]
        assert "only the lengths were written" in archive.read("README.txt").decode()
    assert [(row["plane"], row["slice_from_1"]) for row in rows] == [("axial", "3"), ("coronal", "1")]
    with pytest.raises(ExportError, match="out of the scan"):
        export.export_zip(tmp_path / "i.zip", ct, [], formats, [Length("axial", 2, (1, 1, 2), (400, 5, 2))])
    assert not (tmp_path / "i.zip").exists()
