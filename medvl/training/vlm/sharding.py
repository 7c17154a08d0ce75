"""Weights, gradients and optimiser state shared out between processes (ZeRO-3, FSDP2 of PyTorch).

``torch.distributed.fsdp.fully_shard`` and not accelerate's plugin, which shards on accelerators only: this way the same
code runs on CPUs, where it can be compared with one process. Processes, precision and accumulation are accelerate's. A
checkpoint holds whole tensors under the names and in the order of one that was not shared out, so that either kind of
run goes on from it, with any number of processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from ...networks.vision_encoder import DCFormer


def shard(stage: nn.Module, device: torch.device, mixed_precision: str) -> None:
    """Give each process its part of a stage's weights, in place; they may be in main memory until then.

    Each layer of a transformer and each stage of the vision encoder is gathered when it is its turn, and everything
    else for the whole pass.

    Args:
        stage: whole, the same in all processes.
        device: of this process.
        mixed_precision: ``"no"`` or ``"bf16"``, in which layers of transformers are gathered, that are most of the
            weights; their gradients are summed in float32.
    """
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    policy = MixedPrecisionPolicy()
    if mixed_precision == "bf16":
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    for module in list(_layers(stage)):
        fully_shard(module, mesh=mesh, mp_policy=policy)
    for module in stage.modules():
        if isinstance(module, DCFormer):
            for part in module.encoder.children():
                fully_shard(part, mesh=mesh)
    # A single number cannot be cut: every process has it whole, and ``finish_gradients`` sums its gradient.
    single = {p for p in stage.parameters() if p.ndim == 0}
    for parameter in single:
        parameter.data = parameter.data.to(device)
    fully_shard(stage, mesh=mesh, ignored_params=single)
    if device.type == "cpu":  # gloo adds up and has no mean
        for module in stage.modules():
            if hasattr(module, "set_force_sum_reduction_for_comms"):
                module.set_force_sum_reduction_for_comms(True)


def _layers(stage: nn.Module) -> Iterable[nn.Module]:
    """Layers of transformers, by what transformers itself says must stay in one piece."""
    names = {name for m in stage.modules() for name in getattr(m, "_no_split_modules", None) or ()}
    return (m for m in stage.modules() if type(m).__name__ in names)


def finish_gradients(parameters: Iterable[nn.Parameter], most: float) -> None:
    """Sum what ``fully_shard`` leaves to us and clip to a norm over all processes, once a step.

    Args:
        parameters: that are trained.
        most: largest norm of the gradient, as of one process.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    parts = [g.to_local() for g in gradients if isinstance(g, DTensor)]
    single = [g for g in gradients if not isinstance(g, DTensor)]
    for gradient in single:
        dist.all_reduce(gradient)
        gradient /= dist.get_world_size()
    squares = torch.nn.utils.get_total_norm(parts).square()
    dist.all_reduce(squares)
    norm = (squares + sum(g.square() for g in single)).sqrt()
    factor = (most / (norm + 1e-6)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_
    for gradient in (*parts, *single):
        gradient *= factor


def same_buffers(stage: nn.Module) -> None:
    """Batch statistics of the first process, which are those that are saved, to all."""
    for buffer in stage.buffers():
        dist.broadcast(buffer, 0)


# ---- checkpoints


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, in main memory. One that is shared out is put together by all processes, for the first."""
    if not isinstance(tensor, DTensor):
        return tensor.detach().cpu()
    full = tensor.detach().full_tensor()
    return full.cpu() if dist.get_rank() == 0 else torch.empty(0)


def part_like(value: Tensor, own: Tensor) -> Tensor:
    """This process's part of a whole tensor, shared out as ``own`` is; itself where ``own`` is whole."""
    if not isinstance(own, DTensor):
        return value
    # Cut before it is moved, so that no device has to hold it whole.
    (place,) = own.placements
    local = value.chunk(own.device_mesh.size(), place.dim)
    rank = own.device_mesh.get_local_rank()
    mine = local[rank] if rank < len(local) else value.narrow(place.dim, 0, 0)
    return DTensor.from_local(
        mine.to(own.device), own.device_mesh, own.placements, run_check=False, shape=own.shape, stride=own.stride()
    )


def whole_states(optimiser: torch.optim.Optimizer) -> None:
    """Make an optimiser's ``state_dict`` give whole tensors, in the first process, and take them."""

    def gathered(_: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        entries = {
            index: {name: whole(v) if isinstance(v, DTensor) else v for name, v in entry.items()}
            for index, entry in state["state"].items()
        }
        return state | {"state": entries}

    def cut(_: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        own = [p for group in optimiser.param_groups for p in group["params"]]
        entries = {
            index: {
                name: part_like(v, own[index]) if isinstance(v, Tensor) and v.shape == own[index].shape else v
                for name, v in entry.items()
            }
            for index, entry in state["state"].items()
        }
        return state | {"state": entries}

    optimiser.register_state_dict_post_hook(gathered)
    optimiser.register_load_state_dict_pre_hook(cut)
