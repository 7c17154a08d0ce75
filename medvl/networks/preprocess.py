"""From a CT to the input of the 3-D vision encoder: window first, then resample to 128x256x256, values 0..1.

Med3DVLM was trained on pictures that a viewer had windowed already and that were scaled to 0..1; a CT in HU has to be
windowed before it looks like them. The foreground crop, the order (depth, height, width) and the size are those of its
data preparation. Slices run from foot to head and each is laid out as radiologists see it (anterior on top, the
patient's right on the left), as such pictures are published; the direction of the slices is not documented there and is
an assumption here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..ct.volume import CTVolume
from ..ct.windows import WINDOWS


@dataclass(frozen=True, eq=False)
class EncoderInput:
    """What the encoder sees and where it lies in the CT.

    Attributes:
        image: ``[1, 1, D, H, W]`` float32, 0..1.
        low: first voxel ``(i, j, k)`` of the crop that was resampled.
        high: one past its last voxel.
    """

    image: Tensor
    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @staticmethod
    def to_volume_order(maps: Tensor) -> Tensor:
        """``[..., D, H, W]`` maps of this input -> ``[..., i, j, k]``, the axes of the CT (same coarse grid)."""
        return maps.flip((-2, -1)).movedim((-1, -2, -3), (-3, -2, -1))


def encoder_input(
    ct: CTVolume, size: tuple[int, int, int] = (128, 256, 256), window: str = "soft", crop: bool = True
) -> EncoderInput:
    """Make the encoder's input.

    Args:
        ct: any CT.
        size: ``(D, H, W)`` of the result.
        window: a name in ``slice_encoder.WINDOWS``.
        crop: cut away what is black all round (air), as MONAI's ``CropForeground`` does.

    Returns:
        The input; a scan that is all black is not cropped.
    """
    from monai.transforms import CropForeground, Resize, ScaleIntensityRange

    level, width = WINDOWS[window]
    scale = ScaleIntensityRange(level - width / 2, level + width / 2, 0.0, 1.0, clip=True)
    low, high = np.zeros(3, int), np.array(ct.shape)
    if crop:
        # On the HU and not on the float copy: the box is the same and the copy stays small.
        box = CropForeground(select_fn=lambda hu: hu > level - width / 2, allow_smaller=True).compute_bounding_box(
            torch.from_numpy(ct.hu)[None]
        )
        first, last = (np.asarray(b, int) for b in box)
        if (last > first).all():
            low, high = first, last
    part = ct.hu[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
    picture = np.ascontiguousarray(part.transpose(2, 1, 0)[:, ::-1, ::-1])  # [D, H, W]
    image = scale(torch.from_numpy(picture.astype(np.float32))[None])
    image = Resize(size, mode="trilinear", align_corners=False)(image)
    image = image.as_tensor() if hasattr(image, "as_tensor") else image  # without MONAI's metadata
    return EncoderInput(image[None].float(), tuple(int(v) for v in low), tuple(int(v) for v in high))
