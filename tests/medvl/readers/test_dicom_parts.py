"""Several scans in one series are told apart by their headers, never mixed; without a difference they are refused."""

import itertools

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medvl.errors import CTReadError
from medvl.readers import read_ct

from ...phantoms import PATIENT_NAME, phantom, reorient, uid, write_dicom_series, write_enhanced_ct

N = 14


@pytest.fixture(scope="module")
def stored():
    ct = phantom((24, 20, N), noise=0)
    return reorient(ct.hu, ct.affine, "LPS")


@pytest.fixture(scope="module")
def hu():
    return phantom((24, 20, N), noise=0).hu


def write_scans(folder, stored, edit, scans=2, offset_mm=0.0, shuffle=True):
    """Scans of one region in one series, ``100 * n`` HU apart, all equal but what ``edit(ds, scan, k)`` sets."""
    volume, affine = stored
    names = iter(np.random.default_rng(4).permutation(scans * N) if shuffle else range(scans * N))
    for scan in range(scans):
        moved = affine.copy()
        moved[:3, 3] += affine[:3, 2] / 3.0 * offset_mm * scan

        def change(ds, k, scan=scan):
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid("scan", scan, k)
            ds.InstanceNumber = k + 1
            edit(ds, scan, k)

        part = write_dicom_series(folder / "part", volume + np.int16(100 * scan), moved, edit=change)
        for file in sorted(part.iterdir()):
            file.rename(folder / f"{next(names):06d}")
        part.rmdir()
    return folder


def sets(**fields):
    """An edit that gives each scan its own value of some fields."""

    def edit(ds, scan, k):
        for keyword, values in fields.items():
            value = values[scan]
            setattr(ds, keyword, value(k) if callable(value) else value)

    return edit


