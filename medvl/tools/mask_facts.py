"""Facts of one mask, whatever it is of: sizes, HU, how they run from the middle outwards, how deep it lies."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..ct import mask_operations as operations
from ..ct.masks import Mask
from ..ct.volume import CTVolume
from .fact import Fact
from .facts import AT_LEAST, COUNTED, percentiles, spans_mm
from .looks.spots import around, axial_size, margin_box
from .scene import Scene

RIM_MM = 2.0  # from the outline inwards: what is told as the edge
CLOSE_MM = 5.0  # vessels and small spots that a holder's mask leaves out at its border are in it
REACH_MM = (40.0, 120.0, 400.0)  # how far an outside is looked for, the nearest first


def of_mask(ct: CTVolume, mask: Mask, what: str = "volume") -> tuple[Fact, ...]:
    """Facts of a mask that is no structure's: a spot, or what a person drew.

    Args:
        ct: the scan.
        mask: not empty.
        what: of ``Attribute``; besides what is always told, ``hu_range`` gives percentiles and ``rim`` the course of
            the HU from the middle outwards.

    Returns:
        Volume (mL), mean HU and standard deviation, longest 3-D diameter, and in the axial slice of its largest section
        the longest diameter and the width across it, the height (mm), that slice, the first and the last.
    """
    m = mask.measure(ct)
    note = f"{AT_LEAST}, since it {mask.limits}" if mask.limits else ""
    k, long, short = axial_size(mask, ct.spacing_mm)
    low, high = spans_mm(mask, ct)[2]
    of = {"mask_id": mask.id, "sureness": "at least" if note else "whole", "slice": k + 1}
    first, last = m.slice_range
    return (
        Fact("volume_ml", m.volume_ml, "mL", note=note, **of),
        Fact("mean_hu", m.mean_hu, "HU", **of),
        Fact("sd_hu", m.sd_hu, "HU", **of),
        Fact("longest_diameter_mm", m.longest_diameter_mm, "mm", note=note, **of),
        Fact("spot_longest_mm", long, "mm", note=note, **of),
        Fact("spot_short_mm", short, "mm", note=note, **of),
        Fact("height_mm", high - low, "mm", note=note, **of),
        Fact("slice", k + 1, "", note=COUNTED, **of),
        Fact("first_slice", int(first) + 1, "", note=COUNTED, **of),
        Fact("last_slice", int(last) + 1, "", note=COUNTED, **of),
        *(percentiles(ct, mask) if what == "hu_range" else ()),
        *(rim(ct, mask) if what == "rim" else ()),
    )


def rim(ct: CTVolume, mask: Mask) -> tuple[Fact, ...]:
    """Mean HU of the middle of a mask, of its edge within ``RIM_MM`` of the outline, and of what surrounds it.

    The middle is what lies deeper than half of the deepest voxel; a mask of one or two voxels' depth has none.
    """
    box = margin_box(mask, 1.0, ct.spacing_mm)
    inside = mask.region(box)
    deep = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=ct.spacing_mm)[1:-1, 1:-1, 1:-1]
    hu = ct.hu[box.slices]
    core = inside & (deep > max(RIM_MM, deep.max() / 2))
    edge = inside & (deep <= RIM_MM)
    outside = around(Scene(ct), mask)
    of = {"mask_id": mask.id}
    found = [("core_hu", hu[core]), ("edge_hu", hu[edge]), ("surrounding_hu", outside)]
    return tuple(Fact(key, float(values.mean()), "HU", **of) for key, values in found if values.size)


def with_margin(ct: CTVolume, mask: Mask, mm: float | None, voxels: float | None) -> Mask:
    """A mask with its outline moved, outwards where the length is positive; by whole voxels along each axis, or mm."""
    if voxels is None:
        return operations.margin(mask, ct, mm or 0.0)
    count = round(abs(voxels))
    box = margin_box(mask, (count + 1) * max(ct.spacing_mm), ct.spacing_mm)
    block = mask.region(box)
    change = ndimage.binary_dilation if voxels > 0 else ndimage.binary_erosion
    return mask.with_block(box, change(block, iterations=count) if count else block)


def moved_facts(
    ct: CTVolume, mask: Mask, mm: float | None, voxels: float | None, about: tuple[str, ...] = ()
) -> tuple[Fact, ...]:
    """Volume, mean HU and standard deviation of a mask, and of the same with its outline moved (``part`` "moved").

    The last fact is the length. Where nothing is left there is only that and the volume before.
    """
    new = with_margin(ct, mask, mm, voxels)
    length = Fact("moved_by", abs(mm if voxels is None else voxels), "mm" if voxels is None else "", source="program")
    before = _three(ct, mask, about, "")
    return (*before, *(_three(ct, new, about, "moved") if not new.empty else ()), length)


def _three(ct: CTVolume, mask: Mask, about: tuple[str, ...], part: str) -> tuple[Fact, ...]:
    m = mask.measure(ct)
    of = {"structures": about, "part": part, "mask_id": "" if about else mask.id}
    values = (("volume_ml", m.volume_ml, "mL"), ("mean_hu", m.mean_hu, "HU"), ("sd_hu", m.sd_hu, "HU"))
    return tuple(Fact(key, value, unit, **of) for key, value, unit in values)


def depth(scene: Scene, mask: Mask, holder: str, about: tuple[str, ...] = ()) -> tuple[Fact, ...]:
    """How far a mask is from the surface of a structure that holds it, where and on which side that is.

    From the centre of a voxel of the mask to that of the nearest voxel outside both; the holder's mask is closed by
    ``CLOSE_MM`` first, but for the whole body. Beyond the scan nothing is known and no surface is told.

    Returns:
        ``surface_mm`` with the slice of the nearest place, its note the side (``front``, ``left``, ...); empty where no
        surface is in the scan.
    """
    ct, around_it = scene.ct, scene.mask(holder)
    for reach in REACH_MM:
        box = margin_box(mask, reach, ct.spacing_mm)
        inside = around_it.region(box)
        if holder != "body":
            inside = _closed(inside, ct.spacing_mm)
        inside |= mask.region(box)
        away, nearest = ndimage.distance_transform_edt(inside, sampling=ct.spacing_mm, return_indices=True)
        mine = np.argwhere(mask.region(box))
        least = away[tuple(mine.T)]
        if inside.all() or least.min() > reach:
            continue
        at = mine[int(least.argmin())]
        to = nearest[(slice(None), *at)]
        way = (to - at) * np.asarray(ct.spacing_mm)
        axis = int(np.abs(way).argmax())
        side = (("left", "right"), ("back", "front"), ("below", "above"))[axis][int(way[axis] > 0)]
        mm = max(0.0, float(least.min()) - float(np.linalg.norm(np.asarray(ct.spacing_mm)[axis])) / 2)
        of = {"structures": (*about, holder), "mask_id": "" if about else mask.id}
        return (Fact("surface_mm", mm, "mm", note=side, slice=int(at[2]) + box.lo[2] + 1, **of),)
    return ()


def _closed(block: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    wide = np.pad(block, 1, mode="edge")
    grown = ndimage.distance_transform_edt(~wide, sampling=spacing) <= CLOSE_MM
    return (ndimage.distance_transform_edt(grown, sampling=spacing) > CLOSE_MM)[1:-1, 1:-1, 1:-1] | block
