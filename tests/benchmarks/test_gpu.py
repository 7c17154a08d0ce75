"""The GPU script runs to its end with small shapes, so that time on a GPU is not spent on mending it."""

from __future__ import annotations

import json

import pytest
import torch

from . import gpu


def test_a_dry_run_gives_every_figure(tmp_path):
    out = tmp_path / "gpu.json"
    figures = gpu.main(["--dry-run", "--json", str(out), "--limit", "10000"])
    assert json.loads(out.read_text())["figures"].keys() == figures.keys()
    assert not any(isinstance(value, str) for value in figures.values()), figures
    on_gpu = torch.cuda.is_available()
    for wanted in (
        "SAM 2.1 tiny at 256: encoding a slice, ms", "SAM 2.1 tiny at 256: carrying on, ms a slice",
        "box to mask on 96x96x12, s", f"{'bf16' if on_gpu else 'float32'}: volume to tokens, s",
        "4 bit: question 1, tokens/s", "4 bit: question 2, first token, s",
    ):  # fmt: skip
        assert figures[wanted] > 0
    assert figures["box to mask on 96x96x12, slices"] > 3
    first, second = (figures[f"4 bit: question {n}, tokens read"] for n in (1, 2))
    assert first > 256  # the image and the question
    assert 1 < second < 10  # the question alone
    if not on_gpu:
        assert not any("GB" in name and name != "checkpoint, GB" for name in figures)


def test_what_would_pass_the_limit_is_left_out():
    figures = gpu.main(["--dry-run", "--limit", "1"])
    assert set(figures) == set(gpu.PARTS)
    assert all("left out" in value for value in figures.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys):
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "--dry-run" in capsys.readouterr().err
