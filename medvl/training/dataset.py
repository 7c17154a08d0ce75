"""``TrainingSet``: samples as the networks take them, the same for the same seed, epoch and index."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from monai.transforms import Resize
from torch import Tensor
from torch.utils.data import Dataset

from ..geometry import SourceGeometry
from ..masks import Mask
from ..preprocess import encoder_input
from ..prompts import Box
from ..slice_encoder import WINDOWS
from ..volume import CTVolume
from . import augment as aug
from .augment import Augmentation
from .localiser import PHASES
from .readers.common import draw
from .samples import SEG, DatasetError, Image, NothingToAsk, Sample, Turn, read_image

logger = logging.getLogger(__name__)
_PHASED = frozenset(name for names, _ in PHASES for name in names)


class TrainingSet(Dataset):
    """Image, masks and words of samples.

    An item is ``{"image": float32 [1, D, H, W] 0..1, "masks": {name: bool [D, H, W]}, "sample": Sample}``. The image is
    what ``medvl.preprocess.encoder_input`` gives; masks are those that the sample's answers point at, on the same grid.
    A structure that is on the CT is never empty on this grid.

    Args:
        samples: of ``readers.open_dataset``; those that can ``draw`` ask other questions in each epoch.
        image_size: ``(D, H, W)``.
        augment: random changes; True: the usual ones; None or False: none.
        seed: of the augmentation.
        window: a name in ``slice_encoder.WINDOWS``, for scans in HU.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        image_size: tuple[int, int, int] = (128, 256, 256),
        augment: Augmentation | bool | None = None,
        seed: int = 0,
        window: str = "soft",
    ) -> None:
        self.samples = samples
        self.image_size = tuple(image_size)
        self.augment = Augmentation() if augment is True else augment or None
        self.seed = seed
        self.window = window
        # Shared memory: workers that outlive an epoch see the next number too.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def epoch(self) -> int:
        """The epoch whose items are given."""
        return int(self._epoch)

    def set_epoch(self, number: int) -> None:
        """Give the items of another epoch."""
        self._epoch.fill_(int(number))

    def __getitem__(self, index: int) -> dict[str, object]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        seeds = np.random.SeedSequence((self.seed, self.epoch, index)).generate_state(4)
        state = np.random.RandomState(seeds)
        sample, image, masks = self._read(index)
        seen, low, high, box, flipped, sample = self._see(sample, image, masks, state)
        if flipped:
            masks = {aug.swap_name(name): mask for name, mask in masks.items()}
        masks = {name: masks[name] for name in sample.wanted}
        fractions = [self._fraction(mask, box, low, high, flipped) for mask in masks.values()]
        stack = torch.stack([seen[0], *fractions])
        how = self.augment
        if how and state.rand() < how.affine:
            moved = aug.move(stack, how, state)
            if all((moved[n] > 0.5).any() for n in range(1, len(moved))):  # nothing that is spoken of may leave
                stack = moved
        picture = stack[:1]
        if how:
            picture = aug.shade(picture, how, WINDOWS[self.window][1], state)
        solid = {name: _solid(stack[1 + n]) for n, name in enumerate(masks)}
        return {"image": picture.float().contiguous(), "masks": solid, "sample": sample}

    # ---- steps

    def _read(self, index: int) -> tuple[Sample, Image, dict[str, Mask]]:
        """The sample, or the next of which something can be asked: in published sets a few masks are empty."""
        for place in range(index, index + len(self)):
            try:
                sample = draw(self.samples, place % len(self), self.epoch)
            except NothingToAsk as error:
                logger.warning("%s The next sample is taken.", error)
                continue
            image = Image(*read_image(sample))
            masks = {name: sample.masks[name].mask(image) for name in sample.wanted}
            left = without_empty(sample, {name for name, mask in masks.items() if mask.empty})
            if left is not None:
                return left, image, masks
            logger.warning("Sample %s: all masks that it speaks of are empty; the next one is taken.", sample.id)
        raise DatasetError("Every sample speaks of masks that are empty: the label files do not fit their scans.")

    def _see(
        self, sample: Sample, image: Image, masks: dict[str, Mask], state: np.random.RandomState
    ) -> tuple[Tensor, tuple, tuple, Box, bool, Sample]:
        """The image on the encoder's grid, and how the grid lies in the scan.

        Returns:
            ``[1, D, H, W]``; first and one past the last voxel of the encoder's own crop within ``box``; the field of
            view in the scan; whether it was mirrored after that; the sample, its sides swapped if so.
        """
        how, array = self.augment, image.array
        box = Box((0, 0, 0), tuple(image.shape))
        flipped = False
        if how:
            if state.rand() < how.crop and aug.croppable(sample):
                spoken = {name for turn in sample.turns for name in (*turn.targets, *turn.about)}
                keep = [(masks.get(n) or sample.masks[n].mask(image)).box for n in sorted(spoken)]
                box = aug.field_of_view(image.shape, keep, how.least, state)
            if sample.scale == "hu" and aug.recolourable(sample):
                if state.rand() < how.phase:
                    array = aug.contrast_phase(array, self._phased(sample, image, masks), state)
                if state.rand() < how.density:
                    array = aug.density(array, how, state)
            flipped = bool(state.rand() < how.mirror) and aug.mirrorable(sample)
        array = array[box.slices]
        if flipped:
            array, sample = aug.mirror(array), aug.swap_sides(sample)
        if sample.scale == "unit":
            return self._picture(array), (0, 0, 0), tuple(array.shape), box, flipped, sample
        affine = image.affine.copy()
        affine[:3, 3] = image.affine[:3, :3] @ box.lo + image.affine[:3, 3]
        array = np.ascontiguousarray(array)
        ct = CTVolume(array, affine, SourceGeometry(array.shape, affine))
        seen = encoder_input(ct, self.image_size, self.window)
        return aug.plain(seen.image[0]), seen.low, seen.high, box, flipped, sample

    def _phased(self, sample: Sample, image: Image, masks: dict[str, Mask]) -> dict[str, Mask]:
        """Masks of vessels and organs whose contrast changes; of others than the targets only if that costs little."""
        cheap = {n: s for n, s in sample.masks.items() if n in _PHASED and s.values}
        return {**{n: s.mask(image) for n, s in cheap.items()}, **{n: m for n, m in masks.items() if n in _PHASED}}

    def _picture(self, array: np.ndarray) -> Tensor:
        """``[1, D, H, W]`` of a scan that is windowed already."""
        return _resize(array, self.image_size).clamp(0, 1)[None]

    def _fraction(self, mask: Mask, box: Box, low: tuple, high: tuple, flipped: bool) -> Tensor:
        """A mask on the encoder's grid, ``[D, H, W]`` 0..1."""
        array = mask.region(box)
        array = aug.mirror(array) if flipped else array
        array = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        fraction = _resize(array, self.image_size)
        if not fraction.any() and array.any():  # it fell between the points that are sampled
            ijk = np.argwhere(array) * np.array(self.image_size[::-1]) // np.array(array.shape)
            i, j, k = torch.from_numpy(ijk).T
            _, rows, columns = self.image_size
            fraction[k, rows - 1 - j, columns - 1 - i] = 1.0
        return fraction


