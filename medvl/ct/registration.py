"""Rigid registration of two scans of one body, and an earlier scan or its masks on the grid of the present one.

A translation is found first, over all that leave enough in common (masked normalised correlation by FFT on a coarse
grid: Padfield, IEEE Trans. Image Process. 21, 2012), so that scans of different length and table position meet.
Mattes mutual information (IEEE Trans. Med. Imaging 22, 2003) of SimpleITK then refines it to a rigid motion; it does
not mind another contrast phase. Breathing and growth stay: nothing is bent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from ..errors import RegistrationError
from .masks import Mask
from .prompts import Box
from .volume import CTVolume

OUTSIDE = -32768
"""Value on the present grid where the earlier scan has no voxel; no CT has it."""

_COARSE_MM, _FINE_MM = 10.0, 4.0
_LOW, _HIGH = -1000, 500  # HU that alignment looks at: not metal, not padding
_BODY = -300  # HU; the table and clothes are thin at these grids
_SHARED = (0.6, 0.3, 0.15)  # least part of the largest overlap that a shift leaves, one try after the other
_SURELY = 0.93  # correlation at which no further start is tried
_SIMILAR = 0.65  # correlation within the body; pairs of different people reached 0.59, moved scans 0.87
_LEAST_MM = 30.0  # along the body that both must show


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a place of the present scan lies in an earlier one.

    Attributes:
        matrix: float64 ``(4, 4)``, RAS mm of the present scan -> RAS mm of the earlier one; a rigid motion.
        similarity: correlation of the two scans' values within the body that both show, 1 for the same picture.
        shared_mm: length along the body's axis that both show.
        same_frame: nothing had to be found: both scans name one frame of reference and agree in it.
    """

    matrix: np.ndarray
    similarity: float
    shared_mm: float
    same_frame: bool = False

    @property
    def rotation_degrees(self) -> float:
        """By how much the earlier scan is turned against the present one."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.matrix[:3, :3]) - 1) / 2, -1, 1))))

    def to_prior(self, ras_mm: np.ndarray) -> np.ndarray:
        """Places ``(..., 3)`` of the present scan -> of the earlier one, RAS mm."""
        points = np.asarray(ras_mm, dtype=np.float64)
        return points @ self.matrix[:3, :3].T + self.matrix[:3, 3]


def register(now: CTVolume, prior: CTVolume) -> Registration:
    """Find the rigid motion from one scan to an earlier one of the same body.

    Scans that name one frame of reference (series of one study) stay where they are if their pictures agree there.

    Args:
        now: the present scan.
        prior: the earlier one.

    Raises:
        RegistrationError: they show different bodies or regions, or too little in common.
    """
    fixed, moving = (_grid(ct, _FINE_MM) for ct in (now, prior))
    if frame_of(now) and frame_of(now) == frame_of(prior):
        similarity, shared = _agreement(fixed, moving, sitk.Euler3DTransform())
        if similarity >= _SIMILAR and shared >= _LEAST_MM:
            return Registration(np.eye(4), similarity, shared, True)
    options = []
    for start in _starts(_grid(now, _COARSE_MM), _grid(prior, _COARSE_MM)):
        motion = _refined(fixed, moving, start)
        options.append((*_agreement(fixed, moving, motion), motion))
        if options[-1][0] >= _SURELY:
            break
    similarity, shared, best = max(options, key=lambda option: option[0])
    _check(similarity, shared)
    return Registration(_ras_matrix(best), similarity, shared)


def frame_of(ct: CTVolume) -> str:
    """The DICOM frame of reference that a scan lies in; "" where it names none."""
    headers = ct.dicom.headers if ct.dicom is not None else ()
    return str(getattr(headers[0], "FrameOfReferenceUID", "") or "") if headers else ""


def on_grid_of(now: CTVolume, prior: CTVolume, found: Registration) -> np.ndarray:
    """The earlier scan on the grid of the present one, linear between voxels.

    Returns:
        int16 ``(i, j, k)`` of ``now.shape``; ``OUTSIDE`` where the earlier scan shows nothing.
    """
    image = _image(np.asarray(prior.hu), prior.affine)
    moved = sitk.Resample(
        image, list(now.shape), _transform(found), sitk.sitkLinear, *_place(now.affine), OUTSIDE, sitk.sitkInt16
    )
    return sitk.GetArrayFromImage(moved).transpose(2, 1, 0)  # a copy: a view would outlive its image


def mask_on_grid_of(now: CTVolume, mask: Mask, prior: CTVolume, found: Registration) -> Mask:
    """A mask of the earlier scan on the grid of the present one, nearest voxel; empty where that does not show it.

    For looking at: volumes are measured on the grid that a mask was made on.
    """
    if mask.empty:
        return Mask.from_array(np.zeros(now.shape, dtype=bool), id=mask.id, name=mask.name, color=mask.color)
    corners = np.stack(np.meshgrid(*zip(mask.box.lo, mask.box.hi, strict=True), indexing="ij"), -1).reshape(-1, 3)
    ras = prior.ijk_to_ras_mm(corners - 0.5)
    back = np.linalg.inv(found.matrix)
    ijk = now.ras_mm_to_ijk(ras @ back[:3, :3].T + back[:3, 3])
    lo = np.clip(np.floor(ijk.min(axis=0)).astype(int), 0, now.shape)
    hi = np.clip(np.ceil(ijk.max(axis=0)).astype(int) + 1, 0, now.shape)
    if (hi <= lo).any():
        return Mask.from_array(np.zeros(now.shape, dtype=bool), id=mask.id, name=mask.name, color=mask.color)
    linear = np.linalg.inv(prior.affine) @ found.matrix @ now.affine
    offset = linear[:3, :3] @ lo + linear[:3, 3] - np.asarray(mask.box.lo)
    size = tuple(int(n) for n in hi - lo)
    block = ndimage.affine_transform(mask.block.astype(np.uint8), linear[:3, :3], offset, size, order=0)
    box = Box(tuple(int(v) for v in lo), tuple(int(v) for v in hi))
    return Mask.from_block(now.shape, box, block.astype(bool), id=mask.id, name=mask.name, color=mask.color)


# ---- images of SimpleITK: array (k, j, i), world in LPS mm


def _place(affine: np.ndarray) -> tuple[list[float], list[float], list[float]]:
    """Origin, spacing and direction of a RAS affine, as SimpleITK takes them."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return lps[:3, 3].tolist(), spacing.tolist(), (lps[:3, :3] / spacing).ravel().tolist()


