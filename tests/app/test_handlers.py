"""What a visitor can do on the page, without a browser: real scans and masks, a stand-in for the networks."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from app.case_session import SessionEndedError
from app.inputs import read_prompt
from app.panels import panel
from app.prompts import status_line
from medvl.ct.prompts import Box, Point
from medvl.errors import CTReadError, PromptError

from .. import phantoms


def last(updates):
    """The page after a handler is done: later updates over earlier ones."""
    page = {}
    for update in updates:
        page |= update
    return page


def click(handlers, key, phantom, organ, positive=True):
    data = {"kind": "point", "ijk": list(phantom.centre(organ)), "positive": positive, "axis": 2}
    return last(handlers.prompt(key, data))


def dice(a, b):
    return 2 * np.sum(a & b) / (np.sum(a) + np.sum(b))


class TestOpening:
    def test_the_default_sample(self, handlers):
        page = last(handlers.open_default("a"))
        assert page["viewer"]["token"] == handlers.store.get("a").token
        assert page["viewer"]["base"] == f"/medvl/{page['viewer']['token']}"
        assert page["facts"]["title"] == "Phantom"
        assert ["Voxels", panel.TIMES.join(("48", "44", "40"))] in page["facts"]["rows"]
        assert page["masks"]["masks"] == []
        assert "toast" not in page

    def test_a_sample_is_read_once_and_cannot_be_written(self, handlers):
        last(handlers.open_default("a"))
        last(handlers.open_default("b"))
        a, b = handlers.store.get("a"), handlers.store.get("b")
        assert a.ct is b.ct
        assert a.case is not b.case
        with pytest.raises(ValueError, match="read-only"):
            a.ct.hu[0, 0, 0] = 1

    def test_a_sample_chosen_twice_at_once_is_opened_once(self, handlers):
        first = handlers.open_sample("a", handlers.shelf.default)
        next(first)
        assert list(handlers.open_sample("a", handlers.shelf.default)) == []
        token = last(first)["viewer"]["token"]
        assert handlers.store.get("a").token == token
        assert last(handlers.open_sample("a", handlers.shelf.default))["viewer"]["token"] != token

    def test_a_page_that_comes_back_keeps_its_scan(self, opened):
        token = opened.store.get("a").token
        assert last(opened.open_default("a"))["viewer"]["token"] == token

    def test_unknown_sample(self, opened):
        page = last(opened.open_sample("a", "../../etc/passwd"))
        assert "no such sample" in page["toast"]

    def test_upload(self, opened, phantom, tmp_path):
        before = opened.store.get("a")
        path = phantoms.write_nifti(tmp_path / "mine.nii.gz", *phantoms.reorient(phantom.hu, phantom.affine, "LPS"))
        page = last(opened.open_upload("a", [str(path)]))
        session = opened.store.get("a")
        assert session is not before
        assert page["facts"]["title"] == "mine.nii.gz"
        assert ["File's axes", "LPS"] in page["facts"]["rows"]
        np.testing.assert_array_equal(session.ct.hu, phantom.hu)

    def test_the_upload_is_deleted(self, opened, phantom, tmp_path):
        (tmp_path / "hash").mkdir()
        path = phantoms.write_nifti(tmp_path / "hash" / "mine.nii.gz", phantom.hu, phantom.affine)
        last(opened.open_upload("a", [str(path)]))
        assert not path.exists()
        assert not path.parent.exists()

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("scan.nii.gz", b"not a scan"),
            ("scan.nii.gz", b""),
            ("photo.jpg", b"\xff\xd8\xff\xe0 JFIF"),
            ("scan.zip", b"PK"),
        ],
    )
    def test_a_bad_upload_keeps_the_old_scan(self, opened, phantom, tmp_path, name, content):
        click(opened, "a", phantom, "liver")
        before = opened.store.get("a")
        path = tmp_path / name
        path.write_bytes(content)
        page = last(opened.open_upload("a", [str(path)]))
        assert len(page["toast"]) > 20
        assert str(tmp_path) not in page["toast"]
        assert opened.store.get("a") is before
        assert page["viewer"]["token"] == before.token
        assert list(before.case.masks) == ["m1"]
        assert not path.exists()

    def test_nothing_uploaded(self, opened):
        assert "No file" in last(opened.open_upload("a", None))["toast"]

    def test_a_dicom_series_as_files(self, opened, phantom, tmp_path):
        folder = phantoms.write_dicom_series(tmp_path / "series", phantom.hu, phantom.affine)
        page = last(opened.open_upload("a", [str(p) for p in sorted(folder.iterdir())]))
        assert page["facts"]["title"] == "40 files"
        kinds = {kind["id"]: kind["possible"] for kind in page["export"]["kinds"]}
        assert kinds["dicom_seg"]

    def test_full_server(self, opened, phantom, tmp_path):
        opened.store.budget_bytes = 1000
        path = phantoms.write_nifti(tmp_path / "mine.nii.gz", phantom.hu, phantom.affine)
        before = opened.store.get("a")
        page = last(opened.open_upload("a", [str(path)]))
        assert "memory" in page["toast"]
        assert opened.store.get("a") is before

    def test_opening_stops_what_runs(self, opened, phantom, tmp_path):
        opened.store.get("a").case.model.slice_s = 0.05
        stream = opened.prompt("a", {"kind": "point", "ijk": list(phantom.centre("spine"))})
        next(stream)
        next(stream)
        last(opened.open_sample("a", "again"))
        rest = list(stream)
        assert len(rest) <= 2, "no more slices"
        assert all("viewer" not in update for update in rest), "a closed scan must not come back to the page"

    def test_one_of_several_scans_is_chosen(self, handlers, tmp_path):
        ct = phantoms.phantom((24, 20, 18), noise=0)
        folder = phantoms.write_dicom_series(tmp_path / "d", *phantoms.reorient(ct.hu, ct.affine, "LPS"), phases=2)
        archive = phantoms.zip_folder(folder, tmp_path / "scan.zip")
        page = last(handlers.open_upload("a", [str(archive)]))
        first = handlers.store.get("a")
        assert [row["opened"] for row in page["facts"]["series"]] == [True, False]
        assert "acquisition 2" in page["facts"]["series"][1]["phase"].lower()
        files = first.files
        page = last(handlers.open_series("a", {"id": page["facts"]["series"][1]["id"]}))
        second = handlers.store.get("a")
        assert second is not first
        assert [row["opened"] for row in page["facts"]["series"]] == [False, True]
        np.testing.assert_array_equal(second.ct.hu, ct.hu + 100)
        assert page["facts"]["title"] == "scan.zip"
        assert not files.exists()  # those of the scan that was closed; its successor has its own
        page = last(handlers.open_series("a", {"id": page["facts"]["series"][0]["id"]}))
        np.testing.assert_array_equal(handlers.store.get("a").ct.hu, ct.hu)
        kept = handlers.store.get("a").files
        handlers.store.shutdown()
        assert not kept.exists()

    @pytest.mark.parametrize("data", [{"id": "99"}, {"id": None}, {}, None, "x", {"id": ["4.2"]}])
    def test_a_scan_that_is_not_there_changes_nothing(self, opened, data):
        before = opened.store.get("a")
        with pytest.raises(CTReadError, match="no such scan"):
            last(opened.open_series("a", data))
        assert opened.store.get("a") is before


class TestPrompts:
    def test_a_click_becomes_a_mask(self, opened, phantom):
        page = click(opened, "a", phantom, "liver")
        (row,) = page["masks"]["masks"]
        session = opened.store.get("a")
        assert dice(session.case.masks["m1"].array, phantom.organ("liver")) > 0.95
        ml = phantom.organ("liver").sum() * np.prod((6.0, 6.0, 7.0)) / 1000
        assert row["volume_ml"] == pytest.approx(ml, rel=0.05)
        assert row["mean_hu"] == pytest.approx(115, abs=3)
        assert row["longest_diameter_mm"] > 50
        assert page["viewer"]["busy"] is False
        assert page["masks"]["active"] == "m1"

    def test_it_streams(self, opened, phantom):
        opened.model.slice_s = 0.02
        updates = list(opened.prompt("a", {"kind": "point", "ijk": list(phantom.centre("spine"))}))
        assert len(updates) >= 3
        assert updates[0]["viewer"]["busy"]
        assert any("Slice" in u["viewer"].get("status", "") for u in updates)
        revisions = [u["viewer"]["revision"] for u in updates]
        assert revisions == sorted(revisions)
        assert updates[-1]["viewer"]["status"] == ""

    def test_the_first_mask_opens_its_tab_once(self, opened, phantom):
        assert click(opened, "a", phantom, "liver")["viewer"]["first"]
        opened.tab("a", "masks")  # as the browser asks, where nobody types
        opened.action("a", {"name": "new"})
        assert "first" not in click(opened, "a", phantom, "spleen")["viewer"]

    def test_further_clicks_refine(self, opened, phantom):
        click(opened, "a", phantom, "liver")
        page = click(opened, "a", phantom, "spleen")
        assert len(page["masks"]["masks"]) == 1
        assert len(opened.store.get("a").case.prompts("m1")) == 2

    def test_new_object(self, opened, phantom):
        click(opened, "a", phantom, "liver")
        page = opened.action("a", {"name": "new"})
        assert page["masks"]["active"] is None
        page = click(opened, "a", phantom, "spleen")
        assert [row["name"] for row in page["masks"]["masks"]] == ["Object 1", "Object 2"]
        assert page["masks"]["active"] == "m2"
        colours = {row["color"] for row in page["masks"]["masks"]}
        assert len(colours) == 2

    def test_a_box(self, opened, phantom):
        i, j, k = phantom.centre("kidney_left")
        page = last(
            opened.prompt("a", {"kind": "box", "lo": [i - 3, j - 3, k], "hi": [i + 4, j + 4, k + 1], "axis": 2})
        )
        assert page["masks"]["masks"][0]["volume_ml"] > 40

    @pytest.mark.parametrize(
        "data",
        [
            None,
            {},
            {"kind": "point"},
            {"kind": "point", "ijk": [1, 2]},
            {"kind": "point", "ijk": [1, 2, 999]},
            {"kind": "point", "ijk": [-1, 2, 3]},
            {"kind": "point", "ijk": [1.5, 2, 3]},
            {"kind": "point", "ijk": ["1", 2, 3]},
            {"kind": "point", "ijk": [float("nan"), 2, 3]},
            {"kind": "point", "ijk": [True, 2, 3]},
            {"kind": "point", "ijk": [1, 2, 3], "axis": 7},
            {"kind": "point", "ijk": [1, 2, 3], "axis": [2]},
            {"kind": "box", "lo": [5, 5, 5], "hi": [5, 8, 6]},
            {"kind": "box", "lo": [0, 0, 0], "hi": [999, 8, 6]},
            {"kind": "scribble"},
        ],
    )
    def test_nonsense_is_refused(self, opened, data):
        with pytest.raises(PromptError):
            list(opened.prompt("a", data))
        assert opened.store.get("a").take() is None

    def test_without_a_scan(self, handlers):
        with pytest.raises(SessionEndedError):
            list(handlers.prompt("nobody", {"kind": "point", "ijk": [1, 1, 1]}))

    def test_nothing_found_leaves_nothing(self, opened, phantom):
        session = opened.store.get("a")
        session.case._goal = lambda prompts: np.zeros(session.ct.shape, bool)
        page = click(opened, "a", phantom, "liver")
        assert "Nothing was found" in page["toast"]
        assert page["masks"]["masks"] == []
        assert not page["viewer"]["busy"]

    def test_a_crash_of_the_model_is_words(self, opened, phantom):
        def broken(prompts):
            raise RuntimeError("/secret/path exploded")

        opened.store.get("a").case._goal = broken
        page = click(opened, "a", phantom, "liver")
        assert "secret" not in page["toast"]
        assert "still there" in page["toast"]


class TestStopping:
    def test_stop_keeps_what_is_done(self, opened, phantom):
        opened.model.slice_s = 0.05
        stream = opened.prompt("a", {"kind": "point", "ijk": list(phantom.centre("spine"))})
        for update in stream:
            if update["viewer"]["status"].startswith(("Slice", "Following")):
                break
        opened.stop("a")
        rest = list(stream)
        page = rest[-1]
        slices = [u for u in rest if "viewer" in u and u["viewer"]["status"].startswith(("Slice", "Following"))]
        assert len(slices) <= 1, "a stop acts within one slice"
        assert page["viewer"]["status"].startswith("Stopped at axial slice")
        assert page["viewer"]["status"].endswith("of 40. Go on?")
        assert not page["viewer"]["busy"]
        full = phantom.organ("spine").sum()
        assert 0 < opened.store.get("a").case.masks["m1"].voxels < full

    def test_a_stopped_object_is_offered_to_go_on_with(self, opened, phantom):
        opened.model.slice_s = 0.05
        stream = opened.prompt("a", {"kind": "point", "ijk": list(phantom.centre("spine"))})
        next(u for u in stream if u["viewer"]["status"].startswith("Slice"))
        opened.stop("a")
        page = list(stream)[-1]
        assert page["chat"]["offers"][0]["id"] == "m1"
        assert page["chat"]["offers"][0]["text"].endswith("of 40. Go on?")
        assert page["masks"]["masks"][0]["stopped"].startswith("stopped at axial slice")
        opened.model.slice_s = 0.0
        pages = list(opened.talk.act("a", {"op": "follow", "id": "m1"}))
        assert pages[0]["chat"]["offers"] == []
        assert pages[-1]["chat"]["offers"] == []
        assert pages[-1]["masks"]["masks"][0]["stopped"] == ""
        assert opened.store.get("a").case.masks["m1"].voxels == phantom.organ("spine").sum()

    def test_what_is_not_there_cannot_be_followed(self, opened):
        with pytest.raises(PromptError, match="does not exist"):
            list(opened.follow("a", {"id": "m9"}))

    def test_stop_without_a_job(self, opened):
        opened.stop("a")
        opened.stop("nobody")

    def test_a_click_while_it_runs_goes_to_the_same_object(self, opened, phantom):
        opened.model.slice_s = 0.05
        pages = {}

        def run(name, organ):
            pages[name] = click(opened, "a", phantom, organ)

        first = threading.Thread(target=run, args=("first", "spine"))
        first.start()
        while not opened.store.get("a").target.mask_id:
            time.sleep(0.01)
        opened.model.slice_s = 0
        run("second", "liver")
        first.join(60)
        session = opened.store.get("a")
        assert list(session.case.masks) == ["m1"]
        assert len(session.case.prompts("m1")) == 2
        both = phantom.organ("spine") | phantom.organ("liver")
        assert dice(session.case.masks["m1"].array, both) > 0.9, "the stopped run must be completed"

    def test_what_is_sent_again_changes_nothing(self, opened, phantom):
        prompt = {"kind": "point", "ijk": list(phantom.centre("liver")), "positive": True, "axis": 2, "key": "x"}
        last(opened.prompt("a", prompt))
        last(opened.prompt("a", prompt))
        session = opened.store.get("a")
        (mask,) = session.case.masks.values()
        assert len(session.case.prompts(mask.id)) == 1
        opened.action("a", {"name": "new", "key": "y"})
        last(opened.prompt("a", prompt | {"ijk": list(phantom.centre("spine")), "key": "z"}))
        before = session.target.mask_id
        assert opened.action("a", {"name": "new", "key": "y"})["masks"]["active"] == before

    def test_clicks_that_waited_when_the_page_went_are_done_when_it_is_back(self, opened, phantom):
        session = opened.store.get("a")
        session.push(Point(phantom.centre("liver")))
        stream = opened.prompts.run(session)
        next(stream)  # it is about to begin
        opened.store.leave("a")
        page = last(stream)
        assert page["masks"]["masks"] == []
        page = last(opened.open_default("b", session.token))
        assert [row["volume_ml"] > 1 for row in page["masks"]["masks"]] == [True]
        assert not session.has_pending

    def test_quick_clicks_are_all_kept(self, opened, phantom):
        opened.model.slice_s = 0.01
        organs = ["liver", "spleen", "kidney_left", "kidney_right"]
        threads = [threading.Thread(target=click, args=(opened, "a", phantom, organ)) for organ in organs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        session = opened.store.get("a")
        click(opened, "a", phantom, "aorta")  # takes along what was stopped before it gave anything
        (mask,) = session.case.masks.values()
        assert len(session.case.prompts(mask.id)) == 5
        for organ in organs:
            assert mask.array[phantom.centre(organ)]

    def test_a_stopped_prompt_does_not_come_back(self, opened, phantom):
        stream = opened.prompt("a", {"kind": "point", "ijk": list(phantom.centre("spine"))})
        next(stream)  # said that it begins; no slice yet
        opened.stop("a")
        assert last(stream)["masks"]["masks"] == []
        click(opened, "a", phantom, "liver")
        (mask,) = opened.store.get("a").case.masks.values()
        assert len(opened.store.get("a").case.prompts(mask.id)) == 1

    def test_abandoned_stream_frees_the_session(self, opened, phantom):
        stream = opened.prompt("a", {"kind": "point", "ijk": list(phantom.centre("spine"))})
        next(stream)
        stream.close()
        assert click(opened, "a", phantom, "liver")["masks"]["masks"]


class TestVisitors:
    def test_two_at_once_never_see_each_other(self, handlers, phantom):
        handlers.model.slice_s = 0.005
        organs = {"a": "liver", "b": "spleen", "c": "kidney_left", "d": "bladder"}
        for key in organs:
            last(handlers.open_default(key))
        pages = {}

        def visit(key, organ):
            pages[key] = click(handlers, key, phantom, organ)

        threads = [threading.Thread(target=visit, args=item) for item in organs.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for key, organ in organs.items():
            session = handlers.store.get(key)
            assert list(session.case.masks) == ["m1"]
            assert dice(session.case.masks["m1"].array, phantom.organ(organ)) > 0.95
            assert pages[key]["viewer"]["token"] == session.token
            assert len(pages[key]["masks"]["masks"]) == 1


def test_a_prompt_is_read():
    class Scan:
        shape = (9, 9, 9)

    assert read_prompt({"kind": "point", "ijk": [1, 2, 3.0], "positive": False, "axis": 1}, Scan) == Point(
        (1, 2, 3), False, 1
    )
    assert read_prompt({"kind": "box", "lo": [1, 2, 3], "hi": [4, 5, 4]}, Scan) == Box((1, 2, 3), (4, 5, 4))


def test_status_line():
    class Update:
        stage, slices_done, slices_expected, eta_s = "propagating", 12, 40, 6.4

    assert status_line(Update) == "Slice 12 of about 40, 6 s left"
