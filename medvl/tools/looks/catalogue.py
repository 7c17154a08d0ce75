"""Every look by its id: what it needs, and how it is run on a CT and its masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from ...ct.masks import Mask
from ...ct.volume import CTVolume
from ...errors import PromptError
from ...structures.found import Found
from ..contrast import STRUCTURES as CONTRAST
from ..scene import Scene
from . import aorta, bright, cavity, composition, fluid, hollow, lungs, nodules, organs
from .probe import Kind, probe, what_is
from .spots import Look

_CHEST = (
    *cavity.LUNGS,
    *cavity.RIBS,
    *cavity.SPINE,
    "other_bone",
    "body",
    *cavity.MAY_BE_BRIGHT,
    "trachea",
    "esophagus",
)
_BONES = bright.BONES


@dataclass(frozen=True)
class LookKind:
    """A look that can be asked for.

    Attributes:
        id: of ``LOOKS``.
        name: for the reader.
        needs: structures without which nothing can be said.
        helps: further structures that it uses where they were found; without them it sees more that is not there.
        run: the look.
    """

    id: str
    name: str
    needs: tuple[str, ...]
    helps: tuple[str, ...]
    run: Callable[[Scene], Look]

    @property
    def structures(self) -> tuple[str, ...]:
        """All that is to be looked for before it is run."""
        return tuple(dict.fromkeys((*self.needs, *self.helps)))


def _focal(organ: str, words: str) -> LookKind:
    helps = (*organs.NEIGHBOURS, *CONTRAST)
    return LookKind(f"focal_{organ}", words, (organ,), helps, partial(organs.focal, organ=organ))


LOOKS: dict[str, LookKind] = {
    look.id: look
    for look in (
        LookKind("pleural_fluid", "Pleural fluid", cavity.LUNGS, _CHEST, fluid.pleural_fluid),
        LookKind("pericardial_fluid", "Pericardial fluid", ("heart",), _CHEST, fluid.pericardial_fluid),
        LookKind("ascites", "Fluid in the abdomen", ("liver", "spleen"), (*_CHEST, *fluid.ABDOMEN), fluid.ascites),
        LookKind("pneumothorax", "Pneumothorax", cavity.LUNGS, _CHEST, lungs.pneumothorax),
        LookKind("opacity", "Opacity of the lungs", cavity.LUNGS, (*_CHEST, *lungs.LOBES), lungs.opacity),
        LookKind("emphysema", "Emphysema", cavity.LUNGS, lungs.LOBES, lungs.emphysema),
        LookKind("lung_spots", "Solid spots in the lungs", cavity.LUNGS, (*_CHEST, *lungs.LOBES), nodules.lung_spots),
        _focal("liver", "Focal areas of the liver"),
        _focal("spleen", "Focal areas of the spleen"),
        _focal("right_kidney", "Focal areas of the right kidney"),
        _focal("left_kidney", "Focal areas of the left kidney"),
        LookKind("stones", "Stones", bright.STONY, CONTRAST, bright.stones),
        LookKind("metal", "Metal", ("body",), (*_BONES, *cavity.LUNGS, *CONTRAST), bright.metal),
        LookKind("free_gas", "Gas outside bowel", hollow.SOLID, hollow.BESIDE, hollow.free_gas),
        LookKind("aorta_widths", "Width of the aorta", ("aorta",), (*aorta.HELPS, *CONTRAST), aorta.widths),
        LookKind("aorta_calcium", "Calcium of the aorta", ("aorta",), (*aorta.HELPS, *CONTRAST), aorta.calcium),
        LookKind("composition", "Muscle and fat at L3", composition.L3, composition.HELPS, composition.at_l3),
        LookKind("bladder", "Filling of the bladder", ("urinary_bladder",), (), hollow.bladder),
        LookKind("gallbladder", "Size of the gallbladder", ("gallbladder",), (), hollow.gallbladder),
    )
}  # fmt: skip
"""Every look by its id. ``probe`` and ``what_is`` take a place besides and stand apart."""


def scene_of(ct: CTVolume, masks: Mapping[str, Mask]) -> Scene:
    """A scene that holds the masks of a CT by structure id."""
    scene = Scene(ct)
    for id, mask in masks.items():
        scene.put(Found(id, mask, "found"))
    return scene


def look(what: str, ct: CTVolume, masks: Mapping[str, Mask]) -> Look:
    """Run a look on a CT and the masks that were found in it.

    Args:
        what: of ``LOOKS``.
        ct: the CT.
        masks: by structure id; best all of ``LOOKS[what].structures`` that are in the scan.

    Raises:
        PromptError: there is no such look.
    """
    return look_in(what, scene_of(ct, masks))


def look_in(what: str, scene: Scene) -> Look:
    """``look`` in a scene that is there already; run once for the masks in it, and what looks share is computed once.

    Raises:
        PromptError: there is no such look.
    """
    if what not in LOOKS:
        raise PromptError(f"There is no look '{what}'; these are: {', '.join(LOOKS)}.")
    kind = LOOKS[what]
    return scene.keep(("look", what), (*kind.structures, "body"), lambda: kind.run(scene))


def probe_in(
    ct: CTVolume,
    masks: Mapping[str, Mask],
    kind: Kind,
    inside: str = "",
    between: tuple[str, str] | None = None,
    at: tuple[int, int, int] | None = None,
    clicked: Mask | None = None,
) -> Look:
    """``probe`` on a CT and its masks; see there."""
    return probe(scene_of(ct, masks), kind, inside, between, at, clicked)


def what_is_at(
    ct: CTVolume, masks: Mapping[str, Mask], at: tuple[int, int, int] | None = None, clicked: Mask | None = None
) -> Look:
    """``what_is`` on a CT and its masks; see there."""
    return what_is(scene_of(ct, masks), at, clicked)
