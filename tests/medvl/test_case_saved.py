"""A case that was saved and opened again goes on as if nothing had been between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import medvl
from medvl.conversation.contract import Done
from medvl.conversation.state import Question, Turn
from medvl.ct.prompts import Point
from medvl.ct.volume import CTVolume
from medvl.errors import CaseFileError
from medvl.language.calls import Measure, Probe
from medvl.report.report import Report
from medvl.tools.fact import Fact


def said(case, text: str) -> str:
    return next(piece.answer.text for piece in case.ask(text) if isinstance(piece, Done))


@pytest.fixture(scope="module")
def abdomen(coarse_abdomen):
    return coarse_abdomen


@pytest.fixture(scope="module")
def worked_on(model, abdomen):
    """A case with a mask by words, one by clicks with a step taken back, and a conversation."""
    case = model.open(abdomen.ct)
    said(case, "Segment the spleen")
    said(case, "Is there a gallbladder?")
    bladder = tuple(int(v) for v in np.argwhere(abdomen.labels == 21).mean(axis=0).round())
    mask = case.segment([Point(bladder)], name="Bladder")
    case.refine(mask, [Point((bladder[0], bladder[1], bladder[2] + 1))])
    case.undo(mask.id)
    yield case
    case.close()


@pytest.fixture
def again(worked_on, model, abdomen, tmp_path):
    worked_on.save(tmp_path / "a.medvl.zip", page={"view": [1]})
    case = medvl.open_case(tmp_path / "a.medvl.zip", abdomen.ct, model=model)
    yield case
    case.close()


def test_masks_prompts_and_history_are_there(worked_on, again):
    assert list(again.masks) == list(worked_on.masks)
    for mask_id, mask in worked_on.masks.items():
        assert np.array_equal(again.masks[mask_id].array, mask.array)
        assert (again.masks[mask_id].name, again.masks[mask_id].color) == (mask.name, mask.color)
        assert again.prompts(mask_id) == worked_on.prompts(mask_id)
        assert again.can_undo(mask_id) == worked_on.can_undo(mask_id)
        assert again.can_redo(mask_id) == worked_on.can_redo(mask_id)


def test_undo_and_redo_go_on(worked_on, again):
    mask_id = next(mask.id for mask in again.masks.values() if mask.name == "Bladder")
    step = worked_on.masks.undone(mask_id)[-1]
    redone = again.redo(mask_id)
    assert np.array_equal(redone.array, step.mask.array)
    assert again.undo(mask_id) is not None
    assert again.undo(mask_id) is None  # the first prompt


def test_a_new_mask_gets_an_id_of_its_own_and_clicks_refine_a_saved_one(again, abdomen):
    ids = set(again.masks)
    bladder = next(mask for mask in again.masks.values() if mask.name == "Bladder")
    before = bladder.voxels
    inside = tuple(int(v) for v in np.argwhere(bladder.array)[bladder.voxels // 2])
    refined = again.refine(bladder, [Point(inside, positive=False)])
    assert refined.id == bladder.id
    assert refined.voxels != before
    assert len(again.prompts(bladder.id)) == 2
    new = again.segment([Point(tuple(int(v) for v in np.argwhere(abdomen.labels == 5).mean(axis=0).round()))])
    assert new.id not in ids


def test_the_conversation_goes_on(worked_on, again):
    assert len(again.conversation.history) == len(worked_on.conversation.history)
    spleen = next(mask for mask in again.masks.values() if mask.name == "Spleen")
    count = len(again.masks)
    told = said(again, "Segment the spleen")
    assert f"{spleen.voxels * again.ct.voxel_volume_ml:.0f} mL" in told
    assert len(again.masks) == count  # it was not looked for again


def test_what_was_told_is_still_spoken_of(model, abdomen, tmp_path):
    case = model.open(abdomen.ct)
    spots = [
        case.segment([Point(tuple(int(v) for v in np.argwhere(abdomen.labels == label)[99]))]) for label in (5, 21)
    ]
    ids = tuple(mask.id for mask in spots)
    seen = Fact("spot_volume_ml", 2.5, "mL", ("liver",), side="right", slice=7, mask_id=ids[1], id="f1")
    asked = Question(("left_kidney", "right_kidney"), "how big is the kidney?", Measure())
    case.conversation.state.turns.append(
        Turn("any spots?", (Probe(("liver",), where="inside"),), (seen,), ids, ids, question=asked)
    )
    case.save(tmp_path / "a.medvl.zip")
    back = model.open_case(tmp_path / "a.medvl.zip", abdomen.ct)
    assert back.conversation.state.turns == case.conversation.state.turns
    assert back.conversation.state.facts == {"f1": seen}
    back.conversation.state.turns[-1].question = None
    told = said(back, "how big is the second one?")
    assert f"{spots[1].voxels * back.ct.voxel_volume_ml:.0f} mL" in told


def test_another_scan_is_refused(worked_on, model, abdomen, tmp_path):
    worked_on.save(tmp_path / "a.medvl.zip")
    hu = abdomen.ct.hu.copy()
    hu[10, 10, 10] += 5
    with pytest.raises(CaseFileError, match="belongs to another scan"):
        model.open_case(tmp_path / "a.medvl.zip", CTVolume(hu, abdomen.ct.affine, abdomen.ct.source))
    moved = abdomen.ct.affine.copy()
    moved[0, 3] += 30
    with pytest.raises(CaseFileError, match="belongs to another scan"):
        model.open_case(tmp_path / "a.medvl.zip", CTVolume(abdomen.ct.hu, moved, abdomen.ct.source))
    with pytest.raises(CaseFileError, match="holds no scan"):
        model.open_case(tmp_path / "a.medvl.zip")


def test_with_its_scan_one_file_is_enough(worked_on, model, tmp_path):
    worked_on.save(tmp_path / "a.medvl.zip", scan=True)
    case = model.open_case(tmp_path / "a.medvl.zip")
    assert np.array_equal(case.ct.hu, worked_on.ct.hu)
    assert case.ct.info.file_name == worked_on.ct.info.file_name
    assert list(case.masks) == list(worked_on.masks)


def test_a_report_comes_back_to_the_letter(model, abdomen, tmp_path):
    ct = replace(abdomen.ct, hu=np.ascontiguousarray(abdomen.ct.hu[:, :, 32:40]))
    case = model.open(ct)
    said(case, "Write a report")
    report = case.conversation.report
    assert isinstance(report, Report)
    case.save(tmp_path / "a.medvl.zip")
    back = model.open_case(tmp_path / "a.medvl.zip", ct).conversation.report
    assert back == report
    assert back.html() == report.html()
    assert back.with_text({0: "Mine."}).markdown() == report.with_text({0: "Mine."}).markdown()
