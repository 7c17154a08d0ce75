"""Who may talk to the server: names it was started with, and pages that come from it."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.gate import Gate


def client(host="127.0.0.1", **options) -> TestClient:
    """A page that lets everybody read, as Gradio does, behind the gate."""
    app = Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("done"), methods=["GET", "POST"])])
    app.add_middleware(CORSMiddleware, allow_origin_regex=".*", allow_credentials=True)
    return TestClient(Gate(app, host, **options), base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize(
    ("host", "asked", "right"),
    [
        ("127.0.0.1", "127.0.0.1:7860", True),
        ("127.0.0.1", "localhost:7860", True),
        ("127.0.0.1", "LOCALHOST", True),
        ("127.0.0.1", "[::1]:7860", True),
        ("127.0.0.1", "localhost:8888", True),  # a tunnel
        ("127.0.0.1", "evil.example:7860", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "192.168.1.5:7860", False),
        ("127.0.0.1", "", False),
        ("0.0.0.0", "192.168.1.5:7860", True),  # rebinding needs a name
        ("0.0.0.0", "evil.example:7860", False),
        ("192.168.1.5", "192.168.1.5:7860", True),
        ("192.168.1.5", "192.168.1.6:7860", False),
    ],
)
def test_only_names_that_it_was_started_with(host, asked, right):
    assert client(host).get("/", headers={"host": asked}).status_code == (200 if right else 421)


def test_further_names_and_a_proxys():
    told = client(allowed=["ct.example"], root_path="https://hospital.example/ct")
    for name in ("ct.example", "hospital.example:443"):
        assert told.get("/", headers={"host": name}).status_code == 200
    assert told.get("/", headers={"host": "other.example"}).status_code == 421
    assert "--allow-host" in told.get("/", headers={"host": "other.example"}).text


OWN = "http://127.0.0.1:7860"


@pytest.mark.parametrize(
    ("headers", "right"),
    [
        ({}, True),  # a script
        ({"origin": OWN}, True),
        ({"origin": OWN, "sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://public.example", "sec-fetch-site": "same-origin"}, True),  # a proxy that keeps its name
        ({"origin": "https://public.example", "x-forwarded-host": "public.example"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://evil.example", "sec-fetch-site": "cross-site"}, False),
        ({"origin": "http://127.0.0.1:3000"}, False),  # another program of this machine
        ({"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
    ],
)
def test_no_other_site_changes_anything(headers, right):
    for path in ("/gradio_api/upload", "/gradio_api/queue/join"):
        assert client().post(path, headers=headers).status_code == (200 if right else 403)
    assert client().get("/", headers=headers).status_code == 200  # a link to the page


def test_no_other_site_reads_or_frames():
    for headers in ({"origin": "https://evil.example"}, {"origin": OWN}):
        answer = client().get("/", headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["content-security-policy"].endswith("frame-ancestors 'self'")
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    preflight = client().options("/gradio_api/upload", headers=asked)
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_on_spaces_any_name_and_the_frame_of_the_hub():
    told = client("0.0.0.0", on_spaces=True)
    answer = told.get("/", headers={"host": "someone-medvl.hf.space"})
    assert answer.status_code == 200
    assert "https://huggingface.co" in answer.headers["content-security-policy"].partition("frame-ancestors")[2]
    headers = {"host": "someone-medvl.hf.space", "sec-fetch-site": "same-origin"}
    assert told.post("/", headers=headers | {"origin": "https://someone-medvl.hf.space"}).status_code == 200
    assert told.post("/", headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"}).status_code == 403
