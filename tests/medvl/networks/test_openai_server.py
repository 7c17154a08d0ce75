"""A model behind OpenAI's protocol, against a real server of it on this machine."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from medvl.errors import WeightsError
from medvl.networks.openai_server import OpenAIServer

from ..chat_server import ChatServer
from .test_image_text import PICTURES, QUESTION


@pytest.fixture
def server():
    server = ChatServer()
    yield server
    server.close()


def test_pictures_and_question_go_out_and_words_stream_in(server):
    model = OpenAIServer(server.url)
    assert model.model == "medgemma-4b"
    history = [("what is it ?", "A CT.")]
    assert list(model.stream(QUESTION, PICTURES, history, max_new_tokens=4)) == ["The", " liver", " is", " of"]
    (asked,) = server.asked
    assert [m["role"] for m in asked["messages"]] == ["user", "assistant", "user"]
    content = asked["messages"][-1]["content"]
    assert [c["type"] for c in content] == ["text", "image_url"] * 3 + ["text"]
    assert [c["text"] for c in content if c["type"] == "text"] == [*(p.caption for p in PICTURES), QUESTION]
    sent = [c["image_url"]["url"].removeprefix("data:image/png;base64,") for c in content if c["type"] == "image_url"]
    assert [base64.b64decode(s) for s in sent] == [p.png for p in PICTURES]
    assert (asked["temperature"], asked["stream"], asked["max_tokens"]) == (0, True, 4)


def test_chat_without_pictures_and_held_to_a_schema(server):
    schema = {"type": "object", "properties": {"tool": {"type": "string"}}}
    turns = [("system", "Plan."), ("user", "how large is the liver ?")]
    assert "".join(OpenAIServer(server.url).chat(turns, schema=schema)) == "The liver is of normal size ."
    assert server.asked[0]["messages"] == [{"role": r, "content": t} for r, t in turns]
    assert server.asked[0]["response_format"]["json_schema"]["schema"] == schema


@pytest.mark.parametrize("when", ["before the first word", "between words", "by going away"])
def test_stop_acts_at_once_and_ends_the_work_on_the_server(server, when):
    server.words, server.pause_s = ["word"] * 200, 0.05
    model, cancel, got = OpenAIServer(server.url), threading.Event(), []
    if when == "before the first word":
        server.first_s = 20.0
        threading.Timer(0.3, cancel.set).start()
    begin = time.monotonic()
    stream = model.stream(QUESTION, PICTURES, cancel=cancel)
    for piece in stream:
        got.append(piece)
        if len(got) == 3:
            if when == "by going away":
                stream.close()
                break
            cancel.set()
    assert len(got) == (0 if when == "before the first word" else 3)
    assert time.monotonic() - begin < 15  # of the 20 that the first word takes
    if got:
        end = time.monotonic() + 30
        while not server.broken:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert server.broken == 1
        assert server.sent < len(server.words)
    server.words, server.first_s, server.pause_s = ["whole"], 0.0, 0.0
    assert list(model.stream(QUESTION, PICTURES)) == ["whole"]


def test_a_server_that_takes_one_picture_gets_a_montage(server):
    server.most = 1
    model = OpenAIServer(server.url)
    for _ in range(2):
        assert "".join(model.stream(QUESTION, PICTURES)) == "The liver is of normal size ."
    counts = [sum(c["type"] == "image_url" for c in a["messages"][-1]["content"]) for a in server.asked]
    assert counts == [3, 1, 1]


def test_what_goes_wrong_is_said(server, monkeypatch):
    with pytest.raises(WeightsError, match=r"404.*`other` does not exist"):
        list(OpenAIServer(f"{server.url}#other").stream(QUESTION, PICTURES))
    url = server.url
    model = OpenAIServer(url, "medgemma-4b")
    server.close()
    with pytest.raises(WeightsError, match="cannot be reached"):
        list(model.stream(QUESTION, PICTURES))
    with pytest.raises(WeightsError, match="Start the server"):
        OpenAIServer(url)


def test_a_key_comes_from_the_environment_and_no_proxy_is_used(server, monkeypatch):
    monkeypatch.setenv("MEDVL_API_KEY", "secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    list(OpenAIServer(server.url).chat([("user", "hello")]))
    assert server.keys == ["Bearer secret"]
