"""Readers: a tiny random model runs through all of it; what it must not say is refused."""

from __future__ import annotations

import pytest

from medvl.answering import intent
from medvl.answering.contract import Intent, Request
from medvl.answering.reading import CombinedReader, ModelReader, objection
from medvl.answering.request_lines import read

from ..tiny_checkpoints import write_language_model

LEFT, RIGHT = ("left_kidney",), ("right_kidney",)
HISTORY = ((Request(Intent.MEASURE, LEFT, "volume"),),)


class Says(ModelReader):
    """A reader whose model's answer is given, to check what becomes of it."""

    def __init__(self, answer: str) -> None:
        super().__init__(load=lambda: pytest.fail("no model is needed"))
        self.answer = answer

    def lines(self, text, history=()):
        return self.answer


@pytest.mark.parametrize(
    ("line", "text", "history"),
    [
        ("segment: left kidney", "show me the kidney", ()),
        ("segment: left kidney", "show me the right kidney", HISTORY),
        ("measure volume: right kidney", "and its volume", HISTORY),
        ("segment: spleen", "show me the liver", ()),
        ("segment: liver", "outline liver and spleen", ()),
        ("segment: ?prostate", "outline the appendix", ()),
        ("relation distance: liver", "how far is the liver from there", ()),
        ("segment choose larger: liver", "the larger liver", ()),
    ],
)
def test_what_the_message_does_not_say_is_refused(line, text, history):
    assert objection(read(line), text, history)
    reader = Says(line)
    assert reader(text, history) == intent.parse(text, history)
    assert reader.refused


@pytest.mark.parametrize(
    ("line", "text", "history"),
    [
        ("segment: left kidney", "show me the left kidney", ()),
        ("segment: left kidney", "ren sinister", ()),
        ("measure volume: left kidney", "and the size in litres", HISTORY),
        ("measure volume: right kidney", "and the other one?", HISTORY),
        ("compare volume: left kidney, right kidney", "compare with the other side", HISTORY),
        ("segment: kidneys", "show me the kidney", ()),
        ("segment: spleen", "the organ that filters old blood cells", ()),
        ("finding renal stones: kidneys", "is there nephrolithiasis", ()),
        ("segment: ?appendix", "outline the appendix", ()),
    ],
)
def test_what_it_says_is_taken(line, text, history):
    assert objection(read(line), text, history) == ""
    assert Says(line)(text, history) == read(line)


def test_the_model_is_asked_only_where_the_rules_are_unsure():
    text = "liver"
    combined = CombinedReader(Says("segment: spleen"))
    assert combined(text) == intent.parse(text)
    unsure = CombinedReader(Says("segment: spleen"), rules=lambda text, history=(): (Request(Intent.UNKNOWN),))
    assert unsure("the organ that filters old blood cells") == (Request(Intent.SEGMENT, ("spleen",)),)
    assert unsure("organ near the liver, filters blood")[0].intent is Intent.UNKNOWN  # it names another one
    chat = CombinedReader(Says("chat thanks"), rules=lambda text, history=(): (Request(Intent.UNKNOWN),))
    assert chat("qwertz uiop")[0].intent is Intent.UNKNOWN


@pytest.mark.parametrize("quantization", ["none", "4bit"])
def test_a_random_model_babbles_and_the_rules_stand(tmp_path, quantization):
    write_language_model(tmp_path, kind="llama")
    reader = ModelReader.of_folder(tmp_path, quantization)
    assert reader("where is the liver") == intent.parse("where is the liver")
    assert reader.refused
    first = reader.lines("where is the liver")
    assert first == reader.lines("where is the liver")  # greedy


def test_the_model_is_loaded_at_the_first_message():
    loaded = []

    def load():
        loaded.append(1)
        raise RuntimeError("asked for the model")

    reader = ModelReader(load)
    assert not loaded
    with pytest.raises(RuntimeError, match="asked for the model"):
        reader("liver")
