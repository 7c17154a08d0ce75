"""Every name finds its structure, and none finds another one."""

from __future__ import annotations

import pytest

from medvl.language.calls import Segment
from medvl.language.parse import parse
from medvl.vocabulary.further import SIDED_NAMES
from medvl.vocabulary.names import (
    EVERYTHING,
    GROUP_NAMES,
    GROUPS,
    STRUCTURES,
    counterpart,
    on_side,
    paired_groups,
    parts,
)
from medvl.vocabulary.unknown_terms import UNKNOWN

NAMES = [
    (synonym, structure.id)
    for structure in STRUCTURES.values()
    if not structure.paired
    for synonym in (*structure.synonyms, structure.name)
    if synonym != "body"
]
PAIRED = [(synonym, s.group) for s in STRUCTURES.values() if s.side == "right" for synonym in s.synonyms]


def understood(text: str) -> list[tuple[str, ...]]:
    """The structures of each request in a text."""
    return [request.structures for request in parse(text)]


def wrong(expected: dict[str, list[tuple[str, ...]]]) -> dict[str, list[tuple[str, ...]]]:
    """What is understood of each text that is not understood as expected."""
    return {text: got for text, wanted in expected.items() if (got := understood(text)) != wanted}


def test_every_name_finds_its_structure():
    found = {(name, id): parse(f"segment the {name}") for name, id in NAMES}
    assert len(found) > 900
    assert {
        key: requests
        for key, requests in found.items()
        if [(type(r), r.structures, r.unknown) for r in requests] != [(Segment, (key[1],), ())]
    } == {}


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("words", ["segment the {side} {name}", "show the {name} on the {side}", "{name} ({side})"])
def test_side_of_every_paired_name(side, words):
    assert wrong({words.format(side=side, name=name): [(on_side(group, side),)] for name, group in PAIRED}) == {}


def test_paired_names_without_side_mean_both():
    assert wrong({f"outline the {name}": [GROUPS[group]] for name, group in PAIRED}) == {}


def test_group_names():
    named = [(name, set(GROUPS[group])) for group, names in GROUP_NAMES.items() for name in names]
    found = {name: (set(understood(f"segment the {name}")[0]), wanted) for name, wanted in named}
    assert {name: got for name, (got, wanted) in found.items() if got != wanted} == {}


@pytest.mark.parametrize(("id", "names"), SIDED_NAMES.items())
def test_names_with_a_side_inside_them(id, names):
    for name in names:
        assert set(parse(f"segment the {name}")[0].structures) == set(parts(id)), name


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("psoas muscles", ("right_iliopsoas", "left_iliopsoas")),
        ("left ribs", ("left_ribs",)),
        ("the bony pelvis", ("sacrum", "right_hip_bone", "left_hip_bone")),
        ("lobes of the left lung", ("left_upper_lobe", "left_lower_lobe")),
        ("third rib", ()),
        ("gluteus maximus", ()),
        ("L3", ("l3_vertebra",)),
        ("the third lumbar vertebra", ("l3_vertebra",)),
        ("T12 and L1", ("t12_vertebra", "l1_vertebra")),
        ("L1-L3", ("l1_vertebra", "l2_vertebra", "l3_vertebra")),
        ("T11 to L1", ("t11_vertebra", "t12_vertebra", "l1_vertebra")),
        ("L1 of the spine", ("l1_vertebra",)),
        ("the fourth lumber vertibra", ("l4_vertebra",)),
        ("L 2", ("l2_vertebra",)),
        ("the lumbar spine", ("l1_vertebra", "l2_vertebra", "l3_vertebra", "l4_vertebra", "l5_vertebra")),
        ("L6", ()),
        ("C5", ()),
        ("T2 weighted images", ()),
        ("the L4 L5 disc", ()),
        ("the L4-L5 disc", ()),
        ("the pedicle of L3", ()),
    ],
)
def test_further_structures_and_their_parts(text, ids):
    assert parse(f"segment {text}")[0].structures == ids


def test_unknown_terms_give_no_structure():
    found = {name: parse(f"segment the {name}") for term in UNKNOWN for name in term.names}
    assert len(found) > 100
    assert {
        name: requests
        for name, requests in found.items()
        if [(r.structures, bool(r.unknown), set(r.nearest) <= set(STRUCTURES)) for r in requests] != [((), True, True)]
    } == {}


@pytest.mark.parametrize("adjective", sorted({a for s in STRUCTURES.values() for a in s.adjectives}))
def test_adjective_means_the_organ_but_not_its_vein(adjective):
    ids = {s.id for s in STRUCTURES.values() if adjective in s.adjectives}
    assert set(parse(f"what is the {adjective} volume?")[0].structures) == ids
    if adjective == "caval":
        return  # the caval vein is the vena cava
    (request,) = parse(f"segment the {adjective} vein")
    assert request.structures == ()
    assert request.unknown


def test_typo_never_turns_one_structure_into_another():
    """One slip in any name: the same structure, or none."""
    for structure in STRUCTURES.values():
        if structure.level:
            continue  # told by its number; the word alone is the whole column
        word = structure.id.split("_")[-1]
        meant = {s.id for s in STRUCTURES.values() if s.id.split("_")[-1] == word}
        for i in range(1, len(word) - 1):
            for slip in (
                word[:i] + word[i + 1 :],
                word[:i] + word[i + 1] + word[i] + word[i + 2 :],
                word[:i] + "x" + word[i:],
            ):
                got = {id for r in parse(f"segment the {slip}") for id in r.structures}
                assert got <= meant, (slip, got)


@pytest.mark.parametrize(
    ("typo", "id"),
    [
        ("lver", "liver"),
        ("spleeen", "spleen"),
        ("pancrease", "pancreas"),
        ("galbladder", "gallbladder"),
        ("trachia", "trachea"),
    ],
)
def test_common_typos_are_understood(typo, id):
    assert parse(typo)[0].structures == (id,)


@pytest.mark.parametrize(
    "word", ["river", "lover", "supine", "chest", "long", "ileum", "ilium", "iliac artery", "atlas"]
)
def test_ordinary_and_other_words_become_no_structure(word):
    assert all(not r.structures for r in parse(f"segment the {word}"))


def test_groups_and_sides_are_consistent():
    assert {"kidneys", "lungs", "parotids"} <= set(paired_groups())
    for group in paired_groups():
        assert [STRUCTURES[id].side for id in GROUPS[group]] == ["right", "left"]
    assert not any(STRUCTURES[id].further for id in EVERYTHING)
    assert "body" not in EVERYTHING
    for id, structure in STRUCTURES.items():
        assert structure.id == id
        assert structure.paired == id.startswith(("left_", "right_"))
        if structure.group:
            assert id in parts(structure.group)
        other = counterpart(id)
        assert (other is None) != structure.paired
        if other:
            assert counterpart(other) == id
            assert STRUCTURES[other].side != structure.side
