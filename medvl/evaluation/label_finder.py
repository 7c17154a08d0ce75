"""A ``Finder`` over a reference label map: for tests, and for an evaluation that leaves segmentation out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

import numpy as np

from ..ct.masks import PALETTE, Mask
from ..ct.volume import CTVolume
from ..errors import Cancelled, MedVLError
from ..structures.found import Found
from ..vocabulary.spoken import name, sentence


class LabelFinder:
    """Finds what a label map holds.

    Attributes:
        ct: the volume.
    """

    def __init__(
        self, ct: CTVolume, labels: np.ndarray, names: Mapping[int, str], absent: Collection[str] = ()
    ) -> None:
        """Take a label map.

        Args:
            ct: the volume.
            labels: whole numbers ``(i, j, k)`` on the grid of ``ct``.
            names: structure of each label value.
            absent: structures known not to be in the scan, beside those of ``names`` without a voxel.

        Raises:
            MedVLError: the label map has another grid.
        """
        if tuple(labels.shape) != tuple(ct.shape):
            raise MedVLError(f"The labels have a grid of {tuple(labels.shape)} voxels and the CT {tuple(ct.shape)}.")
        self.ct = ct
        self._labels = labels
        self._values = {structure: value for value, structure in names.items()}
        self._absent = frozenset(absent) - set(self._values)
        self._found: dict[str, Found] = {}

    @property
    def known(self) -> frozenset[str]:
        """What the labels speak of, present or not."""
        return frozenset(self._values) | self._absent

    def find(
        self,
        structure: str,
        cancel: threading.Event | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Found:
        """Look for one structure; see ``Finder.find``."""
        if cancel is not None and cancel.is_set():
            raise Cancelled("Stopped before anything was looked for.")
        if structure not in self._found:
            self._found[structure] = self._look(structure)
        if progress is not None:
            progress(1.0)
        return self._found[structure]

    def _look(self, structure: str) -> Found:
        if structure not in self.known:
            return Found(structure, None, "unknown")
        if structure in self._absent:
            return Found(structure, None, "absent")
        number = len(self._found)
        mask = Mask.from_array(
            self._labels == self._values[structure],
            id=f"m{number + 1}",
            name=sentence(name(structure)),
            color=PALETTE[number % len(PALETTE)],
        )
        return Found(structure, None, "absent") if mask.empty else Found(structure, mask, "found")
