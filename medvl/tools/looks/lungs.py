"""How the lungs are aerated, by side and lobe: opacity, emphysema index; and gas between lung and chest wall."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...vocabulary.numbers import show
from ..scene import Scene
from .cavity import LUNGS, cavity, grid
from .fluid import organs, pleural_blocks
from .grid import grown, opened
from .nodules import lung_field
from .sources import GATTINONI, GEVENOIS, LOWE
from .spots import Amount, Look, Rule, Spot, pieces, spot
from .thresholds import DEFAULT, Thresholds

LOBES = ("right_upper_lobe", "middle_lobe", "right_lower_lobe", "left_upper_lobe", "left_lower_lobe")
_CENTRAL = ("trachea", "esophagus", "aorta", "heart", "inferior_vena_cava", "vertebral_column")


def opacity(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Lung that is poorly or not aerated: mL and share by side and lobe.

    Fluid, organs and what lies round the great vessels and the spine are left out, and so are vessels, which are thin.
    A mass is not told from consolidation or collapse.
    """
    rules = (
        Rule("poorly aerated lung lies from -500 to -100 HU, not aerated from -100 to 100 HU", GATTINONI),
        Rule(f"less than {values.opacity_ml:.0f} mL is not told"),
    )
    there = scene.masks(*LUNGS)
    if not there:
        return Look("opacity", None, "", rules=rules, limits=("the lungs were not found in this scan",))
    blocks = grid(scene)
    room = cavity(scene)
    field = lung_field(scene, values)
    taken = blocks.down(*scene.masks(*organs(scene)))
    taken = ndimage.binary_dilation(taken) | grown(
        blocks.down(*scene.masks(*_CENTRAL)), values.opacity_central_mm, blocks.spacing_mm
    )
    if room is not None:
        taken |= grown(pleural_blocks(scene, room), 6.0, blocks.spacing_mm)
    low, middle, high = values.opacity_hu
    dull = field & ~taken & (blocks.hu > low) & (blocks.hu < high)
    dull = opened(dull, values.opacity_half_mm, blocks.spacing_mm)
    labels, _ = ndimage.label(dull)
    sizes = np.bincount(labels.ravel()) * blocks.voxel_ml
    sizes[0] = 0
    dull = (sizes >= values.opacity_ml)[labels]
    middle_i = _midline(scene, blocks.shape[0], blocks.step[0])
    right = np.broadcast_to(np.arange(blocks.shape[0])[:, None, None] > middle_i, dull.shape)
    amounts: list[Amount] = []
    told = []
    for side in ("right", "left"):
        if scene.mask(f"{side}_lung") is None:
            continue
        part = dull & (right if side == "right" else ~right)
        volume, none = (
            float(part.sum()) * blocks.voxel_ml,
            float((part & (blocks.hu > middle)).sum()) * blocks.voxel_ml,
        )
        mask = scene.mask(f"{side}_lung")
        whole = float((part | blocks.down(mask)).sum()) * blocks.voxel_ml
        amounts.append(Amount("opacity_ml", volume, "mL", (f"{side}_lung",), side, note="poorly or not aerated"))
        amounts.append(Amount("not_aerated_ml", none, "mL", (f"{side}_lung",), side))
        amounts.append(Amount("opacity_percent", 100 * volume / max(whole, 1e-9), "%", (f"{side}_lung",), side))
        if volume:
            told.append(f"{show(volume, 'mL')} on the {side}")
    amounts += _by_lobe(scene, dull)
    spots: list[Spot] = []
    for box, block in pieces(dull)[:12]:
        full = np.zeros(blocks.shape, bool)
        full[box.slices] = block
        fine_box, fine = blocks.up(full)
        if fine.any():
            why = "consolidation, collapse, a mass and thick pleura look alike"
            spots.append(spot(scene, fine_box, fine, "solid", "unclear", why, "Opacity in the lung", candidates=LUNGS))
    limits = [
        "the part of the lung round the hilum and beside the spine is left out",
        "a whole lobe without air may lie outside the lung's outline; shallow breath dims lungs too",
    ]
    if not spots:
        text = f"no opacity of {values.opacity_ml:.0f} mL or more was seen in the lungs"
        return Look("opacity", False, text, (), tuple(amounts), rules, tuple(limits))
    text = f"lung that is poorly or not aerated was seen: {', '.join(told)}"
    return Look("opacity", True, text, tuple(spots), tuple(amounts), rules, tuple(limits))


def _midline(scene: Scene, count: int, step: int) -> float:
    at = scene.ct.ras_mm_to_ijk(np.array([scene.midline_mm, 0.0, 0.0]))[0] / step
    return float(np.clip(at, 0, count))


def _by_lobe(scene: Scene, dull: np.ndarray) -> list[Amount]:
    """Opacity of each lobe, each block given to the lobe that is nearest to it."""
    there = [id for id in LOBES if scene.mask(id) is not None]
    if not there or not dull.any():
        return []
    blocks = grid(scene)
    label = np.zeros(blocks.shape, np.uint8)
    for n, id in enumerate(there, start=1):
        label[blocks.down(scene.mask(id))] = n
    at = ndimage.distance_transform_edt(
        label == 0, sampling=blocks.spacing_mm, return_distances=False, return_indices=True
    )
    mine = label[tuple(at)][dull]
    counts = np.bincount(mine, minlength=len(there) + 1)
    return [
        Amount("opacity_ml", float(counts[n]) * blocks.voxel_ml, "mL", (id,), note="by the nearest lobe")
        for n, id in enumerate(there, start=1)
    ]


