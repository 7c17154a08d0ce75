"""What lies between two structures, or beside one on the side that was said."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.language.calls import Between, Neighbours, Relate
from medvl.language.parse import parse
from medvl.tools import relations

from ...scenes import finder_of, scene_of

# along R from left to right: spleen, stomach, liver; the bladder far below, the heart on top of the stomach
ROW = {
    "spleen": (slice(2, 8), slice(10, 16), slice(12, 18)),
    "stomach": (slice(16, 22), slice(8, 18), slice(10, 20)),
    "liver": (slice(30, 38), slice(10, 16), slice(12, 18)),
    "urinary_bladder": (slice(16, 22), slice(10, 16), slice(0, 4)),
    "heart": (slice(16, 22), slice(10, 16), slice(24, 30)),
}
MM2 = np.diag([2.0, 2.0, 2.0, 1.0])


def talk() -> Conversation:
    return Conversation(finder_of(ROW, affine=MM2))


def said(text: str) -> str:
    return next(piece.answer.text for piece in talk().ask(text) if isinstance(piece, Done))


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("what lies between the liver and the spleen", Between(ends=("liver", "spleen"))),
        ("is the stomach between the liver and the spleen", Between(("stomach",), ("liver", "spleen"))),
        ("what is above the left kidney", Neighbours(("left_kidney",), "above")),
        ("what lies left of the aorta", Neighbours(("aorta",), "left")),
        ("does anything lie behind the bladder", Neighbours(("urinary_bladder",), "behind")),
        ("does the bladder touch anything", Neighbours(("urinary_bladder",))),
        ("how far is it between liver and spleen", Relate(("liver", "spleen"), "distance")),
    ],
)
def test_understood(text, call):
    assert parse(text) == (call,)


def test_lines_from_one_to_the_other_pass_what_lies_between():
    scene = scene_of(finder_of(ROW, affine=MM2))
    shares = dict(relations.between(scene, "liver", "spleen", tuple(ROW)))
    assert shares["stomach"] > 0.95
    assert set(shares) == {"stomach"}
    assert shares == dict(relations.between(scene, "liver", "spleen", tuple(ROW)))


def test_told():
    assert "lies the stomach" in said("what lies between the liver and the spleen")
    assert said("is the stomach between the liver and the spleen").startswith("Yes")
    assert said("is the heart between the liver and the spleen").startswith("Yes: the centre")
    assert said("is the spleen between the stomach and the liver").startswith("No")
    assert "none of the structures" in said("what lies between the stomach and the heart").lower()


def test_only_what_lies_on_the_side_asked_for():
    above = said("what is above the stomach")
    assert "heart" in above
    assert "bladder" not in above
    assert "urinary bladder" in said("what is below the stomach")
    assert "spleen" in said("what lies left of the stomach")
    assert "none of the structures" in said("what lies in front of the stomach").lower()


def test_masks_that_overlap_are_said_to():
    from medvl.ct.masks import Mask
    from medvl.structures.found import Found

    class Overlapping:
        """Two masks that share voxels, as masks made one by one may."""

        def __init__(self):
            inner = finder_of(ROW, affine=MM2)
            self.ct, self.known = inner.ct, frozenset({"liver", "spleen"})

        def find(self, structure, cancel=None, progress=None):
            array = np.zeros(self.ct.shape, bool)
            array[10:20, 5:15, 5:15] = True
            return Found(structure, Mask.from_array(np.roll(array, 4 * (structure == "liver"), 0), id=structure))

    asked = Conversation(Overlapping()).ask("distance between liver and spleen")
    assert "overlap" in next(piece.answer.text for piece in asked if isinstance(piece, Done))
