"""What changed since an earlier scan of the same body: volumes of the same things in both, by name."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from ..ct.changes import Change
from ..ct.mask_list import MaskList
from ..ct.masks import Mask
from ..ct.measure import Measurement
from ..ct.registration import Registration
from ..ct.volume import CTVolume
from ..structures.found import Finder
from ..vocabulary.names import EVERYTHING
from ..vocabulary.spoken import name, sentence
from .fact import Fact
from .facts import AT_LEAST
from .looking import look
from .pieces import Step
from .scene import Earlier, Scene

NO_PRIOR = "no earlier scan is open beside this one: open one with Prior in the Scan tab, then ask what changed"
NOTHING = (
    "nothing has a mask yet that could be held against the prior: name what you want compared, for instance the liver "
    "and the spleen"
)
NOT_IN_PRIOR, NOT_IN_NOW = "not found in the prior", "not found in this scan"


def to_compare(scene: Scene, earlier: Earlier) -> tuple[str, ...]:
    """Structures that have a mask in one of the scans."""
    there = {*scene.present, *earlier.scene.present} - {"body"}
    return tuple(id for id in (*EVERYTHING, *sorted(there - set(EVERYTHING))) if id in there)


def looked(
    scene: Scene, finder: Finder, earlier: Earlier, structures: Sequence[str], cancel: threading.Event | None = None
) -> Generator[Step, None, None]:
    """Look for structures in both scans; masks of the earlier one go to its own list.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    yield from (piece for piece in look(scene, finder, structures, cancel) if isinstance(piece, Step))
    for piece in look(earlier.scene, earlier.finder, structures, cancel):
        if isinstance(piece, Step):
            yield replace(piece, label=f"{piece.label} in the prior")


def changes(
    scene: Scene, listed: MaskList | None, earlier: Earlier, structures: Sequence[str], masks: Sequence[str] = ()
) -> tuple[Change, ...]:
    """Volumes now and before.

    Args:
        scene: the present scan; ``structures`` were looked for in it and in the earlier one.
        listed: its masks; those that are no structure's are compared with masks of the same name.
        earlier: the earlier scan.
        structures: ids to compare.
        masks: ids of masks of ``listed`` to compare besides.
    """
    told = [_of_structure(scene, earlier, id) for id in structures]
    for id in masks:
        mask = listed.get(id) if listed is not None else None
        if mask is not None and not mask.empty:
            told.append(_of_mask(scene, mask, earlier))
    return tuple(told)


def own_names(scene: Scene, listed: MaskList | None, earlier: Earlier) -> tuple[str, ...]:
    """Ids of masks that are no structure's and have a namesake in the earlier scan."""
    own = _own(scene, listed)
    there = {mask.name.casefold() for mask in _own(earlier.scene, earlier.listed)}
    return tuple(mask.id for mask in own if mask.name.casefold() in there)


def known(scene: Scene, listed: MaskList | None) -> tuple[Change, ...]:
    """Changes of all that has a mask in both scans by now; nothing is looked for. None without an earlier scan."""
    earlier = scene.earlier
    if earlier is None:
        return ()
    both = [id for id in to_compare(scene, earlier) if scene.mask(id) and earlier.scene.mask(id)]
    return changes(scene, listed, earlier, both, own_names(scene, listed, earlier))


def facts_of(change: Change) -> tuple[Fact, ...]:
    """Both volumes and what they differ by, as far as there are any."""
    of = {
        "structures": (change.structure,) if change.structure else (),
        "mask_id": "" if change.structure else change.mask_id,
        "sureness": "doubtful" if change.doubts else "whole" if change.whole else "at least",
    }
    values = (
        ("volume_ml", change.now_ml, "mL", change.now_note),
        ("prior_volume_ml", change.prior_ml, "mL", change.prior_note),
        ("change_ml", change.change_ml, "mL", ""),
        ("change_percent", change.change_percent, "%", ""),
    )
    return tuple(Fact(key, value, unit, note=note, **of) for key, value, unit, note in values if value is not None)


def _own(scene: Scene, listed: MaskList | None) -> list[Mask]:
    taken = {mask.id for mask in scene.masks(*scene.present)}
    return [m for m in (listed or {}).values() if m.id not in taken and not m.empty]


def _of_structure(scene: Scene, earlier: Earlier, id: str) -> Change:
    now, before = scene.mask(id), earlier.scene.mask(id)
    both = ((now, "now"), (before, "in the prior"))
    doubts = [f"its outline is doubtful {when}" for mask, when in both if mask is not None and mask.doubt]
    if now is not None and before is not None:
        doubts.append(_apart(scene.measure(id), earlier.scene.measure(id), earlier.found))
    return Change(
        sentence(name(id)),
        scene.measure(id).volume_ml if now is not None else None,
        earlier.scene.measure(id).volume_ml if before is not None else None,
        _note(scene, id, NOT_IN_NOW),
        _note(earlier.scene, id, NOT_IN_PRIOR),
        tuple(filter(None, doubts)),
        id,
        now.id if now is not None else "",
    )


def _of_mask(scene: Scene, mask: Mask, earlier: Earlier) -> Change:
    before = next(
        (m for m in earlier.listed.values() if m.name.casefold() == mask.name.casefold() and not m.empty), None
    )
    doubts: list[str] = []
    if before is not None:
        doubts.append(_apart(mask.measure(scene.ct), before.measure(earlier.scene.ct), earlier.found))
    return Change(
        mask.name,
        _volume(mask, scene.ct),
        _volume(before, earlier.scene.ct) if before is not None else None,
        f"{AT_LEAST}, since it {mask.limits}" if mask.limits else "",
        NOT_IN_PRIOR if before is None else f"{AT_LEAST}, since it {before.limits}" if before.limits else "",
        tuple(filter(None, doubts)),
        "",
        mask.id,
    )


def _volume(mask: Mask, ct: CTVolume) -> float:
    return mask.voxels * ct.voxel_volume_ml


def _note(scene: Scene, id: str, absent: str) -> str:
    mask, found = scene.mask(id), scene.found(id)
    if mask is None:
        if found is not None and found.status == "unknown":
            return "cannot be segmented by the model that is loaded"
        return f"{absent}: {found.reason}" if found is not None and found.reason else absent
    return f"{AT_LEAST}, since it {mask.limits}" if mask.limits else ""


def _apart(now: Measurement, before: Measurement, found: Registration) -> str:
    """That two masks of one name do not lie in the same place: their middles are further apart than half of either."""
    way = np.linalg.norm(found.to_prior(np.array(now.centroid_ras_mm)) - np.array(before.centroid_ras_mm))
    if way <= max(now.longest_diameter_mm, before.longest_diameter_mm) / 2:
        return ""
    return f"the two masks lie {way:.0f} mm apart"
