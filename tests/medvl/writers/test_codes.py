"""Codes of segments: real ones, of everything that the vocabulary can name."""

import pytest
from pydicom.sr._concepts_dict import concepts

from medvl.vocabulary.names import STRUCTURES
from medvl.vocabulary.spoken import name, sentence
from medvl.writers.codes import FINDINGS, ORGANS, REGIONS, SPOTS, property_codes

_OF_SPOTS = [code for codes in SPOTS.values() for code in (codes.category, codes.kind)]
# In no dictionary of pydicom; TotalSegmentator's table of SNOMED CT codes has them.
_OTHERS = {"244849004": "Deep muscle of back", "68455001": "Iliopsoas muscle"}


def test_every_structure_of_the_vocabulary_has_a_code():
    for structure in STRUCTURES.values():
        for called in (sentence(name(structure.id)), structure.id, structure.name):
            code = property_codes(called)
            assert code.kind.meaning != "Tissue"
            assert code.category.meaning == "Anatomical Structure"
            assert (code.side.meaning.lower() if code.side else "") == structure.side
            if structure.level:
                assert code.kind.meaning == f"{structure.level} vertebra"


def test_structures_are_told_apart_by_their_codes():
    codes = {id: property_codes(sentence(name(id))) for id in STRUCTURES}
    keys = [(c.kind.value, c.side and c.side.value, c.region and c.region.value) for c in codes.values()]
    assert len(set(keys)) == len(keys)


def test_codes_mean_what_they_say():
    """Each code is in DICOM's dictionaries, under a meaning that holds the words of ours."""
    for code in (*ORGANS.values(), *FINDINGS.values(), *REGIONS.values(), *_OF_SPOTS):
        meanings = [entry[code.value][0] for entry in concepts["SCT"].values() if code.value in entry]
        if code.value in _OTHERS:
            assert (meanings, code.meaning) == ([], _OTHERS[code.value])
        else:
            assert any(code.meaning.lower() in meaning.lower() for meaning in meanings), code


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("Liver", "Liver", None),
        ("kidney_right", "Kidney", "Right"),
        ("LEFT lung 2", "Lung", "Left"),
        ("urinary_bladder", "Bladder", None),
        ("Tumour 3", "Neoplasm", None),
        ("left liver", "Selected region", None),
        ("T12", "T12 vertebra", None),
        ("L1 vertebra 2", "L1 vertebra", None),
        ("Body", "Entire body", None),
        ("Object 1", "Selected region", None),
        ("Dark area, liver 2", "Lesion", None),
        ("Bright spot, left kidney", "Lesion", None),
        ("Solid spot in the lung 1", "Lesion", None),
        ("Fluid beside the right lung", "Body fluid", None),
        ("Gas, right kidney", "Gas", None),
        ("Metal 3", "Foreign body", None),
        ("Calcium of the aorta 2", "pathologic calcification", None),
        ("Spot at the crosshair", "Lesion", None),
        ("", "Selected region", None),
    ],
)
def test_codes_of_names(name, meaning, side):
    code = property_codes(name)
    assert code.kind.meaning == meaning
    assert (code.side.meaning if code.side else None) == side
