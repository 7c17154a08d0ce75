"""Looks on whole scans: what each finds, how near it comes to a label, what it offers beside, and how long it takes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..ct.masks import Mask
from ..ct.prompts import Box
from ..ct.volume import CTVolume
from ..errors import MedVLError
from ..readers import read_ct
from ..tools.looks import LOOKS, Look, Spot, look_in, scene_of
from .cases import load_labels

FIRST = 3
"""So many spots are offered at first; a lesion is found if one of them lies in it."""

# Which look is to find what a label holds, and the key of its amount where its volume is compared.
LESIONS = {"liver_tumour": "focal_liver", "lung_tumour": "lung_spots", "lung_nodule": "lung_spots"}
VOLUMES = {"pleural_effusion": ("pleural_fluid", "fluid_ml")}


@dataclass(frozen=True, eq=False)
class LookCase:
    """A CT with what is labelled in it that looks are judged on.

    Attributes:
        id: case id.
        ct: the volume.
        labels: bool arrays by name, of ``LESIONS`` and ``VOLUMES``.
    """

    id: str
    ct: CTVolume
    labels: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class LookResult:
    """One look on one case.

    Attributes:
        case: case id.
        look: id of the look.
        seen: whether it saw anything; None where it could not tell.
        told: its sentence.
        spots: number of spots offered.
        clear: number of them that are not called unclear.
        seconds: processor time of the look, masks not counted: what else runs beside it does not count.
        label: what it is judged against, "" where nothing is labelled.
        rank: place, from 1, of the first spot that lies in the label; None where none does.
        false: spots that lie in no label; None without a label.
        false_clear: those of them that are not called unclear.
        measured: amount that was measured where its volume is labelled.
        reference: that of the label.
        amounts: all amounts, as plain values.
    """

    case: str
    look: str
    seen: bool | None
    told: str
    spots: int
    clear: int
    seconds: float
    label: str = ""
    rank: int | None = None
    false: int | None = None
    false_clear: int | None = None
    measured: float | None = None
    reference: float | None = None
    amounts: list[dict] = field(default_factory=list)


def look_cases(cases_file: Path, split: str | None = None, ids: Sequence[str] | None = None) -> Iterator[LookCase]:
    """Cases of a ``cases.json``, with or without labels; one at a time.

    Raises:
        MedVLError: there is no such file, or no such case.
    """
    if not Path(cases_file).is_file():
        raise MedVLError("There is no such cases.json.")
    folder = Path(cases_file).parent
    entries = json.loads(Path(cases_file).read_text())
    missing = set(ids or ()) - {entry["id"] for entry in entries}
    if missing:
        raise MedVLError(f"No case {', '.join(sorted(missing))} in cases.json.")
    for entry in entries:
        if (split and entry["split"] != split) or (ids and entry["id"] not in ids):
            continue
        ct = read_ct(folder / entry["ct"])
        labels = {}
        wanted = {int(v): n for v, n in entry.get("label_names", {}).items() if n in LESIONS or n in VOLUMES}
        if wanted:
            array = load_labels(folder / entry["labels"])
            labels = {name: array == value for value, name in wanted.items()}
        if entry.get("labels_nodule"):
            labels["lung_nodule"] = load_labels(folder / entry["labels_nodule"]) > 0
        yield LookCase(entry["id"], ct, labels)


def kept_masks(folder: Path, case: str, ct: CTVolume, find: Callable[[CTVolume], dict[str, Mask]]) -> dict[str, Mask]:
    """Masks of a case by structure id: from ``folder`` where they were kept, else found and kept there.

    Raises:
        MedVLError: what is kept is of another scan.
    """
    path = Path(folder) / f"{case}.npz"
    if not path.exists():
        masks = find(ct)
        arrays: dict[str, np.ndarray] = {"shape": np.array(ct.shape)}
        for id, mask in masks.items():
            arrays[f"{id}.box"] = np.array([mask.box.lo, mask.box.hi])
            arrays[f"{id}.bits"] = np.packbits(mask.block)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)
        return masks
    with np.load(path) as kept:
        if tuple(kept["shape"]) != tuple(ct.shape):
            raise MedVLError(f"The masks kept for {case} are of another scan: delete {path.name}.")
        masks = {}
        for key in (k for k in kept.files if k.endswith(".box")):
            id = key.removesuffix(".box")
            box = Box(*(tuple(int(v) for v in row) for row in kept[key]))
            bits = np.unpackbits(kept[f"{id}.bits"])[: int(np.prod(box.size))].reshape(box.size)
            masks[id] = Mask(ct.shape, box, bits.astype(bool), id=id, name=id)
    return masks


def run_case(case: LookCase, masks: Mapping[str, Mask], looks: Sequence[str]) -> Iterator[tuple[LookResult, Look]]:
    """Every look on a case."""
    scene = scene_of(case.ct, masks)
    for what in looks:
        begin = time.process_time()
        seen = look_in(what, scene)
        yield judged(case, seen, time.process_time() - begin), seen


def judged(case: LookCase, seen: Look, seconds: float) -> LookResult:
    """A look against what is labelled in a case."""
    amounts = [{k: v for k, v in vars(a).items() if v not in ("", (), False, None)} for a in seen.amounts]
    clear = sum(s.sureness != "unclear" for s in seen.spots)
    result = {
        "case": case.id, "look": seen.what, "seen": seen.seen, "told": seen.told, "spots": len(seen.spots),
        "clear": clear, "seconds": seconds, "amounts": amounts,
    }  # fmt: skip
    lesions = [name for name, look in LESIONS.items() if look == seen.what and name in case.labels]
    if lesions:
        label = np.any([case.labels[name] for name in lesions], axis=0)
        hits = [lies_in(spot, label) for spot in seen.spots]
        result |= {
            "label": ", ".join(lesions),
            "rank": hits.index(True) + 1 if True in hits else None,
            "false": hits.count(False),
            "false_clear": sum(not h and s.sureness != "unclear" for h, s in zip(hits, seen.spots, strict=True)),
        }
    for name, (look, key) in VOLUMES.items():
        if look == seen.what and name in case.labels:
            result |= {
                "label": name,
                "measured": float(sum(a.value for a in seen.amounts if a.key == key)),
                "reference": float(case.labels[name].sum()) * case.ct.voxel_volume_ml,
            }
    return LookResult(**result)


def lies_in(spot: Spot, label: np.ndarray) -> bool:
    """Whether at least half of a spot is labelled, or the spot covers at least half of a labelled piece's voxels."""
    inside = int((label[spot.mask.box.slices] & spot.mask.block).sum())
    return inside >= 0.5 * spot.mask.voxels or inside >= 0.5 * int(label.sum()) > 0


