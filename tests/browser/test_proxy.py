"""The page behind a reverse proxy that serves it under a prefix, as ``--root-path`` is meant for."""

from __future__ import annotations

import os
import threading
import time

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from app.scans import SAMPLES, SampleShelf
from app.sessions import SessionStore
from app.ui import launch

from .. import phantoms
from ..app.stand_in import StandInModel
from .on_page import CHROMIUM, READY

PREFIX = "/ct"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium on this machine"),
    pytest.mark.skipif(not (SAMPLES / "samples.json").exists(), reason="no samples in assets/samples"),
]


def proxy(target: str) -> Starlette:
    """Passes ``/ct/...`` on without the prefix and answers everything else with 404, as nginx would."""
    client = httpx.AsyncClient(base_url=target, timeout=60)

    async def forward(request: Request) -> Response:
        if not request.url.path.startswith(PREFIX + "/"):
            return Response("outside the prefix", 404)
        kept = {k: v for k, v in request.headers.items() if k not in ("content-length", "connection")}
        sent = client.build_request(
            request.method,
            request.url.path[len(PREFIX) :],
            params=request.query_params,
            headers=kept | {"x-forwarded-host": request.headers["host"], "x-forwarded-proto": "http"},
            content=await request.body(),
        )
        answer = await client.send(sent, stream=True)
        headers = {k: v for k, v in answer.headers.items() if k not in ("connection", "transfer-encoding")}
        return StreamingResponse(answer.aiter_raw(), answer.status_code, headers)

    return Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "HEAD", "POST"])])


@pytest.fixture
def address():
    store = SessionStore(budget_bytes=10**9)
    _, url, handlers, demo = launch(
        StandInModel(), port=None, root_path=PREFIX, store=store, shelf=SampleShelf(default="abdomen")
    )
    server = uvicorn.Server(uvicorn.Config(proxy(url.rstrip("/")), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}{PREFIX}/"
    server.should_exit = True
    demo.close()
    handlers.store.shutdown()
    thread.join(10)


def test_voxels_upload_prompt_and_download_under_a_prefix(address, tabs, tmp_path):
    phantom = phantoms.phantom((48, 44, 40), spacing=(6.0, 6.0, 7.0), noise=0)
    scan = phantoms.write_nifti(tmp_path / "scan.nii.gz", phantom.hu, phantom.affine)
    page = tabs.take()
    failed: list[str] = []
    page.on("response", lambda r: failed.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.goto(address)
    page.wait_for_function(READY, timeout=60_000)
    page.get_by_role("tab", name="Scan").click()
    page.locator("#upload input[type=file]").set_input_files(str(scan))
    shape = list(phantom.hu.shape)
    loaded = "n => medvlViewer.state().complete && medvlViewer.state().shape.join() === n.join()"
    page.wait_for_function(loaded, arg=shape, timeout=60_000)
    liver = [int(v) for v in phantom.centre("liver")]
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", liver)
    page.wait_for_timeout(150)
    at = page.evaluate("ijk => medvlViewer.canvasPoint('axial', ijk)", liver)
    page.locator("#viewer .mv-positive").first.click()
    page.mouse.click(at["x"], at["y"])
    page.wait_for_function("medvlViewer.state().masks.some((m) => m.voxels) && !medvlViewer.state().busy")
    page.locator(".mp-size").first.wait_for()  # the first mask opens its tab
    page.get_by_role("tab", name="Export").click()
    with page.expect_download(timeout=60_000) as download:
        page.locator(".ep-go").click()
    assert PREFIX + "/medvl/" in download.value.url
    download.value.save_as(tmp_path / "export.zip")
    assert (tmp_path / "export.zip").read_bytes()[:2] == b"PK"
    tabs.give_back(page)
    assert failed == []
