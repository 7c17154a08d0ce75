"""What a model that looks at pictures is shown of a CT, and how its words come."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image

import medvl
from medvl.conversation.picture_reader import PictureReader, _evenly
from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.errors import Cancelled
from medvl.evaluation.label_finder import LabelFinder
from medvl.report.slice_png import slice_png

from ..chat_server import ChatServer

SHAPE, SPACING = (64, 56, 60), (2.0, 2.0, 3.0)


class Model:
    """Keeps what it is shown and says two sentences."""

    name = "a model"

    def __init__(self):
        self.seen = []

    def stream(self, question, pictures, history=(), cancel=None, max_new_tokens=512):
        self.seen.append((question, list(pictures), list(history)))
        for word in ["It", "is", "seen.", "It", "is", "large."]:
            if cancel and cancel.is_set():
                return
            yield f" {word}"


@pytest.fixture
def ct():
    """A body with a liver at slices 20 to 40, a lung above it, a vertebra in the middle of all slices."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[6:58, 6:50, 3:57] = 30
    hu[10:54, 10:46, 42:57] = -800
    hu[28:36, 8:16, 3:57] = 200
    affine = np.diag([*SPACING, 1.0])
    return CTVolume(hu, affine, SourceGeometry(SHAPE, affine))


@pytest.fixture
def reader(ct):
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:30, 20:40, 20:40] = 1
    labels[28:36, 8:16, 3:57] = 2
    labels[10:20, 10:46, 42:57] = 3
    finder = LabelFinder(ct, labels, {1: "liver", 2: "vertebral_column", 3: "left_lung"}, absent=("spleen",))
    return PictureReader(ct, Model(), finder, slice_png)


def slices(pictures):
    return [int(p.caption.split()[2]) - 1 for p in pictures]


def test_slices_go_evenly_through_what_is_asked_about_in_the_window_of_its_tissue(reader):
    for question, low, high, window in (
        ("describe the liver", 20, 40, "soft-tissue"),
        ("how does the spine look", 3, 57, "bone"),
        ("is the left lung clear", 42, 57, "lung"),
    ):
        pictures, about = reader.pictures(question)
        at = slices(pictures)
        assert len(at) == 12
        assert low <= at[0] <= low + 2
        assert high - 3 <= at[-1] < high
        assert set(np.diff(at)) <= {at[1] - at[0] - 1, at[1] - at[0], at[1] - at[0] + 1}
        assert all(f"{window} window" in p.caption for p in pictures)
        assert about != "through the whole scan"
        assert f"{at[0] * 3} mm above the lowest" in pictures[0].caption


def test_where_nothing_is_named_or_what_is_named_is_absent_the_whole_body_is_shown(reader):
    for question in ("what do you see", "describe the spleen"):
        pictures, about = reader.pictures(question)
        at = slices(pictures)
        assert about == "through the whole scan"
        assert at[0] >= 3
        assert at[-1] < 57
        assert at[-1] - at[0] > 45
        lung = {k for k, p in zip(at, pictures, strict=True) if "lung window" in p.caption}
        assert lung
        assert min(lung) >= 42


def test_pictures_bear_the_patients_right_on_the_left_and_a_scale(ct, reader):
    ct.hu[8:20, 24:36, 30] = 1000  # low i: the patient's left
    (picture,) = [p for p in reader.pictures("describe the liver")[0] if slices([p]) == [30]] or [
        reader._picture(30, "soft")
    ]
    grey = np.asarray(Image.open(io.BytesIO(picture.png)).convert("L")).astype(int)
    bright = np.argwhere(grey[40:-60, 40:-40] == grey[40:-60, 40:-40].max())[:, 1].mean() + 40
    assert bright > grey.shape[1] / 2  # low i is the patient's left, which is on the viewer's right
    assert len(np.unique(grey[-40:, :120])) > 2  # letters and the bar


def test_words_become_sentences_of_a_reading_and_are_remembered(reader):
    told = []
    pieces = list(reader.read("describe the liver", told))
    assert [s.text for s in told] == ["It is seen.", "It is large."]
    assert {s.source for s in told} == {"model"}
    steps = [p.outcome for p in pieces if getattr(p, "outcome", "")]
    assert "12 slices through liver" in steps
    question, pictures, history = reader._model.seen[0]
    assert "not an X-ray" in question
    assert question.endswith("describe the liver")
    assert (len(pictures), history) == (12, [])
    list(reader.read("and the spine?", told))
    assert reader._model.seen[1][2] == [("describe the liver", " It is seen. It is large.")]
    reader.clear()
    list(reader.read("what do you see", told))
    assert reader._model.seen[2][2] == []


def test_a_report_holds_the_same_words_as_the_answer_before(reader):
    first, second = [], []
    list(reader.read_report(first))
    list(reader.read_report(second))
    assert first == second
    assert len(reader._model.seen) == 1


def test_stop(reader):
    cancel, told = threading.Event(), []
    pieces = reader.read("describe the liver", told, cancel)
    next(piece for piece in pieces if getattr(piece, "text", ""))
    cancel.set()
    with pytest.raises(Cancelled):
        list(pieces)
    assert told[0].text == "It"
    with pytest.raises(Cancelled):
        list(reader.read("describe the liver", [], cancel))


@pytest.mark.parametrize(("low", "high", "count"), [(0, 5, 12), (10, 11, 12), (0, 100, 12), (7, 31, 3)])
def test_evenly(low, high, count):
    found = _evenly(low, high, count)
    assert len(found) == min(count, high - low)
    assert found == sorted(set(found))
    assert low <= found[0]
    assert found[-1] < high


def test_a_reader_on_a_server_answers_in_a_case(ct):
    """From ``--reader URL`` to words: the picture goes out, the answer comes back as a reading."""
    server = ChatServer("The liver looks normal.")
    try:
        model = medvl.load("nano", device="cpu", reader=server.url, planner=server.url)
        assert any(server.url in notice for notice in model.notices())
        assert model.networks.planner.model == "medgemma-4b"
        case = model.open(ct)
        done = [p for p in case.ask("what do you see in this scan?") if hasattr(p, "answer")][-1]
        said = [s.text for s in done.answer.sentences if s.source == "model"]
        assert "The liver looks normal." in said
        contents = [asked["messages"][-1]["content"] for asked in server.asked]  # the planner was asked first, in words
        content = next(c for c in contents if isinstance(c, list))
        assert sum(c["type"] == "image_url" for c in content) == 12
        assert case.reading() is None
        case.close()
    finally:
        server.close()
