"""What a GPU is lent for: the same in a forked process, with what goes in and comes out pickled, as in place."""

from __future__ import annotations

import inspect
import multiprocessing
import pickle
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sam2.build_sam import build_sam2

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.errors import GpuError
from medvl.networks import lent
from medvl.networks.chat import open_planner
from medvl.networks.image_text import ImageTextModel
from medvl.networks.openai_server import OpenAIServer
from medvl.networks.preprocess import encoder_input
from medvl.networks.sam2 import Features, Sam2, SegmenterConfig
from medvl.networks.sam2_video import OVERRIDES, FramePrompt, Frames
from medvl.networks.zero_gpu import name_of
from medvl.prompting.slice_encoder import SliceEncoder

from ..tiny_checkpoints import vision_language_model, write_language_model
from ..tiny_image_text import write
from .test_image_text import PICTURES, QUESTION
from .test_sam2_video import randomised

CPU, SIZE = torch.device("cpu"), 128
CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"
WINDOW = (40.0, 400.0)


def forked(function, *given):
    """What a function gives, or all that a generator yields, in a forked process; pickled both ways."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def work():
        torch.set_num_threads(1)
        found = function(*pickle.loads(there.recv_bytes()))
        there.send_bytes(pickle.dumps(list(found) if inspect.isgenerator(found) else found))

    process = context.Process(target=work, daemon=True)
    process.start()
    here.send_bytes(pickle.dumps(given))
    assert here.poll(120), "the forked process said nothing"
    found = pickle.loads(here.recv_bytes())
    process.join(20)
    return found


def same(one, other) -> bool:
    """Equality of numbers, words, arrays, and lists of them."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.fixture(scope="module")
def vlm():
    return vision_language_model()


@pytest.fixture(scope="module")
def ct():
    rng = np.random.default_rng(0)
    hu = np.full((40, 36, 12), -1000, np.int16)
    hu[2:-2, 2:-2] = rng.integers(-50, 150, (36, 32, 12))
    affine = np.diag([4.0, 4.0, 5.0, 1.0])
    return CTVolume(hu, affine, SourceGeometry(hu.shape, affine))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    write(folder, "qwen2_5_vl")
    return ImageTextModel.from_pretrained(folder, quantization="none")


@pytest.fixture(scope="module")
def planner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planner")
    write_language_model(folder)
    return open_planner(str(folder), CPU, "none")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """SAM 2.1 tiny with random weights that sees slices at 128 pixels, and its folder."""
    torch.manual_seed(0)
    extra = [f"++model.image_size={SIZE}", *OVERRIDES]
    net = randomised(build_sam2(CONFIG, None, "cpu", hydra_overrides_extra=extra, apply_postprocessing=False))
    folder = tmp_path_factory.mktemp("sam2")
    save_file({n: t.contiguous() for n, t in net.state_dict().items()}, folder / "tiny.safetensors")
    return SegmenterConfig(CONFIG, "tiny", SIZE), folder


@pytest.fixture(scope="module")
def sam2(segmenter):
    return lent.LentSam2(*segmenter, gpu=CPU)


def planes(ct) -> np.ndarray:
    return np.ascontiguousarray(ct.hu.transpose(2, 1, 0))


PROMPT = FramePrompt(mask=torch.zeros(SIZE, SIZE, dtype=torch.bool).index_fill(0, torch.arange(40, 90), True))
TURNS = [("system", "the liver is large ."), ("user", "where is it ?")]


def test_volume_to_tokens(vlm, ct):
    given = (name_of(vlm), encoder_input(ct, vlm.config.input_size).image.numpy(), slice(1, 3))
    tokens, maps = found = lent.image_tokens(*given)
    assert same(found, forked(lent.image_tokens, *given))
    seen = vlm.look(ct, stages=slice(1, 3))
    assert np.array_equal(tokens, seen.tokens.numpy())
    assert len(maps) == 2
    assert lent.image_tokens(*given[:2], None)[1] == []


def test_tokens_and_a_question_to_text(vlm, ct):
    image = vlm.see(ct).numpy()
    given = (name_of(vlm), image, "where is the liver ?", [("what is seen ?", "the spleen .")], 10)
    told = list(lent.answer(*given))
    assert len(told) == 10
    assert same(told, forked(lent.answer, *given))
    assert not same(told, list(lent.answer(*given[:3], [], 10)))  # what was said before counts


def test_pictures_and_a_question_to_text(pictures):
    given = (name_of(pictures), QUESTION, PICTURES, [("what is it ?", "the spleen .")], 8)
    told = list(lent.reading(*given))
    assert any(told)
    assert same(told, forked(lent.reading, *given))
    assert "".join(told) == "".join(pictures.stream(QUESTION, PICTURES, given[3], max_new_tokens=8))


def test_a_conversation_to_text(planner):
    given = (name_of(planner), TURNS, 8)
    told = list(lent.chat(*given))
    assert any(told)
    assert same(told, forked(lent.chat, *given))


def test_slices_to_features(sam2, ct):
    shown = [np.clip((p - 40.0) / 400 + 0.5, 0, 1).astype(np.float32) for p in planes(ct)[:3]]
    found = lent.features(sam2.name, shown)
    assert same(found, forked(lent.features, sam2.name, shown))
    own = Sam2.encode(sam2, shown[2])
    assert same(tuple(t.numpy() for t in (own.embedding, *own.fine)), found[2])
    assert isinstance(sam2.encode_many(shown)[0], Features)


