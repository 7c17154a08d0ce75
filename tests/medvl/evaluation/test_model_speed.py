"""The benchmark of the networks on small shapes: what it compares, counts and writes; and memory while loading."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from medvl.evaluation import model_speed
from medvl.evaluation.model_speed import (
    PublishedConv,
    encoder_speed,
    loading_memory,
    published,
    sam2_loading_memory,
    turn_speed,
)
from medvl.networks.vision_encoder import SIZES, DCFormer

CPU = torch.device("cpu")
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 300}  # fmt: skip


def test_the_published_formulation_gives_the_same():
    torch.manual_seed(0)
    encoder = DCFormer(SIZES["nano"]).eval()
    volume = torch.rand(1, 1, 32, 64, 64)
    with torch.inference_mode():
        ours = encoder(volume)
        theirs = published(encoder)(volume)
    assert any(isinstance(m, PublishedConv) for m in encoder.modules())
    assert all(torch.allclose(a, b, atol=1e-5, rtol=1e-4) for a, b in zip(ours, theirs, strict=True))


def test_encoders_stand_side_by_side_with_their_ratio():
    figures = encoder_speed(CPU, 1, (32, 64, 64), warm_up=False, vit_layers=1)
    assert all(v > 0 for v in figures.values())
    assert figures["ours / as published"] == pytest.approx(
        figures["DCFormer small 32x64x64"] / figures["the same as published"]
    )
    assert "ours / ViT3D" in figures


def test_turns_are_measured():
    figures = turn_speed(CPU, 1, SMALL)
    assert set(figures) == {"first token of turn 1", "first token of turn 2", "turn 2 / turn 1"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_loading_takes_little_more_memory_than_the_checkpoint():
    """No double copies: of a float checkpoint as it is, and of the same one quantised while it is read."""
    shape = {"vocab_size": 16384, "num_hidden_layers": 14}
    figures = loading_memory(("4bit", "none"), shape)
    assert 200 < figures["checkpoint, float32, MB"] < 300
    # Less than 0.8 would mean that something was not counted, a second copy makes 2.
    assert 0.8 < figures["peak (none) / checkpoint"] < 1.6
    # Pages of the mapped file, which the system takes back where memory is short, what was quantised and the buffers
    # of quantising (1.4 to 1.92 by the machine); a second copy in float makes 2.3.
    assert figures["peak (4bit) / checkpoint"] < 2.2
    assert figures["peak while loading (4bit), MB"] > 50


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_loading_sam2_takes_little_more_memory_than_its_pt_file():
    figures = sam2_loading_memory()
    assert 140 < figures["SAM 2.1 checkpoint, MB"] < 170
    assert 0.8 < figures["peak (SAM 2.1) / checkpoint"] < 1.6


def test_each_figure_is_printed_and_written_when_it_is_there(monkeypatch, tmp_path, capsys):
    file, seen = tmp_path / "out.json", []

    def second(device):
        seen.append((json.loads(file.read_text())["figures"], capsys.readouterr().out))
        return {"MB": 12.34}

    monkeypatch.setattr(model_speed, "PARTS", (lambda device: {"ours / as published": 0.5}, second))
    model_speed.main(["--device", "cpu", "--json", str(file)])
    (figures, printed), written = seen[0], json.loads(file.read_text())
    assert figures == {"ours / as published": 0.5}
    assert "ours / as published" in printed
    assert "0.500" in printed
    assert "12.3" in capsys.readouterr().out
    assert written["figures"] == {"ours / as published": 0.5, "MB": 12.34}
    assert written["about"]["device"] == "cpu"
