"""[SEG] states to masks with SAM 2's memory, against PyPI's SAM 2 called directly; without memory, slice by slice."""

from __future__ import annotations

import threading
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sam2.build_sam import build_sam2_video_predictor

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.ct.windows import WINDOWS
from medvl.errors import Cancelled
from medvl.model import MedVLSAM2
from medvl.networks.config import ModelConfig
from medvl.networks.networks import read_networks
from medvl.networks.sam2 import SegmenterConfig
from medvl.networks.sam2_video import OVERRIDES, PATIENCE
from medvl.networks.seg_head import SegHead
from medvl.networks.vlm import Seen
from medvl.prompting import pointing as seg_segmenter
from medvl.prompting import segmenter
from medvl.prompting.memory_propagation import MemoryPropagation
from medvl.prompting.planes import from_plane, to_plane
from medvl.prompting.pointing import SegSegmenter
from medvl.prompting.segmenter import Segmenter
from medvl.prompting.slice_encoder import SliceEncoder
from medvl.prompting.thresholds import THRESHOLDS
from medvl.weights import hub

from ..networks.test_sam2_video import randomised
from ..tiny_checkpoints import seg_head_config, teach_places

SIZE, CONFIG = 128, "configs/sam2.1/sam2.1_hiera_t.yaml"
SHAPE, CENTRE = (48, 40, 14), (26, 18, 6)


@dataclass
class Scene:
    """A bright ball, the state that means it, and the head that finds it."""

    ct: CTVolume
    ball: np.ndarray
    seen: Seen
    head: SegHead
    state: torch.Tensor

    def work(self, model) -> SegSegmenter:
        networks = model.networks
        return SegSegmenter(self.head, self.seen, Segmenter(SliceEncoder(networks.sam2, self.ct), networks.propagator))


@pytest.fixture(scope="module")
def scene():
    ijk = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    ball = sum(((x - c) / r) ** 2 for x, c, r in zip(ijk, CENTRE, (9, 9, 4), strict=True)) < 1
    hu = np.where(ball, 120, 0).astype(np.int16)
    hu[:6] = -1000  # air, so that SAM 2 sees a crop
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    ct = CTVolume(hu, affine, SourceGeometry(hu.shape, affine))
    # As the encoder's input lies: slices from below, rows from the front, columns from the patient's right.
    target = torch.from_numpy(np.ascontiguousarray(ball.transpose(2, 1, 0)[:, ::-1, ::-1]))[None]
    grid = F.interpolate(target[None].float(), (7, 10, 12), mode="trilinear")[0]
    torch.manual_seed(0)
    maps = tuple(0.1 * torch.randn(c, 7 >> n or 1, 10 >> n, 12 >> n) for n, c in enumerate(seg_head_config().channels))
    maps[0][0] = 2 * grid[0] - 1
    head, state = SegHead(seg_head_config()), torch.randn(64)
    teach_places(head, maps, state[None], grid > 0.5, steps=60)
    return Scene(ct, ball, Seen(torch.zeros(1, 1), maps, (0, 0, 0), SHAPE), head, state)


@pytest.fixture(scope="module")
def predictor():
    """PyPI's video predictor with random weights, also of the memory modules."""
    torch.manual_seed(0)
    extra = [f"++model.image_size={SIZE}", *OVERRIDES]
    return randomised(
        build_sam2_video_predictor(CONFIG, None, "cpu", hydra_overrides_extra=extra, apply_postprocessing=False)
    )


@pytest.fixture(scope="module")
def remembering(predictor, tmp_path_factory):
    """Our model round a checkpoint of the same weights, in SAM 2.1's file layout."""
    folder = tmp_path_factory.mktemp("sam2")
    torch.save({"model": predictor.state_dict()}, folder / "tiny.pt")
    source = SegmenterConfig(CONFIG, "tiny", SIZE), folder
    nano = hub.find_model("nano")
    config = replace(ModelConfig.load(nano), name="7b", segmenter=source[0])
    return MedVLSAM2(read_networks(nano, torch.device("cpu"), config, source[1], edge="sam2"), (nano,), "sam2.1-tiny")


