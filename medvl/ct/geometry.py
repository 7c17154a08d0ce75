"""Canonical orientation and its inverse; voxel <-> RAS mm.

Every volume in memory is ``(i, j, k)`` in RAS+ *closest canonical* orientation: the axes of the file are
flipped and permuted (never resampled), so that ``i`` grows to the patient's right, ``j`` to anterior and ``k`` to
superior. An oblique affine stays oblique. ``SourceGeometry`` remembers the grid of the file, and ``restore`` goes
back to it, checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import nibabel as nib
import numpy as np

from ..errors import ExportError


@dataclass(frozen=True, eq=False)
class SourceGeometry:
    """The voxel grid of the input file, before reorientation.

    Attributes:
        shape: voxels along the file's own three axes.
        affine: ``(4, 4)`` float64, file voxel index -> RAS mm.
        nifti: of a NIfTI file its qform, sform, their codes, voxel sizes and unit, see ``nifti_geometry``; exports
            carry them unchanged, so that every reader puts a mask where it puts the scan. Else None.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    nifti: nib.Nifti1Header | None = field(default=None, repr=False, compare=False)

    @property
    def orientation(self) -> str:
        """Axis codes of the file's axes, for instance ``"LPS"`` (direction of growing index)."""
        return "".join(nib.aff2axcodes(self.affine))


_NIFTI_GEOMETRY = (
    "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
    "srow_x", "srow_y", "srow_z",
)  # fmt: skip


def nifti_geometry(header: nib.Nifti1Header) -> nib.Nifti1Header:
    """A NIfTI header of the same version that holds the geometry of ``header`` and nothing else of it."""
    kept = type(header)()
    for name in _NIFTI_GEOMETRY:
        kept[name] = header[name]
    kept["pixdim"][:4] = header["pixdim"][:4]
    kept["xyzt_units"] = int(header["xyzt_units"]) & 7
    return kept


def spacing_mm(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel edge lengths in mm along the three array axes of a ``(4, 4)`` affine."""
    return tuple(float(s) for s in np.linalg.norm(np.asarray(affine)[:3, :3], axis=0))


def to_canonical(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flip and permute a 3-D array to closest RAS+.

    Args:
        array: ``(a, b, c)`` voxels in the file's order.
        affine: ``(4, 4)`` file voxel -> RAS mm.

    Returns:
        A view ``(i, j, k)`` of the same voxels and its float64 affine.
    """
    affine = np.asarray(affine, dtype=np.float64)
    ornt = nib.io_orientation(affine)
    canonical = nib.apply_orientation(array, ornt)
    return canonical, affine @ nib.orientations.inv_ornt_aff(ornt, array.shape)


def restore(array: np.ndarray, affine: np.ndarray, source: SourceGeometry) -> np.ndarray:
    """Bring a canonical array back to the grid of the input file.

    Args:
        array: ``(i, j, k)`` canonical voxels.
        affine: ``(4, 4)`` affine of ``array``.
        source: the input's geometry.

    Returns:
        A view of shape ``source.shape``.

    Raises:
        ExportError: the restored grid is not the input's (checked on shape and affine).
    """
    source_ornt = nib.io_orientation(source.affine)
    back = nib.orientations.ornt_transform(nib.io_orientation(affine), source_ornt)
    restored = nib.apply_orientation(array, back)
    restored_affine = affine @ nib.orientations.inv_ornt_aff(back, array.shape)
    if restored.shape != tuple(source.shape) or not np.allclose(restored_affine, source.affine, atol=1e-3):
        raise ExportError(
            f"The mask grid {array.shape} cannot be put back on the input's grid {tuple(source.shape)} with the "
            "same affine. The mask belongs to another scan: export it with the scan it was drawn on."
        )
    return restored


def source_index_to_canonical(
    index: tuple[float, float, float], source: SourceGeometry, affine: np.ndarray
) -> tuple[float, float, float]:
    """A voxel index in the file's own array order -> canonical ``(i, j, k)``; exact for integers."""
    mm = source.affine @ np.array([*index, 1.0])
    ijk = np.linalg.inv(affine) @ mm
    return tuple(float(v) for v in np.round(ijk[:3], 6))


def canonical_to_source(source: SourceGeometry, affine: np.ndarray) -> np.ndarray:
    """``(3, 4)`` whole numbers that turn a canonical ``(i, j, k, 1)`` into the index in the file's own array order."""
    return np.rint(np.linalg.inv(source.affine) @ np.asarray(affine, dtype=np.float64))[:3].astype(int)


def ijk_to_ras_mm(affine: np.ndarray, points_ijk: np.ndarray) -> np.ndarray:
    """Voxel indices ``(..., 3)`` -> RAS mm ``(..., 3)``."""
    points = np.asarray(points_ijk, dtype=np.float64)
    return points @ affine[:3, :3].T + affine[:3, 3]


def ras_mm_to_ijk(affine: np.ndarray, points_ras_mm: np.ndarray) -> np.ndarray:
    """RAS mm ``(..., 3)`` -> continuous voxel indices ``(..., 3)``."""
    points = np.asarray(points_ras_mm, dtype=np.float64)
    return (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
