"""Exports: read back by other libraries, every voxel at the same place in the world."""

import csv
import json
import zipfile

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK
import trimesh
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid

import medvl.export as export
from medvl.dicom_seg import property_codes
from medvl.errors import ExportError
from medvl.geometry import SourceGeometry, to_canonical
from medvl.masks import Mask
from medvl.measure import measure
from medvl.readers import read_ct
from medvl.volume import CTVolume, DicomReference
from tests.phantoms import PATIENT_NAME, phantom, reorient, write_dicom_series

ORIENTATIONS = ["RAS", "LPS", "LAS", "PIR", "SAL", "ILA", "ARI", "RSP"]
SECRET = "Secret^Person"


def volume(axcodes="LPS", shape=(14, 11, 9), spacing=(0.9, 1.3, 2.5), degrees=0.0, dicom=False, shear=0.0):
    """A CT stored along ``axcodes``; also the affine of its file. Oblique by ``degrees`` about all axes."""
    signs = nib.orientations.axcodes2ornt(axcodes)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(signs):
        affine[int(world), axis] = sign * spacing[axis]
    turn = np.eye(3)
    for axis in range(3):
        a, b, angle = (axis + 1) % 3, (axis + 2) % 3, np.deg2rad(degrees)
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = (-71.5, 43.25, -310.125)
    stored = np.random.default_rng(0).integers(-200, 300, shape).astype(np.int16)
    hu, canonical = to_canonical(stored, affine)
    reference = DicomReference(tuple(headers(shape, affine))) if dicom else None
    return CTVolume(hu, canonical, SourceGeometry(shape, affine), "DICOM" if dicom else "NIfTI", (), reference)