def exhaust(work):
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def pictures(ct, crop, window):
    """Every slice as SAM 2 sees it: cropped, windowed, square, normalised."""
    r0, r1, c0, c1 = crop
    level, width = WINDOWS[window]
    planes = [to_plane(ct.hu, 2, k)[r0:r1, c0:c1].astype(np.float32) for k in range(ct.shape[2])]
    stack = torch.stack([torch.from_numpy(np.clip((p - level) / width + 0.5, 0, 1)) for p in planes])[:, None]
    stack = F.interpolate(stack, (SIZE, SIZE), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (stack - mean[:, None, None]) / std[:, None, None]


@torch.inference_mode()
def restated(predictor, scene, work, tmp_path):
    """Key slice from the projected [SEG] and the coarse mask, the rest by the video predictor. Bool ``(i, j, k)``."""
    place, slices = work.find(scene.state), work.segmenter.slices
    crop = r0, r1, c0, c1 = slices.encoder.crop(2)
    images = pictures(scene.ct, crop, "soft")
    shape = to_plane(scene.ct.hu, 2, 0).shape

    # SAM 2 on the key slice: the padding point, then the prompt; the coarse logits as a mask prompt
    out = predictor.forward_image(images[place.key][None])
    embedding = out["backbone_fpn"][-1] + predictor.no_mem_embed.view(1, -1, 1, 1)
    full = np.full((*SHAPE[:2], 1), -8.0, np.float32)
    full[..., 0] = place.dense(place.key, SHAPE[:2])
    dense = torch.from_numpy(np.ascontiguousarray(to_plane(full, 2, 0)[r0:r1, c0:c1]))[None, None]
    dense = F.interpolate(dense, (SIZE // 4, SIZE // 4), mode="bilinear", antialias=True)
    point = torch.zeros(1, 1, 2), torch.full((1, 1), -1, dtype=torch.int32)
    sparse, dense = predictor.sam_prompt_encoder(points=point, boxes=None, masks=dense)
    logits = predictor.sam_mask_decoder.predict_masks(
        image_embeddings=embedding,
        image_pe=predictor.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=torch.cat([sparse, scene.head.prompts(scene.state[None])], 1),
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=out["backbone_fpn"][:-1],
    )[0][:, :1]

    def back(small):
        plane = np.zeros(shape, bool)
        plane[r0:r1, c0:c1] = (F.interpolate(small, (r1 - r0, c1 - c0), mode="bilinear") > 0)[0, 0]
        return plane

    key = back(logits)
    for k in range(SHAPE[2]):
        Image.new("RGB", (SIZE, SIZE)).save(tmp_path / f"{k:05d}.jpg")
    held = predictor.init_state(str(tmp_path))
    held["images"], held["cached_features"] = images, {}  # JPEG would change the pictures
    given = torch.from_numpy(key[r0:r1, c0:c1].astype(np.float32))[None, None]
    given = F.interpolate(given, (SIZE, SIZE), mode="bilinear", antialias=True)[0, 0] >= 0.5
    planes = {place.key: key}
    frame = slices.frames[2]
    for reverse in (False, True):
        predictor.reset_state(held)
        predictor.add_new_mask(held, place.key, 1, given)
        empty = 0
        for k, _, _ in predictor.propagate_in_video(held, place.key, reverse=reverse):
            if k == place.key or k not in range(*place.limits) or empty >= PATIENCE:
                continue
            small = held["output_dict_per_obj"][0]["non_cond_frame_outputs"][k]["pred_masks"]
            empty = 0 if (small > 0).any() else empty + 1
            near = planes.get(k + 1 if reverse else k - 1)
            found = back(small) & work._near(place, k)
            found = found if near is None else frame.connected(found, near)
            if found.sum() * 4.0 >= THRESHOLDS.min_area_mm2:
                planes[k] = found
    volume = np.zeros(SHAPE, bool)
    for k, plane in planes.items():
        volume[:, :, k] = from_plane(plane)
    return volume, place


def test_seg_is_carried_by_memory_attention_as_by_the_video_predictor(
    predictor, remembering, scene, tmp_path, monkeypatch
):
    # Random weights see nothing where the state points; what is compared is what the [SEG] prompt makes of them.
    monkeypatch.setattr(seg_segmenter, "THRESHOLDS", replace(seg_segmenter.THRESHOLDS, pointed_iou=0.0))
    monkeypatch.setattr(Segmenter, "_walk", lambda *_: pytest.fail("slice by slice, although there is a memory"))
    assert remembering.networks.sam2.has_memory
    pieces = []
    monkeypatch.setattr(segmenter, "one_piece", lambda state: pieces.append(state) or state)
    work = scene.work(remembering)
    ours = exhaust(work.segment(scene.state))
    theirs, place = restated(predictor, scene, work, tmp_path)
    assert len(pieces) == 1
    levels = np.flatnonzero(theirs.any((0, 1)))
    assert len(levels) >= 3
    assert place.key in levels
    assert 0.02 < theirs[..., place.key].mean() < 0.98
    # Features of the key slice are kept in half precision, so a voxel on an edge may differ.
    assert (ours != theirs).mean() < 0.002
    assert [k for k in range(SHAPE[2]) if ours[..., k].any()] == levels.tolist()


def test_the_state_prompts_the_key_slice(remembering, scene, monkeypatch):
    """Another state in the same place gives another mask; a state that points nowhere gives none."""
    monkeypatch.setattr(seg_segmenter, "THRESHOLDS", replace(seg_segmenter.THRESHOLDS, pointed_iou=0.0))
    work = scene.work(remembering)
    place = work.find(scene.state)
    one = work._key_slice(scene.state, place)
    other = work._key_slice(scene.state + 3 * torch.randn(64, generator=torch.Generator().manual_seed(1)), place)
    shape = to_plane(scene.ct.hu, 2, 0).shape
    masks = [s.slices[place.key].full_mask(shape) for s in (one, other)]
    assert (masks[0] != masks[1]).any()
    assert one.limits == place.limits
    nowhere = replace(scene, head=deepcopy(scene.head))
    nowhere.head.query[-1].weight.zero_()
    nowhere.head.query[-1].bias.zero_()
    assert exhaust(nowhere.work(remembering).segment(scene.state)) is None


def test_without_memory_modules_the_mask_is_carried_from_slice_to_slice(model, scene, monkeypatch):
    monkeypatch.setattr(MemoryPropagation, "propagate", lambda *_: pytest.fail("there is no memory to attend to"))
    assert not model.networks.sam2.has_memory
    work = scene.work(model)
    assert work.segmenter.memory is None
    found = exhaust(work.segment(scene.state))
    # These weights are real, so what they find is the ball.
    assert 2 * (found & scene.ball).sum() / (found.sum() + scene.ball.sum()) > 0.8


def test_ends_that_the_coarse_map_misses_are_found(model, scene):
    """A coarse slice that a tapering end fills by less than half counts as empty; the ball is there all the same."""
    torch.manual_seed(0)
    short = replace(scene, head=SegHead(seg_head_config()))
    teach_places(short.head, scene.seen.maps, scene.state[None], scene.seen.maps[0][:1] > 0, steps=60)
    work = short.work(model)
    place, found = work.find(scene.state), exhaust(work.segment(scene.state))
    levels, true = (np.flatnonzero(mask.any((0, 1)))[[0, -1]].tolist() for mask in (found, scene.ball))
    assert place.first > true[0]
    assert levels == true


def test_what_touches_the_object_elsewhere_is_not_followed(model, scene):
    """A bar as bright as the ball runs away from its upper slices, as the lungs touch and the heart goes on."""
    hu = scene.ct.hu.copy()
    hu[20:46, 14:24, 7:12] = 120
    work = replace(scene, ct=replace(scene.ct, hu=hu)).work(model)
    found = exhaust(work.segment(scene.state))
    assert 2 * (found & scene.ball).sum() / (found.sum() + scene.ball.sum()) > 0.75
    far = slice(41, None)  # the ball ends at 34, a coarse cell is four voxels wide
    assert not found[far].any()
    work._near = lambda place, index: np.ones(to_plane(hu, 2, 0).shape, bool)
    assert exhaust(work.segment(scene.state))[far].any()


def test_the_coarse_map_alone_lies_where_the_object_is(model, scene):
    work = scene.work(model)
    found = work.coarse(scene.state)
    assert found.shape == scene.ct.shape
    assert 2 * (found & scene.ball).sum() / (found.sum() + scene.ball.sum()) > 0.6
    work.head = SegHead(seg_head_config())  # untaught: nothing is probable anywhere
    work._voxels = None
    assert work.coarse(scene.state) is None


def test_stop_with_memory_leaves_no_mask(remembering, scene, monkeypatch):
    monkeypatch.setattr(seg_segmenter, "THRESHOLDS", replace(seg_segmenter.THRESHOLDS, pointed_iou=0.0))
    cancel = threading.Event()
    work = scene.work(remembering).segment(scene.state, cancel)
    next(work)
    next(work)
    cancel.set()
    with pytest.raises(Cancelled):
        exhaust(work)
