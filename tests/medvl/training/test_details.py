"""What a partial label rules out, and the loss of a set of classes."""

from __future__ import annotations

import pytest
import torch

from medvl.detail_masks import BONES, DETAILS, LOBES
from medvl.training.details import CLASSES, STRUCTURES, allowed_of, loss_of, members

NAMES = list(CLASSES)
PARTIAL = {
    "complete": ["other_bone", "vertebral_column", "right_lung", "left_lung", "liver"],
    "region": "abdomen",
}


def classes_of(table: torch.Tensor, row: str) -> set[str]:
    n = 0 if not row else 1 + (STRUCTURES.index(row) if row in STRUCTURES else len(STRUCTURES) + NAMES.index(row))
    return {["background", *NAMES][int(i)] for i in torch.nonzero(table[n]).flatten()}


def test_what_labels_of_the_localiser_rule_out():
    table = allowed_of(PARTIAL)
    assert classes_of(table, "liver") == {"background"}
    assert classes_of(table, "other_bone") == set(BONES)
    assert classes_of(table, "vertebral_column") == {"background", "sacrum"}
    assert classes_of(table, "right_lung") == set(LOBES)
    assert classes_of(table, "left_lung") == {"upper_lobe", "lower_lobe"}
    assert classes_of(table, "") == {"background", *NAMES} - set(BONES) - set(LOBES)


def test_a_bone_of_the_head_need_not_be_one_of_the_classes():
    assert "background" in classes_of(allowed_of(PARTIAL | {"region": "head to chest"}), "other_bone")


def test_bones_that_are_not_complete_may_be_anywhere():
    assert set(BONES) <= classes_of(allowed_of(PARTIAL | {"complete": ["liver"]}), "")


def test_named_cases_leave_nothing_open():
    table = allowed_of(PARTIAL | {"labels_total": "a file"})
    assert (table.sum(1) == 1).all()
    assert classes_of(table, "colon") == {"colon"}
    assert classes_of(table, "") == {"background"}


def test_classes_gather_both_sides_of_the_teacher():
    totals = {1: "hip_left", 2: "hip_right", 3: "rib_left_1", 4: "vertebrae_S1", 5: "sacrum", 6: "vertebrae_L5"}
    assert members("hip_bone", totals) == [1, 2]
    assert members("ribs", totals) == [3]
    assert sorted(members("sacrum", totals)) == [4, 5]


def test_every_detail_is_a_class_that_is_trained():
    assert {detail.kind for detail in DETAILS.values()} == set(CLASSES)


def test_loss_is_small_for_any_class_of_the_set_and_large_outside():
    table = allowed_of(PARTIAL)[None]
    labels = torch.full((1, 4, 4, 4), 1 + STRUCTURES.index("other_bone"))
    losses = {}
    for name in ("ribs", "femur", "colon"):
        logits = torch.zeros(1, 1 + len(NAMES), 4, 4, 4)
        logits[:, 1 + NAMES.index(name)] = 12
        losses[name] = loss_of(logits, labels, table, torch.tensor([False])).item()
    assert losses["ribs"] == pytest.approx(losses["femur"], rel=0.01)
    assert losses["ribs"] < 0.01 < 5 < losses["colon"]


def test_loss_ignores_what_lies_outside_the_scan():
    table = allowed_of(PARTIAL | {"labels_total": "a file"})[None]
    labels = torch.full((1, 4, 4, 4), 255)
    labels[0, 0] = 1 + len(STRUCTURES) + NAMES.index("colon")
    right = torch.zeros(1, 1 + len(NAMES), 4, 4, 4)
    right[:, 1 + NAMES.index("colon")] = 12
    wrong_outside = right.clone()
    wrong_outside[:, :, 1:] = 0
    args = (labels, table, torch.tensor([True]))
    assert loss_of(right, *args).item() == pytest.approx(loss_of(wrong_outside, *args).item())
