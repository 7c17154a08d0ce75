"""``Change``: the volume of one thing in a scan, held against the one in an earlier scan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One structure or named mask in two scans; each volume is measured on its own scan's grid.

    Attributes:
        name: shown to people.
        now_ml: volume in the present scan; None where it has no mask.
        prior_ml: in the earlier one.
        now_note: why there is no volume, or why it is a lower bound; "" where it is whole.
        prior_note: the same of the earlier one.
        doubts: why the comparison is doubtful, as clauses.
        structure: id of the structure; "" of a mask that has only its own name.
        mask_id: of the present scan; "" where there is none.
    """

    name: str
    now_ml: float | None
    prior_ml: float | None
    now_note: str = ""
    prior_note: str = ""
    doubts: tuple[str, ...] = ()
    structure: str = ""
    mask_id: str = ""

    @property
    def change_ml(self) -> float | None:
        """How much more there is now; None where one of the two has no mask."""
        return None if self.now_ml is None or self.prior_ml is None else self.now_ml - self.prior_ml

    @property
    def change_percent(self) -> float | None:
        """Of the earlier volume; None where that has no mask."""
        return None if self.change_ml is None or not self.prior_ml else 100 * self.change_ml / self.prior_ml

    @property
    def whole(self) -> bool:
        """Whether both volumes are of the whole thing, and nothing speaks against comparing them."""
        return self.change_ml is not None and not (self.now_note or self.prior_note or self.doubts)