def emphysema(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Share of lung below -950 HU, by side and lobe."""
    rules = (Rule("emphysema index: share of lung below -950 HU", GEVENOIS), Rule("emphysema on CT from 5% on", LOWE))
    ids = [id for id in (*LUNGS, *LOBES) if scene.mask(id) is not None]
    if not ids:
        return Look("emphysema", None, "", rules=rules, limits=("the lungs were not found in this scan",))
    amounts = []
    for id in ids:
        mask = scene.mask(id)
        low = float((scene.ct.hu[mask.box.slices][mask.block] < values.emphysema_hu).mean()) * 100
        cut = bool(set(scene.cut(id)) & {"I", "S"})
        note = "of the part in view" if cut else ""
        side = "right" if id.startswith(("right", "middle")) else "left"
        amounts.append(Amount("laa950_percent", low, "%", (id,), side, note=note))
    limits = []
    if scene.ct.spacing_mm[2] > values.thick_slice_mm:
        limits.append(f"slices every {scene.ct.spacing_mm[2]:.1f} mm are too thick for the index")
    if any(a.note for a in amounts):
        limits.append("the scan holds only a part of the lungs")
    limits.append("noise, a sharp kernel and shallow breath change the index")
    told = ", ".join(f"{show(a.value, '%')} of the {a.side} lung" for a in amounts if a.about[0] in LUNGS)
    seen = None if len(limits) > 1 else any(a.value >= values.emphysema_percent for a in amounts if a.about[0] in LUNGS)
    text = f"below -950 HU lies {told}"
    return Look(
        "emphysema", seen, text, (), tuple(amounts), rules, tuple(limits), "unclear" if seen is None else "likely"
    )


def pneumothorax(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Gas as dark as the air in the trachea along the chest wall, with no vessel in it."""
    rules = (Rule("gas within 30 HU of the air in the trachea or outside the body, even, in a layer of at least 5 mm"),)
    there = scene.masks(*LUNGS)
    room = cavity(scene)
    if not there or room is None:
        missing = "ribs" if there else "lungs"
        return Look("pneumothorax", None, "", rules=rules, limits=(f"the {missing} were not found in this scan",))
    blocks = room.grid
    trachea = scene.mask("trachea")
    air = scene.core_hu("trachea") if trachea is not None and trachea.voxels * scene.ct.voxel_volume_ml > 3 else None
    air = -1000.0 if air is None or air > -900 else min(float(air), -950.0)
    hu = blocks.hu
    mean = ndimage.uniform_filter(hu, 3)
    even = ndimage.maximum_filter(hu, 3) - air < values.gas_even_hu  # no vessel in the neighbourhood
    inside = lung_field(scene, values)
    tube = grown(blocks.down(*scene.masks("trachea", "esophagus", "stomach")), 15.0, blocks.spacing_mm)
    gas = inside & ~tube & (mean < air + values.gas_over_air_hu) & even
    gas = opened(gas, values.gas_half_mm, blocks.spacing_mm)
    # What an uneven neighbour took off: blocks as dark as air beside it.
    gas = (
        grown(gas, 1.8 * max(blocks.spacing_mm[:2]), blocks.spacing_mm)
        & inside
        & ~tube
        & (hu - air < values.gas_even_hu)
    )
    wall = ndimage.distance_transform_edt(room.inside, sampling=blocks.spacing_mm) < 10.0
    spots = []
    for box, block in pieces(gas, max(1, int(values.gas_ml / blocks.voxel_ml))):
        if float(wall[box.slices][block].mean()) < values.gas_wall:
            continue
        full = np.zeros(blocks.shape, bool)
        full[box.slices] = block
        fine_box, fine = blocks.up(full)
        if not fine.any():
            continue
        why = "a bulla or emphysema at the border of the lung looks alike"
        spots.append(spot(scene, fine_box, fine, "gas", "unclear", why, "Gas at the chest wall", candidates=LUNGS))
    limits = ["layers thinner than about 5 mm are not seen"]
    if any(set(scene.cut(id)) & {"I", "S"} for id in LUNGS):
        limits.append("the scan holds only a part of the chest")
    by_side = [
        Amount("gas_ml", sum(s.volume_ml for s in spots if s.place.side == side), "mL", (f"{side}_lung",), side)
        for side in ("right", "left")
    ]
    if not spots:
        text = "no layer of gas was seen between lung and chest wall"
        return Look("pneumothorax", False, text, (), tuple(by_side), rules, tuple(limits))
    text = f"gas without vessels lies along the chest wall: {show(sum(s.volume_ml for s in spots), 'mL')}"
    return Look("pneumothorax", True, text, tuple(spots), tuple(by_side), rules, tuple(limits), "unclear")
