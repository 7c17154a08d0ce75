"""What looking for a structure gives, and who looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from ..ct.masks import Mask
from ..ct.volume import CTVolume


@dataclass(frozen=True)
class Found:
    """What looking for a structure gave.

    Attributes:
        structure: id.
        mask: on the grid of the CT; None unless ``status`` is ``"found"``.
        status: ``"found"``; ``"absent"``: looked for, and not in this scan; ``"unknown"``: no such class in the model.
        seconds: time it took; 0 when it was known already.
        note: of a single vertebra how it was counted, or why it cannot be told which it is; else "".
        sure: how sure the model is of the mask, 0 to 1; None where that was not measured.
        reason: why it cannot be in this scan, as a clause: "this looks like a chest"; "" where it was looked for.
    """

    structure: str
    mask: Mask | None
    status: Literal["found", "absent", "unknown"] = "found"
    seconds: float = 0.0
    note: str = ""
    reason: str = ""
    sure: float | None = None

    @property
    def cut(self) -> tuple[str, ...]:
        """Sides of the scan that the mask reaches, among L R P A I S: it may go on outside the field of view."""
        return self.mask.border if self.mask is not None else ()


class Finder(Protocol):
    """Finds structures in one CT by name: the localiser and SAM 2 in the product, reference labels in tests.

    Results are kept: finding a structure again is free. A mask found is a mask of the case, with an id.
    """

    ct: CTVolume

    @property
    def known(self) -> frozenset[str]:
        """Ids that ``find`` can look for."""

    def find(
        self,
        structure: str,
        cancel: threading.Event | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Found:
        """Look for one structure.

        Args:
            structure: an id of ``known``; another gives status ``"unknown"``.
            cancel: set it to stop within one slice.
            progress: called with the share done, 0 to 1.

        Raises:
            Cancelled: ``cancel`` was set.
        """
