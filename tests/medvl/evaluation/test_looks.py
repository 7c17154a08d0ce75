from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume
from medvl.errors import MedVLError
from medvl.evaluation.__main__ import main
from medvl.evaluation.looks import LookCase, judged, kept_masks, lies_in, look_cases
from medvl.tools.looks import Amount, Look, Place, Spot

SHAPE = (20, 20, 20)


def ct(shape=SHAPE) -> CTVolume:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    return CTVolume(np.zeros(shape, np.int16), affine, SourceGeometry(shape, affine))


def cube(lo: int, size: int) -> np.ndarray:
    array = np.zeros(SHAPE, bool)
    array[lo : lo + size, lo : lo + size, lo : lo + size] = True
    return array


def spot(array: np.ndarray, sureness: str = "likely") -> Spot:
    mask = Mask.from_array(array, id="")
    return Spot(mask, "solid", 1.0, 0.0, 0, 0, 5.0, 5.0, Place("", "left", 1, (0, 0, 0)), sureness)


def test_rank_and_false_spots_are_counted():
    case = LookCase("a", ct(), {"liver_tumour": cube(10, 5)})
    spots = (spot(cube(1, 3)), spot(cube(11, 3)), spot(cube(5, 3), "unclear"))
    result = judged(case, Look("focal_liver", True, "", spots), 0.1)
    assert (result.rank, result.false, result.false_clear) == (2, 2, 1)
    nothing = judged(case, Look("focal_liver", False, "", ()), 0.1)
    assert (nothing.rank, nothing.false) == (None, 0)
    unlabelled = judged(LookCase("b", ct(), {}), Look("focal_liver", True, "", spots), 0.1)
    assert (unlabelled.rank, unlabelled.false) == (None, None)


def test_a_spot_lies_in_a_label_by_half_of_either():
    label = cube(10, 4)
    assert lies_in(spot(cube(11, 2)), label)
    assert lies_in(spot(cube(8, 8)), label)  # much larger, and it holds all of it
    assert not lies_in(spot(cube(4, 7)), label)


def test_volumes_are_compared():
    label = cube(5, 10)
    case = LookCase("a", ct(), {"pleural_effusion": label})
    amounts = (Amount("fluid_ml", 5.0, "mL", side="right"), Amount("fluid_ml", 2.0, "mL", side="left"))
    result = judged(case, Look("pleural_fluid", True, "", (), amounts), 0.1)
    assert (result.measured, result.reference) == (7.0, pytest.approx(label.sum() * 0.008))


def test_masks_are_kept_and_found_once(tmp_path):
    found = []

    def find(volume):
        found.append(volume)
        return {"liver": Mask.from_array(cube(3, 6), id="m1", name="Liver")}

    first, second = (kept_masks(tmp_path, "a", ct(), find) for _ in range(2))
    assert len(found) == 1
    assert np.array_equal(first["liver"].array, second["liver"].array)
    with pytest.raises(MedVLError, match="another scan"):
        kept_masks(tmp_path, "a", ct((10, 10, 10)), find)


def test_the_command_writes_a_table_and_json(tmp_path, capsys):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    hu = np.full((30, 30, 20), -1000, np.int16)
    hu[5:25, 5:25] = 40
    hu[10:13, 10:13, 8:11] = 3000
    nib.save(nib.Nifti1Image(hu, affine), tmp_path / "ct.nii.gz")
    entry = {"id": "made", "ct": "ct.nii.gz", "split": "train"}
    (tmp_path / "cases.json").write_text(json.dumps([entry]))
    case = next(look_cases(tmp_path / "cases.json"))
    body = {"body": Mask.from_array(case.ct.hu > -300, id="body")}
    kept_masks(tmp_path / "masks", "made", case.ct, lambda _: body)
    options = ["--cases", str(tmp_path / "cases.json"), "--masks", str(tmp_path / "masks")]
    options += ["--pictures", str(tmp_path / "pictures"), "--json", str(tmp_path / "out.json")]
    assert main(["looks", *options, "--look", "metal", "bladder"]) == 0
    results = json.loads((tmp_path / "out.json").read_text())["results"]
    assert [(r["look"], r["seen"], r["spots"]) for r in results] == [("metal", True, 1), ("bladder", None, 0)]
    assert (tmp_path / "pictures" / "made_metal.png").exists()
    assert "metal" in capsys.readouterr().out


def test_what_is_wrong_is_said(tmp_path, capsys):
    assert main(["looks", "--cases", str(tmp_path / "none.json")]) == 2
    assert main(["looks"]) == 2
    assert main(["looks", "--cases", str(tmp_path / "none.json"), "--look", "cancer"]) == 2
    said = capsys.readouterr().err
    assert "no such cases.json" in said
    assert "--cases" in said
    assert "no look cancer" in said
