from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from sam2.build_sam import build_sam2, build_sam2_video_predictor

from medvl.errors import PromptError, WeightsError
from medvl.networks.sam2_video import OVERRIDES, FramePrompt, VideoSegmenter, has_memory, picture

SIZE, FRAMES, KEY = 128, 7, 3
EXTRA = [f"++model.image_size={SIZE}", *OVERRIDES]


def randomised(net):
    """The same random weights in every network, also where the constructor starts from zeros."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(net.named_parameters()):
            scale = 0.02 if parameter.ndim > 1 else 0.1
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return net.float().eval()


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    config = "configs/sam2.1/sam2.1_hiera_t.yaml"
    return randomised(build_sam2(config, None, "cpu", hydra_overrides_extra=EXTRA, apply_postprocessing=False))


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    planes = [np.kron(rng.uniform(0, 1, (8, 8)), np.ones((16, 16))) for _ in range(FRAMES)]
    return torch.stack([picture(torch.from_numpy(p), SIZE) for p in planes])


@pytest.fixture(scope="module")
def predictor(net):
    config = "configs/sam2.1/sam2.1_hiera_t.yaml"
    upstream = build_sam2_video_predictor(config, None, "cpu", hydra_overrides_extra=EXTRA, apply_postprocessing=False)
    upstream.load_state_dict(net.state_dict())
    return upstream.float().eval()


PROMPTS = {
    "box and points": FramePrompt(
        torch.tensor([[60.0, 60.0], [20.0, 90.0]]), torch.tensor([1, 0]), (30.0, 24.0, 100.0, 96.0)
    ),
    "mask": FramePrompt(mask=torch.zeros(SIZE, SIZE, dtype=torch.bool).index_fill(0, torch.arange(40, 90), True)),
}


@pytest.mark.parametrize("prompt", list(PROMPTS.values()), ids=list(PROMPTS))
def test_same_prompt_and_frames_give_the_masks_of_the_video_predictor(net, predictor, frames, prompt, tmp_path):
    for index in range(FRAMES):
        Image.new("RGB", (SIZE, SIZE)).save(tmp_path / f"{index:05d}.jpg")
    state = predictor.init_state(str(tmp_path))
    state["images"], state["cached_features"] = frames, {}  # JPEG would change the pictures
    theirs = {}
    for reverse in (False, True):
        predictor.reset_state(state)
        if prompt.mask is not None:
            predictor.add_new_mask(state, KEY, 1, prompt.mask)
        else:
            predictor.add_new_points_or_box(state, KEY, 1, prompt.points, prompt.labels, box=prompt.box)
        for index, _, _ in predictor.propagate_in_video(state, KEY, reverse=reverse):
            kept = state["output_dict_per_obj"][0]
            store = "cond_frame_outputs" if index == KEY else "non_cond_frame_outputs"
            theirs[index] = kept[store][index]["pred_masks"][0, 0]
    ours = {
        m.index: m.logits for m in VideoSegmenter(net).track(frames.__getitem__, FRAMES, KEY, prompt, until_empty=False)
    }
    assert sorted(ours) == sorted(theirs) == list(range(FRAMES))
    for index in ours:
        assert torch.allclose(ours[index], theirs[index], atol=1e-4, rtol=1e-4), index
        assert torch.equal(ours[index] > 0, theirs[index] > 0)
    assert not torch.allclose(ours[0], ours[1], atol=1e-3)


def test_memory_matters(net, frames):
    """Another mask on the key slice changes its neighbour although the neighbour's picture is the same."""
    tracker = VideoSegmenter(net)
    other = FramePrompt(mask=~PROMPTS["mask"].mask)
    one, two = (
        list(tracker.track(frames.__getitem__, FRAMES, KEY, p, limits=(KEY, KEY + 2), until_empty=False))
        for p in (PROMPTS["mask"], other)
    )
    assert [m.index for m in one] == [KEY, KEY + 1]
    assert not torch.allclose(one[1].logits, two[1].logits, atol=1e-3)


def test_stops_before_the_next_slice_and_encodes_no_slice_that_is_not_reached(net, frames):
    asked, cancel, got = [], threading.Event(), []

    def frame(index):
        asked.append(index)
        return frames[index]

    for mask in VideoSegmenter(net).track(frame, FRAMES, KEY, PROMPTS["mask"], cancel, until_empty=False):
        got.append(mask.index)
        if len(got) == 2:
            cancel.set()
    assert asked == got == [KEY, KEY + 1]


def test_forgotten_frames_change_nothing(net, frames, monkeypatch):
    tracker = VideoSegmenter(net)
    monkeypatch.setattr(net, "num_maskmem", 3)
    monkeypatch.setattr(net, "max_obj_ptrs_in_encoder", 3)
    lean = [m.logits for m in tracker.track(frames.__getitem__, FRAMES, 0, PROMPTS["mask"], until_empty=False)]
    monkeypatch.setattr(tracker, "_forget", lambda *_: None)
    full = [m.logits for m in tracker.track(frames.__getitem__, FRAMES, 0, PROMPTS["mask"], until_empty=False)]
    assert all(torch.equal(a, b) for a, b in zip(lean, full, strict=True))


def test_checkpoints_without_memory_are_told_apart(net):
    assert has_memory(net.state_dict())
    assert not has_memory(n for n in net.state_dict() if not n.startswith("memory_"))
    with pytest.raises(PromptError, match="Nothing was prompted"):
        next(VideoSegmenter(net).track(lambda _: torch.zeros(3, SIZE, SIZE), 1, 0, FramePrompt()))


def test_network_built_without_memory_is_refused(net, monkeypatch):
    monkeypatch.setattr(net, "num_maskmem", 0)
    with pytest.raises(WeightsError, match="no memory"):
        VideoSegmenter(net)


def test_in_bfloat16_the_object_is_nearly_the_same(net, frames):
    """What GPUs compute in; here by the CPU's own bfloat16."""
    prompt = FramePrompt(box=(30.0, 30.0, 90.0, 90.0))
    exact, short = (
        torch.stack([m.logits for m in VideoSegmenter(net, dtype).track(lambda i: frames[i], 3, 1, prompt)])
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert short.dtype == torch.float32
    assert not torch.equal(exact, short)
    assert torch.nn.functional.cosine_similarity(exact.flatten(), short.flatten(), dim=0) > 0.98
