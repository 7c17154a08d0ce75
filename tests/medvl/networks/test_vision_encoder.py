from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medvl.networks.vision_encoder import SIZES, DCFormer, token_counts


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
    for layer in range(4):  # no activation: the published code hands its GELU over as the argument ``norm``
        x = decomposed(x, f"encoder.s0.0.{layer}", 4 if layer == 0 else 1, 1)
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


def wave_(state: dict[str, Tensor]) -> None:
    """Fill weights by a formula, the same on every machine."""
    for number, (name, tensor) in enumerate(sorted(state.items())):
        if tensor.is_floating_point():
            wave = torch.sin(0.37 * torch.arange(tensor.numel(), dtype=torch.float64) + number).reshape(tensor.shape)
            if name.endswith("running_var"):
                wave = 1 + 0.5 * wave
            elif tensor.ndim > 1:
                wave = wave * (2 / tensor[0].numel()) ** 0.5
            tensor.copy_(wave)


def wave(*shape: int) -> Tensor:
    """Values 0..1 by a formula."""
    steps = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (0.5 + 0.5 * torch.sin(0.011 * steps**1.1)).float().reshape(shape)


# What mirthAI/Med3DVLM's own src/model/encoder/dcformer.py (commit cbbd633) gives for ``wave(1, 1, 32, 64, 96)`` and
# weights by ``wave_`` (its ``gamma`` sorted as ``scale``): of each hidden state the mean, the standard deviation, and
# the values at [0, 1, 2] and [0, -2, -3].
UPSTREAM = {
    "nano": [
        (2.03998, 3.22365, 0.93736, 7.03233), (-1.13455, 8.76509, -3.6923, -9.92768),
        (-0.47697, 5.0172, -2.17931, 4.05112), (-0.39736, 5.52429, -2.37241, 0.24638),
        (-0.51247, 7.61448, -3.03643, -16.52518),
    ],
    "naive": [
        (2.03998, 3.22365, 0.93736, 7.03233), (-0.50304, 8.98237, -2.902, 11.25486),
        (-0.58324, 7.52192, -2.63658, -0.3585), (-0.72418, 11.52621, -5.69708, -19.62502),
        (-0.67284, 15.4937, 1.70084, 24.83851),
    ],
    "small": [
        (2.02469, 2.22706, 3.49885, 3.07334), (-0.55559, 17.10027, -1.82284, -24.382),
        (-0.96977, 11.60601, 18.82212, 15.59764), (-1.4914, 11.57454, 0.42539, -9.9029),
        (-0.65745, 18.05395, 5.75996, 20.05051),
    ],
}  # fmt: skip


@pytest.mark.parametrize("size", list(UPSTREAM))
def test_hidden_states_are_those_that_the_upstream_code_gives(size):
    encoder = DCFormer(SIZES[size]).eval()
    wave_(encoder.state_dict())
    with torch.inference_mode():
        hidden = encoder(wave(1, 1, 32, 64, 96))
    got = [(h.mean(), h.std(), h[0, 1, 2], h[0, -2, -3]) for h in hidden]
    assert torch.allclose(torch.tensor(got), torch.tensor(UPSTREAM[size]), atol=2e-4, rtol=1e-4)


def scrambled(size: str) -> DCFormer:
    """A random encoder whose statistics and layer scales are no longer those of the start."""
    torch.manual_seed(0)
    encoder = DCFormer(SIZES[size]).eval()
    for name, tensor in encoder.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2)
        elif "running_mean" in name or name.endswith(".scale"):
            tensor.normal_()  # the published start of 1e-6 would hide the blocks
    return encoder


@pytest.fixture
def encoder() -> DCFormer:
    return scrambled("tiny")


@pytest.mark.parametrize(("size", "grad"), [("tiny", True), *((size, False) for size in SIZES)])
def test_hidden_states_are_those_of_the_published_forward_pass(size, grad):
    encoder = scrambled(size)
    volume = torch.rand(1, 1, 32, 64, 48) if size == "large" else torch.rand(2, 1, 32, 64, 48)
    with torch.set_grad_enabled(grad):
        ours = encoder(volume)
        theirs = published_forward(encoder.state_dict(), encoder.config.num_blocks, volume)
    assert [o.shape for o in ours] == [t.shape for t in theirs]
    for our, their in zip(ours, theirs, strict=True):
        assert torch.allclose(our, their, atol=1e-4, rtol=1e-4)


def test_sizes_are_those_of_the_upstream_table():
    table = {
        "nano": ([1, 1, 1, 1, 1], [32, 32, 64, 128, 256]),
        "naive": ([1, 2, 2, 2, 2], [32, 64, 128, 256, 512]),
        "tiny": ([1, 2, 3, 3, 2], [64, 96, 192, 384, 768]),
        "small": ([1, 2, 3, 6, 2], [64, 96, 192, 384, 768]),
        "base": ([1, 2, 6, 6, 2], [64, 128, 256, 512, 1024]),
        "large": ([1, 2, 6, 12, 2], [64, 256, 512, 1024, 2048]),
    }
    assert {n: (list(c.num_blocks), list(c.channels)) for n, c in SIZES.items()} == table
    assert {c.kernel_sizes for c in SIZES.values()} == {(13, 11, 9, 7)}


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
