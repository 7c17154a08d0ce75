"""[SEG] states of the language model to 3-D masks on the grid of the CT.

Where: ``SegHead`` compares the state with an embedding of every coarse voxel, ``localise`` chooses the key slice and
the slices that the object may reach. What exactly: SAM 2 delineates the key slice from the projected state and the
coarse logits, and the mask is carried both ways within these limits and near the coarse map, with SAM 2's memory where
the checkpoint has one and from slice to slice otherwise (``Segmenter.follow``).
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..ct.windows import window_for
from ..errors import Cancelled
from ..networks.preprocess import EncoderInput
from ..networks.propagator import object_statistics
from ..networks.seg_head import DENSE_LIMIT, Localisation, SegHead, localise
from ..networks.vlm import Seen
from .plane_masks import SlicePrompts, iou_of
from .planes import Patch, to_plane
from .segmenter import Segmenter
from .slice_segmenter import ObjectState
from .thresholds import THRESHOLDS

if TYPE_CHECKING:
    from ..ct.volume import CTVolume

AXIS = 2  # axial slices, as in training
SINGLE = 0  # SAM 2's output for a prompt that means one thing


class SegSegmenter:
    """Turns [SEG] states into masks of one CT."""

    def __init__(self, head: SegHead, seen: Seen, segmenter: Segmenter) -> None:
        """Prepare a CT.

        Args:
            head: projections of the state.
            seen: the CT as the encoder sees it, with the maps that the head reads.
            segmenter: of the same CT.
        """
        self.head = head
        self.seen = seen
        self.segmenter = segmenter
        self.ct: CTVolume = segmenter.ct
        self._voxels: Tensor | None = None

    @torch.inference_mode()
    def find(self, state: Tensor) -> Localisation | None:
        """Where the object of a [SEG] state is; None if it is nowhere in the CT.

        Args:
            state: ``[hidden_dim]``.

        Returns:
            Slices counted in the CT; the logits span the part of a slice that the encoder was shown.
        """
        device = self.head.bias.device
        if self._voxels is None:
            self._voxels = self.head.voxels([m[None].to(device) for m in self.seen.maps])[0]  # [E, D', H', W']
        logits = self.head.coarse_logits(state.float().to(device)[None], self._voxels)[0]
        coarse = EncoderInput.to_volume_order(logits).cpu().numpy()  # [i', j', k']
        low, high = self.seen.low[AXIS], self.seen.high[AXIS]
        found = localise(coarse, high - low, AXIS)
        if found is None:
            return None
        start, stop = found.limits
        return Localisation(
            found.key + low, found.first + low, found.last + low, (start + low, stop + low), found.logits
        )

    def coarse(self, state: Tensor) -> np.ndarray | None:
        """The coarse map of a [SEG] state alone, without SAM 2: bool ``(i, j, k)`` on the grid of the CT, or None."""
        place = self.find(state)
        if place is None:
            return None
        array = np.zeros(self.ct.shape, bool)
        view, frame = np.moveaxis(array, AXIS, 0), self.segmenter.frame(AXIS)
        for index in range(place.first, place.last + 1):
            view[index] = frame.to_volume_slice(self._plane(place, index) > 0)
        return array

    def segment(
        self, state: Tensor, cancel: threading.Event | None = None
    ) -> Generator[float, None, np.ndarray | None]:
        """Delineate the object of a [SEG] state.

        Args:
            state: ``[hidden_dim]``, the language model's last hidden state at [SEG].
            cancel: set it to stop before the next slice.

        Yields:
            The share done, 0 to 1.

        Returns:
            Bool ``(i, j, k)`` on the grid of the CT; None if the object is nowhere in it.

        Raises:
            Cancelled: ``cancel`` was set.
        """
        cancel = cancel or threading.Event()
        place = self.find(state)
        if place is None:
            return None
        yield 0.0
        thing = self._key_slice(state, place)
        if thing is None:
            return None
        count = place.limits[1] - place.limits[0]
        near = partial(self._near, place)
        for done, now in enumerate(self.segmenter.follow(thing, cancel, near), start=2):
            thing = now
            yield min(done / count, 1.0)
        if cancel.is_set():
            raise Cancelled("Stopped while delineating.")
        array = np.zeros(self.ct.shape, bool)
        view, frame = np.moveaxis(array, AXIS, 0), self.segmenter.frame(AXIS)
        for index, patch in thing.slices.items():
            view[index] = frame.to_volume_slice(patch.full_mask(frame.shape))
        return array

    @torch.inference_mode()
    def _key_slice(self, state: Tensor, place: Localisation) -> ObjectState | None:
        """SAM 2 on the key slice; where what it sees is not what the state points to, the coarse map is kept."""
        word = self._plane(place, place.key)
        hu = to_plane(self.ct.hu, AXIS, place.key)
        window = window_for(hu[word > 0])
        prompt = self.head.prompts(state.float().to(self.head.bias.device)[None])
        slices = self.segmenter.slices
        logits, _ = slices.predict(AXIS, place.key, window, [SlicePrompts()], [word], prompt)
        chosen = np.clip(logits[0, SINGLE], -DENSE_LIMIT, DENSE_LIMIT)
        if iou_of(chosen > 0, word > 0) < THRESHOLDS.pointed_iou:
            chosen = word
        patch = Patch.from_logits(chosen)
        if patch is None:
            return None
        return ObjectState(
            AXIS,
            window,
            object_statistics(hu, chosen > 0),
            anchors={place.key: SlicePrompts()},
            slices={place.key: patch},
            limits=place.limits,
        )

    def _near(self, place: Localisation, index: int) -> np.ndarray:
        """Where on a slice ``(row, column)`` the object may be: within a coarse cell of its map, which tells no better.

        Two lungs touch, the aorta leaves the heart: what is carried from slice to slice would go on into the other.
        """
        return self._plane(place, index, widened=1) > 0

    def _plane(self, place: Localisation, index: int, widened: int = 0) -> np.ndarray:
        """Coarse logits of a slice on the full plane ``(row, column)``; what the encoder was not shown is outside."""
        (i0, j0, _), (i1, j1, _) = self.seen.low, self.seen.high
        full = np.full((*self.ct.shape[:2], 1), -DENSE_LIMIT, np.float32)
        full[i0:i1, j0:j1, 0] = place.dense(index, (i1 - i0, j1 - j0), widened)
        return np.ascontiguousarray(to_plane(full, AXIS, 0))
