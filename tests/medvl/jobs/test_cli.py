"""The command line: JSON on stdout, words on stderr, exit codes, coordinates of the file's own array order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import medvl
from medvl.ct.geometry import to_canonical
from medvl.errors import PromptError
from medvl.evaluation.cases import SAMPLES
from medvl.evaluation.interactive import dice
from medvl.jobs import cli
from medvl.jobs.one_scan import box_from_source, describe, point_from_source
from medvl.readers import read_ct

from ... import phantoms
from ...app.stand_in import StandInModel

ABDOMEN = SAMPLES / "abdomen_ct.nii.gz"
CODES = ("RAS", "LPS", "PIR", "SAL", "IRP", "ASL")


@pytest.fixture(scope="module")
def phantom():
    return phantoms.phantom((48, 44, 40), spacing=(6.0, 6.0, 7.0), noise=0)


@pytest.fixture
def stored(phantom, tmp_path):
    """Write the phantom along given axes; returns the path and a label's voxels in the file's order."""

    def write(codes):
        array, affine = phantoms.reorient(phantom.hu, phantom.affine, codes)
        liver, _ = phantoms.reorient(phantom.organ("liver"), phantom.affine, codes)
        return phantoms.write_nifti(tmp_path / f"{codes}.nii.gz", array, affine), liver

    return write


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr("medvl.model.load", lambda *_, **__: StandInModel())


class TestInfo:
    @pytest.mark.parametrize("codes", CODES)
    def test_the_files_own_axes(self, stored, codes, capsys):
        path, liver = stored(codes)
        assert cli.main(["info", str(path)]) == 0
        info = json.loads(capsys.readouterr().out)
        assert info["shape"] == list(liver.shape)
        assert info["orientation"] == codes
        assert info["spacing_mm"] == pytest.approx(np.linalg.norm(nib.load(path).affine[:3, :3], axis=0).tolist())
        assert info["hu_range"][0] < -800 < 400 < info["hu_range"][1]

    def test_several_scans_are_listed_and_chosen(self, phantom, tmp_path, capsys):
        folder = phantoms.write_dicom_series(tmp_path / "d", phantom.hu, phantom.affine, phases=2)
        assert cli.main(["info", str(folder)]) == 0
        listed = json.loads(capsys.readouterr().out)["series"]
        assert [(each["id"], each["slices"], each["opened"]) for each in listed] == [
            ("4.1", 40, True),
            ("4.2", 40, False),
        ]
        assert cli.main(["info", str(folder), "--series", "4.2"]) == 0
        info = json.loads(capsys.readouterr().out)
        assert info["hu_range"] == [int(phantom.hu.min()) + 100, int(phantom.hu.max()) + 100]
        assert cli.main(["info", str(folder), "--series", "12"]) == 1
        assert "4.1, 4.2" in capsys.readouterr().err

    def test_values_that_are_no_hu(self, phantom, tmp_path, capsys):
        def edit(ds, k):
            ds.RescaleType = "MGML"

        folder = phantoms.write_dicom_series(tmp_path / "d", phantom.hu, phantom.affine, edit=edit)
        assert cli.main(["info", str(folder)]) == 0
        info = json.loads(capsys.readouterr().out)
        assert info["hu_range"] is None
        assert info["value_range"] == [int(phantom.hu.min()), int(phantom.hu.max())]
        assert "MGML" in info["hu_note"]

    def test_not_a_scan(self, tmp_path, capsys):
        path = tmp_path / "x.nii.gz"
        path.write_bytes(b"nothing")
        assert cli.main(["info", str(path)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("medvl: ")
        assert "Traceback" not in err

    def test_as_a_program(self, stored):
        path, _ = stored("LPS")
        done = subprocess.run(
            [sys.executable, "-m", "medvl", "info", str(path)], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout)["orientation"] == "LPS"


class TestSegment:
    def test_what_was_picked_is_told_beside_the_result(self, stored, tmp_path, capsys, fast, monkeypatch):
        line = "Language model: float32, about 2.5 GB of 8.0 GB free on cpu."
        monkeypatch.setattr(StandInModel, "notices", lambda self: [line])
        path, liver = stored("LPS")
        seed = [str(int(v)) for v in np.argwhere(liver).mean(axis=0).round()]
        command = ["segment", str(path), "-o", str(tmp_path / "m.nii.gz"), "--point", *seed]
        assert cli.main(command) == 0
        out, err = capsys.readouterr()
        assert line in err.splitlines()
        assert json.loads(out)["volume_ml"] > 0
        assert cli.main([*command, "-q"]) == 0
        assert line not in capsys.readouterr().err

    @pytest.mark.parametrize("codes", CODES)
    def test_points_and_output_in_the_files_order(self, stored, codes, tmp_path, capsys, fast):
        path, liver = stored(codes)
        seed = [str(int(v)) for v in np.argwhere(liver).mean(axis=0).round()]
        out = tmp_path / "mask.nii.gz"
        assert cli.main(["segment", str(path), "-o", str(out), "--point", *seed, "-q"]) == 0
        result = json.loads(capsys.readouterr().out)
        mask = nib.load(out)
        np.testing.assert_allclose(mask.affine, nib.load(path).affine, atol=1e-3)
        found = np.asarray(mask.dataobj) > 0
        assert 2 * (found & liver).sum() / (found.sum() + liver.sum()) > 0.95
        assert result["volume_ml"] == pytest.approx(found.sum() * 0.252, rel=1e-6)
        assert "not for diagnosis" in result["notice"]

    def test_box_and_negative_point(self, stored, tmp_path, capsys, fast):
        path, liver = stored("LPS")
        low, high = np.argwhere(liver).min(axis=0), np.argwhere(liver).max(axis=0) + 1
        centre = np.argwhere(liver).mean(axis=0).round().astype(int)
        base = ["segment", str(path), "-o", str(tmp_path / "m.nii.gz"), "--box", *map(str, (*low, *high))]
        assert cli.main(base) == 0
        whole = json.loads(capsys.readouterr().out)["volume_ml"]
        assert cli.main([*base, "--negative-point", *map(str, centre)]) == 0
        assert json.loads(capsys.readouterr().out)["volume_ml"] < whole

    @pytest.mark.parametrize(
        ("prompts", "words"),
        [
            ([], "Nothing to segment"),
            (["--negative-point", "1", "1", "1"], "positive"),
            (["--point", "1", "1", "999"], "outside"),
        ],
    )
    def test_bad_prompts(self, stored, tmp_path, capsys, fast, prompts, words):
        path, _ = stored("RAS")
        out = tmp_path / "m.nii.gz"
        assert cli.main(["segment", str(path), "-o", str(out), *prompts]) == 1
        assert words in capsys.readouterr().err
        assert not out.exists()

    def test_wrong_output(self, stored, tmp_path, capsys, fast):
        path, liver = stored("RAS")
        seed = [str(int(v)) for v in np.argwhere(liver).mean(axis=0).round()]
        assert cli.main(["segment", str(path), "-o", str(tmp_path / "m.png"), "--point", *seed]) == 1


class TestSegmentByName:
    """The bundled network on the bundled abdomen."""

    @pytest.fixture(autouse=True)
    def loaded(self, monkeypatch, model):
        monkeypatch.setattr("medvl.model.load", lambda *_, **__: model)

    def test_several_names_give_a_label_map_in_the_files_geometry(self, tmp_path, capsys, abdomen):
        out = tmp_path / "kidneys.nii.gz"
        assert cli.main(["segment", str(ABDOMEN), "-o", str(out), "--text", "both kidneys", "-q"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [thing["name"] for thing in told["objects"]] == ["Right kidney", "Left kidney"]
        image = nib.load(out)
        assert np.allclose(image.affine, nib.load(ABDOMEN).affine)
        labels, _ = to_canonical(np.asarray(image.dataobj), image.affine)
        for value, name in ((1, "right_kidney"), (2, "left_kidney")):
            assert dice(labels == value, abdomen.mask(name)) > 0.75

    @pytest.mark.parametrize("text", ["left parotid", "prostate", "don't segment the liver"])
    def test_what_gives_no_mask_gives_no_file(self, tmp_path, capsys, text):
        out = tmp_path / "none.nii.gz"
        assert cli.main(["segment", str(ABDOMEN), "-o", str(out), "--text", text, "-q"]) == 1
        assert not out.exists()
        assert len(capsys.readouterr().err) > len("medvl: \n")


@pytest.mark.parametrize("codes", CODES)
def test_boxes_keep_their_voxels(stored, codes):
    path, _ = stored(codes)
    ct = read_ct(path)
    corners = (3, 5, 7, 11, 9, 8)
    box = box_from_source(corners, ct)
    mark = np.zeros(ct.source.shape, bool)
    mark[3:11, 5:9, 7:8] = True
    canonical, _ = phantoms.reorient(mark, ct.source.affine, "RAS")
    inside = np.zeros(ct.shape, bool)
    inside[box.slices] = True
    np.testing.assert_array_equal(inside, canonical)
    point = point_from_source((3, 5, 7), ct)
    assert canonical[point.ijk]
    assert describe(ct)["shape"] == list(ct.source.shape)


@pytest.mark.parametrize(
    "corners",
    [
        (0, 0, 0, 1, 1),
        (5, 5, 5, 5, 6, 6),
        (0, 0, 0, 999, 1, 1),
        ("a", 0, 0, 1, 1, 1),
        (-1, 0, 0, 1, 1, 1),
        (0.5, 0, 0, 1, 1, 1),
    ],
)
def test_bad_boxes(stored, corners):
    path, _ = stored("RAS")
    ct = read_ct(path)
    with pytest.raises(PromptError):
        box_from_source(corners, ct)


def test_version_is_that_of_the_project():
    text = (Path(medvl.__file__).parents[1] / "pyproject.toml").read_text()
    assert f'version = "{medvl.__version__}"' in text


def test_ask_and_report_take_the_options_of_the_model(monkeypatch, capsys):
    asked = []

    def load(**given):
        asked.append(given)
        raise medvl.WeightsError("stop here")

    monkeypatch.setattr("medvl.model.load", load)
    model = "--preset 7b --device cpu --quantization 4bit --sam2 medsam2 --checkpoints here --max-memory cpu=2GiB 0=5GB"
    for command in (["ask", "ct.nii.gz", "What is seen?"], ["report", "ct.nii.gz"]):
        assert cli.main([*command, *model.split(), "--device-map", '{"": "cpu"}']) == 1
    wanted = {"name": "7b", "device": "cpu", "quantization": "4bit", "sam2": "medsam2", "checkpoints": "here"}
    wanted |= {"device_map": {"": "cpu"}, "max_memory": {"cpu": 2 * 2**30, 0: 5 * 10**9}}
    assert [{key: given[key] for key in wanted} for given in asked] == [wanted] * 2
    assert "stop here" in capsys.readouterr().err
