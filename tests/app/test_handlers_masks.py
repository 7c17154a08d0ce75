"""The masks panel and what follows from it, without a browser: history, edits, looks, export."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from app import edits, surface
from app.inputs import clean_name
from medvl.ct.masks import Mask
from medvl.errors import PromptError

from .. import phantoms
from .test_handlers import click, dice, last


class TestHistory:
    def test_undo_and_redo(self, opened, phantom):
        click(opened, "a", phantom, "liver")
        click(opened, "a", phantom, "spleen")
        two = opened.store.get("a").case.masks["m1"].voxels
        page = opened.action("a", {"name": "undo"})
        assert page["masks"]["redo"]
        assert dice(opened.store.get("a").case.masks["m1"].array, phantom.organ("liver")) > 0.95
        opened.action("a", {"name": "redo"})
        assert opened.store.get("a").case.masks["m1"].voxels == two

    def test_undo_of_the_first_prompt_and_back(self, opened, phantom):
        click(opened, "a", phantom, "liver")
        page = opened.action("a", {"name": "undo"})
        assert page["masks"]["masks"] == []
        assert page["masks"]["redo"]
        assert not page["masks"]["undo"]
        page = opened.action("a", {"name": "redo"})
        assert len(page["masks"]["masks"]) == 1

    def test_clear_can_be_redone(self, opened, phantom):
        click(opened, "a", phantom, "liver")
        click(opened, "a", phantom, "spleen")
        assert opened.action("a", {"name": "clear"})["masks"]["masks"] == []
        opened.action("a", {"name": "redo"})
        page = opened.action("a", {"name": "redo"})
        assert page["masks"]["masks"][0]["volume_ml"] > 0
        assert len(opened.store.get("a").case.prompts("m1")) == 2

    @pytest.mark.parametrize("name", ["undo", "redo", "clear", "new", "stop", "nonsense", None])
    def test_nothing_to_do(self, opened, name):
        opened.action("a", {"name": name})
        opened.action("a", None)


class TestPanel:
    @pytest.fixture
    def two(self, opened):
        """Masks m1 (a block with a hole and a speck) and m2 (a smaller block inside)."""
        session = opened.store.get("a")
        one = np.zeros(session.ct.shape, bool)
        one[10:20, 10:20, 10:20] = True
        one[14:16, 14:16, 14:16] = False
        one[30, 30, 30] = True
        other = np.zeros(session.ct.shape, bool)
        other[10:20, 10:20, 10:15] = True
        for name, array in (("One", one), ("Two", other)):
            edits.put(session, Mask.from_array(array, id="new", name=name))
        session.activate("m1")
        return opened

    def voxels(self, handlers, mask_id="m1"):
        return handlers.store.get("a").case.masks[mask_id].voxels

    def test_put_gives_ids(self, two):
        assert list(two.store.get("a").case.masks) == ["m1", "m2"]

    def test_rename(self, two):
        page = two.edit("a", {"op": "rename", "id": "m1", "name": "  Left\n kidney "})
        assert page["masks"]["masks"][0]["name"] == "Left kidney"
        assert b"Left kidney" in two.store.get("a").board.delta(-1)

    def test_bad_names(self):
        assert clean_name("x" * 500) == "x" * 60
        assert clean_name("<b>a</b>\u202e") == "<b>a</b>"
        for bad in ("", "  ", "\x00\n", None):
            with pytest.raises(PromptError):
                clean_name(bad)

    def test_colour(self, two):
        assert two.edit("a", {"op": "color", "id": "m1", "color": "#AABBCC"})["masks"]["masks"][0]["color"] == "#aabbcc"
        with pytest.raises(PromptError):
            two.edit("a", {"op": "color", "id": "m1", "color": "red;background:url(//x)"})

    def test_eye_and_opacity(self, two):
        assert not two.edit("a", {"op": "eye", "id": "m1", "visible": False})["masks"]["masks"][0]["visible"]
        assert two.edit("a", {"op": "opacity", "id": "m1", "opacity": 0.8})["masks"]["masks"][0]["opacity"] == 0.8
        with pytest.raises(PromptError):
            two.edit("a", {"op": "opacity", "id": "m1", "opacity": "much"})

    def test_styles_survive_an_undo(self, two):
        two.edit("a", {"op": "eye", "id": "m1", "visible": False})
        two.edit("a", {"op": "fill", "id": "m1"})
        two.action("a", {"name": "undo"})
        assert b'"visible":false' in two.store.get("a").board.delta(-1).replace(b" ", b"")

    def test_clean_up(self, two):
        full = 10**3
        two.edit("a", {"op": "largest", "id": "m1"})
        assert self.voxels(two) == full - 8
        two.edit("a", {"op": "fill", "id": "m1"})
        assert self.voxels(two) == full
        two.edit("a", {"op": "smooth", "id": "m1"})
        assert 0 < self.voxels(two) <= full * 1.2

    def test_combine(self, two):
        before = self.voxels(two)
        two.edit("a", {"op": "subtract", "id": "m1", "other": "m2"})
        assert self.voxels(two) < before - 400
        two.edit("a", {"op": "union", "id": "m1", "other": "m2"})
        assert self.voxels(two) >= before
        two.action("a", {"name": "undo"})
        two.action("a", {"name": "undo"})
        assert self.voxels(two) == before
        for other in ("m1", "m9", None):
            with pytest.raises(PromptError, match="another mask"):
                two.edit("a", {"op": "union", "id": "m1", "other": other})

    def test_delete(self, two):
        page = two.edit("a", {"op": "delete", "id": "m1"})
        assert [row["id"] for row in page["masks"]["masks"]] == ["m2"]
        assert page["masks"]["active"] is None
        with pytest.raises(PromptError, match="does not exist"):
            two.edit("a", {"op": "fill", "id": "m1"})

    def test_jump_and_select(self, two):
        page = two.edit("a", {"op": "select", "id": "m2"})
        assert page["masks"]["active"] == "m2"
        before = page["viewer"]["revision"]
        page = two.edit("a", {"op": "jump", "id": "m1"})
        assert page["viewer"]["revision"] > before
        assert page["masks"]["active"] == "m1"

    @pytest.mark.parametrize(
        "data", [None, {}, {"op": "__class__", "id": "m1"}, {"op": ["x"]}, {"op": "select", "id": {}}]
    )
    def test_nonsense(self, two, data):
        two.edit("a", data)

    def test_surfaces_of_visible_masks(self, two):
        two.edit("a", {"op": "eye", "id": "m2", "visible": False})
        figure = two.tab("a", "surface")["surface"]
        assert [trace.name for trace in figure.data] == ["One"]
        scene = figure.layout.scene
        sides = {a: scene[f"{a}axis"].range[1] - scene[f"{a}axis"].range[0] for a in "xyz"}
        scale = {round(sides[a] / scene.aspectratio[a], 3) for a in "xyz"}  # mm a unit: the same along all axes
        assert len(scale) == 1
        assert max(scene.aspectratio[a] for a in "xyz") == 1  # the first camera is placed for that
        assert {a.text for a in figure.layout.scene.annotations} == set("RLAPSI")
        assert "surface" in two.edit("a", {"op": "eye", "id": "m2", "visible": True})
        assert two.tab("a", "masks")["masks"] == two.edit("a", {"op": "select", "id": "m1"})["masks"]
        two.tab("a", "masks")
        assert "surface" not in two.edit("a", {"op": "eye", "id": "m2", "visible": False})

    @pytest.mark.parametrize("sides", [(1, 1, 1), (1, 0.1, 0.1), (0.2, 0.3, 1), (0.8, 1, 0.7)])
    def test_the_first_camera_sees_all_of_them_and_little_more(self, sides):
        sides = np.array(sides, float)
        distance = surface._distance(sides, sides + 0.1)
        eye = np.array(list(surface._eye(distance).values()))
        forward = eye / np.linalg.norm(eye)
        right = np.cross((0, 0, 1), forward)
        right /= np.linalg.norm(right)
        corners = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, -1).T * sides
        seen = (corners @ np.array([right, np.cross(forward, right)]).T) / (distance - corners @ forward)[:, None]
        edge = np.tan(np.pi / 8) * np.array([surface.NARROW, 1])
        fill = (np.abs(seen) / edge).max()
        assert 0.7 < fill < 1

    def test_nothing_to_show_is_words_without_axes(self, opened):
        layout = opened.tab("a", "surface")["surface"].layout
        assert [a.text for a in layout.annotations] == [surface.NOTHING]
        assert layout.xaxis.visible is False
        assert layout.yaxis.visible is False


class TestExport:
    def test_a_zip_in_the_session(self, opened, phantom, tmp_path):
        path = phantoms.write_nifti(tmp_path / "mine.nii.gz", *phantoms.reorient(phantom.hu, phantom.affine, "PSL"))
        reoriented = nib.load(path)
        shape, affine = reoriented.shape, reoriented.affine
        last(opened.open_upload("a", [str(path)]))
        click(opened, "a", phantom, "liver")
        page = opened.export("a", {"include": ["labels", "csv", "masks", "stl"]})
        session = opened.store.get("a")
        assert page["export"]["file"]["href"].startswith(f"/medvl/{session.token}/export")
        found = opened.download(session.token)
        assert found.parent == session.folder
        with zipfile.ZipFile(found) as archive:
            archive.extractall(tmp_path / "out")
        labels = nib.load(next((tmp_path / "out").rglob("labels.nii.gz")))
        assert labels.shape == shape
        np.testing.assert_allclose(labels.affine, affine, atol=1e-3)
        assert opened.download("x" * 32) is None
        opened.store.close("a")
        assert not found.exists()

    @pytest.mark.parametrize("include", [[], None, ["../../x"], "labels"])
    def test_nothing_chosen(self, opened, phantom, include):
        click(opened, "a", phantom, "liver")
        page = opened.export("a", {"include": include})
        assert page.get("toast") or include == "labels"

    def test_hidden_masks_stay_out_unless_chosen_and_overlaps_are_said(self, opened, phantom):
        click(opened, "a", phantom, "liver")
        session = opened.store.get("a")
        (liver,) = session.case.masks.values()
        held = np.zeros(liver.shape, bool)
        lo = liver.box.lo
        held[lo[0] : lo[0] + 4, lo[1] : liver.box.hi[1], lo[2] : liver.box.hi[2]] = True
        part = session.case.put(replace(liver.with_array(liver.array & held), id="", name="Part"))
        body = session.case.put(replace(liver.with_array(np.ones(liver.shape, bool)), id="", name="Body"))
        for mask in (part, body):
            session.show(mask)
        told = opened.tab("a", "export")["export"]
        assert {one["text"].split(" of ")[1] for one in told["overlaps"]} >= {
            f"{liver.name} goes to Part, which lies in it",
            f"Body goes to {liver.name}, which lies in it",
        }
        opened.edit("a", {"op": "eye", "id": body.id, "visible": False})
        told = opened.tab("a", "export")["export"]
        assert told["hidden"] == ["Body"]
        assert {one["text"]: one["hidden"] for one in told["overlaps"]} == {
            one["text"]: " Body " in one["text"] for one in told["overlaps"]
        }

        def names(hidden):
            page = opened.export("a", {"include": ["csv"], "hidden": hidden})
            with zipfile.ZipFile(opened.download(session.token)) as archive:
                rows = csv.DictReader(archive.read("measurements.csv").decode().splitlines())
                return [row["name"] for row in rows], page["export"]["note"]

        assert names(False) == ([liver.name, "Part"], "1 hidden mask left out.")
        assert names(None) == names(False)
        assert names(True) == ([liver.name, "Part", "Body"], "")
        for mask in (liver, part):
            opened.edit("a", {"op": "eye", "id": mask.id, "visible": False})
        assert "hidden" in opened.export("a", {"include": ["csv"]})["toast"]

    def test_the_zip_is_named_after_the_scan(self, opened, phantom, tmp_path):
        path = phantoms.write_nifti(tmp_path / "Müller scan 7.nii.gz", phantom.hu, phantom.affine)
        last(opened.open_upload("a", [str(path)]))
        click(opened, "a", phantom, "liver")
        page = opened.export("a", {"include": ["csv"]})
        assert page["export"]["file"]["name"] == "Müller_scan_7-medvl.zip"

    def test_no_masks(self, opened):
        page = opened.export("a", {"include": ["labels"]})
        assert "no mask" in page["toast"]
        assert page["export"]["file"] is None

    def test_lengths_alone_and_a_bad_list(self, opened, phantom):
        session = opened.store.get("a")
        one = {"plane": "axial", "slice": 5, "ends": [[1, 2, 5], [11, 2, 5]]}
        lengths = {"scan": session.token, "list": [one]}
        page = opened.export("a", {"include": ["labels", "csv"], "lengths": lengths})
        assert "toast" not in page
        with zipfile.ZipFile(opened.download(session.token)) as archive:
            assert archive.namelist() == ["README.txt", "lengths.csv", "measurements.csv"]
            assert archive.read("lengths.csv").decode().splitlines()[1].startswith("1,axial,6,")
        page = opened.export("a", {"include": ["labels"], "lengths": lengths})
        assert "Choose Measurements" in page["toast"]
        click(opened, "a", phantom, "liver")
        lengths["list"].append({**one, "slice": 4000})
        page = opened.export("a", {"include": ["labels", "csv"], "lengths": lengths})
        assert "length" in page["toast"]
        assert page["export"]["file"] is None
        assert "toast" not in opened.export("a", {"include": ["labels", "csv"]})  # a page without a viewer sends none
