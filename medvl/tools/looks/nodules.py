"""Solid spots in the lungs, with their diameter; vessels are told apart by their shape."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ...ct.prompts import Box, bounding_box
from ...vocabulary.numbers import show
from ..scene import Scene
from .cavity import LUNGS, Cavity, cavity, grid
from .fluid import organs
from .grid import Grid, closed, grown
from .organs import fine_grid, thick
from .sources import FLEISCHNER
from .spots import Amount, Look, Rule, Spot, Sureness, pieces, spot
from .thresholds import DEFAULT, Thresholds

_TUBES = ("trachea", "esophagus", "aorta", "heart", "inferior_vena_cava")


@dataclass(frozen=True, eq=False)
class Solid:
    """A compact solid piece on a grid.

    Attributes:
        box: on the grid of the CT.
        block: bool inside ``box``.
        compactness: 1 for a ball, small for a tube.
        exposure: share of what lies just outside that is aerated lung.
        half_mm: radius of the largest ball that fits in.
        central: share of it that lies within ``central_mm`` of heart, great vessels, trachea or spine.
        score: for the order.
        sureness: ``"unclear"`` where a vessel or the hilum may look alike.
    """

    box: Box
    block: np.ndarray
    compactness: float
    exposure: float
    half_mm: float
    central: float
    score: float
    sureness: Sureness = "likely"


def lung_field(scene: Scene, values: Thresholds = DEFAULT) -> np.ndarray:
    """Blocks of the coarse grid in the lungs, nodules and vessels in them and along their border included."""

    def compute() -> np.ndarray:
        blocks = grid(scene)
        field = np.zeros(blocks.shape, bool)
        for mask in scene.masks(*LUNGS):
            lung = blocks.down(mask)
            box = bounding_box(lung)
            if box is not None:
                field[box.slices] |= closed(lung[box.slices], values.lung_close_mm, blocks.spacing_mm)
        return field & ~blocks.down(*scene.masks(*organs(scene)))

    return scene.keep(("field", values), (*LUNGS, "heart", "liver", "spleen", "aorta"), compute)


def solids(scene: Scene, values: Thresholds = DEFAULT) -> list[Solid]:
    """Compact solid pieces in the lungs and in what of the rib cage no organ fills, the most conspicuous first."""
    found = _in_lung(scene, values)
    room = cavity(scene)
    if room is not None:
        found = _masses(scene, room, values, found) + found
    return sorted(found, key=lambda s: (s.sureness == "unclear", -s.score))


def _in_lung(scene: Scene, values: Thresholds) -> list[Solid]:
    coarse, fine = grid(scene), fine_grid(scene)
    box, field = coarse.up(lung_field(scene, values))
    lo = [l // s for l, s in zip(box.lo, fine.step, strict=True)]
    hi = [-(-h // s) for h, s in zip(box.hi, fine.step, strict=True)]
    full = np.zeros([(h - l) * s for h, l, s in zip(hi, lo, fine.step, strict=True)], bool)
    at = [b - l * s for b, l, s in zip(box.lo, lo, fine.step, strict=True)]
    full[tuple(slice(a, a + n) for a, n in zip(at, field.shape, strict=True))] = field
    inside_lung = full[tuple(slice(None, None, s) for s in fine.step)]
    cut = tuple(slice(l, h) for l, h in zip(lo, hi, strict=True))
    hu = fine.hu[cut]
    solid = _without_caves(inside_lung & (hu > values.solid_hu), fine.spacing_mm, values.cave_mm2)
    return _pieces(fine, lo, hu, solid, values.nodule_half_mm, values)


def _masses(scene: Scene, room: Cavity, values: Thresholds, known: list[Solid]) -> list[Solid]:
    """What is too large, or too broad against the chest wall, to lie in the lung's outline."""
    blocks = room.grid
    taken = ndimage.binary_dilation(blocks.down(*scene.masks(*organs(scene))))
    lungs = blocks.down(*scene.masks(*LUNGS))
    rows = np.flatnonzero(lungs.any((0, 1)))
    if rows.size == 0:
        return []
    hu = ndimage.gaussian_filter(np.clip(blocks.hu, -1000, 300), [1.5 / s for s in blocks.spacing_mm])
    solid = room.inside & ~taken & (hu > values.mass_hu)
    solid[:, :, : rows[0]] = False
    solid[:, :, rows[-1] + 1 :] = False
    middle = grown(blocks.down(*scene.masks(*_TUBES, "vertebral_column")), values.central_mm, blocks.spacing_mm)
    out = []
    rim = room.inside & ~taken & (blocks.hu > values.solid_hu)
    for one in _pieces(blocks, [0, 0, 0], blocks.hu, solid, values.mass_half_mm, values, middle, rim):
        again = any(_shares(one, other) for other in known)
        soft = float(_region(blocks.hu, blocks, one).mean()) < values.mass_below_hu
        if not again and soft and one.central <= values.mass_central:
            out.append(one)
    return out


