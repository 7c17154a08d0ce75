from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if os.environ.get("MEDVL_REQUIRE_BROWSER") and not Path("/usr/bin/chromium").exists():
    raise RuntimeError("MEDVL_REQUIRE_BROWSER is set and there is no /usr/bin/chromium: install Debian's chromium.")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def model():
    """The bundled nano preset."""
    import medvl

    return medvl.load("nano", device="cpu")


@pytest.fixture(scope="session")
def abdomen():
    """The bundled abdomen with its reference labels (a ``LabelledCase``)."""
    from medvl.evaluation.cases import abdomen_sample

    return abdomen_sample()


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """``cases.json`` of the developers' scans, which are not in the repository."""
    path = SHARED / "data" / "cases.json"
    if not path.exists():
        pytest.skip("needs the developers' scans in ../shared/data, which are not part of the repository")
    json.loads(path.read_text())
    return path
