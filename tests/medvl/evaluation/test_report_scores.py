"""Scores of reports written over labels: perfect where nothing was changed, and each kind of fault is seen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from medvl.errors import MedVLError
from medvl.evaluation.__main__ import parser
from medvl.evaluation.report_scores import as_json, findings_text, load_references, remeasured, score_report, summary
from medvl.report.build import build_report
from medvl.report.report import Report
from medvl.tools.fact import Fact


@pytest.fixture
def case(abdomen_case):
    return abdomen_case


@pytest.fixture(scope="module")
def report(finder):
    return next(piece for piece in build_report(finder) if isinstance(piece, Report))


@pytest.fixture(scope="module")
def masks(finder):
    return {mask.id: mask for s in finder.known if (mask := finder.find(s).mask) is not None}


def test_over_the_labels_a_report_is_true(report, masks, finder, case):
    score = score_report(report, masks, finder.known, case, 1.5, findings_text(report))
    assert score.sentences[0] == score.sentences[1] > 5
    assert score.facts[0] == score.facts[1] > 10
    assert set(score.found) == set(case.names.values())
    assert score.missed == score.false == score.not_told == ()
    assert score.absent == ("heart", "trachea")
    assert all(v.error_ml == pytest.approx(0) for v in score.volumes)
    assert score.text["rouge1"] == pytest.approx(1)
    assert json.loads(json.dumps(as_json(score)))["volumes"][0]["error_percent"] == pytest.approx(0)
    assert summary([score])[2].split()[0] == case.id


def test_faults_are_seen(report, masks, finder, case):
    sentence = next(n for n, s in enumerate(report.sentences) if "mL" in s.text and s.source == "measured")
    wrong = report.with_text({sentence: "The liver has a volume of 4,711 mL."})
    score = score_report(wrong, masks, finder.known, case, 1.0)
    assert score.sentences[1] == score.sentences[0] - 1
    liver = next(row for row in report.table if row.structure == "liver")
    short = replace(report, table=tuple(row for row in report.table if row is not liver))
    assert score_report(short, masks, finder.known, case, 1.0).missed == ("liver",)
    heart = replace(report, table=(*report.table, replace(liver, structure="heart")))
    assert score_report(heart, masks, finder.known, case, 1.0).false == ("heart",)
    half = masks[liver.mask_id].array
    half[::2] = False
    smaller = masks | {liver.mask_id: masks[liver.mask_id].with_array(half)}
    score = score_report(report, smaller, finder.known, case, 1.0)
    assert score.facts[1] < score.facts[0]
    error = next(v for v in score.volumes if v.structure == "liver")
    assert error.error_percent == pytest.approx(-50, abs=2)
    assert error.error_ml == pytest.approx(-0.5 * error.reference_ml, rel=0.05)


def test_other_facts_are_not_measured_again(masks, case):
    liver = {"liver": next(iter(masks.values()))}
    assert remeasured(Fact("longest_diameter_mm", 1.0, "mm", ("liver",)), liver, case.ct) is None
    assert remeasured(Fact("volume_ml", None, "mL", ("liver",)), liver, case.ct) is None


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"a": " "}'])
def test_bad_references(tmp_path, content):
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(MedVLError, match="references"):
        load_references(path)


@pytest.mark.parametrize("command", ["interactive", "text", "vqa", "report", "speed"])
def test_every_command_takes_json(command, tmp_path):
    assert parser().parse_args([command, "--json", str(tmp_path / "x.json")]).json.name == "x.json"
