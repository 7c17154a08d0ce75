"""Many scans from the page: each with its own result, one zip, stopped and refused in plain words."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import threading
import zipfile

import nibabel as nib
import numpy as np
import pytest

from app.handlers import Handlers
from app.many import table
from app.scans import SampleShelf
from app.sessions import SessionStore
from medvl.errors import CTReadError, MedVLError
from medvl.jobs.spread import Outcome

from .. import phantoms
from .talking import TalkingModel


@pytest.fixture
def talking(shelf_folder, phantom):
    model = TalkingModel({name: phantom.organ(name) for name in ("liver", "spleen")})
    made = Handlers(model, SessionStore(budget_bytes=10**9), SampleShelf(shelf_folder))
    list(made.open_default("a"))
    yield made
    made.store.shutdown()


@pytest.fixture
def upload(phantom, tmp_path):
    """Two scans and a broken file, as Gradio puts them down."""
    folder = tmp_path / "up"
    folder.mkdir()
    phantoms.write_nifti(folder / "a.nii.gz", phantom.hu, phantom.affine)
    phantoms.write_itk(folder / "=b.nrrd", phantom.hu, phantom.affine)
    (folder / "broken.nii.gz").write_bytes(b"nothing")
    return [str(path) for path in sorted(folder.iterdir())]


def unpacked(talking, key="a"):
    token = talking.store.get(key).token
    return zipfile.ZipFile(talking.many.file(token))


def test_each_scan_gets_its_masks_and_all_go_into_one_zip(talking, upload, phantom):
    shown = list(talking.many.run("a", upload, "segment the liver and the spleen"))
    assert "2 of 3 scans done" in shown[-1]
    assert f"medvl/{talking.store.get('a').token}/many" in shown[-1]
    with unpacked(talking) as archive:
        names = set(archive.namelist())
        assert {"results.csv", "manifest.json", "a.nii.gz", "=b.nii.gz"} <= names
        assert not any("result.json" in name for name in names)
        rows = list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))
        statuses = {case["source"]: case["status"] for case in json.loads(archive.read("manifest.json"))["cases"]}
        labels = nib.Nifti1Image.from_bytes(gzip.decompress(archive.read("a.nii.gz")))
    assert statuses == {"a.nii.gz": "done", "=b.nrrd": "done", "broken.nii.gz": "failed"}
    volumes = {(r["scan"], r["structure"].lower()): float(r["value"]) for r in rows if r["measure"] == "volume_ml"}
    for name in ("liver", "spleen"):
        for scan in ("a.nii.gz", "'=b.nrrd"):  # no cell is a formula
            assert volumes[scan, name] == pytest.approx(phantom.organ(name).sum() * 0.252, rel=1e-3)
    assert len(np.unique(np.asarray(labels.dataobj))) == 3
    assert next(r for r in rows if r["scan"] == "broken.nii.gz")["message"]


def test_without_words_a_report_of_each(talking, upload):
    last = list(talking.many.run("a", upload[:2], " "))[-1]
    assert "2 of 2 scans done" in last
    with unpacked(talking) as archive:
        assert {"a.md", "a.html", "a.json"} <= set(archive.namelist())


def test_the_open_scan_and_its_masks_stay(talking, upload):
    session = talking.store.get("a")
    before = (session.token, list(session.case.masks))
    list(talking.many.run("a", upload, "liver"))
    assert (talking.store.get("a").token, list(session.case.masks)) == before


def test_nothing_stays_beside_the_zip(talking, upload, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    list(talking.many.run("a", upload, "liver"))
    assert [p.name for p in tmp_path.iterdir() if p.name != "up"] == []
    folder = talking.store.get("a").folder
    assert [p.name for p in folder.iterdir()] == ["medvl-many-scans.zip"]
    talking.store.close("a")
    assert not folder.exists()


def test_stop_ends_it_and_offers_what_was_done(talking, upload):
    talking.many._model.find_s = 0.3
    shown = []
    for one in talking.many.run("a", upload, "liver"):
        shown.append(one)
        if one.count("done</span>") == 1:
            talking.many.stop("a")
    assert "Stopped" in shown[-1]
    with unpacked(talking) as archive:
        assert sum(name.endswith(".nii.gz") for name in archive.namelist()) <= 2
    assert not [t for t in threading.enumerate() if t.name == "many-scans"]


def test_a_second_request_waits_for_the_first(talking, upload):
    talking.many._model.find_s = 0.2
    first = talking.many.run("a", upload, "liver")
    next(first)
    with pytest.raises(MedVLError, match="already"):
        list(talking.many.run("a", upload[:1], "liver"))
    first.close()  # the page went away
    assert not [t for t in threading.enumerate() if t.name == "many-scans"]


def test_what_is_no_scan_is_said(talking, tmp_path):
    with pytest.raises(CTReadError, match="No file arrived"):
        list(talking.many.run("a", None, "liver"))
    (tmp_path / "notes.txt").write_text("nothing")
    assert "holds no CT" in list(talking.many.run("a", [str(tmp_path / "notes.txt")], "liver"))[-1]


def test_names_of_files_are_no_markup():
    shown = table([Outcome("x", "<b onload=x>", "failed", 0.1, "<i>")], [], "told")
    assert "<b onload" not in shown
    assert "<i>" not in shown


def test_nobody_else_has_the_file(talking, upload):
    list(talking.many.run("a", upload[:1], "liver"))
    assert talking.many.file("another token") is None
    list(talking.open_default("b"))
    assert talking.many.file(talking.store.get("b").token) is None
    shutil.rmtree(talking.store.get("a").folder)
    assert talking.many.file(talking.store.get("a").token) is None
