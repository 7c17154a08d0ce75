"""Voxels where no name is known: what stands out inside a structure, between two, or where a person points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from ...ct.masks import Mask
from ...ct.prompts import Box
from ...errors import PromptError
from ...vocabulary.numbers import show
from ...vocabulary.spoken import name
from ..contrast import given
from ..scene import Scene, core
from .spots import Amount, Look, Rule, Spot, holder, margin_box, middle, nearest, pieces, shifted, spot
from .thresholds import DEFAULT, Thresholds

Kind = Literal["bright", "dark", "gas", "fluid", "metal", "calcium", "fat"]
KINDS: tuple[Kind, ...] = ("bright", "dark", "gas", "fluid", "metal", "calcium", "fat")

USUAL: tuple[tuple[int, int, str], ...] = (
    (-1100, -950, "air or gas"),
    (-950, -500, "aerated lung"),
    (-500, -150, "lung with little air, or the border of air with tissue"),
    (-150, -30, "fat"),
    (-30, -10, "fat mixed with fluid or soft tissue"),
    (-10, 20, "water-like fluid, such as urine, bile or a cyst"),
    (20, 45, "soft tissue, or fluid with protein or blood in it"),
    (45, 90, "soft tissue: muscle, organs, clotted blood, or tissue with a little contrast"),
    (90, 130, "tissue that took up contrast, or dense bile"),
    (130, 400, "calcium, spongy bone, or contrast in blood, bowel or urine"),
    (400, 1800, "bone, stone, or dense contrast"),
    (1800, 40000, "metal, enamel, or very dense contrast"),
)
"""What HU usually are, ``(from, below, what)``."""


@dataclass(frozen=True)
class What:
    """What is at a place.

    Attributes:
        structure: id there; "" where no known structure is.
        near: where there is none, the nearest; else "".
        near_mm: how far that is.
        hu: mean of the place.
        sd_hu: its spread.
        value_hu: of the voxel itself; None for a mask.
        usually: what such HU usually are.
        ijk: the voxel, or one in the middle of the mask.
        others: further structures that hold the place (a lobe and its lung).
    """

    structure: str
    near: str
    near_mm: float
    hu: float
    sd_hu: float
    value_hu: int | None
    usually: str
    ijk: tuple[int, int, int]
    others: tuple[str, ...] = ()


def probe(
    scene: Scene,
    kind: Kind,
    inside: str = "",
    between: tuple[str, str] | None = None,
    at: tuple[int, int, int] | None = None,
    clicked: Mask | None = None,
    values: Thresholds = DEFAULT,
    around: str = "",
) -> Look:
    """Spots of a kind in a region: inside a structure, around it, between two, at the crosshair, in a clicked mask.

    "Bright" and "dark" are against the median of the region and its spread; the other kinds have HU of their own.

    Args:
        scene: the CT and what is known in it.
        kind: of ``KINDS``.
        inside: id of a structure that has a mask.
        between: ids of two structures; the region is what lies within ``between_mm`` of both and in neither.
        at: a voxel; the region is a ball of ``at_mm`` round it.
        clicked: a mask; the region is it.
        values: thresholds.
        around: id of a structure that has a mask; the region is what lies within ``between_mm`` of it and in no other.

    Raises:
        PromptError: no region, or more than one, was given; it lies outside the scan; or the kind is not known.
    """
    given_ = sum((bool(inside), bool(around), between is not None, at is not None, clicked is not None))
    if given_ != 1:
        raise PromptError("Say one place to look at: in or around a structure, between two, at a point, or a mask.")
    if kind not in KINDS:
        raise PromptError(f"'{kind}' is nothing to look for; these are: {', '.join(KINDS)}.")
    ids = (inside or around,) if inside or around else between or ()
    missing = [id for id in ids if scene.mask(id) is None]
    if missing:
        limit = f"not found in this scan: {', '.join(map(name, missing))}"
        return Look("probe", None, "", limits=(limit,))
    box, region, where = _region(scene, inside, between, at, clicked, values, around)
    hu = scene.ct.hu[box.slices].astype(np.float32)
    # Noise of single voxels is smoothed away where the voxels are small.
    smooth = ndimage.gaussian_filter(hu, [min(1.0, values.probe_smooth_mm / s) for s in scene.ct.spacing_mm])
    if kind == "dark" and (around or between is not None):
        region = region & (smooth > values.gas_hu)  # air outside, or in bowel, is no dark spot
    on, rule, median = _of_kind(kind, hu, smooth, region, values, scene.ct.spacing_mm)
    least = max(2, int(np.ceil(values.probe_ml / scene.ct.voxel_volume_ml)))
    spots: list[Spot] = []
    found = pieces(on & region, least)
    for inner, block in found[: values.probe_most]:
        part = shifted(inner, box.lo)
        mean = float(hu[inner.slices][block].mean())
        edge = _at_edge(region, inner, block)
        sure = "unclear" if edge > 0.3 else "likely"
        why = "much of it lies at the border of the region" if edge > 0.3 else "it lies well inside the region"
        over = mean - median if median is not None else None
        title = f"{kind.capitalize()} spot"
        spots.append(spot(scene, part, block, kind, sure, why, title, inside=inside, contrast_hu=over))
    amounts = (
        Amount("spots", len(found), "", ids),
        Amount("spots_ml", sum(int(b.sum()) for _, b in found) * scene.ct.voxel_volume_ml, "mL", ids),
        Amount("region_ml", float(region.sum()) * scene.ct.voxel_volume_ml, "mL", ids),
    )
    limits = [f"spots below {values.probe_ml:g} mL are not told"]
    if len(found) > len(spots):
        limits.append(f"only the {len(spots)} largest of {len(found)} are listed")
    if kind in ("calcium", "bright") and given(scene):
        limits.append("contrast was given, and it is as bright")
    if not spots:
        return Look("probe", False, f"nothing {_adjective(kind)} was seen {where}", (), amounts, (rule,), tuple(limits))
    first = spots[0]
    many = "spots" if len(found) > 1 else "spot"
    text = (
        f"{len(found)} {_adjective(kind)} {many} {where}; the largest holds {show(first.volume_ml, 'mL')}, "
        f"{show(first.mean_hu, 'HU')} on average and {first.max_hu:,} HU at most, in slice {first.place.slice}"
    )
    return Look("probe", True, text, tuple(spots), amounts, (rule,), tuple(limits), first.sureness)


def _adjective(kind: str) -> str:
    return {"gas": "gas-filled", "fluid": "fluid-like", "metal": "metal-like", "fat": "fatty"}.get(
        kind, "calcium-like" if kind == "calcium" else kind
    )


def _region(
    scene: Scene,
    inside: str,
    between: tuple[str, str] | None,
    at: tuple[int, int, int] | None,
    clicked: Mask | None,
    values: Thresholds,
    around: str = "",
) -> tuple[Box, np.ndarray, str]:
    """Box, bool voxels in it, and the place in words."""
    spacing = scene.ct.spacing_mm
    if inside:
        mask = scene.mask(inside)
        filled = ndimage.binary_fill_holes(mask.block)
        deep = core(filled, spacing, values.probe_edge_mm)
        return mask.box, deep if deep.any() else filled, f"inside the {name(inside)}"
    if around:
        mask = scene.mask(around)
        box = margin_box(mask, values.between_mm, spacing)
        near = ndimage.distance_transform_edt(~mask.region(box), sampling=spacing) <= values.between_mm
        for id in scene.present:
            if id != "body":
                near &= ~scene.mask(id).region(box)
        body = scene.mask("body")
        return box, near & body.region(box) if body is not None else near, f"around the {name(around)}"
    if between is not None:
        a, b = (scene.mask(id) for id in between)
        boxes = [margin_box(m, values.between_mm, spacing) for m in (a, b)]
        lo = tuple(max(x, y) for x, y in zip(boxes[0].lo, boxes[1].lo, strict=True))
        hi = tuple(min(x, y) for x, y in zip(boxes[0].hi, boxes[1].hi, strict=True))
        where = f"between the {name(between[0])} and the {name(between[1])}"
        if any(l >= h for l, h in zip(lo, hi, strict=True)):
            return Box((0, 0, 0), (1, 1, 1)), np.zeros((1, 1, 1), bool), where
        box = Box(lo, hi)
        wide = Box(
            tuple(min(x, y) for x, y in zip(lo, map(min, zip(a.box.lo, b.box.lo, strict=True)), strict=True)),
            tuple(max(x, y) for x, y in zip(hi, map(max, zip(a.box.hi, b.box.hi, strict=True)), strict=True)),
        )
        cut = tuple(slice(l - o, h - o) for l, h, o in zip(lo, hi, wide.lo, strict=True))
        near = np.ones(box.size, bool)
        for mask in (a, b):
            away = ndimage.distance_transform_edt(~mask.region(wide), sampling=spacing)[cut]
            near &= (away > 0) & (away <= values.between_mm)
        for id in scene.present:
            if id != "body" and not id.endswith("_lobe"):
                near &= ~scene.mask(id).region(box)
        return box, near, where
    if clicked is not None:
        if clicked.box is None:
            raise PromptError("The mask is empty. Choose one that holds something.")
        return clicked.box, clicked.block, f"in '{clicked.name}'"
    check_voxel(scene, at)
    reach = [int(np.ceil(values.at_mm / s)) for s in spacing]
    lo = tuple(max(0, p - r) for p, r in zip(at, reach, strict=True))
    hi = tuple(min(n, p + r + 1) for p, r, n in zip(at, reach, scene.ct.shape, strict=True))
    axes = [(np.arange(l, h) - p) * s for l, h, p, s in zip(lo, hi, at, spacing, strict=True)]
    away = np.sqrt(sum(g**2 for g in np.meshgrid(*axes, indexing="ij")))
    return Box(lo, hi), away <= values.at_mm, f"within {values.at_mm:.0f} mm of the crosshair"


def check_voxel(scene: Scene, at: tuple[int, int, int]) -> None:
    """Raise unless a voxel lies in the scan.

    Raises:
        PromptError: it does not.
    """
    if len(at) != 3 or any(not 0 <= v < n for v, n in zip(at, scene.ct.shape, strict=True)):
        raise PromptError(
            f"The point {tuple(at)} lies outside the volume {tuple(scene.ct.shape)}. Point inside the image."
        )


def _of_kind(
    kind: str,
    hu: np.ndarray,
    smooth: np.ndarray,
    region: np.ndarray,
    values: Thresholds,
    spacing: tuple[float, ...],
) -> tuple[np.ndarray, Rule, float | None]:
    """Voxels of a kind, the rule, and the median they are compared with (None for a fixed range)."""
    if kind in ("bright", "dark"):
        inner = smooth[region]
        if not inner.size:
            return np.zeros(hu.shape, bool), Rule("the region is empty"), None
        median = float(np.median(inner))
        side = inner[inner < median] if kind == "bright" else inner[inner > median]
        spread = 1.4826 * float(np.median(np.abs(side - median))) if side.size else 0.0
        step = max(values.probe_hu, values.probe_spreads * spread)
        on = smooth > median + step if kind == "bright" else smooth < median - step
        more = "above" if kind == "bright" else "below"
        return on, Rule(f"at least {step:.0f} HU {more} the region's median of {median:.0f} HU"), median
    if kind == "metal":
        labels, _ = ndimage.label(hu >= values.metal_edge_hu, structure=np.ones((3, 3, 3)))
        hot = np.unique(labels[hu >= values.metal_hu])
        rule = Rule(f"at least {values.metal_hu:.0f} HU, with what joins it from {values.metal_edge_hu:.0f} HU on")
        return np.isin(labels, hot[hot > 0]), rule, None
    low, high = {
        "gas": (-32768.0, values.gas_hu),
        "calcium": (values.stone_hu, 32767.0),
        "fluid": values.fluid_hu,
        "fat": values.fat_range_hu,
    }[kind]
    used = smooth if kind in ("fluid", "fat") else hu
    on = (used >= low) & (used <= high)
    if kind in ("fluid", "fat"):  # a layer of a voxel between brighter and darker is partial volume
        deep = ndimage.distance_transform_edt(np.pad(on, 1, mode="edge"), sampling=spacing)[1:-1, 1:-1, 1:-1]
        deep = deep > max(1.5, min(spacing))
        near = ndimage.distance_transform_edt(~deep, sampling=spacing) if deep.any() else np.full(on.shape, np.inf)
        on &= near <= max(1.5, min(spacing)) * 1.5
    said = f"below {high:.0f} HU" if kind == "gas" else f"from {low:.0f} HU on" if kind == "calcium" else ""
    return on, Rule(said or f"from {low:.0f} to {high:.0f} HU"), None


def _at_edge(region: np.ndarray, inner: Box, block: np.ndarray) -> float:
    """Share of a piece that lies at the border of the region."""
    rim = region & ~ndimage.binary_erosion(region)
    return float(rim[inner.slices][block].mean())


def usual(hu: float) -> str:
    """What HU usually are."""
    return next((what for low, high, what in USUAL if low <= hu < high), "outside the range of tissue")


def what_is(
    scene: Scene, at: tuple[int, int, int] | None = None, clicked: Mask | None = None, values: Thresholds = DEFAULT
) -> Look:
    """What is at the crosshair, or in a clicked mask: structure, HU, and what such HU usually are.

    Raises:
        PromptError: neither or both were given, the voxel lies outside the scan, or the mask is empty.
    """
    if (at is None) == (clicked is None):
        raise PromptError("Point at a voxel, or click a mask, not both.")
    what = place_of(scene, at, clicked, values)
    ids = (what.structure,) if what.structure else ()
    rules = (Rule("what HU usually are is textbook knowledge, rounded"),)
    amounts = [
        Amount("mean_hu", what.hu, "HU", ids, note=f"within {values.here_mm:.0f} mm" if at is not None else ""),
        Amount("sd_hu", what.sd_hu, "HU", ids),
        Amount("usually", what.usually, "", ids),
    ]
    if what.value_hu is not None:
        amounts.insert(0, Amount("voxel_hu", what.value_hu, "HU", ids))
    if what.near:
        amounts.append(Amount("distance_mm", what.near_mm, "mm", (what.near,)))
    here = "the crosshair" if at is not None else f"'{clicked.name}'"
    if clicked is not None and scene.mask(what.structure) is clicked:
        place = f"this is the {name(what.structure)}"
    elif what.structure:
        place = f"{here} lies in the {name(what.structure)}"
    elif what.near:
        place = f"{here} lies in nothing that this program knows, {show(what.near_mm, 'mm')} from the {name(what.near)}"
    else:
        place = f"{here} lies in nothing that this program knows"
    level = f"{show(what.hu, 'HU')} on average"
    if what.value_hu is not None:
        level = f"{what.value_hu:,} HU there, {level} within {values.here_mm:.0f} mm"
    text = f"{place}; {level}; such HU usually are {what.usually}"
    limits = ["HU alone name no tissue: noise, contrast and partial volume shift them"]
    if given(scene):
        limits.append("contrast was given, so blood and organs are brighter than usual")
    spots: tuple[Spot, ...] = ()
    if at is not None:
        spots = _same(scene, at, what, values)
    sure = "likely" if what.structure else "unclear"
    return Look("what_is", bool(what.structure), text, spots, tuple(amounts), rules, tuple(limits), sure)


def place_of(scene: Scene, at: tuple[int, int, int] | None, clicked: Mask | None, values: Thresholds = DEFAULT) -> What:
    """Structure, HU and what they usually are, at a voxel or in a mask. See ``what_is``."""
    if at is not None:
        check_voxel(scene, at)
        spacing = scene.ct.spacing_mm
        reach = [int(values.here_mm / s) for s in spacing]
        lo = tuple(max(0, p - r) for p, r in zip(at, reach, strict=True))
        hi = tuple(min(n, p + r + 1) for p, r, n in zip(at, reach, scene.ct.shape, strict=True))
        around = scene.ct.hu[Box(lo, hi).slices]
        point = Mask.from_block(
            scene.ct.shape, Box(tuple(at), tuple(v + 1 for v in at)), np.ones((1, 1, 1), bool), id=""
        )
        mask, value, ijk = point, int(scene.ct.hu[tuple(at)]), tuple(at)
        told = _steady(scene, at)
    else:
        if clicked.box is None:
            raise PromptError("The mask is empty. Choose one that holds something.")
        around = scene.ct.hu[clicked.box.slices][clicked.block]
        mask, value, ijk = clicked, None, middle(clicked)
        told = float(around.mean())
    ids = list(scene.present)
    structure = next((id for id in ids if scene.mask(id) is clicked or scene.mask(id).id == mask.id != ""), "")
    structure = structure or holder(scene, mask, ids)
    others = tuple(id for id in ids if id not in (structure, "body") and _held(scene.mask(id), mask) >= 0.5)
    near, near_mm = ("", 0.0) if structure else nearest(scene, mask, ids)
    usually = usual(told)
    body = scene.mask("body")
    if body is not None and not structure and _held(body, mask) < 0.5:
        usually = "air, or the table or clothes, since it lies outside the body"
    return What(structure, near, near_mm, float(around.mean()), float(around.std()), value, usually, ijk, others)


def _steady(scene: Scene, at: tuple[int, int, int]) -> float:
    """HU at a voxel: its own, or where voxels are small the mean of those within 1 mm of it in its axial slice."""
    reach = [int(1.0 / s) for s in scene.ct.spacing_mm[:2]]
    i, j = (slice(max(0, p - r), p + r + 1) for p, r in zip(at[:2], reach, strict=True))
    return float(scene.ct.hu[i, j, at[2]].mean())


def _held(other: Mask, mask: Mask) -> float:
    return float((other.region(mask.box) & mask.block).sum()) / max(mask.voxels, 1)


def _same(scene: Scene, at: tuple[int, int, int], what: What, values: Thresholds) -> tuple[Spot, ...]:
    """The connected spot of like HU round a voxel, as a mask to click, where it is smaller than its surroundings."""
    reach = [int(np.ceil(values.same_mm / s)) for s in scene.ct.spacing_mm]
    lo = tuple(max(0, p - r) for p, r in zip(at, reach, strict=True))
    hi = tuple(min(n, p + r + 1) for p, r, n in zip(at, reach, scene.ct.shape, strict=True))
    box = Box(lo, hi)
    hu = scene.ct.hu[box.slices].astype(np.float32)
    smooth = ndimage.gaussian_filter(hu, [min(1.0, values.probe_smooth_mm / s) for s in scene.ct.spacing_mm])
    here = tuple(p - l for p, l in zip(at, lo, strict=True))
    level = float(smooth[here])
    step = max(values.probe_hu, 1.5 * what.sd_hu) if abs(level) < 400 else 0.4 * abs(level)
    on = np.abs(smooth - level) <= step
    labels, _ = ndimage.label(on)
    own = labels == labels[here]
    if not on[here] or own.sum() < 4:
        return ()
    for axis in range(3):  # what reaches the end of the box is a whole organ or vessel, not a spot
        first, last = np.take(own, 0, axis).any(), np.take(own, -1, axis).any()
        if (first and lo[axis] > 0) or (last and hi[axis] < scene.ct.shape[axis]):
            return ()
    ring = ndimage.binary_dilation(own, iterations=2) & ~own
    over = float(hu[own].mean() - np.median(hu[ring])) if ring.any() else None
    kind = "bright" if over is None or over > 0 else "dark"
    why = "grown over like HU from the crosshair; click it to have it measured, or correct it by clicks"
    return (spot(scene, box, own, kind, "unclear", why, "Spot at the crosshair", contrast_hu=over),)
