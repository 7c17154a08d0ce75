"""Images that are made ready once: those of the dataset itself, resumable, checked, and as the stages take them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from medvl.training.__main__ import main
from medvl.training.config import parse
from medvl.training.datasets import open_dataset
from medvl.training.datasets.prepared import Prepared
from medvl.training.datasets.samples import DatasetError
from medvl.training.prepare import prepare
from medvl.training.vlm import feed
from medvl.training.vlm.augment import Augmentation
from medvl.training.vlm.dataset import TrainingSet

from .datasets.test_ct_rate import ct_rate
from .folders import LPS, body, cube, save

SIZE = (8, 16, 16)


def total_segmentator(root):
    for number in range(5):
        hu = body((24, 20, 16))
        hu[4 + number : 12 + number, 6:14, 4:10] = 120
        save(root / f"s{number:04d}" / "ct.nii.gz", hu, LPS if number % 2 else np.diag([2.0, 2.0, 3.0, 1.0]))
        for name, where in (("liver", (4 + number, 6, 4)), ("kidney_left", (3, 3, 3)), ("kidney_right", (16, 12, 9))):
            save(root / f"s{number:04d}" / "segmentations" / f"{name}.nii.gz", cube(hu.shape, where, 5))
    rows = "".join(f"s{n:04d};train\n" for n in range(5))
    (root / "meta.csv").write_text(f"image_id;split\n{rows}")


def m3d_cap(root):
    pairs = []
    for number in range(3):
        (root / f"M3D_Cap_npy/{number}").mkdir(parents=True)
        np.save(root / f"M3D_Cap_npy/{number}/scan.npy", np.random.default_rng(number).random((1, 10, 18, 20)))
        (root / f"M3D_Cap_npy/{number}/text.txt").write_text("The liver is large. The spleen is normal.")
        pairs.append({"image": f"M3D_Cap_npy/{number}/scan.npy", "text": f"M3D_Cap_npy/{number}/text.txt"})
    (root / "M3D_Cap.json").write_text(json.dumps({"train": pairs, "validation": [], "test": []}))


LAYOUTS = {"total-segmentator": total_segmentator, "m3d-cap": m3d_cap, "ct-rate": ct_rate}


@pytest.fixture(params=LAYOUTS)
def dataset(request, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    LAYOUTS[request.param](root)
    return request.param, root


def made(kind, root, output, **options):
    return prepare(kind, root, output, size=SIZE, workers=1, shard=2, **options)


@pytest.mark.parametrize("augment", [None, Augmentation(mirror=1, crop=0, phase=0, density=0, noise=0, affine=0,
                                                        contrast=0, blur=0)], ids=["plain", "mirrored"])  # fmt: skip
def test_items_are_those_of_the_dataset_itself(dataset, tmp_path, augment):
    kind, root = dataset
    samples = open_dataset(kind, root, "train")
    ready = made(kind, root, tmp_path / "ready")
    assert len(ready) == len(samples) > 0
    own, fast = TrainingSet(samples, SIZE, augment, seed=3), TrainingSet(ready, SIZE, augment, seed=3)
    for index in range(len(samples)):
        one, other = own[index], fast[index]
        assert one["image"].shape == other["image"].shape == (1, *SIZE)
        assert torch.allclose(one["image"], other["image"].float(), atol=1e-3)
        assert one["image"].std() > 0 or kind == "ct-rate"  # whose bodies here are all alike
        assert one["masks"].keys() == other["masks"].keys()
        assert all(torch.equal(one["masks"][n], other["masks"][n]) for n in one["masks"])
        assert replace(other["sample"], ready=None) == one["sample"]
    if kind == "total-segmentator":
        assert any(fast[index]["masks"] for index in range(len(fast)))


@pytest.mark.parametrize("augment", [None, Augmentation(mirror=1, crop=0, phase=0, density=0, noise=0, affine=0,
                                                        contrast=0, blur=0)], ids=["plain", "mirrored"])  # fmt: skip
def test_slices_are_those_of_the_scans_themselves(tmp_path, augment):
    root = tmp_path / "data"
    total_segmentator(root)
    samples = open_dataset("total-segmentator", root, "train")
    ready = made("total-segmentator", root, tmp_path / "ready", slices=4)
    seen = set()
    for count in (1, 3):
        own, fast = (TrainingSet(s, SIZE, augment, seed=3, slices=count) for s in (samples, ready))
        for epoch in range(2):
            own.set_epoch(epoch)
            fast.set_epoch(epoch)
            for one, other in ((own[n], fast[n]) for n in range(len(samples))):
                assert one["slices"].keys() == other["slices"].keys() == one["masks"].keys()
                assert one["places"] == other["places"]
                for name, row in one["slices"].items():
                    assert 1 <= len(row) == len(other["slices"][name]) <= count
                    seen.add((name, count))
                    for a, b in zip(row, other["slices"][name], strict=True):
                        assert (a.index, a.window, a.crop) == (b.index, b.window, b.crop)
                        assert torch.equal(a.picture, b.picture)
                        assert torch.equal(a.mask, b.mask)
                        assert a.mask.any()
    assert {name for name, _ in seen} == {"liver", "left_kidney", "right_kidney"}


def test_slices_are_asked_for_before_they_are_needed(tmp_path):
    root = tmp_path / "data"
    total_segmentator(root)
    ready = made("total-segmentator", root, tmp_path / "ready")
    with pytest.raises(DatasetError, match="--slices 2"):
        [TrainingSet(ready, SIZE, slices=2)[n] for n in range(5)]
    with pytest.raises(DatasetError, match="slices 0"):
        made("total-segmentator", root, tmp_path / "ready", slices=2)
    few = made("total-segmentator", root, tmp_path / "few", slices=2)
    with pytest.raises(DatasetError, match="holds 2 slices"):
        [TrainingSet(few, SIZE, slices=3)[n] for n in range(5)]


def test_lost_and_damaged_slices_are_found_and_made_anew(tmp_path):
    root, output = tmp_path / "data", tmp_path / "ready"
    total_segmentator(root)
    ready = made("total-segmentator", root, output, slices=2)
    file = output / "shard-00001.slices"
    whole = file.read_bytes()
    native = ready.images[3].native
    assert native.start > 0
    file.write_bytes(whole[: native.start + 5] + b"??" + whole[native.start + 7 :])
    assert list(Prepared(output).check()) == ["shard-00001.slices, slices of image 1: not the bytes that were written."]
    file.write_bytes(whole[: native.start + 5])
    with pytest.raises(DatasetError, match="missing or damaged"):
        [TrainingSet(ready, SIZE, slices=2)[n] for n in range(5)]
    file.unlink()
    made("total-segmentator", root, output, slices=2)
    assert file.read_bytes() == whole
    assert list(Prepared(output).check()) == []


def test_a_mask_that_cannot_be_read_leaves_the_scan_out(tmp_path):
    root, output = tmp_path / "data", tmp_path / "ready"
    total_segmentator(root)
    (root / "s0000/segmentations/liver.nii.gz").write_bytes(b"nothing")
    ready = made("total-segmentator", root, output, slices=2)
    assert list(ready.failed) == ["s0000"]
    assert list(Prepared(output).check()) == []
    assert len(ready) == 4


def test_the_scan_is_not_read_again(tmp_path):
    total_segmentator(tmp_path / "data")
    ready = made("total-segmentator", tmp_path / "data", tmp_path / "ready")
    for file in (tmp_path / "data").glob("*/ct.nii.gz"):
        header = file.read_bytes()
        file.write_bytes(header[:400])  # a header, and no voxels
    image = ready.images[0].image()
    assert image.dtype == torch.float16
    assert torch.isfinite(image).all()


def test_what_is_finished_stays_and_what_was_begun_is_made_anew(tmp_path):
    root, output = tmp_path / "data", tmp_path / "ready"
    total_segmentator(root)
    made("total-segmentator", root, output)
    files = sorted(output.glob("shard-*.f16"))
    assert [f.stat().st_size for f in files] == [2 * 2 * 8 * 16 * 16] * 2 + [2 * 8 * 16 * 16]
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in files}
    (output / "shard-00001.json").unlink()  # as if it had been ended while it was written
    (output / ".shard-00001.f16.123").write_bytes(b"half")
    again = prepare("total-segmentator", root, output, size=SIZE, workers=2, shard=2)
    assert {f: f.read_bytes() for f in files} == {f: data for f, (data, _) in before.items()}
    changed = [f.name for f in files if f.stat().st_mtime_ns != before[f][1]]
    assert changed == ["shard-00001.f16"]
    assert len(again) == 5


def test_several_processes_write_the_same(tmp_path):
    root = tmp_path / "data"
    total_segmentator(root)
    made("total-segmentator", root, tmp_path / "one", slices=2)
    prepare("total-segmentator", root, tmp_path / "two", size=SIZE, workers=2, shard=2, slices=2)
    names = sorted(f.name for f in (tmp_path / "one").iterdir())
    assert names == sorted(f.name for f in (tmp_path / "two").iterdir())
    assert all((tmp_path / "one" / n).read_bytes() == (tmp_path / "two" / n).read_bytes() for n in names)


def test_a_damaged_scan_is_left_out_and_tried_again(tmp_path):
    root, output = tmp_path / "data", tmp_path / "ready"
    total_segmentator(root)
    whole = (root / "s0002/ct.nii.gz").read_bytes()
    (root / "s0002/ct.nii.gz").write_bytes(whole[: len(whole) // 2])
    ready = made("total-segmentator", root, output)
    assert list(ready.failed) == ["s0002"]
    assert [ready.draw(n).id for n in range(4)] == ["s0000", "s0001", "s0003", "s0004"]
    (root / "s0002/ct.nii.gz").write_bytes(whole)
    mended = made("total-segmentator", root, output)
    assert mended.failed == {}
    assert [mended.draw(n).id for n in range(5)] == [f"s{n:04d}" for n in range(5)]


def test_damaged_bytes_and_shorter_files_are_found(tmp_path, capsys):
    root, output = tmp_path / "data", tmp_path / "ready"
    total_segmentator(root)
    arguments = ["prepare", "total-segmentator", str(root), "-o", str(output), "--size", *map(str, SIZE)]
    arguments += ["--workers", "1", "--shard", "2"]
    assert main(arguments) == 0
    assert "5 images, 0 scans left out" in capsys.readouterr().out
    assert main([*arguments, "--check"]) == 0
    file = output / "shard-00000.f16"
    data = bytearray(file.read_bytes())
    data[2 * 8 * 16 * 16 + 7] ^= 1  # in the second image
    file.write_bytes(data)
    assert [line for line in Prepared(output).check()] == [
        "shard-00000.f16, image 1: its bytes are not those that were written."
    ]
    assert main([*arguments, "--check"]) == 1
    other = output / "shard-00001.f16"
    size = other.stat().st_size
    other.write_bytes(other.read_bytes()[:-10])
    assert sum("missing or damaged" in line for line in Prepared(output).check()) == 2
    assert other.stat().st_size == size - 10  # looking writes nothing


def test_another_size_window_or_dataset_is_refused(tmp_path):
    root, output = tmp_path / "data", tmp_path / "ready"
    total_segmentator(root)
    ready = made("total-segmentator", root, output)
    with pytest.raises(DatasetError, match="Prepare the dataset for it"):
        TrainingSet(ready, (8, 16, 32))[0]
    with pytest.raises(DatasetError, match="Prepare the dataset for it"):
        TrainingSet(ready, SIZE, window="lung")[0]
    with pytest.raises(DatasetError, match="window soft"):
        made("total-segmentator", root, output, window="lung")
    with pytest.raises(DatasetError, match="Prepare the dataset again"):
        Prepared(output, open_dataset("total-segmentator", root, "train").records[:3])


def test_a_stage_is_fed_from_it_through_workers(tmp_path):
    root, output = tmp_path / "data", tmp_path / "ready"
    ct_rate(root)
    made("ct-rate", root, output)
    train = [{"kind": "ct-rate", "root": str(root), "prepared": str(output)}]
    config = parse({"output": str(tmp_path / "run"), "data": {"train": train, "augment": False, "workers": 2}})
    samples = feed.open_samples(config.data.train)
    given = feed.Feed(samples, config, SIZE, feed.caption, True)
    batches = iter(feed.loader(given, feed.Order(len(samples), 2, 0, 0, 1), 2))
    for _ in range(3):
        items = next(batches)
        assert [item["image"].dtype for item in items] == [torch.float16] * 2
        assert all(item["turns"] and item["sample"].id == "train_1_a_1.nii.gz" for item in items)
    del batches
