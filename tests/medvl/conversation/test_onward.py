"""Words like "go on": which object is meant, and what is no such thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medvl.conversation import onward
from medvl.ct.mask_list import MaskList
from medvl.ct.masks import Mask, with_stops


@pytest.fixture
def listed():
    array = np.zeros((6, 6, 9), bool)
    array[1:4, 1:4, 3:5] = True
    masks = MaskList()
    for name, at in (("Tumour", (4,)), ("Cyst", ()), ("Object 3", (3, 4))):
        masks.remember(replace(masks.begin(Mask.from_array(array), name), ends=with_stops((), 2, at)))
    return masks


@pytest.mark.parametrize("text", ["go on", "Continue, please", "keep going", "finish it", "Resume!", "yes", "ok go on"])
def test_the_last_one_that_was_stopped_goes_on(listed, text):
    assert onward.wanted(text, listed, asked=False) == "m3"


@pytest.mark.parametrize("text", ["go on with the tumour", "finish tumour", "continue following Tumour please"])
def test_one_is_named(listed, text):
    assert onward.wanted(text, listed, asked=False) == "m1"


def test_the_clicked_one_is_meant(listed):
    listed.clicked = "m1"
    assert onward.wanted("go on", listed, asked=False) == "m1"


@pytest.mark.parametrize(
    "text",
    ["go on to the liver", "finish the report", "continue with the cyst", "how large is the tumour?", "stop", ""],
)
def test_other_messages_are_not_taken(listed, text):
    assert onward.wanted(text, listed, asked=False) is None


def test_a_bare_yes_answers_what_was_asked(listed):
    assert onward.wanted("yes", listed, asked=True) is None
    assert onward.wanted("go on", listed, asked=True) == "m3"


def test_without_a_stopped_object_nothing_goes_on(listed):
    for mask in list(listed.values()):
        listed.remember(replace(mask, ends=()))
    assert onward.wanted("go on", listed, asked=False) is None
