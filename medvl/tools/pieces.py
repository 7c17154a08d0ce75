"""What tools say while they work: steps, masks, views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..ct.masks import Mask


@dataclass(frozen=True)
class Step:
    """A tool step: begun (``seconds`` None, shown as running) or done. The same ``label`` means the same step.

    Attributes:
        label: for instance "Segment liver".
        seconds: None while it runs.
        share: share done, 0 to 1.
        outcome: in words when done, for instance "1,512 mL" or "not in this scan".
    """

    label: str
    seconds: float | None = None
    share: float = 0.0
    outcome: str = ""


@dataclass(frozen=True)
class MaskRef:
    """A mask that the answer speaks of; it is in the case already."""

    mask: Mask


@dataclass(frozen=True)
class View:
    """Something for the viewer to do; the masks exist.

    Attributes:
        action: ``hide``, ``show``, ``only`` (these and no other), ``centre``, ``colour``, ``window`` or ``slice``.
        mask_ids: of which masks.
        value: of ``colour`` ``#rrggbb``, of ``window`` its name or level and width in HU (``"40 350"``), of ``slice``
            axis and index (from 0): ``"2 49"``; else "".
    """

    action: Literal["hide", "show", "only", "centre", "colour", "window", "slice"]
    mask_ids: tuple[str, ...] = ()
    value: str = ""
