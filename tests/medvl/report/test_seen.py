"""The order of the impression: what takes more of the body, and is surer, comes first."""

from __future__ import annotations

from medvl.report.build import build_report
from medvl.report.report import IMPRESSION
from medvl.report.seen import BY_HEADING, weight
from medvl.tools.findings import Outcome
from medvl.tools.looks import LOOKS
from medvl.tools.looks.spots import Amount, Look

from ..scenes import sample


def effusion(percent: float, sureness: str = "clear") -> Outcome:
    amounts = (Amount("hemithorax_percent", percent, "%", ("right_lung",), "right"),)
    look = Look("pleural_fluid", True, "fluid density", amounts=amounts, sureness=sureness)
    return Outcome("met", look=look)


def test_half_a_hemithorax_of_fluid_comes_before_a_speck_of_calcium():
    others = [weight("aortic_calcification", Outcome("met"), None), weight("renal_stones", Outcome("borderline"), None)]
    assert weight("pleural_effusion", effusion(50), None) > max(others)


def test_more_fluid_and_surer_fluid_comes_first():
    weights = [weight("pleural_effusion", effusion(p), None) for p in (60, 30, 5)]
    assert weights == sorted(weights, reverse=True)
    assert weight("pleural_effusion", effusion(5), None) > weight("pleural_effusion", effusion(5, "unclear"), None)


def test_every_look_has_its_heading_or_a_finding_that_runs_it():
    told = {id for ids in BY_HEADING.values() for id in ids}
    of_findings = {"pleural_fluid", "stones", "aorta_widths", "aorta_calcium", "emphysema"}
    assert set(LOOKS) == told | of_findings


def test_the_report_tells_what_was_looked_at_and_how_sure():
    report = list(build_report(sample()))[-1]
    sections = {section.title: section for section in report.sections}
    assert "Whole body" in sections
    assert any("on this scan)" in told.text for told in sections["Not measured, not judged"].sentences)
    assert sections[IMPRESSION].sentences
