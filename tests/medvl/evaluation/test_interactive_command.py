"""The command of the interactive protocols: which structures it asks for, and what is left when it is cut short."""

from __future__ import annotations

import json

import numpy as np
import pytest

from medvl.evaluation import commands
from medvl.evaluation.__main__ import main

from ...phantoms import phantom, write_nifti


class Empty:
    """A method that finds nothing, at once."""

    name, clicks = "empty", True

    def __init__(self, model):
        pass

    def open(self, ct):
        self.shape = ct.shape

    def box(self, box):
        return np.zeros(self.shape, bool)

    click = box


@pytest.fixture
def cases(tmp_path, monkeypatch):
    """Two scans whose structures have names of no large organ but one; the file of the third is missing."""
    monkeypatch.setattr(commands, "Ours", Empty)
    monkeypatch.setattr(commands, "load", lambda *_: None)
    body, entries = phantom(), []
    for number, names in enumerate(
        ({"1": "liver", "2": "tumour"}, {"1": "mandible", "2": "brainstem"}, {"1": "liver"})
    ):
        entry = {"id": f"c{number}", "ct": f"ct{number}.nii.gz", "labels": "labels.nii.gz", "split": "val"}
        entries.append(entry | {"label_names": names, "complete": [], "label_origin": "made up"})
        if number < 2:
            write_nifti(tmp_path / entry["ct"], body.hu, body.affine)
    write_nifti(tmp_path / "labels.nii.gz", body.labels, body.affine)
    (tmp_path / "cases.json").write_text(json.dumps(entries))
    return tmp_path


def run(cases, *options):
    file = cases / "out.json"
    code = main(["interactive", "--cases", str(cases / "cases.json"), "--json", str(file), *options])
    return code, [(r["case"], r["structure"]) for r in json.loads(file.read_text())["results"]] if file.exists() else []


def test_challenge_asks_for_all_and_what_was_measured_stays_where_a_case_cannot_be_read(cases, capsys):
    code, rows = run(cases, "--protocol", "cvpr25")
    assert code == 2
    assert rows == [("c0", "liver"), ("c0", "tumour"), ("c1", "mandible"), ("c1", "brainstem")]
    printed = capsys.readouterr()
    assert "case 2, c1: 2 structures" in printed.out
    assert "Case c2: There is no such file" in printed.err


def test_plain_asks_for_large_organs_or_all_of_a_case_without_any(cases):
    code, rows = run(cases, "--case", "c0", "c1")
    assert (code, rows) == (0, [("c0", "liver"), ("c1", "mandible"), ("c1", "brainstem")])
    assert run(cases, "--case", "c1", "--structure", "mandible", "liver")[1] == [("c1", "mandible")]
