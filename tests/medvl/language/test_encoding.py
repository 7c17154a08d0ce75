"""What a small network would have to say of a message leads back to its call."""

from __future__ import annotations

from medvl.language.encoding import HEADS, ROLES, TAGS, call_from, labels, prepare
from medvl.language.mentions import find
from medvl.language.normalise import words
from medvl.language.parse import SPELLER
from medvl.training.talk.corpus import generated, written

FREE = ("description", "question", "words", "name", "unknown")  # words of a person, told to the letter or nearly so


def plain(call):
    return {name: value for name, value in vars(call).items() if name not in FREE}


def test_labels_of_a_message_spell_its_call():
    examples = [e for e in (*generated(seed=3, per_template=1), *written()) if len(e.calls) == 1]
    led = right = 0
    for example in examples:
        (call,) = example.calls
        prepared = prepare(SPELLER.mend(words(example.text)), example.before)
        said = labels(call, prepared, example.before)
        if said is None:
            continue
        led += 1
        choices = {head: HEADS[head][index] for head, index in said.choices.items()}
        roles, tags = [ROLES[r] for r in said.roles], [TAGS[t] for t in said.tags]
        again = call_from(choices, roles, tags, prepared, example.before)
        right += again is not None and type(again) is type(call) and plain(again) == plain(call)
    assert led > 0.85 * len(examples)  # the words lead to the structures
    assert right > 0.9 * led


def test_a_structure_stands_under_one_name_whatever_it_is_called():
    for text in ("how big is the left kidney", "how big is the l ren", "how big is kidney left"):
        prepared = prepare(SPELLER.mend(words(text)))
        assert [mention.ids for _, mention in prepared.anchors] == [("left_kidney",)]
        assert prepared.tokens[-3:] == ("[unused1]", "left", "kidney")


def test_a_message_may_end_with_any_of_its_words():
    for example in [*generated(seed=6, per_template=1)][::3]:
        said = SPELLER.mend(words(example.text))
        for end in (len(said) - 1, len(said)):
            assert all(mention.end <= end for mention in find(said[:end])), said[:end]
    prepared = prepare(["and", "the", "other", "kidney"])  # no question mark
    assert prepared.pointers[0].concept == "kidneys"
