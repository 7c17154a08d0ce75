"""The running app's named endpoints, called with ``gradio_client`` as a script would."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from app.scans import SampleShelf
from app.sessions import Room, SessionStore
from app.ui import launch

from .. import phantoms
from .talking import TalkingModel


@pytest.fixture(scope="module")
def server(shelf_folder, phantom):
    model = TalkingModel({name: phantom.organ(name) for name in ("liver", "spleen")})
    store = SessionStore(budget_bytes=10**9)
    app, url, handlers, demo = launch(model, port=None, store=store, shelf=SampleShelf(shelf_folder), max_upload_mb=20)
    yield url, handlers, demo, app
    demo.close()
    store.shutdown()


@pytest.fixture(scope="module")
def client(server):
    # a busy machine can need longer than the client's five seconds for the first answer
    return Client(server[0], verbose=False, httpx_kwargs={"timeout": 300})


@pytest.fixture(scope="module")
def scan(phantom, tmp_path_factory):
    """The phantom stored along other axes."""
    array, affine = phantoms.reorient(phantom.hu, phantom.affine, "SPR")
    return phantoms.write_nifti(tmp_path_factory.mktemp("api") / "ct.nii.gz", array, affine)


def test_only_the_contract_is_named(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == {"/info", "/segment", "/ask", "/report"}
    parameters = {p["parameter_name"]: p for p in named["/segment"]["parameters"]}
    assert list(parameters) == ["ct", "points", "negative_points", "box", "text", "series"]
    assert parameters["points"]["type"]["items"]["items"] == {"type": "integer"}
    assert parameters["box"]["parameter_has_default"]


def test_info(client, scan):
    info = client.predict(ct=[handle_file(scan)], api_name="/info")
    assert info["shape"] == list(nib.load(scan).shape)
    assert info["orientation"] == "SPR"
    assert info["spacing_mm"] == pytest.approx([7.0, 6.0, 6.0])
    assert "not for diagnosis" in info["notice"]


def test_one_of_several_series(client, phantom, tmp_path):
    for number, slices in ((1, 9), (2, 6)):
        hu = np.asarray(phantom.hu)[:, :, :slices]
        phantoms.write_dicom_series(tmp_path / "d", hu, phantom.affine, series=number)
    given = [handle_file(phantoms.zip_folder(tmp_path / "d", tmp_path / "d.zip"))]
    largest = client.predict(ct=given, api_name="/info")
    assert sorted(s["slices"] for s in largest["series"]) == [6, 9]
    assert largest["shape"][2] == 9
    other = next(s["id"] for s in largest["series"] if s["slices"] == 6)
    assert client.predict(ct=given, series=other, api_name="/info")["shape"][2] == 6
    with pytest.raises(AppError, match="series"):
        client.predict(ct=given, series="none of them", api_name="/info")


@pytest.mark.parametrize("endpoint", ["/info", "/ask", "/report", "/segment"])
def test_one_file_need_not_be_a_list(client, scan, endpoint):
    more = {"/ask": {"question": "How large is the liver?"}, "/segment": {"text": "liver"}}.get(endpoint, {})
    assert client.predict(handle_file(scan), api_name=endpoint, **more)


def test_segment_in_the_files_own_order(client, scan, phantom):
    stored = nib.load(scan)
    liver, _ = phantoms.reorient(phantom.organ("liver"), phantom.affine, "SPR")
    seed = [int(v) for v in np.argwhere(liver).mean(axis=0).round()]
    path, measured = client.predict(ct=[handle_file(scan)], points=[seed], api_name="/segment")
    mask = nib.load(path)
    np.testing.assert_allclose(mask.affine, stored.affine, atol=1e-3)
    found = np.asarray(mask.dataobj) > 0
    assert 2 * (found & liver).sum() / (found.sum() + liver.sum()) > 0.95
    assert measured["volume_ml"] == pytest.approx(liver.sum() * 0.252, rel=0.05)


def test_segment_by_box(client, scan, phantom):
    liver, _ = phantoms.reorient(phantom.organ("liver"), phantom.affine, "SPR")
    low, high = np.argwhere(liver).min(axis=0), np.argwhere(liver).max(axis=0) + 1
    box = [int(v) for v in (*low, *high)]
    _, measured = client.predict(ct=[handle_file(scan)], box=box, api_name="/segment")
    assert measured["volume_ml"] > 100


def test_segment_by_text(client, scan, phantom):
    stored = nib.load(scan)
    liver, _ = phantoms.reorient(phantom.organ("liver"), phantom.affine, "SPR")
    path, measured = client.predict(ct=[handle_file(scan)], text="the liver", api_name="/segment")
    mask = nib.load(path)
    np.testing.assert_allclose(mask.affine, stored.affine, atol=1e-3)
    assert np.array_equal(np.asarray(mask.dataobj) > 0, liver)
    assert measured["name"] == "Liver"
    seed = [int(v) for v in np.argwhere(liver).mean(axis=0).round()]
    _, refined = client.predict(ct=[handle_file(scan)], text="the liver", negative_points=[seed], api_name="/segment")
    assert refined["name"] == "Liver"
    assert refined["volume_ml"] < measured["volume_ml"]


def test_segment_several_by_text(client, scan, phantom):
    path, measured = client.predict(ct=[handle_file(scan)], text="liver and spleen", api_name="/segment")
    labels = np.asarray(nib.load(path).dataobj)
    names = {row["name"]: row["value"] for row in measured["labels"]}
    for name in ("liver", "spleen"):
        organ, _ = phantoms.reorient(phantom.organ(name), phantom.affine, "SPR")
        assert np.array_equal(labels == names[name.capitalize()], organ)
    assert [row["name"] for row in measured["objects"]] == ["Liver", "Spleen"]


@pytest.mark.parametrize(
    ("api_name", "more"),
    [("/info", {}), ("/segment", {"text": "liver"}), ("/ask", {"question": "liver"}), ("/report", {})],
)
def test_a_full_server_says_so_before_it_reads(server, client, scan, phantom, monkeypatch, api_name, more):
    store = server[1].store
    monkeypatch.setattr(store, "budget_bytes", store.nbytes + 2 * phantom.hu.size - 1)
    with pytest.raises(AppError, match="memory"):
        client.predict(ct=[handle_file(scan)], **more, api_name=api_name)


def test_a_call_counts_while_it_runs_and_not_afterwards(server, client, scan, phantom, monkeypatch):
    store = server[1].store
    seen, before = [], store.nbytes
    hold = Room.hold

    def watched(room, case):
        hold(room, case)
        seen.append(store.nbytes - before)

    monkeypatch.setattr(Room, "hold", watched)
    client.predict(ct=[handle_file(scan)], text="liver", api_name="/segment")
    with pytest.raises(AppError):
        client.predict(ct=[handle_file(scan)], text="the flux capacitor", api_name="/segment")
    assert len(seen) == 2
    assert min(seen) >= 2 * phantom.hu.size
    assert store.nbytes == before


def test_ask(client, scan, phantom):
    answer, facts, path = client.predict(ct=[handle_file(scan)], question="How big is the spleen?", api_name="/ask")
    spleen, _ = phantoms.reorient(phantom.organ("spleen"), phantom.affine, "SPR")
    assert np.array_equal(np.asarray(nib.load(path).dataobj) == 1, spleen)
    (fact,) = facts["facts"]
    assert fact["value"] == pytest.approx(spleen.sum() * 0.252)
    assert f"{fact['value']:.0f} mL" in answer
    assert facts["sentences"][0]["masks"] == ["Spleen"]
    assert "not for diagnosis" in facts["notice"]


def test_a_refusal_has_words_and_no_mask(client, scan):
    answer, facts, path = client.predict(ct=[handle_file(scan)], question="the flux capacitor", api_name="/ask")
    assert "do not know" in answer
    assert facts["refused"]
    assert path is None


def test_report(client, scan):
    markdown, report = client.predict(ct=[handle_file(scan)], api_name="/report")
    assert "not for diagnosis" in markdown
    for section in report["sections"]:
        for sentence in section["sentences"]:
            assert sentence["text"] in markdown


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({}, "Nothing to segment"),
        ({"text": "the flux capacitor"}, "do not know"),
        ({"text": "liver and spleen", "points": [[1, 2, 3]]}, "refine one mask"),
        ({"points": [[1, 2, 999]]}, "outside"),
        ({"points": [[1, 2]]}, "three whole numbers"),
    ],
)
def test_bad_prompts_are_words(client, scan, prompts, words):
    with pytest.raises(AppError, match=words):
        client.predict(ct=[handle_file(scan)], **prompts, api_name="/segment")


def test_a_bad_file_is_words(client, tmp_path):
    path = tmp_path / "bad.nii.gz"
    path.write_bytes(b"nothing")
    with pytest.raises(AppError) as error:
        client.predict(ct=[handle_file(path)], api_name="/info")
    assert str(tmp_path) not in str(error.value)


def test_a_path_of_the_server_is_not_read(server, client, scan):
    import httpx

    secret = {"path": str(scan), "meta": {"_type": "gradio.FileData"}}
    answer = httpx.post(f"{server[0]}gradio_api/call/info", json={"data": [[secret]]})
    events = httpx.get(f"{server[0]}gradio_api/call/info/{answer.json()['event_id']}")
    assert "error" in events.text
    assert "orientation" not in events.text


def test_stateless(server, client, scan):
    before = len(server[1].store)
    client.predict(ct=[handle_file(scan)], api_name="/info")
    assert len(server[1].store) == before


def test_uploads_do_not_stay(client, scan):
    from gradio.utils import get_upload_folder

    client.predict(ct=[handle_file(scan)], api_name="/info")
    left = [name for _, _, names in os.walk(get_upload_folder()) for name in names if name == scan.name]
    assert left == []


def test_the_store_that_was_given_is_used(server):
    assert server[1].store.budget_bytes == 10**9


def test_privacy_of_the_page(server):
    import httpx

    url, _, demo, _ = server
    assert not demo.analytics_enabled
    config = httpx.get(f"{url}config").json()
    assert config.get("run_history") in (False, None)
    assert httpx.get(f"{url}monitoring/summary").status_code in (403, 404)
    assert not demo.share
    page = httpx.get(url).text
    for elsewhere in ("fonts.googleapis.com", "huggingface.co/front"):
        assert elsewhere not in page


def test_routes_of_a_session(server):
    import httpx

    url, handlers, _, _ = server
    list(handlers.open_default("visitor"))
    token = handlers.store.get("visitor").token
    assert httpx.get(f"{url}medvl/{token}/info").status_code == 200
    assert httpx.get(f"{url}medvl/{token}/export").status_code == 404
    assert httpx.get(f"{url}medvl/{token}/report.md").status_code == 404
    list(handlers.talk.write_report("visitor"))
    for kind, media in (("md", "text/markdown"), ("html", "text/html"), ("json", "application/json")):
        answer = httpx.get(f"{url}medvl/{token}/report.{kind}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(media)
        assert answer.headers["content-disposition"].startswith("attachment; filename*=utf-8''")
        assert answer.headers["content-disposition"].endswith(f"-report.{kind}")
        assert "no-store" in answer.headers["cache-control"]
    look = httpx.get(f"{url}medvl/{token}/report.html?view=1")
    assert look.headers["content-disposition"].startswith("inline")
    assert "script-src" not in look.headers["content-security-policy"]
    assert "sandbox" in look.headers["content-security-policy"]
    assert httpx.get(f"{url}medvl/{token}/report.exe").status_code == 404
    assert httpx.get(f"{url}medvl/{'x' * 32}/report.md").status_code == 404
    assert httpx.get(f"{url}medvl/{'x' * 32}/info").status_code == 404
    assert httpx.get(f"{url}medvl/{'x' * 32}/export").status_code == 404
    handlers.store.close("visitor")
    assert httpx.get(f"{url}medvl/{token}/report.md").status_code == 404
    assert httpx.get(f"{url}medvl/{token}/info").status_code == 404
