"""Which regions of the body a scan shows, and so which structures it can show at all.

The gate stands before every name: a structure whose regions are not in view is absent, whatever the localiser sees, and
a piece of the coarse map that lies wholly in another region goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..networks.localiser import CoarseMap
from ..networks.region_head import REGIONS, RegionHead, regions_of
from ..vocabulary.names import STRUCTURES
from ..vocabulary.spoken import listing
from .thresholds import THRESHOLDS

ANYWHERE = frozenset({"body", "other_bone"})
TRUNK = ("neck", "chest", "abdomen", "pelvis")
_BY_REGION = {
    "head_neck": ("head", "neck"),
    "chest": ("chest",),
    "abdomen": ("abdomen",),
    "pelvis": ("pelvis",),
}
_BY_ID: dict[str, tuple[str, ...]] = {
    "vertebral_column": ("head", *TRUNK),
    "spinal_cord": ("head", *TRUNK),
    "aorta": ("chest", "abdomen", "pelvis"),
    "inferior_vena_cava": ("chest", "abdomen", "pelvis"),
    "esophagus": ("neck", "chest", "abdomen"),
    "trachea": ("neck", "chest"),
    "colon": ("abdomen", "pelvis"),
    "small_bowel": ("abdomen", "pelvis"),
    "right_ribs": ("chest", "abdomen"),
    "left_ribs": ("chest", "abdomen"),
    "costal_cartilages": ("chest", "abdomen"),
    "right_back_muscles": TRUNK,
    "left_back_muscles": TRUNK,
    "right_iliopsoas": ("abdomen", "pelvis"),
    "left_iliopsoas": ("abdomen", "pelvis"),
    "right_femur": ("pelvis", "limb"),
    "left_femur": ("pelvis", "limb"),
    "right_gluteal_muscles": ("pelvis", "limb"),
    "left_gluteal_muscles": ("pelvis", "limb"),
    "right_humerus": ("chest", "limb"),
    "left_humerus": ("chest", "limb"),
}
_SAID = {"head": "a head", "neck": "a neck", "chest": "a chest", "abdomen": "an abdomen", "pelvis": "a pelvis"}


@dataclass(frozen=True, eq=False)
class View:
    """What a scan shows of the body.

    Attributes:
        probability: of every region on every slice of the coarse grid, float32 ``[regions, K]``.
        limit: from which on a region counts as seen on a slice.
        slices: in a row that must show a region.
    """

    probability: np.ndarray
    limit: float
    slices: int

    @classmethod
    def of(cls, head: RegionHead, coarse: CoarseMap) -> View:
        """What a coarse map with its HU shows."""
        slices = max(1, round(THRESHOLDS.region_mm / coarse.spacing_mm[2]))
        return cls(regions_of(head, coarse), head.config.limit, slices)

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions in view, from the head downward."""
        seen = ndimage.binary_opening(self.probability >= self.limit, np.ones((1, min(self.slices, self._count))))
        found = tuple(name for name, here in zip(REGIONS, seen, strict=True) if here.any())
        # A narrow body round one bone looks like either: a neck is believed beside a limb only with what it joins.
        lone = {"neck", "limb"} <= set(found) and not {"head", "chest"} & set(found)
        return tuple(name for name in found if not (lone and name == "neck"))

    @property
    def _count(self) -> int:
        return self.probability.shape[1]

    def shows(self, structure: str) -> bool:
        """Whether a region that the structure lies in is in view."""
        return structure in ANYWHERE or bool(set(regions_for(structure)) & set(self.regions))

    def place(self, structure: str) -> np.ndarray:
        """How likely each coarse slice is to show one of the structure's regions, ``[K]``."""
        if structure in ANYWHERE:
            return np.ones(self._count, np.float32)
        return self.probability[[REGIONS.index(region) for region in regions_for(structure)]].max(0)

    @property
    def looks_like(self) -> str:
        """What the scan looks like: "this looks like a chest and an abdomen"."""
        regions = self.regions
        if not regions:
            return "this does not look like a part of a body that I know"
        if regions == ("limb",):
            return "this looks like a limb, such as a thigh or an arm"
        return f"this looks like {listing([_SAID.get(region, 'a limb') for region in regions])}"


def regions_for(structure: str) -> tuple[str, ...]:
    """Regions that a structure lies in; all of them for what lies anywhere."""
    if structure in ANYWHERE:
        return REGIONS
    if structure in _BY_ID:
        return _BY_ID[structure]
    known = STRUCTURES[structure]
    if known.level:  # of a vertebra: C, T, L
        return {"C": ("head", "neck", "chest"), "T": ("neck", "chest", "abdomen")}.get(
            known.level[0], ("chest", "abdomen", "pelvis")
        )
    return _BY_REGION.get(known.region, REGIONS)


def within_view(coarse: CoarseMap, view: View) -> CoarseMap:
    """A coarse map without structures and pieces that lie where their region is not."""
    probability: np.ndarray | None = None
    for n, structure in enumerate(coarse.structures, start=1):
        on = coarse.probability[n] > 0.5
        if not on.any() and view.shows(structure):
            continue
        labels, count = ndimage.label(on, np.ones((3, 3, 3)))
        place = np.broadcast_to(view.place(structure), on.shape)
        likely = ndimage.mean(place, labels, np.arange(1, count + 1)) if count else np.zeros(0)
        wrong = np.flatnonzero(np.asarray(likely) < THRESHOLDS.elsewhere)
        shown = view.shows(structure)
        if shown and not wrong.size:
            continue
        if probability is None:
            probability = coarse.probability.copy()
        if not shown:
            gone = np.ones(on.shape, bool)
        else:  # with its soft rim
            gone = ndimage.binary_dilation(np.isin(labels, wrong + 1), iterations=2) & ~np.isin(
                labels, np.setdiff1d(np.arange(1, count + 1), wrong + 1)
            )
        probability[0][gone] += probability[n][gone]
        probability[n][gone] = 0
    return coarse if probability is None else replace(coarse, probability=probability)
