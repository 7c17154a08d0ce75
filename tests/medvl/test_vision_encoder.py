from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medvl.vision_encoder import SIZES, DCFormer, token_counts


def published_forward(state: dict[str, Tensor], blocks: tuple[int, ...], volume: Tensor) -> list[Tensor]:
    """The published encoder, restated with functions over its state dict."""

    def decomposed(x: Tensor, name: str, stride: int, groups: int) -> Tensor:
        total = 0
        for axis in (1, 2, 3):
            weight = state[f"{name}.c{axis}.0.weight"]
            y = F.conv3d(
                x, weight, state[f"{name}.c{axis}.0.bias"], stride, [s // 2 for s in weight.shape[2:]], 1, groups
            )
            norm = [state[f"{name}.c{axis}.1.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
            total = total + F.batch_norm(y, *norm)
        return total

    x = volume.permute(0, 1, 3, 4, 2)  # b c d h w -> b c h w d
    for layer in range(4):
        x = F.gelu(decomposed(x, f"encoder.s0.0.{layer}", 4 if layer == 0 else 1, 1))
    hidden = [x]
    for stage in range(1, 5):
        for block in range(blocks[stage]):
            name = f"encoder.s{stage}.{block}"
            if block == 0:
                x = F.conv3d(F.max_pool3d(x, 3, 2, 1), state[f"{name}.proj.weight"])
            y = decomposed(x, f"{name}.dwconv", 1, x.shape[1]).permute(0, 2, 3, 4, 1)
            y = F.gelu(F.linear(y, state[f"{name}.mlp.mlp.0.weight"], state[f"{name}.mlp.mlp.0.bias"]))
            y = F.linear(y, state[f"{name}.mlp.mlp.3.weight"], state[f"{name}.mlp.mlp.3.bias"])
            x = x + (state[f"{name}.scale"] * y).permute(0, 4, 1, 2, 3)
        hidden.append(x)
    return [torch.einsum("bchwt->bthwc", h).reshape(h.shape[0], -1, h.shape[1]) for h in hidden]


@pytest.fixture
def encoder() -> DCFormer:
    torch.manual_seed(0)
    encoder = DCFormer(SIZES["tiny"]).eval()
    for name, tensor in encoder.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2)
        elif "running_mean" in name or name.endswith(".scale"):
            tensor.normal_()  # the published start of 1e-6 would hide the blocks
    return encoder


@pytest.mark.parametrize("grad", [False, True])
def test_hidden_states_are_those_of_the_published_forward_pass(encoder, grad):
    volume = torch.rand(2, 1, 32, 64, 48)
    with torch.set_grad_enabled(grad):
        ours = encoder(volume)
        theirs = published_forward(encoder.state_dict(), encoder.config.num_blocks, volume)
    assert [o.shape for o in ours] == [t.shape for t in theirs]
    for our, their in zip(ours, theirs, strict=True):
        assert torch.allclose(our, their, atol=1e-4, rtol=1e-4)


def test_small_size_has_the_published_shapes_and_weights():
    with torch.device("meta"):
        encoder = DCFormer(SIZES["small"]).eval()
        shapes = [tuple(h.shape) for h in encoder(torch.empty(1, 1, 128, 256, 256))]
    assert shapes == [(1, 131072, 64), (1, 16384, 96), (1, 2048, 192), (1, 256, 384), (1, 32, 768)]
    assert token_counts((128, 256, 256)) == [s[1] for s in shapes]
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 1) == 18.2


@pytest.mark.parametrize("size", list(SIZES))
def test_every_size_can_be_built(size):
    with torch.device("meta"):
        encoder = DCFormer(SIZES[size]).eval()
        hidden = encoder(torch.empty(1, 1, 64, 64, 64))
    assert [h.shape[-1] for h in hidden] == list(SIZES[size].channels)


def test_maps_keep_depth_height_and_width_apart(encoder):
    volume = torch.rand(1, 1, 32, 64, 128)
    assert tuple(encoder.maps(volume)[2].shape[2:]) == (2, 4, 8)


def test_training_mode_uses_batch_statistics_and_gives_gradients(encoder):
    encoder.train()
    before = encoder.encoder.s1[0].dwconv.c1[1].running_mean.clone()
    encoder(torch.rand(2, 1, 32, 64, 64))[-1].sum().backward()
    assert not torch.equal(before, encoder.encoder.s1[0].dwconv.c1[1].running_mean)
    assert encoder.encoder.s0[0][0].c1[0].weight.grad.abs().sum() > 0
