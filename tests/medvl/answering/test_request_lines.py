import pytest

from medvl.answering.contract import Intent, Request
from medvl.answering.knowledge import TOPICS
from medvl.answering.request_lines import LineError, read, write
from medvl.evaluation.question_set import load_questions, same_detail

BOTH = ("right_kidney", "left_kidney")


@pytest.mark.parametrize(
    ("requests", "lines"),
    [
        ((Request(Intent.SEGMENT, ("left_kidney", "liver")),), "segment: left kidney, liver"),
        ((Request(Intent.SEGMENT, BOTH, choose="brighter"),), "segment choose brighter: kidneys"),
        ((Request(Intent.MEASURE, ("liver",), "mean_hu"),), "measure density: liver"),
        (
            (Request(Intent.COMPARE, BOTH[::-1], "volume", claim="larger"),),
            "compare volume claim larger: left kidney, right kidney",
        ),
        ((Request(Intent.SCAN, attribute="hu_range"), Request(Intent.REPORT)), "scan range\nreport"),
    ],
)
def test_lines_say_what_requests_say(requests, lines):
    assert write(requests) == lines
    assert read(lines) == requests


def test_every_expected_reading_of_the_question_set_survives_the_round_trip():
    for question in load_questions():
        if any(r.intent is Intent.EDIT for r in question.expect):
            continue  # masks are changed by the rules alone
        if any(r.topic not in {"", *TOPICS} for r in question.expect):
            continue  # a topic on which there is no text: nothing to tell the reader
        assert same_detail(question.expect, read(write(question.expect))), question.id


def test_an_unknown_name_brings_the_names_nearest_to_it():
    (request,) = read("segment: ?left adrenal gland, spleen")
    assert request.structures == ("spleen",)
    assert request.unknown == ("left adrenal gland",)
    assert request.nearest == ("left_kidney",)


@pytest.mark.parametrize(
    "text",
    ["", "the liver is 1500 mL", "segment: appendix", "measure: liver", "measure weight: liver", "scan 5 mm",
     "compare volume claim red: liver, spleen", "segment: ?", "segment left: kidney", "\n".join(["report"] * 9)],
)  # fmt: skip
def test_anything_else_is_no_request(text):
    with pytest.raises(LineError):
        read(text)
