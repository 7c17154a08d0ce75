"""The file of a case: what was written is read again, and nothing of a stranger's file is believed."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from medvl.ct.fingerprint import fingerprint
from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import End, Mask
from medvl.ct.prompts import Box, Point
from medvl.ct.registration import Registration
from medvl.ct.volume import CTVolume, ScanInfo
from medvl.errors import CaseFileError, ExportError
from medvl.readers import case_zip, read_ct
from medvl.readers.case_zip import (
    PRIOR,
    SavedCase,
    SavedMask,
    SavedPrior,
    SavedStep,
    ScanPrint,
    is_case,
    read_case,
    take_scan,
)
from medvl.writers.case_zip import write_case

SHAPE = (20, 18, 12)


def ct_of(seed: int = 0, flip: bool = False) -> CTVolume:
    hu = np.random.default_rng(seed).integers(-1000, 1500, SHAPE).astype(np.int16)
    affine = np.diag([0.8, 0.8, 2.5, 1.0])
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned[:2, 3] = SHAPE[0] - 1, SHAPE[1] - 1
    source = SourceGeometry(SHAPE, affine @ turned if flip else affine)
    return CTVolume(np.asfortranarray(hu), affine, source, info=ScanInfo("scan of mine.nii.gz"))


def mask_of(seed: int, **labels) -> Mask:
    array = np.zeros(SHAPE, bool)
    array[3:15, 2:16, 1:11] = np.random.default_rng(seed).random((12, 14, 10)) > 0.5
    return Mask.from_array(array, **labels)


@pytest.fixture
def case():
    ct = ct_of()
    labels = {"id": "m3", "name": 'Größe "A"', "color": "#4dabf7"}
    steps = [
        SavedStep(mask_of(1, **labels), (Point((4, 5, 6), False, 1),)),
        SavedStep(mask_of(2, **labels, ends=(End(2, 4, "stopped"),)), (Point((4, 5, 6)), Box((1, 1, 3), (9, 9, 4)))),
    ]
    undone = (SavedStep(mask_of(3, **labels)),)
    empty = Mask.from_array(np.zeros(SHAPE, bool), id="m9", name="Nothing", color="#ffffff")
    scan = ScanPrint(SHAPE, ct.affine, fingerprint(ct), "scan of mine.nii.gz", "NIfTI")
    return SavedCase(
        scan,
        (SavedMask(steps[-1].mask, tuple(steps), undone), SavedMask(empty, (SavedStep(empty),))),
        "m3",
        ({"structure": "liver", "mask": "m3", "status": "found", "note": ""},),
        ([{"tool": "segment", "of": ["liver"]}],),
        {"any": "report"},
        {"view": {"ijk": [1, 2, 3]}},
    )


@pytest.fixture
def written(case, tmp_path):
    path = tmp_path / "case.medvl.zip"
    write_case(path, case)
    return path


def changed(path, tmp_path, change=None, members=None, drop=()):
    """The file with another index, or with other members."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if name not in drop}
    index = json.loads(parts["case.json"])
    if change is not None:
        change(index)
    parts["case.json"] = json.dumps(index).encode()
    target = tmp_path / "changed.medvl.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (parts | (members or {})).items():
            archive.writestr(name, data)
    return target


def same(a: Mask, b: Mask) -> bool:
    labels = ("shape", "box", "id", "name", "color", "ends")
    return all(getattr(a, key) == getattr(b, key) for key in labels) and np.array_equal(a.block, b.block)


def test_everything_comes_back(case, written):
    back = read_case(written)
    assert is_case(written)
    assert back.scan.digest == case.scan.digest
    assert np.array_equal(back.scan.affine, case.scan.affine)
    for was, now in zip(case.masks, back.masks, strict=True):
        assert same(was.mask, now.mask)
        for line in ("past", "future"):
            for a, b in zip(getattr(was, line), getattr(now, line), strict=True):
                assert same(a.mask, b.mask)
                assert a.prompts == b.prompts
    assert (back.clicked, back.found, back.turns, back.report, back.page) == (
        case.clicked, case.found, case.turns, case.report, case.page,
    )  # fmt: skip
    assert not back.has_scan


def test_masks_with_the_same_voxels_are_written_once(case, written):
    with zipfile.ZipFile(written) as archive:
        runs = [name for name in archive.namelist() if name.endswith(".runs")]
    assert len(runs) == 3  # two steps and one that was undone; what is now is the last step


