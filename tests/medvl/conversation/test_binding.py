"""A value said of another structure, a swapped comparison and a swapped side do not pass, in thousands of sentences."""

from __future__ import annotations

import random

from medvl.conversation import guard
from medvl.conversation.binding import named
from medvl.conversation.contract import Sentence
from medvl.tools.fact import Fact, shown
from medvl.vocabulary.names import STRUCTURES
from medvl.vocabulary.spoken import all_the, listing, the

SPOKEN = [id for id in STRUCTURES if id not in ("body", "other_bone")]
UNITS = {"volume_ml": "mL", "mean_hu": "HU", "longest_diameter_mm": "mm"}
WAYS = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below",
        "front": "in front of", "behind": "behind"}  # fmt: skip
OTHER = {"left": "right", "right": "left", "above": "below", "below": "above", "front": "behind", "behind": "front"}


def held(text: str, *facts: Fact) -> bool:
    return guard.holds(Sentence(f"{text}.", "measured", facts=facts))


def drawn(draw: random.Random, number: int) -> list[Fact]:
    """One attribute of some structures, with values that differ as they are shown."""
    key = draw.choice(list(UNITS))
    values = draw.sample(range(12, 2000), number)
    return [Fact(key, float(v), UNITS[key], (id,)) for v, id in zip(values, draw.sample(SPOKEN, number), strict=True)]


def rows(ids: list[str], values: list[str]) -> list[str]:
    """Ways to say values of structures."""
    pairs = list(zip(ids, values, strict=True))
    return [
        f"I segmented {listing([f'{the(id)} ({value})' for id, value in pairs])}",
        listing([f"{the(id)} has {value}" for id, value in pairs]),
        listing([f"{value} for {the(id)}" for id, value in pairs]),
        "; ".join(f"{the(id)} at {value}" for id, value in pairs),
    ]


def test_values_of_several_structures_cannot_be_exchanged():
    draw = random.Random(1)
    for _ in range(800):
        facts = drawn(draw, draw.randint(2, 4))
        ids, values = [fact.structures[0] for fact in facts], [shown(fact) for fact in facts]
        turned = values[1:] + values[:1]
        for true, false in zip(rows(ids, values), rows(ids, turned), strict=True):
            assert held(true, *facts), true
            assert not held(false, *facts), false


def test_a_value_cannot_be_said_of_another_structure():
    draw = random.Random(2)
    for _ in range(800):
        facts = drawn(draw, 2)
        stranger = draw.choice([id for id in SPOKEN if all(id not in fact.structures for fact in facts)])
        mine, its = facts[0].structures[0], shown(facts[0])
        for text in ("{} is {}", "that of {} is {}", "{} measures at least {}, and may go on outside the scan"):
            assert held(text.format(the(mine), its), *facts)
            assert not held(text.format(the(stranger), its), *facts)
            assert not held(text.format(the(facts[1].structures[0]), its), *facts)


def test_a_comparison_cannot_be_turned():
    draw = random.Random(3)
    for _ in range(800):
        one, other = sorted(drawn(draw, 2), key=lambda fact: -fact.value)
        a, b = the(one.structures[0]), the(other.structures[0])
        more, less = draw.choice([("larger", "smaller"), ("brighter", "darker"), ("longer", "shorter")])
        assert held(f"{a} is {more} than {b}: {shown(one)} against {shown(other)}", one, other)
        assert not held(f"{a} is {less} than {b}: {shown(one)} against {shown(other)}", one, other)
        assert held(f"no: {b} is {less} than {a}", one, other)
        assert not held(f"yes: {b} is {more} than {a}", one, other)


def test_a_side_cannot_be_turned():
    draw = random.Random(4)
    for _ in range(400):
        a, b = draw.sample(SPOKEN, 2)
        for way, words in WAYS.items():
            fact = Fact("offset_mm", 40.0, "mm", (a, b), note=way)
            assert held(f"{the(a)} lies {words} {the(b)}", fact)
            assert not held(f"{the(b)} lies {words} {the(a)}", fact)
            assert not held(f"{the(a)} lies {WAYS[OTHER[way]]} {the(b)}", fact)


def test_the_longest_name_counts():
    assert [id for id in SPOKEN if named(f"It is {the(id)}.") != (id,)] == []


def test_what_names_no_structure_is_held_to_its_numbers_alone():
    total = Fact("total_volume_ml", 343.0, "mL", ("right_kidney", "left_kidney"))
    assert held("together they have 343 mL", total)
    assert held(f"{all_the(total.structures)} have 343 mL", total)
    assert not held("together they have 344 mL", total)


def test_a_level_is_not_what_is_spoken_of():
    fact = Fact("trabecular_hu", 118.0, "HU", ("vertebral_column",))
    assert held("bone in the vertebrae at the level of the kidneys has 118 HU", fact)
    assert not held("bone in the kidneys has 118 HU", fact)
