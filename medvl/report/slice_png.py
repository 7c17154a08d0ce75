"""Slices with mask overlays as PNG, for reports: radiological view, side letters, scale bar, true aspect."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from ..ct.windows import WINDOWS

if TYPE_CHECKING:
    from ..ct.masks import Mask
    from ..ct.volume import CTVolume

PIXELS = 560  # of the longer side
FILL, LINE = 0.28, 1.0
BAR_MM = 50
# Letters at left, right, top and bottom of a plane normal to i, j, k: the patient's right is on the viewer's left.
_LETTERS = {0: ("A", "P", "S", "I"), 1: ("R", "L", "S", "I"), 2: ("R", "L", "A", "P")}


def slice_png(
    ct: CTVolume, masks: Sequence[Mask], axis: int, index: int, window: tuple[float, float] = WINDOWS["soft"]
) -> bytes:
    """One plane of a CT with filled and outlined masks.

    Args:
        ct: the volume.
        masks: drawn in their colours, the later over the earlier.
        axis: 0 sagittal, 1 coronal, 2 axial.
        index: slice along the axis.
        window: level and width in HU.

    Returns:
        PNG bytes, at most ``PIXELS`` on the longer side.
    """
    level, width = window
    plane = np.take(ct.hu, index, axis=axis).astype(np.float32)
    grey = np.clip((plane - level) / width + 0.5, 0, 1)
    rows_mm, columns_mm = (ct.spacing_mm[a] for a in (2 if axis != 2 else 1, 1 if axis == 0 else 0))
    shown = _to_screen(grey)
    height_mm, width_mm = shown.shape[0] * rows_mm, shown.shape[1] * columns_mm
    scale = PIXELS / max(height_mm, width_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    image = Image.fromarray((shown * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    picture = np.repeat(np.asarray(image, dtype=np.float32)[:, :, None], 3, axis=2)
    for mask in masks:
        on = _to_screen(mask.slice(axis, index))
        if not on.any():
            continue
        # the mask is scaled as grey and cut at one half, so that its outline is as smooth as the picture
        big = np.asarray(Image.fromarray(on.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)) > 127
        color = np.array([int(mask.color[n : n + 2], 16) for n in (1, 3, 5)], dtype=np.float32)
        line = big & ~ndimage.binary_erosion(big, iterations=2)
        for where, share in ((big, FILL), (line, LINE)):
            picture[where] = picture[where] * (1 - share) + color * share
    drawn = Image.fromarray(picture.astype(np.uint8))
    _annotate(drawn, _LETTERS[axis], scale)
    buffer = io.BytesIO()
    drawn.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def _to_screen(plane: np.ndarray) -> np.ndarray:
    """A plane of the canonical grid as rows and columns: head or front at the top, right (or front) on the left."""
    return plane[::-1, ::-1].T


def _annotate(image: Image.Image, letters: tuple[str, str, str, str], scale: float) -> None:
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=17)
    width, height = image.size
    style = {"fill": "white", "stroke_width": 2, "stroke_fill": "black", "font": font}
    left, right, top, bottom = letters
    draw.text((8, height / 2), left, anchor="lm", **style)
    draw.text((width - 8, height / 2), right, anchor="rm", **style)
    draw.text((width / 2, 6), top, anchor="mt", **style)
    draw.text((width / 2, height - 6), bottom, anchor="mb", **style)
    bar = BAR_MM * scale
    if bar < width - 20:
        y = height - 12
        draw.line([(10, y), (10 + bar, y)], fill="black", width=5)
        draw.line([(10, y), (10 + bar, y)], fill="white", width=3)
        draw.text((10, y - 5), f"{BAR_MM} mm", anchor="lb", **style)
