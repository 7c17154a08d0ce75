from __future__ import annotations

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.viewer import Board, add_routes, viewer_html, viewer_value
from app.viewer.component import viewer_script
from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume

from .unwire import decode_slab, unpack_delta


def make_board(token: str = "secret-token") -> Board:
    hu = np.random.default_rng(0).integers(-1000, 1000, (20, 18, 12)).astype(np.int16)
    return Board(CTVolume(hu, np.eye(4), SourceGeometry(hu.shape, np.eye(4))), token)


@pytest.fixture
def board():
    return make_board()


@pytest.fixture
def client(board):
    """Routes beside a Gradio app mounted at the root, whose own routes match anything."""
    app = FastAPI()
    with gr.Blocks() as demo:
        viewer_html()
    app = gr.mount_gradio_app(app, demo, path="/")
    add_routes(app, {board.token: board}.get)
    return TestClient(app)


def test_info(client, board):
    answer = client.get(f"/medvl/{board.token}/info")
    assert answer.status_code == 200
    assert answer.json()["shape"] == [20, 18, 12]


def test_volume_comes_back_whole(client, board):
    answer = client.get(f"/medvl/{board.token}/volume?level=0&slab=0")
    assert answer.headers["content-encoding"] == "gzip"
    planes = np.frombuffer(answer.content, np.uint8)
    assert planes.size == 2 * board.ct.hu.size
    assert np.array_equal(decode_slab(board.slab(0, 0), board.ct.shape), board.ct.hu)


def test_delta(client, board):
    array = np.random.default_rng(2).random(board.ct.shape) > 0.5
    board.set_mask(Mask.from_array(array, id="m1"))
    header, masks = unpack_delta(client.get(f"/medvl/{board.token}/delta?since=-1").content)
    assert header["revision"] == board.revision
    assert sum(int(crop.sum()) for _, crop in masks["m1"].values()) == int(array.sum())


@pytest.mark.parametrize("name", ["info", "volume", "delta"])
def test_nothing_is_cached_and_unknown_tokens_learn_nothing(client, board, name):
    good, bad = client.get(f"/medvl/{board.token}/{name}"), client.get(f"/medvl/guess/{name}")
    assert good.status_code == 200
    assert good.headers["cache-control"] == bad.headers["cache-control"] == "no-store, private"
    assert bad.status_code == 404
    assert board.token not in bad.text


@pytest.mark.parametrize("query", ["level=9&slab=0", "level=0&slab=999", "level=x", "slab=-1"])
def test_bad_slab_is_not_found(client, board, query):
    assert client.get(f"/medvl/{board.token}/volume?{query}").status_code == 404


def test_bad_revision_gives_everything(client, board):
    assert client.get(f"/medvl/{board.token}/delta?since=x").status_code == 200


def test_value_is_tiny_and_static_template_takes_no_data(board):
    value = viewer_value(board, busy=True)
    assert value["base"] == "/medvl/secret-token"
    assert value["busy"] is True
    assert len(str(value)) < 300
    viewer = viewer_html()
    for template in (viewer.html_template, viewer.css_template):
        assert not any(mark in template for mark in ("${", "{{", "`", "\\"))
    assert callable(viewer.prompt)
    assert callable(viewer.action)


def test_script_makes_no_markup_from_text_and_calls_no_other_host():
    script = viewer_script()
    assert not any(
        mark in script for mark in ("innerHTML", "insertAdjacentHTML", "eval(", "https://", "document.write")
    )


def test_two_cases_have_different_numbers():
    assert viewer_value(make_board())["case"] != viewer_value(make_board())["case"]
