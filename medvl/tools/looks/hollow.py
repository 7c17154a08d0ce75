"""How full the bladder is, how large the gallbladder is, and gas where no bowel, stomach or lung is."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...vocabulary.numbers import show
from ...vocabulary.spoken import name
from ..scene import Scene, core
from .sources import LUKACZ, PARK
from .spots import Amount, Look, Rule, Spot, axial_size, margin_box, pieces, shifted, spot
from .thresholds import DEFAULT, Thresholds

SOLID = (
    "liver", "spleen", "right_kidney", "left_kidney", "gallbladder", "urinary_bladder", "pancreas", "heart", "aorta",
    "inferior_vena_cava",
)  # fmt: skip

BESIDE = ("right_lung", "left_lung", "body", "stomach", "duodenum", "esophagus", "trachea")


def bladder(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Volume of the bladder and HU of what it holds, beside the usual capacity."""
    rules = (Rule("usual functional capacity 300 to 400 mL", LUKACZ),)
    mask = scene.mask("urinary_bladder")
    if mask is None:
        return Look("bladder", None, "", rules=rules, limits=("the urinary bladder was not found in this scan",))
    cut = bool(scene.cut("urinary_bladder"))
    volume = mask.voxels * scene.ct.voxel_volume_ml
    about = ("urinary_bladder",)
    amounts = (
        Amount("volume_ml", volume, "mL", about, at_least=cut),
        Amount("content_hu", scene.core_hu("urinary_bladder"), "HU", about, note="median well inside"),
        Amount("capacity_low_ml", values.bladder_ml[0], "mL", about),
        Amount("capacity_high_ml", values.bladder_ml[1], "mL", about),
    )
    limits = ["the wall is part of the mask", "a volume on CT tells no retention, which is measured after voiding"]
    if cut:
        limits.append("the bladder is cut by the border of the scan, so its volume is a lower bound")
    low, high = values.bladder_ml
    how = (
        f"above the usual capacity of {low:.0f} to {high:.0f} mL" if volume > high
        else f"within the usual capacity of {low:.0f} to {high:.0f} mL" if volume >= low
        else f"below {low:.0f} mL" if not cut else "of which only a part is in view"
    )  # fmt: skip
    text = f"the bladder holds {'at least ' if cut else ''}{show(volume, 'mL')}, {how}"
    return Look("bladder", volume > high, text, (), amounts, rules, tuple(limits), "likely" if not cut else "unclear")