def _doubtful(volume_mm3: float, half: float, exposure: float, compact: float, values: Thresholds) -> bool:
    """Whether a piece that fails as a nodule is large enough to be offered as one that may be a vessel."""
    return (
        volume_mm3 >= values.vessel_like_ml * 1000
        and half >= values.vessel_like_half_mm
        and exposure >= values.vessel_like_exposure
        and compact >= values.vessel_like_compactness
    )


def _region(on: np.ndarray, blocks: Grid, one: Solid) -> np.ndarray:
    """Values of blocks at the voxels of a piece."""
    at = (np.argwhere(one.block) + one.box.lo) // blocks.step
    return on[tuple(np.minimum(at, np.array(on.shape) - 1).T)]


def _pieces(
    blocks: Grid,
    lo: list[int],
    hu: np.ndarray,
    solid: np.ndarray,
    halves: tuple[float, ...],
    values: Thresholds,
    middle: np.ndarray | None = None,
    rim: np.ndarray | None = None,
) -> list[Solid]:
    spacing = blocks.spacing_mm
    inside = ndimage.distance_transform_edt(solid, sampling=spacing)
    taken = np.zeros(solid.shape, bool)
    found = []
    for half in halves:
        for box, block in pieces(
            thick(inside, solid & ~taken, half, spacing), max(2, int(np.ceil(values.nodule_ml / blocks.voxel_ml)))
        ):
            more = 2 if rim is None else 2 + int(np.ceil(values.mass_rim_mm / min(spacing)))
            wide = Box(
                tuple(max(0, l - more) for l in box.lo),
                tuple(min(n, h + more) for n, h in zip(solid.shape, box.hi, strict=True)),
            )
            placed = np.zeros(wide.size, bool)
            placed[tuple(slice(b - w, b - w + n) for b, w, n in zip(box.lo, wide.lo, box.size, strict=True))] = block
            if rim is not None:  # what smoothing took off, and what is partial volume with air
                placed |= grown(placed, values.mass_rim_mm, spacing) & rim[wide.slices]
                box, block = wide, placed
            ring = ndimage.binary_dilation(placed, iterations=2) & ~ndimage.binary_dilation(placed)
            exposure = float((hu[wide.slices][ring] < values.aerated_hu).mean()) if ring.any() else 0.0
            points = np.argwhere(block) * spacing
            spread = np.linalg.eigvalsh(np.cov(points.T, bias=True) + np.diag(np.square(spacing)) / 12)
            volume = len(points) * blocks.voxel_ml * 1000
            compact = min(1.0, float(volume / (4 / 3 * np.pi * (5 * spread.max()) ** 1.5)))
            central = float(middle[box.slices][block].mean()) if middle is not None else 0.0
            large = rim is not None or half >= values.mass_half_mm[-1]
            mass = large and compact >= values.mass_compactness and exposure * compact >= values.mass_product
            nodule = exposure >= values.nodule_exposure and compact >= values.nodule_compactness
            if not mass and not nodule and (rim is not None or not _doubtful(volume, half, exposure, compact, values)):
                continue
            sure = "likely" if mass or nodule else "unclear"
            taken[box.slices] |= block
            full = np.zeros(blocks.shape, bool)
            full[tuple(slice(b + l, b + l + n) for b, l, n in zip(box.lo, lo, box.size, strict=True))] = block
            fine_box, fine = blocks.up(full)
            if not fine.any():
                continue
            score = volume ** (1 / 3) * compact * exposure
            found.append(Solid(fine_box, fine, compact, exposure, half, central, score, sure))
    return found