def _resize(array: np.ndarray, size: tuple[int, int, int]) -> Tensor:
    """``(i, j, k)`` voxels laid out and resampled as ``encoder_input`` does, ``[D, H, W]``."""
    picture = np.ascontiguousarray(array.transpose(2, 1, 0)[:, ::-1, ::-1], dtype=np.float32)
    resized = Resize(size, mode="trilinear", align_corners=False)(torch.from_numpy(picture)[None])
    return aug.plain(resized)[0]


def _solid(fraction: Tensor) -> Tensor:
    """Fractions of a voxel cut at one half; an object thinner than that keeps its fullest voxels."""
    solid = fraction > 0.5
    return solid if solid.any() else (fraction >= fraction.max()) & (fraction > 0)


def without_empty(sample: Sample, empty: set[str]) -> Sample | None:
    """A sample without pointers at structures whose mask has no voxel; None if no turn is left.

    A report keeps its words and loses the ``[SEG]``; a turn that only asks for the mask goes.
    """
    if not empty:
        return sample
    turns = []
    for turn in sample.turns:
        if not empty & set(turn.targets):
            turns.append(turn)
        elif turn.kind == "report":
            turns.append(_unpointed(turn, empty))
    return replace(sample, turns=tuple(turns)) if turns else None


def _unpointed(turn: Turn, empty: set[str]) -> Turn:
    parts = turn.answer.split(SEG)
    text = parts[0]
    for name, part in zip(turn.targets, parts[1:], strict=True):
        text = text.rstrip() + part if name in empty else text + SEG + part
    return replace(turn, answer=text, targets=tuple(n for n in turn.targets if n not in empty))
