"""``TrainingSet``: samples as the networks take them, the same for the same seed, epoch and index."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...ct.geometry import SourceGeometry
from ...ct.masks import Mask
from ...ct.prompts import Box
from ...ct.volume import CTVolume
from ...ct.windows import WINDOWS
from ...networks.preprocess import encoder_input
from ..datasets import native
from ..datasets.common import draw
from ..datasets.native import NativeSlice
from ..datasets.samples import SEG, DatasetError, Grid, Image, NothingToAsk, Sample, Turn, read_image
from ..nano.localiser import PHASES
from . import augment as aug
from .augment import Augmentation

logger = logging.getLogger(__name__)
_PHASED = frozenset(name for names, _ in PHASES for name in names)


class TrainingSet(Dataset):
    """Image, masks and words of samples.

    An item is ``{"image": float32 [1, D, H, W] 0..1, "masks": {name: bool [D, H, W]}, "slices": {name:
    [NativeSlice]}, "places": {name: [place_of]}, "sample": Sample}``. The image is
    what ``networks.preprocess.encoder_input`` gives, in float16 where it was made ready and nothing changes it; masks
    are those that the sample's answers point at, on that grid. A structure that is on the CT is never empty on it.

    Args:
        samples: of ``readers.open_dataset``; those that can ``draw`` ask other questions in each epoch.
        image_size: ``(D, H, W)``.
        augment: random changes; True: the usual ones; None or False: none.
        seed: of the augmentation.
        window: a name in ``slice_encoder.WINDOWS``, for scans in HU.
        slices: key slices of each mask at the resolution of the scan; 0: none. They are mirrored with the image and
            else as they are; where the image was rotated, ``"places"`` is empty.
        every: also the masks that no answer points at, of structures with a label of their own.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        image_size: tuple[int, int, int] = (128, 256, 256),
        augment: Augmentation | bool | None = None,
        seed: int = 0,
        window: str = "soft",
        slices: int = 0,
        every: bool = False,
    ) -> None:
        self.samples = samples
        self.image_size = tuple(image_size)
        self.augment = Augmentation() if augment is True else augment or None
        self.seed = seed
        self.window = window
        self.slices = slices
        self.every = every
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
        if not self.every:
            masks = {name: masks[name] for name in sample.wanted}
        spoken = {name: masks[name] for name in sample.wanted}
        native, places = self._native(sample, image, spoken, (low, high), box, flipped)
        fractions = [self._fraction(mask, box, low, high, flipped) for mask in masks.values()]
        how = self.augment
        if not how and not fractions:  # as it is; what was made ready stays in half precision
            return {"image": seen.contiguous(), "masks": {}, "slices": {}, "places": {}, "sample": sample}
        stack = torch.stack([seen[0].float(), *fractions])
        if how and state.rand() < how.affine:
            moved = aug.move(stack, how, state)
            if all((moved[n] > 0.5).any() for n in range(1, len(moved))):  # nothing that is spoken of may leave
                stack, places = moved, {}
        picture = stack[:1]
        if how:
            picture = aug.shade(picture, how, WINDOWS[self.window][1], state)
        solid = {name: _solid(stack[1 + n]) for n, name in enumerate(masks)}
        item = {"image": picture.float().contiguous(), "masks": solid, "slices": native, "places": places}
        return item | {"sample": sample}

    def in_other_words(self, index: int, item: dict[str, object]) -> Sample:
        """The sample of an earlier item as this epoch draws it, of what the item has masks of."""
        before: Sample = item["sample"]
        try:
            sample = draw(self.samples, index, self.epoch)
        except NothingToAsk:
            return before
        if sample.id != before.id:  # the item is that of the next sample, see ``_read``
            return before
        return without_empty(sample, set(sample.wanted) - set(item["masks"])) or before

    # ---- steps

    def _read(self, index: int) -> tuple[Sample, Image, dict[str, Mask]]:
        """The sample, or the next of which something can be asked: in published sets a few masks are empty."""
        for place in range(index, index + len(self)):
            try:
                sample = draw(self.samples, place % len(self), self.epoch)
            except NothingToAsk as error:
                logger.warning("%s The next sample is taken.", error)
                continue
            image = Image(*read_image(sample)) if sample.ready is None else sample.ready.grid
            masks = {name: sample.masks[name].mask(image) for name in self._read_of(sample)}
            left = without_empty(sample, {name for name, mask in masks.items() if mask.empty})
            if left is not None:
                return left, image, {name: mask for name, mask in masks.items() if not mask.empty}
            logger.warning("Sample %s: all masks that it speaks of are empty; the next one is taken.", sample.id)
        raise DatasetError("Every sample speaks of masks that are empty: the label files do not fit their scans.")

    def _read_of(self, sample: Sample) -> tuple[str, ...]:
        """Names of the masks that are read."""
        return tuple(dict.fromkeys((*sample.wanted, *sample.masks))) if self.every else sample.wanted

    def _see(
        self, sample: Sample, image: Image, masks: dict[str, Mask], state: np.random.RandomState
    ) -> tuple[Tensor, tuple, tuple, Box, bool, Sample]:
        """The image on the encoder's grid, and how the grid lies in the scan.

        Returns:
            ``[1, D, H, W]``; first and one past the last voxel of the encoder's own crop within ``box``; the field of
            view in the scan; whether it was mirrored after that; the sample, its sides swapped if so.
        """
        how, box, flipped = self.augment, Box((0, 0, 0), tuple(image.shape)), False
        if sample.ready is not None:
            return self._ready(sample, box, state)
        array = image.array
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

    def see(self, sample: Sample, image: Image) -> tuple[Tensor, tuple, tuple]:
        """The image on the encoder's grid as it is, and the first and one past the last voxel of what it shows."""
        array = image.array
        if sample.scale == "unit":
            return self._picture(array), (0, 0, 0), tuple(array.shape)
        seen = encoder_input(
            CTVolume(array, image.affine, SourceGeometry(array.shape, image.affine)), self.image_size, self.window
        )
        return aug.plain(seen.image[0]), seen.low, seen.high

    def _ready(
        self, sample: Sample, box: Box, state: np.random.RandomState
    ) -> tuple[Tensor, tuple, tuple, Box, bool, Sample]:
        """``_see`` of an image that was made ready: of what is done in the scan only mirroring is left."""
        ready = sample.ready
        if ready.size != self.image_size or ready.window not in ("", self.window):
            raise DatasetError(
                f"Sample {sample.id!r} was prepared at {ready.size} in the window {ready.window!r}, and the model "
                f"takes {self.image_size} in {self.window!r}. Prepare the dataset for it."
            )
        image, low, high = ready.image(), ready.low, ready.high
        flipped = bool(self.augment) and bool(state.rand() < self.augment.mirror) and aug.mirrorable(sample)
        if flipped:
            image, sample = image.flip(-1), aug.swap_sides(sample)
            low, high = (ready.shape[0] - high[0], *low[1:]), (ready.shape[0] - low[0], *high[1:])
        return image, low, high, box, flipped, sample

    def _native(
        self, sample: Sample, image: Grid, masks: dict[str, Mask], shown: tuple[tuple, tuple], box: Box, flipped: bool
    ) -> tuple[dict[str, list[NativeSlice]], dict[str, list[tuple]]]:
        """Key slices of the masks and where they lie in the image; ``shown`` is in ``box``, mirrored with it."""
        if not self.slices or not masks:
            return {}, {}
        stored = {name: aug.swap_name(name) if flipped else name for name in masks}  # as the files call them
        if sample.ready is None:
            cutter = native.Cutter(image, sample.scale)
            found = {name: cutter.slices(mask, self.slices) for name, mask in masks.items()}
        elif sample.ready.native is None:
            raise DatasetError(
                f"Sample {sample.id!r} was prepared without slices of its masks. Prepare the dataset with "
                f"--slices {self.slices}, into another folder."
            )
        else:
            ready = sample.ready
            slices = native.read(ready.slices_file, ready.native, stored.values(), self.slices)
            found = {name: slices[stored[name]] for name in masks}
        shape, (low, high) = tuple(image.shape), shown
        if flipped:
            found = {name: [each.mirrored(shape[0]) for each in row] for name, row in found.items()}
        start = (shape[0] - box.hi[0] if flipped else box.lo[0], *box.lo[1:])
        low, high = (tuple(int(a + b) for a, b in zip(start, end, strict=True)) for end in (low, high))
        places = {name: [native.place_of(each, shape, low, high) for each in row] for name, row in found.items()}
        return found, places

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
    from monai.transforms import Resize  # late: MONAI takes seconds to import

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
