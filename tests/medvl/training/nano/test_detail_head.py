"""What a partial label rules out, and the loss of a set of classes."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from medvl.networks.config import ModelConfig
from medvl.networks.detail_head import DetailConfig, DetailHead
from medvl.networks.localiser import Localiser, LocaliserConfig
from medvl.structures.details import BONES, DETAILS, LOBES
from medvl.training.nano import detail_head
from medvl.training.nano.detail_head import CLASSES, STRUCTURES, Voxels, allowed_of, fit, loss_of, members

from .phantoms import write_cases

NAMES = list(CLASSES)
LOCALISED = ("liver", "right_lung", "left_lung", "vertebral_column", "other_bone")
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
    row = allowed_of(PARTIAL)[1 + STRUCTURES.index("other_bone")].expand(8, -1)
    losses = {}
    for name in ("ribs", "femur", "colon"):
        logits = torch.zeros(8, 1 + len(NAMES))
        logits[:, 1 + NAMES.index(name)] = 12
        losses[name] = loss_of(logits, row).item()
    assert losses["ribs"] == pytest.approx(losses["femur"], rel=0.01)
    assert losses["ribs"] < 0.01 < 5 < losses["colon"]


def test_head_learns_voxels_and_says_the_same_as_a_convolution():
    """Voxels whose class is one of their features: the head finds it, with the standardisation folded in."""
    base = LocaliserConfig(("liver",), widths=(4, 6, 8, 10), embedding=5)
    entry = {"id": "a", "labels_total": "a file", "complete": [], "region": "chest"}
    generator = torch.Generator().manual_seed(0)
    features = 3 + 5 * torch.randn(4000, 5 + 6 + 8 + 10 + 2, generator=generator)
    ribs = features[:, 0] > 3
    rows = torch.where(ribs, 1 + len(STRUCTURES) + NAMES.index("ribs"), 0)
    head = fit(Voxels(features.half(), rows, torch.zeros(4000, dtype=torch.int64)), [entry], base, 600).eval()
    right = 0
    for n in range(100):
        levels = tuple(x.reshape(1, -1, 1, 1, 1) for x in features[n, :-2].split((5, 6, 8, 10)))
        said = int(head(levels, features[n, -2:].reshape(1, 2, 1, 1, 1)).argmax(1))
        right += said == (1 + NAMES.index("ribs") if ribs[n] else 0)
    assert right >= 90


def test_trained_on_a_localisers_features_of_phantoms_it_saves_what_loads(tmp_path, monkeypatch):
    """From cases to a saved head: voxels of named and of partly labelled scans, the same ones every time."""
    cases, folder = write_cases(tmp_path), tmp_path / "model"
    folder.mkdir()
    base = LocaliserConfig(LOCALISED, patch=32, widths=(4, 6, 8, 10), embedding=5)
    torch.manual_seed(0)
    ModelConfig(localiser=base).save(folder)
    save_file(Localiser(base).state_dict(), folder / "localiser.safetensors")
    monkeypatch.setattr(detail_head, "COPIES", {True: 2, False: 1})
    drawn = [detail_head.collect(cases, folder) for _ in range(2)]
    (voxels, entries, config), (again, _, _) = drawn
    assert config == base
    assert [e["id"] for e in entries] == ["phantom_0", "phantom_1"]
    assert torch.equal(voxels.features, again.features)
    assert torch.equal(voxels.rows, again.rows)
    assert voxels.features.isfinite().all()
    named = {NAMES[row - 1 - len(STRUCTURES)] for row in voxels.rows.tolist() if row > len(STRUCTURES)}
    assert named == {"sacrum", "colon", "iliopsoas"}
    assert all(row <= len(STRUCTURES) for row in voxels.rows[voxels.case == 0].tolist())  # the other names none
    heads = [fit(voxels, entries, base, 60, seed=1) for _ in range(2)]
    for name, tensor in heads[0].state_dict().items():
        assert torch.equal(tensor, heads[1].state_dict()[name])
    tables = torch.stack([allowed_of(e) for e in entries])[voxels.case, voxels.rows]
    logits = [head_logits(head, voxels, base) for head in (heads[0], fit(voxels, entries, base, 1, seed=1))]
    assert loss_of(logits[0], tables) < 0.8 * loss_of(logits[1], tables)
    detail_head.save(heads[0], tmp_path / "out")
    raw = json.loads((tmp_path / "out" / "detail_head.json").read_text())
    loaded = DetailHead(DetailConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}))
    loaded.load_state_dict(load_file(tmp_path / "out" / "detail_head.safetensors"))  # strict
    assert loaded.config == heads[0].config


def head_logits(head: DetailHead, voxels: Voxels, base: LocaliserConfig) -> torch.Tensor:
    """``[N, 1 + classes]``, each voxel as a map of its own."""
    channels = (base.embedding, *base.widths[1:])
    x = voxels.features.float().T[None, :, :, None, None]
    levels, around = x[:, : sum(channels)].split(channels, 1), x[:, sum(channels) :]
    with torch.inference_mode():
        return head.eval()(levels, around)[0, :, :, 0, 0].T
