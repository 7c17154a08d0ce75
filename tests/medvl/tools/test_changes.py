"""What changed since an earlier scan: volumes by name, what limits them, and what speaks against comparing them."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation import guard
from medvl.conversation.writing import changes as told_changes
from medvl.ct.mask_list import MaskList
from medvl.ct.masks import Mask
from medvl.ct.registration import Registration
from medvl.language.calls import Changes
from medvl.report.build import build_report
from medvl.report.report import Report
from medvl.tools import changes
from medvl.tools.executor import Executor
from medvl.tools.pieces import Step
from medvl.tools.scene import Earlier, Scene

from ..scenes import finder_of

SAME = Registration(np.eye(4), 0.9, 90.0)
NOW = {"liver": np.s_[20:32, 10:20, 8:18], "spleen": np.s_[4:10, 10:16, 10:16], "heart": np.s_[14:20, 20:30, 24:30]}
BEFORE = {
    "liver": np.s_[20:30, 10:20, 8:18],
    "spleen": np.s_[30:36, 24:30, 2:8],
    "heart": np.s_[14:20, 20:30, 20:26],
    "gallbladder": np.s_[2:6, 24:28, 10:14],
}


@pytest.fixture
def two():
    """An executor with an earlier scan; the spleen lies elsewhere in it, the heart is cut now."""
    hu = np.random.default_rng(0).normal(50, 10, (40, 36, 30)).astype(np.int16)
    finder, before = finder_of(NOW, hu=hu), finder_of(BEFORE, hu=hu)
    scene, listed = Scene(finder.ct), MaskList()
    scene.earlier = Earlier(Scene(before.ct), before, SAME, MaskList())
    return Executor(scene, finder, listed), listed


def test_without_an_earlier_scan_it_is_said_how_to_open_one():
    finder = finder_of(NOW)
    result = Executor(Scene(finder.ct), finder).run(Changes(("liver",)))
    assert result.note == changes.NO_PRIOR
    assert not result.changes


def test_volumes_now_and_before(two):
    executor, _ = two
    steps, stream = [], executor.stream(Changes(("liver", "gallbladder")))
    while True:
        try:
            piece = next(stream)
        except StopIteration as end:
            result = end.value
            break
        steps += [piece.label] if isinstance(piece, Step) else []
    assert {"Segment liver", "Segment liver in the prior"} <= set(steps)
    liver, gallbladder = result.changes
    voxel = executor.scene.ct.voxel_volume_ml
    assert liver.now_ml == pytest.approx(12 * 10 * 10 * voxel)
    assert liver.change_percent == pytest.approx(20.0)
    assert liver.whole
    assert (gallbladder.now_ml, gallbladder.change_ml) == (None, None)
    assert gallbladder.now_note.startswith("cannot be segmented")
    assert [fact.key for fact in result.facts][:4] == ["volume_ml", "prior_volume_ml", "change_ml", "change_percent"]


def test_what_speaks_against_a_comparison(two):
    executor, _ = two
    spleen, heart = executor.run(Changes(("spleen", "heart"))).changes
    assert not spleen.whole
    assert "apart" in spleen.doubts[0]
    assert heart.now_note.startswith("at least")
    assert not heart.whole
    assert not heart.prior_note
    assert {fact.sureness for fact in changes.facts_of(spleen)} == {"doubtful"}


def test_all_that_has_a_mask_in_one_of_the_scans(two):
    executor, _ = two
    assert executor.run(Changes()).note == changes.NOTHING
    executor.run(Changes(("liver",)))
    assert [change.structure for change in executor.run(Changes()).changes] == ["liver"]
    assert [change.structure for change in changes.known(executor.scene, None)] == ["liver"]


def test_masks_of_ones_own_by_their_name(two):
    executor, listed = two
    earlier = executor.scene.earlier
    grown, small = np.zeros(executor.scene.ct.shape, bool), np.zeros(executor.scene.ct.shape, bool)
    grown[24:28, 12:16, 10:14], small[24:28, 12:16, 10:12] = True, True
    mask = listed.begin(Mask.from_array(grown), "Lesion A")
    listed.remember(mask)
    before = earlier.listed.begin(Mask.from_array(small), "lesion a")
    earlier.listed.remember(before)
    (change,) = executor.run(Changes((mask.id,))).changes
    assert (change.name, change.mask_id, change.structure) == ("Lesion A", mask.id, "")
    assert change.change_percent == pytest.approx(100.0)
    assert executor.run(Changes()).changes == (change,)


@pytest.mark.parametrize("of", [("liver",), ("spleen",), ("heart",), ("gallbladder",), ("liver", "spleen", "heart")])
def test_what_is_said_is_true_to_its_facts(two, of):
    executor, _ = two
    said = told_changes.told(executor.scene, executor.run(Changes(of)).changes)
    assert said
    for sentence in said:
        assert guard.ensure(sentence) is sentence, sentence.text


def test_sentences_and_table(two):
    executor, _ = two
    result = executor.run(Changes(("liver", "spleen", "heart", "gallbladder")))
    text = " ".join(sentence.text for sentence in told_changes.told(executor.scene, result.changes))
    assert "a change of +1.2 mL (+20%)" in text
    assert "in the prior; it is not whole in both, so no change is told" in text
    assert "The difference of the spleen is not to be relied on: the two masks lie" in text
    table = told_changes.table(result.changes)
    assert table.rows[0] == ("Liver", "7.2 mL", "6.0 mL", "+1.2 mL", "+20%", "")
    assert table.rows[1][-1] == "doubtful"
    assert table.rows[2][1].startswith("\u2265")
    assert table.rows[3][1:] == ("not found", "0.4 mL", "", "", "")
    assert {len(row) for row in table.rows} == {len(table.head)}


def test_a_report_has_a_section_of_changes(two):
    executor, _ = two
    report = next(p for p in build_report(executor.finder, scene=executor.scene) if isinstance(p, Report))
    told = {section.title: section.sentences for section in report.sections}["Changes"]
    assert "correlation 0.9" in told[0].text
    assert any("The liver" in sentence.text and "+20%" in sentence.text for sentence in told)
    executor.scene.earlier = None
    report = next(p for p in build_report(executor.finder, scene=executor.scene) if isinstance(p, Report))
    assert "Changes" not in {section.title for section in report.sections}
