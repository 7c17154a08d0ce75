"""``PriorScan``: an earlier scan that stands beside the open one, on the open one's grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from medvl.case import Case
from medvl.ct.masks import Mask
from medvl.ct.registration import Registration, mask_on_grid_of, on_grid_of
from medvl.ct.volume import CTVolume

from .viewer import Board


class PriorScan:
    """The earlier scan of a session.

    Args:
        ct: the earlier scan.
        case: its case, which the session's case closes.
        title: what the visitor calls it.
        found: where a place of the present scan lies in it.
        now: the present scan.
        token: of the session.
    """

    def __init__(self, ct: CTVolume, case: Case, title: str, found: Registration, now: CTVolume, token: str) -> None:
        self.ct, self.case, self.title, self.found = ct, case, title, found
        self._now = now
        self.board = Board(replace(now, hu=on_grid_of(now, ct, found)), token)
        self._shown: dict[str, Mask] = {}
        self._colors: dict[str, str] = {}
        self.sync()

    @property
    def nbytes(self) -> int:
        """Memory of the scan, and of its copy on the present grid; its case is counted with the present one's."""
        return self.ct.hu.nbytes + self.board.ct.hu.nbytes + self.board.nbytes

    @property
    def about(self) -> str:
        """How it was laid over the present scan, and how well that fits."""
        if self.found.same_frame:
            how = "Both scans name one frame of reference"
        else:
            how = f"Laid over this scan by a rigid motion, turned by {self.found.rotation_degrees:.1f}\N{DEGREE SIGN}"
        return f"{how}; their pictures correlate to {self.found.similarity:.2f} over {self.found.shared_mm:.0f} mm."

    def sync(self, present: Iterable[Mask] = ()) -> None:
        """Show the masks that the earlier scan has now, in the colours of their namesakes in the present one."""
        colors = {mask.name.casefold(): mask.color for mask in present}
        for mask_id in self.board.mask_ids - set(self.case.masks):
            self.board.remove_mask(mask_id)
            self._shown.pop(mask_id, None)
            self._colors.pop(mask_id, None)
        for mask in list(self.case.masks.values()):
            known = self._shown.get(mask.id)
            if known is None or known.block is not mask.block:
                self.board.set_mask(mask_on_grid_of(self._now, mask, self.ct, self.found))
                self._shown[mask.id] = mask
            color = colors.get(mask.name.casefold(), mask.color)
            if self._colors.get(mask.id, mask.color) != color:
                self.board.style(mask.id, color=color)
            self._colors[mask.id] = color
