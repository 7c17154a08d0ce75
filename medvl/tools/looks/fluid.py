"""Fluid where no organ is: between lung and chest wall, round the heart, and beside liver and spleen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ...vocabulary.numbers import show
from ..scene import Scene
from .cavity import LUNGS, RIBS, Cavity, cavity, grid
from .grid import Grid, grown, opened
from .sources import ABRAMOWITZ, ADLER
from .spots import Amount, Look, Rule, Spot, spot
from .thresholds import DEFAULT, Thresholds

NOT_ORGANS = ("body", *RIBS, "other_bone", *LUNGS)
ABDOMEN = ("right_kidney", "left_kidney", "stomach", "gallbladder", "pancreas", "duodenum")
_RANGE = Rule("fluid lies between -21 and 32 HU", ABRAMOWITZ)
PERICARDIAL_MM = 25.0  # fluid of which most lies that near to the heart is not pleural
NEAR_LUNG_MM = 10.0  # pleural fluid comes that near to the lung somewhere
ABOVE_TIPS_MM = 60.0  # and does not go deeper below the lung of either side than its recess


@dataclass(frozen=True, eq=False)
class _Fluid:
    """Blocks of fluid density outside organs, thick enough to be told from rims."""

    where: np.ndarray = field(repr=False)
    hu: np.ndarray = field(repr=False)


def smooth_hu(blocks: Grid, sigma_mm: float = 2.0) -> np.ndarray:
    """HU of the grid between -200 and 200, smoothed: what is left of the noise is far below the width of fluid."""
    return ndimage.gaussian_filter(np.clip(blocks.hu, -200, 200), [sigma_mm / s for s in blocks.spacing_mm])


def organs(scene: Scene, *but: str) -> list[str]:
    """Ids of what is present and is neither body, bone, lung nor muscle."""
    return [
        id
        for id in scene.present
        if id not in NOT_ORGANS and id not in but and not id.endswith(("_lobe", "_muscles", "_vertebra"))
    ]


def pleural_fluid(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Fluid inside the rib cage that reaches the lung: mL and share of the hemithorax of each side.

    The share is that of fluid in fluid and lung together. Needs ribs and a lung; the heart, liver, spleen and what else
    is known is left out.
    """
    rules = (
        _RANGE,
        Rule(f"layers thinner than {2 * values.fluid_half_mm:.0f} mm are not counted"),
    )
    room = cavity(scene)
    if room is None or not scene.masks(*LUNGS):
        missing = "ribs" if room is None else "lungs"
        return Look("pleural_fluid", None, "", rules=rules, limits=(f"the {missing} were not found in this scan",))
    blocks = room.grid
    where = pleural_blocks(scene, room, values)
    spots: list[Spot] = []
    amounts: list[Amount] = []
    told = []
    for side in ("right", "left"):
        half = where & (room.right if side == "right" else ~room.right)
        volume, thickest, parts = 0.0, 0.0, 0
        lung = scene.mask(f"{side}_lung")
        for one in _components(half, blocks, values.fluid_least_ml):
            box, fine = blocks.up(one)
            low = _dependent(one, room)
            thick = float(ndimage.distance_transform_edt(one, sampling=blocks.spacing_mm).max()) * 2
            sure = "clear" if low > 0.6 and one.sum() * blocks.voxel_ml > 100 else "likely" if low > 0.4 else "unclear"
            why = f"{low:.0%} of it lies in the back half of the chest, as fluid does lying down"
            if _mass_like(one, blocks, values):
                sure, why = "unclear", "it is round and lies in aerated lung, as a mass of fluid density does"
            elif sure == "unclear":
                why = "it does not lie where fluid runs to; enclosed fluid, collapsed lung or a mass look alike"
            made = spot(scene, box, fine, "fluid", sure, why, f"Fluid beside the {side} lung", candidates=LUNGS)
            spots.append(made)
            amounts.append(Amount("thickness_mm", thick, "mm", (f"{side}_lung",), side, note="about, at its thickest"))
            volume += made.volume_ml
            thickest, parts = max(thickest, thick), parts + 1
        amounts.append(Amount("fluid_ml", volume, "mL", (f"{side}_lung",), side))
        if lung is not None or volume:
            air = lung.voxels * scene.ct.voxel_volume_ml if lung is not None else 0.0
            note = "share of fluid in fluid and lung together"
            share = 100 * volume / (volume + air)
            if volume:
                many = f" in {parts} parts" if parts > 1 else ""
                of_both = f"{show(share, '%')} of fluid and lung together on that side"
                told.append(
                    f"{show(volume, 'mL')} on the {side}{many}, up to about {show(thickest, 'mm')} thick ({of_both})"
                )
            else:
                told.append(f"none was seen on the {side}")
            amounts.append(Amount("parts", parts, "", (f"{side}_lung",), side))
            amounts.append(Amount("hemithorax_percent", share, "%", (f"{side}_lung",), side, note=note))
    spots.sort(key=lambda s: -s.volume_ml)
    blind = [f"{side} lung" for side in ("right", "left") if scene.mask(f"{side}_lung") is None]
    blind = [side for side in blind if not any(a.side == side.split()[0] and a.value for a in amounts)]
    limits = [f"the {side} was not found, so its side is not judged" for side in blind]
    limits += [f"layers thinner than about {2 * values.fluid_half_mm:.0f} mm are not seen"]
    cut = [id for id in LUNGS if set(scene.cut(id)) & {"I", "S"}]
    if cut:
        limits.append("the scan holds only a part of the chest")
    if not spots:
        which = f"the {'left' if blind[0].startswith('right') else 'right'} lung" if blind else "lung"
        text = f"no layer of fluid density was seen between {which} and chest wall"
        sure = "unclear" if blind else "likely"
        return Look("pleural_fluid", False, text, (), tuple(amounts), rules, tuple(limits), sure)
    sureness = spots[0].sureness
    told.sort(key=lambda words: words.startswith("none"))
    text = f"between lung and chest wall lies fluid density: {'; '.join(told)}"
    return Look("pleural_fluid", True, text, tuple(spots), tuple(amounts), rules, tuple(limits), sureness)