def test_a_prompt_and_slices_to_masks(sam2, ct):
    shown, limits = planes(ct), (3, 9)
    given = (sam2.name, shown[3:9], 3, WINDOW, len(shown), 5, PROMPT, limits, False)
    found = list(lent.masks(*given))
    assert sorted(index for index, _ in found) == [3, 4, 5, 6, 7, 8]
    assert same(found, forked(lent.masks, *given))
    frames = Frames(shown.__getitem__, WINDOW, SIZE, CPU)
    rest = (len(shown), 5, PROMPT, None, limits, False)
    own = [(m.index, m.logits.numpy()) for m in Sam2.video(sam2).track(frames, *rest)]
    assert same(own, found)
    assert same(own, [(m.index, m.logits.numpy()) for m in sam2.video().track(frames, *rest)])


def test_where_the_gpu_goes_an_object_is_carried_on_here(monkeypatch, sam2, ct):
    shown = planes(ct)
    frames, rest = Frames(shown.__getitem__, WINDOW, SIZE, CPU), (len(shown), 5, PROMPT, None, (3, 9), False)
    whole = [(m.index, m.logits.numpy()) for m in sam2.video().track(frames, *rest)]
    lent_masks = lent.masks

    def ends_early(*given):
        for number, piece in enumerate(lent_masks(*given)):
            if number == 2:
                raise GpuError("GPU task aborted")
            yield piece

    monkeypatch.setattr(lent, "masks", ends_early)
    assert same(whole, [(m.index, m.logits.numpy()) for m in sam2.video().track(frames, *rest)])


def test_each_function_says_how_long_it_takes(ct, vlm):
    """More work is more time, and all of it fits into what a visitor without an account has: two minutes."""
    assert lent._answer_s("", None, "", [], 64) < lent._answer_s("", None, "", [], 512) < 60
    assert lent._slices_s("", [None] * 24) < 60
    assert lent._masks_s("", np.zeros((300, 1, 1))) < 60
    assert lent._reading_s("", "", [None] * 12, [], 512) < 60
    assert lent._chat_s("", [], 512) < 60


def test_a_lent_conversation_remembers_on_the_callers_side(vlm, ct):
    away = lent.LentVlm(vlm)
    seen, own = away.look(ct), vlm.look(ct)
    assert torch.equal(seen.tokens, own.tokens)
    assert (seen.low, seen.high) == (own.low, own.high)
    talk, plain = away.conversation(seen.tokens), vlm.conversation(own.tokens)
    for question in ("what is seen ?", "where is it ?"):
        told = [t.text for t in talk.ask(question, 6)]
        assert told == [t.text for t in plain.ask(question, 6)]
    assert talk.history == plain.history
    assert talk.nbytes == seen.tokens.nbytes  # no cache
    cancel = threading.Event()
    stream = talk.ask("what is normal ?", 50, cancel)
    first = next(stream).text
    cancel.set()
    assert list(stream) == []
    assert talk.history[-1] == ("what is normal ?", first)


def test_readers_and_planners_are_lent_and_servers_are_not(pictures, planner):
    reader = lent.lend(pictures)
    assert "".join(reader.stream(QUESTION, PICTURES, max_new_tokens=6)) == "".join(
        pictures.stream(QUESTION, PICTURES, max_new_tokens=6)
    )
    assert "lends a call at a time" in reader.notice
    talker = lent.lend(planner)
    assert list(talker.chat(TURNS, 6)) == list(planner.chat(TURNS, 6))
    server = object.__new__(OpenAIServer)
    assert lent.lend(server) is server
    assert lent.lend(None) is None


@pytest.mark.parametrize("how", ["reader", "planner"])
def test_a_stop_ends_the_work(monkeypatch, pictures, planner, how):
    ended = threading.Event()

    def endless(*_):
        try:
            while True:
                yield "word "
        finally:
            ended.set()

    monkeypatch.setattr(lent, "reading" if how == "reader" else "chat", endless)
    cancel = threading.Event()
    away = lent.lend(pictures if how == "reader" else planner)
    stream = away.stream(QUESTION, [], (), cancel) if how == "reader" else away.chat(TURNS, 9, cancel)
    assert [next(stream), next(stream)] == ["word ", "word "]
    cancel.set()
    assert list(stream) == []
    assert ended.is_set()


class Counting(lent.LentSam2):
    """Notes what the GPU was asked for; ``refused`` is raised instead."""

    calls: tuple = ()
    refused = None

    def encode_many(self, planes):
        self.calls = (*self.calls, len(planes))
        if self.refused:
            raise self.refused
        return super().encode_many(planes)


def test_slices_ahead_of_a_walk_are_encoded_in_one_call(segmenter, ct):
    sam2 = Counting(*segmenter, gpu=CPU)
    encoder = SliceEncoder(sam2, ct)
    plain = SliceEncoder(Sam2(*segmenter, CPU), ct)

    def check(index):
        assert torch.equal(encoder.features(2, index, "soft").embedding, plain.features(2, index, "soft").embedding)

    check(6)
    assert sam2.calls == ()  # a click on one slice asks for no GPU
    check(7)
    assert sam2.calls == (5,)  # to the end of the scan
    for index in (8, 9, 10, 11, 5):
        check(index)
    assert sam2.calls == (5,)
    check(4)
    assert sam2.calls == (5, 5)
    for index in (3, 2, 1, 0):
        check(index)
    assert (sam2.calls, encoder.encoded) == ((5, 5), 12)


def test_without_a_gpu_slices_are_encoded_here_and_it_is_not_asked_for_again(segmenter, ct):
    sam2 = Counting(*segmenter, gpu=CPU)
    sam2.refused = GpuError("used up")
    encoder = SliceEncoder(sam2, ct)
    for index in range(4):
        encoder.features(2, index, "soft")
    assert sam2.calls == (12 - 1,)
    assert encoder.encoded == 4
