"""``CTVolume``: one CT in memory, Hounsfield units on a canonical grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from . import geometry
from .geometry import SourceGeometry


@dataclass(frozen=True)
class DicomReference:
    """What DICOM-SEG needs of the source series, and nothing that names a person.

    Attributes:
        headers: one minimal, de-identified ``pydicom.Dataset`` a source slice (UIDs, geometry, no pixels), in the order
            of the *source* slice axis (the last axis of ``SourceGeometry.shape``). The header of a multi-frame file's
            frame holds the geometry of its functional groups. A slice of a tilted series covers only a part of its
            plane; its header says which.
        planes: index along that axis of the plane that each slice is, or lies next to; a plane that was filled in has
            no slice. None where slice ``n`` is plane ``n``.
        frames: the frame of each slice, from 1, in the multi-frame file that its header names; None for single slices.
        uneven: the slices were interpolated to even spacing, so they lie up to half a step beside their planes.
    """

    headers: tuple
    planes: tuple[int, ...] | None = None
    frames: tuple[int, ...] | None = None
    uneven: bool = False


@dataclass(frozen=True)
class CTVolume:
    """A CT volume.

    Attributes:
        hu: int16 ``(i, j, k)``, closest RAS+ orientation, Hounsfield units after slope and intercept.
        affine: float64 ``(4, 4)``, voxel -> RAS mm.
        source: grid of the file it came from; exports go back to it.
        file_format: ``"NIfTI"``, ``"DICOM"``, ``"NRRD"`` or ``"MetaImage"``.
        notes: what the reader wants a person to know (series chosen, slices missing, not a CT ...).
        dicom: headers for DICOM-SEG when DICOM came in, else None.
    """

    hu: np.ndarray
    affine: np.ndarray
    source: SourceGeometry
    file_format: str = "NIfTI"
    notes: tuple[str, ...] = ()
    dicom: DicomReference | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i, j, k."""
        return self.hu.shape

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths along i, j, k in mm."""
        return geometry.spacing_mm(self.affine)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL (determinant of the affine, so a sheared grid is right too)."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def ijk_to_ras_mm(self, points_ijk: np.ndarray) -> np.ndarray:
        """Voxel indices ``(..., 3)`` -> RAS mm ``(..., 3)``."""
        return geometry.ijk_to_ras_mm(self.affine, points_ijk)

    def ras_mm_to_ijk(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """RAS mm ``(..., 3)`` -> continuous voxel indices ``(..., 3)``."""
        return geometry.ras_mm_to_ijk(self.affine, points_ras_mm)
