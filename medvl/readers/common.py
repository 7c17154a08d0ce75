"""What all readers share: limits, progress, checks of size and affine, the result before reorientation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import nibabel as nib
import numpy as np

from ..ct.volume import DicomReference, SeriesChoice
from ..errors import Cancelled, CTReadError

MAX_AXIS = 8192
MIN_SPACING_MM, MAX_SPACING_MM = 1e-3, 100.0
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Job:
    """Limits and hooks of one reading, handed from reader to reader.

    Attributes:
        max_voxels: most voxels of the volume.
        max_bytes: most bytes of a file, of an archive's contents and of a decoded volume.
        expect: modality that is expected, or None for any.
        progress: called with the fraction done (0 to 1) and a few words.
        cancel: set it to stop.
        claim: called with the bytes that the volume will take, before anything is allocated; may raise to refuse it.
        series: which of several DICOM scans, as ``SeriesChoice.id`` names them; None: the largest.
    """

    max_voxels: int
    max_bytes: int
    expect: str | None = "CT"
    progress: Callable[[float, str], None] | None = None
    cancel: threading.Event | None = None
    claim: Callable[[int], None] | None = None
    series: str | None = None

    def check_cancel(self) -> None:
        """Raise ``Cancelled`` if the caller asked to stop."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("Reading was stopped.")

    def step(self, fraction: float, text: str = "Reading") -> None:
        """Tell the progress.

        Raises:
            Cancelled: the caller asked to stop.
        """
        self.check_cancel()
        if self.progress is not None:
            self.progress(min(max(float(fraction), 0.0), 1.0), text)


@dataclass(eq=False)
class Loaded:
    """A volume in the file's own axis order.

    Attributes:
        hu: int16 ``(a, b, c)``.
        affine: ``(4, 4)`` file voxel -> RAS mm.
        file_format: as in ``CTVolume``.
        notes: for a person.
        dicom: headers in the order of axis ``c``, or None.
        nifti: the geometry of a NIfTI header, or None.
        series_description: of DICOM.
        contrast: what the header says of contrast medium, see ``ScanInfo``.
        hu_note: as in ``CTVolume``.
        series: as in ``CTVolume``.
    """

    hu: np.ndarray
    affine: np.ndarray
    file_format: str
    notes: list[str] = field(default_factory=list)
    dicom: DicomReference | None = None
    nifti: nib.Nifti1Header | None = None
    series_description: str = ""
    contrast: str = ""
    hu_note: str = ""
    series: tuple[SeriesChoice, ...] = ()


def volume_shape(dims: tuple[int, ...] | list[int], what: str) -> tuple[int, int, int]:
    """The three axes of a volume, trailing axes of one voxel dropped.

    Args:
        dims: as the header says.
        what: format, for the message.

    Raises:
        CTReadError: not 3-D, or a header no scanner writes.
    """
    dims = [int(n) for n in dims]
    shown = "(" + ", ".join(str(n) for n in dims) + ")"
    if any(n < 1 for n in dims):
        raise CTReadError(f"The {what} header declares the size {shown}, which is impossible. The file is damaged.")
    while len(dims) > 3 and dims[-1] == 1:
        dims.pop()
    if len(dims) > 3:
        raise CTReadError(
            f"This {what} has {len(dims)} dimensions {shown}; a CT volume has 3. Split it first and open one volume."
        )
    if len(dims) < 3 or min(dims) < 2:
        raise CTReadError(
            f"This {what} has the size {shown}: a single slice or 2-D image. Open the whole volume, with at least "
            "2 voxels along each of its 3 axes."
        )
    if max(dims) > MAX_AXIS:
        raise CTReadError(
            f"The {what} header declares the size {shown}, more than {MAX_AXIS} along an axis. No CT has that: the "
            "file is damaged or not a CT."
        )
    return tuple(dims)


def check_size(shape: tuple[int, int, int], job: Job) -> None:
    """Refuse a volume beyond the voxel limit, or one that the caller has no room for, before anything is allocated."""
    voxels = int(np.prod(shape, dtype=np.int64))
    if voxels > job.max_voxels:
        size = " x ".join(str(n) for n in shape)
        raise CTReadError(
            f"The volume has {size} = {voxels / 1e6:.0f} million voxels; the limit here is "
            f"{job.max_voxels / 1e6:.0f} million. Crop it or resample it to thicker slices."
        )
    if job.claim is not None:
        job.claim(2 * voxels)


def check_bytes(size: int, job: Job, what: str = "The file") -> None:
    """Refuse more bytes than the limit."""
    if size > job.max_bytes:
        raise CTReadError(
            f"{what} has {size / 1e6:.0f} MB; the limit here is {job.max_bytes / 1e6:.0f} MB. Crop the scan or "
            "resample it to thicker slices."
        )


def check_affine(affine: np.ndarray, what: str) -> list[str]:
    """Check that an affine describes a real grid; returns notes.

    Raises:
        CTReadError: not finite, zero or absurd spacing, or axes that lie in one plane.
    """
    if not np.isfinite(affine).all():
        raise CTReadError(f"The {what} geometry holds values that are not numbers. The header is damaged.")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    shown = " x ".join(f"{s:.4g}" for s in spacing)
    if spacing.min() < MIN_SPACING_MM or spacing.max() > MAX_SPACING_MM:
        raise CTReadError(
            f"The {what} header declares voxels of {shown} mm; a CT has between {MIN_SPACING_MM:g} and "
            f"{MAX_SPACING_MM:g} mm. Correct the spacing in the header."
        )
    if np.abs(affine[:3, 3]).max() > 1e6:
        raise CTReadError(f"The {what} header puts the scan more than a kilometre away. The header is damaged.")
    axes = affine[:3, :3] / spacing
    if abs(np.linalg.det(axes)) < 0.05:
        raise CTReadError(
            f"The {what} orientation is impossible: its axes lie in one plane. Correct the orientation in the header."
        )
    largest = np.abs(axes.T @ axes - np.eye(3)).max()
    if largest > np.sin(np.deg2rad(0.5)):
        return [
            f"The voxel axes are not at right angles (off by {np.rad2deg(np.arcsin(min(1.0, largest))):.1f} degrees): "
            "planes are drawn as if they were; positions and volumes in mm are exact."
        ]
    return []
