from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from medvl.networks.projector import MixerProjector, ProjectorConfig

from .test_vision_encoder import wave, wave_


def published_forward(state, low, high):
    """The published projector, restated over its state dict."""

    def mlp(x, name):
        x = F.linear(x, state[f"{name}.mm_projector.0.weight"], state[f"{name}.mm_projector.0.bias"])
        return F.linear(F.gelu(x), state[f"{name}.mm_projector.1.1.weight"], state[f"{name}.mm_projector.1.1.bias"])

    streams = []
    for stream, x in (("low_mixer", low), ("high_mixer", high)):
        for layer in range(2):
            name = f"{stream}.{layer}"
            norms = [(state[f"{name}.ln{n}.weight"], state[f"{name}.ln{n}.bias"]) for n in (1, 2)]
            x = F.layer_norm(x, x.shape[-1:], *norms[0])
            x = torch.einsum("bdn->bnd", mlp(torch.einsum("bnd->bdn", x), f"{name}.mlp1"))
            x = mlp(F.layer_norm(x, x.shape[-1:], *norms[1]), f"{name}.mlp2")
        streams.append(x)
    return torch.cat(streams, 1)


def test_tokens_are_those_of_the_published_forward_pass():
    torch.manual_seed(0)
    projector = MixerProjector(ProjectorConfig((24, 12), (6, 20), (18, 10), (9, 7), 32))
    for parameter in projector.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    low, high = torch.randn(2, 24, 12), torch.randn(2, 6, 20)
    ours = projector([torch.zeros(1), low, high])  # earlier hidden states do not count
    assert ours.shape == (2, 17, 32)
    assert torch.allclose(ours, published_forward(projector.state_dict(), low, high), atol=1e-4, rtol=1e-4)


def test_tokens_are_those_that_the_upstream_code_gives():
    """Of mirthAI/Med3DVLM's src/model/projector/mlp.py (commit cbbd633): mean, standard deviation and three values."""
    projector = MixerProjector(ProjectorConfig((24, 12), (6, 20), (18, 10), (9, 7), 32))
    wave_(projector.state_dict())
    with torch.inference_mode():
        tokens = projector([wave(2, 24, 12), wave(2, 6, 20)])
    got = torch.stack([tokens.mean(), tokens.std(), tokens[0, 3, 5], tokens[1, -1, -2], tokens[1, 12, 1]])
    upstream = torch.tensor([0.234764, 5.927791, 0.038146, 8.932953, -7.331164])
    assert torch.allclose(got, upstream, atol=1e-4, rtol=1e-4)


def test_published_size():
    with torch.device("meta"):
        projector = MixerProjector()
    assert projector.config.tokens == 256
    assert round(sum(p.numel() for p in projector.parameters()) / 1e6, 1) == 47.2


def test_streams_of_different_depth_are_refused():
    with pytest.raises(ValueError, match="same number of layers"):
        MixerProjector(ProjectorConfig(low_tokens=(8,), high_tokens=(4, 2)))
