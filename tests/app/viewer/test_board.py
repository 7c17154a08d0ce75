from __future__ import annotations

import threading

import numpy as np
import pytest

from app.viewer import Board
from app.viewer import board as board_module
from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.prompts import Box, Point
from medvl.ct.volume import CTVolume

from .unwire import decode_slab, unpack_delta

SHAPE = (24, 20, 16)


def volume(shape=SHAPE) -> CTVolume:
    hu = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.int16)
    affine = np.diag([0.8, 0.8, 2.5, 1.0])
    return CTVolume(hu, affine, SourceGeometry(shape, affine))


def ball(k0: int, k1: int, mask_id: str = "m1") -> Mask:
    array = np.zeros(SHAPE, bool)
    array[5:10, 6:12, k0:k1] = True
    return Mask.from_array(array, id=mask_id, name="Ball")


class Browser:
    """What a browser would hold after applying deltas."""

    def __init__(self, board: Board):
        self.board, self.revision, self.masks, self.header = board, -1, {}, {}

    def sync(self) -> dict:
        self.header, slices = unpack_delta(self.board.delta(self.revision))
        self.revision = self.header["revision"]
        kept = {}
        for item in self.header["masks"]:
            born, array = self.masks.get(item["id"], (None, None))
            if born != item["born"]:
                array = np.zeros(SHAPE, bool)
            for k, ((i0, j0), crop) in slices[item["id"]].items():
                array[:, :, k] = False
                array[i0 : i0 + crop.shape[1], j0 : j0 + crop.shape[0], k] = crop.T
            kept[item["id"]] = (item["born"], array)
        self.masks = kept
        return self.header

    def array(self, mask_id: str = "m1") -> np.ndarray:
        return self.masks[mask_id][1]


@pytest.fixture
def board():
    return Board(volume(), "token")


class TestDelta:
    def test_whole_mask_then_nothing_more(self, board):
        browser = Browser(board)
        board.set_mask(ball(3, 8))
        browser.sync()
        assert np.array_equal(browser.array(), ball(3, 8).array)
        assert browser.sync()["masks"][0]["slices"] == []

    def test_only_changed_slices_travel(self, board):
        browser = Browser(board)
        board.set_mask(ball(3, 8))
        browser.sync()
        board.set_mask(ball(3, 9), Box((5, 6, 8), (10, 12, 9)))
        assert [row[0] for row in browser.sync()["masks"][0]["slices"]] == [8]
        assert np.array_equal(browser.array(), ball(3, 9).array)

    def test_shrinking_moving_and_emptying(self, board):
        browser = Browser(board)
        for mask in (ball(3, 12), ball(5, 7), ball(10, 14), Mask.from_array(np.zeros(SHAPE, bool), id="m1")):
            board.set_mask(mask)
            browser.sync()
            assert np.array_equal(browser.array(), mask.array)

    def test_a_browser_that_missed_updates_catches_up(self, board):
        browser = Browser(board)
        board.set_mask(ball(3, 5))
        browser.sync()
        for top in range(6, 12):
            board.set_mask(ball(3, top), Box((0, 0, top - 1), (24, 20, top)))
        browser.sync()
        assert np.array_equal(browser.array(), ball(3, 11).array)

    def test_removed_and_made_again_under_the_same_id(self, board):
        browser = Browser(board)
        board.set_mask(ball(3, 12))
        browser.sync()
        board.remove_mask("m1")
        board.set_mask(ball(6, 7))
        browser.sync()
        assert np.array_equal(browser.array(), ball(6, 7).array)
        board.remove_mask("m1")
        assert browser.sync()["masks"] == []

    def test_style_prompts_focus_and_active(self, board):
        board.set_mask(ball(3, 5))
        board.style("m1", name="Liver", color="#112233", visible=False, opacity=7)
        board.set_prompts("m1", [Point((1, 2, 3), False, 1), Box((1, 2, 3), (4, 5, 4))])
        board.focus((100, -4, 3.4))
        board.active = "m1"
        header = Browser(board).sync()
        item = header["masks"][0]
        assert (item["name"], item["color"], item["visible"], item["opacity"]) == ("Liver", "#112233", False, 1.0)
        assert [p["kind"] for p in item["prompts"]] == ["point", "box"]
        assert header["focus"]["ijk"] == [23, 0, 3]
        assert header["active"] == "m1"

    def test_saved_is_what_an_export_holds(self, board):
        browser = Browser(board)
        mask = ball(3, 9)
        board.set_mask(mask)

        def saved():
            return [entry["saved"] for entry in browser.sync()["masks"]]

        assert saved() == [False]
        board.mark_saved([mask, ball(3, 9, "of another scan")])
        assert saved() == [True]
        board.style("m1", visible=False, opacity=0.9, color="#123456")
        assert saved() == [True]  # looks are no loss
        board.style("m1", name="Spleen")
        assert saved() == [False]
        board.mark_saved([mask])
        board.set_mask(ball(3, 9))
        assert saved() == [False]

    def test_every_change_raises_the_revision(self, board):
        seen = [board.revision]
        for change in (
            lambda: board.set_mask(ball(1, 3)),
            lambda: board.style("m1", visible=False),
            lambda: board.set_prompts("m1", [Point((1, 1, 1))]),
            lambda: board.focus((1, 1, 1)),
            lambda: setattr(board, "active", "m1"),
            lambda: board.remove_mask("m1"),
        ):
            change()
            seen.append(board.revision)
        assert seen == sorted(set(seen))
        board.style("nobody", name="x")
        board.set_prompts("nobody", [])
        board.remove_mask("nobody")
        assert board.revision == seen[-1]

    def test_reading_while_writing(self, board):
        browser, failures = Browser(board), []

        def write():
            for n in range(200):
                board.set_mask(ball(2, 3 + n % 12))

        def read():
            try:
                for _ in range(100):
                    browser.sync()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=write), threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        browser.sync()
        assert not failures
        assert np.array_equal(browser.array(), ball(2, 3 + 199 % 12).array)


class TestSlabs:
    def test_all_levels_rebuild_the_volume(self, monkeypatch):
        monkeypatch.setattr(board_module, "SLAB_VOXELS", 24 * 20 * 5)
        board = Board(volume(), "t")
        for level, full in ((0, board.ct.hu), (1, board.ct.hu[::2, ::2, ::2])):
            about = board.info()["levels"][level]
            parts = []
            for n in range(about["slabs"]):
                depth = min(about["depth"], full.shape[2] - n * about["depth"])
                parts.append(decode_slab(board.slab(level, n), (*full.shape[:2], depth)))
            assert np.array_equal(np.concatenate(parts, axis=2), full)

    @pytest.mark.parametrize(("level", "index"), [(2, 0), (-1, 0), (0, 99), (0, -1)])
    def test_unknown_slab(self, board, level, index):
        with pytest.raises(IndexError):
            board.slab(level, index)

    def test_cache_keeps_to_its_budget(self, monkeypatch):
        monkeypatch.setattr(board_module, "SLAB_VOXELS", 24 * 20)
        monkeypatch.setattr(board_module, "CACHE_BYTES", 4000)
        board = Board(volume(), "t")
        for n in range(16):
            board.slab(0, n)
        assert 0 < board.nbytes <= 4000

    def test_info_holds_numbers_only(self, board):
        info = board.info()
        assert info["shape"] == [24, 20, 16]
        assert info["spacing_mm"] == [0.8, 0.8, 2.5]
        assert info["orientation"] == "RAS"
        assert [(w["level"], w["width"]) for w in info["windows"]][:2] == [(40, 400), (-600, 1500)]
