"""Shared by the app's tests: a phantom on disk, a shelf with it as the only sample, handlers with a stand-in model."""

from __future__ import annotations

import json

import pytest

from app.handlers import Handlers
from app.scans import SampleShelf
from app.sessions import SessionStore

from .. import phantoms
from .stand_in import StandInModel


@pytest.fixture(scope="session")
def phantom():
    return phantoms.phantom((48, 44, 40), spacing=(6.0, 6.0, 7.0), noise=0)


@pytest.fixture(scope="session")
def shelf_folder(tmp_path_factory, phantom):
    folder = tmp_path_factory.mktemp("session-samples")
    phantoms.write_nifti(folder / "phantom.nii.gz", phantom.hu, phantom.affine)
    one = {
        "title": "Phantom",
        "file": "phantom.nii.gz",
        "description": "Made up.",
        "licence": "None",
        "source": "tests",
    }
    listed = [{"id": "phantom", **one}, {"id": "again", **one, "title": "The same"}]
    (folder / "samples.json").write_text(json.dumps(listed))
    return folder


@pytest.fixture
def handlers(shelf_folder):
    made = Handlers(StandInModel(), SessionStore(budget_bytes=10**9), SampleShelf(shelf_folder))
    yield made
    made.store.shutdown()


@pytest.fixture
def opened(handlers):
    """Handlers with the phantom open for visitor ``a``."""
    list(handlers.open_default("a"))
    return handlers