def pleural_blocks(scene: Scene, room: Cavity, values: Thresholds = DEFAULT) -> np.ndarray:
    """Blocks of pleural fluid; see ``pleural_fluid``."""

    def compute() -> np.ndarray:
        blocks = room.grid
        lung = blocks.down(*scene.masks(*LUNGS))
        known = blocks.down(*scene.masks(*organs(scene)))
        hu = smooth_hu(blocks)
        low, high = values.fluid_hu
        thin = room.inside & (hu > low) & (hu < high) & ~known & ~lung
        thick = opened(thin, values.fluid_half_mm, blocks.spacing_mm)
        near = grown(lung, NEAR_LUNG_MM, blocks.spacing_mm)
        bottom = int(np.flatnonzero(lung.any((0, 1)))[0]) - round(ABOVE_TIPS_MM / blocks.spacing_mm[2])
        labels, _ = ndimage.label(thick)
        touching = np.unique(labels[near & thick])
        keep = np.isin(labels, touching[touching > 0])
        heart = grown(blocks.down(*scene.masks("heart")), PERICARDIAL_MM, blocks.spacing_mm)
        sizes, round_heart = (np.bincount(labels[on], minlength=labels.max() + 1) for on in (labels > 0, heart))
        keep &= (round_heart <= 0.7 * np.maximum(sizes, 1))[labels]  # else it is pericardial
        keep[:, :, : max(0, bottom)] = False
        # Opening and smoothing take the border off: blocks of fluid, or of fluid mixed with lung, beside it are of it.
        beside = grown(keep, max(blocks.spacing_mm[:2]) * 1.01, blocks.spacing_mm) & room.inside & ~known & ~lung
        mixed = (blocks.hu > values.fluid_mixed_hu[0]) & (blocks.hu < values.fluid_mixed_hu[1])
        return keep | (beside & (mixed | ((blocks.hu > low) & (blocks.hu < high))))

    return scene.keep(("pleural", values), (*LUNGS, "liver", "heart", "spleen"), compute)