def rows(results: Sequence[LookResult]) -> list[tuple]:
    """One row a look and case, for the table."""
    return [
        (
            r.case, r.look, "-" if r.seen is None else "yes" if r.seen else "no", r.spots, r.clear, r.label or "-",
            r.rank, r.false, r.false_clear, r.measured, r.reference, round(r.seconds, 1),
        )
        for r in results
    ]  # fmt: skip


HEADER = (
    "case", "look", "seen", "spots", "clear", "label", "rank", "false", "false clear", "measured", "reference", "s",
)  # fmt: skip


def picture(case: LookCase, seen: Look, path: Path, most: int = 6) -> None:
    """Axial slices through the first spots, outlined; the patient's right on the left, as in the viewer."""
    from PIL import Image

    level, width = {"lung_spots": (-200, 1200), "opacity": (-400, 1400), "metal": (500, 2500)}.get(seen.what, (60, 350))
    tiles = []
    for spot in seen.spots[:most]:
        k = spot.place.slice - 1
        grey = np.clip((case.ct.hu[:, :, k] - (level - width / 2)) / width, 0, 1) * 255
        tile = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
        on = spot.mask.slice(2, k)
        padded = np.pad(on, 1)
        inside = padded[1:-1, 2:] & padded[1:-1, :-2] & padded[2:, 1:-1] & padded[:-2, 1:-1]
        tile[on & ~inside] = (255, 80, 80)
        tiles.append(tile[::-1, ::-1].transpose(1, 0, 2))
    if tiles:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(tiles, axis=1)).save(path)


def found_by(model: object) -> Callable[[CTVolume], dict[str, Mask]]:
    """Finds every structure that a model knows in a CT."""

    def find(ct: CTVolume) -> dict[str, Mask]:
        case = model.open(ct)
        found = {id: case.finder.find(id) for id in sorted(case.finder.known)}
        return {id: one.mask for id, one in found.items() if one.mask is not None and not one.mask.empty}

    return find


__all__ = [
    "FIRST", "HEADER", "LOOKS", "LookCase", "LookResult", "found_by", "judged", "kept_masks", "lies_in", "look_cases",
    "picture", "rows", "run_case",
]  # fmt: skip
