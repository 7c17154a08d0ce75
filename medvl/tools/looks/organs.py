"""Focal dark and bright areas inside liver, spleen and kidneys: how many, how large, how far from the organ's HU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ...ct.prompts import Box
from ...vocabulary.numbers import show
from ...vocabulary.spoken import name
from ..contrast import given, phase
from ..scene import Scene
from .grid import Grid, closed, grown
from .sources import BOSNIAK, GORE
from .spots import Amount, Look, Rule, Spot, margin_box, pieces, spot
from .thresholds import DEFAULT, Thresholds

FINE_MM = 1.6
# What lies in or against each organ and looks focal in it. Ribs and spine are not asked for: finding the ribs takes
# longer than all the others, and without both each of 8 scans gave the same areas of liver, spleen and kidneys.
NEIGHBOURS = (
    "gallbladder", "inferior_vena_cava", "aorta", "right_kidney", "left_kidney", "stomach", "duodenum", "pancreas",
    "heart", "right_lung", "left_lung", "spleen", "liver",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Area:
    """A focal area on the fine grid, before it is measured.

    Attributes:
        box: on the grid of the CT.
        block: bool inside ``box``.
        contrast_hu: its mean over the organ's median.
        compactness: volume over that of the ball that would hold its spread; 1 for a ball.
        depth_mm: how far inside the organ it reaches.
        edge: share of its border that lies on the organ's.
        fat: whether fat lies in or against it, at the organ's border: then it is a fissure or a rim.
        score: for the order.
    """

    box: Box
    block: np.ndarray
    contrast_hu: float
    compactness: float
    depth_mm: float
    edge: float
    fat: bool
    score: float


def fine_grid(scene: Scene) -> Grid:
    """Blocks of about 1.6 mm, made once."""
    return scene.keep(("grid", FINE_MM), (), lambda: Grid.of(scene.ct, FINE_MM))


def areas(scene: Scene, organ: str, dark: bool, values: Thresholds = DEFAULT) -> tuple[list[Area], float, float]:
    """Focal areas of an organ, and median and spread of the organ they were compared with.

    The HU are smoothed by 1.5 mm or so; the organ is its mask closed by ``organ_close_mm``, since a focal area at its
    edge is often missing from it, without its neighbours and without fat.
    """
    blocks = fine_grid(scene)
    mask = scene.mask(organ)
    wide = margin_box(mask, values.organ_close_mm + 3, scene.ct.spacing_mm)
    lo = [l // s for l, s in zip(wide.lo, blocks.step, strict=True)]
    hi = [-(-h // s) for h, s in zip(wide.hi, blocks.step, strict=True)]
    cut = tuple(slice(l, h) for l, h in zip(lo, hi, strict=True))
    spacing = blocks.spacing_mm
    own = blocks.down(mask)[cut]
    others = blocks.down(*scene.masks(*(id for id in NEIGHBOURS if id != organ)))[cut]
    hu = ndimage.gaussian_filter(np.clip(blocks.hu[cut], -200, 300), [1.5 / s for s in spacing])
    inside = ndimage.distance_transform_edt(np.pad(own, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    core = inside > 5.0
    reference = hu[core if core.sum() > 200 else own]
    raw = blocks.hu[cut]
    median = float(np.median(reference))
    noise = float((raw - hu)[core if core.sum() > 200 else own].std())
    # The narrower side: areas widen one, vessels or fat the other.
    sides = (reference[reference > median], reference[reference < median])
    # An even organ (a made one, or one painted over) has neither side.
    spread = 1.4826 * min((float(np.median(np.abs(side - median))) for side in sides if side.size), default=0.0)
    step = max(values.focal_hu, values.focal_spreads * spread)
    whole = closed(own, values.organ_close_mm, spacing) & ~ndimage.binary_dilation(others)
    whole = ndimage.binary_fill_holes(whole)
    fat = hu < values.fat_hu
    whole &= ~ndimage.binary_dilation(ndimage.binary_opening(fat, structure=np.ones((2, 2, 1))))
    chosen = whole & ((hu < median - step) if dark else (hu > median + step))
    depth = ndimage.distance_transform_edt(np.pad(whole, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    chosen &= depth > values.rim_mm  # the organ's rim is darker than the organ for partial volume
    taken = np.zeros(chosen.shape, bool)
    inside = ndimage.distance_transform_edt(np.pad(chosen, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    found = []
    for half in values.focal_half_mm:  # the thick ones first, so that a bridge to something else does not hide them
        wide_parts = thick(inside, chosen & ~taken, half, spacing)
        for box, block in pieces(wide_parts, max(2, int(values.focal_ml / blocks.voxel_ml))):
            area = _area(blocks, lo, box, block, hu, whole, depth, median, raw, noise, values.fat_hu)
            if _focal(area, values):
                found.append(area)
                taken |= _beside(taken.shape, box, block, values.focal_apart_mm, spacing)
    found.sort(key=lambda a: -a.score)
    return found, median, spread


def _beside(shape: tuple[int, ...], box: Box, block: np.ndarray, mm: float, spacing: tuple[float, ...]) -> np.ndarray:
    """A piece and what lies within ``mm`` of it: its own border is no area of its own."""
    wide = Box(
        tuple(max(0, int(l - np.ceil(mm / s))) for l, s in zip(box.lo, spacing, strict=True)),
        tuple(min(n, int(h + np.ceil(mm / s))) for h, n, s in zip(box.hi, shape, spacing, strict=True)),
    )
    seed = np.zeros(wide.size, bool)
    seed[tuple(slice(b - w, b - w + n) for b, w, n in zip(box.lo, wide.lo, box.size, strict=True))] = block
    out = np.zeros(shape, bool)
    out[wide.slices] = grown(seed, mm, spacing)
    return out


def thick(inside: np.ndarray, free: np.ndarray, half: float, spacing: tuple[float, ...]) -> np.ndarray:
    """What of ``free`` a ball of radius ``half`` fits into; ``inside`` is the distance to what is not chosen.

    Grown back piece by piece in small boxes: that is much faster than on the whole.
    """
    out = np.zeros(free.shape, bool)
    for box, block in pieces((inside > half) & free):
        wide = Box(
            tuple(max(0, int(l - np.ceil(half / s) - 1)) for l, s in zip(box.lo, spacing, strict=True)),
            tuple(min(n, int(h + np.ceil(half / s) + 1)) for h, n, s in zip(box.hi, free.shape, spacing, strict=True)),
        )
        seed = np.zeros(wide.size, bool)
        seed[tuple(slice(b - w, b - w + n) for b, w, n in zip(box.lo, wide.lo, box.size, strict=True))] = block
        out[wide.slices] |= grown(seed, half, spacing) & free[wide.slices]
    return out


def _focal(area: Area, values: Thresholds) -> bool:
    """Whether an area is compact and inside enough to be more than a vessel, a fissure or a rim."""
    fissure = area.fat and area.edge > values.fissure_edge
    return area.compactness >= values.focal_compactness and area.edge <= values.focal_edge and not fissure


def _area(
    blocks: Grid,
    lo: list[int],
    box: Box,
    block: np.ndarray,
    hu: np.ndarray,
    whole: np.ndarray,
    depth: np.ndarray,
    median: float,
    raw: np.ndarray,
    noise: float,
    fat_hu: float,
) -> Area:
    contrast = float(hu[box.slices][block].mean()) - median
    points = np.argwhere(block) * blocks.spacing_mm
    spread = np.linalg.eigvalsh(np.cov(points.T, bias=True) + np.diag(np.square(blocks.spacing_mm)) / 12)
    radius = np.sqrt(5 * spread.max())  # of the ball with that spread along its longest axis
    volume = len(points) * blocks.voxel_ml * 1000
    compact = min(1.0, float(volume / (4 / 3 * np.pi * radius**3)))
    wide = Box(
        tuple(max(0, l - 2) for l in box.lo), tuple(min(n, h + 2) for n, h in zip(whole.shape, box.hi, strict=True))
    )
    placed = np.zeros(wide.size, bool)
    placed[tuple(slice(b - w, b - w + n) for b, w, n in zip(box.lo, wide.lo, box.size, strict=True))] = block
    ring = ndimage.binary_dilation(placed, iterations=2) & ~placed
    outside = ring & ~whole[wide.slices]
    edge = float(outside.sum()) / max(int(ring.sum()), 1)
    lowest = float(np.percentile(raw[wide.slices][placed | ring], 3))
    fat = outside.any() and lowest < fat_hu and lowest < contrast + median - 2.5 * noise
    deep = float(depth[box.slices][block].max())
    full = np.zeros(blocks.shape, bool)
    full[tuple(slice(b + l, b + l + n) for b, l, n in zip(box.lo, lo, box.size, strict=True))] = block
    fine_box, fine = blocks.up(full)
    score = abs(contrast) * compact**0.5 * volume ** (1 / 3) * (1 - edge) ** 2
    return Area(fine_box, fine, contrast, compact, deep, edge, fat, score)


def focal(scene: Scene, organ: str, values: Thresholds = DEFAULT) -> Look:
    """Focal dark and bright areas of the liver, the spleen or a kidney.

    Args:
        scene: the scan.
        organ: id of an organ.
        values: thresholds.

    Returns:
        Spots, the most conspicuous first: dark ones, and bright ones without contrast; with contrast vessels are
        brighter than the organ, so there only what is as bright as calcium is.
    """
    what = f"focal_{organ}"
    contrast = given(scene)
    if scene.mask(organ) is None:
        return Look(what, None, "", limits=(f"the {name(organ)} was not found in this scan",))
    dark, median, spread = areas(scene, organ, True, values)
    step = max(values.focal_hu, values.focal_spreads * spread)
    spots = [_spot(scene, organ, area, "dark", median, contrast, values) for area in dark]
    kidney = organ.endswith("kidney")
    bright = [] if contrast is not False and (kidney or organ == "spleen") else areas(scene, organ, False, values)[0]
    for area in bright:
        if contrast is not False and median + area.contrast_hu < max(values.stone_hu, median + values.calcium_over_hu):
            continue
        spots.append(_spot(scene, organ, area, "bright", median, contrast, values))
    rules = [
        Rule(
            f"an area counts if its smoothed HU differ from the {name(organ)}'s median of {median:.0f} HU by at least "
            f"{step:.0f} HU, it holds {values.focal_ml:g} mL and is compact"
        ),
        Rule("areas below 10 mm are too small to be told what they are", GORE),
    ]
    rules += [Rule("an even area of -9 to 20 HU is as water", BOSNIAK)] if kidney else []
    limits = []
    if contrast is False:
        limits.append("without contrast, veins are darker than the organ and many areas do not differ from it")
    elif contrast is None:
        limits.append("whether contrast was given could not be told")
    else:
        limits.append("in another phase of contrast other areas are seen")
    if kidney:
        limits.append("the renal pelvis is dark as well, and areas that bulge out of the kidney may be missed")
    if scene.cut(organ):
        limits.append(f"the {name(organ)} is cut by the border of the scan")
    amounts = (
        Amount("dark_spots", sum(s.kind == "dark" for s in spots), "", (organ,)),
        Amount("bright_spots", sum(s.kind == "bright" for s in spots), "", (organ,)),
        Amount("organ_hu", median, "HU", (organ,), note="median well inside, smoothed"),
    )
    if not spots:
        text = f"no focal area that stands out was seen in the {name(organ)}"
        return Look(
            what, False, text, (), amounts, tuple(rules), tuple(limits), "unclear" if not contrast else "likely"
        )
    many = "areas stand" if len(spots) > 1 else "area stands"
    first = spots[0]
    text = (
        f"{len(spots)} focal {many} out in the {name(organ)}; the most conspicuous is {first.kind}, "
        f"{show(first.longest_mm, 'mm')} long in slice {first.place.slice}, {show(first.mean_hu, 'HU')} against "
        f"{show(median, 'HU')}"
    )
    return Look(what, True, text, tuple(spots), amounts, tuple(rules), tuple(limits), first.sureness)


def _spot(
    scene: Scene, organ: str, area: Area, kind: str, median: float, contrast: bool | None, values: Thresholds
) -> Spot:
    made = spot(
        scene, area.box, area.block, kind, "likely", "", f"{kind.capitalize()} area, {name(organ)}",
        inside=organ, contrast_hu=area.contrast_hu, part=third(scene, organ, area.box),
    )  # fmt: skip
    why, sure = [], "likely"
    if made.longest_mm < values.focal_small_mm:
        why.append("it is small")
    if area.fat:
        why.append("fat lies in or against it, as in a fissure")
    elif area.edge > 0.1:
        why.append("it lies at the organ's border")
    if kind == "dark" and organ == "liver" and phase(scene).value != "portal venous":
        why.append("a vein without contrast looks alike")
    if area.compactness < values.focal_round:
        why.append("it is not round")
    if organ.endswith("kidney") and kind == "dark":
        why.append("the renal pelvis looks alike")
    if why:
        sure = "unclear"
    told = ", ".join(why) or "it is compact and lies well inside"
    return replace(made, sureness=sure, why=told)


def third(scene: Scene, organ: str, box: Box) -> str:
    """Upper, middle or lower third of an organ, from the middle of a box."""
    mask = scene.mask(organ)
    share = ((box.lo[2] + box.hi[2]) / 2 - mask.box.lo[2]) / max(1, mask.box.size[2])
    return "lower third" if share < 1 / 3 else "middle third" if share < 2 / 3 else "upper third"