def gallbladder(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Width, length and volume of the gallbladder."""
    rules = (Rule(f"width of {values.gallbladder_mm:.1f} mm or more", PARK),)
    mask = scene.mask("gallbladder")
    if mask is None:
        return Look("gallbladder", None, "", rules=rules, limits=("the gallbladder was not found in this scan",))
    about = ("gallbladder",)
    cut = bool(scene.cut("gallbladder"))
    k, _, _ = axial_size(mask, scene.ct.spacing_mm)
    widths = []
    for index in range(mask.box.size[2]):
        plane = mask.block[:, :, index]
        if plane.sum() >= 9:
            one = type(mask).from_block(mask.shape, mask.box, _only(mask.block, index))
            widths.append((axial_size(one, scene.ct.spacing_mm)[2], mask.box.lo[2] + index))
    width, at = max(widths, default=(0.0, k))
    measured = scene.measure("gallbladder")
    amounts = (
        Amount(
            "width_mm", width, "mm", about, slice=at + 1, at_least=cut, note="widest short axis of an axial section"
        ),
        Amount("longest_mm", measured.longest_diameter_mm, "mm", about, at_least=cut),
        Amount("volume_ml", measured.volume_ml, "mL", about, at_least=cut),
        Amount("content_hu", scene.core_hu("gallbladder"), "HU", about, note="median well inside"),
    )
    wide = width >= values.gallbladder_mm
    limits = ["the thickness of the wall is not measured; fasting fills the gallbladder"]
    if cut:
        limits.append("the gallbladder is cut by the border of the scan")
    text = (
        f"the gallbladder is {show(width, 'mm')} wide (slice {at + 1}), {'at or above' if wide else 'below'} "
        f"{values.gallbladder_mm:.1f} mm, and {show(measured.longest_diameter_mm, 'mm')} long"
    )
    return Look("gallbladder", wide, text, (), amounts, rules, tuple(limits))


def _only(block: np.ndarray, index: int) -> np.ndarray:
    out = np.zeros(block.shape, bool)
    out[:, :, index] = block[:, :, index]
    return out


def free_gas(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Gas inside organs that hold none, and between liver and abdominal wall.

    Bowel is not known to this program, so gas among its loops cannot be told from gas in them, and is not looked for.
    """
    rules = (Rule(f"gas: below {values.gas_hu:.0f} HU"),)
    about = [id for id in SOLID if scene.mask(id) is not None]
    if not about:
        return Look("free_gas", None, "", rules=rules, limits=("no organ that gas would lie in or beside was found",))
    spots: list[Spot] = []
    for id in about:
        mask = scene.mask(id)
        hu = scene.ct.hu[mask.box.slices]
        filled = ndimage.binary_fill_holes(mask.block)
        gas = core(filled, scene.ct.spacing_mm, values.gas_edge_mm) & (hu < values.gas_hu)
        for inner, block in pieces(gas, max(2, int(values.free_gas_ml / scene.ct.voxel_volume_ml))):
            why = "bowel or lung that the mask took in looks alike"
            made = spot(scene, shifted(inner, mask.box.lo), block, "gas", "unclear", why, f"Gas, {name(id)}", inside=id)
            spots.append(made)
    spots += _before_liver(scene, values)
    spots.sort(key=lambda s: -s.volume_ml)
    amounts = (
        Amount("gas_spots", len(spots), ""),
        Amount("gas_ml", sum(s.volume_ml for s in spots), "mL"),
    )
    limits = ("gas among loops of bowel cannot be told from gas in them, since bowel is not segmented",)
    if not spots:
        text = "no gas was seen inside solid organs, nor between liver and abdominal wall"
        return Look("free_gas", False, text, (), amounts, rules, limits)
    places = list(dict.fromkeys(s.place.structure or s.place.near for s in spots))
    text = (
        f"{len(spots)} {'pockets' if len(spots) > 1 else 'pocket'} of gas in or beside: {', '.join(map(name, places))}"
    )
    return Look("free_gas", True, text, tuple(spots), amounts, rules, limits, "unclear")


def _before_liver(scene: Scene, values: Thresholds) -> list[Spot]:
    """Pockets of gas in front of the liver that touch it and the wall, and neither lung, stomach nor duodenum."""
    liver, body = scene.mask("liver"), scene.mask("body")
    if liver is None or body is None:
        return []
    box = margin_box(liver, 15.0, scene.ct.spacing_mm)
    hu = scene.ct.hu[box.slices]
    known = np.zeros(box.size, bool)
    for mask in scene.masks("right_lung", "left_lung", "stomach", "duodenum", "esophagus", "trachea"):
        known |= mask.region(box)
    known = ndimage.binary_dilation(known, iterations=3)
    gas = (hu < values.gas_hu) & body.region(box)
    labels, _ = ndimage.label(gas, structure=np.ones((3, 3, 3)))
    touching = np.unique(labels[known & gas])
    gas &= ~np.isin(labels, touching[touching > 0])
    own = liver.region(box)
    beside = ndimage.binary_dilation(own, iterations=2)
    outside = ndimage.distance_transform_edt(body.region(box), sampling=scene.ct.spacing_mm)
    found = []
    for inner, block in pieces(gas, max(2, int(values.free_gas_ml / scene.ct.voxel_volume_ml))):
        near = float(beside[inner.slices][block].mean())
        wall = float((outside[inner.slices][block] < values.gas_wall_mm).mean())
        if near < values.gas_liver or wall < values.gas_liver_wall:
            continue
        why = "colon between liver and wall looks alike"
        made = spot(
            scene, shifted(inner, box.lo), block, "gas", "unclear", why, "Gas beside the liver", candidates=("liver",)
        )
        found.append(made)
    return found
