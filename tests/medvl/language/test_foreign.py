"""Simple messages in four languages reach the words that are understood; English stays as it is."""

from __future__ import annotations

import pytest

from medvl.language.calls import TOOLS
from medvl.language.calls.schema import examples
from medvl.language.foreign import english, language
from medvl.language.parse import parse
from medvl.training.talk.corpus import generated
from medvl.vocabulary.foreign_words import CHINESE, LANGUAGES
from medvl.vocabulary.names import STRUCTURES


@pytest.mark.parametrize(
    ("message", "code", "tool", "ids"),
    [
        ("Wie groß ist die linke Niere?", "de", "measure", ("left_kidney",)),
        ("Zeig mir Milz und Leber", "de", "segment", ("spleen", "liver")),
        ("Blende die rechte Lunge aus", "de", "show", ("right_lung",)),
        ("¿Cuál es el volumen del bazo?", "es", "measure", ("spleen",)),
        ("Muestra el riñón derecho", "es", "segment", ("right_kidney",)),
        ("Quel est le volume de la vessie ?", "fr", "measure", ("urinary_bladder",)),
        ("Segmente le foie et la rate", "fr", "segment", ("liver", "spleen")),
        ("主动脉直径是多少", "zh", "measure", ("aorta",)),
        ("分割心脏和左肺", "zh", "segment", ("heart", "left_lung")),
    ],
)
def test_simple_messages(message, code, tool, ids):
    assert language(message) == code
    (call,) = parse(english(message))
    assert (call.tool, call.structures) == (tool, ids)


def test_english_is_left_as_it_is():
    told = [text for kind in TOOLS.values() for text, _ in examples(kind)]
    told += [example.text for example in generated(seed=7, per_template=1)]
    assert [text for text in told if english(text) != text] == []


@pytest.mark.parametrize("code", ["zh", *LANGUAGES])
def test_every_name_of_a_table_is_one_that_is_known(code):
    table = CHINESE if code == "zh" else LANGUAGES[code]
    names = {word for structure in STRUCTURES.values() for word in (structure.name, *structure.synonyms)}
    assert len(set(table.values()) & names) > 18
    assert not any(character.isupper() for said in (*table, *table.values()) for character in said)


@pytest.mark.parametrize("text", ["", " ", "?!", "肝" * 5000, "die die die der das " * 4000, "¿" * 3000, "\u0000 rein"])
def test_anything_comes_through(text):
    assert len(english(text)) <= 40_000


def test_german_words_are_taken_apart_where_both_parts_are_known():
    assert english("Milzvolumen und Dichte der Leber") == "spleen volume and density the liver"
    assert english("Nierengrösse messen bitte") == "kidneys size measure please"
