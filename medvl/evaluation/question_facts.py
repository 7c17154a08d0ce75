"""Facts that questions ask for, computed from the reference labels alone, never from masks of the model.

Written apart from the code that answers, in plain array arithmetic, so that one checks the other.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .cases import LabelledCase

Value = float | int | str | bool | tuple


def reference_value(check: dict, case: LabelledCase) -> Value:
    """The true value of a check.

    Args:
        check: ``fact`` with ``structure`` or two ``structures``, as a ``Question`` holds it:
            ``volume_ml``, ``mean_hu``; ``slice_range``: first and last axial slice from the feet, counted from 1;
            ``extent_mm``: size of the bounding box from right to left, back to front, foot to head; ``present``;
            ``larger``, ``smaller``, ``brighter``, ``darker``: the id of the one that is; ``side``, ``above``,
            ``front``: where the centre of the first lies to that of the second; ``distance_mm``: between the nearest
            voxel centres; ``touching``: two voxels share a face; of the scan ``spacing_mm``, ``shape``,
            ``slice_count``, ``hu_range``.
        case: CT and labels.

    Raises:
        KeyError: no such fact.
        StopIteration: the case has no label of that name.
    """
    fact = check["fact"]
    if fact in _SCAN:
        return _SCAN[fact](case)
    if "structure" in check:
        name = check["structure"]
        if fact == "present":
            return name == "body" or (name in case.names.values() and bool(case.mask(name).any()))
        return _ONE[fact](case, case.mask(name))
    first, second = check["structures"][:2]
    if fact in ("larger", "smaller", "brighter", "darker"):
        measure = _volume if fact in ("larger", "smaller") else _mean_hu
        a, b = (measure(case, case.mask(name)) for name in (first, second))
        return first if (a > b) == (fact in ("larger", "brighter")) else second
    return _TWO[fact](case, case.mask(first), case.mask(second))


def _volume(case: LabelledCase, mask: np.ndarray) -> float:
    return float(mask.sum() * np.prod(case.ct.spacing_mm) / 1000)


def _mean_hu(case: LabelledCase, mask: np.ndarray) -> float:
    return float(case.ct.hu[mask].mean(dtype=np.float64))


def _slice_range(case: LabelledCase, mask: np.ndarray) -> tuple[int, int]:
    slices = np.flatnonzero(mask.any(axis=(0, 1)))
    return int(slices[0]) + 1, int(slices[-1]) + 1


def _extent(case: LabelledCase, mask: np.ndarray) -> tuple[float, ...]:
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return tuple(float((span[-1] - span[0] + 1) * step) for span, step in zip(spans, case.ct.spacing_mm, strict=True))


def _centre(case: LabelledCase, mask: np.ndarray) -> np.ndarray:
    return case.ct.ijk_to_ras_mm(np.argwhere(mask).mean(axis=0))


def _where(axis: int, high: str, low: str):
    def value(case: LabelledCase, a: np.ndarray, b: np.ndarray) -> str:
        return high if _centre(case, a)[axis] > _centre(case, b)[axis] else low

    return value


def _distance(case: LabelledCase, a: np.ndarray, b: np.ndarray) -> float:
    away = ndimage.distance_transform_edt(~b, sampling=case.ct.spacing_mm)
    return float(away[a].min())


def _touching(case: LabelledCase, a: np.ndarray, b: np.ndarray) -> bool:
    return bool((ndimage.binary_dilation(a) & b).any())


_ONE = {"volume_ml": _volume, "mean_hu": _mean_hu, "slice_range": _slice_range, "extent_mm": _extent}
_TWO = {
    # canonical axes point to the patient's right, front and head
    "side": _where(0, "right", "left"),
    "front": _where(1, "front", "behind"),
    "above": _where(2, "above", "below"),
    "distance_mm": _distance,
    "touching": _touching,
}
_SCAN = {
    "spacing_mm": lambda case: tuple(float(v) for v in case.ct.spacing_mm),
    "shape": lambda case: tuple(int(n) for n in case.ct.shape),
    "slice_count": lambda case: int(case.ct.shape[2]),
    "hu_range": lambda case: (int(case.ct.hu.min()), int(case.ct.hu.max())),
}
FACTS: frozenset[str] = frozenset({*_ONE, *_TWO, *_SCAN, "present", "larger", "smaller", "brighter", "darker"})
"""Every fact that can be checked."""
