"""Opening scans and leaving them in a real Chromium: NIfTI, zipped DICOM, a bad file, and masks that would be lost."""

from __future__ import annotations

import time
import zipfile

import pydicom
import pytest

from .. import phantoms
from .on_page import NEEDS, READY, click, open_tab, row_volumes, state, tool, upload

pytestmark = NEEDS


def test_upload_nifti(visit, tmp_path, pictures):
    phantom = phantoms.phantom((64, 56, 40), spacing=(4.0, 4.0, 6.0), noise=0)
    path = phantoms.write_nifti(tmp_path / "mine.nii.gz", *phantoms.reorient(phantom.hu, phantom.affine, "LPS"))
    page = visit()
    upload(page, [path])
    assert page.locator(".fp-title").inner_text() == "mine.nii.gz"
    assert page.locator("#sample input").input_value() == "Own scan"
    assert state(page)["shape"] == [64, 56, 40]
    click(page, phantom.centre("liver"))
    (volume,) = row_volumes(page)
    assert volume == pytest.approx(phantom.organ("liver").sum() * 0.096, rel=0.05)
    page.screenshot(path=pictures / "nifti.png")


def test_upload_zipped_dicom_and_export_seg(visit, tmp_path, pictures):
    phantom = phantoms.phantom((64, 56, 24), spacing=(4.0, 4.0, 8.0), noise=0)
    folder = phantoms.write_dicom_series(tmp_path / "series", phantom.hu, phantom.affine)
    page = visit()
    upload(page, [phantoms.zip_folder(folder, tmp_path / "series.zip")])
    assert state(page)["shape"] == [64, 56, 24]
    assert "DICOM" in page.locator(".fp-rows").inner_text()
    assert phantoms.PATIENT_NAME not in page.content()
    click(page, phantom.centre("liver"))
    open_tab(page, "Export")
    with page.expect_download(timeout=30_000) as waiting:
        page.locator(".ep-go").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dcm"))
        archive.extract(name, tmp_path)
    seg = pydicom.dcmread(tmp_path / name)
    assert seg.Modality == "SEG"
    page.screenshot(path=pictures / "dicom.png")


def test_a_folder_is_chosen_whole_and_chosen_again(visit, tmp_path, pictures):
    phantom = phantoms.phantom((64, 56, 24), spacing=(4.0, 4.0, 8.0), noise=0)
    folder = phantoms.write_dicom_series(tmp_path / "study" / "series", phantom.hu, phantom.affine)
    (tmp_path / "study" / "readme.txt").write_text("not an image")
    page = visit()
    for _ in range(2):
        upload(page, [folder.parent], ":has(> #upload-folder) >")
        assert state(page)["shape"] == [64, 56, 24]
        assert page.locator("#sample input").input_value() == "Own scan"
    page.screenshot(path=pictures / "folder.png")


def test_a_bad_upload_is_a_toast(visit, bladder, tmp_path, pictures):
    path = tmp_path / "bad.nii.gz"
    path.write_bytes(b"this is not a scan")
    page = visit()
    click(page, bladder)
    before = state(page)
    open_tab(page, "Scan")
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#upload input[type=file]").set_input_files(str(path))
    page.wait_for_selector(".toast-body", timeout=30_000)
    page.wait_for_timeout(400)
    page.screenshot(path=pictures / "toast.png")
    toast, tabs = page.locator(".toast-body").first.bounding_box(), page.locator("#tabs").bounding_box()
    assert toast["x"] + toast["width"] <= tabs["x"]  # the tabs can be reached
    after = state(page)
    assert after["token"] == before["token"]
    assert len(after["masks"]) == 1
    assert page.locator(".fp-title").inner_text() == "Abdomen and pelvis"


def leave(page, answer):
    """Reload; the kinds of questions that the browser asked meanwhile, each answered with ``accept`` or ``dismiss``."""
    asked = []

    def respond(dialog):
        asked.append(dialog.type)
        getattr(dialog, answer)()

    page.on("dialog", respond)
    page.evaluate("window.stayed = true; setTimeout(() => location.reload(), 0)")
    if answer == "accept":
        page.wait_for_function(f"!window.stayed && {READY}", timeout=60_000)
    deadline = time.monotonic() + 30
    while answer == "dismiss" and not asked and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    page.remove_listener("dialog", respond)
    return asked


def test_leaving_asks_only_for_masks_in_no_export(visit, bladder):
    page = visit()
    tool(page, "positive")  # without a click on the page the browser never asks
    assert leave(page, "accept") == []
    click(page, bladder)
    assert state(page)["unsaved"]
    assert leave(page, "dismiss") == ["beforeunload"]
    click(page, (bladder[0] + 2, bladder[1], bladder[2]))  # who stays goes on with the same masks
    assert page.evaluate("window.stayed")
    assert len(state(page)["masks"]) == 1
    open_tab(page, "Export")
    page.get_by_label("Label map").uncheck()
    with page.expect_download(timeout=30_000):
        page.locator(".ep-go").click()
    assert state(page)["unsaved"]  # measurements alone hold no mask
    page.get_by_label("Label map").check()
    with page.expect_download(timeout=30_000):
        page.locator(".ep-go").click()
    page.wait_for_function("!medvlViewer.state().unsaved")
    page.wait_for_function("!document.querySelector('.ep-go').disabled")
    page.keyboard.press("Escape")
    open_tab(page, "Masks")
    page.fill(".mp-name", "Another name")
    page.keyboard.press("Enter")
    page.wait_for_function("medvlViewer.state().unsaved")
    assert leave(page, "accept") == ["beforeunload"]
    page.wait_for_function("medvlViewer.state().masks.length === 1")  # a page loaded again finds its session


def answering(page, answer):
    """Answer the browser's questions with ``accept`` or ``dismiss`` from now on; their words are kept in the list."""
    asked = []

    def respond(dialog):
        asked.append(dialog.message)
        getattr(dialog, answer)()

    page.on("dialog", respond)
    return asked, lambda: page.remove_listener("dialog", respond)


def choose_chest(page):
    open_tab(page, "Scan")
    page.locator("#sample input").click()
    page.get_by_role("option", name="Chest").click()


def test_another_scan_is_not_opened_over_masks_that_would_be_lost(visit, bladder, tmp_path):
    phantom = phantoms.phantom((32, 28, 20), spacing=(8.0, 8.0, 12.0), noise=0)
    path = phantoms.write_nifti(tmp_path / "mine.nii.gz", phantom.hu, phantom.affine)
    page = visit()
    click(page, bladder)
    before = state(page)
    asked, done = answering(page, "dismiss")
    choose_chest(page)
    page.wait_for_function("document.querySelector('#sample input').value.startsWith('Abdomen')")
    assert asked == ["Another scan closes this one, with 1 mask in no file. Open it all the same?"]
    page.locator("#upload input[type=file]").set_input_files(str(path))
    deadline = time.monotonic() + 30
    while len(asked) < 2 and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    page.wait_for_selector("#upload input[type=file]", state="attached")  # the field is empty again
    done()
    assert len(asked) == 2
    after = state(page)
    assert (after["token"], len(after["masks"])) == (before["token"], 1)
    asked, done = answering(page, "accept")
    upload(page, [path])
    done()
    assert len(asked) == 1
    assert state(page)["masks"] == []
    asked, done = answering(page, "dismiss")
    choose_chest(page)  # nothing to lose: no question
    page.wait_for_function("token => medvlViewer.state().token !== token", arg=state(page)["token"])
    done()
    assert asked == []