def pericardial_fluid(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Fluid round the heart, between its outline and the lungs, above 50 mL."""
    rules = (
        _RANGE,
        Rule("a pericardial sac normally holds 10 to 50 mL", ADLER),
    )
    heart = scene.mask("heart")
    if heart is None:
        return Look("pericardial_fluid", None, "", rules=rules, limits=("the heart was not found in this scan",))
    blocks = grid(scene)
    inner = blocks.down(heart)
    room = cavity(scene)
    taken = blocks.down(*scene.masks(*organs(scene, "heart"), *LUNGS))
    if room is not None and scene.masks(*LUNGS):
        taken |= grown(pleural_blocks(scene, room, values), 3.0, blocks.spacing_mm)
    hu = smooth_hu(blocks)
    depth = ndimage.distance_transform_edt(inner, sampling=blocks.spacing_mm)
    shell = grown(inner, PERICARDIAL_MM, blocks.spacing_mm) & (depth < 12.0) & ~taken
    low, high = values.fluid_hu[0] / 2, values.fluid_hu[1] * 0.8  # unenhanced blood begins at about 30 HU
    layer = opened(shell & (hu > low) & (hu < high), values.pericardial_half_mm, blocks.spacing_mm)
    spots = []
    for one in _components(layer, blocks, values.fluid_least_ml):
        box, fine = blocks.up(one)
        why = "fat, partial volume and unenhanced blood come near the density of fluid"
        spots.append(spot(scene, box, fine, "fluid", "unclear", why, "Fluid round the heart", candidates=("heart",)))
    volume = sum(s.volume_ml for s in spots)
    limits = [
        "less than 50 mL is not told from the normal amount",
        f"layers thinner than about {2 * values.pericardial_half_mm:.0f} mm are not seen",
    ]
    if set(scene.cut("heart")):
        limits.append("the heart is cut by the border of the scan")
    amounts = (Amount("fluid_ml", volume, "mL", ("heart",)),)
    if volume < values.pericardial_ml:
        text = f"no more than {show(values.pericardial_ml, 'mL')} of fluid density was seen round the heart"
        return Look("pericardial_fluid", False, text, (), amounts, rules, tuple(limits))
    text = f"{show(volume, 'mL')} of fluid density lies round the heart"
    return Look("pericardial_fluid", True, text, tuple(spots), amounts, rules, tuple(limits), "unclear")


def ascites(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Fluid beside liver and spleen, inside the rib cage and below the lungs.

    Between loops of bowel it cannot be told from what bowel holds, so nothing is looked for there.
    """
    rules = (_RANGE,)
    about = scene.masks("liver", "spleen")
    room = cavity(scene)
    if not about or room is None:
        missing = "ribs were" if about else "liver and the spleen were"
        return Look("ascites", None, "", rules=rules, limits=(f"the {missing} not found in this scan",))
    blocks = room.grid
    beside = grown(blocks.down(*about), 25.0, blocks.spacing_mm)
    known = blocks.down(*scene.masks(*organs(scene), *LUNGS))
    if scene.masks(*LUNGS):
        known |= grown(pleural_blocks(scene, room, values), 6.0, blocks.spacing_mm)
    wall = ndimage.distance_transform_edt(room.inside, sampling=blocks.spacing_mm)
    hu = smooth_hu(blocks)
    low, high = values.fluid_hu
    layer = room.inside & beside & ~known & (hu > low) & (hu < high)
    layer = opened(layer, values.ascites_half_mm, blocks.spacing_mm) & (wall < 35.0)
    spots = []
    for one in _components(layer, blocks, 2 * values.fluid_least_ml):
        box, fine = blocks.up(one)
        why = "bowel that lies against liver or spleen looks alike"
        made = spot(scene, box, fine, "fluid", "unclear", why, "Fluid in the abdomen", candidates=("liver", "spleen"))
        spots.append(made)
    volume = sum(s.volume_ml for s in spots)
    amounts = (Amount("fluid_ml", volume, "mL", ("liver", "spleen"), note="beside liver and spleen only"),)
    limits = ("fluid between loops of bowel and in the pelvis cannot be told from what bowel holds",)
    if not spots:
        text = "no layer of fluid density was seen beside liver and spleen"
        return Look("ascites", False, text, (), amounts, rules, limits)
    text = f"{show(volume, 'mL')} of fluid density lies beside liver and spleen"
    return Look("ascites", True, text, tuple(spots), amounts, rules, limits, "unclear")


def _components(blocks_on: np.ndarray, blocks: Grid, least_ml: float) -> list[np.ndarray]:
    """Connected parts of at least ``least_ml``, on the whole grid, the largest first."""
    labels, _ = ndimage.label(blocks_on)
    sizes = np.bincount(labels.ravel()) * blocks.voxel_ml
    sizes[0] = 0
    return [labels == n for n in np.argsort(-sizes, kind="stable") if sizes[n] >= least_ml]


def _mass_like(one: np.ndarray, blocks: Grid, values: Thresholds) -> bool:
    """Whether a component is as round, and as much in lung, as a mass is; the rule of ``nodules`` on blocks."""
    ring = ndimage.binary_dilation(one, iterations=3) & ~ndimage.binary_dilation(one, iterations=2)
    exposure = float((blocks.hu[ring] < values.aerated_hu).mean()) if ring.any() else 0.0
    points = np.argwhere(one) * blocks.spacing_mm
    spread = np.linalg.eigvalsh(np.cov(points.T, bias=True) + np.diag(np.square(blocks.spacing_mm)) / 12)
    compact = len(points) * blocks.voxel_ml * 1000 / (4 / 3 * np.pi * (5 * spread.max()) ** 1.5)
    return compact >= values.mass_compactness and compact * exposure >= values.mass_product


def _dependent(one: np.ndarray, room: Cavity) -> float:
    """Share of blocks in the back half of the chest of their slice."""
    behind = total = 0
    for k in np.flatnonzero(one.any((0, 1))):
        columns = np.flatnonzero(room.inside[:, :, k].any(0))
        if columns.size == 0:
            continue
        middle = (columns[0] + columns[-1]) / 2
        total += int(one[:, :, k].sum())
        behind += int(one[:, : int(np.ceil(middle)), k].sum())
    return behind / max(total, 1)
