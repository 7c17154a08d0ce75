"""Masks that a visitor brings for the open scan, in each format, in whatever box they are dropped."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from medvl.ct.geometry import restore
from medvl.ct.masks import Mask

from .test_handlers import last


@pytest.fixture
def drop(tmp_path_factory):
    """An upload as Gradio puts it down: a copy of its own, which is taken away."""

    def put(*files):
        folder = tmp_path_factory.mktemp("up")
        return [shutil.copy(file, folder) for file in files]

    return put


@pytest.fixture
def labelled(opened, phantom, tmp_path):
    """A label map of liver and spleen, an image of one organ, and 3D Slicer's file of both."""
    ct = opened.store.get("a").ct
    organs = {"liver": phantom.organ("liver"), "spleen": phantom.organ("spleen")}
    labels = np.zeros(ct.shape, np.uint8)
    for value, array in enumerate(organs.values(), start=1):
        labels[array] = value
    nib.save(nib.Nifti1Image(restore(labels, ct.affine, ct.source), ct.source.affine), tmp_path / "labels.nii.gz")
    nib.save(
        nib.Nifti1Image(restore((labels == 1).astype(np.uint8), ct.affine, ct.source), ct.source.affine),
        tmp_path / "my liver.nii.gz",
    )
    image = sitk.ReadImage(str(tmp_path / "labels.nii.gz"))
    for n, (name, color) in enumerate({"Leber": "1 0 0", "Milz": "0 0.5 1"}.items()):
        for key, value in {"ID": f"S{n}", "Name": name, "Color": color, "LabelValue": str(n + 1), "Layer": "0"}.items():
            image.SetMetaData(f"Segment{n}_{key}", value)
    sitk.WriteImage(image, str(tmp_path / "both.seg.nrrd"))
    return tmp_path, organs


def names(session):
    return {mask.name: mask for mask in session.case.masks.values()}


def test_a_label_map_with_its_names(opened, labelled, drop):
    folder, organs = labelled
    (folder / "labels.json").write_text('{"labels": [{"value": 1, "name": "Liver"}, {"value": 2, "name": "Spleen"}]}')
    session = opened.store.get("a")
    token = session.token
    updates = last(opened.add_masks("a", drop(folder / "labels.nii.gz", folder / "labels.json")))
    assert updates["tab"] == "masks"
    assert "2 masks" in updates["masks"]["told"]
    assert opened.store.get("a").token == token
    for name, organ in (("Liver", "liver"), ("Spleen", "spleen")):
        assert np.array_equal(names(session)[name].array, organs[organ])
    assert session.board.mask_ids == set(session.case.masks)
    assert len({mask.color for mask in session.case.masks.values()}) == 2


@pytest.mark.parametrize("file", ["both.seg.nrrd", "labels.nii.gz", "my liver.nii.gz"])
def test_dropped_into_the_box_for_scans_they_are_masks_of_the_open_one(opened, labelled, drop, file):
    folder, organs = labelled
    session = opened.store.get("a")
    last(opened.open_upload("a", drop(folder / file)))
    assert opened.store.get("a") is session
    wanted = {
        "both.seg.nrrd": {"Leber": "liver", "Milz": "spleen"},
        "labels.nii.gz": {"Label 1": "liver", "Label 2": "spleen"},
        "my liver.nii.gz": {"my liver": "liver"},
    }[file]
    assert {name: None for name in names(session)} == dict.fromkeys(wanted)
    for name, organ in wanted.items():
        assert np.array_equal(names(session)[name].array, organs[organ])


def test_undo_takes_a_brought_mask_away_and_clicks_go_to_it(opened, labelled, drop):
    folder, _ = labelled
    session = opened.store.get("a")
    last(opened.add_masks("a", drop(folder / "my liver.nii.gz")))
    assert session.target.mask_id in session.case.masks
    opened.action("a", {"name": "undo"})
    assert session.case.masks == {}


def test_another_grid_is_resampled_with_a_word_only(opened, labelled, drop):
    folder, organs = labelled
    image = nib.load(folder / "my liver.nii.gz")
    coarse = np.asarray(image.dataobj)[::2, ::2, ::2]
    affine = image.affine @ np.diag([2, 2, 2, 1])
    nib.save(nib.Nifti1Image(coarse, affine), folder / "coarse.nii.gz")
    session = opened.store.get("a")
    refused = last(opened.add_masks("a", drop(folder / "coarse.nii.gz")))
    assert "another grid" in refused["toast"]
    assert session.case.masks == {}
    last(opened.add_masks("a", drop(folder / "coarse.nii.gz"), resample=True))
    (mask,) = session.case.masks.values()
    organ = organs["liver"]
    assert 2 * (mask.array & organ).sum() / (mask.voxels + organ.sum()) > 0.75


def test_a_scan_is_no_mask_and_a_mask_of_nothing_says_so(opened, labelled, drop, shelf_folder):
    session = opened.store.get("a")
    folder, _ = labelled
    assert "looks like an image" in last(opened.add_masks("a", drop(shelf_folder / "phantom.nii.gz")))["toast"]
    (folder / "x.txt").write_text("no")
    assert "hold no masks" in last(opened.add_masks("a", drop(folder / "x.txt")))["toast"]
    (folder / "y.nii.gz").write_bytes(b"\x1f\x8b damaged")
    assert last(opened.add_masks("a", drop(folder / "y.nii.gz")))["toast"]
    assert "No file arrived" in last(opened.add_masks("a", None))["toast"]
    assert session.case.masks == {}


def test_names_of_strangers_are_one_printable_line(opened, drop):
    session = opened.store.get("a")
    array = np.zeros(session.ct.shape, bool)
    array[4:9, 4:9, 4:9] = True
    opened._take_masks(session, [Mask.from_array(array, id="", name="a\n<b>\x00" + "x" * 500)])
    (mask,) = session.case.masks.values()
    assert mask.name.startswith("a <b>x") or mask.name.startswith("a<b>x")
    assert len(mask.name) <= 60
