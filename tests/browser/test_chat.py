"""The chat and the report in a real Chromium: ask, steps, chips, stop, retry, clear, refine, edit, save.

The language is a stand-in's; its masks are the bundled reference labels. ``MEDVL_SCREENSHOTS=folder`` keeps the
pictures.
"""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest

from app.scans import SAMPLES

from ..app.talking import TalkingModel, sample_structures
from .on_page import NEEDS, open_tab, serve, state

pytestmark = NEEDS
DONE = ".cp-turn:last-child[data-state=done]"


@pytest.fixture(scope="module")
def server():
    url, handlers, demo = serve(TalkingModel(sample_structures()))
    yield url, handlers
    demo.close()
    handlers.store.shutdown()


@pytest.fixture(autouse=True)
def fast(server):
    server[1].model.find_s = server[1].model.word_s = 0.0
    server[1].model.hold.clear()


def ask(page, text, wait=True):
    page.locator(".cp-input").fill(text)
    page.keyboard.press("Enter")
    if wait:
        settled(page, text)


def settled(page, text):
    page.wait_for_function(
        "text => { const t = [...document.querySelectorAll('.cp-turn')].pop();"
        " return t && t.querySelector('.cp-question').textContent === text && t.dataset.state !== 'running'; }",
        arg=text,
        timeout=60_000,
    )
    page.wait_for_function("!medvlViewer.state().busy")


def volumes(page):
    return [
        float(text.removeprefix("\u2265").split()[0].replace(",", ""))
        for text in page.locator(".mp-size").all_inner_texts()
    ]


def test_ask_steps_sentences_and_chips(visit, server, pictures):
    page = visit()
    examples = page.locator(".cp-example").all_inner_texts()
    assert 4 <= len(examples) <= 6
    page.screenshot(path=pictures / "chat-empty.png")
    server[1].model.find_s = 0.8
    ask(page, "How big are the liver and the spleen?", wait=False)
    page.wait_for_selector(".cp-steps.is-running >> text=/Segment spleen, \\d+ %/")
    page.screenshot(path=pictures / "chat-running.png")
    settled(page, "How big are the liver and the spleen?")
    assert page.locator(".cp-input").input_value() == ""
    assert page.locator(".cp-summary").inner_text().startswith("2 steps, ")
    assert not page.locator(".cp-step").first.is_visible()
    page.locator(".cp-summary").click()
    assert "Segment liver" in page.locator(".cp-step").nth(1).inner_text()
    assert page.locator(".cp-source").all_inner_texts() == ["measured", "from the scan"]
    assert page.locator(".cp-chip").all_inner_texts() == ["Spleen", "Liver"]
    assert [m["name"] for m in state(page)["masks"]] == ["Spleen", "Liver"]

    color = page.locator(".cp-sentence").first.evaluate("node => node.style.getPropertyValue('--mask')")
    assert color == state(page)["masks"][0]["color"]
    liver = sample_structures()["liver"]
    before = state(page)["ijk"]
    page.locator(".cp-chip", has_text="Liver").click()
    page.wait_for_function("before => String(medvlViewer.state().ijk) !== before", arg=",".join(map(str, before)))
    assert liver[tuple(state(page)["ijk"])]
    assert state(page)["active"] == page.locator(".cp-chip", has_text="Liver").get_attribute("data-mask")
    at_liver = ",".join(map(str, state(page)["ijk"]))
    page.locator(".cp-sentence").first.click()
    page.wait_for_function("before => String(medvlViewer.state().ijk) !== before", arg=at_liver)
    page.screenshot(path=pictures / "chat.png")
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    log, form = page.locator(".cp-log").bounding_box(), page.locator(".cp-form").bounding_box()
    assert log["y"] + log["height"] <= form["y"] + 1


def test_words_are_text_and_shift_enter_makes_a_line(visit):
    page = visit()
    page.locator(".cp-input").fill("<img src=x onerror=document.title='hacked'>")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("the liver n p b")
    assert "\n" in page.locator(".cp-input").input_value()
    tool = state(page)["tool"]
    page.keyboard.press("Enter")
    page.wait_for_selector(DONE)
    assert page.locator(".cp-question").inner_text() == "<img src=x onerror=document.title='hacked'>\nthe liver n p b"
    assert page.locator("#chat-panel img").count() == 0
    assert page.title() == "MedVL-SAM2"
    assert state(page)["tool"] == tool


