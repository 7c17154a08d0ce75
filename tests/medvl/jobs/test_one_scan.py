"""From file to result in one call: order of the file's axes, memory that is counted, cases that are closed."""

from __future__ import annotations

import threading

import nibabel as nib
import numpy as np
import pytest

from medvl.ct.geometry import source_index_to_canonical
from medvl.errors import ExportError, MedVLError, PromptError
from medvl.jobs.one_scan import NOTICE, describe, open_case, point_from_source, segment_file
from medvl.readers import read_ct

from ... import phantoms
from ...app.stand_in import StandInModel


class Watched(StandInModel):
    """Remembers its cases and whether they were closed."""

    def __init__(self):
        super().__init__()
        self.cases = []
        self.closed = []

    def open(self, ct):
        case = super().open(ct)
        case.close = lambda: self.closed.append(case)
        self.cases.append(case)
        return case


class FullError(MedVLError):
    """No room."""


class Room:
    def __init__(self, budget=10**9):
        self.budget, self.claimed, self.held = budget, [], []

    def claim(self, nbytes):
        self.claimed.append(nbytes)
        if nbytes > self.budget:
            raise FullError("The server is full.")

    def hold(self, case):
        self.held.append(case)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A phantom in LPS order, and its liver in the same order."""
    body = phantoms.phantom((48, 44, 40), spacing=(6.0, 6.0, 7.0), noise=0)
    array, affine = phantoms.reorient(body.hu, body.affine, "LPS")
    liver, _ = phantoms.reorient(body.organ("liver"), body.affine, "LPS")
    return phantoms.write_nifti(tmp_path_factory.mktemp("scan") / "ct.nii.gz", array, affine), liver


def middle(array: np.ndarray) -> list[int]:
    return [int(v) for v in np.argwhere(array).mean(axis=0).round()]


def test_a_mask_is_written_in_the_files_order_and_measured(stored, tmp_path):
    path, liver = stored
    model, steps = Watched(), []
    told = segment_file(model, path, tmp_path / "m.nii.gz", [middle(liver)], name="Liver", progress=steps.append)
    written = np.asarray(nib.load(tmp_path / "m.nii.gz").dataobj) > 0
    assert np.array_equal(written, liver)
    assert told["name"] == "Liver"
    assert told["notice"] == NOTICE
    assert told["volume_ml"] == pytest.approx(liver.sum() * 0.252)
    assert steps[-1].stage == "done"
    assert model.closed == model.cases


def test_memory_is_claimed_before_reading_and_the_case_is_held(stored, tmp_path):
    path, liver = stored
    model, room = Watched(), Room()
    segment_file(model, path, tmp_path / "m.nii.gz", [middle(liver)], room=room)
    assert room.held == model.cases
    assert max(room.claimed) >= 2 * liver.size
    model = Watched()
    with pytest.raises(FullError):
        segment_file(model, path, tmp_path / "n.nii.gz", [middle(liver)], room=Room(budget=1000))
    assert model.cases == []
    assert not (tmp_path / "n.nii.gz").exists()


def test_a_case_is_closed_whatever_happens(stored, tmp_path):
    path, liver = stored
    model = Watched()
    with pytest.raises(ExportError):
        segment_file(model, path, tmp_path / "m.png", [middle(liver)])
    with pytest.raises(ZeroDivisionError), open_case(model, read_ct(path)):
        raise ZeroDivisionError
    room = Room()
    room.hold = lambda case: room.claim(10**12)
    with pytest.raises(FullError), open_case(model, read_ct(path), room):
        pass
    assert len(model.cases) == 3
    assert model.closed == model.cases


@pytest.mark.parametrize("prompts", [{}, {"negative_points": [(1, 1, 1)]}])
def test_nothing_to_segment_is_told_before_a_case_is_opened(stored, tmp_path, prompts):
    model = Watched()
    with pytest.raises(PromptError, match="at least one positive point"):
        segment_file(model, stored[0], tmp_path / "m.nii.gz", **prompts)
    assert model.cases == []


def test_what_is_done_when_it_is_stopped_is_written(stored, tmp_path):
    path, liver = stored
    stop, seen = threading.Event(), []

    def tell(update):
        seen.append(update)
        if len(seen) == 3:
            stop.set()

    told = segment_file(Watched(), path, tmp_path / "m.nii.gz", [middle(liver)], progress=tell, cancel=stop)
    written = np.asarray(nib.load(tmp_path / "m.nii.gz").dataobj) > 0
    assert 0 < written.sum() < liver.sum()
    assert not (written & ~liver).any()
    assert told["volume_ml"] == pytest.approx(written.sum() * 0.252)


def test_description_is_of_the_file(stored):
    ct = read_ct(stored[0])
    told = describe(ct)
    assert told["shape"] == [48, 44, 40]
    assert told["orientation"] == "LPS"
    assert told["spacing_mm"] == [6.0, 6.0, 7.0]
    assert told["hu_range"] == [int(ct.hu.min()), int(ct.hu.max())]
    assert told["format"] == ct.file_format
    assert told["notice"] == NOTICE


@pytest.mark.parametrize("index", [(3, 5, 7), (47, 43, 39), (0, 0, 0)])
def test_a_point_is_the_same_voxel_in_both_orders(stored, index):
    ct = read_ct(stored[0])
    point = point_from_source(index, ct)
    assert point.ijk == tuple(round(v) for v in source_index_to_canonical(index, ct.source, ct.affine))
    assert ct.hu[point.ijk] == np.asarray(nib.load(stored[0]).dataobj)[index]


@pytest.mark.parametrize("index", [(1, 2), (1, 2, 3.5), ("a", 1, 1), (48, 0, 0), (-1, 0, 0), None])
def test_a_point_that_is_no_voxel_is_refused(stored, index):
    with pytest.raises((PromptError, TypeError)):
        point_from_source(index, read_ct(stored[0]))
