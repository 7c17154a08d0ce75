"""bfloat16 on a CPU runs on kernels that give the same numbers twice, on a processor with AMX too."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

WORK = """
import torch
import medvl.networks
a = torch.ones(64, 64, dtype=torch.bfloat16)
a @ a
torch.nn.functional.conv2d(torch.ones(2, 64, 32, 32), torch.ones(64, 64, 3, 3))
"""
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="AMX is a part of x86-64 processors")


def told_by_onednn(**environment: str) -> list[str]:
    """What oneDNN says of the processor and of every kernel that it runs, in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}
    environment = kept | environment | {"ONEDNN_VERBOSE": "1"}
    made = subprocess.run([sys.executable, "-c", WORK], env=environment, capture_output=True, text=True, check=True)
    told = [line for line in made.stdout.splitlines() if line.startswith("onednn_verbose")]
    assert any(",exec," in line for line in told), made.stdout
    return told


def test_no_kernel_of_amx_runs_even_where_torch_was_imported_first():
    assert not any("amx" in line.lower() for line in told_by_onednn())


def test_another_choice_is_left_alone():
    (isa,) = (line for line in told_by_onednn(ONEDNN_MAX_CPU_ISA="AVX2") if "cpu,isa:" in line)
    assert isa.endswith("AVX2")