def test_an_example_is_asked_by_a_click(visit):
    page = visit()
    page.locator(".cp-example", has_text="Segment the liver").click()
    page.wait_for_selector(DONE)
    assert page.locator(".cp-question").inner_text() == "Segment the liver"
    assert not page.locator(".cp-start").is_visible()


def test_stop_retry_and_clear(visit, server, pictures):
    page = visit()
    server[1].model.find_s = 6.0
    ask(page, "liver", wait=False)
    page.wait_for_selector(".cp-steps.is-running >> text=/Segment liver/")
    page.locator("#chat-panel .cp-stop").click()
    page.wait_for_selector(".cp-turn[data-state=stopped]")
    assert page.locator(".cp-note").inner_text() == "Stopped."
    page.screenshot(path=pictures / "chat-stopped.png")
    server[1].model.find_s = 0.0
    page.locator(".cp-retry:visible").click()
    page.wait_for_selector(DONE)
    assert page.locator(".cp-turn").count() == 1
    ask(page, "crash")
    assert page.locator(".cp-turn:last-child .cp-note").inner_text().startswith("Something went wrong")
    assert page.locator(".cp-retry:visible").count() == 1
    page.locator(".cp-clear").click()
    page.wait_for_selector(".cp-example")
    assert page.locator(".cp-turn").count() == 0
    assert [m["name"] for m in state(page)["masks"]] == ["Liver"]


def test_a_negative_point_refines_the_mask_of_the_chat(visit):
    page = visit()
    ask(page, "Segment the urinary bladder")
    open_tab(page, "Masks")
    (before,) = volumes(page)
    ijk = [int(v) for v in np.argwhere(sample_structures()["urinary bladder"]).mean(axis=0).round()]
    page.locator("#viewer .mv-negative").first.click()
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", ijk)
    page.wait_for_timeout(150)
    at = page.evaluate("ijk => medvlViewer.canvasPoint('axial', ijk)", ijk)
    page.mouse.click(at["x"], at["y"])
    page.wait_for_function(
        "before => parseFloat(document.querySelector('.mp-size').textContent.replace(/[^0-9.]/g, '')) < before",
        arg=before,
        timeout=15_000,
    )
    assert page.locator(".mp-rowname").all_inner_texts() == ["Urinary bladder"]
    page.locator("#masks-panel [data-op=undo]").click()
    page.wait_for_function(
        "before => parseFloat(document.querySelector('.mp-size').textContent.replace(/[^0-9.]/g, '')) === before",
        arg=before,
    )


def test_report_progress_jump_edit_and_files(visit, server, pictures):
    page = visit()
    server[1].model.find_s = 0.4
    page.locator(".cp-report").click()
    page.wait_for_selector(".rp-now >> text=/Segment/")
    page.screenshot(path=pictures / "report-running.png")
    page.wait_for_selector(".rp-sentence", timeout=20_000)
    page.wait_for_function("!medvlViewer.state().busy")
    page.screenshot(path=pictures / "report.png")
    assert len(state(page)["masks"]) == 6
    before = ",".join(map(str, state(page)["ijk"]))
    page.locator(".rp-sentence", has_text="urinary bladder").click()
    page.wait_for_function("before => String(medvlViewer.state().ijk) !== before", arg=before)
    assert sample_structures()["urinary bladder"][tuple(state(page)["ijk"])]

    page.locator(".rp-edit").click()
    words = 'The spleen <i>is</i> "normal".'
    page.locator(".rp-area").nth(1).fill(words)
    page.screenshot(path=pictures / "report-edit.png")
    page.locator(".rp-edit").click()
    page.wait_for_selector(".rp-sentence >> text=edited")
    assert page.locator("#report-panel i").count() == 0
    with page.expect_download() as waiting:
        page.locator(".rp-link", has_text="Markdown").click()
    assert waiting.value.suggested_filename.endswith("-report.md")
    assert words in waiting.value.path().read_text()
    with page.expect_download() as waiting:
        page.locator(".rp-link", has_text="JSON").click()
    assert words in [s["text"] for s in json.loads(waiting.value.path().read_text())["sections"][2]["sentences"]]
    page.locator(".rp-write").click()
    assert page.locator(".rp-write").inner_text() == "Replace your edits?"
    assert page.locator(".rp-sentence", has_text="normal").count() == 1


