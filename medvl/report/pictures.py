"""Which slices a report shows: one for each region of the body with masks, and a coronal one through the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..vocabulary.spoken import listing, name
from .slice_png import slice_png

if TYPE_CHECKING:
    from ..tools.scene import Scene
    from .parts import Picture

_REGIONS = (
    ("Head and neck", ("brainstem", "right_parotid", "left_parotid", "mandible", "larynx"), (40.0, 400.0)),
    ("Chest", ("right_lung", "left_lung", "heart", "trachea", "esophagus"), (-100.0, 1200.0)),
    (
        "Upper abdomen",
        ("liver", "spleen", "right_kidney", "left_kidney", "stomach", "gallbladder", "pancreas", "duodenum"),
        (40.0, 400.0),
    ),
    ("Pelvis", ("urinary_bladder",), (40.0, 400.0)),
)


def key_slices(scene: Scene) -> tuple[Picture, ...]:
    """Pictures of a scene: the axial slice of each region that shows most of its structures, and a coronal slice."""
    from .parts import Picture

    present = [id for id in scene.present if id != "body"]
    if not present:
        return ()
    pictures = []
    for region, structures, window in _REGIONS:
        there = [id for id in structures if id in present]
        if not there:
            continue
        k = _best(scene, there, 2)
        pictures.append(_picture(scene, Picture, f"{region}, axial slice {k + 1}", 2, k, window))
    j = _best(scene, present, 1)
    pictures.append(_picture(scene, Picture, f"Coronal slice {j + 1}", 1, j, (40.0, 400.0)))
    return tuple(pictures)


def _best(scene: Scene, structures: list[str], axis: int) -> int:
    """The slice in which the structures together show the largest share of their own largest sections.

    Every structure counts alike, so a liver does not push a gallbladder out of the picture.
    """
    score = np.zeros(scene.ct.shape[axis])
    for id in structures:
        mask = scene.mask(id)
        area = mask.block.sum(axis=tuple(a for a in range(3) if a != axis)).astype(float)
        score[mask.box.lo[axis] : mask.box.hi[axis]] += np.sqrt(area / area.max())
    return int(score.argmax())


def _picture(scene: Scene, kind: type, title: str, axis: int, index: int, window: tuple[float, float]) -> Picture:
    shown = [
        id
        for id in scene.present
        if id != "body"
        and scene.mask(id).box.lo[axis] <= index < scene.mask(id).box.hi[axis]
        and scene.mask(id).slice(axis, index).any()
    ]
    masks = scene.masks(*shown)
    title = f"{title}: {listing([name(id) for id in shown])}" if shown else title
    return kind(title, slice_png(scene.ct, masks, axis, index, window), tuple(mask.id for mask in masks))
