"""No number passes that is not a fact, whoever wrote the sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from medvl.conversation import guard
from medvl.conversation.contract import Sentence
from medvl.conversation.conversation import Conversation
from medvl.report.build import build_report
from medvl.tools.fact import Fact
from medvl.vocabulary.numbers import show

from ..scenes import finder_of

VOLUME = Fact("volume_ml", 1512.34, "mL", ("liver",))
HU = Fact("mean_hu", -12.6, "HU", ("liver",))
LENGTH = Fact("length_mm", 93.46, "mm", ("liver",))
RULE = Fact("hu", 52.0, "HU", ("liver",), reference="Boyce CJ, et al. AJR 2010;194:623-628: 40 HU or less")


@pytest.mark.parametrize(
    "text",
    [
        "The liver has 1,512 mL.",
        "The liver has 1512.3 ml, about 1.5 L.",
        "It has 1,510 mL and -13 HU.",
        "It measures 93.5 mm, or 9.3 cm.",
        "No number at all, but L1 and SAM2.",
        "The liver is 52 HU, above 40 HU (AJR 2010;194:623-628).",
    ],
)
def test_true_sentences_pass(text):
    assert guard.offending(text, (VOLUME, HU, LENGTH, RULE)) == []


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("The liver has 1,513 mL.", "1,513"),
        ("The liver has 1,512 mm.", "1,512"),
        ("The liver has a volume of 1,512.", "1,512"),
        ("Its attenuation is 13 HU.", "13"),
        ("It measures 94 mm.", "94"),
        ("There are three cysts in it.", "three"),
        ("It is 1,512 mL, twice the norm.", "twice"),
        ("Above 45 HU it is normal.", "45"),
    ],
)
def test_invented_numbers_and_units_are_caught(text, bad):
    assert guard.offending(text, (VOLUME, HU, LENGTH, RULE)) == [bad]


def test_what_fails_is_rebuilt_from_the_facts():
    false = Sentence("The liver has 900 mL.", "measured", ("m1",), (VOLUME,))
    mended = guard.ensure(false)
    assert mended.text == "Volume of the liver: 1,512 mL."
    assert (mended.mask_ids, mended.facts) == (false.mask_ids, false.facts)
    assert guard.holds(mended)
    true = Sentence("The liver has 1,512 mL.", "measured", ("m1",), (VOLUME,))
    assert guard.ensure(true) is true


@pytest.mark.parametrize("unit", ["mL", "HU", "mm", "%", ""])
def test_every_value_passes_as_it_is_shown(unit):
    for value in (0.0, 0.01, 0.049, 0.06, 1.25, 9.949, 9.96, 99.94, 99.96, 999.5, 1234.5, 12345.0, 7, -3.2):
        if unit in ("mL", "mm", "%") and value < 0:
            continue
        fact = Fact("x", value, unit)
        assert guard.offending(f"It is {show(value, unit)}.", (fact,)) == [], show(value, unit)


def test_a_scan_without_hounsfield_units_states_none_and_says_why_first():
    finder = finder_of(
        {"liver": np.s_[4:20, 4:20, 4:20], "spleen": np.s_[24:36, 6:18, 6:18]}, hu=np.full((40, 36, 30), 50, np.int16)
    )
    finder.ct = replace(finder.ct, hu_note="The values are electron densities, not Hounsfield units.")
    talk = Conversation(finder, write_report=partial(build_report, finder))
    for text in ("how bright is the liver", "is the liver fatty", "how big is the spleen", "was contrast given"):
        said = list(talk.ask(text))[-1].answer.sentences
        assert said[0].text == finder.ct.hu_note, text
        assert not any(fact.unit == "HU" and fact.value is not None for told in said for fact in told.facts), text
        assert not any(re.search(r"\d HU", told.text.split("Source")[0]) for told in said), text  # a rule may be cited
    report = list(build_report(finder))[-1]
    assert report.sentences[0].text == finder.ct.hu_note
    stated = [s for section in report.sections if section.title != "Sources" for s in section.sentences]
    assert not any(re.search(r"\d HU", told.text.split("Source")[0]) for told in stated)
    assert not any(fact.unit == "HU" and fact.value is not None for row in report.table for fact in row.facts)
