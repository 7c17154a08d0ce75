"""An earlier scan beside the open one: opened, refused, served on the open grid, closed without a trace."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.updates import page
from app.viewer import add_routes
from medvl.ct.masks import Mask
from medvl.errors import CTReadError

from .. import phantoms
from .test_handlers import last
from .viewer.unwire import unpack_delta


@pytest.fixture
def prior(tmp_path_factory, phantom):
    """The same body 30 mm further down the table, as an upload; each call gives another copy."""
    affine = phantom.affine.copy()
    affine[:3, 3] += (12.0, -6.0, 30.0)
    noise = np.random.default_rng(0).normal(0, 10, phantom.hu.shape)
    kept = tmp_path_factory.mktemp("kept")
    phantoms.write_nifti(kept / "last_year.nii.gz", (phantom.hu + noise).astype(np.int16), affine)
    return lambda: [shutil.copy(kept / "last_year.nii.gz", tmp_path_factory.mktemp("up"))]


def test_it_stands_on_the_grid_of_the_open_scan(opened, prior, phantom):
    session = opened.store.get("a")
    before, files = session.nbytes, prior()
    updates = last(opened.priors.open("a", files))
    assert "toast" not in updates
    assert not os.path.exists(files[0])
    assert updates["viewer"]["prior"]["title"] == "last_year.nii.gz"
    assert updates["viewer"]["prior"]["base"] == f"/medvl/{session.token}/prior"
    assert "correlate to" in updates["facts"]["prior"]["about"]
    assert updates["facts"]["title"] == "Phantom"
    assert opened.store.get("a") is session
    assert session.nbytes >= before + 2 * session.ct.hu.nbytes
    shown = session.prior.board.ct.hu
    liver = phantom.organ("liver")
    assert abs(np.median(shown[liver]) - np.median(phantom.hu[liver])) < 10


def test_its_masks_are_shown_where_they_lie_now(opened, prior, phantom):
    session = opened.store.get("a")
    last(opened.priors.open("a", prior()))
    case = session.case.prior
    mask = case.put(Mask.from_array(phantom.organ("liver"), id="", name="Liver"))
    session.prior.sync()
    header, _ = unpack_delta(session.prior.board.delta(-1))
    assert [one["name"] for one in header["masks"]] == ["Liver"]
    shown = session.prior.board._entries[mask.id].mask.array
    both = (shown & phantom.organ("liver")).sum()
    assert 2 * both / (shown.sum() + phantom.organ("liver").sum()) > 0.8
    session.case.put(Mask.from_array(phantom.organ("liver"), id="", name="liver", color="#123456"))
    page(session)
    assert unpack_delta(session.prior.board.delta(-1))[0]["masks"][0]["color"] == "#123456"  # as its namesake
    case.remove(mask.id)
    session.prior.sync()
    assert session.prior.board.mask_ids == set()


def test_routes_serve_it_under_the_token_of_the_session(opened, prior):
    session = opened.store.get("a")
    app = Starlette()
    add_routes(app, opened.store.find_board)
    client = TestClient(app)
    assert client.get(f"/medvl/{session.token}/prior/info").status_code == 404
    last(opened.priors.open("a", prior()))
    now, then = (client.get(f"/medvl/{session.token}{part}/info").json() for part in ("", "/prior"))
    assert now["shape"] == then["shape"]
    assert now["affine"] == then["affine"]
    assert (
        client.get(f"/medvl/{session.token}/prior/volume?level=0&slab=0").content
        != client.get(f"/medvl/{session.token}/volume?level=0&slab=0").content
    )
    assert client.get("/medvl/unknown/prior/info").status_code == 404
    last(opened.priors.act("a", {"op": "close"}))
    assert client.get(f"/medvl/{session.token}/prior/delta").status_code == 404


def test_another_body_is_refused_and_what_was_there_stays(opened, prior, tmp_path):
    session = opened.store.get("a")
    last(opened.priors.open("a", prior()))
    known = session.prior
    rng = np.random.default_rng(1)
    ball = np.linalg.norm(np.indices((40, 40, 40)) - 20, axis=0) < 15
    other = np.where(ball, rng.normal(200, 150, ball.shape), -1000).astype(np.int16)
    phantoms.write_nifti(tmp_path / "ball.nii.gz", other, np.diag([4.0, 4.0, 4.0, 1.0]))
    updates = last(opened.priors.open("a", [str(tmp_path / "ball.nii.gz")]))
    assert "same part of the same body" in updates["toast"]
    assert session.prior is known
    assert session.case.prior is known.case
    assert "toast" in last(opened.priors.open("a", [str(tmp_path / "nothing.nii.gz")]))
    assert session.prior is known


def test_closing_frees_it(opened, prior):
    session = opened.store.get("a")
    before = session.nbytes
    last(opened.priors.open("a", prior()))
    case = session.case.prior
    case.put(Mask.from_array(np.ones(case.ct.shape, bool), id=""))
    updates = last(opened.priors.act("a", {"op": "close"}))
    assert updates["facts"]["prior"] is None
    assert updates["viewer"]["prior"] is None
    assert (session.prior, session.case.prior, session.board.beside) == (None, None, None)
    assert not case.masks
    assert session.nbytes == before
    last(opened.priors.open("a", prior()))
    case = session.case.prior
    opened.store.close("a")
    assert (session.prior, session.case.prior) == (None, None)
    assert not case.masks


@pytest.mark.parametrize("data", [None, {}, {"op": 5}, "close"])
def test_what_is_no_button_does_nothing(opened, data):
    assert list(opened.priors.act("a", data)) == [{}]


@pytest.mark.parametrize("data", [{"op": "prior"}, {"op": "prior", "id": "7"}, {"op": "prior", "id": []}])
def test_a_scan_that_there_is_not(opened, data):
    with pytest.raises(CTReadError, match="no such scan"):
        list(opened.priors.act("a", data))
    assert opened.store.get("a").prior is None


def test_another_phase_of_the_same_study_is_a_layer(handlers, tmp_path):
    ct = phantoms.phantom((48, 44, 40), spacing=(6.0, 6.0, 7.0), noise=0)
    folder = phantoms.write_dicom_series(tmp_path / "d", *phantoms.reorient(ct.hu, ct.affine, "LPS"), phases=2)
    page = last(handlers.open_upload("a", [str(phantoms.zip_folder(folder, tmp_path / "scan.zip"))]))
    session = handlers.store.get("a")
    kept = sorted(session.files.iterdir())
    updates = last(handlers.priors.act("a", {"op": "prior", "id": page["facts"]["series"][1]["id"]}))
    assert "toast" not in updates
    assert handlers.store.get("a") is session
    assert session.prior.found.same_frame
    assert "one frame of reference" in updates["facts"]["prior"]["about"]
    np.testing.assert_array_equal(session.prior.board.ct.hu, ct.hu + 100)
    assert sorted(session.files.iterdir()) == kept  # the open scan's own


def saved(opened, tmp_path, scan):
    """The case of visitor ``a``, saved by the button."""
    page = opened.export("a", {"op": "save", "scan": scan})
    assert "toast" not in page
    return shutil.copy(opened.saved_case(opened.store.get("a").token), tmp_path / "kept.medvl.zip")


@pytest.fixture
def compared(opened, prior, phantom):
    """The phantom of visitor ``a`` with the prior beside it, which has a mask."""
    last(opened.priors.open("a", prior()))
    case = opened.store.get("a").case.prior
    case.put(Mask.from_array(phantom.organ("liver"), id="", name="Liver then"))
    return opened


@pytest.mark.parametrize("scan", [True, False])
def test_a_saved_case_has_it(compared, prior, tmp_path, monkeypatch, scan):
    before = compared.store.get("a").prior
    path = saved(compared, tmp_path, scan)
    monkeypatch.setattr("medvl.case.register", None)  # where it lies is in the file
    page = last(compared.open_upload("b", [str(path)]))
    session = compared.store.get("b")
    assert "toast" not in page
    assert page["facts"]["prior"]["title"] == "last_year.nii.gz"
    if not scan:
        assert session.prior is None
        assert "not in its file" in page["facts"]["prior"]["about"]
        page = last(compared.priors.open("b", prior()))
        assert "toast" not in page
    assert [mask.name for mask in session.case.prior.masks.values()] == ["Liver then"]
    np.testing.assert_allclose(session.prior.found.matrix, before.found.matrix)
    np.testing.assert_array_equal(session.prior.board.ct.hu, before.board.ct.hu)
    assert page["facts"]["prior"]["about"] == before.about


def test_reopened_on_the_same_page_it_stays(compared, tmp_path):
    path = saved(compared, tmp_path, False)
    page = last(compared.open_upload("a", [str(path)]))
    assert page["viewer"]["prior"]["title"] == "last_year.nii.gz"
    assert len(compared.store.get("a").case.prior.masks) == 1


def test_another_scan_than_the_saved_prior_is_laid_over_anew(compared, prior, tmp_path, phantom):
    path = saved(compared, tmp_path, False)
    last(compared.open_upload("b", [str(path)]))
    tmp_path.mkdir(exist_ok=True)  # an upload's folder goes with it
    phantoms.write_nifti(tmp_path / "other.nii.gz", phantom.hu, phantom.affine)
    page = last(compared.priors.open("b", [str(tmp_path / "other.nii.gz")]))
    assert page["facts"]["prior"]["title"] == "other.nii.gz"
    assert not compared.store.get("b").case.prior.masks
    assert compared.store.get("b").awaited is None


def test_closed_while_it_is_waited_for_it_is_forgotten(compared, tmp_path):
    path = saved(compared, tmp_path, False)
    last(compared.open_upload("b", [str(path)]))
    page = last(compared.priors.act("b", {"op": "close"}))
    assert page["facts"]["prior"] is None
