"""What a case may show, and that only other structures are asked for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from medvl.evaluation.regions import ask, shown_by
from medvl.networks.region_head import REGIONS
from medvl.structures.found import Found


def test_what_lies_next_to_a_region_may_be_in_view():
    assert shown_by({"id": "a", "region": "chest"}) == {"neck", "chest", "abdomen"}
    assert shown_by({"id": "a", "region": "abdomen, pelvis"}) == {"chest", "abdomen", "pelvis", "limb"}
    assert shown_by({"id": "sarcoma_006", "region": "extremity crop"}) == {"limb"}
    assert shown_by({"id": "a", "region": ""}) == set(REGIONS)


def test_only_structures_of_other_regions_are_asked_for():
    asked = []

    def find(id: str) -> Found:
        asked.append(id)
        return Found(id, np.ones(1) if id == "liver" else None, "absent")

    finder = SimpleNamespace(known={"liver", "heart", "brainstem", "body"}, find=find, view=lambda: None)
    model = SimpleNamespace(open=lambda ct: SimpleNamespace(finder=finder, close=lambda: None))
    told = ask(model, None, "a thigh", frozenset({"limb"}))
    assert asked == ["brainstem", "heart", "liver"]
    assert (told.requests, told.false) == (3, ("liver",))
    asked.clear()
    assert ask(model, None, "a chest", frozenset({"chest", "abdomen"})).false == ()
    assert asked == ["brainstem"]
