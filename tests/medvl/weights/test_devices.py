from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from medvl import model
from medvl.errors import WeightsError
from medvl.weights import devices
from medvl.weights.quantization import choose

FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
GPU, CPU = torch.device("cuda"), torch.device("cpu")
# Qwen2.5-7B: weights in the decoder's linear layers; embeddings and head, norms.
LINEAR, OTHER = 6_525_616_128, 2 * 151_666 * 3584 + 300_000


@pytest.fixture
def gpu(monkeypatch):
    def of(major, minor):
        monkeypatch.setattr("torch.cuda.get_device_capability", lambda *_: (major, minor))
        monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda *_: True)  # as a T4 claims by emulation
        monkeypatch.setattr("torch.cuda.get_device_name", lambda *_: "GPU")

    return of


@pytest.mark.parametrize(("capability", "has"), [((7, 0), False), ((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bfloat16_is_told_by_the_compute_capability(gpu, capability, has):
    gpu(*capability)
    assert devices.has_bfloat16(GPU) == has
    assert devices.network_precision(GPU) == (torch.bfloat16 if has else torch.float32)
    assert not devices.has_bfloat16(CPU)
    assert devices.network_precision(torch.device("mps")) == torch.float32


def test_a_t4_holds_the_7b_model_in_4_bit_with_float32_activations(gpu):
    gpu(7, 5)
    picked = choose("auto", GPU, LINEAR, OTHER, free=15 * 10**9)
    assert (picked.mode, picked.dtype) == ("4bit", torch.float32)
    for said in ("7.5", "no bfloat16", "65,504", "float32 would not fit"):
        assert said in picked.reason
    gpu(8, 6)
    assert choose("auto", GPU, LINEAR, OTHER, free=15 * 10**9).dtype == torch.bfloat16


def test_apples_gpu_is_not_quantised():
    picked = choose("auto", torch.device("mps"), LINEAR, OTHER, free=8 * 10**9)
    assert (picked.mode, picked.dtype) == ("none", torch.float32)
    assert "leave little" in picked.reason


@pytest.mark.parametrize(("own", "wanted"), [(None, "1"), ("0", "0")])
def test_what_apples_gpu_lacks_goes_to_the_cpu_unless_a_person_says_otherwise(own, wanted):
    """Torch reads the variable as it is imported: ``import medvl`` has to come first, which the program sees to."""
    told = {name: value for name, value in os.environ.items() if name != FALLBACK} | ({FALLBACK: own} if own else {})
    code = f"import os, sys, medvl; print(os.environ['{FALLBACK}'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [wanted, "False"]


def test_auto_takes_the_best_device_there_is(monkeypatch):
    for cuda, mps, found in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda mps=mps: mps)
        assert devices.pick_device().type == found
    for wrong in ("cuda", "mps", "tpu"):
        with pytest.raises(WeightsError, match=r"no device|No device"):
            devices.pick_device(wrong)


def test_slices_are_seen_at_the_native_size_on_a_gpu_and_at_512_on_a_cpu():
    assert model._slice_size("auto", 1024, GPU) == 1024
    assert model._slice_size("auto", 1024, CPU) == 512
    assert model._slice_size("auto", 512, GPU) == 512
    assert model._slice_size("1024", 512, CPU) == 1024
    with pytest.raises(WeightsError, match="256, 512, 1024"):
        model._slice_size(333, 1024, CPU)
