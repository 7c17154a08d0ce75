from __future__ import annotations

import numpy as np
import pytest

from medvl.errors import PromptError
from medvl.tools.looks import LOOKS, look, sources
from medvl.tools.looks.thresholds import Thresholds
from medvl.vocabulary.names import STRUCTURES

from .phantom import Phantom


@pytest.mark.parametrize("what", LOOKS)
def test_a_look_without_masks_says_why_it_sees_nothing(what):
    p = Phantom(shape=(20, 20, 12))
    seen = look(what, p.ct(), {})
    assert seen.what == what
    assert not seen.spots
    if what != "metal":  # which needs no mask
        assert seen.seen is None
        assert seen.limits


def test_what_looks_need_is_in_the_vocabulary():
    for kind in LOOKS.values():
        assert set(kind.structures) <= STRUCTURES.keys(), kind.id


def test_an_unknown_look_is_refused():
    with pytest.raises(PromptError, match="no look"):
        look("cancer", Phantom(shape=(8, 8, 8)).ct(), {})


def test_every_source_is_used_and_names_a_journal_and_a_year():
    named = {k: v for k, v in vars(sources).items() if k.isupper()}
    for text in named.values():
        assert any(str(year) in text for year in range(1985, 2027)), text
        assert ";" in text


def test_thresholds_cannot_be_changed():
    values = Thresholds()
    with pytest.raises(AttributeError):
        values.fluid_least_ml = 1.0
    assert np.isfinite(values.fluid_least_ml)