TELLING = {
    "temporal position": sets(TemporalPositionIdentifier=[1, 2]),
    "acquisition": sets(AcquisitionNumber=[3, 4]),
    "trigger time": sets(TriggerTime=[0, 400]),
    "trigger time that jitters": sets(TriggerTime=[lambda k: 10 + (k * 7) % 5, lambda k: 410 + (k * 3) % 5]),
    "cardiac phase": sets(NominalPercentageOfCardiacPhase=[40, 75]),
    "acquisition time": sets(AcquisitionTime=["101000", "101500"]),
    "acquisition time of each slice": sets(
        AcquisitionTime=[lambda k: f"1010{k:02d}.5", lambda k: f"1015{(k * 5) % N:02d}.5"]
    ),
    "content time": sets(ContentTime=["101000.100", "101500.200"]),
    "date and time": sets(AcquisitionDateTime=["20200101235900", "20200102000500"]),
    "kernel": sets(ConvolutionKernel=["B30f", "B70f"]),
    "kernel of two values": sets(ConvolutionKernel=[["Br40d", "3"], ["Br59d", "3"]]),
    "image type": sets(ImageType=[["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "AXIAL"]]),
    "tube voltage": sets(KVP=[80, 140]),
    "echo": sets(EchoTime=[2.4, 4.8]),
    "slice thickness": sets(SliceThickness=[3, 5]),
    "comment": sets(ImageComments=["4D 0%", "4D 50%"]),
    "description": sets(SeriesDescription=["arterial", "venous"]),
    "series number": sets(SeriesNumber=[4, 5]),
    "runs of instance numbers": sets(InstanceNumber=[lambda k: k + 1, lambda k: N + k + 1]),
    "runs that turn back": sets(InstanceNumber=[lambda k: k + 1, lambda k: 2 * N - k]),
    "date": sets(AcquisitionDate=["20200101", "20200102"]),
    "over midnight": sets(AcquisitionDate=["20200101", "20200102"], AcquisitionTime=["235950", "000010"]),
    "series time": sets(SeriesTime=["101000", "102000"]),
    "missing on one": sets(AcquisitionNumber=[1, None]),
}


@pytest.mark.parametrize("edit", TELLING.values(), ids=TELLING)
def test_each_field_tells_two_scans_apart(edit, stored, hu, tmp_path):
    folder = write_scans(tmp_path, stored, edit)
    first = read_ct(folder)
    assert len(first.series) == 2
    assert sum(c.opened for c in first.series) == 1
    assert any("2 scans of the same region" in n for n in first.notes)
    other = next(c for c in first.series if not c.opened)
    second = read_ct(folder, series=other.id)
    assert next(c for c in second.series if c.opened).id == other.id
    assert sorted(int((ct.hu.astype(int) - hu).mean()) for ct in (first, second)) == [0, 100]
    for ct in (first, second):  # one scan each, on every slice
        assert np.ptp(ct.hu.astype(int) - hu) == 0
        np.testing.assert_allclose(ct.spacing_mm, (2, 2.5, 3), rtol=1e-4)


def test_two_kernels_of_two_phases(stored, hu, tmp_path):
    edit = sets(AcquisitionNumber=[1, 1, 2, 2], ConvolutionKernel=["B30f", "B70f"] * 2)
    ct = read_ct(write_scans(tmp_path, stored, edit, scans=4))
    assert len(ct.series) == 4
    assert {(c.kernel, c.phase[:13]) for c in ct.series} == set(
        itertools.product(("B30f", "B70f"), ("acquisition 1", "acquisition 2"))
    )
    for choice in ct.series:
        assert np.ptp(read_ct(tmp_path, series=choice.id).hu.astype(int) - hu) == 0


@pytest.mark.parametrize("edit", [TELLING["acquisition"], TELLING["runs of instance numbers"]])
@pytest.mark.parametrize("offset", [1.5, 1.0, 0.1])
def test_two_scans_beside_each_others_places(offset, edit, stored, hu, tmp_path):
    ct = read_ct(write_scans(tmp_path, stored, edit, offset_mm=offset))
    assert len(ct.series) == 2
    assert np.ptp(ct.hu.astype(int) - hu) == 0
    np.testing.assert_allclose(ct.spacing_mm, (2, 2.5, 3), rtol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 0.1, 1.0, 1.5])
def test_scans_that_nothing_tells_apart_are_refused(offset, stored, tmp_path):
    folder = write_scans(tmp_path, stored, lambda ds, scan, k: None, offset_mm=offset)
    with pytest.raises(CTReadError, match="no field of the headers tells them apart"):
        read_ct(folder)


def test_the_same_voxels_twice_are_copies(stored, hu, tmp_path):
    def edit(ds, k):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid("again", k)

    write_dicom_series(tmp_path / "a", *stored)
    write_dicom_series(tmp_path / "b", *stored, edit=edit)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, hu)
    assert len(ct.series) == 1


def test_rotations_and_stations_that_only_adjoin_stay_one_scan(stored, hu, tmp_path):
    def edit(ds, k):
        ds.AcquisitionNumber, ds.AcquisitionTime, ds.KVP = k // 4, f"10{k // 4:02d}00", 120 if k < 8 else 100

    ct = read_ct(write_dicom_series(tmp_path / "d", *stored, edit=edit))
    np.testing.assert_array_equal(ct.hu, hu)
    assert ct.notes == ()
    assert len(ct.series) == 1


CYCLES = {
    "trigger time": lambda ds, k: setattr(ds, "TriggerTime", 300 * (k % 3)),
    "every second trigger time": lambda ds, k: setattr(ds, "TriggerTime", 300 * (k % 2)),
    "slice thickness": lambda ds, k: setattr(ds, "SliceThickness", 3 + k % 2),
    "time of day": lambda ds, k: setattr(ds, "ContentTime", f"10100{k % 3}"),
    "offset": lambda ds, k: setattr(ds, "TemporalPositionTimeOffset", float(k % 3)),
}


@pytest.mark.parametrize("edit", CYCLES.values(), ids=CYCLES)
@pytest.mark.parametrize("turned", [False, True])
def test_what_changes_in_a_cycle_parts_no_regular_stack(edit, turned, stored, hu, tmp_path):
    def change(ds, k):
        edit(ds, k)
        ds.InstanceNumber = N - k if turned else k + 1
        ds.AcquisitionTime = f"1010{ds.InstanceNumber:02d}"

    ct = read_ct(write_dicom_series(tmp_path / "d", *stored, edit=change))
    np.testing.assert_array_equal(ct.hu, hu)
    assert len(ct.series) == 1


@pytest.mark.parametrize("numbers", ["one after the other", "each from the beginning", "none"])
def test_the_same_field_parts_two_scans_made_one_after_the_other(numbers, stored, hu, tmp_path):
    """Together they are as regular as one stack; the order in which they were made is another."""

    def edit(ds, scan, k):
        ds.TriggerTime = 400 * scan
        ds.InstanceNumber = {"one after the other": scan * N, "each from the beginning": 0}.get(numbers, 0) + k + 1
        if numbers == "none":
            del ds.InstanceNumber

    ct = read_ct(write_scans(tmp_path, stored, edit, offset_mm=1.5))
    assert len(ct.series) == 2
    assert np.ptp(ct.hu.astype(int) - hu) == 0


def test_rotations_of_two_passes(stored, hu, tmp_path):
    """Each rotation has a number of its own; those of a pass adjoin and make one scan."""
    edit = sets(AcquisitionNumber=[lambda k: 1 + k // 4, lambda k: 11 + k // 4])
    ct = read_ct(write_scans(tmp_path, stored, edit))
    assert [c.slices for c in ct.series] == [N, N]
    assert np.ptp(ct.hu.astype(int) - hu) == 0


def test_monitoring_slices_at_one_place_are_left_out(stored, hu, tmp_path):
    volume, affine = stored
    write_dicom_series(tmp_path / "d", volume, affine)
    for n in range(6):

        def edit(ds, k, n=n):
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid("monitor", n)
            ds.AcquisitionNumber = 2 + n
            ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], ds.ImagePositionPatient[2] + 12]

        write_dicom_series(tmp_path / f"m{n}", volume[:, :, :1] + np.int16(9), affine, edit=edit)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, hu)
    assert any("6 single slices" in n for n in ct.notes)


