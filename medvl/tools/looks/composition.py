"""Muscle and fat in one axial slice at the third lumbar vertebra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image

from ...ct.masks import Mask
from ...vocabulary.numbers import show
from ..scene import Scene
from .sources import EXAMINATION, MOURTZAKIS, PRADO
from .spots import Amount, Look, Rule
from .thresholds import DEFAULT, Thresholds

MUSCLES = ("right_iliopsoas", "left_iliopsoas", "right_back_muscles", "left_back_muscles")
L3 = ("l3_vertebra",)
HELPS = ("l3_vertebra", "l2_vertebra", "l4_vertebra", "body", "vertebral_column", "other_bone", *MUSCLES)
"""Structures that the look uses."""


@dataclass(frozen=True, eq=False)
class Slice:
    """Tissues of one axial slice, bool ``(i, j)``.

    Attributes:
        k: slice, from 0.
        muscle: muscle of the wall, back and psoas.
        visceral: fat inside the wall.
        subcutaneous: fat outside the wall.
    """

    k: int
    muscle: np.ndarray
    visceral: np.ndarray
    subcutaneous: np.ndarray


def l3_slice(scene: Scene) -> tuple[int, str] | None:
    """The slice through the middle of L3 and how it was told; None where L3 is not known.

    Where only L2 or L4 is known, the slice is a vertebra's height below or above its middle.
    """
    l3 = scene.mask("l3_vertebra")
    if l3 is not None and not set(scene.cut("l3_vertebra")) & {"I", "S"}:
        return _middle(l3), "the middle of L3"
    for other, sign in (("l4_vertebra", 1), ("l2_vertebra", -1)):
        mask = scene.mask(other)
        if mask is not None and not set(scene.cut(other)) & {"I", "S"}:
            k = _middle(mask) + sign * round(38.0 / scene.ct.spacing_mm[2])
            if 0 <= k < scene.ct.shape[2]:
                where = "above" if sign > 0 else "below"
                return k, f"38 mm {where} the middle of {other[:2].upper()}, since L3 is not known itself"
    return None


def _middle(mask: Mask) -> int:
    """Slice through the middle of a vertebra's body: the front half of its mask, without arch and processes."""
    columns = np.flatnonzero(mask.block.any((0, 2)))
    front = mask.block[:, columns[len(columns) // 2] :, :]
    ks = np.flatnonzero(front.any((0, 1)))
    return mask.box.lo[2] + round((ks[0] + ks[-1]) / 2)


def tissues(scene: Scene, k: int, values: Thresholds = DEFAULT) -> Slice:
    """Muscle, visceral and subcutaneous fat in an axial slice.

    The wall of muscle is what soft tissue of the outer ring is, as seen from the skin: it is closed over gaps, and
    what lies inside it is the abdomen. Of the abdomen's soft tissue only psoas and back muscles and a rim of at most
    ``wall_mm`` inside the wall's outer border count as muscle, since bowel has the same HU.
    """
    ct = scene.ct
    spacing = np.asarray(ct.spacing_mm[:2])
    hu = ct.hu[:, :, k].astype(np.float32)
    smooth = ndimage.gaussian_filter(hu, 1.0 / spacing)
    body_mask = scene.mask("body")
    body = body_mask.slice(2, k) if body_mask is not None else ndimage.binary_fill_holes(smooth > -300)
    labels, count = ndimage.label(ndimage.binary_opening(body, iterations=2))
    if count > 1:  # arms beside the body
        body = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    body = ndimage.binary_fill_holes(body)
    skin = ndimage.distance_transform_edt(body, sampling=spacing) <= 4.0
    dense = body & ~skin & (smooth > values.muscle_hu[0])
    dense = _opened(dense, 2.0, spacing)
    # What fat reaches from the skin, without passing a gap of the wall: outside.
    wall = _closed(dense, values.wall_gap_mm, spacing)
    fat = body & ~wall
    labels, _ = ndimage.label(fat | (skin & body))
    from_skin = np.unique(labels[skin & body])
    outer = np.isin(labels, from_skin[from_skin > 0])
    inner = body & ~outer
    # In front of the spine the wall is convex: where the recti lie far apart its hull goes on between them.
    spine = _near_spine(scene, k, 1.0)
    labels, count = ndimage.label(dense)
    if count:
        largest = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
        inner |= convex_hull_image(largest & ~spine) & body & ~spine & ~skin
    inner = _opened(ndimage.binary_fill_holes(inner), 4.0, spacing)
    bone = np.zeros(body.shape, bool)
    for mask in scene.masks("vertebral_column", "other_bone"):
        bone |= mask.slice(2, k)
    bone |= inner & (smooth > 200)
    depth = ndimage.distance_transform_edt(inner, sampling=spacing)
    soft = inner & ~bone & (hu >= values.muscle_hu[0]) & (hu <= values.muscle_hu[1])
    named = np.zeros(body.shape, bool)
    for mask in scene.masks(*MUSCLES):
        named |= ndimage.binary_dilation(mask.slice(2, k), iterations=1)
    organs = np.zeros(body.shape, bool)
    for id in ("right_kidney", "left_kidney", "liver", "spleen", "stomach", "duodenum", "pancreas", "gallbladder",
               "aorta", "inferior_vena_cava", "spinal_cord"):  # fmt: skip
        mask = scene.mask(id)
        if mask is not None:
            organs |= mask.slice(2, k)
    rim = _wall(inner, soft & ~organs, depth, values.wall_mm, spacing)
    muscle = soft & ~organs & (rim | named)
    low, high = values.visceral_hu
    behind = _near_spine(scene, k, 0.3)
    visceral = inner & ~muscle & ~bone & ~named & ~behind & (hu >= low) & (hu <= high)
    visceral &= depth > 4.0
    low, high = values.subcutaneous_hu
    subcutaneous = body & ~inner & (hu >= low) & (hu <= high)
    return Slice(k, muscle, visceral, subcutaneous)


def _wall(inner: np.ndarray, soft: np.ndarray, depth: np.ndarray, thickest: float, spacing: np.ndarray) -> np.ndarray:
    """Soft tissue of the wall: from its outer border inward until fat or gas, at most ``thickest``.

    Walked along rays from the middle, so that a loop of bowel behind the wall's inner fat is not taken for it.
    """
    middle = np.array(ndimage.center_of_mass(inner))
    rows, columns = (np.arange(n) for n in inner.shape)
    dx, dy = np.meshgrid((rows - middle[0]) * spacing[0], (columns - middle[1]) * spacing[1], indexing="ij")
    angle = ((np.arctan2(dy, dx) + np.pi) / (2 * np.pi) * 360).astype(int) % 360
    out = np.zeros(inner.shape, bool)
    band = inner & (depth <= thickest)
    steps = np.floor(depth).astype(int)
    reach = np.full(360, 0)
    for n in range(360):
        here = band & ((angle - n + 1) % 360 <= 2)
        for d in range(int(thickest) + 1):
            ring = here & (steps == d)
            if ring.any() and d > 2 and soft[ring].mean() < 0.5:
                break
            reach[n] = d
    reach = ndimage.median_filter(reach, 7, mode="wrap")
    out = band & soft & (steps <= reach[angle])
    return out


def _near_spine(scene: Scene, k: int, share: float) -> np.ndarray:
    """The back of the body, up to a share of the vertebra's depth: there fat lies between muscles."""
    spine = scene.mask("vertebral_column")
    out = np.zeros(scene.ct.shape[:2], bool)
    if spine is not None:
        plane = spine.slice(2, k)
        if plane.any():
            columns = np.flatnonzero(plane.any(0))
            out[:, : int(columns[0] + share * len(columns))] = True
    return out


def _opened(on: np.ndarray, mm: float, spacing: np.ndarray) -> np.ndarray:
    deep = ndimage.distance_transform_edt(on, sampling=spacing) > mm
    return on & (ndimage.distance_transform_edt(~deep, sampling=spacing) <= mm) if deep.any() else deep


def _closed(on: np.ndarray, mm: float, spacing: np.ndarray) -> np.ndarray:
    near = ndimage.distance_transform_edt(~on, sampling=spacing) <= mm if on.any() else on
    return on | (ndimage.distance_transform_edt(near, sampling=spacing) > mm)


def front_mm(body: np.ndarray, subcutaneous: np.ndarray, pixel_mm: float) -> float | None:
    """From the skin to the inner edge of the subcutaneous fat in front, median of the columns near the midline, in mm.

    Args:
        body: of one axial slice, bool ``(i, j)``, ``j`` to the front.
        subcutaneous: the fat between skin and wall in it.
        pixel_mm: along ``j``.
    """
    columns = np.flatnonzero(body.any(1))
    if not columns.size:
        return None
    middle, near = (columns[0] + columns[-1]) // 2, max(1, len(columns) // 20)
    found = []
    for i in range(middle - near, middle + near + 1):
        skin = np.flatnonzero(body[i])
        fat = np.flatnonzero(subcutaneous[i])
        fat = fat[fat > (skin[0] + skin[-1]) / 2] if skin.size else fat
        if fat.size:
            found.append((skin[-1] - fat[0] + 1) * pixel_mm)
    return float(np.median(found)) if found else None


def at_l3(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Areas of muscle, visceral and subcutaneous fat in the slice through the middle of L3."""
    rules = (
        Rule("muscle -29 to 150 HU, visceral fat -150 to -50 HU, subcutaneous fat -190 to -30 HU", MOURTZAKIS),
        Rule("low muscle: below 52.4 (men) or 38.5 (women) square cm over square m of height", PRADO),
        Rule("visceral fat: 100 square cm, at the umbilicus", EXAMINATION),
    )
    at = l3_slice(scene)
    if at is None:
        limit = "L3 is not in view, or it cannot be told which vertebra it is"
        return Look("composition", None, "", rules=rules, limits=(limit,))
    k, source = at
    found = tissues(scene, k, values)
    pixel = scene.ct.spacing_mm[0] * scene.ct.spacing_mm[1] / 100
    areas = {
        "muscle_cm2": found.muscle, "visceral_fat_cm2": found.visceral, "subcutaneous_fat_cm2": found.subcutaneous
    }  # fmt: skip
    body = scene.mask("body")
    plane = body.slice(2, k) if body is not None else scene.ct.hu[:, :, k] > -300
    edges = {
        letter
        for letter, line in (("L", plane[0]), ("R", plane[-1]), ("P", plane[:, 0]), ("A", plane[:, -1]))
        if line.any()
    }
    cut = bool(edges)
    amounts = [
        Amount(key, float(on.sum()) * pixel, "cm²", (), part="L3", at_least=cut, slice=k + 1)
        for key, on in areas.items()
    ]
    muscle_hu = float(scene.ct.hu[:, :, k][found.muscle].mean()) if found.muscle.any() else None
    amounts.append(Amount("muscle_hu", muscle_hu, "HU", (), part="L3", slice=k + 1))
    front = front_mm(plane, found.subcutaneous, scene.ct.spacing_mm[1])
    if front is not None:
        amounts.append(Amount("front_fat_mm", front, "mm", (), part="L3", at_least="A" in edges, slice=k + 1))
    limits = [
        f"measured in one slice, through {source}",
        "the muscle index needs the patient's height, which the program does not know",
        "bowel that lies against the wall may be taken for muscle",
    ]
    if cut:
        limits.append("the body is cut by the border of the scan there, so the areas are lower bounds")
    dense = "" if muscle_hu is None else f" ({show(muscle_hu, 'HU')} on average)"
    text = (
        f"in slice {k + 1}, at L3: muscle {show(amounts[0].value, 'cm²')}"
        f"{dense}, "
        f"visceral fat {show(amounts[1].value, 'cm²')}, subcutaneous fat {show(amounts[2].value, 'cm²')}"
    )
    if front is not None:
        text += f"; from the skin to the wall of the belly in the middle of the front {show(front, 'mm')}"
    return Look("composition", True, text, (), tuple(amounts), rules, tuple(limits), "unclear" if cut else "likely")
