"""SAM 2 in every layout that is published: the same network, told by its tensors."""

from __future__ import annotations

import pytest
import torch
from accelerate import init_empty_weights
from safetensors.torch import save_file
from sam2.build_sam import build_sam2

from medvl.errors import WeightsError
from medvl.model import sam2_source
from medvl.networks.sam2 import Sam2, SegmenterConfig
from medvl.weights.hub import StoredWeights
from medvl.weights.sam2_layout import configuration, is_transformers

SIZE = 256
CPU = torch.device("cpu")
CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """transformers' SAM 2.1 tiny with random weights, for pictures of 256 pixels; with the folder it is saved in."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    torch.manual_seed(0)
    side = SIZE // 16
    backbone = {"model_type": "sam2_hiera_det_model", "image_size": [SIZE, SIZE]}
    vision = {
        "backbone_config": backbone,
        "backbone_feature_sizes": [[4 * side] * 2, [2 * side] * 2, [side] * 2],
        "image_size": SIZE,
    }
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": SIZE},
        memory_attention_rope_feat_sizes=[side, side],
        image_size=SIZE,
    )
    model = Sam2VideoModel(config).eval().requires_grad_(False)
    for name, tensor in model.state_dict().items():
        if "positional_embedding" in name:
            continue
        tensor.add_(0.02 * torch.randn(tensor.shape))  # not what any constructor gives
    folder = tmp_path_factory.mktemp("sam2")
    model.save_pretrained(folder)
    return model, folder


def test_transformers_layout_gives_the_same_features_and_masks(theirs):
    model, folder = theirs
    ours = Sam2(SegmenterConfig(CONFIG, "model", SIZE), folder, CPU)
    assert ours.has_memory
    pixels = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    point = torch.tensor([[[60.0, 90.0]]])
    with torch.inference_mode():
        embeddings = model.get_image_embeddings(pixels)
        out = ours.net.forward_image(pixels)["backbone_fpn"]
        plain = out[-1] + ours.net.no_mem_embed.view(1, -1, 1, 1)
        for a, b in zip((*out[:2], plain), embeddings, strict=True):
            assert torch.allclose(a, b, atol=1e-4, rtol=1e-4)
        sparse, dense = model.prompt_encoder(point[None], torch.ones(1, 1, 1, dtype=torch.int32), None, None)
        masks, iou, _, score = model.mask_decoder(
            image_embeddings=embeddings[-1],
            image_positional_embeddings=model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            high_resolution_features=list(embeddings[:2]),
        )
        decoder, prompts = ours.net.sam_mask_decoder, ours.net.sam_prompt_encoder
        own_sparse, own_dense = prompts((point, torch.ones(1, 1, dtype=torch.int32)), None, None)
        own = decoder.predict_masks(plain, prompts.get_dense_pe(), own_sparse, own_dense, False, list(out[:2]))
    assert torch.allclose(own[0][:, 1:], masks[0], atol=1e-3, rtol=1e-3)
    assert torch.allclose(own[1][:, 1:], iou[0], atol=1e-4)
    assert torch.allclose(own[3], score[0], atol=1e-3)


def test_every_tensor_of_the_file_finds_its_place(theirs):
    stored = StoredWeights(theirs[1], "model")
    net = build_sam2(CONFIG, None, "cpu", apply_postprocessing=False)
    assert stored.names == set(net.state_dict())
    assert {n: tuple(t.shape) for n, t in net.state_dict().items()} == stored.shapes()
    assert not is_transformers(stored.names)
    assert configuration(stored.shapes()) == CONFIG


@pytest.mark.parametrize("config", ["sam2.1/sam2.1_hiera_s", "sam2.1/sam2.1_hiera_b+", "sam2/sam2_hiera_l"])
def test_size_and_generation_are_told_by_the_tensors(config):
    with init_empty_weights(include_buffers=False):
        net = build_sam2(f"configs/{config}.yaml", None, "meta", apply_postprocessing=False)
    assert configuration({n: tuple(t.shape) for n, t in net.state_dict().items()}) == f"configs/{config}.yaml"


def test_other_networks_are_refused():
    with pytest.raises(WeightsError, match="0 blocks"):
        configuration({"conv.weight": (3, 3)})


@pytest.mark.parametrize("kind", ["published", "trained", "parallel", "bare", "old", "safetensors"])
def test_a_file_of_ones_own_in_any_layout(tmp_path, kind):
    torch.manual_seed(0)
    net = build_sam2(CONFIG, None, "cpu", apply_postprocessing=False)
    state, file = net.state_dict(), tmp_path / "MedSAM2_mine.pt"
    if kind == "published":
        torch.save({"model": state}, file)
    elif kind == "trained":
        torch.save({"optimizer": {"state": {0: {"step": 3}}}, "epoch": 4, "state_dict": state}, file)
    elif kind == "parallel":
        torch.save({"model": {f"module.{n}": t for n, t in state.items()}, "steps": {"train": 3}}, file)
    elif kind == "bare":
        torch.save(state, file)
    elif kind == "old":
        torch.save({"model": state}, file, _use_new_zipfile_serialization=False)
    else:
        file = file.with_suffix(".safetensors")
        save_file({n: t.contiguous() for n, t in state.items()}, file)
    config, folder = sam2_source(str(file))
    assert (config.sam2_config, config.image_size) == (CONFIG, 512)
    ours = Sam2(SegmenterConfig(config.sam2_config, config.weights, 128), folder, CPU)
    assert all(torch.equal(t, state[n]) for n, t in ours.net.state_dict().items())


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Code:
        def __reduce__(self):
            return (print, ("ran",))

    torch.save({"model": {}, "x": Code()}, tmp_path / "bad.pt")
    with pytest.raises(WeightsError, match="would run code"):
        StoredWeights(tmp_path, "bad")
