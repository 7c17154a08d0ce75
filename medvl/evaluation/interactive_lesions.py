"""Lesions of a ``cases.json`` as cases of their own, for the interactive protocols: each tumour, nodule or effusion.

A scan may have many metastases under one label, and a person boxes one at a time. So the label is taken apart: each
connected piece that is large enough is a structure of its own, ``liver_tumour 1`` the largest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import MedVLError
from ..readers import read_ct
from .cases import LabelledCase, load_labels

LESIONS = frozenset({"lung_tumour", "lung_nodule", "liver_tumour", "soft_tissue_sarcoma", "pleural_effusion"})
"""Names of labels that are no part of a healthy body."""

LEAST_ML = 1.0  # a smaller piece of a label may be a stray of the contour
MOST = 6  # pieces of one label, so that a scan full of metastases does not outweigh all others


def lesion_cases(cases_file: Path, split: str | None = None, ids: list[str] | None = None) -> Iterator[LabelledCase]:
    """Cases that have a lesion label, of a split (or all) or those named; their labels are the lesions alone.

    Labels of nodules in a file of their own (``labels_nodule``: all that is not 0) count as ``lung_nodule``.

    Raises:
        MedVLError: a file cannot be read.
    """
    folder = Path(cases_file).parent
    for entry in json.loads(Path(cases_file).read_text()):
        if (split and entry["split"] != split) or (ids and entry["id"] not in ids):
            continue
        wanted = {int(v): name for v, name in entry.get("label_names", {}).items() if name in LESIONS}
        if not wanted and "labels_nodule" not in entry:
            continue
        try:
            ct = read_ct(folder / entry["ct"])
            maps: list[tuple[str, np.ndarray]] = []
            if wanted:
                labels = load_labels(folder / entry["labels"])
                maps += [(name, labels == value) for value, name in wanted.items()]
            if "labels_nodule" in entry:
                maps.append(("lung_nodule", load_labels(folder / entry["labels_nodule"]) > 0))
        except MedVLError as error:
            raise type(error)(f"Case {entry['id']}: {error}") from error
        pieces = np.zeros(ct.shape, np.uint8)
        names: dict[int, str] = {}
        for name, mask in maps:
            for number, piece in enumerate(_pieces(mask, ct.voxel_volume_ml), start=1):
                names[len(names) + 1] = f"{name} {number}"
                pieces[piece] = len(names)
        yield LabelledCase(entry["id"], ct, pieces, names, entry["label_origin"])


def _pieces(mask: np.ndarray, voxel_ml: float) -> list[np.ndarray]:
    """The largest connected pieces of a label, the largest first."""
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    order = [int(n) for n in np.argsort(sizes)[::-1][:MOST] if sizes[n] * voxel_ml >= LEAST_ML]
    return [labels == n for n in order]
