"""A real Chromium on a busy machine can miss a frame or a connection; a test that fails for that reason passes when it
is run again, one that found a fault does not. A rerun is shown in the summary (``R``)."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))
