"""Requests by name, by description and for what is absent, over finders whose masks are known."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from medvl.evaluation.text import ask_all, referring_requests, summary
from medvl.structures.found import Found
from medvl.vocabulary.names import STRUCTURES


@pytest.fixture
def case(abdomen_case):
    return abdomen_case


class Liar:
    """Says of everything that it is where the liver is."""

    def __init__(self, finder):
        self.ct, self.known, self._finder = finder.ct, finder.known, finder

    def find(self, structure, cancel=None, progress=None):
        return Found(structure, self._finder.find("liver").mask)


def test_descriptions_name_structures_that_exist():
    text = (resources.files("medvl.evaluation") / "questions" / "referring.json").read_text(encoding="utf-8")
    for entry in json.loads(text):
        assert set(entry.get("structures", [entry.get("structure")])) <= set(STRUCTURES)


def test_a_choice_is_made_by_the_labels(case, finder):
    wanted = {r.text: r.structure for r in referring_requests(case, finder.known)}
    assert wanted["segment the kidney with the greater volume"] == "right_kidney"
    assert wanted["whichever kidney is smaller"] == "left_kidney"
    assert "the smaller parotid" not in wanted


def test_over_the_labels_names_are_perfect_and_absent_ones_give_nothing(case, finder):
    results = list(ask_all(finder, case, "hu"))
    semantic = [r for r in results if r.kind == "semantic"]
    assert len(semantic) == len(case.names)
    assert all(r.dice == r.nsd == 1 and r.right_structure for r in semantic)
    absent = [r for r in results if r.kind == "absent"]
    assert {r.structure for r in absent} == {"heart", "trachea"}
    assert {r.request for r in absent} > {"heart", "trachea"}  # by description, too
    assert not any(r.found for r in absent)
    referring = [r for r in results if r.kind == "referring"]
    assert all((r.dice == 1) is r.right_structure for r in referring)


def test_false_masks_and_wrong_structures_count(case, finder):
    results = list(ask_all(Liar(finder), case, "hu", {"liver": 5.0}))
    absent = [r for r in results if r.kind == "absent" and r.request == r.structure]
    assert all(r.found and r.dice is None for r in absent)
    scores = {r.structure: r for r in results if r.kind == "semantic"}
    assert (scores["liver"].dice, scores["liver"].tolerance_mm) == (1, 5)
    assert scores["spleen"].dice == 0
    lines = "\n".join(summary(results))
    assert "heart (1126 mL)" in lines
    for title in ("semantic", "referring", "absent"):
        assert title in lines