def headers(shape, affine):
    """Minimal headers of a series stored (column, row, slice), as the readers keep them, plus a name to be dropped."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    study, series, frame = (generate_uid() for _ in range(3))
    for k in range(shape[2]):
        header = Dataset()
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, generate_uid()
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
        header.Columns, header.Rows = shape[0], shape[1]
        header.PixelSpacing = [float(spacing[1]), float(spacing[0])]
        header.ImageOrientationPatient = [round(float(v), 10) for v in (lps[:3, :2] / spacing[:2]).T.ravel()]
        header.ImagePositionPatient = [round(float(v), 6) for v in lps[:3, 3] + k * lps[:3, 2]]
        header.SliceThickness = float(spacing[2])
        header.PatientName, header.PatientID = SECRET, "ID-4711"
        yield header


def blob(ct, seed=0, **labels):
    """An asymmetric object in canonical voxels."""
    rng = np.random.default_rng(seed)
    array = np.zeros(ct.shape, bool)
    lo = [int(rng.integers(0, n // 2)) for n in ct.shape]
    hi = [int(rng.integers(l + 2, n + 1)) for l, n in zip(lo, ct.shape, strict=True)]
    span = tuple(slice(l, h) for l, h in zip(lo, hi, strict=True))
    array[span] = rng.random(array[span].shape) > 0.3
    return Mask.from_array(array, **labels)


def world(array, affine):
    """Sorted RAS mm of the set voxels."""
    mm = np.argwhere(array) @ affine[:3, :3].T + affine[:3, 3]
    return mm[np.lexsort(np.round(mm, 3).T)]


@pytest.mark.parametrize("degrees", [0.0, 17.0])
@pytest.mark.parametrize("axcodes", ORIENTATIONS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_mask_lies_where_it_was_drawn(tmp_path, axcodes, degrees, suffix):
    ct = volume(axcodes, degrees=degrees)
    mask = blob(ct)
    export.save_mask(mask, ct, tmp_path / f"m{suffix}")
    image = nib.load(tmp_path / f"m{suffix}")
    assert image.shape == ct.source.shape
    np.testing.assert_allclose(image.affine, ct.source.affine, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), ct.source.affine, atol=1e-3)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    data = np.asanyarray(image.dataobj)
    assert data.dtype == np.uint8
    assert set(np.unique(data)) == {0, 1}
    np.testing.assert_allclose(world(data, image.affine), world(mask.array, ct.affine), atol=1e-3)


def test_itk_reads_the_same_place(tmp_path):
    ct = volume("PIR", degrees=12)
    array = np.zeros(ct.shape, bool)
    array[3, 4, 5] = True
    export.save_mask(Mask.from_array(array), ct, tmp_path / "m.nii.gz")
    image = SimpleITK.ReadImage(str(tmp_path / "m.nii.gz"))
    k, j, i = np.argwhere(SimpleITK.GetArrayFromImage(image))[0]
    lps = image.TransformIndexToPhysicalPoint((int(i), int(j), int(k)))
    np.testing.assert_allclose(np.array(lps) * (-1, -1, 1), ct.ijk_to_ras_mm(np.array([3, 4, 5])), atol=1e-3)


def test_sheared_grid_keeps_its_affine_and_has_no_qform(tmp_path):
    ct = volume("LPS", shear=0.3)
    mask = blob(ct)
    export.save_mask(mask, ct, tmp_path / "m.nii.gz")
    image = nib.load(tmp_path / "m.nii.gz")
    np.testing.assert_allclose(image.affine, ct.source.affine, atol=1e-4)
    assert int(image.header["qform_code"]) == 0


@pytest.mark.parametrize("axcodes", ORIENTATIONS[:4])
def test_label_map_and_its_overlap_rule(tmp_path, axcodes):
    ct = volume(axcodes)
    masks = [blob(ct, seed, id=f"m{seed}", name=f"Organ {seed}") for seed in range(3)]
    rows = export.save_label_map(masks, ct, tmp_path / "l.nii.gz")
    image = nib.load(tmp_path / "l.nii.gz")
    data = np.asanyarray(image.dataobj)
    assert data.dtype == np.uint8
    expected = np.zeros(ct.shape, int)
    for value, mask in enumerate(masks, start=1):
        expected[mask.array] = value
    for value in range(1, 4):
        np.testing.assert_allclose(world(data == value, image.affine), world(expected == value, ct.affine), atol=1e-3)
    listed = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    assert listed["labels"] == rows
    assert [r["voxels_in_map"] for r in rows] == [int((expected == v).sum()) for v in range(1, 4)]
    assert rows[0]["voxels_of_mask"] == masks[0].voxels
    assert "not for diagnosis" in listed["notice"]


def test_many_labels_need_16_bits(tmp_path):
    ct = volume()
    masks = []
    for n in range(300):
        array = np.zeros(ct.shape, bool)
        array.flat[n] = True
        masks.append(Mask.from_array(array, name=str(n)))
    export.save_label_map(masks, ct, tmp_path / "l.nii")
    data = np.asanyarray(nib.load(tmp_path / "l.nii").dataobj)
    assert data.dtype == np.uint16
    assert data.max() == 300


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


def test_other_grid_wrong_suffix_and_nothing_to_write(tmp_path):
    ct, other = volume(), volume(shape=(14, 11, 8))
    with pytest.raises(ExportError, match="drawn on"):
        export.save_mask(blob(other), ct, tmp_path / "m.nii.gz")
    with pytest.raises(ExportError, match=r"end with \.nii"):
        export.save_mask(blob(ct), ct, tmp_path / "m.png")
    with pytest.raises(ExportError, match="no masks"):
        export.save_label_map([], ct, tmp_path / "l.nii.gz")
    empty = Mask.from_array(np.zeros(ct.shape, bool))
    with pytest.raises(ExportError, match="empty"):
        export.save_stl(empty, ct, tmp_path / "m.stl")
    for masks in ([], [empty]):
        with pytest.raises(ExportError, match="no mask"):
            export.export_zip(tmp_path / "e.zip", ct, masks)
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
    m = measure(mask, ct)
    assert mesh.volume / 1000 == pytest.approx(m.volume_ml, rel=0.01)  # positive: normals look outward
    np.testing.assert_allclose(mesh.center_mass * (-1, -1, 1), m.centroid_ras_mm, atol=0.3)


def test_csv_has_units_and_blanks_for_an_empty_mask(tmp_path):
    ct = volume()
    masks = [blob(ct, name="Leber, groß"), Mask.from_array(np.zeros(ct.shape, bool), name="=cmd|' /C calc'!A0")]
    export.save_measurements_csv(masks, ct, tmp_path / "m.csv")
    with open(tmp_path / "m.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    m = measure(masks[0], ct)
    assert rows[0]["name"] == "Leber, groß"
    assert float(rows[0]["volume_ml"]) == pytest.approx(m.volume_ml, abs=1e-4)
    assert float(rows[0]["longest_diameter_mm"]) == pytest.approx(m.longest_diameter_mm, abs=0.006)
    assert float(rows[0]["centroid_a_mm"]) == pytest.approx(m.centroid_ras_mm[1], abs=0.006)
    assert rows[1]["name"].startswith("'=")
    assert (rows[1]["voxels"], rows[1]["mean_hu"], rows[1]["slice_first"]) == ("0", "", "")


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


def seg_world(segmentation):
    """Places of the first segment's voxels in RAS mm, as highdicom sees them, in the order of ``world``."""
    volume = segmentation.get_volume(segment_numbers=[1], combine_segments=True)
    return world(volume.array > 0, np.diag([-1, -1, 1, 1]) @ volume.affine)


