"""Augmentation that keeps what is said about a scan true.

- A crop keeps every structure that an answer speaks of whole, and scans with free text (captions, reports) are not
  cropped: nobody knows what of the text would still be true.
- A mirror image gets the names and the words of the other side (``swap_sides``), and only heads, necks and limbs are
  mirrored: a mirrored trunk would be a situs inversus.
- Image and masks go through one resampling, the masks as fractions that are cut at one half at its end, so that both
  move by the same amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...ct.masks import Mask
from ...ct.prompts import Box
from ...ct.windows import BODY_HU
from ..datasets.names import SYMMETRIC, swap_name, swap_words
from ..datasets.samples import SEGMENTING, Sample
from ..nano.localiser import PHASES

_SAFE = (*SEGMENTING, "measured", "presence")


@dataclass(frozen=True)
class Augmentation:
    """Probabilities and ranges.

    Attributes:
        mirror: of left and right, where ``mirrorable``.
        crop: of a smaller field of view.
        least: share of each side that a crop keeps at least.
        phase: of another contrast phase: HU added to vessels and organs that are labelled.
        density: of HU stretched by up to ``stretch`` and shifted by up to ``shift_hu``.
        noise: of Gaussian noise of up to ``noise_hu``.
        affine: of a rotation of up to ``rotate_degrees`` in the axial plane (a third of it in the others) together with
            a scale of ``1 +- scale``.
        contrast: of a gamma between ``gamma``.
        blur: of a Gaussian blur of up to one voxel of the result.
    """

    mirror: float = 0.5
    crop: float = 0.3
    least: float = 0.6
    phase: float = 0.3
    density: float = 0.5
    stretch: float = 0.1
    shift_hu: float = 15.0
    noise: float = 0.3
    noise_hu: float = 25.0
    affine: float = 0.5
    rotate_degrees: float = 10.0
    scale: float = 0.1
    contrast: float = 0.3
    gamma: tuple[float, float] = (0.8, 1.25)
    blur: float = 0.15


# ---- left and right


def mirrorable(sample: Sample) -> bool:
    """Whether the mirror image of a sample is a plausible scan of which its swapped texts are true."""
    safe = all(turn.kind in _SAFE for turn in sample.turns) and not sample.captions
    return safe and bool(sample.masks) and set(sample.masks) <= SYMMETRIC


def swap_sides(sample: Sample) -> Sample:
    """The sample of the mirror image: left and right exchanged in names and in words.

    The files stay, so their voxels are those of the original: ``read_image`` and ``read_masks`` have to be followed by
    ``mirror``. Twice is the identity.
    """
    turns = tuple(
        replace(
            turn,
            question=swap_words(turn.question),
            answer=swap_words(turn.answer),
            targets=tuple(map(swap_name, turn.targets)),
            about=tuple(map(swap_name, turn.about)),
        )
        for turn in sample.turns
    )
    masks = {swap_name(name): source for name, source in sample.masks.items()}
    return replace(sample, turns=turns, captions=tuple(map(swap_words, sample.captions)), masks=masks)


def mirror(array: np.ndarray) -> np.ndarray:
    """Left and right exchanged in ``(i, j, k)`` RAS+ voxels (a view)."""
    return array[::-1]


# ---- field of view


def croppable(sample: Sample) -> bool:
    """Whether a part of the scan that holds all that is spoken of leaves the answers true."""
    return bool(sample.turns) and all(turn.kind in _SAFE for turn in sample.turns)


def field_of_view(shape: Sequence[int], keep: Iterable[Box | None], least: float, state: np.random.RandomState) -> Box:
    """A random part of a volume, each side at least ``least`` of the whole, that contains the boxes of ``keep``."""
    boxes = [box for box in keep if box is not None]
    lo, hi = [], []
    for axis, size in enumerate(shape):
        first = min((box.lo[axis] for box in boxes), default=size)
        last = max((box.hi[axis] for box in boxes), default=0)
        length = int(np.ceil(size * state.uniform(least, 1.0)))
        start = int(state.randint(0, size - length + 1))
        lo.append(min(start, first))
        hi.append(max(start + length, last))
    return Box(tuple(lo), tuple(hi))


# ---- Hounsfield units


def recolourable(sample: Sample) -> bool:
    """Whether other HU leave the answers true: none states a number of HU, or a finding that may be one of density."""
    return croppable(sample) and all(turn.kind != "measured" for turn in sample.turns)


def contrast_phase(hu: np.ndarray, masks: Mapping[str, Mask], state: np.random.RandomState) -> np.ndarray:
    """HU with more or less contrast in the structures of ``localiser.PHASES`` that have a mask.

    The added value fades over about two voxels at the border of a mask: a sharp step there would show the network where
    the label ends.
    """
    out = hu.astype(np.float32)
    blood = state.uniform(-40, 220)
    for names, share in PHASES:
        strength = blood * share / 0.6 * state.uniform(0.5, 1.3)
        for name in names:
            mask = masks.get(name)
            if mask is None or mask.box is None:
                continue
            lo = tuple(max(0, v - 4) for v in mask.box.lo)
            hi = tuple(min(n, v + 4) for n, v in zip(mask.shape, mask.box.hi, strict=True))
            box = Box(lo, hi)
            soft = ndimage.gaussian_filter(mask.region(box).astype(np.float32), 1.0)
            part = out[box.slices]
            part += strength * soft * (part > -100)  # not into gas
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def density(hu: np.ndarray, how: Augmentation, state: np.random.RandomState) -> np.ndarray:
    """HU of tissue stretched round that of blood and shifted; air stays air."""
    factor, shift = 1 + state.uniform(-how.stretch, how.stretch), state.uniform(-how.shift_hu, how.shift_hu)
    changed = np.where(hu > BODY_HU, (hu - 40.0) * factor + 40.0 + shift, hu)
    return np.clip(np.rint(changed), -32768, 32767).astype(np.int16)


# ---- on the grid of the encoder


def move(stack: Tensor, how: Augmentation, state: np.random.RandomState) -> Tensor:
    """Rotate and scale image and masks alike.

    Args:
        stack: ``[1 + N, D, H, W]``, the image and N masks as fractions, all 0 outside.
        how: ranges.
        state: decides.

    Returns:
        The same shape.
    """
    from monai.transforms import RandAffine  # late: MONAI takes seconds to import

    turn = np.deg2rad(how.rotate_degrees)
    transform = RandAffine(
        prob=1.0,
        rotate_range=(turn, turn / 3, turn / 3),  # about the axes D, H and W
        scale_range=(how.scale,) * 3,
        mode="bilinear",
        padding_mode="zeros",
    )
    transform.set_random_state(state=state)
    return plain(transform(stack))


def shade(image: Tensor, how: Augmentation, window_hu: float, state: np.random.RandomState) -> Tensor:
    """Gamma, blur and noise on an image ``[1, D, H, W]`` of 0..1 that spans ``window_hu``; clipped to 0..1."""
    from monai.transforms import RandAdjustContrast, RandGaussianNoise, RandGaussianSmooth

    parts = [
        RandAdjustContrast(prob=how.contrast, gamma=how.gamma),
        RandGaussianSmooth(sigma_x=(0.3, 1.0), sigma_y=(0.3, 1.0), sigma_z=(0.3, 1.0), prob=how.blur),
        RandGaussianNoise(prob=how.noise, std=how.noise_hu / window_hu),
    ]
    for part in parts:
        part.set_random_state(state=state)
        image = part(image)
    return plain(image).clamp(0, 1)


def plain(array: Tensor) -> Tensor:
    """Without MONAI's metadata."""
    return torch.as_tensor(array.as_tensor() if hasattr(array, "as_tensor") else array)
