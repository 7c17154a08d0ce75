"""The bundled abdomen with its reference labels, and a finder over them."""

from __future__ import annotations

import pytest

from medvl.evaluation.cases import LabelledCase, abdomen_as_structures
from medvl.evaluation.label_finder import LabelFinder


@pytest.fixture(scope="package")
def abdomen_case() -> LabelledCase:
    return abdomen_as_structures()


@pytest.fixture(scope="package")
def finder(abdomen_case) -> LabelFinder:
    return LabelFinder(abdomen_case.ct, abdomen_case.labels, abdomen_case.names, abdomen_case.complete)
