"""What the trainings of the bundled networks share: one step, and weights as a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def descend(
    loss: Tensor, net: nn.Module, optimiser: torch.optim.Optimizer, longest: float, average: nn.Module | None = None
) -> None:
    """One step down the gradient.

    Args:
        loss: of a batch.
        net: whose gradient is clipped.
        optimiser: of its parameters.
        longest: norm of the gradient.
        average: ``AveragedModel`` of the network, brought up to date.
    """
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), longest)
    optimiser.step()
    if average is not None:
        average.update_parameters(net)


def write_weights(net: nn.Module, file: Path) -> None:
    """Float32 safetensors; the folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous().float() for k, v in net.state_dict().items()}, file)


def write_network(net: nn.Module, output: Path, name: str) -> None:
    """``NAME.safetensors``, and ``NAME.json`` with the network's configuration, in a folder."""
    write_weights(net, output / f"{name}.safetensors")
    (output / f"{name}.json").write_text(json.dumps(asdict(net.config), indent=2) + "\n", encoding="utf-8")
