"""The report: grounded sentences, editable text, and exports that stand alone."""

from __future__ import annotations

import base64
import copy
import datetime
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medvl.conversation import guard
from medvl.ct.masks import End
from medvl.ct.volume import ScanInfo
from medvl.report.build import build_report
from medvl.report.report import NOTICE, Report
from medvl.report.slice_png import slice_png
from medvl.tools.pieces import MaskRef, Step
from medvl.version import __version__

from ..scenes import finder_of, sample, scene_of


@pytest.fixture(scope="module")
def made():
    shares = []
    pieces = list(build_report(sample(), progress=shares.append))
    return pieces, shares


@pytest.fixture(scope="module")
def report(made) -> Report:
    return made[0][-1]


def test_progress_comes_first_and_the_report_last(made):
    pieces, shares = made
    assert isinstance(pieces[-1], Report)
    assert all(isinstance(p, (Step, MaskRef)) for p in pieces[:-1])
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_every_sentence_is_true_to_its_facts_and_its_masks_exist(made, report):
    masks = {p.mask.id for p in made[0] if isinstance(p, MaskRef)}
    assert all(guard.holds(told) for told in report.sentences)
    assert {id for told in report.sentences for id in told.mask_ids} <= masks
    assert {row.mask_id for row in report.table} <= masks


def test_sections_of_the_contract_are_there_and_the_limits_are_told(report):
    titles = [section.title for section in report.sections]
    for title in ("Technique", "Findings", "Impression", "Not measured, not judged", "Sources"):
        assert title in titles
    text = report.markdown()
    assert NOTICE in text
    for section in report.sections:
        if section.title in ("Impression", "Sources"):
            assert all(f"\n- {told.text}\n" in text for told in section.sentences)
    assert "cut by the border of the scan" in text
    assert "lymph nodes" in text


def test_table_holds_the_measurements_of_the_masks(report):
    finder = sample()
    for row in report.table:
        measured = finder.find(row.structure).mask.measure(finder.ct)
        assert row.facts[0].value == pytest.approx(measured.volume_ml)
        assert row.facts[1].value == pytest.approx(measured.mean_hu)


def test_edited_text_is_what_every_export_uses(report):
    index = next(n for n, told in enumerate(report.sentences) if "gallbladder" in told.text)
    edited = report.with_text({index: "Gallbladder <b>looked at</b> by me."})
    assert edited.sentences[index].mask_ids == report.sentences[index].mask_ids
    assert "Gallbladder <b>looked at</b> by me." in edited.markdown()
    assert "Gallbladder &lt;b&gt;looked at&lt;/b&gt; by me." in edited.html()
    assert "Gallbladder <b>looked at</b> by me." in json.dumps(edited.to_dict())
    assert edited.edited
    assert not report.edited
    assert not report.with_text([told.text for told in report.sentences]).edited
    assert len(report.with_text({index: " "}).sentences) == len(report.sentences) - 1
    with pytest.raises(ValueError, match="sentences"):
        report.with_text(["only one"])


def test_html_stands_alone(report):
    page = report.html()
    assert not re.search(r"<script|https?://|<link|url\(", page)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == len(report.pictures) >= 2
    for coded in pictures:
        Image.open(io.BytesIO(base64.b64decode(coded))).verify()


def test_json_is_plain_and_complete(report):
    plain = json.loads(json.dumps(report.to_dict()))
    texts = [told["text"] for section in plain["sections"] for told in section["sentences"]]
    assert texts == [told.text for told in report.sentences]
    assert {row["structure"] for row in plain["measurements"]} == {row.structure for row in report.table}


def test_pictures_show_the_patients_right_on_the_left_and_true_aspect():
    blocks = {"liver": (slice(28, 36), slice(10, 20), slice(10, 20))}  # large i: the patient's right
    finder = finder_of(blocks, affine=np.diag([1.0, 2.0, 3.0, 1.0]))
    masks = scene_of(finder).masks("liver")
    image = Image.open(io.BytesIO(slice_png(finder.ct, masks, 2, 15)))
    assert image.size[0] / image.size[1] == pytest.approx(40 / 72, abs=0.01)
    pixels = np.asarray(image.convert("RGB")).astype(int)
    colored = (pixels.max(axis=2) - pixels.min(axis=2)) > 30
    assert np.nonzero(colored)[1].mean() < image.size[0] / 2


def of(info=None, **ends) -> Report:
    """The report of the sample under another name, its structures' propagations ended."""
    finder = copy.copy(sample())  # the sample is shared by all tests
    finder.ct = replace(finder.ct, info=info or ScanInfo())
    find = finder.find

    def ended(structure, **how):
        found = find(structure, **how)
        return replace(found, mask=replace(found.mask, ends=ends[structure])) if structure in ends else found

    finder.find = ended
    return list(build_report(finder))[-1]


def test_a_report_says_which_scan_it_is_of_when_and_by_which_version():
    report = of(ScanInfo("ten_of_them.nii.gz", "Abdomen 1.5 B31f", ""))
    today = datetime.date.today().isoformat()
    for text in (report.markdown(), report.html(), report.sections[0].sentences[0].text):
        assert all(words in text for words in ("ten_of_them.nii.gz", "Abdomen 1.5 B31f", today, __version__))
    assert report.to_dict()["scan"] == {
        "file_name": "ten_of_them.nii.gz",
        "series_description": "Abdomen 1.5 B31f",
        "date": today,
        "program_version": __version__,
    }
    assert all(guard.holds(told) for told in report.sentences)


@pytest.mark.parametrize(("agent", "words"), [("Iohexol 350", "was given (Iohexol 350)"), ("given", "was given")])
def test_contrast_of_the_header_stands_beside_what_was_measured(agent, words):
    technique = of(ScanInfo(contrast=agent)).sections[0].sentences
    (told,) = [t for t in technique if "header says" in t.text]
    assert words in told.text
    assert told.source == "scan"
    assert guard.holds(told)
    assert not any("header says" in t.text for t in of().sections[0].sentences)


def test_a_propagation_that_was_ended_is_said_with_its_slice():
    report = of(left_kidney=(End(2, 33, "stopped"),))
    assert "was stopped at axial slice 34" in report.markdown().split("## Measurements")[0]
    row = next(row for row in report.to_dict()["measurements"] if row["structure"] == "left_kidney")
    assert row["lower_bound"]
    assert "was stopped at axial slice 34" in row["limits"]
    under = report.markdown().split("## Measurements")[1]
    assert "Left kidney: " in under
    assert "\u2265" in next(line for line in under.splitlines() if line.startswith("| Left kidney"))
    assert all(guard.holds(told) for told in report.sentences)
