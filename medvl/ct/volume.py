"""``CTVolume``: one CT in memory, Hounsfield units on a canonical grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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
        refused: why no DICOM-SEG can refer to these slices, or empty.
    """

    headers: Sequence[Any]
    planes: tuple[int, ...] | None = None
    frames: tuple[int, ...] | None = None
    uneven: bool = False
    refused: str = ""


@dataclass(frozen=True)
class SeriesChoice:
    """One scan of those that came together: a DICOM series, or one of several scans in a series.

    Attributes:
        id: what ``read_ct(series=...)`` takes: the series' number, with ``.1``, ``.2`` where it holds several scans.
        description: the series' description; empty where it names a person.
        modality: DICOM code.
        slices: how many.
        size: columns, rows.
        spacing_mm: between columns, rows and slices; slices as they usually lie.
        kernel: of the reconstruction, or empty.
        phase: what tells it from the other scans of its series, in words, or empty.
        opened: this one was read.
        problem: why it cannot be read, or empty.
    """

    id: str
    description: str
    modality: str
    slices: int
    size: tuple[int, int]
    spacing_mm: tuple[float, float, float]
    kernel: str = ""
    phase: str = ""
    opened: bool = False
    problem: str = ""


@dataclass(frozen=True)
class ScanInfo:
    """What a scan is called, so that ten reports can be told apart; nothing that names a person.

    Attributes:
        file_name: of the file, zip or folder that came in, without its path.
        series_description: DICOM SeriesDescription, else "".
        contrast: the agent that the header says was given, for instance ``"Iohexol"``; ``"given"`` where it names none;
            "" where it says nothing, or that none was given.
    """

    file_name: str = ""
    series_description: str = ""
    contrast: str = ""


@dataclass(frozen=True, eq=False)
class CTVolume:
    """A CT volume.

    Attributes:
        hu: int16 ``(i, j, k)``, closest RAS+ orientation, Hounsfield units after slope and intercept.
        affine: float64 ``(4, 4)``, voxel -> RAS mm.
        source: grid of the file it came from; exports go back to it.
        file_format: ``"NIfTI"``, ``"DICOM"``, ``"NRRD"`` or ``"MetaImage"``.
        notes: what the reader wants a person to know (series chosen, slices missing, not a CT ...).
        dicom: headers for DICOM-SEG when DICOM came in, else None.
        info: what the scan is called, and what its header says of contrast.
        hu_note: one sentence or two that must stand above whatever is said of this scan's values, because they are no
            Hounsfield units or are off; empty when they can be believed.
        series: the DICOM scans that came together, this one among them; empty for other formats.
    """

    hu: np.ndarray
    affine: np.ndarray
    source: SourceGeometry
    file_format: str = "NIfTI"
    notes: tuple[str, ...] = ()
    dicom: DicomReference | None = field(default=None, repr=False)
    info: ScanInfo = field(default=ScanInfo(), repr=False)
    hu_note: str = ""
    series: tuple[SeriesChoice, ...] = ()

    @property
    def hu_trusted(self) -> bool:
        """Whether ``hu`` holds Hounsfield units, as far as file and values tell; if not, no HU may be stated."""
        return not self.hu_note

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