def check_segmentation(path, ct, masks):
    """Every pixel of every frame is where its mask is, and the frame refers to that very slice."""
    ds = pydicom.dcmread(path)
    found = [np.zeros(ct.source.shape, bool) for _ in masks]
    slice_of = {h.SOPInstanceUID: (k, h) for k, h in enumerate(ct.dicom.headers)}
    frames = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    for frame, group in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        k, header = slice_of[source.ReferencedSOPInstanceUID]
        position = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, header.ImagePositionPatient, atol=1e-3)
        holder = group if "SegmentIdentificationSequence" in group else ds.SharedFunctionalGroupsSequence[0]
        number = holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[number - 1][:, :, k] = frame.T  # (row, column) -> (column, row)
    for mask, array in zip(masks, found, strict=True):
        np.testing.assert_allclose(world(array, ct.source.affine), world(mask.array, ct.affine), atol=1e-3)
    return ds


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 14.0])
@pytest.mark.parametrize("axcodes", ["LPS", "LPI", "PSL", "LSA"])
def test_dicom_seg_refers_to_the_right_slices(tmp_path, axcodes, degrees, overlapping):
    ct = volume(axcodes, degrees=degrees, dicom=True)
    masks = [blob(ct, 1, name="Left kidney", color="#ff0000"), blob(ct, 2, name="Läsion / 左", color="#00ff00")]
    if not overlapping:
        masks[1] = masks[1].with_array(masks[1].array & ~masks[0].array)
    export.save_dicom_seg(masks, ct, tmp_path / "s.dcm")
    ds = check_segmentation(tmp_path / "s.dcm", ct, masks)
    assert ds.SegmentsOverlap == ("YES" if overlapping else "NO")
    assert ds.StudyInstanceUID == ct.dicom.headers[0].StudyInstanceUID
    assert ds.FrameOfReferenceUID == ct.dicom.headers[0].FrameOfReferenceUID
    assert ds.SeriesInstanceUID != ct.dicom.headers[0].SeriesInstanceUID
    assert [s.SegmentLabel for s in ds.SegmentSequence] == ["Left kidney", "Läsion / 左"]
    assert {s.SegmentAlgorithmType for s in ds.SegmentSequence} == {"SEMIAUTOMATIC"}
    lab = np.array(ds.SegmentSequence[0].RecommendedDisplayCIELabValue) / 65535 * (100, 255, 255) - (0, 128, 128)
    np.testing.assert_allclose(lab, (53.2, 80.1, 67.2), atol=0.5)  # pure red
    kidney = ds.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    assert kidney.CodeMeaning == "Kidney"
    assert kidney.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert ds.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
    assert len(hd.seg.segread(tmp_path / "s.dcm").segment_numbers) == 2


def test_dicom_seg_names_nobody(tmp_path):
    ct = volume("LPS", dicom=True)
    export.save_dicom_seg([blob(ct)], ct, tmp_path / "s.dcm")
    content = (tmp_path / "s.dcm").read_bytes()
    assert b"Secret" not in content
    assert b"4711" not in content
    ds = pydicom.dcmread(tmp_path / "s.dcm")
    assert str(ds.PatientName) == ""
    assert not ds.PatientID


def test_dicom_seg_only_holds_slices_with_voxels(tmp_path):
    ct = volume("LPS", dicom=True)
    array = np.zeros(ct.shape, bool)
    array[2:5, 3, 4:6] = True
    export.save_dicom_seg([Mask.from_array(array)], ct, tmp_path / "s.dcm")
    assert pydicom.dcmread(tmp_path / "s.dcm").NumberOfFrames == 2


def test_dicom_seg_refuses_headers_of_another_grid(tmp_path):
    ct = volume("LPS", dicom=True)
    given = list(ct.dicom.headers)

    def with_headers(changed):
        return CTVolume(ct.hu, ct.affine, ct.source, "DICOM", (), DicomReference(tuple(changed)))

    for changed, words in (
        (given[:-1], "9 slices but 8"),
        (given[::-1], "resampled"),
        ([*given[:4], given[5], given[4], *given[6:]], "resampled"),
    ):
        with pytest.raises(ExportError, match=words):
            export.save_dicom_seg([blob(ct)], with_headers(changed), tmp_path / "s.dcm")
    bare = [Dataset(h) for h in given]
    del bare[3].FrameOfReferenceUID
    with pytest.raises(ExportError, match="FrameOfReferenceUID, which slice 3 lacks"):
        export.save_dicom_seg([blob(ct)], with_headers(bare), tmp_path / "s.dcm")


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("Liver", "Liver", None),
        ("kidney_right", "Kidney", "Right"),
        ("LEFT lung 2", "Lung", "Left"),
        ("urinary_bladder", "Bladder", None),
        ("Tumour 3", "Neoplasm", None),
        ("left liver", "Tissue", None),
        ("Object 1", "Tissue", None),
        ("", "Tissue", None),
    ],
)
def test_codes_of_names(name, meaning, side):
    _, kind, modifier = property_codes(name)
    assert kind.meaning == meaning
    assert (modifier.meaning if modifier else None) == side


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