def test_a_copy_is_the_same_identifier_and_place(stored, hu, tmp_path):
    def edit(ds, k):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid("all the same")

    ct = read_ct(write_dicom_series(tmp_path / "d", *stored, duplicate=[3], edit=edit))
    np.testing.assert_array_equal(ct.hu, hu)
    assert any("bear one identifier" in n for n in ct.notes)
    assert "same identifier" in ct.dicom.refused


def test_series_are_listed_and_chosen(stored, hu, tmp_path):
    def named(text):
        return lambda ds, k: setattr(ds, "SeriesDescription", text)

    write_dicom_series(tmp_path / "a", *stored, series=4, edit=named("Abdomen 3.0 B30f"))
    write_dicom_series(
        tmp_path / "b", stored[0][:, :, :5] + np.int16(50), stored[1], series=7, edit=named(PATIENT_NAME)
    )
    ct = read_ct(tmp_path)
    assert [(c.id, c.slices, c.opened) for c in ct.series] == [("4", N, True), ("7", 5, False)]
    assert [c.description for c in ct.series] == ["Abdomen 3.0 B30f", ""]
    chosen = read_ct(tmp_path, series="7")
    np.testing.assert_array_equal(chosen.hu, hu[:, :, :5] + 50)
    assert chosen.info.series_description == ""
    np.testing.assert_array_equal(read_ct(tmp_path, series=uid("series", 7)).hu, chosen.hu)
    with pytest.raises(CTReadError, match="Choose one of these: 4, 7"):
        read_ct(tmp_path, series="5")


# ---- multi-frame


def write_two_phases(path, stored, tell):
    """Both phases in one Enhanced CT, frames in any order; ``tell(frame, phase, k)`` says which is which."""
    volume, affine = stored
    order = [(p, k) for p in range(2) for k in range(N)]
    order = [order[n] for n in np.random.default_rng(5).permutation(len(order))]
    both = np.stack([volume[:, :, k] + np.int16(100 * p) for p, k in order], axis=2)
    positions = [3.0 * k for _, k in order]
    write_enhanced_ct(path, both, affine, order=range(len(order)), positions_mm=positions)
    ds = pydicom.dcmread(path)
    for frame, (p, k) in zip(ds.PerFrameFunctionalGroupsSequence, order, strict=True):
        content = Dataset()
        frame.FrameContentSequence = [content]
        tell(frame, content, p, k)
    ds.save_as(path)
    return path