def test_the_oldest_steps_go_where_the_history_is_large(case, tmp_path, monkeypatch):
    from medvl.writers import case_zip as writer

    monkeypatch.setattr(writer, "HISTORY_BYTES", case.masks[0].mask.block.nbytes + 1)
    write_case(tmp_path / "small.medvl.zip", case)
    back = read_case(tmp_path / "small.medvl.zip").masks[0]
    assert [len(back.past), len(back.future)] == [1, 0]
    assert same(back.past[-1].mask, case.masks[0].mask)


@pytest.mark.parametrize("flip", [False, True])
def test_the_scan_on_request_is_the_same_scan(case, tmp_path, flip):
    ct = ct_of(flip=flip)
    write_case(tmp_path / "with.medvl.zip", case, ct)
    assert read_case(tmp_path / "with.medvl.zip").has_scan
    again = read_ct(take_scan(tmp_path / "with.medvl.zip", tmp_path))
    assert fingerprint(again) == fingerprint(ct) == case.scan.digest
    assert np.allclose(again.affine, ct.affine, atol=1e-4)
    assert again.source.orientation == ct.source.orientation


def test_fingerprints_tell_scans_apart():
    one = ct_of()
    other = one.hu.copy()
    other[3, 4, 5] += 1
    turned = CTVolume(np.ascontiguousarray(one.hu), one.affine, one.source)
    assert fingerprint(one) == fingerprint(turned)
    assert fingerprint(one) != fingerprint(CTVolume(other, one.affine, one.source))


def test_nothing_stays_where_it_cannot_be_written(case, tmp_path):
    with pytest.raises(ExportError, match="could not be saved"):
        write_case(tmp_path / "no folder" / "case.medvl.zip", case)
    assert list(tmp_path.iterdir()) == []


def test_a_later_version_says_so(written, tmp_path):
    path = changed(written, tmp_path, lambda index: index.update(format=9, made_with="9.1"))
    with pytest.raises(CaseFileError, match=r"later version \(9\.1, format 9"):
        read_case(path)


def test_fields_that_this_version_does_not_know_are_left_alone(case, written, tmp_path):
    def more(index):
        index["new"] = {"deep": [1, 2]}
        index["masks"][0]["tags"] = ["x"]

    assert same(read_case(changed(written, tmp_path, more)).masks[0].mask, case.masks[0].mask)


def _set(*keys, value):
    def change(index):
        place = index
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


DAMAGE = {
    "no masks": _set("masks", value=None),
    "masks are text": _set("masks", value="m1"),
    "id of another kind": _set("masks", 0, "id", value="../m1"),
    "the same id twice": _set("masks", 1, "id", value="m3"),
    "box outside": _set("masks", 0, "now", "box", value=[[0, 0, 0], [500, 1, 1]]),
    "box of fractions": _set("masks", 0, "now", "box", value=[[0.5, 0, 0], [2, 1, 1]]),
    "box of another size": _set("masks", 0, "now", "box", value=[[0, 0, 0], [2, 2, 2]]),
    "runs of nobody": _set("masks", 0, "now", "runs", value="masks/77.runs"),
    "runs elsewhere": _set("masks", 0, "now", "runs", value="../../etc/passwd"),
    "colour with a script": _set("masks", 0, "color", value="red;background:url(x)"),
    "point outside": _set("masks", 0, "past", 0, "prompts", value=[{"point": [99, 0, 0], "positive": True, "axis": 2}]),
    "axis of nothing": _set(
        "masks", 0, "past", 0, "prompts", value=[{"point": [1, 0, 0], "positive": True, "axis": 7}]
    ),
    "end outside": _set("masks", 0, "now", "ends", value=[{"axis": 2, "index": 99, "reason": ""}]),
    "negative shape": _set("scan", "shape", value=[-1, 4, 4]),
    "endless shape": _set("scan", "shape", value=[10**9, 10**9, 10**9]),
    "affine of text": _set("scan", "affine", value="abc"),
    "digest of nothing": _set("scan", "digest", value="x"),
    "format of text": _set("format", value="1"),
    "found elsewhere": _set("found", value=[{"structure": "liver", "mask": "m77", "status": "found"}]),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_told(written, tmp_path, damage):
    with pytest.raises(CaseFileError, match=r"damaged|larger"):
        read_case(changed(written, tmp_path, damage))


def test_runs_that_do_not_fit(written, tmp_path):
    huge = np.full(2000, 2**32 - 1, "<u4").tobytes()
    for data in (b"", b"abc", huge):
        with pytest.raises(CaseFileError, match="damaged"):
            read_case(changed(written, tmp_path, members={"masks/1.runs": data}))


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"kind": "medvl-case"}', b"[" * 100_000, b'{"kind": "medvl-case", "format": NaN}']
)
def test_an_index_that_is_none(tmp_path, text):
    path = tmp_path / "x.medvl.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("case.json", text)
    with pytest.raises(CaseFileError):
        read_case(path)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/cron.d/x", "C:\\x", "masks/../../x.runs", "extra.txt"])