def _without_caves(solid: np.ndarray, spacing: tuple[float, ...], largest_mm2: float) -> np.ndarray:
    """Air that is enclosed in an axial slice and no larger than that counts as solid: a tumour may hold a cave."""
    edges = np.zeros((3, 3, 3), bool)
    edges[:, :, 1] = ndimage.generate_binary_structure(2, 1)
    labels, _ = ndimage.label(~solid, structure=edges)
    small = np.bincount(labels.ravel()) * spacing[0] * spacing[1] <= largest_mm2
    small[0] = False
    return solid | small[labels]


def _shares(a: Solid, b: Solid) -> bool:
    lo = [max(x, y) for x, y in zip(a.box.lo, b.box.lo, strict=True)]
    hi = [min(x, y) for x, y in zip(a.box.hi, b.box.hi, strict=True)]
    if any(l >= h for l, h in zip(lo, hi, strict=True)):
        return False
    parts = [s.block[tuple(slice(l - o, h - o) for l, h, o in zip(lo, hi, s.box.lo, strict=True))] for s in (a, b)]
    return bool((parts[0] & parts[1]).any())


def lung_spots(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Solid spots in the lungs, their longest and short diameters, the most conspicuous first.

    Vessels are told apart by their shape: a spot has to fill a good part of the ball round it and to lie in air.
    """
    rules = (
        Rule(f"solid is above {values.solid_hu:.0f} HU; below {values.nodule_ml:g} mL nothing is told", FLEISCHNER),
        Rule("a spot is compact and borders on aerated lung, which vessels and the hilum do not"),
    )  # fmt: skip
    if not scene.masks(*LUNGS):
        return Look("lung_spots", None, "", rules=rules, limits=("the lungs were not found in this scan",))
    lobes = [id for id in scene.present if id.endswith("_lobe")] or list(LUNGS)
    spots: list[Spot] = []
    for one in solids(scene, values):
        made = spot(scene, one.box, one.block, "solid", one.sureness, "", "Solid spot in the lung", candidates=lobes)
        why = "it is compact and lies in air"
        if one.sureness == "unclear":
            why = "vessels near the hilum look alike"
        elif made.longest_mm < values.nodule_sure_mm:
            made, why = replace(made, sureness="unclear"), "it is small, and a vessel cut across looks alike"
        elif one.exposure < values.nodule_exposure:
            why = (
                "it is compact but lies against the chest wall, the hilum or the diaphragm; collapsed lung looks alike"
            )
        elif scene.ct.spacing_mm[2] > values.thick_slice_mm:
            why = "it is compact and lies in air, but in slices this thick its size is rough"
        spots.append(replace(made, why=why))
    spots.sort(key=lambda s: s.sureness == "unclear")
    limits = [
        "nodules that are not solid (ground glass), those against the hilum, and those below 6 mm are not looked for"
    ]
    if scene.ct.spacing_mm[2] > values.thick_slice_mm:
        limits.append(f"slices every {scene.ct.spacing_mm[2]:.1f} mm hide small ones")
    if any(set(scene.cut(id)) & {"I", "S"} for id in LUNGS):
        limits.append("the scan holds only a part of the lungs")
    amounts = (Amount("solid_spots", len(spots), "", LUNGS),)
    if not spots:
        text = "no solid spot that stands out from the vessels was seen in the lungs"
        return Look("lung_spots", False, text, (), amounts, rules, tuple(limits))
    first = spots[0]
    many = "solid spots stand" if len(spots) > 1 else "solid spot stands"
    text = (
        f"{len(spots)} {many} out in the lungs; the most conspicuous lies on the {first.place.side}, "
        f"{show(first.longest_mm, 'mm')} by {show(first.short_mm, 'mm')} in slice {first.place.slice}"
    )
    return Look("lung_spots", True, text, tuple(spots), amounts, rules, tuple(limits), first.sureness)