def group(name, keyword, values):
    def tell(frame, content, p, k):
        item = Dataset()
        setattr(item, keyword, values[p])
        setattr(frame, name, [item])

    return tell


def content(keyword, value):
    return lambda frame, content, p, k: setattr(content, keyword, value(p, k))


@pytest.mark.parametrize(
    "tell",
    [
        content("TemporalPositionIndex", lambda p, k: p + 1),
        content("DimensionIndexValues", lambda p, k: [1, p + 1, k + 1]),
        content("DimensionIndexValues", lambda p, k: [k + 1, p + 1]),
        content("FrameAcquisitionNumber", lambda p, k: p + 1),
        content("FrameReferenceDateTime", lambda p, k: f"2020010110{10 + p}00"),
        content("FrameAcquisitionDateTime", lambda p, k: f"2020010110{10 + p}{k:02d}"),
        content("StackID", lambda p, k: "AB"[p]),
        group("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", [40.0, 75.0]),
        group("RespiratorySynchronizationSequence", "NominalPercentageOfRespiratoryPhase", [0.0, 50.0]),
        group("CTReconstructionSequence", "ConvolutionKernel", ["B30f", "B70f"]),
    ],
)
def test_frames_of_two_phases(tell, stored, hu, tmp_path):
    ct = read_ct(write_two_phases(tmp_path / "ct.dcm", stored, tell))
    assert len(ct.series) == 2
    assert np.ptp(ct.hu.astype(int) - hu) == 0
    assert len(set(ct.dicom.frames)) == N


def test_frames_that_nothing_tells_apart_are_refused(stored, tmp_path):
    path = write_two_phases(tmp_path / "ct.dcm", stored, lambda frame, content, p, k: None)
    with pytest.raises(CTReadError, match="tells them apart"):
        read_ct(path)


def test_frames_that_no_group_tells_of_are_said_to_be_left_out(stored, tmp_path):
    path = write_enhanced_ct(tmp_path / "ct.dcm", *stored)
    ds = pydicom.dcmread(path)
    ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[:9]
    ds.save_as(path)
    ct = read_ct(path)
    assert ct.shape[2] == 9
    assert any(f"{N - 9} frames without a position" in note for note in ct.notes)


def test_a_parametric_map_is_no_hu(stored, tmp_path):
    path = write_enhanced_ct(tmp_path / "map.dcm", *stored, sop_class="1.2.840.10008.5.1.4.1.1.30")
    assert "parametric map" in read_ct(path).hu_note


def test_two_multi_frame_files_of_one_region(stored, hu, tmp_path):
    for part in range(2):
        write_enhanced_ct(tmp_path / f"{part}.dcm", stored[0] + np.int16(100 * part), stored[1], part=part)
    ct = read_ct(tmp_path)
    assert len(ct.series) == 2
    assert np.ptp(ct.hu.astype(int) - hu) == 0


def test_enhanced_mr_is_refused_by_name(stored, tmp_path):
    path = write_enhanced_ct(tmp_path / "mr.dcm", *stored, sop_class="1.2.840.10008.5.1.4.1.1.4.1")
    with pytest.raises(CTReadError, match="Enhanced MR"):
        read_ct(path)


def test_writing_helpers_make_what_they_say(stored, tmp_path):
    """The scans of a folder lie at the same places, and the names do not sort them."""
    folder = write_scans(tmp_path, stored, TELLING["acquisition"])
    read = [pydicom.dcmread(f, stop_before_pixels=True) for f in sorted(folder.iterdir())]
    assert len({tuple(ds.ImagePositionPatient) for ds in read}) == N
    assert len({int(ds.AcquisitionNumber) for ds in read[:6]}) == 2
