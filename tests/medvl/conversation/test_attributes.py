"""A swapped attribute, a denial or an affirmation without a result, and a disease do not pass, in thousands of them."""

from __future__ import annotations

import random

import pytest

from medvl.conversation import guard
from medvl.conversation.contract import Sentence
from medvl.tools.fact import Fact, shown
from medvl.vocabulary.names import STRUCTURES
from medvl.vocabulary.spoken import the

SPOKEN = [id for id in STRUCTURES if id not in ("body", "other_bone")]
# Of one quality: key, unit, and ways to say it.
SAID = {
    "mean_hu": ("HU", ("{the} has a mean of {v}", "the mean attenuation of {the} is {v}", "{the}: {v} on average")),
    "sd_hu": ("HU", ("{the} has a standard deviation of {v}", "the standard deviation of {the} is {v}")),
    "median_hu": ("HU", ("{the} has a median of {v}", "the median of {the} is {v}")),
    "max_hu": ("HU", ("{the} has {v} at most",)),
    "cross_diameter_mm": ("mm", ("{the} is {v} wide", "the width of {the} is {v}")),
    "longest_diameter_mm": ("mm", ("{the} is {v} long", "the longest diameter of {the} is {v}")),
    "thickness_mm": ("mm", ("{the} is {v} thick",)),
}
HU = [key for key, (unit, _) in SAID.items() if unit == "HU"]
MM = [key for key, (unit, _) in SAID.items() if unit == "mm"]
DISEASES = ("a tumour", "cancer", "a metastasis", "pneumonia", "an abscess", "a fracture", "a malignant mass", "a cyst")
DENIALS = ("there is no {} in {}", "no {} was seen in {}", "nothing like {} was found in {}", "{} is not present in {}")


def held(text: str, *facts: Fact) -> bool:
    return guard.holds(Sentence(f"{text[:1].upper()}{text[1:]}.", "measured", facts=facts))


@pytest.mark.parametrize("keys", [HU, MM], ids=["HU", "mm"])
def test_a_value_cannot_be_said_of_another_quality(keys):
    draw = random.Random(5)
    for _ in range(1500):
        key, other = draw.sample(keys, 2)
        unit, ways = SAID[key]
        value, id = float(draw.randint(3, 400)), draw.choice(SPOKEN)
        fact, swapped = Fact(key, value, unit, (id,)), Fact(other, value, unit, (id,))
        text = draw.choice(ways).format(the=the(id), v=shown(fact))
        assert held(text, fact), text
        assert not held(text, swapped), (text, other)
        # the right fact beside the wrong one is enough, its value elsewhere is not
        assert held(text, fact, swapped)
        assert not held(text, swapped, Fact(key, value + 7, unit, (id,)))


def test_two_values_cannot_change_places():
    draw = random.Random(6)
    for _ in range(1000):
        id = draw.choice(SPOKEN)
        mean, sd = draw.sample(range(5, 300), 2)
        facts = (Fact("mean_hu", float(mean), "HU", (id,)), Fact("sd_hu", float(sd), "HU", (id,)))
        assert held(f"{the(id)} has a mean of {mean} HU (standard deviation {sd} HU)", *facts)
        assert not held(f"{the(id)} has a mean of {sd} HU (standard deviation {mean} HU)", *facts)


def test_nothing_is_denied_or_affirmed_without_a_result():
    draw = random.Random(7)
    for _ in range(1500):
        id, other = draw.sample(SPOKEN, 2)
        text = draw.choice(DENIALS).format("dark area", the(id))
        volume = Fact("volume_ml", float(draw.randint(5, 900)), "mL", (id,))
        unseen = Fact("seen", False, "", (id,))
        assert held(text, unseen), text
        assert not held(text), text
        assert not held(text, volume), text
        assert not held(text, Fact("seen", True, "", (id,))), text
        assert not held(text, Fact("seen", False, "", (other,))), text
        there = f"a dark area was seen in {the(id)}"
        assert held(there, Fact("seen", True, "", (id,)))
        assert not held(there)
        assert not held(there, unseen)


def test_no_disease_is_stated_whatever_was_measured():
    draw = random.Random(8)
    for _ in range(1000):
        id, disease = draw.choice(SPOKEN), draw.choice(DISEASES)
        facts = (Fact("seen", True, "", (id,)), Fact("volume_ml", 12.0, "mL", (id,)), Fact("seen", False, "", (id,)))
        for text in ("there is {} in {}", "{1} shows {0}", "there is no {} in {}", "the spot of 12 mL in {1} is {0}"):
            assert not held(text.format(disease, the(id)), *facts)


def test_what_a_reference_says_may_be_quoted():
    rule = Fact("rule", None, reference="Bosniak: cysts of -9 to 20 HU")
    assert held("an area of -9 to 20 HU is as in cysts", rule)
