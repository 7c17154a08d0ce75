"""What a visitor does by hand in the viewer that no model has a part in: strokes, and regions grown from a click."""

from __future__ import annotations

from typing import Any

import numpy as np

from medvl.ct import region_growing
from medvl.errors import MedVLError

from .case_session import CaseSession
from .inputs import read_growth, read_stroke, read_word
from .updates import Updates, first_time, page, with_first, words


def stroke(session: CaseSession, data: Any) -> Updates:
    """Take a stroke into its mask.

    Args:
        session: the visitor's.
        data: see ``inputs.read_stroke``.
    """
    try:
        drawn = read_stroke(data, session.ct)
        with session.job():
            new = drawn.mask_id is None
            first = new and first_time(session)
            mask = session.case.paint(drawn.mask_id, drawn.box, drawn.voxels, drawn.add, drawn.hu)
            session.show(mask, None if new else drawn.box)
            session.activate(mask.id)
            session.board.took_stroke(drawn.number)
            return with_first(page(session), first)
    except MedVLError as error:
        number = data.get("n") if isinstance(data, dict) else None
        session.board.took_stroke(number if type(number) is int else 0)
        return page(session, busy=session.busy) | {"toast": words(error)}


def grow(session: CaseSession, data: Any) -> Updates:
    """Grow a region from a click into its mask, or out of it; where it runs on beyond its limit nothing is done.

    Args:
        session: the visitor's.
        data: see ``inputs.read_growth``.
    """
    if not session.board.take(read_word(data, "key")):  # sent again by a page that did not hear of it
        return page(session, busy=session.busy)
    try:
        asked = read_growth(data, session.ct)
        with session.job():
            box, voxels, (low, high) = region_growing.grow(session.ct, asked.seed, asked.hu, asked.most_ml)
            first = asked.mask_id is None and first_time(session)
            mask = session.case.paint(asked.mask_id, box, voxels, asked.add)
            session.show(mask)
            session.activate(mask.id)
            ml = np.count_nonzero(voxels) * session.ct.voxel_volume_ml
            told = f"Region of {ml:.3g} mL, {low:.0f} to {high:.0f} HU"
            return with_first(page(session, status=told), first)
    except MedVLError as error:
        # with a status, or the viewer would go on saying that it grows
        return page(session, status="Nothing was changed", busy=session.busy) | {"toast": words(error)}
