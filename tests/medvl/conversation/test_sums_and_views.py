"""Overlap of masks, sums with something taken away, views in a plane, windows in numbers, "it" of the same message."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.language.calls import Measure, Neighbours, Rank, Relate, Show, Total
from medvl.language.calls.base import IT
from medvl.tools.pieces import View

from ..scenes import finder_of, sample
from .test_conversation import Fixed

BLOCKS = {
    "liver": (slice(22, 36), slice(8, 20), slice(15, 25)),
    "spleen": (slice(4, 9), slice(4, 10), slice(17, 24)),
    "heart": (slice(14, 20), slice(8, 16), slice(24, 29)),
    "gallbladder": (slice(18, 21), slice(20, 24), slice(10, 14)),
}


def answered(*calls, finder=None):
    talk = Conversation(finder or finder_of(BLOCKS), (Fixed(*calls),))
    pieces = list(talk.ask("as planned"))
    assert isinstance(pieces[-1], Done)
    return talk, pieces, pieces[-1].answer


def facts(answer):
    return {fact.key: fact for said in answer.sentences for fact in said.facts}


def test_what_is_taken_away_is_taken_away():
    talk, _, answer = answered(Total(("liver", "spleen"), against=("gallbladder",)))
    ml = {id: talk.scene.measure(id).volume_ml for id in ("liver", "spleen", "gallbladder")}
    assert facts(answer)["rest_ml"].value == pytest.approx(ml["liver"] + ml["spleen"] - ml["gallbladder"])


def test_a_sum_without_one_of_its_parts_is_none():
    _, _, answer = answered(Total(("liver",), against=("pancreas",)))
    assert "rest_ml" not in facts(answer)
    assert "pancreas" in answer.sentences[0].text


def test_masks_of_two_organs_share_no_voxel():
    _, _, answer = answered(Relate(("liver", "spleen"), kind="overlap"))
    assert facts(answer)["dice"].value == 0
    assert "no voxel" in answer.sentences[0].text


@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_a_view_in_a_plane_goes_through_the_structure(plane, axis):
    talk, pieces, _ = answered(Show(("heart",), action="centre", plane=plane))
    (view,) = [piece for piece in pieces if isinstance(piece, View)]
    at = [int(word) for word in view.value.split()]
    mask = talk.scene.mask("heart")
    assert (view.action, at[0]) == ("slice", axis)
    assert mask.box.lo[axis] <= at[1] < mask.box.hi[axis]
    assert np.take(mask.block, at[1] - mask.box.lo[axis], axis).any()


def test_a_window_in_numbers_is_shown_as_told():
    _, pieces, answer = answered(Show(action="window", level=-600.0, width=1500.0))
    assert [piece.value for piece in pieces if isinstance(piece, View)] == ["-600 1500"]
    assert "1,500 HU" in answer.sentences[0].text
    _, pieces, answer = answered(Show(action="window"))  # which one nobody said
    assert not [piece for piece in pieces if isinstance(piece, View)]
    assert "Lung" in answer.sentences[0].text


def test_it_is_what_the_request_before_it_found():
    wanted = (Rank(("spleen", "liver", "heart"), which="larger"), Relate((IT, "gallbladder"), kind="distance"))
    _, _, answer = answered(*wanted)
    assert answer.calls[1].of == ("liver", "gallbladder")
    _, _, answer = answered(Rank(("liver", "spleen", "heart"), which="smaller"), Measure((IT,), what="position"))
    assert answer.calls[1].of == ("spleen",)
    _, _, answer = answered(Neighbours(("heart",)), Measure((IT,)))
    assert answer.calls[1].of == ("liver",)


def test_the_width_of_the_whole_aorta_is_that_of_its_widest_part():
    _, _, whole = answered(Measure(("aorta",), what="diameter"), finder=sample())
    widths = []
    for part in ("infrarenal", "suprarenal", "descending", "ascending"):
        _, _, told = answered(Measure(("aorta",), what="diameter", part=part), finder=sample())
        widths += [f.value for said in told.sentences for f in said.facts if f.key == "width_mm"]
    assert widths
    assert facts(whole)["cross_diameter_mm"].value >= max(widths) - 0.01


def test_an_aorta_that_runs_into_its_neighbour_has_no_width():
    blocks = {
        "aorta": (slice(10, 20), slice(10, 20), slice(5, 25)),
        "heart": (slice(20, 30), slice(5, 25), slice(5, 25)),
    }
    _, _, answer = answered(
        Measure(("aorta",), what="diameter"), finder=finder_of(blocks, affine=np.diag([3, 3, 3, 1.0]))
    )
    assert set(facts(answer)) == {"limits"}
    assert "no width" in answer.sentences[0].text
