"""A question about the picture: one line, the reading, what was measured of it, and where the two differ."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation import beside, guard, image_reading
from medvl.conversation.contract import Sentence, Words
from medvl.conversation.conversation import Conversation
from medvl.conversation.image_reader import Telling
from medvl.ct.mask_list import MaskList
from medvl.errors import GpuError, WeightsError
from medvl.language.calls import Measure, Presence
from medvl.structures.found import Found
from medvl.tools.findings import FINDINGS

from ..scenes import finder_of, sample, scene_of


class Saying:
    """A reader that says the same whatever it is asked; ``error`` is raised behind its words."""

    def __init__(self, text: str = "", error: Exception | None = None):
        self.text, self.error, self.asked = text, error, []

    def read(self, question, told, cancel=None, fresh=False):
        self.asked.append(question)
        telling = Telling(told, [])
        for number, word in enumerate(self.text.split()):
            yield from telling.add(f"{' ' if number else ''}{word}")
        yield from telling.end()
        if self.error:
            raise self.error

    def read_report(self, told, cancel=None):
        yield from self.read("report", told, cancel)

    def clear(self):
        pass


def answer(text: str, reading: str = "", error: Exception | None = None, finder=None, listed=None):
    reader = Saying(reading, error)
    conversation = Conversation(finder or sample(), reader=reader, listed=listed)
    pieces = list(conversation.ask(text))
    streamed = "".join(p.text for p in pieces if isinstance(p, Words))
    told = pieces[-1].answer
    assert streamed.split() == told.text.split()
    assert all(s.source == "model" or guard.holds(s) for s in told.sentences)
    return told, reader


PLAIN = "This is the abdomen in the portal venous phase."


@pytest.mark.parametrize(
    ("question", "measured"),
    [
        ("describe the liver", "mL"),
        ("how do the bones look?", "bone"),
        ("what do you see?", "liver"),
        ("what do you see in the spleen?", "spleen"),
        ("how does the pancreas look?", "pancreas"),
        ("is the liver homogeneous?", "HU"),
        ("tell me about the kidneys", "kidney"),
        ("anything abnormal about the spleen?", "spleen"),
        ("is there anything wrong with the spleen?", "spleen"),
    ],
)
def test_line_reading_and_measurements_in_this_order_without_a_refusal(question, measured):
    told, reader = answer(question, PLAIN)
    sources = [s.source for s in told.sentences]
    assert told.sentences[0].text == image_reading.FOLLOWS
    assert sources[1] == "model"
    assert "model" not in sources[2:]
    assert any(measured in s.text for s in told.sentences[2:]), told.text
    assert reader.asked == [question]
    assert not told.refused
    said = " ".join(s.text for s in told.sentences[2:])
    assert not any(words in said for words in ("do not diagnose", "no measured value", "I cannot", "not understand"))


@pytest.mark.parametrize("question", ["how does the colon look?", "any fracture?", "does the bowel look inflamed?"])
def test_what_no_tool_measures_is_read_alone(question):
    told, _ = answer(question, PLAIN)
    assert [s.source for s in told.sentences] == ["program", "model"]
    assert not told.refused


@pytest.mark.parametrize(
    "question",
    ["how large is the spleen?", "segment the liver", "show me the liver", "let me see the liver", "hello",
     "is the liver enlarged?", "please look at the liver", "do I have cancer?", "is it malignant?",
     "how far is the spleen from the gallbladder?"],
)  # fmt: skip
def test_what_tools_answer_and_what_a_doctor_answers_is_not_read(question):
    told, reader = answer(question, PLAIN)
    assert reader.asked == []
    assert all(s.source != "model" for s in told.sentences)


def test_without_a_reader_the_answer_is_what_it_was():
    told = list(Conversation(sample()).ask("describe the liver"))[-1].answer
    assert "mL" in told.text
    assert image_reading.FOLLOWS not in told.text


def test_what_is_to_be_done_beside_a_question_to_the_picture_is_done_and_the_reading_stands_under_its_line():
    finder, listed = sample(), MaskList()
    mask = finder.find("liver").mask
    mask = listed.put(listed.begin(mask, "Liver"))
    told, reader = answer("expand the liver by 5 mm. describe the spleen", PLAIN, finder=finder, listed=listed)
    texts = [s.text for s in told.sentences]
    assert texts.count(image_reading.FOLLOWS) == 1
    assert told.sentences[texts.index(image_reading.FOLLOWS) + 1].source == "model"
    assert told.calls[0].tool == "edit"
    assert next(iter(listed.values())).voxels > mask.voxels
    assert len(reader.asked) == 1
    told, reader = answer("expand the liver by 5 mm", PLAIN, finder=finder, listed=listed)
    assert image_reading.FOLLOWS not in told.text
    assert reader.asked == []


def test_a_report_keeps_its_order():
    told, reader = answer("describe this scan", PLAIN)
    assert told.sentences[-1].source == "model"
    assert reader.asked == ["report"]


@pytest.mark.parametrize("error", [GpuError("No GPU is free."), WeightsError("The server at port 8000 is away.")])
def test_where_there_is_no_reading_the_tools_answer(error):
    told, _ = answer("describe the liver", "", error)
    assert str(error) == told.sentences[0].text  # no line on a reading that there is not
    assert any("mL" in s.text for s in told.sentences)
    half, _ = answer("describe the liver", "The liver is", error)
    assert [s.source for s in half.sentences][:3] == ["program", "model", "program"]
    assert any("mL" in s.text for s in half.sentences[3:])


@pytest.mark.parametrize("reading", ["", " "])
def test_a_model_that_says_nothing_leaves_no_line_above_what_is_measured(reading):
    told, reader = answer("describe the liver", reading)
    assert reader.asked == ["describe the liver"]
    assert told.sentences[0].text == image_reading.SILENT
    assert image_reading.FOLLOWS not in told.text
    assert any("mL" in s.text for s in told.sentences[1:])


# ---- what a reading claims


def claims(text: str):
    return beside.claims([Sentence(text, "model")])


@pytest.mark.parametrize(
    ("text", "call", "holds"),
    [
        ("The liver is enlarged.", "hepatomegaly", True),
        ("The liver is normal in size.", "hepatomegaly", False),
        ("The spleen is not enlarged.", "splenomegaly", False),
        ("Heart size is not normal.", "cardiomegaly", True),
        ("There is no pleural effusion.", "pleural_effusion", False),
        ("There is a small right pleural effusion.", "pleural_effusion", True),
        ("No evidence of emphysema.", "emphysema", False),
        ("Multiple gallstones are seen.", "gallstones", True),
        ("The gallbladder is surgically absent.", Presence(("gallbladder",)), False),
        ("The spleen is not visualized.", Presence(("spleen",)), False),
        ("The liver volume is 1,500 mL.", Measure(("liver",), what="volume"), True),
        ("The liver has a mean attenuation of 55 HU.", Measure(("liver",), what="mean_hu"), True),
    ],
)
def test_claims_that_a_tool_can_check(text, call, holds):
    (claim,) = claims(text)
    assert claim.holds == holds
    assert (claim.call.id if isinstance(call, str) else claim.call) == call


@pytest.mark.parametrize(
    "text",
    [
        "Splenomegaly cannot be excluded.",
        "Possible small pleural effusion.",
        "This may suggest steatosis.",
        "The liver is homogeneous.",
        "The spleen measures 12 cm.",  # which length is not said
        "Is the spleen enlarged?",
        "The spleen is seen.",
        "The patient lies on the back.",
    ],
)
def test_what_is_unsure_or_not_measured_is_no_claim(text):
    assert claims(text) == ()


def test_clauses_are_claims_of_their_own():
    told = claims("The liver is enlarged, no pleural effusion. The spleen is normal in size but the liver is enlarged.")
    assert [(c.call.id, c.holds) for c in told] == [
        ("hepatomegaly", True), ("pleural_effusion", False), ("splenomegaly", False)
    ]  # fmt: skip


# ---- where they differ


@pytest.mark.parametrize(
    ("finding", "verdict", "says", "agrees", "so"),
    [
        ("steatosis", "not met", "Diffuse hepatic steatosis.", "No hepatic steatosis.", "not so"),
        ("aortic_calcification", "met", "No aortic calcification.", "Aortic calcification.", "so"),
        ("aortic_aneurysm", "not met", "The aorta is aneurysmal.", "No aortic aneurysm.", "not so"),
    ],
)
def test_a_finding_that_was_measured_otherwise_is_told(finding, verdict, says, agrees, so):
    rule = FINDINGS[finding]
    assert rule.of(scene_of(sample())).verdict == verdict
    told, _ = answer("what do you see?", says)
    differs = told.sentences[-1]
    assert differs.source == "program"
    assert f"\u201c{says.rstrip('.')}\u201d, and by the rule that is cited above it is {so}." in differs.text
    assert any(s.text.lower().startswith(("source:", "rule of")) for s in told.sentences[:-1])
    same, _ = answer("what do you see?", agrees)
    assert "differ:" not in same.text
    assert [s.text for s in same.sentences[2:]] == [s.text for s in told.sentences[2:-1]]


def test_where_a_rule_does_not_hold_nothing_is_said_to_differ():
    assert FINDINGS["splenomegaly"].of(scene_of(sample())).verdict == "measured"  # the scan cuts it
    for text in ("The spleen is markedly enlarged.", "The spleen is not enlarged."):
        told, _ = answer("how does the spleen look?", text)
        assert "differ" not in told.text
        assert "at least 261 mL" in told.text


def test_a_value_that_was_measured_otherwise_is_told():
    finder = finder_of({"liver": np.s_[5:25, 5:25, 5:25]}, hu=np.full((40, 36, 30), 50, np.int16))
    millilitres = 20 * 20 * 20 * 6 / 1000  # 48
    for text, differ in [
        ("The liver volume is 48 mL.", False),
        (f"The liver volume is {0.96 * millilitres:.0f} mL.", False),
        ("The liver volume is 90 mL.", True),
        ("The liver volume is 0.048 L.", False),
        ("The liver has a mean attenuation of 51 HU.", False),
        ("The liver has a mean attenuation of 80 HU.", True),
    ]:
        told, _ = answer("describe the liver", text, finder=finder)
        assert ("differ" in told.text) == differ, told.text
        if differ:
            assert text.rstrip(".") in told.sentences[-1].text
            assert any(f"measured is {v}" in told.sentences[-1].text for v in ("48.0 mL", "48 mL", "50 HU"))


def test_a_structure_that_was_found_although_it_is_said_to_be_absent():
    told, _ = answer("what do you see?", "The spleen is absent.")
    assert "the spleen was found in this scan" in told.sentences[-1].text
    assert told.sentences[-1].mask_ids
    missing = finder_of({"liver": np.s_[5:25, 5:25, 5:25]})
    missing_told, _ = answer("what do you see in the liver?", "The spleen is absent.", finder=missing)
    assert "differ" not in missing_told.text


def test_a_lower_bound_contradicts_only_what_lies_below_it():
    cut = finder_of({"liver": np.s_[5:25, 5:25, 0:20]})  # reaches the end of the scan
    above, _ = answer("describe the liver", "The liver volume is 1500 mL.", finder=cut)
    below, _ = answer("describe the liver", "The liver volume is 10 mL.", finder=cut)
    assert "differ" not in above.text
    assert "differ" in below.text
    assert isinstance(cut.find("liver"), Found)


@pytest.mark.parametrize(
    ("first", "then", "of"),
    [
        ("The spleen looks even.", "Its volume is 180 mL.", ("spleen",)),
        ("There is fluid by the liver and the spleen.", "Its volume is 180 mL.", None),
        ("This is a fine picture.", "It measures 180 mL.", None),
    ],
)
def test_its_is_of_the_one_structure_named_before(first, then, of):
    found = [c for c in beside.claims([Sentence(first, "model"), Sentence(then, "model")]) if c.value is not None]
    assert [c.call.structures for c in found] == ([of] if of else [])


def test_what_was_not_asked_about_is_not_segmented_for_a_reading():
    reader = Saying("The liver is enlarged. The spleen is absent. The aorta is aneurysmal.")
    conversation = Conversation(sample(), reader=reader)
    told = list(conversation.ask("describe the liver"))[-1].answer
    assert conversation.scene.found("liver")
    assert conversation.scene.found("spleen") is None
    assert conversation.scene.found("aorta") is None
    assert "differ" not in told.text
    list(conversation.ask("how large is the spleen?"))
    again = list(conversation.ask("describe the liver"))[-1].answer
    assert "the spleen was found" in again.text


def test_differences_stand_at_the_end():
    told, _ = answer("what do you see?", "Hepatic steatosis. The spleen is absent. There is aortic calcification.")
    differ = [n for n, s in enumerate(told.sentences) if "differ:" in s.text]
    assert differ == [len(told.sentences) - 2, len(told.sentences) - 1]


def test_follow_ups_are_about_what_was_asked_and_not_about_what_the_reading_named():
    conversation = Conversation(sample(), reader=Saying("There is no pleural effusion. The spleen is enlarged."))
    list(conversation.ask("describe the liver"))
    told = list(conversation.ask("how large is it?"))[-1].answer
    assert told.calls[0].structures == ("liver",)