def _image(array: np.ndarray, affine: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    origin, spacing, direction = _place(affine)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    return image


def _grid(ct: CTVolume, mm: float) -> sitk.Image:
    """A scan on an even grid of ``mm`` along the world's axes, each value a mean over about its voxel."""
    step = [max(1, int(mm / spacing)) for spacing in ct.spacing_mm]
    small = [n // s for n, s in zip(ct.shape, step, strict=True)]
    cut = np.asarray(ct.hu)[tuple(slice(0, n * s) for n, s in zip(small, step, strict=True))]
    blocks = cut.reshape(small[0], step[0], small[1], step[1], small[2], step[2])
    mean = np.clip(blocks.mean(axis=(1, 3, 5), dtype=np.float32), _LOW, _HIGH)
    affine = ct.affine.copy()
    affine[:3, 3] += ct.affine[:3, :3] @ ((np.array(step) - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * step
    image = _image(mean, affine)
    corners = ct.ijk_to_ras_mm(np.stack(np.meshgrid(*[(0, n - 1) for n in ct.shape]), -1).reshape(-1, 3))
    low, high = (corners * [-1, -1, 1]).min(axis=0), (corners * [-1, -1, 1]).max(axis=0)
    size = np.maximum(1, np.floor((high - low) / mm)).astype(int) + 1
    return sitk.Resample(
        image, size.tolist(), sitk.Transform(), sitk.sitkLinear, low.tolist(), [mm] * 3, np.eye(3).ravel().tolist(),
        float(OUTSIDE),
    )  # fmt: skip


def _body(values: np.ndarray) -> np.ndarray:
    """The largest piece of tissue, lungs filled in axial slices: what moves as one with a person, without the table."""
    tissue = ndimage.binary_opening(values > _BODY) if min(values.shape) > 3 else values > _BODY
    labels, count = ndimage.label(tissue)
    if not count:
        return tissue
    largest = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    return np.stack([ndimage.binary_fill_holes(plane) for plane in largest])


def _starts(fixed: sitk.Image, moving: sitk.Image) -> Iterator[sitk.Euler3DTransform]:
    """Shifts to begin with: those of the best agreement, and that of the bodies' middles."""
    arrays = [sitk.GetArrayFromImage(image) for image in (fixed, moving)]
    masks = [_body(array) for array in arrays]
    if not all(mask.any() for mask in masks):
        raise RegistrationError("One of the two scans shows no body. Choose another prior.")
    values = [np.where(array > OUTSIDE, array, _LOW) for array in arrays]
    middles = [
        np.argwhere(mask).mean(axis=0)[::-1] * image.GetSpacing() + image.GetOrigin()
        for mask, image in zip(masks, (fixed, moving), strict=True)
    ]
    origins = np.asarray(moving.GetOrigin()) - np.asarray(fixed.GetOrigin())
    tried: list[np.ndarray] = []
    for least in (*_SHARED, None):
        if least is None:
            offset = middles[1] - middles[0]
        else:
            shift, _, _ = phase_cross_correlation(
                values[0], values[1], reference_mask=masks[0], moving_mask=masks[1], overlap_ratio=least
            )
            offset = origins - np.asarray(shift)[::-1] * fixed.GetSpacing()
        if all(np.linalg.norm(offset - other) > 2 * _COARSE_MM for other in tried):
            tried.append(offset)
            motion = sitk.Euler3DTransform()
            motion.SetCenter(middles[0].tolist())
            motion.SetTranslation(offset.tolist())
            yield motion


def _refined(fixed: sitk.Image, moving: sitk.Image, start: sitk.Euler3DTransform) -> sitk.Euler3DTransform:
    """A rigid motion near ``start`` of the highest mutual information within both bodies."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(40)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.25)
    method.SetMetricFixedMask(_mask_image(fixed))
    method.SetMetricMovingMask(_mask_image(moving, grown=3))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.01, 200, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1.0, 0.0])
    motion = sitk.Euler3DTransform(start)
    method.SetInitialTransform(motion, inPlace=True)
    try:
        method.Execute(*(sitk.Clamp(image, lowerBound=_LOW) for image in (fixed, moving)))
    except RuntimeError:  # nothing in common any more: what was begun with is judged
        return sitk.Euler3DTransform(start)
    return motion


def _mask_image(image: sitk.Image, grown: int = 0) -> sitk.Image:
    body = _body(sitk.GetArrayFromImage(image))
    body = ndimage.binary_dilation(body, iterations=grown) if grown else body
    mask = sitk.GetImageFromArray(body.astype(np.uint8))
    mask.CopyInformation(image)
    return mask


def _agreement(fixed: sitk.Image, moving: sitk.Image, motion: sitk.Transform) -> tuple[float, float]:
    """Correlation within the bodies that both show, and how much of the long axis that is, in mm."""
    values = sitk.GetArrayFromImage(fixed)
    moved = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, motion, sitk.sitkNearestNeighbor, float(OUTSIDE)))
    shown = (values > OUTSIDE) & (moved > OUTSIDE)
    both = shown & (_body(values) | _body(moved))
    rows = np.flatnonzero(both.reshape(len(both), -1).sum(axis=1) > 20)
    if both.sum() < 200 or not rows.size:
        return 0.0, 0.0
    a, b = (np.clip(v[both], -200, 300) for v in (values, moved))
    if a.std() < 1 or b.std() < 1:
        return 0.0, 0.0
    return float(np.corrcoef(a, b)[0, 1]), float((rows[-1] - rows[0] + 1) * fixed.GetSpacing()[2])


def _check(similarity: float, shared_mm: float) -> None:
    """Refuse where the two have too little in common, or look unlike where they meet best."""
    if similarity >= _SIMILAR and shared_mm >= _LEAST_MM:
        return
    if shared_mm < _LEAST_MM:
        what = f"They show no more than {shared_mm:.0f} mm of the body in common"
    else:
        what = f"Where they meet best their pictures agree too little (correlation {similarity:.2f})"
    raise RegistrationError(
        f"The two scans do not show the same part of the same body. {what}. What is open is unchanged: choose another "
        "prior."
    )


def _transform(found: Registration) -> sitk.AffineTransform:
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    lps = flip @ found.matrix @ flip
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def _ras_matrix(motion: sitk.Euler3DTransform) -> np.ndarray:
    linear = np.asarray(motion.GetMatrix()).reshape(3, 3)
    centre = np.asarray(motion.GetCenter())
    lps = np.eye(4)
    lps[:3, :3] = linear
    lps[:3, 3] = np.asarray(motion.GetTranslation()) + centre - linear @ centre
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    return flip @ lps @ flip
