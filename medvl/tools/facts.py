"""Facts of structures and of the whole scan: what is measured, in which unit, and what limits it."""

from __future__ import annotations

import numpy as np

from ..ct.masks import Mask
from ..ct.volume import CTVolume
from .fact import Fact
from .scene import Scene

AT_LEAST = "at least"
"""A note that begins with this says that the value is a lower bound."""

COUNTED = "counted from 1 at the feet"
"""How axial slices are numbered for a reader: as in the viewer. Indices of arrays and tables count from 0."""

ATTRIBUTES = ("volume", "voxels", "mean_hu", "diameter", "extent", "slices", "position", "hu_range", "largest_slice")

# A centre nearer than this to the midline is "in the midline": half the width of a vertebral body, roughly.
MIDLINE_MM = 15.0


def of_structure(scene: Scene, structure: str, attribute: str) -> tuple[Fact, ...]:
    """Facts of a structure that has a mask.

    Args:
        scene: where it was found.
        structure: id.
        attribute: of ``ATTRIBUTES``; ``count`` is a question about several, see ``count``.

    Raises:
        KeyError: the structure has no mask, or there is no such attribute.
    """
    return _OF[attribute](scene, structure)


def volume(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """Volume: voxels times the volume of one."""
    value = scene.measure(structure).volume_ml
    return (Fact("volume_ml", value, "mL", (structure,), note=cut_note(scene, structure)),)


def in_range(scene: Scene, structure: str, low: float | None, high: float | None) -> tuple[Fact, ...]:
    """How much of a structure lies in a range of HU: mL and percent of it; and the ends of the range as facts."""
    mask = scene.mask(structure)
    hu = scene.ct.hu[mask.box.slices][mask.block]
    within = np.ones(hu.shape, bool) if low is None else hu >= low
    within &= True if high is None else hu <= high
    note = cut_note(scene, structure)
    return (
        Fact("volume_in_range_ml", float(within.sum()) * scene.ct.voxel_volume_ml, "mL", (structure,), note=note),
        Fact("in_range_percent", 100.0 * float(within.mean()), "%", (structure,), note=note),
        *(Fact("bound", end, "HU", (structure,), "program") for end in (low, high) if end is not None),
    )


def voxels(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """Number of voxels of the mask, the volume of one, and of all."""
    return (
        Fact("voxels", scene.mask(structure).voxels, "", (structure,)),
        voxel_volume(scene.ct),
        *volume(scene, structure),
    )


def mean_hu(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """Mean and population standard deviation of the HU of all its voxels."""
    m = scene.measure(structure)
    return (Fact("mean_hu", m.mean_hu, "HU", (structure,)), Fact("sd_hu", m.sd_hu, "HU", (structure,)))


def diameter(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """Longest diameter in 3-D (maximum Feret diameter); of a vessel, also how wide it is across, see ``vessels``.

    The aorta only where a section is round, even and against no neighbour, as each of its parts (``looks.aorta``).
    """
    value = scene.measure(structure).longest_diameter_mm
    facts = [Fact("longest_diameter_mm", value, "mm", (structure,), note=cut_note(scene, structure))]
    if structure in ("aorta", "inferior_vena_cava", "trachea", "esophagus", "spinal_cord"):
        from .looks.aorta import good_sections
        from .looks.aorta import widest as widest_of
        from .vessels import widest

        wide = widest_of(good_sections(scene)[0]) if structure == "aorta" else widest(scene, structure)
        if wide is not None:
            facts.append(Fact("cross_diameter_mm", wide.diameter_mm, "mm", (structure,), slice=wide.k + 1))
            facts.append(Fact("cross_slice", wide.k + 1, "", (structure,), note=COUNTED))
    return tuple(facts)


def extent(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """Extents along the body's axes: head to foot, left to right, front to back."""
    spans = scene.keep(("spans", structure), (structure,), lambda: spans_mm(scene.mask(structure), scene.ct))
    keys = ("width_mm", "depth_mm", "length_mm")
    cut = _ended_sides(scene, structure)
    return tuple(
        Fact(key, high - low, "mm", (structure,), note=cut_note(scene, structure) if cut & set(sides) else "")
        for key, (low, high), sides in reversed(list(zip(keys, spans, ("LR", "PA", "IS"), strict=True)))
    )


def slices(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """First and last axial slice, ``COUNTED`` as in the viewer."""
    first, last = scene.measure(structure).slice_range
    note = cut_note(scene, structure) if _ended_sides(scene, structure) & {"I", "S"} else ""
    return (
        Fact("first_slice", int(first + 1), "", (structure,), note=note),
        Fact("last_slice", int(last + 1), "", (structure,), note=note),
        Fact("slice_count", int(last - first + 1), "", (structure,), note=note),
        Fact("last_of_scan", int(scene.ct.shape[2]), "", (), "scan", COUNTED),
    )


def largest_slice(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """The axial slice in which a structure has its largest section, and that section's area."""
    mask = scene.mask(structure)
    areas = mask.block.sum(axis=(0, 1))
    at = int(areas.argmax())
    area_cm2 = float(areas[at]) * scene.ct.spacing_mm[0] * scene.ct.spacing_mm[1] / 100
    return (
        Fact("largest_slice", mask.box.lo[2] + at + 1, "", (structure,), note=COUNTED),
        Fact("section_cm2", area_cm2, "cm\u00b2", (structure,)),
    )


def position(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """Side of the patient, where between back and front, height in the scan, and the slice of its centre."""
    m = scene.measure(structure)
    x, y, _ = m.centroid_ras_mm
    middle = scene.midline_mm
    (_, _), (body_y, half_depth), _ = scene.body_mm
    share = (m.center_ijk[2] + 0.5) / scene.ct.shape[2]
    depth = (y - body_y) / max(half_depth, 1.0)
    level = "lower third" if share < 1 / 3 else "middle third" if share < 2 / 3 else "upper third"
    return (
        Fact("side", side_of(scene, structure), "", (structure,)),
        Fact("off_midline_mm", abs(x - middle), "mm", (structure,)),
        Fact("depth", "front" if depth > 0.2 else "back" if depth < -0.2 else "middle", "", (structure,)),
        Fact("level", level, "", (structure,)),
        Fact("centre_slice", int(m.center_ijk[2]) + 1, "", (structure,), note=COUNTED),
    )


def side_of(scene: Scene, structure: str) -> str:
    """Where the centre lies to the body's middle: "left", "right" (of the patient) or "midline"."""
    offset = scene.measure(structure).centroid_ras_mm[0] - scene.midline_mm
    return "midline" if abs(offset) < MIDLINE_MM else "right" if offset > 0 else "left"


def values(scene: Scene, structure: str) -> tuple[Fact, ...]:
    """Mean HU inside a structure with its standard deviation, and ``percentiles``."""
    return (*mean_hu(scene, structure), *percentiles(scene.ct, scene.mask(structure), (structure,)))


PERCENTILES = (5, 10, 90, 95)


def percentiles(ct: CTVolume, mask: Mask, about: tuple[str, ...] = ()) -> tuple[Fact, ...]:
    """Least, median and greatest HU of a mask, its ``PERCENTILES``, and these as the shares that they are."""
    hu = ct.hu[mask.box.slices][mask.block]
    of = {"structures": about, "mask_id": "" if about else mask.id}
    return (
        Fact("lowest_hu", int(hu.min()), "HU", **of),
        Fact("median_hu", float(np.median(hu)), "HU", **of),
        Fact("highest_hu", int(hu.max()), "HU", **of),
        *(Fact(f"p{n}_hu", float(np.percentile(hu, n)), "HU", **of) for n in PERCENTILES),
        *(Fact("percentile", n, source="program") for n in PERCENTILES),
    )


_OF = {
    "hu_range": values,
    "volume": volume,
    "voxels": voxels,
    "mean_hu": mean_hu,
    "diameter": diameter,
    "extent": extent,
    "slices": slices,
    "position": position,
    "largest_slice": largest_slice,
}


def count(scene: Scene, structures: tuple[str, ...]) -> tuple[Fact, ...]:
    """How many of the structures asked for have a mask."""
    present = tuple(id for id in structures if scene.mask(id) is not None)
    return (Fact("count", len(present), "", present),)


def cut_note(scene: Scene, structure: str) -> str:
    """Why a size is a lower bound, "" where it is not."""
    mask = scene.mask(structure)
    return f"{AT_LEAST}, since it {mask.limits}" if mask is not None and mask.limits else ""


def _ended_sides(scene: Scene, structure: str) -> set[str]:
    """Sides on which a structure may go on: it reaches the border there, or its propagation was ended."""
    mask = scene.mask(structure)
    ended = {side for end in mask.ends for side in ("LR", "PA", "IS")[end.axis]}
    return {*mask.border, *ended}


def spans_mm(mask: Mask, ct: CTVolume) -> tuple[tuple[float, float], ...]:
    """From where to where a mask reaches along R, A and S in RAS mm, voxel faces included; exact on oblique grids.

    A linear function over voxels is largest at an end of a column along k, so only those ends are looked at.
    """
    block = mask.block
    i, j = np.nonzero(block.any(axis=2))
    first = block.argmax(axis=2)[i, j]
    last = block.shape[2] - 1 - block[:, :, ::-1].argmax(axis=2)[i, j]
    ends = np.concatenate([np.stack([i, j, first], axis=1), np.stack([i, j, last], axis=1)]) + mask.box.lo
    mm = ct.ijk_to_ras_mm(ends)
    half = np.abs(ct.affine[:3, :3]).max(axis=1) / 2
    return tuple((float(a), float(b)) for a, b in zip(mm.min(axis=0) - half, mm.max(axis=0) + half, strict=True))


# ---- the whole scan


def spacing(ct: CTVolume) -> tuple[Fact, ...]:
    """Voxel size along left-right, back-front and foot-head."""
    return tuple(
        Fact(key, round(s, 3), "mm", source="scan")
        for key, s in zip(("spacing_x_mm", "spacing_y_mm", "spacing_z_mm"), ct.spacing_mm, strict=True)
    )


def voxel_volume(ct: CTVolume) -> Fact:
    """Volume of one voxel."""
    return Fact("voxel_mm3", round(1000 * ct.voxel_volume_ml, 2), "mm\u00b3", source="scan")


def size(ct: CTVolume) -> tuple[Fact, ...]:
    """Voxels and mm along left-right, back-front and foot-head."""
    voxels = [Fact(f"voxels_{axis}", int(n), source="scan") for axis, n in zip("xyz", ct.shape, strict=True)]
    sizes = [
        Fact(f"size_{axis}_mm", n * s, "mm", source="scan")
        for axis, n, s in zip("xyz", ct.shape, ct.spacing_mm, strict=True)
    ]
    return (*voxels, *sizes)


def orientation(ct: CTVolume) -> tuple[Fact, ...]:
    """Axis codes of the file, and how far the grid is turned against the body's axes."""
    directions = ct.affine[:3, :3] / np.linalg.norm(ct.affine[:3, :3], axis=0)
    tilt = float(np.degrees(np.arccos(np.clip(np.abs(np.diag(directions)).min(), -1, 1))))
    return (
        Fact("orientation", ct.source.orientation, source="scan"),
        Fact("tilt_degrees", round(tilt, 1), source="scan"),
    )


def hu_range(ct: CTVolume) -> tuple[Fact, ...]:
    """Lowest and highest value stored."""
    return (
        Fact("lowest_hu", int(ct.hu.min()), "HU", source="scan"),
        Fact("highest_hu", int(ct.hu.max()), "HU", source="scan"),
    )


def slice_count(ct: CTVolume) -> tuple[Fact, ...]:
    """Number of axial slices and the distance between them."""
    return (
        Fact("slices_of_scan", int(ct.shape[2]), source="scan"),
        Fact("spacing_z_mm", round(ct.spacing_mm[2], 3), "mm", source="scan"),
    )


REGIONS: dict[str, tuple[str, ...]] = {
    "head and neck": ("brainstem", "right_parotid", "left_parotid", "mandible", "larynx"),
    "chest": ("right_lung", "left_lung", "heart", "trachea"),
    "abdomen": ("liver", "spleen", "right_kidney", "left_kidney", "stomach", "pancreas", "gallbladder"),
    "pelvis": ("urinary_bladder",),
}
"""Structures that tell that a region of the body is in the scan."""


def coverage(scene: Scene) -> tuple[Fact, ...]:
    """Regions in the scan, from the structures found: whole, partly (one of them is cut at top or bottom) or not."""
    facts = []
    for region, markers in REGIONS.items():
        there = tuple(id for id in markers if scene.mask(id) is not None)
        looked = [id for id in markers if scene.found(id) is not None and scene.found(id).status != "unknown"]
        if not looked:
            continue
        cut = [id for id in there if set(scene.cut(id)) & {"I", "S"}]
        # Lung bases alone are no chest, and the dome of the liver is no abdomen.
        partly = bool(cut) or 2 * len(there) < len(looked)
        value = "no" if not there else "partly" if partly else "yes"
        facts.append(Fact("region", value, "", there, note=region))
    return tuple(facts)