def test_names_that_do_not_belong(written, tmp_path, name):
    with pytest.raises(CaseFileError, match="not safe"):
        read_case(changed(written, tmp_path, members={name: b"x"}))
    assert not (tmp_path.parent / "outside.txt").exists()


def test_bombs(written, tmp_path, monkeypatch):
    monkeypatch.setattr(case_zip, "MAX_INDEX_BYTES", 100_000)
    with pytest.raises(CaseFileError, match="bomb"):
        read_case(changed(written, tmp_path, lambda index: index.update(page={"x": " " * 200_000})))
    monkeypatch.setattr(case_zip, "MAX_MASK_BYTES", 3_000)
    with pytest.raises(CaseFileError, match=r"bomb|would take"):
        read_case(written)


def test_a_declared_size_that_lies(written, tmp_path):
    """The size in the directory says little, the packed bytes hold much: no more than declared is taken."""
    path = changed(written, tmp_path, members={"masks/1.runs": b"\0" * 5_000_000})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"masks/1.runs") - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    struct.pack_into("<I", data, at + 24, 40)
    path.write_bytes(data)
    with pytest.raises(CaseFileError, match="damaged"):
        read_case(path)


def test_what_is_claimed_is_what_the_masks_take(case, written):
    claimed = []
    read_case(written, claimed.append)
    blocks = {id(s.mask.block): s.mask.block.nbytes for one in case.masks for s in (*one.past, *one.future)}
    assert claimed == [sum(blocks.values())]

    def refuse(nbytes):
        raise ValueError(nbytes)

    with pytest.raises((ValueError, CaseFileError)):
        read_case(written, refuse)


def test_other_files(tmp_path, written):
    text = tmp_path / "a.txt"
    text.write_text("hello")
    other = tmp_path / "b.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("x.txt", "y")
    cut = tmp_path / "c.zip"
    cut.write_bytes(written.read_bytes()[:-30])
    for path in (text, other, cut, tmp_path / "none.zip"):
        assert not is_case(path)
        with pytest.raises(CaseFileError):
            read_case(path)
    with pytest.raises(CaseFileError, match="holds no scan"):
        take_scan(written, tmp_path)


class TestPrior:
    @pytest.fixture
    def both(self, case):
        ct = ct_of(7)
        scan = ScanPrint(SHAPE, ct.affine, fingerprint(ct), "earlier.nii.gz", "NIfTI")
        mask = mask_of(5, id="m1", name="Then", color="#123456")
        matrix = np.eye(4)
        matrix[:3, 3] = 4.0, -2.5, 31.0
        found = Registration(matrix, 0.93, 210.0)
        return replace(case, prior=SavedPrior(SavedCase(scan, (SavedMask(mask, (SavedStep(mask),)),)), found)), ct

    def test_comes_back_with_its_motion_and_masks(self, both, tmp_path):
        case, ct = both
        path = tmp_path / "a.medvl.zip"
        write_case(path, case, None, ct)
        again = read_case(path).prior
        np.testing.assert_array_equal(again.found.matrix, case.prior.found.matrix)
        assert (again.found.similarity, again.found.shared_mm, again.found.same_frame) == (0.93, 210.0, False)
        (mask,) = (one.mask for one in again.case.masks)
        np.testing.assert_array_equal(mask.array, case.prior.case.masks[0].mask.array)
        assert (mask.name, again.case.scan.digest, again.case.has_scan) == ("Then", fingerprint(ct), True)
        np.testing.assert_array_equal(read_ct(take_scan(path, tmp_path, PRIOR)).hu, ct.hu)

    def test_without_its_scan_an_older_version_reads_the_rest(self, both, tmp_path):
        path = tmp_path / "a.medvl.zip"
        write_case(path, both[0])
        assert not read_case(path).prior.case.has_scan
        with zipfile.ZipFile(path) as archive:
            assert json.loads(archive.read("case.json"))["format"] == 1

    @pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.eye(3), 2 * np.eye(4), [[1, 2]], "x"])
    def test_a_motion_that_is_none_is_refused(self, both, tmp_path, matrix):
        path = tmp_path / "a.medvl.zip"
        write_case(path, both[0])
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        index = json.loads(parts["case.json"])
        index["prior"]["matrix"] = np.asarray(matrix).tolist() if not isinstance(matrix, str | list) else matrix
        parts["case.json"] = json.dumps(index)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        with pytest.raises(CaseFileError, match="damaged"):
            read_case(path)