def test_a_report_asked_for_in_words(visit):
    page = visit()
    ask(page, "Describe this scan")
    page.wait_for_selector(".cp-answer >> text=All is where it belongs.")
    assert page.locator(".cp-sentence").count() == 1
    assert page.locator(".cp-before").is_visible()
    page.locator(".cp-open").click()
    page.wait_for_selector(".rp-sentence:visible")


def test_panels_opened_while_an_answer_streams_hold_what_is_there(visit, server):
    page = visit()
    ask(page, "spleen")
    server[1].model.hold.set()  # the liver is not found before Stop
    ask(page, "spleen and liver", wait=False)
    page.wait_for_selector(".cp-steps.is-running >> text=/Segment liver/")
    for tab, there in (
        ("Masks", ".mp-row"),
        ("Report", ".rp-write:not(:disabled)"),
        ("Scan", ".fp-title"),
        ("Export", ".ep-kind"),
    ):
        open_tab(page, tab)
        page.wait_for_selector(f"{there}:visible")
    open_tab(page, "Masks")
    page.locator(".mp-eye").click()
    page.wait_for_selector(".mp-row.is-hidden")
    open_tab(page, "Chat")
    page.locator(".cp-input").fill("and then?")
    page.locator("#chat-panel .cp-stop").click()
    page.wait_for_selector(".cp-turn[data-state=stopped]", timeout=60_000)


def test_an_order_to_the_viewer_carries_no_source(visit):
    page = visit()
    ask(page, "spleen")
    marks = page.locator(".cp-source").count()
    ask(page, "lung window")
    assert page.locator(".cp-answer").last.inner_text() == "Done."
    assert page.locator(".cp-source").count() == marks


def test_another_scan_and_another_visitor(visit):
    first, second = visit(), visit()
    ask(first, "liver")
    assert second.locator(".cp-turn").count() == 0
    first.on("dialog", lambda dialog: dialog.accept())  # the liver is in no export
    open_tab(first, "Scan")
    first.locator("#sample input").click()
    before = state(first)["token"]
    first.get_by_role("option", name="Chest CT angiography").click()
    first.wait_for_function("before => medvlViewer.state().token !== before", arg=before, timeout=60_000)
    open_tab(first, "Chat")
    first.wait_for_selector(".cp-example >> text=Segment both lungs")
    assert first.locator(".cp-turn").count() == 0


def test_on_a_phone_the_chat_comes_under_the_viewer(visit, pictures):
    page = visit(390, 844)
    ask(page, "How big is the liver?")
    viewer, chat = page.locator("#viewer .mv").bounding_box(), page.locator("#chat-panel").bounding_box()
    assert chat["y"] >= viewer["y"] + viewer["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".cp-input").bounding_box()["y"] < chat["y"] + chat["height"]
    page.screenshot(path=pictures / "chat-phone.png", full_page=True)


def test_many_scans_at_once(visit, tmp_path):
    for name in ("first", "second"):
        shutil.copy(SAMPLES / "abdomen_ct.nii.gz", tmp_path / f"{name}.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"\x1f\x8b no scan")
    page = visit()
    before = state(page)["token"]
    open_tab(page, "Scan")
    page.get_by_text("Many scans at once").click()
    page.locator("#upload-many input[type=file]").set_input_files(sorted(tmp_path.iterdir()))
    page.locator("#upload-many").get_by_text("second").wait_for()
    page.locator("#many-text").get_by_role("textbox").fill("liver")
    page.locator("#many-run").click()
    link = page.locator("#many-table a")
    link.wait_for(timeout=60_000)
    assert page.locator("#many-table .ms-state").all_inner_texts() == ["failed", "done", "done"]
    with page.expect_download() as download:
        link.click()
    names = zipfile.ZipFile(download.value.path()).namelist()
    assert {"results.csv", "first.nii.gz", "second.nii.gz"} <= set(names)
    assert state(page)["token"] == before  # the open scan is as it was
