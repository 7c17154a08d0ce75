"""Question and answer templates of the conversations that training sets are made of, in wide paraphrase.

``{x}`` is a name or description with its article, or several of them in a row; ``{the}`` and ``{The}`` the usual name
with its article; ``{s}`` is ``[SEG]``; ``{n}`` a number with its unit; ``{be}``, ``{does}``, ``{have}`` and ``{it}``
agree with the name.
"""

from __future__ import annotations

ASK = (
    "Segment {x}.",
    "Please segment {x}.",
    "Can you segment {x}?",
    "Could you segment {x} in this scan?",
    "Segment {x} in this CT.",
    "Outline {x}.",
    "Please outline {x} for me.",
    "Delineate {x}.",
    "Contour {x} in this volume.",
    "Mark {x}.",
    "Highlight {x} in the image.",
    "Show me {x}.",
    "Show {x} in this CT scan.",
    "Where {be} {x}? Give me the mask.",
    "Find {x} and segment {it}.",
    "Locate {x} in this scan.",
    "Give me a mask of {x}.",
    "I need the segmentation of {x}.",
    "Draw {x} in 3D.",
    "Extract {x} from this volume.",
    "Generate a 3D mask for {x}.",
    "Please output the segmentation mask of {x}.",
    "What belongs to {x} in this image? Answer with a mask.",
    "Which voxels are {x}?",
    "segment {x}",
    "mask of {x} please",
)
ASK_MANY = (
    "Segment {x}, each on its own.",
    "Please give me separate masks of {x}.",
    "Show {x} together.",
    "I would like to see {x}.",
)
ANSWER = (
    "It is {s}.",
    "Sure, it is {s}.",
    "Here it is: {s}.",
    "The segmentation is {s}.",
    "{The} {be} {s}.",
    "{The} {be} shown here: {s}.",
    "Sure, {the} {be} {s}.",
)
ANSWER_PLURAL = ("{The} {be} {s}.", "{The} {be} shown here: {s}.", "Sure, {the} {be} {s}.", "They are {s}.")
ANSWER_REFERRING = ("It is {the}: {s}.", "This is {the}: {s}.", "You mean {the}. It is {s}.", "{The}: {s}.")
ABSENT = (
    "{The} {be} not in this scan.",
    "There is nothing to segment: {the} {be} not in this scan.",
    "{The} {be} not visible in this scan, so there is no mask.",
    "This scan does not show {the}.",
    "I cannot segment {the}: {it} {be} not in this scan.",
    "Sorry, {the} {be} not in this scan.",
    "No, {the} {be} not within this scan.",
)
PRESENCE = (
    "{Be} {x} in this scan?",
    "Does this CT show {x}?",
    "Can you see {x}?",
    "{Be} {x} visible here?",
    "Does the field of view include {x}?",
)
YES = ("Yes, {the} {be} in this scan.", "Yes, this scan shows {the}.", "Yes.")
NO = ("No, {the} {be} not in this scan.", "No, this scan does not show {the}.", "No.")
MEASURES: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "volume_ml",
        "mL",
        (
            "What is the volume of {x}?",
            "How large {be} {x}?",
            "How many millilitres {does} {x} measure?",
            "Measure the volume of {x}.",
            "volume of {x}?",
        ),
        ("The volume of {the} is {n}.", "{The} {have} a volume of {n}.", "{n}."),
    ),
    (
        "longest_diameter_mm",
        "mm",
        ("What is the longest diameter of {x}?", "How long {be} {x} at most?", "Measure the longest diameter of {x}."),
        ("The longest diameter of {the} is {n}.", "{The} {have} a longest diameter of {n}."),
    ),
    (
        "mean_hu",
        "HU",
        ("What is the mean density of {x}?", "How many HU {does} {x} have on average?", "Mean attenuation of {x}?"),
        ("The mean attenuation of {the} is {n}.", "On average {the} {have} {n}."),
    ),
)
REPORT_QUESTIONS = (
    "Describe the findings of this scan.",
    "Write a radiology report for this CT.",
    "What do you see in this scan?",
    "Please describe this image in detail.",
    "Give the findings of this study.",
    "Provide a report with the findings for this volume.",
    "Can you write down what this CT shows?",
    "Summarise what can be seen in this scan.",
    "Please generate a medical report for this image.",
    "What are the findings?",
    "Dictate the findings section for this CT.",
    "Describe this CT.",
)
IMPRESSION_QUESTIONS = (
    "What is your impression?",
    "Give the impression of this study.",
    "Summarise the report in an impression.",
    "What is the conclusion of this scan?",
)
