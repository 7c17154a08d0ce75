"""Tiny scans and label files for the tests of dataset readers."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np

from medvl.training.datasets.samples import MaskSource, Sample, Turn

RAS = np.diag([2.0, 2.0, 3.0, 1.0])
LPS = np.diag([-2.0, -2.0, 3.0, 1.0])


def body(shape=(20, 18, 12)):
    """Air round a body of 40 HU, RAS+."""
    hu = np.full(shape, -1000, np.int16)
    hu[2:-2, 2:-2, 1:-1] = 40
    return hu


def cube(shape, lo, size=4):
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(a, a + size) for a in lo)] = 1
    return mask


def save(path: Path, ras: np.ndarray, affine=RAS) -> Path:
    """Write RAS+ voxels as NIfTI in the axes of ``affine`` (diagonal)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flips = tuple(slice(None, None, -1 if affine[a, a] < 0 else 1) for a in range(3))
    affine = affine.copy()
    for a in range(3):  # voxel (0, 0, 0) of the RAS array stays at the origin
        if affine[a, a] < 0:
            affine[a, 3] = -affine[a, a] * (ras.shape[a] - 1)
    nib.Nifti1Image(np.ascontiguousarray(ras[flips]), affine).to_filename(path)
    return path


def table(path: Path, columns, rows, delimiter=",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def labelled(folder: Path, names=("left_parotid", "right_parotid", "mandible"), affine=RAS, kind="semantic") -> Sample:
    """A scan with a cube a name, on the side that the name says; one turn asks for all."""
    hu = body((24, 20, 16))
    labels = np.zeros(hu.shape, np.uint8)
    masks = {}
    for value, name in enumerate(names, 1):
        i = 15 if "right" in name else 4 if "left" in name else 10  # i grows to the right
        labels[i : i + 4, 4 + 2 * value : 8 + 2 * value, 5:9] = value
        hu[labels == value] = 100 + 50 * value
        masks[name] = MaskSource(folder / "labels.nii.gz", (value,))
    save(folder / "ct.nii.gz", hu, affine)
    save(folder / "labels.nii.gz", labels, affine)
    words = [name.replace("_", " ") for name in names]
    answer = f"The {', the '.join(f'{word} is [SEG]' for word in words)}."
    turn = Turn(f"Segment the {', the '.join(words)}.", answer, tuple(names), kind)
    return Sample("one", folder / "ct.nii.gz", (turn,), (), masks)


def centre(mask) -> np.ndarray:
    return np.argwhere(np.asarray(mask)).mean(0)
