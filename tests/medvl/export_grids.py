"""Grids, headers and masks that the export's tests share."""

import nibabel as nib
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid

from medvl.ct.geometry import SourceGeometry, to_canonical
from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume, DicomReference

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


def seg_world(segmentation):
    """Places of the first segment's voxels in RAS mm, as highdicom sees them, in the order of ``world``."""
    volume = segmentation.get_volume(segment_numbers=[1], combine_segments=True)
    return world(volume.array > 0, np.diag([-1, -1, 1, 1]) @ volume.affine)
