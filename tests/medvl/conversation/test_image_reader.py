from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

import medvl
from medvl.conversation.contract import Done, Words
from medvl.conversation.image_reading import PREFACE, TITLE
from medvl.report.report import Report
from medvl.tools.pieces import MaskRef, Step

from .. import talking


@pytest.fixture(scope="module")
def told(tmp_path_factory, model):
    return talking.write(tmp_path_factory.mktemp("talking"), model)


@pytest.fixture(scope="module")
def speaker(told):
    return medvl.load(str(told.folder), device="cpu", quantization="none")


@pytest.fixture
def case(speaker, told, monkeypatch):
    """Nothing is looked for by name, so that only the language model speaks."""
    monkeypatch.setattr(speaker, "networks", replace(speaker.networks, localiser=None))
    case = speaker.open(told.ct)
    yield case
    case.close()


@pytest.fixture
def mute(speaker, monkeypatch):
    """The same language model without a [SEG] head."""
    monkeypatch.setattr(speaker, "networks", replace(speaker.networks, seg_head=None))


def read(pieces):
    return [p for p in pieces if isinstance(p, Words) and p.source == "model" and p.text]


def looked(pieces):
    """Steps behind that of understanding the message."""
    return [p for p in pieces if isinstance(p, Step) and p.label != "Understand the message"]


def test_reading_is_streamed_and_marked(mute, case):
    pieces = list(case.ask(talking.SEEN))
    words = read(pieces)
    assert len(words) == len(talking.ANSWER.replace("[SEG]", "").split())
    assert "".join(w.text for w in words).split() == talking.ANSWER.replace("[SEG]", "").split()
    steps = looked(pieces)
    assert steps[0].seconds is None
    assert steps[-1].seconds > 0
    answer = pieces[-1].answer
    assert [s.source for s in answer.sentences] == ["program", "model", "model"]
    assert answer.sentences[1].text == "the liver is large ."
    assert "[SEG]" not in json.dumps([s.text for s in answer.sentences])
    assert not any(isinstance(p, MaskRef) for p in pieces)


def test_stop_ends_within_one_token(mute, case):
    cancel, after = threading.Event(), 0
    for piece in case.ask(talking.SEEN, cancel):
        after += bool(cancel.is_set() and isinstance(piece, Words))
        if read([piece]) and piece.text.strip() == "is":
            cancel.set()
    assert after == 0
    assert piece.stopped
    assert piece.answer.sentences[-1].text == "the liver is"
    again = list(case.ask(talking.THEN))[-1]
    assert not again.stopped
    assert "model" in [s.source for s in again.answer.sentences]


def test_second_turn_reads_only_what_is_new(mute, speaker, case):
    list(case.ask(talking.SEEN))
    cache = case.reading().cache
    first = cache.prefilled
    held = len(cache._held)
    done = list(case.ask(talking.THEN))[-1]
    assert done.answer.sentences[-1].text == talking.NEXT
    whole = len(speaker.vlm.prompt(case.reading().image, talking.THEN, [(talking.SEEN, talking.ANSWER)]).ids)
    assert first >= 9  # image and question
    assert cache.prefilled == whole - held
    case.conversation.clear()
    assert case.reading().history == []


def test_measured_questions_and_small_talk_are_not_read(speaker, told, mute):
    case = speaker.open(told.ct)
    for question in ("What is the voxel size?", "hello", "Should I take aspirin?", "Do I have cancer?"):
        answer = list(case.ask(question))[-1].answer
        assert answer.sentences
        assert all(s.source != "model" for s in answer.sentences), question


def test_presets_without_a_language_model_answer_as_before(model, told):
    case = model.open(told.ct)
    assert case.reader is None
    pieces = list(case.ask(talking.SEEN))
    assert pieces[-1].answer.refused
    assert "would have to be read in the image" in pieces[-1].answer.text
    assert not read(pieces)


def test_report_holds_the_reading_as_a_section_of_its_own(mute, case):
    pieces = list(case.report_stream())
    report = pieces[-1]
    assert isinstance(report, Report)
    section = next(s for s in report.sections if s.title == TITLE)
    assert section.sentences[0].text == PREFACE
    assert [s.source for s in section.sentences[1:]] == ["model", "model"]
    assert " ".join(s.text for s in section.sentences[1:]) == talking.REPORT
    others = [s for other in report.sections if other is not section for s in other.sentences]
    assert all(s.source != "model" for s in others)
    assert TITLE in report.markdown()
    # An answer about the whole scan streams the same words, and they are not made twice.
    before = case.reading().cache.prefilled, len(case.reading().history)
    pieces = list(case.ask("Describe this scan."))
    assert "".join(w.text for w in read(pieces)).split() == talking.REPORT.split()
    assert (case.reading().cache.prefilled, len(case.reading().history)) == before
    assert case.conversation.report.sections[-3:] != ()
    assert any(s.title == TITLE for s in case.conversation.report.sections)


def test_seg_gives_masks_on_the_grid_within_their_extent(case, told):
    pieces = list(case.ask(talking.SEEN))
    done = pieces[-1]
    assert isinstance(done, Done)
    assert not done.answer.refused
    assert "[SEG]" not in done.answer.text
    masks = [p.mask for p in pieces if isinstance(p, MaskRef)]
    assert [m.name for m in masks] == ["Liver", "Spleen"]
    assert [case.masks[m.id].name for m in masks] == ["Liver", "Spleen"]
    assert [s.mask_ids for s in done.answer.sentences if s.source == "model"] == [(masks[0].id,), (masks[1].id,)]
    for mask, organ in zip(masks, told.organs, strict=True):
        assert mask.shape == told.ct.shape
        there = np.flatnonzero(organ.any((0, 1)))
        # The coarse map has four layers for twelve slices: the extent may be one of its slices too long.
        assert mask.box.lo[2] >= there[0] - 3
        assert mask.box.hi[2] <= there[-1] + 4
        inside = (mask.array & organ).sum() / mask.voxels
        assert inside > 0.5, mask.name
    assert sum(step.seconds is not None for step in looked(pieces)) == 3
    case.undo(masks[0].id)
    assert masks[0].id not in case.masks