@pytest.mark.parametrize("axcodes", ["LPS", "LPI", "PSL"])
def test_a_dicom_series_that_was_read_gives_segments_on_its_slices(tmp_path, axcodes):
    made = phantom(degrees=(5, -7, 9))
    write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, axcodes), duplicate=(3,))
    ct = read_ct(tmp_path / "series")
    masks = [Mask.from_array(ct.hu > 150, name="Aorta"), Mask.from_array(ct.hu > 350, name="Spine")]
    export.export_zip(tmp_path / "e.zip", ct, masks)
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        archive.extractall(tmp_path / "out")
    ds = check_segmentation(tmp_path / "out" / "segmentation.dcm", ct, masks)
    read = {pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID for f in (tmp_path / "series").iterdir()}
    referenced = {i.ReferencedSOPInstanceUID for i in ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referenced <= read
    for file in (tmp_path / "out").rglob("*.*"):
        content = file.read_bytes() if file.is_file() else b""
        assert PATIENT_NAME.encode() not in content
        assert b"SECRET" not in content


def test_filled_in_slices_have_no_frame_and_the_others_refer_to_theirs(tmp_path):
    made = phantom()
    write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, "LPS"), drop=(5, 11))
    ct = read_ct(tmp_path / "series")
    only_filled = np.zeros(ct.shape, bool)
    only_filled[4:9, 4:9, 5] = True
    masks = [Mask.from_array(ct.hu > 150, name="Bone"), Mask.from_array(only_filled, name="Nowhere")]
    export.save_dicom_seg(masks, ct, tmp_path / "s.dcm")
    segmentation = hd.seg.segread(tmp_path / "s.dcm")
    assert [s.SegmentLabel for s in segmentation.SegmentSequence] == ["Bone"]
    assert not {h.SOPInstanceUID for h in ct.dicom.headers if h}.isdisjoint(
        i.ReferencedSOPInstanceUID for i in segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    )
    there = [k for k in range(ct.shape[2]) if k not in (5, 11)]
    kept = np.zeros(ct.shape, bool)
    kept[:, :, there] = masks[0].array[:, :, there]
    np.testing.assert_allclose(*(seg_world(segmentation), world(kept, ct.affine)), atol=1e-2)
    with pytest.raises(ExportError, match="on no slice"):
        export.save_dicom_seg(masks[1:], ct, tmp_path / "s.dcm")


@pytest.mark.parametrize("degrees", [12.0, -17.0])
def test_a_tilted_series_gets_its_segments_on_its_own_slices(tmp_path, degrees):
    made = phantom(noise=0)
    stored, affine = reorient(made.hu, made.affine, "LPS")
    write_dicom_series(tmp_path / "series", stored, affine, tilt_degrees=degrees)
    ct = read_ct(tmp_path / "series")
    export.save_dicom_seg([Mask.from_array(ct.hu > 150)], ct, tmp_path / "s.dcm")
    ds = pydicom.dcmread(tmp_path / "s.dcm")
    source = {h.SOPInstanceUID: h for h in (pydicom.dcmread(f) for f in (tmp_path / "series").iterdir())}
    wrong = right = 0
    for frame, group in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
        of = source[group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        np.testing.assert_allclose(
            group.PlanePositionSequence[0].ImagePositionPatient, of.ImagePositionPatient, atol=1e-3
        )
        there = of.pixel_array.astype(int) + int(of.RescaleIntercept) > 150
        right += int((there & (frame > 0)).sum())
        wrong += int((there != (frame > 0)).sum())
    assert wrong < 0.12 * right  # half a pixel of the shift, and what its interpolation blurs


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


def test_an_interpolated_series_gives_no_segmentation_and_says_why(tmp_path):
    made = phantom()
    at = np.cumsum([0] + [3.0] * 20 + [4.2] * 15)
    write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, "LPS"), positions_mm=at)
    ct = read_ct(tmp_path / "series")
    assert "segmentation.dcm" not in export.export_zip(tmp_path / "e.zip", ct, [Mask.from_array(ct.hu > 150)])
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert "interpolated at reading" in archive.read("README.txt").decode("utf-8")


def test_zip_of_a_nifti_says_why_there_is_no_dicom_seg(tmp_path):
    ct = volume("RAS")
    names = export.export_zip(tmp_path / "e.zip", ct, [blob(ct)])
    assert "segmentation.dcm" not in names
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert "was read from NIfTI" in archive.read("README.txt").decode()
    assert export.export_zip(tmp_path / "f.zip", ct, [blob(ct)], formats=("csv",)) == ["README.txt", "measurements.csv"]
