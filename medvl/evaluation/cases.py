"""Labelled cases of a ``cases.json``: CT, label map and names, on the canonical grid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from ..ct.geometry import to_canonical
from ..ct.volume import CTVolume
from ..errors import MedVLError
from ..readers import read_ct
from ..vocabulary.names import STRUCTURES

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"


@dataclass(frozen=True, eq=False)
class LabelledCase:
    """A CT with reference labels.

    Attributes:
        id: case id.
        ct: the volume.
        labels: int label map on the grid of ``ct.hu``.
        names: label value -> structure.
        origin: who made the labels.
        complete: structures labelled wherever they are visible, or truly absent; of others nothing is known.
    """

    id: str
    ct: CTVolume
    labels: np.ndarray
    names: dict[int, str]
    origin: str
    complete: frozenset[str] = frozenset()

    def mask(self, name: str) -> np.ndarray:
        """Reference of one structure, bool ``(i, j, k)``."""
        return self.labels == next(value for value, label in self.names.items() if label == name)


def load_labels(path: Path) -> np.ndarray:
    """A label map in canonical orientation, as uint8 or int16."""
    image = nib.load(path)
    return np.ascontiguousarray(to_canonical(np.asarray(image.dataobj).astype(np.int16), image.affine)[0])


def labelled_cases(cases_file: Path, split: str | None = None, ids: list[str] | None = None) -> Iterator[LabelledCase]:
    """Cases of a split (or all), or those named, that have labels; read one at a time."""
    for entry in json.loads(Path(cases_file).read_text()):
        if "labels" not in entry or (split and entry["split"] != split) or (ids and entry["id"] not in ids):
            continue
        folder = Path(cases_file).parent
        names = {int(value): name for value, name in entry["label_names"].items()}
        try:
            ct, labels = read_ct(folder / entry["ct"]), load_labels(folder / entry["labels"])
        except MedVLError as error:
            raise type(error)(f"Case {entry['id']}: {error}") from error
        yield LabelledCase(
            entry["id"],
            ct,
            labels,
            names,
            entry["label_origin"],
            frozenset(entry.get("complete", ())),
        )


def abdomen_as_structures() -> LabelledCase:
    """The bundled abdomen with its labels put together to the structures of this package, for its questions.

    Lobes become lungs, vertebrae and sacrum the vertebral column, ribs, hips and femora other bone. Its id is that of
    the same scan in the question set.
    """
    sample = abdomen_sample()
    labels, names = np.zeros_like(sample.labels), {}
    for value, name in sample.names.items():
        structure = _structure(name)
        if structure in STRUCTURES:
            target = names.setdefault(structure, len(names) + 1)
            labels[sample.labels == value] = target
    # Everything that the reference tells apart was looked for in the whole scan; fragments were left out of the labels.
    complete = frozenset(names) | {"heart", "trachea"}
    by_value = {value: structure for structure, value in names.items()}
    return LabelledCase("ts_abdomen", sample.ct, labels, by_value, sample.origin, complete)


def _structure(name: str) -> str:
    """The structure of this package that a class of TotalSegmentator is part of; "" if none."""
    if name.startswith("lung_"):
        return f"{name.rsplit('_', 1)[1]}_lung"
    if name.startswith("vertebrae_") or name == "sacrum":
        return "vertebral_column"
    if name.startswith(("rib_", "hip_", "femur_")):
        return "other_bone"
    return "" if name in ("pancreas", "spinal_cord") else name


def abdomen_sample() -> LabelledCase:
    """The bundled abdomen with TotalSegmentator's reference labels, for clones without any other data."""
    samples = json.loads((SAMPLES / "samples.json").read_text())
    entry = next(s for s in samples if s.get("labels"))
    names = {int(value): name for value, name in entry["label_names"].items()}
    return LabelledCase(
        entry["id"],
        read_ct(SAMPLES / entry["file"]),
        load_labels(SAMPLES / entry["labels"]),
        names,
        entry["label_origin"],
    )
