"""Uploads: the component for one file or many, and a folder of its own for each that nothing stays in."""

import asyncio
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from app import files as module
from app.files import PREFIX, WAIT_S, Files, Uploads, files, own_folder
from app.scans import taken
from medvl.errors import CTReadError


@pytest.mark.parametrize("count", [1, 3])
def test_paths_and_no_file_of_its_own(count, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    given = [{"path": f"/x/{n}.dcm", "meta": {"_type": "gradio.FileData"}} for n in range(count)]
    component = files(label="CT")
    assert component.preprocess(Files.model_validate(given)) == [f["path"] for f in given]
    assert component.preprocess(Files.model_validate(given[0])) == ["/x/0.dcm"]
    assert component.preprocess(None) is None
    assert list((tmp_path / "cache").iterdir()) == []


def test_uploads_have_a_folder_of_this_process(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    assert own_folder() == tmp_path
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    made = own_folder()
    assert made.is_dir()
    assert made.name.startswith("medvl-uploads-")
    assert own_folder() == made


def test_an_upload_that_nobody_opened_goes_after_a_while(tmp_path):
    uploads = Uploads(tmp_path, 1000)
    for name, at in ((PREFIX + "old", 1000), (PREFIX + "new", 2000), ("answer", 1000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ct.nii").write_bytes(b"of a patient")
        os.utime(tmp_path / name, (at, at))
    assert uploads.sweep(now=1001 + WAIT_S) == 1
    assert sorted(os.listdir(tmp_path)) == ["answer", PREFIX + "new"]


@pytest.fixture
def served(tmp_path):
    """``(uploads, address)`` of a server that takes uploads of at most 1 MB, 3 MB altogether."""
    app = FastAPI()
    uploads = Uploads(tmp_path / "in", 1_000_000, 3_000_000)
    uploads.add_to(app)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    host, port = server.servers[0].sockets[0].getsockname()
    yield uploads, (host, port)
    server.should_exit = True
    thread.join(5)


def post(address, content=b"x" * 1000, name="ct.nii.gz") -> httpx.Response:
    url = f"http://{address[0]}:{address[1]}/gradio_api/upload?upload_id=a"
    return httpx.post(url, files=[("files", (name, content))], timeout=30)


def wait_empty(folder, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(folder.iterdir()):
            return True
        time.sleep(0.05)
    return False


def test_the_same_file_from_many_at_once_is_one_upload_each(served):
    uploads, address = served
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(address), range(16)))
    paths = [answer.json()[0] for answer in answers]
    assert len(set(paths)) == 16

    def read(path):
        with taken([path]) as moved:
            return moved[0].name, moved[0].read_bytes()

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(read, paths)) == {("ct.nii.gz", b"x" * 1000)}
    assert list(uploads.folder.iterdir()) == []
    assert uploads.nbytes == 0


def test_several_files_of_one_upload(served):
    _, address = served
    url = f"http://{address[0]}:{address[1]}/gradio_api/upload"
    sent = [("files", ("a.dcm", b"same")), ("files", ("b.dcm", b"same")), ("files", ("a.dcm", b"other"))]
    paths = httpx.post(url, files=sent).json()
    with taken(paths) as moved:
        assert [path.read_bytes() for path in moved] == [b"same", b"same", b"other"]


def test_too_large_or_no_upload_leaves_nothing(served):
    uploads, address = served
    answer = post(address, b"x" * 1_200_000)
    assert (answer.status_code, "larger than the 1 MB" in answer.text) == (413, True)
    url = f"http://{address[0]}:{address[1]}/gradio_api/upload"
    assert httpx.post(url, content=b"nothing").status_code == 400
    assert httpx.post(url, data={"files": "no file"}).status_code == 400
    assert httpx.post(url, content=b"--x\r\n", headers={"content-type": "multipart/form-data"}).status_code == 400
    assert list(uploads.folder.iterdir()) == []


def test_what_waits_is_bounded(served):
    _, address = served
    answers = [post(address, b"x" * 900_000) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 503]
    assert "try again" in answers[3].text
    with taken(answers[0].json()):
        pass
    assert post(address, b"x" * 900_000).status_code == 200


@pytest.mark.parametrize("how", ["closed", "silent"])
def test_an_upload_that_breaks_off_goes_at_once(served, how, monkeypatch):
    monkeypatch.setattr(module, "SILENT_S", 0.5)
    uploads, address = served
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        'Content-Length: 900000\r\n\r\n--b\r\nContent-Disposition: form-data; name="files"; filename="a.nii"\r\n\r\n'
    )
    with socket.create_connection(address) as connection:
        connection.sendall(head.encode() + b"x" * 200_000)
        end = time.monotonic() + 30
        while not any(uploads.folder.glob("*/*")):
            assert time.monotonic() < end
        if how == "silent":
            assert wait_empty(uploads.folder)
    assert wait_empty(uploads.folder)
    assert uploads.nbytes == 0


def test_a_full_disk_has_words_and_leaves_nothing(served, monkeypatch):
    uploads, address = served
    monkeypatch.setattr(module, "SPARE_BYTES", 1 << 60)
    answer = post(address)
    assert (answer.status_code, "full" in answer.text) == (507, True)
    assert list(uploads.folder.iterdir()) == []


def test_a_move_that_fails_still_deletes(tmp_path, monkeypatch):
    """The upload folder is on another disk, and the copy does not fit."""
    path = tmp_path / f"{PREFIX}x" / "hash" / "ct.nii"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"of a patient")

    def elsewhere(*_):
        raise OSError(18, "Invalid cross-device link")

    def full(_, target):
        target.write_bytes(b"of a")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.scans.os.rename", elsewhere)
    monkeypatch.setattr("app.scans.shutil.copyfile", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(CTReadError, match=r"disk .* full"), taken([path]):
        pass
    assert list(tmp_path.iterdir()) == []
